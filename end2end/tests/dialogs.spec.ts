// Expected behaviour of forms and dialogs: focus, Enter and Escape, a question before input is discarded, notices, and
// Undo.

import { digestOf, push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, holdProgram, open, screenshot, test } from "../support/test.js";

test.describe("a dialog", () => {
  test.beforeEach(({ page, longshore }) => signIn(page, longshore.admin, "/organizations"));

  test("focuses its first field and is submitted by Enter", async ({ page }) => {
    await page.getByRole("button", { name: "New organization" }).click();
    await expect(page.getByLabel("Name")).toBeFocused();
    await page.keyboard.type("entered");
    await page.keyboard.press("Enter");
    await expect(page.getByText("entered is created.")).toBeVisible();
    await expect(page.getByRole("row", { name: "entered" })).toBeVisible();
    await screenshot(page, "notice-saved");
  });

  test("does not move the focus from the field being typed in", async ({ page }) => {
    const arrive = await holdProgram(page);
    await page.goto("/users/new", { waitUntil: "domcontentloaded" });
    await page.getByLabel("Password").click();
    await page.keyboard.type("half a pass");
    arrive();
    await expect(page.locator("dialog:modal")).toBeVisible();
    await page.keyboard.type("word");
    await expect(page.getByLabel("Password")).toHaveValue("half a password");
  });

  test("asks before it discards input, and only then", async ({ page }) => {
    await page.getByRole("button", { name: "New organization" }).click();
    const dialog = page.getByRole("dialog", { name: "New organization" });
    await page.keyboard.press("Escape");
    await expect(dialog).toBeHidden();
    await page.getByRole("button", { name: "New organization" }).click();
    await dialog.getByLabel("Name").fill("precious");
    await page.keyboard.press("Escape");
    const question = page.getByRole("alertdialog", { name: "Discard what you entered?" });
    await expect(question).toBeVisible();
    await screenshot(page, "dialog-discard");
    await question.getByRole("button", { name: "Keep editing" }).click();
    await expect(dialog.getByLabel("Name")).toBeFocused();
    await expect(dialog.getByLabel("Name")).toHaveValue("precious");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await expect(question).toBeHidden();
    await expect(dialog.getByLabel("Name")).toHaveValue("precious");
    // However often Escape is pressed, the question can be answered and the dialog closed.
    for (const times of [3, 4, 5]) {
      await dialog.getByLabel("Name").fill("precious");
      for (let press = 0; press < times; press++) await page.keyboard.press("Escape");
      await page.waitForTimeout(200);
      const keep = question.getByRole("button", { name: "Keep editing" });
      if (await keep.isVisible()) await keep.click();
      await dialog.getByRole("link", { name: "Close" }).click();
      await keep.click();
    }
    await dialog.getByRole("link", { name: "Close" }).click();
    await question.getByRole("button", { name: "Discard" }).click();
    await expect(dialog).toBeHidden();
    await expect(page).toHaveURL("/organizations");
    // Cancel discards without a question.
    await page.getByRole("button", { name: "New organization" }).click();
    await dialog.getByLabel("Name").fill("precious");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await expect(dialog).toBeHidden();
    await expect(question).toBeHidden();
  });
});

test("unsaved settings are not lost by switching tabs", async ({ page, longshore }) => {
  await organizations(longshore, "unsaved");
  await repository(longshore, "unsaved/website");
  await signIn(page, longshore.admin, "/repositories/unsaved/website/settings");
  await page.getByLabel("Short description").fill("a description");
  const tabs = page.getByRole("navigation", { name: "Repository" });
  await tabs.getByRole("link", { name: "Tags" }).click();
  const question = page.getByRole("alertdialog");
  await question.getByRole("button", { name: "Keep editing" }).click();
  await expect(page.getByLabel("Short description")).toHaveValue("a description");
  await page.getByRole("button", { name: "Sign out" }).click();
  await question.getByRole("button", { name: "Keep editing" }).click();
  await page.getByRole("heading", { level: 1 }).click();
  await page.keyboard.press("g");
  await page.keyboard.press("j");
  await question.getByRole("button", { name: "Keep editing" }).click();
  // Input entered while a save is in progress is still unsaved.
  let answer = () => {};
  const answers = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/fn/change_repository", async (route) => {
    await answers;
    await route.continue();
  });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByLabel("Short description").fill("a better description");
  answer();
  await expect(page.getByText("The settings are saved.")).toBeVisible();
  await tabs.getByRole("link", { name: "Tags" }).click();
  await question.getByRole("button", { name: "Keep editing" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("button", { name: "Save" })).toBeEnabled();
  await expect(page.getByText("The settings are saved.")).toBeVisible();
  await tabs.getByRole("link", { name: "Tags" }).click();
  await expect(page).toHaveURL("/repositories/unsaved/website/tags");
});

