// The narrowest slice of the site: it is rendered on the server, taken over in the browser, and its
// server functions answer.

import type { Longshore } from "../support/longshore.js";
import { push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, hydrated, open, screenshot, test } from "../support/test.js";

test.describe("a page", () => {
  test.beforeEach(({ page, longshore }) => signIn(page, longshore.admin));

  test("hydrates, and its server functions answer", async ({ page }) => {
    await open(page, "/system");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
    const answer = page.waitForResponse((response) => response.url().endsWith("/fn/system_info"));
    await page.getByRole("button", { name: "Refresh" }).click();
    expect((await answer).status()).toBe(200);
    await screenshot(page, "system");
    await page.getByRole("button", { name: "See what would go" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Look for what nothing needs");
    await expect(page.getByText(/nothing to remove/i)).toBeVisible();
  });

  test("moves on without a full load", async ({ page }) => {
    await open(page, "/system");
    await page.evaluate(() => Object.assign(window, { kept: true }));
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Jobs" }).click();
    await expect(page).toHaveURL(/\/jobs$/);
    expect(await page.evaluate(() => "kept" in window)).toBe(true);
    await page.goBack();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
  });

  test("is the right one when somebody goes back before it answers", async ({ page }) => {
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

  test("has a drawer on a phone that closes when one goes on", async ({ page }) => {
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

  test("is led to by keys", async ({ page }) => {
    await open(page, "/system");
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await expect(page).toHaveURL(/\/jobs$/);
  });
});

test.describe("every page", () => {
  // Each is opened by its address, as by a bookmark, with something on it and with its dialog over it.
  test("is taken over by the browser as the server has rendered it", async ({ page, longshore }) => {
    test.setTimeout(240_000);
    await signIn(page, longshore.admin);
    for (const path of ["/repositories/new", "/remotes/new", "/organizations/new"]) await open(page, path);
    const pages = await everyPage(longshore);
    for (const path of pages) {
      await test.step(path, async () => {
        await open(page, path);
        await expect(page.getByRole("heading", { level: 1, includeHidden: true })).toHaveCount(1);
      });
    }
    await rest(longshore, "PUT", "/pauses/system");
    try {
      for (const path of pages) await test.step(`${path}, paused`, () => open(page, path));
    } finally {
      await rest(longshore, "DELETE", "/pauses/system?queued=drop");
    }
  });

  test.describe("for those who may see little", () => {
    test.use({ expectedComplaints: [/status of 40[134]/] });

    test("is taken over as well, whatever it says", async ({ page, longshore }) => {
      test.setTimeout(240_000);
      const pages = await everyPage(longshore);
      for (const path of pages) await test.step(`${path}, not signed in`, () => open(page, path));
      const reader = { name: "reader-of-all", password: "a reader's long password" };
      await rest(longshore, "POST", "/accounts", { ...reader, isOrg: false });
      await signIn(page, reader);
      for (const path of pages) await test.step(`${path}, as a user`, () => open(page, path));
    });
  });
});

test.describe("a form", () => {
  test("keeps what is entered while the page is on its way", async ({ page, longshore }) => {
    await organizations(longshore, "early");
    await repository(longshore, "early/website");
    await signIn(page, longshore.admin);
    let arrive = () => {};
    const arrives = new Promise<void>((resolve) => (arrive = resolve));
    await page.route("**/*.wasm", async (route) => {
      await arrives;
      await route.continue();
    });
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
    // Not the fields alone, the form knows it too: Docker Hub has its address, so none is asked for.
    await expect(mirror.getByLabel("Registry URL")).toBeHidden();
  });
});

/** Makes something of each kind, and names the address of each page and dialog. */
async function everyPage(longshore: Longshore): Promise<string[]> {
  const [user, host] = [longshore.admin, longshore.host];
  const namespace = `opened-${Date.now()}`;
  const at = `/repositories/${namespace}/website`;
  await organizations(longshore, namespace);
  for (const name of ["website", "target", "lost"]) await repository(longshore, `${namespace}/${name}`);
  const make = async (path: string, body: unknown) =>
    ((await rest(longshore, "POST", path, body)) as { id: string }).id;
  const remote = await make("/remotes", { name: "staging", url: "https://staging.example.com" });
  const promotion = await make(`${at}/promotionPolicies`, {
    rules: [],
    targetRepository: `${namespace}/target`,
    tagTemplate: "%n",
    enabled: true,
  });
  await push("one", { host, name: `${namespace}/website:1.0`, user });
  await push("two", { host, name: `${namespace}/website:1.0`, user });
  await push("two", { host, name: `${namespace}/website:gone`, user });
  await rest(longshore, "DELETE", `${at}/tags/gone`);
  await rest(longshore, "DELETE", `/repositories/${namespace}/lost`);
  await rest(longshore, "PUT", `/pauses/namespaces/${namespace}`);
  await rest(longshore, "PUT", `/pauses/remotes/${remote}`);
  const { jobs } = (await rest(longshore, "GET", "/jobs?limit=1")) as { jobs: { id: string }[] };
  return [
    "/repositories",
    "/repositories/new",
    "/repositories?q=nothing-has-this-name",
    "/deleted-repositories",
    `/deleted-repositories/${namespace}/lost/purge`,
    at,
    `${at}/tags`,
    `${at}/deleted-tags`,
    `${at}/promotions`,
    `${at}/promotions/new`,
    `${at}/promotions/${promotion}/edit`,
    `/repositories/${namespace}/target/promotions?side=target`,
    `${at}/mirrors`,
    `${at}/mirrors/new`,
    `${at}/permissions`,
    `${at}/activity`,
    `${at}/settings`,
    `${at}/tags/1.0`,
    `${at}/tags/1.0/promote`,
    `${at}/tags/1.0/push`,
    "/remotes",
    "/remotes/new",
    `/remotes/${remote}`,
    "/jobs",
    `/jobs/${jobs[0]?.id}`,
    "/activity",
    "/organizations",
    "/organizations/new",
    `/organizations/${namespace}/storage`,
    "/users",
    "/users/new",
    "/users/admin/password",
    "/users/admin/storage",
    "/system",
    "/pauses/system",
    `/pauses/namespaces/${namespace}`,
    `/pauses/remotes/${remote}`,
  ];
}

test.describe("an address that leads nowhere", () => {
  test.use({ expectedComplaints: [/status of 404/] });

  test("answers 404 and says so", async ({ page }) => {
    const response = await page.goto("/nowhere/at/all");
    expect(response?.status()).toBe(404);
    await hydrated(page);
    await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
    await screenshot(page, "not-found");
  });
});

test.describe("the site's answers", () => {
  test("forbid what the site never does", async ({ request }) => {
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

  test("let browsers keep the files of a build for ever", async ({ request }) => {
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

  test("one signs in, and a page is complete", async ({ page, longshore }) => {
    await page.goto("/sign-in");
    await page.getByLabel("User name").fill(longshore.admin.name);
    await page.getByLabel("Password", { exact: true }).fill(longshore.admin.password);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await expect(page).not.toHaveURL(/sign-in/);
    await page.goto("/system");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
    await expect(page.getByRole("main").getByText("SQLite")).toBeVisible();
    await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();
  });
});
