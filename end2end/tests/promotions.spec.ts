// Promotions in the browser: stable builds of dev/website are promoted to qa/website.

import { digestOf, push } from "../support/image.js";
import { expect, open, screenshot, test } from "../support/test.js";
import { organizations, repository, rest, signIn } from "../support/session.js";

test.describe("a promotion policy", () => {
  test("promotes stable builds, and shows why others are not promoted", async ({ page, longshore }) => {
    const [user, host] = [longshore.admin, longshore.host];
    await organizations(longshore, "dev", "qa");
    await repository(longshore, "dev/website");
    await repository(longshore, "qa/website");
    await push("an early build", { host, name: "dev/website:0.9-stable", user });

    await signIn(page, user, "/repositories/dev/website");
    await page.getByRole("link", { name: "Promotions" }).click();
    await expect(page.getByRole("heading", { name: "No promotion policies from this repository" })).toBeVisible();
    await page.getByRole("button", { name: "New promotion policy" }).click();
    const dialog = page.getByRole("dialog", { name: "New promotion policy" });

    await test.step("the preview is updated while typing", async () => {
      await dialog.getByLabel("Operator").selectOption("ends with");
      await dialog.getByLabel("Tag name", { exact: true }).fill("stable");
      await expect(dialog.getByText("1 of 1 tag matches.")).toBeVisible();
      await dialog.getByLabel("Tag name in target").fill("%n-%Y%m%d%H%M%S");
      await expect(dialog.getByText(/→ 0\.9-stable-\d{14}/)).toBeVisible();
    });

    await test.step("the target is found by search and selected by keyboard", async () => {
      const target = dialog.getByLabel("Target repository");
      await target.fill("qa/");
      await expect(dialog.getByRole("option", { name: "qa/website" })).toBeVisible();
      await target.press("ArrowDown");
      await target.press("Enter");
      await expect(target).toHaveValue("qa/website");
      await expect(dialog.getByRole("listbox")).toBeHidden();
    });
    await dialog.getByText("See all variables").click();
    await expect(dialog.getByText("week of the year, weeks begin on Monday")).toBeVisible();
    await screenshot(page, "promotion-new");

    await dialog.getByRole("button", { name: "Save", exact: true }).click();
    await expect(dialog).toBeHidden();
    await expect(page.getByRole("row", { name: /qa\/website/ })).toContainText(
      "When the tag name ends with “stable”, promote to qa/website as %n-%Y%m%d%H%M%S",
    );
    await screenshot(page, "promotions");

    const digest = await push("a stable build", { host, name: "dev/website:1.0-stable", user });
    await push("a daily build", { host, name: "dev/website:1.1-dev", user });

    await test.step("the target has only the stable build, with its badge", async () => {
      await open(page, "/repositories/qa/website/tags");
      await expect(async () => {
        await page.reload();
        await expect(page.getByRole("link", { name: /^1\.0-stable-\d{14}$/ })).toBeVisible({ timeout: 1_000 });
      }).toPass();
      await expect(page.getByRole("row")).toHaveCount(2);
      const row = page.getByRole("row", { name: /1\.0-stable/ });
      await expect(row.getByRole("link", { name: "PROMOTED" })).toBeVisible();
      await expect(row.getByText("linux/amd64")).toBeVisible();
      const tag = await row.getByRole("link", { name: /^1\.0-stable-\d{14}$/ }).textContent();
      expect(await digestOf({ host, name: `qa/website:${tag}`, user })).toBe(digest);
      await screenshot(page, "tags-promoted");
      await row.getByRole("link", { name: "from dev/website:1.0-stable" }).click();
      await expect(page).toHaveURL("/repositories/dev/website/tags/1.0-stable");
      await expect(page.getByText(/promoted to/).first()).toBeVisible();
    });

    await test.step("the page of the other build shows why not, rule by rule", async () => {
      await open(page, "/repositories/dev/website/tags/1.1-dev");
      await expect(page.getByText("not promoted", { exact: true })).toBeVisible();
      await expect(page.getByText("tag name ends with “stable” does not hold")).toBeVisible();
      await expect(page.getByText("the tag is “1.1-dev”")).toBeVisible();
      await screenshot(page, "tag");
      await open(page, "/repositories/dev/website/tags/1.0-stable");
      await screenshot(page, "tag-promoted");
    });

    await test.step("every page of the repository shows the result", async () => {
      await open(page, "/repositories/dev/website");
      await expect(page.getByRole("heading", { name: "Recent tags" })).toBeVisible();
      await screenshot(page, "repository");
      for (const tab of ["permissions", "settings"]) {
        await open(page, `/repositories/dev/website/${tab}`);
        await screenshot(page, `repository-${tab}`);
      }
      await open(page, "/repositories/qa/website/activity");
      await expect(page.getByText(/promoted/).first()).toBeVisible();
      await screenshot(page, "repository-activity");
      await open(page, "/activity");
      await screenshot(page, "activity");
    });

    await test.step("the policy is edited, disabled and deleted", async () => {
      await open(page, "/repositories/dev/website/promotions");
      await page.getByRole("button", { name: "Edit" }).click();
      const edit = page.getByRole("dialog", { name: "Edit the promotion policy" });
      await expect(edit.getByLabel("Tag name", { exact: true })).toHaveValue("stable");
      await edit.getByRole("button", { name: "Add a rule" }).click();
      await edit.getByLabel("Operator").nth(1).selectOption("starts with");
      await edit.getByLabel("Tag name", { exact: true }).nth(1).fill("1.");
      await expect(edit.getByText("1 of 3 tags matches.")).toBeVisible();
      await screenshot(page, "promotion-edit");
      await edit.getByRole("button", { name: "Save", exact: true }).click();
      await expect(page.getByRole("row", { name: /starts with “1\.”/ })).toBeVisible();

      const enabled = page.getByRole("switch", { name: "The policy to qa/website" });
      await enabled.click();
      await expect(enabled).not.toBeChecked();
      await page.reload();
      await expect(enabled).not.toBeChecked();

      await open(page, "/repositories/qa/website/promotions");
      await page.getByRole("link", { name: "Is target" }).click();
      await expect(page).toHaveURL(/side=target/);
      await expect(page.getByRole("link", { name: "dev/website" })).toBeVisible();

      await open(page, "/repositories/dev/website/promotions");
      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await expect(page.getByRole("heading", { name: "No promotion policies from this repository" })).toBeVisible();
    });
  });

  test("acts on existing tags with Save & Apply", async ({ page, longshore }) => {
    const [user, host] = [longshore.admin, longshore.host];
    await organizations(longshore, "lab", "field");
    await repository(longshore, "field/probe");
    await push("probe 1", { host, name: "lab/probe:1", user });
    await push("probe 2", { host, name: "lab/probe:2", user });
    await signIn(page, user, "/repositories/lab/probe/promotions/new");
    await page.getByLabel("always: every tag").check();
    await page.getByLabel("Target repository").fill("field/probe");
    await page.getByLabel("Tag name in target").fill("latest");
    await expect(page.getByText(/2 tags would be named latest/)).toBeVisible();
    await page.getByRole("button", { name: "Save & Apply" }).click();
    await expect(page.getByText(/only the newest would keep it/)).toBeVisible();
    await page.getByLabel("Tag name in target").fill("%n");
    await page.getByRole("button", { name: "Save & Apply" }).click();
    await expect(page).toHaveURL("/repositories/lab/probe/promotions");
    await expect
      .poll(async () => (await rest(longshore, "GET", "/repositories/field/probe/tags")) as unknown[])
      .toHaveLength(2);
  });

  test.describe("with invalid input", () => {
    test.use({ expectedComplaints: [/status of 4\d\d/] });

    test("shows errors beside the fields and keeps the input", async ({ page, longshore }) => {
      await organizations(longshore, "wrong");
      await repository(longshore, "wrong/source");
      await signIn(page, longshore.admin, "/repositories/wrong/source/promotions/new");
      const save = page.getByRole("button", { name: "Save", exact: true });
      const value = page.getByLabel("Tag name", { exact: true });
      const [target, template] = [page.getByLabel("Target repository"), page.getByLabel("Tag name in target")];

      await save.click();
      await expect(value).toBeFocused();
      await expect(page.getByText(/a rule with “ends with” needs a value/i)).toBeVisible();
      await expect(target).toHaveAttribute("aria-invalid", "true");

      await page.getByLabel("Operator").selectOption("matches");
      await value.fill("^(1");
      await expect(value).toHaveAttribute("aria-invalid", "true");
      await value.fill("^1");
      await expect(value).not.toHaveAttribute("aria-invalid", "true");

      await template.fill("%q");
      await expect(page.getByText(/unknown variable %q at character 1/i)).toBeVisible();
      await template.fill("a tag");
      await expect(page.getByText(/which is not a valid tag/)).toBeVisible();
      await template.fill("%n");

      await target.fill("wrong/nowhere");
      await save.click();
      await expect(target).toHaveAttribute("aria-invalid", "true");
      await expect(target).toBeFocused();
      await expect(target).toHaveValue("wrong/nowhere");
      await expect(value).toHaveValue("^1");
      await screenshot(page, "promotion-wrong");
    });
  });

  test("has a dialog that Escape and the back button close", async ({ page, longshore }) => {
    await organizations(longshore, "keys");
    await repository(longshore, "keys/board");
    await signIn(page, longshore.admin, "/repositories/keys/board/promotions");
    await page.getByRole("button", { name: "New promotion policy" }).click();
    const dialog = page.getByRole("dialog", { name: "New promotion policy" });
    await expect(dialog).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(dialog).toBeHidden();
    await expect(page).toHaveURL("/repositories/keys/board/promotions");
    await page.getByRole("button", { name: "New promotion policy" }).click();
    await expect(dialog).toBeVisible();
    await page.goBack();
    await expect(dialog).toBeHidden();
    await dialog.waitFor({ state: "detached" });
  });
});

test.describe("a tag", () => {
  test("is promoted manually, regardless of policies", async ({ page, longshore }) => {
    const [user, host] = [longshore.admin, longshore.host];
    await organizations(longshore, "hand", "made");
    await repository(longshore, "made/thing");
    await push("a thing", { host, name: "hand/thing:1", user });
    await signIn(page, user, "/repositories/hand/thing/tags");
    await page.getByRole("button", { name: "Promote…" }).click();
    const dialog = page.getByRole("dialog", { name: "Promote 1" });
    await dialog.getByLabel("Target repository").fill("made/thing");
    await dialog.getByLabel("Tag name in target").fill("first");
    await screenshot(page, "tag-promote");
    await dialog.getByRole("button", { name: "Promote", exact: true }).click();
    await expect(page).toHaveURL("/repositories/made/thing/tags/first");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("made/thing : first");
    await expect(page.getByRole("link", { name: "hand/thing:1" })).toBeVisible();
  });
});
