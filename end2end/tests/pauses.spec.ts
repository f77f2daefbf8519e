// Pausing: one click stops everything, jobs are held, and the user who resumes decides what happens to them.

import { DockerRegistry } from "../support/docker-registry.js";
import { digestOf, push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
// Alone, because jobs and remotes of other files would be listed and held too.
import { expect, open, screenshot, testAlone as test } from "../support/test.js";

test.describe("pausing", () => {
  test.beforeAll(async ({ longshore }) => {
    await organizations(longshore, "dev", "qa");
    for (const name of ["dev/website", "qa/website"]) await repository(longshore, name);
    await rest(longshore, "POST", "/repositories/dev/website/promotionPolicies", {
      rules: [],
      targetRepository: "qa/website",
      tagTemplate: "%n",
      enabled: true,
    });
    await rest(longshore, "POST", "/remotes", { name: "staging", url: "https://staging.example.com" });
  });

  test("everything is paused by one click, and resumed with the newest changes", async ({ page, longshore }) => {
    const [user, host] = [longshore.admin, longshore.host];
    await signIn(page, user, "/system");
    await expect(page.getByRole("complementary", { name: "Pause" })).toBeHidden();
    await screenshot(page, "system-before-pause");
    await page.getByRole("button", { name: "Pause everything" }).click();
    const banner = page.getByRole("complementary", { name: "Pause" });
    await expect(banner).toContainText("Everything is paused by admin");
    await screenshot(page, "system-paused");

    await test.step("the queue is updated while it is shown", async () => {
      await banner.getByRole("link", { name: "See waiting jobs" }).click();
      await expect(page.getByRole("heading", { level: 1 })).toHaveText("Everything is paused");
      await expect(page.getByRole("heading", { name: "No jobs are waiting" })).toBeVisible();
      await screenshot(page, "pause-empty");
      await push("the first", { host, name: "dev/website:latest", user });
      await push("the second", { host, name: "dev/website:latest", user });
      await push("another", { host, name: "dev/website:1.0", user });
      await expect(page.getByRole("region", { name: "Waiting jobs" }).getByRole("row")).toHaveCount(4);
      // Each change of a tag is a separate step, oldest first.
      const plan = page.getByRole("region", { name: "What each policy would do" });
      await expect(plan.getByRole("row", { name: "Promote dev/website to qa/website" })).toBeVisible();
      await expect(plan.getByRole("listitem")).toHaveText(["latest", "latest", "1.0"]);
      await expect(page.getByText("All 3 jobs run, oldest first.")).toBeVisible();
      await expect(page.getByText(/2 jobs run: of each tag the newest change/)).toBeVisible();
      await screenshot(page, "pause-queue");
    });

    await test.step("other pages show the pause too", async () => {
      await open(page, "/jobs");
      await expect(page.getByRole("row", { name: /for 1\.0/ })).toContainText("Held");
      await expect(page.getByRole("row", { name: /for 1\.0/ })).toContainText("everything is paused by admin");
      await screenshot(page, "jobs-held");
      await page.getByRole("link", { name: /for 1\.0/ }).click();
      await expect(page.getByText("Held.", { exact: false }).first()).toBeVisible();
      await screenshot(page, "job-held");
      await open(page, "/repositories/dev/website/promotions");
      await expect(page.getByText("It acts again when everything is resumed.")).toBeVisible();
      await screenshot(page, "promotions-held");
      await open(page, "/repositories");
      await expect(page.getByText("held", { exact: true }).first()).toBeVisible();
      await screenshot(page, "repositories-held");
    });

    const second = await digestOf({ host, name: "dev/website:latest", user });
    await page.getByRole("link", { name: "See waiting jobs" }).click();
    await page.getByRole("button", { name: "Resume with the newest" }).click();
    await expect(page.getByText("Resumed: 2 jobs continue, 1 job was dropped.")).toBeVisible();
    await expect(banner).toBeHidden();
    await screenshot(page, "pause-resumed");
    await expect(async () => {
      expect(await digestOf({ host, name: "qa/website:latest", user })).toBe(second);
    }).toPass();
  });

  test("a namespace and a remote are paused from their lists", async ({ page, longshore }) => {
    await signIn(page, longshore.admin, "/organizations");
    const row = page.getByRole("row", { name: /^dev/ });
    await row.getByRole("link", { name: "Pause…" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Pause the namespace dev");
    await screenshot(page, "pause-namespace");
    await page.getByRole("button", { name: "Pause the namespace" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("The namespace dev is paused");
    await open(page, "/organizations");
    await expect(row.getByText("Paused")).toBeVisible();
    await screenshot(page, "organizations-paused");
    await open(page, "/repositories/dev/website/promotions");
    await expect(page.getByText("The namespace dev is paused")).toBeVisible();
    await screenshot(page, "repository-paused");
    await open(page, "/repositories/qa/website");
    await expect(page.getByText("The namespace dev is paused")).toBeHidden();

    await open(page, "/remotes");
    await page.getByRole("row", { name: /staging/ }).getByRole("link", { name: "Pause…" }).click();
    await page.getByRole("button", { name: "Pause the remote" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("The remote staging is paused");
    await open(page, "/remotes");
    await expect(page.getByRole("row", { name: /staging/ }).getByText("Paused")).toBeVisible();
    await screenshot(page, "remotes-paused");
    await open(page, "/system");
    await expect(page.getByText("The remote staging is paused by admin, nothing waits")).toBeVisible();
    await screenshot(page, "system-others-paused");
    await rest(longshore, "DELETE", "/pauses/namespaces/dev");
  });

  test("the plan of a mirror is kept when another job is held", async ({ page, longshore }) => {
    const elsewhere = await DockerRegistry.start();
    try {
      const user = longshore.admin;
      await push("from afar", { host: elsewhere.host, name: "vendor/app:1.0" });
      await repository(longshore, "dev/copy");
      await rest(longshore, "PUT", "/pauses/system");
      await rest(longshore, "POST", "/repositories/dev/copy/pollMirroringPolicies", {
        remoteHost: elsewhere.url,
        remoteRepository: "vendor/app",
        enabled: true,
      });
      await signIn(page, user, "/system");
      await page.getByRole("link", { name: "See waiting jobs", exact: true }).click();
      await page.getByRole("button", { name: "Show plan" }).click();
      const answer = page.getByText("1 tag would be mirrored: 1.0");
      await expect(answer).toBeVisible();
      await screenshot(page, "pause-plan");
      await push("one more", { host: longshore.host, name: "dev/website:more", user });
      await expect(page.getByRole("row", { name: /Promote dev\/website/ })).toBeVisible();
      await expect(answer).toBeVisible();
      await rest(longshore, "DELETE", "/pauses/system?queued=drop");
    } finally {
      await elsewhere.stop();
    }
  });

  test.describe("without script", () => {
    test.use({ javaScriptEnabled: false });

    test("the buttons are plain forms", async ({ page, longshore }) => {
      await page.goto("/sign-in?next=/system");
      await page.getByLabel("Username").fill(longshore.admin.name);
      await page.getByLabel("Password").fill(longshore.admin.password);
      await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: "Pause everything" }).click();
      await expect(page.getByText("Everything is paused").first()).toBeVisible();
      await page.getByRole("link", { name: "See waiting jobs", exact: true }).click();
      await page.getByRole("button", { name: "Resume", exact: true }).click();
      await expect(page.getByText("Everything is paused")).toBeHidden();
    });
  });
});
