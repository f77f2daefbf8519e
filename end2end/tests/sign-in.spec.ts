// Signing in and out, and the redirect to the requested page.

import { expect, open, screenshot, test } from "../support/test.js";
import { signIn } from "../support/session.js";

test.describe("signing in", () => {
  test.describe("with a wrong password", () => {
    test.use({ expectedComplaints: [/status of 401/] });

    test("shows an error and keeps the username", async ({ page, longshore }) => {
      await open(page, "/sign-in");
      await page.getByLabel("Username").fill("admin");
      await page.getByLabel("Password").fill("guess");
      await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
      await expect(page.getByRole("alert")).toContainText(/password/i);
      await expect(page.getByLabel("Username")).toHaveValue("admin");
      await screenshot(page, "sign-in");

      await page.getByLabel("Password").fill(longshore.admin.password);
      await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
      await expect(page).toHaveURL("/repositories");
    });
  });

  test("shows the username until the user signs out", async ({ page, longshore }) => {
    await signIn(page, longshore.admin);
    const rail = page.getByRole("navigation", { name: "Main" });
    await expect(rail.getByText("admin", { exact: true })).toBeVisible();
    await rail.getByRole("button", { name: "Sign out" }).click();
    await expect(page).toHaveURL("/sign-in");
    await expect(rail.getByRole("link", { name: "Sign in" })).toBeVisible();
  });

  test("redirects to the requested page", async ({ page, longshore }) => {
    await page.goto("/repositories/new");
    await expect(page).toHaveURL("/sign-in?next=/repositories/new");
    await signIn(page, longshore.admin, "/repositories/new");
    await expect(page.getByRole("dialog", { name: "New repository" })).toBeVisible();
  });

  test("never redirects to another site", async ({ page, longshore }) => {
    await open(page, "/sign-in?next=//example.com/");
    await page.getByLabel("Username").fill(longshore.admin.name);
    await page.getByLabel("Password").fill(longshore.admin.password);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL("/repositories");
  });

  test.describe("without script", () => {
    test.use({ javaScriptEnabled: false });

    test("works as a plain form", async ({ page, longshore }) => {
      await page.goto("/sign-in?next=/repositories");
      await page.getByLabel("Username").fill(longshore.admin.name);
      await page.getByLabel("Password").fill("guess");
      await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
      await expect(page.getByRole("alert")).toContainText(/password/i);
      await page.getByLabel("Username").fill(longshore.admin.name);
      await page.getByLabel("Password").fill(longshore.admin.password);
      await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
      await expect(page).toHaveURL("/repositories");
      await expect(page.getByRole("navigation", { name: "Main" }).getByText("admin", { exact: true })).toBeVisible();
    });
  });
});
