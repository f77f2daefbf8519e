// Leaving a page before it has loaded: late responses for a page that was left must not cause errors.

import { push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, open, test, type Page } from "../support/test.js";

/** Pseudo-random numbers, the same in each run (mulberry32). */
function dice(seed: number): (sides: number) => number {
  return (sides) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let word = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) % sides;
  };
}

/** Delays each response of a server function by a random time. */
async function slowDown(page: Page, roll: (sides: number) => number): Promise<void> {
  await page.route("**/fn/**", async (route) => {
    const delay = [0, 5, 20, 60, 120][roll(5)];
    await new Promise((done) => setTimeout(done, delay));
    // The page may have been left by then, which cancels the request.
    await route.continue().catch(() => {});
  });
}

/** Navigates as a click on a link does, even if the page has no such link yet. */
async function go(page: Page, path: string): Promise<void> {
  await page.evaluate((path) => {
    const link = document.createElement("a");
    link.href = path;
    document.body.append(link);
    link.click();
    link.remove();
  }, path);
}

const places = [
  "/repositories",
  "/repositories/leaving/website",
  "/repositories/leaving/website/tags",
  "/repositories/leaving/website/promotions",
  "/repositories/leaving/website/mirrors",
  "/repositories/leaving/website/permissions",
  "/repositories/leaving/website/activity",
  "/repositories/leaving/website/settings",
  "/remotes",
  "/remotes/new",
  "/organizations",
  "/organizations/leaving/storage",
  "/users",
  "/jobs",
  "/activity",
  "/system",
  "/pauses/system",
  "/pauses/namespaces/leaving",
];

test.describe("leaving a page while it loads", () => {
  test.beforeAll(async ({ longshore }) => {
    await organizations(longshore, "leaving", "left");
    for (const name of ["leaving/website", "left/website"]) await repository(longshore, name);
    await rest(longshore, "POST", "/remotes", { name: "staging", url: "https://staging.example.com" });
    await rest(longshore, "POST", "/repositories/leaving/website/promotionPolicies", {
      rules: [],
      targetRepository: "left/website",
      tagTemplate: "%n",
      enabled: true,
    });
  });

  for (const seed of [1, 2]) {
    test(`causes no errors, whatever arrives late (${seed})`, async ({ page, longshore }) => {
      test.setTimeout(120_000);
      const roll = dice(seed);
      await signIn(page, longshore.admin, "/system");
      await slowDown(page, roll);
      for (let step = 0; step < 90; step++) {
        const back = roll(6) === 0;
        if (back) await page.evaluate(() => history.back());
        else await go(page, places[roll(places.length)]!);
        await page.waitForTimeout([0, 0, 10, 30, 80, 150][roll(6)]!);
      }
      await go(page, "/system");
      await expect(page.getByRole("heading", { level: 1 })).toHaveText("System");
      await expect(page.getByRole("button", { name: "Pause everything" })).toBeVisible();
    });
  }

  test("keeps the page interactive while it is reloaded", async ({ page, context, longshore }) => {
    const [user, host] = [longshore.admin, longshore.host];
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await push("the first", { host, name: "leaving/website:1.0", user });
    await signIn(page, user, "/repositories/leaving/website/tags");
    const copy = page.getByRole("button", { name: "Copy the digest" });
    await expect(copy).toHaveCount(1);
    // From here on, no response arrives.
    const asked = page.waitForRequest("**/fn/**");
    await page.route("**/fn/**", () => {});
    await push("the second", { host, name: "leaving/website:2.0", user });
    await asked;
    await copy.click();
    await expect(copy).toHaveText("Copied");
  });
});
