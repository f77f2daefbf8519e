// Faults: the WASM panics or never arrives, scripts are disabled, or the server is unreachable or was updated.

import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, holdProgram, hydrated, open, screenshot, test, type Locator } from "../support/test.js";

test.describe("a page whose WASM panics", () => {
  test.use({ expectedComplaints: [/unreachable|died on purpose|RuntimeError/] });

  const die = () => {
    setTimeout(() => {
      throw new WebAssembly.RuntimeError("died on purpose");
    });
  };

  test("is reloaded once, then shows a note with a Reload button", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/system");
    await page.evaluate(() => Object.assign(window, { before: true }));
    // An address with a fragment is reloaded as well.
    await page.evaluate(() => (location.hash = "content"));
    await page.evaluate(die);
    await expect.poll(() => page.evaluate(() => "before" in window).catch(() => true)).toBe(false);
    await hydrated(page);
    await page.evaluate(die);
    const note = page.getByRole("alert").filter({ hasText: "This page has stopped working." });
    await expect(note).toBeVisible();
    await note.getByRole("button", { name: "Reload" }).click();
    await expect(note).toBeHidden();
    await hydrated(page);
  });

  test("replaces an earlier note", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/system");
    await page.route("**/pkg/current", (route) => route.fulfill({ body: "feedfacefeedface\n" }));
    await page.evaluate(() => window.dispatchEvent(new Event("longshore-reconnected")));
    await expect(page.getByText("Longshore was updated since this page was loaded.")).toBeVisible();
    await page.evaluate(() => sessionStorage.setItem("longshore-reloaded", String(Date.now())));
    await page.evaluate(die);
    await expect(page.getByRole("alert").filter({ hasText: "This page has stopped working." })).toBeVisible();
  });

  test("is not reloaded while it has unsaved input", async ({ page, longshore }) => {
    await signIn(page, longshore.admin);
    await open(page, "/organizations/new");
    await page.getByLabel("Name").fill("typed");
    await page.evaluate(die);
    await expect(page.getByRole("button", { name: "Reload" })).toBeVisible();
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL("/organizations/new");
    await expect(page.getByLabel("Name")).toHaveValue("typed");
  });
});

test.describe("a page whose WASM never arrives", () => {
  test.use({ expectedComplaints: [/Failed to (load resource|fetch)|ERR_FAILED|dynamically imported/] });

  test("is reloaded once, then shows a Reload button", async ({ page, longshore }) => {
    await signIn(page, longshore.admin);
    let loads = 0;
    await page.route("**/*.wasm", (route) => {
      loads += 1;
      return route.abort();
    });
    await page.goto("/system");
    await expect(page.getByRole("button", { name: "Reload" })).toBeVisible();
    expect(loads).toBe(2);
    await page.unroute("**/*.wasm");
    await page.getByRole("button", { name: "Reload" }).click();
    await hydrated(page);
  });
});

test("a page shows that the server was updated", async ({ page, longshore }) => {
  await signIn(page, longshore.admin, "/system");
  await page.route("**/pkg/current", (route) => route.fulfill({ body: "feedfacefeedface\n" }));
  await page.evaluate(() => window.dispatchEvent(new Event("longshore-reconnected")));
  await expect(page.getByText("Longshore was updated since this page was loaded.")).toBeVisible();
});

test.describe("a form without script", () => {
  test.use({ javaScriptEnabled: false });

  test("says that it needs JavaScript and is not submitted", async ({ page, longshore }) => {
    await page.goto("/sign-in?next=/organizations/new");
    await page.getByLabel("Username").fill(longshore.admin.name);
    await page.getByLabel("Password", { exact: true }).fill(longshore.admin.password);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL("/organizations/new");
    // Chromium does not render the noscript element here, since Playwright disables scripts only after parsing.
    expect(await page.content()).toContain("This form needs JavaScript");
    await expect(page.getByRole("button", { name: "Create" })).toBeDisabled();
    await page.getByLabel("Name").fill("nobody");
    await page.getByLabel("Name").press("Enter");
    await expect(page).toHaveURL("/organizations/new");
  });
});

