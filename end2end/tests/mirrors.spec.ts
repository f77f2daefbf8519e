// Mirrors in the browser: stable tags are pushed to another registry, and a repository is pulled from there.

import { DockerRegistry } from "../support/docker-registry.js";
import { digestOf, push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, hydrated, open, screenshot, test, type Page } from "../support/test.js";

const bot = { name: "mirror-bot", password: "let me mirror" };

/** Fills in the registry, the credentials and the repository. */
async function fillConnection(page: Page, url: string, password: string, repository: string): Promise<void> {
  await page.getByRole("radio", { name: "Other registry", exact: true }).check();
  await page.getByLabel("Registry URL").fill(url);
  await page.getByLabel("Username").fill(bot.name);
  await page.getByLabel("Password or access token").fill(password);
  // A full name entered in the first field is split.
  await page.getByRole("group", { name: "Repository" }).getByLabel("Namespace").fill(repository);
}

test.describe("mirrors", () => {
  let elsewhere: DockerRegistry;

  test.beforeAll(async ({ longshore }) => {
    elsewhere = await DockerRegistry.start({ user: bot });
    await organizations(longshore, "team", "vendor");
    for (const name of ["team/website", "team/a/b/c/d/e", "vendor/copy"]) await repository(longshore, name);
  });

  test.afterAll(async () => elsewhere.stop());

  test("a push mirror is tested by Connect, then pushes existing and new tags", async ({ page, longshore }) => {
    const digest = await push("first", { host: longshore.host, name: "team/website:1.0-stable", user: longshore.admin });
    await push("other", { host: longshore.host, name: "team/website:1.1-dev", user: longshore.admin });

    await signIn(page, longshore.admin, "/repositories/team/website/mirrors");
    await expect(page.getByRole("heading", { name: "No mirrors" })).toBeVisible();
    await screenshot(page, "mirrors-empty");
    await page.getByRole("button", { name: "New mirror" }).click();
    const dialog = page.getByRole("dialog", { name: "New mirror" });
    await expect(dialog.getByRole("radio", { name: "Pull from remote registry" })).toBeChecked();
    await dialog.getByRole("radio", { name: "Push to remote registry" }).check();
    await fillConnection(page, elsewhere.url, "not this one", "qa/website");
    await expect(dialog.getByRole("button", { name: "Save", exact: true })).toBeHidden();

    await dialog.getByRole("button", { name: "Connect" }).click();
    const password = dialog.getByLabel("Password or access token");
    await expect(password).toHaveAttribute("aria-invalid", "true");
    await expect(password).toBeFocused();
    await expect(dialog.getByRole("list", { name: "What Connect found" })).toContainText("mirror-bot");
    await expect(password).toHaveValue("not this one");
    await expect(dialog.getByRole("button", { name: "Save", exact: true })).toBeHidden();
    expect(await page.content(), "the HTML never contains a password").not.toContain("not this one");
    await screenshot(page, "mirror-refused");

    await password.fill(bot.password);
    await expect(dialog.getByText("The settings have changed")).toBeVisible();
    await dialog.getByRole("button", { name: "Connect" }).click();
    await expect(dialog.getByRole("button", { name: "Save & Apply" })).toBeVisible();
    await dialog.getByLabel("Operator").selectOption("ends with");
    await dialog.getByLabel("Tag name", { exact: true }).fill("stable");
    await dialog.getByLabel("Tag name in target").fill("%n-%Y");
    const year = new Date().getUTCFullYear();
    await expect(dialog.getByRole("region", { name: "Preview" })).toContainText(`1.0-stable-${year}`);
    await expect(dialog.getByRole("region", { name: "Preview" })).toContainText("1 of 2 tags matches");
    await screenshot(page, "mirror-push");

    // Changed settings have not been tested.
    await dialog.getByLabel("Username").fill("somebody-else");
    await expect(dialog.getByRole("button", { name: "Save & Apply" })).toBeHidden();
    await dialog.getByLabel("Username").fill(bot.name);
    await expect(dialog.getByLabel("Tag name", { exact: true })).toHaveValue("stable");
    await dialog.getByRole("button", { name: "Save & Apply" }).click();

    await expect(page).toHaveURL("/repositories/team/website/mirrors");
    const row = page.getByRole("row", { name: "qa/website" });
    await expect(row).toContainText("ends with “stable”");
    await expect(row.getByText("Success")).toBeVisible();
    await screenshot(page, "mirrors");
    const target = { host: elsewhere.host, name: `qa/website:1.0-stable-${year}`, user: bot };
    expect(await digestOf(target)).toBe(digest);

    // New tags are pushed too, and an existing mirror is edited without entering the password again.
    await row.getByRole("button", { name: "Edit" }).click();
    const editing = page.getByRole("dialog", { name: "Edit the mirror" });
    await editing.getByLabel("Tag name in target").fill("%n");
    await editing.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page).toHaveURL("/repositories/team/website/mirrors");
    const next = await push("second", { host: longshore.host, name: "team/website:2.0-stable", user: longshore.admin });
    await expect
      .poll(() => digestOf({ ...target, name: "qa/website:2.0-stable" }).catch(() => "not found"), { timeout: 20_000 })
      .toBe(next);

    // A tag that matches no rule is pushed manually, with the saved connection.
    await open(page, "/repositories/team/website/tags/1.1-dev");
    await page.getByRole("button", { name: "Push to a remote…" }).click();
    const pushing = page.getByRole("dialog", { name: "Push 1.1-dev to a remote" });
    await pushing.getByLabel("Remote", { exact: true }).selectOption(`${elsewhere.host} as ${bot.name}`);
    await pushing.getByLabel("Remote repository").fill("qa/by-hand");
    await screenshot(page, "tag-push");
    await pushing.getByRole("button", { name: "Push", exact: true }).click();
    await expect(page).toHaveURL(/\/jobs\//);
    await expect(page.getByText("Done", { exact: true }).first()).toBeVisible();
    await digestOf({ ...target, name: "qa/by-hand:1.1-dev" });
  });

  test("a pull mirror copies a remote repository", async ({ page, longshore }) => {
    const digest = await push("upstream", { host: elsewhere.host, name: "up/stream:v3.1", user: bot });
    await push("older", { host: elsewhere.host, name: "up/stream:v2.9", user: bot });

    await signIn(page, longshore.admin, "/repositories/vendor/copy/mirrors");
    await page.getByRole("button", { name: "New mirror" }).click();
    const dialog = page.getByRole("dialog", { name: "New mirror" });
    await fillConnection(page, elsewhere.url, bot.password, "up/stream");
    await dialog.getByRole("button", { name: "Connect" }).click();
    await dialog.getByLabel("Tags", { exact: true }).fill("v3.*");
    await expect(dialog.getByText("1 of 2 tags: v3.1")).toBeVisible();
    await expect(dialog.getByRole("radio", { name: "Only this mirror writes" })).toBeChecked();
    await screenshot(page, "mirror-pull");
    await dialog.getByRole("button", { name: "Save & Apply" }).click();

    const row = page.getByRole("row", { name: "up/stream" });
    await expect(row.getByText("Success")).toBeVisible({ timeout: 20_000 });
    await expect(row).toContainText("every 30 minutes");
    await page.getByRole("navigation", { name: "Repository" }).getByRole("link", { name: "Tags" }).click();
    await expect(page.getByRole("row", { name: "v3.1" })).toBeVisible();
    await expect(page.getByRole("row", { name: "v2.9" })).toBeHidden();
    const here = { host: longshore.host, name: "vendor/copy:v3.1", user: longshore.admin };
    expect(await digestOf(here)).toBe(digest);

    // Sync now works until the mirror is disabled.
    await page.getByRole("navigation", { name: "Repository" }).getByRole("link", { name: "Mirrors" }).click();
    await page.getByRole("row", { name: "up/stream" }).getByRole("button", { name: "Sync now" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText("into vendor/copy");
    await expect(page.getByText("Done", { exact: true })).toBeVisible({ timeout: 20_000 });
    await page.goBack();
    const toggle = page.getByRole("switch", { name: "up/stream" });
    await toggle.click();
    await expect(toggle).toHaveAttribute("aria-checked", "false");
    await expect(page.getByRole("row", { name: "up/stream" }).getByRole("button", { name: "Sync now" })).toBeDisabled();
  });

  test.describe("with invalid settings", () => {
    test.use({ expectedComplaints: [/status of 400/] });

    test("show errors beside the fields and keep the input", async ({ page, longshore }) => {
      await signIn(page, longshore.admin, "/repositories/team/website/mirrors/new");
      const dialog = page.getByRole("dialog", { name: "New mirror" });
      for (const [url, told] of [
        ["http://127.0.0.1:1", "refused the connection"],
        ["https://no-such-host.invalid", "no host named"],
        ["http://169.254.169.254", "169.254.169.254"],
        ["not a url", "address"],
      ] as const) {
        await fillConnection(page, url, bot.password, "qa/website");
        await dialog.getByRole("button", { name: "Connect" }).click();
        const field = dialog.getByLabel("Registry URL");
        await expect(field).toHaveAccessibleDescription(new RegExp(told, "i"), { timeout: 20_000 });
        await expect(field).toHaveValue(url);
        await expect(dialog.getByLabel("Password or access token")).toHaveValue(bot.password);
      }
      await dialog.getByRole("radio", { name: "Docker Hub" }).check();
      await expect(dialog.getByText("https://index.docker.io")).toBeVisible();
      await expect(dialog.getByLabel("Registry URL")).toBeHidden();
      await page.keyboard.press("Escape");
      await page.getByRole("alertdialog").getByRole("button", { name: "Discard" }).click();
      await expect(page).toHaveURL("/repositories/team/website/mirrors");
    });
  });

  test("a repository with slashes in its name can have mirrors", async ({ page, longshore }) => {
    await signIn(page, longshore.admin);
    await open(page, "/repositories/team/a%2Fb%2Fc%2Fd%2Fe/mirrors");
    await page.getByRole("button", { name: "New mirror" }).click();
    await expect(page.getByText("Pull tags from another registry into team/a/b/c/d/e")).toBeVisible();
    await page.reload();
    await hydrated(page);
    await expect(page.getByRole("dialog", { name: "New mirror" })).toBeVisible();
    await page.getByRole("link", { name: "Close" }).click();
    await expect(page.getByRole("heading", { name: "No mirrors" })).toBeVisible();
    await page.goBack();
    await expect(page.getByRole("dialog", { name: "New mirror" })).toBeVisible();
  });

  test("a mirror is deleted after confirmation, and its tags are kept", async ({ page, longshore }) => {
    const path = "/repositories/team/a%2Fb%2Fc%2Fd%2Fe";
    await push("passing through", { host: elsewhere.host, name: "up/river:v1", user: bot });
    await rest(longshore, "POST", `${path}/pollMirroringPolicies?initialEvaluation=false`, {
      remoteHost: elsewhere.url,
      remoteRepository: "up/river",
      username: bot.name,
      password: bot.password,
      enabled: true,
    });
    await signIn(page, longshore.admin);
    await open(page, `${path}/mirrors`);
    const row = page.getByRole("row", { name: "up/river" });
    const question = page.getByRole("dialog", { name: "Delete the mirror" });
    // Its first job ends meanwhile, which must not close the dialog.
    await row.getByRole("button", { name: "Delete" }).click();
    await expect(question).toContainText("Tags already mirrored are kept");
    await question.getByRole("button", { name: "Delete" }).click();
    await expect(page.getByRole("heading", { name: "No mirrors" })).toBeVisible();
  });
});
