// Remotes: created, tested, edited without entering the password again, and protected.

import { DockerRegistry } from "../support/docker-registry.js";
import { organizations, repository, signIn } from "../support/session.js";
import { expect, open, screenshot, test } from "../support/test.js";

const bot = { name: "mirror-bot", password: "let me mirror" };

test.describe("remotes", () => {
  // Saving without the password after a change that requires it.
  test.use({ expectedComplaints: [/status of 400/] });

  let elsewhere: DockerRegistry;

  test.beforeAll(async ({ longshore }) => {
    elsewhere = await DockerRegistry.start({ user: bot, tls: true });
    await organizations(longshore, "remote-users");
    await repository(longshore, "remote-users/website");
  });

  test.afterAll(async () => elsewhere.stop());

  test("a remote is created, tested and used, and keeps its password only for the same connection", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/remotes");
    await page.getByRole("button", { name: "New remote" }).click();
    const making = page.getByRole("dialog", { name: "New remote" });
    await making.getByRole("radio", { name: "Other registry", exact: true }).check();
    await making.getByLabel("Registry URL").fill(elsewhere.url);
    await making.getByLabel("Username").fill(bot.name);
    await making.getByLabel("Password or access token").fill(bot.password);
    await making.getByLabel("Belongs to").selectOption("remote-users");
    await screenshot(page, "remote-new");
    await making.getByRole("button", { name: "Save", exact: true }).click();

    const row = page.getByRole("row", { name: elsewhere.host });
    await expect(row).toContainText("not tried yet");
    await row.getByRole("button", { name: "Test" }).click();
    // Its certificate is not trusted yet.
    await expect(row.getByText("Failed")).toBeVisible();
    await expect(row).toContainText(/certificate/i);

    await row.getByRole("button", { name: "Edit" }).click();
    const editing = page.getByRole("dialog", { name: "Edit the remote" });
    const password = editing.getByLabel("Password or access token");
    await expect(password).toHaveAttribute("placeholder", "stored; empty keeps it");
    await editing.getByText("Show advanced settings").click();
    await editing.getByLabel("Remote certificate authority").fill(elsewhere.certificate ?? "");
    await expect(editing.getByText("the stored password will be discarded")).toBeVisible();
    await screenshot(page, "remote-edit");
    await editing.getByRole("button", { name: "Save", exact: true }).click();
    await expect(password).toHaveAttribute("aria-invalid", "true");
    await password.fill(bot.password);
    await editing.getByRole("button", { name: "Save", exact: true }).click();

    await expect(page).toHaveURL("/remotes");
    await row.getByRole("button", { name: "Test" }).click();
    await expect(row.getByText("Good")).toBeVisible();
    await screenshot(page, "remotes");

    // Renaming does not require the password.
    await row.getByRole("button", { name: "Edit" }).click();
    await editing.getByLabel("Name", { exact: true }).fill("The other registry");
    await editing.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByRole("row", { name: "The other registry" })).toBeVisible();

    // The form of a mirror uses the saved password.
    await open(page, "/repositories/remote-users/website/mirrors/new");
    const mirror = page.getByRole("dialog", { name: "New mirror" });
    await mirror.getByRole("radio", { name: "Push to remote registry" }).check();
    const choice = mirror.getByRole("option", { name: "The other registry" });
    await mirror.getByLabel("Remote", { exact: true }).selectOption((await choice.getAttribute("value")) ?? "");
    await mirror.getByRole("group", { name: "Repository" }).getByLabel("Name", { exact: true }).fill("website");
    await mirror.getByRole("button", { name: "Connect" }).click();
    await expect(mirror.getByRole("button", { name: "Save", exact: true })).toBeVisible();

    await open(page, "/remotes");
    const unused = page.getByRole("row", { name: "The other registry" });
    await unused.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog", { name: "Delete the remote" }).getByRole("button", { name: "Delete" }).click();
    await expect(unused).toBeHidden();
  });
});
