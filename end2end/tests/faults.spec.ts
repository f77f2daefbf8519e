// What a page does when something is not as it should be: its program dies or never comes, there is no script, the
// server is away or was updated.

import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, holdProgram, hydrated, open, screenshot, test, type Locator } from "../support/test.js";

test.describe("a page whose program dies", () => {
  test.use({ expectedComplaints: [/unreachable|died on purpose|RuntimeError/] });

  const die = () => {
    setTimeout(() => {
      throw new WebAssembly.RuntimeError("died on purpose");
    });
  };

  test("says so and is reloaded once, then waits for a click", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/system");
    await page.evaluate(() => Object.assign(window, { before: true }));
    // An address that names a place on the page is loaded again as well.
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

  test("says so instead of what was said before", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/system");
    await page.route("**/pkg/current", (route) => route.fulfill({ body: "feedfacefeedface\n" }));
    await page.evaluate(() => window.dispatchEvent(new Event("longshore-reconnected")));
    await expect(page.getByText("Longshore was updated since this page was loaded.")).toBeVisible();
    await page.evaluate(() => sessionStorage.setItem("longshore-reloaded", String(Date.now())));
    await page.evaluate(die);
    await expect(page.getByRole("alert").filter({ hasText: "This page has stopped working." })).toBeVisible();
  });

  test("is not reloaded over what somebody has typed", async ({ page, longshore }) => {
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

test.describe("a page whose program never comes", () => {
  test.use({ expectedComplaints: [/Failed to (load resource|fetch)|ERR_FAILED|dynamically imported/] });

  test("says so, is loaded again, and does not go on like that", async ({ page, longshore }) => {
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

test("a page says that the server was updated", async ({ page, longshore }) => {
  await signIn(page, longshore.admin, "/system");
  await page.route("**/pkg/current", (route) => route.fulfill({ body: "feedfacefeedface\n" }));
  await page.evaluate(() => window.dispatchEvent(new Event("longshore-reconnected")));
  await expect(page.getByText("Longshore was updated since this page was loaded.")).toBeVisible();
});

test.describe("a form without script", () => {
  test.use({ javaScriptEnabled: false });

  test("says what it needs, and sends nothing", async ({ page, longshore }) => {
    await page.goto("/sign-in?next=/organizations/new");
    await page.getByLabel("User name").fill(longshore.admin.name);
    await page.getByLabel("Password", { exact: true }).fill(longshore.admin.password);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL("/organizations/new");
    // Chromium hides it from tests, which switch script off later than the parser looks.
    expect(await page.content()).toContain("This form needs JavaScript");
    await expect(page.getByRole("button", { name: "Create" })).toBeDisabled();
    await page.getByLabel("Name").fill("nobody");
    await page.getByLabel("Name").press("Enter");
    await expect(page).toHaveURL("/organizations/new");
  });
});

test("a form is not sent before its page is live", async ({ page, longshore }) => {
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

test.describe("a page that was come to while the server was away", () => {
  test.use({ expectedComplaints: [/Failed to load resource|ERR_FAILED|ERR_CONNECTION|ERR_INCOMPLETE/] });

  test("offers to try again, and heals", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/jobs");
    await page.route("**/fn/**", (route) => route.abort());
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Remotes" }).click();
    await expect(page.getByText("The server cannot be reached.")).toBeVisible();
    await page.unroute("**/fn/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("region", { name: "Remotes" }).or(page.getByText("There is no remote yet"))).toBeVisible();
  });
});

test.describe("a stream of events that is refused", () => {
  test.use({ expectedComplaints: [/status of 404/] });

  test("is not taken for a lost connection", async ({ page, longshore }) => {
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
    // Somebody looks at the page again, which opens a stream that was closed.
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.getByRole("searchbox").fill("still the same page");
    expect(asked).toBe(2);
    await expect(page.getByText("The connection to the server is lost")).toBeHidden();
  });
});

test.describe("a page whose session has ended", () => {
  test.use({ expectedComplaints: [/status of 401/] });

  test("does not look as if somebody were signed in", async ({ page, context, longshore }) => {
    // A stream that ends at once and is opened again.
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

test("in colours of the reader's own, one sees what is open and what is on", async ({ page, longshore }) => {
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