test("a form is not submitted before hydration", async ({ page, longshore }) => {
  await organizations(longshore, "patience");
  await repository(longshore, "patience/website");
  await signIn(page, longshore.admin);
  const arrive = await holdProgram(page);
  const at = "/repositories/patience/website";
  const forms = ["/repositories/new", "/remotes/new", `${at}/mirrors/new`, `${at}/promotions/new`, `${at}/settings`];
  for (const path of forms) {
    await page.goto(path, { waitUntil: "domcontentloaded" });
    await page.locator("[data-needs-script] input[type=text]").first().press("Enter");
    await expect(page).toHaveURL(path);
    await expect(page.locator("[data-needs-script] button[type=submit]").first()).toBeDisabled();
  }
  arrive();
  await hydrated(page);
  await expect(page.getByRole("button", { name: "Save" })).toBeEnabled();
});

test.describe("a page opened while the server is unreachable", () => {
  test.use({ expectedComplaints: [/Failed to load resource|ERR_FAILED|ERR_CONNECTION|ERR_INCOMPLETE/] });

  test("offers Try again and then loads", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/jobs");
    await page.route("**/fn/**", (route) => route.abort());
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Remotes" }).click();
    await expect(page.getByText("The server cannot be reached.")).toBeVisible();
    await page.unroute("**/fn/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("region", { name: "Remotes" }).or(page.getByText("There is no remote yet"))).toBeVisible();
  });
});

test.describe("a refused event stream", () => {
  test.use({ expectedComplaints: [/status of 404/] });

  test("is not reported as a lost connection", async ({ page, longshore }) => {
    await organizations(longshore, "refusal");
    await repository(longshore, "refusal/website");
    await signIn(page, longshore.admin);
    let asked = 0;
    await page.route("**/events?repository=**", (route) => {
      asked += 1;
      return route.fulfill({ status: 404, body: "{}" });
    });
    await open(page, "/repositories/refusal/website/tags");
    await expect.poll(() => asked).toBe(2);
    // Returning to the tab would reopen a closed stream.
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.getByRole("searchbox").fill("still the same page");
    expect(asked).toBe(2);
    await expect(page.getByText("The connection to the server is lost")).toBeHidden();
  });
});

test.describe("a page whose session has ended", () => {
  test.use({ expectedComplaints: [/status of 401/] });

  test("no longer shows a signed-in user", async ({ page, context, longshore }) => {
    // A stream that ends immediately and is reopened.
    const ended = { contentType: "text/event-stream", body: "retry: 200\n\n" };
    await page.route("**/events?**", (route) => route.fulfill(ended));
    await signIn(page, longshore.admin, "/system");
    const rail = page.getByRole("navigation", { name: "Main" });
    await expect(rail.getByRole("button", { name: "Sign out" })).toBeVisible();
    await context.clearCookies();
    await page.unroute("**/events?**");
    await expect(rail.getByRole("link", { name: "Sign in" })).toBeVisible();
  });
});

test("forced colours distinguish the current page and enabled switches", async ({ page, longshore }) => {
  await organizations(longshore, "contrast");
  for (const name of ["website", "one", "two"]) await repository(longshore, `contrast/${name}`);
  for (const [name, enabled] of [["one", true], ["two", false]] as const) {
    await rest(longshore, "POST", "/repositories/contrast/website/promotionPolicies", {
      rules: [],
      targetRepository: `contrast/${name}`,
      tagTemplate: "%n",
      enabled,
    });
  }
  await page.emulateMedia({ forcedColors: "active" });
  await signIn(page, longshore.admin, "/repositories/contrast/website/promotions");
  await hydrated(page);
  const look = (of: Locator) =>
    of.evaluate((element) => {
      const { backgroundColor, borderBottomColor, borderBottomWidth } = getComputedStyle(element);
      return { backgroundColor, borderBottomColor, borderBottomWidth };
    });
  const rail = page.getByRole("navigation", { name: "Main" });
  const tabs = page.getByRole("navigation", { name: "Repository" });
  const track = (of: string) => page.getByRole("row", { name: of }).locator(".switch-track");
  const pairs = [
    [rail.getByRole("link", { name: "Repositories" }), rail.getByRole("link", { name: "Jobs" })],
    [tabs.getByRole("link", { name: "Promotions" }), tabs.getByRole("link", { name: "Tags" })],
    [track("contrast/one"), track("contrast/two")],
  ] as const;
  for (const [marked, plain] of pairs) expect(await look(marked)).not.toEqual(await look(plain));
  await screenshot(page, "forced-colours");
});
