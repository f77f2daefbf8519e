// Jobs: the live list, filters in the address, and the page of a job with its log.

import { DockerRegistry } from "../support/docker-registry.js";
import { push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, hydrated, open, screenshot, test } from "../support/test.js";

test.describe("jobs", () => {
  let elsewhere: DockerRegistry;

  test.beforeAll(async ({ longshore }) => {
    elsewhere = await DockerRegistry.start();
    await organizations(longshore, "ops");
    for (const name of ["ops/tools", "ops/broken"]) await repository(longshore, name);
    await rest(longshore, "POST", "/repositories/ops/tools/pushMirroringPolicies", {
      remoteHost: elsewhere.url,
      remoteRepository: "ops/tools",
      rules: [],
      tagTemplate: "%n",
      enabled: true,
    });
  });

  test.afterAll(async () => elsewhere.stop());

  test("an open list shows new jobs and their results", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/jobs?action=push_mirror_tag&q=ops/tools");
    await expect(page.getByRole("heading", { name: "No job matches" })).toBeVisible();
    await push("one", { host: longshore.host, name: "ops/tools:1.0", user: longshore.admin });
    const row = page.getByRole("row", { name: `Push 1.0 of ops/tools to ${elsewhere.host}/ops/tools` });
    await expect(row).toContainText("Done");
    await screenshot(page, "jobs");

    await page.getByLabel("Status").selectOption("Failed");
    await expect(page).toHaveURL(/action=push_mirror_tag&status=errored/);
    await expect(row).toBeHidden();
    await page.goBack();
    await expect(row).toBeVisible();
    await page.keyboard.press("/");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("ops/nothing");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/q=ops(%2F|\/)nothing/);
    await expect(row).toBeHidden();
    await expect(page.getByRole("heading", { name: "No job matches" })).toBeVisible();
  });

  test("the page of a job shows its details and its log", async ({ page, longshore }) => {
    await push("two", { host: longshore.host, name: "ops/tools:2.0", user: longshore.admin });
    await signIn(page, longshore.admin, "/jobs");
    await page.getByRole("link", { name: "Push 2.0 of ops/tools" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText("Push 2.0 of ops/tools");
    await expect(page.getByText("Done", { exact: true })).toBeVisible();
    await expect(page.getByRole("log").getByRole("listitem").first()).toBeVisible();
    await screenshot(page, "job");
    await page.reload();
    await hydrated(page);
    await expect(page.getByRole("log").getByRole("listitem").first()).toBeVisible();
  });

  test("a failing job shows why, and a retry is a new job", async ({ page, longshore }) => {
    const gone = await DockerRegistry.start();
    await rest(longshore, "POST", "/repositories/ops/broken/pushMirroringPolicies", {
      remoteHost: gone.url,
      remoteRepository: "ops/broken",
      rules: [],
      tagTemplate: "%n",
      enabled: true,
    });
    await gone.stop();
    await push("three", { host: longshore.host, name: "ops/broken:3.0", user: longshore.admin });
    await signIn(page, longshore.admin, "/jobs");
    const link = page.getByRole("link", { name: "Push 3.0 of ops/broken" }).first();
    await link.click();
    const told = page.getByRole("main").getByText(gone.host).last();
    await expect(page.getByText("the job then continues automatically")).toBeVisible();
    await expect(told).toBeVisible();
    await screenshot(page, "job-failing");
    const failing = page.url();
    await open(page, "/remotes");
    await expect(page.getByRole("row", { name: gone.host })).toContainText("All its jobs wait");
    await screenshot(page, "remotes-waiting");
    await open(page, "/jobs");
    await expect(page.getByRole("row", { name: /3\.0 of ops\/broken/ }).first()).toContainText("Waiting for registry");
    await screenshot(page, "jobs-waiting");
    await open(page, failing);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog", { name: "Cancel this job?" }).getByRole("button", { name: "Cancel", exact: true }).last().click();
    await expect(page.getByText("Canceled", { exact: true })).toBeVisible();
    const first = page.url();
    await page.getByRole("button", { name: "Retry" }).click();
    await expect(page).not.toHaveURL(first);
    await expect(page.getByText("Retry of")).toBeVisible();
  });

  test("all failed jobs of a list are retried together", async ({ page, longshore }) => {
    await organizations(longshore, "crowded");
    await repository(longshore, "crowded/website");
    await rest(longshore, "PUT", "/accounts/crowded/quota", { quotaBytes: 1 });
    await push("too much", { host: elsewhere.host, name: "up/stream:1.0" });
    await rest(longshore, "POST", "/repositories/crowded/website/pollMirroringPolicies", {
      remoteHost: elsewhere.url,
      remoteRepository: "up/stream",
      enabled: true,
    });
    await signIn(page, longshore.admin, "/jobs?q=crowded/website");
    const list = page.getByRole("table");
    await expect(list.getByText("Failed", { exact: true })).toBeVisible();
    await rest(longshore, "PUT", "/accounts/crowded/quota", { quotaBytes: null });
    await page.getByRole("button", { name: "Retry all failed" }).click();
    const question = page.getByRole("dialog", { name: "Retry all failed jobs?" });
    await screenshot(page, "jobs-retry-all");
    await question.getByRole("button", { name: "Retry all failed" }).click();
    await expect(page.getByText("1 job is retried.")).toBeVisible();
    await expect(question).toBeHidden();
    await expect(list.getByText("Done", { exact: true }).first()).toBeVisible();
    await open(page, "/repositories/crowded/website/tags");
    await expect(page.getByRole("link", { name: "1.0", exact: true })).toBeVisible();
  });

  test("a page recovers from a lost connection", async ({ page, context, longshore }) => {
    await signIn(page, longshore.admin, "/jobs");
    await expect(page.getByRole("table")).toBeVisible();
    await context.setOffline(true);
    await page.evaluate(() => window.dispatchEvent(new Event("offline")));
    await context.setOffline(false);
    await push("four", { host: longshore.host, name: "ops/tools:4.0", user: longshore.admin });
    await expect(page.getByRole("link", { name: "Push 4.0 of ops/tools" })).toBeVisible();
    await expect(page.getByText("The connection to the server is lost")).toBeHidden();
  });

  test("eight tabs that follow jobs do not block the site", async ({ context, page, longshore }) => {
    await signIn(page, longshore.admin, "/jobs");
    const tabs = [page];
    while (tabs.length < 8) {
      const another = await context.newPage();
      await open(another, "/jobs");
      tabs.push(another);
    }
    await push("five", { host: longshore.host, name: "ops/tools:5.0", user: longshore.admin });
    for (const tab of tabs) {
      // The number of event streams is limited, so the tabs take turns.
      await expect(tab.getByRole("link", { name: "Push 5.0 of ops/tools" })).toBeVisible({ timeout: 20_000 });
      await expect(tab.getByText("The connection to the server is lost")).toBeHidden();
    }
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Remotes" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Remotes");
  });
});
