// The basics of the site: pages are rendered on the server and hydrated in the browser, and server functions respond.

import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, holdProgram, hydrated, open, screenshot, test } from "../support/test.js";

test.describe("a page", () => {
  test.beforeEach(({ page, longshore }) => signIn(page, longshore.admin));

  test("hydrates, and its server functions respond", async ({ page }) => {
    await open(page, "/system");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
    const answer = page.waitForResponse((response) => response.url().endsWith("/fn/system_info"));
    await page.getByRole("button", { name: "Refresh" }).click();
    expect((await answer).status()).toBe(200);
    await screenshot(page, "system");
    await page.getByRole("button", { name: "Dry run" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Collect garbage (dry run)");
    await expect(page.getByText(/nothing to remove/i)).toBeVisible();
  });

  test("navigates without a full page load", async ({ page }) => {
    await open(page, "/system");
    await page.evaluate(() => Object.assign(window, { kept: true }));
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Jobs" }).click();
    await expect(page).toHaveURL(/\/jobs$/);
    expect(await page.evaluate(() => "kept" in window)).toBe(true);
    await page.goBack();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
  });

  test("is the right one after going back before hydration", async ({ page }) => {
    await open(page, "/system");
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Remotes" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Remotes");
    let answer = () => {};
    const late = new Promise<void>((resolve) => (answer = resolve));
    await page.route("**/*.wasm", async (route) => {
      await late;
      await route.continue();
    });
    await page.reload({ waitUntil: "commit" });
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Remotes");
    await page.goBack({ waitUntil: "commit" });
    await expect(page).toHaveURL("/system");
    answer();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
    await hydrated(page);
  });

  test("has a drawer on a phone that closes on navigation", async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 800 });
    await open(page, "/system");
    const rail = page.getByRole("navigation", { name: "Main" });
    await expect(rail).toBeHidden();
    await page.getByRole("button", { name: "Menu" }).click();
    await expect(rail).toBeVisible();
    await rail.getByRole("link", { name: "Jobs" }).click();
    await expect(page).toHaveURL(/\/jobs$/);
    await expect(rail).toBeHidden();
  });

  test("scrolls to the current tab on a phone", async ({ page, longshore }) => {
    await organizations(longshore, "narrow");
    await repository(longshore, "narrow/website");
    await page.setViewportSize({ width: 390, height: 800 });
    await open(page, "/repositories/narrow/website/settings");
    const tabs = page.getByRole("navigation", { name: "Repository" });
    await expect(tabs.getByRole("link", { name: "Settings" })).toBeInViewport({ ratio: 0.9 });
    await open(page, "/repositories/narrow/website");
    await expect(tabs.getByRole("link", { name: "Info" })).toBeInViewport({ ratio: 0.9 });
  });

  test("is opened by keyboard shortcuts", async ({ page }) => {
    await open(page, "/system");
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await expect(page).toHaveURL(/\/jobs$/);
  });
});

test.describe("a form", () => {
  test("keeps input entered before hydration", async ({ page, longshore }) => {
    await organizations(longshore, "early");
    await repository(longshore, "early/website");
    await signIn(page, longshore.admin);
    const arrive = await holdProgram(page);
    await page.goto("/repositories/early/website/mirrors/new", { waitUntil: "commit" });
    const mirror = page.getByRole("dialog", { name: "New mirror" });
    await mirror.getByRole("radio", { name: "Push to remote registry" }).check();
    await mirror.getByRole("radio", { name: "Docker Hub" }).check();
    await mirror.getByLabel("Username").fill("early-bird");
    await mirror.getByLabel("Password or access token").fill("typed before");
    await mirror.getByRole("group", { name: "Repository" }).getByLabel("Name", { exact: true }).fill("website");
    await expect(page.locator("html[data-hydrated]")).not.toBeAttached();
    arrive();
    await hydrated(page);
    await expect(mirror.getByRole("radio", { name: "Push to remote registry" })).toBeChecked();
    await expect(mirror.getByRole("radio", { name: "Docker Hub" })).toBeChecked();
    await expect(mirror.getByLabel("Username")).toHaveValue("early-bird");
    await expect(mirror.getByLabel("Password or access token")).toHaveValue("typed before");
    await expect(mirror.getByRole("group", { name: "Repository" }).getByLabel("Name", { exact: true })).toHaveValue("website");
    // The state of the form has the input too, not only the fields: Docker Hub needs no URL, so that field is hidden.
    await expect(mirror.getByLabel("Registry URL")).toBeHidden();
  });
});

test.describe("an unknown address", () => {
  test.use({ expectedComplaints: [/status of 404/] });

  test("returns 404 and shows that the page does not exist", async ({ page }) => {
    const response = await page.goto("/nowhere/at/all");
    expect(response?.status()).toBe(404);
    await hydrated(page);
    await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
    await screenshot(page, "not-found");
  });
});

test.describe("responses of the site", () => {
  test("have a strict Content-Security-Policy", async ({ request }) => {
    const page = await request.get("/sign-in");
    const policy = page.headers()["content-security-policy"] ?? "";
    for (const directive of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]) {
      expect(policy).toContain(directive);
    }
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1];
    expect(nonce).toBeTruthy();
    const html = await page.text();
    expect(html).toContain(`nonce="${nonce}"`);
    expect(html).not.toMatch(/\sstyle="/);
    expect(page.headers()["x-content-type-options"]).toBe("nosniff");
  });

  test("let browsers cache the files of a build forever", async ({ request }) => {
    const html = await (await request.get("/sign-in")).text();
    const style = /href="(\/pkg\/[0-9a-f]{16}\/longshore\.css)"/.exec(html)?.[1];
    expect(style).toBeTruthy();
    const response = await request.get(style!);
    expect(response.headers()["content-type"]).toBe("text/css; charset=utf-8");
    expect(response.headers()["cache-control"]).toContain("immutable");
  });
});

test.describe("without script", () => {
  test.use({ javaScriptEnabled: false });

  test("signing in works, and a page is complete", async ({ page, longshore }) => {
    await page.goto("/sign-in");
    await page.getByLabel("Username").fill(longshore.admin.name);
    await page.getByLabel("Password", { exact: true }).fill(longshore.admin.password);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await expect(page).not.toHaveURL(/sign-in/);
    await page.goto("/system");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
    await expect(page.getByRole("main").getByText("SQLite")).toBeVisible();
    await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();
  });
});
