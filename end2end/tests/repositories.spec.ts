// Repositories: the list, creating one, and its tabs.

import { push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
// Alone, because public repositories of other files would be listed too.
import { expect, hydrated, open, screenshot, testAlone as test } from "../support/test.js";

test.describe("repositories", () => {
  test("start with the commands for the first push", async ({ page, longshore }) => {
    const newcomer = { name: "newcomer", password: "never been here" };
    await rest(longshore, "POST", "/accounts", newcomer);
    await signIn(page, newcomer);
    await expect(page.getByText(`docker push ${longshore.host}/newcomer/website:1.0`)).toBeVisible();
    await screenshot(page, "repositories-empty");
  });

  test.describe("are created in a dialog", () => {
    test.use({ expectedComplaints: [/status of 4(09|22|00)/] });

    test("that shows errors beside the field and keeps the input", async ({ page, longshore }) => {
      await organizations(longshore, "shop");
      await signIn(page, longshore.admin);
      await page.getByRole("button", { name: "New repository" }).click();
      const dialog = page.getByRole("dialog", { name: "New repository" });
      await dialog.getByLabel("Namespace").selectOption("shop");
      await dialog.getByLabel("Name", { exact: true }).fill("Web Site");
      await dialog.getByLabel("Description").fill("What customers see");
      await dialog.getByText("Public").click();
      await dialog.getByRole("button", { name: "Create" }).click();
      const name = dialog.getByLabel("Name", { exact: true });
      await expect(name).toHaveAttribute("aria-invalid", "true");
      await expect(name).toBeFocused();
      await expect(dialog.getByLabel("Description")).toHaveValue("What customers see");
      await screenshot(page, "repository-new");

      await name.fill("website");
      await dialog.getByRole("button", { name: "Create" }).click();
      await expect(page).toHaveURL("/repositories/shop/website");
      await expect(page.getByRole("heading", { level: 1 })).toHaveText("shop / website");
      await expect(page.getByText("What customers see")).toBeVisible();
      await page.goBack();
      await expect(page.getByRole("link", { name: "shop/website" })).toBeVisible();
    });
  });

  test("are searched and filtered by the address", async ({ page, longshore }) => {
    await organizations(longshore, "north", "south");
    for (const name of ["north/harbour", "north/crane", "south/harbour"]) await repository(longshore, name);
    await signIn(page, longshore.admin);
    await page.keyboard.press("/");
    await page.keyboard.type("harbour");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/q=harbour/);
    const table = page.getByRole("region", { name: "Repositories" });
    await expect(table.getByRole("row")).toHaveCount(3);
    await page.getByLabel("Namespace").fill("south");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/namespace=south/);
    await expect(table.getByRole("row")).toHaveCount(2);
    await page.reload();
    await hydrated(page);
    await expect(table.getByRole("link", { name: "south/harbour" })).toBeVisible();
    await page.goBack();
    await expect(table.getByRole("row")).toHaveCount(3);
    await screenshot(page, "repositories");
  });

  test("with slashes in their names open every tab by click, reload and back button", async ({ page, longshore }) => {
    await organizations(longshore, "a");
    const user = longshore.admin;
    await push("deep", { host: longshore.host, name: "a/b/c/d/e:1.0", user });
    await signIn(page, user, "/repositories/a/b%2Fc%2Fd%2Fe");
    const tabs = page.getByRole("navigation", { name: "Repository" });
    const heading = page.getByRole("heading", { level: 1 });
    const pages = ["tags", "promotions", "mirrors", "permissions", "activity", "settings"];
    for (const tab of pages) {
      await tabs.getByRole("link", { name: new RegExp(tab, "i") }).click();
      await expect(page).toHaveURL(`/repositories/a/b%2Fc%2Fd%2Fe/${tab}`);
      await expect(heading).toHaveText("a / b/c/d/e");
      await page.reload();
      await hydrated(page);
      await expect(heading).toHaveText("a / b/c/d/e");
      await expect(tabs.getByRole("link", { name: new RegExp(tab, "i") })).toHaveAttribute("aria-current", "page");
    }
    await page.goBack();
    await expect(page).toHaveURL("/repositories/a/b%2Fc%2Fd%2Fe/activity");
    await open(page, "/repositories/a/b%2Fc%2Fd%2Fe/tags");
    await page.getByRole("link", { name: "1.0" }).click();
    await expect(page).toHaveURL("/repositories/a/b%2Fc%2Fd%2Fe/tags/1.0");
    await expect(heading).toHaveText("a/b/c/d/e : 1.0");
  });

  test("delete tags only after confirmation", async ({ page, longshore }) => {
    await organizations(longshore, "depot");
    const user = longshore.admin;
    for (const tag of ["1.0", "1.1", "2.0"]) {
      await push(`depot ${tag}`, { host: longshore.host, name: `depot/box:${tag}`, user });
    }
    await signIn(page, user, "/repositories/depot/box/tags");
    await screenshot(page, "tags");
    await page.getByLabel("Select 1.0").check();
    await page.getByLabel("Select 1.1").check();
    await page.getByRole("button", { name: "Delete the selected tags" }).click();
    const question = page.getByRole("dialog", { name: "Delete 2 tags?" });
    await question.getByRole("button", { name: "Cancel" }).click();
    await expect(question).toBeHidden();
    await page.getByRole("button", { name: "Delete the selected tags" }).click();
    await question.getByRole("button", { name: "Delete the selected tags" }).click();
    await expect(page.getByRole("link", { name: "1.0", exact: true })).toBeHidden();
    await expect(page.getByRole("link", { name: "2.0", exact: true })).toBeVisible();
  });

  test.describe("that do not exist", () => {
    test.use({ expectedComplaints: [/status of 404/] });

    test("return 404 and show one error", async ({ page, longshore }) => {
      await signIn(page, longshore.admin);
      const response = await page.goto("/repositories/admin/nothing/tags");
      expect(response?.status()).toBe(404);
      await expect(page.getByRole("heading", { level: 2 })).toHaveCount(1);
    });
  });
});
