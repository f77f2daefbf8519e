// Users, organizations and passwords.

import { signIn, organizations } from "../support/session.js";
import { expect, open, screenshot, test } from "../support/test.js";

test.describe("accounts", () => {
  // Responses to invalid input and to the wrong password.
  test.use({ expectedComplaints: [/status of 4(00|01|09|22)/] });

  test("an organization is created under a name that is valid and not taken", async ({ page, longshore }) => {
    await organizations(longshore, "taken");
    await signIn(page, longshore.admin, "/organizations");
    await page.getByRole("button", { name: "New organization" }).click();
    const dialog = page.getByRole("dialog", { name: "New organization" });
    await dialog.getByLabel("Name").fill("Not a name");
    await dialog.getByRole("button", { name: "Create" }).click();
    await expect(dialog.getByLabel("Name")).toHaveAttribute("aria-invalid", "true");
    await expect(dialog.getByLabel("Name")).toHaveValue("Not a name");
    await dialog.getByLabel("Name").fill("taken");
    await dialog.getByRole("button", { name: "Create" }).click();
    await expect(dialog.getByText(/already exists|is taken/)).toBeVisible();
    await screenshot(page, "organization-new");
    await dialog.getByLabel("Name").fill("quality");
    await dialog.getByRole("button", { name: "Create" }).click();
    await expect(dialog).toBeHidden();
    await expect(page.getByRole("row", { name: /quality/ })).toBeVisible();
    await screenshot(page, "organizations");
    await page.getByRole("row", { name: /quality/ }).getByRole("link", { name: "Repositories" }).click();
    await expect(page).toHaveURL("/repositories?namespace=quality");
  });

  test("a new user signs in and changes the password", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/users");
    await page.getByRole("button", { name: "New user" }).click();
    const dialog = page.getByRole("dialog", { name: "New user" });
    await dialog.getByLabel("Name").fill("carol");
    await dialog.getByLabel("Password", { exact: true }).fill("short");
    await dialog.getByRole("button", { name: "Create" }).click();
    await expect(dialog.getByText(/at least 8 characters/)).toBeVisible();
    await screenshot(page, "user-new");
    await dialog.getByLabel("Password", { exact: true }).fill("a long first password");
    await dialog.getByRole("button", { name: "Create" }).click();
    await expect(dialog).toBeHidden();
    await expect(page.getByRole("row", { name: /carol/ })).toContainText("own namespace");
    await screenshot(page, "users");

    await page.context().clearCookies();
    await signIn(page, { name: "carol", password: "a long first password" }, "/users");
    await expect(page.getByRole("button", { name: "New user" })).toBeHidden();
    await page.getByRole("row", { name: /carol/ }).getByRole("button", { name: "Change password" }).click();
    const change = page.getByRole("dialog", { name: "Change password" });
    await change.getByLabel("Current password").fill("not this one");
    await change.getByLabel("New password").fill("a long second password");
    await change.getByRole("button", { name: "Change" }).click();
    await expect(change.getByLabel("Current password")).toHaveAttribute("aria-invalid", "true");
    await expect(change.getByLabel("New password")).toHaveValue("a long second password");
    await screenshot(page, "user-password");
    await change.getByLabel("Current password").fill("a long first password");
    await change.getByRole("button", { name: "Change" }).click();
    await expect(page.getByRole("link", { name: "Sign in" })).toBeVisible();

    await signIn(page, { name: "carol", password: "a long second password" });
    await open(page, "/repositories");
    await expect(page.getByRole("navigation", { name: "Main" })).toContainText("carol");
  });
});