test("an added rule counts as unsaved input", async ({ page, longshore }) => {
  await organizations(longshore, "ruled");
  await repository(longshore, "ruled/website");
  await signIn(page, longshore.admin, "/repositories/ruled/website/promotions");
  await page.getByRole("button", { name: "New promotion policy" }).click();
  await page.getByRole("button", { name: "Add a rule" }).click();
  await page.keyboard.press("Escape");
  const question = page.getByRole("alertdialog");
  await question.getByRole("button", { name: "Discard" }).click();
  await expect(page).toHaveURL("/repositories/ruled/website/promotions");
  await expect(page.getByRole("button", { name: "New promotion policy" })).toBeFocused();
});

test.describe("navigation", () => {
  test("focuses the heading of the new page, even if only its text changes", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/system");
    const rail = page.getByRole("navigation", { name: "Main" });
    for (const name of ["Users", "Organizations", "Users"]) {
      await rail.getByRole("link", { name }).click();
      await expect(page.getByRole("heading", { level: 1, name })).toBeFocused();
    }
  });

  test("focuses the heading of the new page, and going back restores the scroll position", async ({ page, longshore }) => {
    await organizations(longshore, "far");
    await repository(longshore, "far/website");
    const [user, host] = [longshore.admin, longshore.host];
    const tags = Array.from({ length: 24 }, (_, index) => `v${index + 10}`);
    for (const tag of tags) await push("far", { host, name: `far/website:${tag}`, user });
    await signIn(page, user, "/repositories/far/website/tags");
    await page.setViewportSize({ width: 1280, height: 500 });
    await page.getByRole("link", { name: "v10", exact: true }).scrollIntoViewIfNeeded();
    const before = await page.evaluate(() => window.scrollY);
    expect(before).toBeGreaterThan(100);
    await page.getByRole("link", { name: "v10", exact: true }).click();
    const heading = page.getByRole("heading", { level: 1 });
    await expect(heading).toHaveText("far/website : v10");
    await expect(heading).toBeFocused();
    await page.goBack();
    await expect(page.getByRole("link", { name: "v10", exact: true })).toBeVisible();
    await expect.poll(() => page.evaluate(() => window.scrollY)).toBe(before);
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Jobs" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Jobs" })).toBeFocused();
  });
});

test.describe("after a deletion", () => {
  // The page of a deleted repository returns 404 until the browser has left it.
  test.use({ expectedComplaints: [/status of 404/] });

  test("Undo restores a tag and a repository", async ({ page, longshore }) => {
    await organizations(longshore, "second");
    const image = { host: longshore.host, name: "second/thought:1.0", user: longshore.admin };
    const digest = await push("second thought", image);
    await signIn(page, longshore.admin, "/repositories/second/thought/tags");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page.getByText("1.0 is deleted.")).toBeVisible();
    await expect(digestOf(image)).rejects.toThrow();
    await screenshot(page, "notice-undo");
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(page.getByText("1.0 is restored.")).toBeVisible();
    await expect(page.getByRole("link", { name: "1.0", exact: true })).toBeVisible();
    expect(await digestOf(image)).toBe(digest);

    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page.getByText("1.0 is deleted.")).toBeVisible();
    await push("third thought", image);
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(page.getByText("Not restored: 1.0. It was pushed again in the meantime")).toBeVisible();

    await open(page, "/repositories/second/thought/settings");
    await page.getByRole("button", { name: "Delete the repository" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete the repository" }).click();
    await expect(page.getByText("second/thought is deleted.")).toBeVisible();
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(page.getByText("second/thought is restored.")).toBeVisible();
    await digestOf(image);
  });
});

test.describe("an action without permission", () => {
  test.use({ expectedComplaints: [/status of 40[134]/] });

  test("is not offered", async ({ page, longshore }) => {
    await organizations(longshore, "open");
    await repository(longshore, "open/website");
    await rest(longshore, "PATCH", "/repositories/open/website", { visibility: "public" });
    await push("open", { host: longshore.host, name: "open/website:1.0", user: longshore.admin });
    await open(page, "/repositories");
    await expect(page.getByRole("link", { name: "open/website" })).toBeVisible();
    await expect(page.getByRole("button", { name: "New repository" })).toHaveCount(0);
    for (const name of ["Users", "System", "Remotes", "Jobs"]) {
      await expect(page.getByRole("navigation", { name: "Main" }).getByRole("link", { name })).toHaveCount(0);
    }
    await open(page, "/repositories/open/website/tags");
    await expect(page.getByRole("link", { name: "1.0", exact: true })).toBeVisible();
    for (const name of ["Promote…", "Delete"]) await expect(page.getByRole("button", { name })).toHaveCount(0);
    for (const path of ["promotions/new", "mirrors/new", "tags/1.0/promote"]) {
      await page.goto(`/repositories/open/website/${path}`);
      await expect(page).toHaveURL(/\/sign-in\?next=/);
    }
    await page.goto("/jobs/no-job-at-all");
    await expect(page).toHaveURL(/\/sign-in\?next=/);
    await signIn(page, longshore.admin);
    await open(page, "/sign-in");
    await expect(page.getByText("You are signed in as admin.")).toBeVisible();
  });
});
