// Every page and dialog, opened by its address as by a bookmark: again and again, by everybody who may come, and read by
// axe. What a page says of a fault differs from reader to reader; that its console stays silent does not.

import AxeBuilder from "@axe-core/playwright";
import type { BrowserContext } from "@playwright/test";
import { everyPage, leadsTo, routes } from "../support/pages.js";
import { rest, signIn } from "../support/session.js";
import { expect, hydrated, open, test, type Page } from "../support/test.js";

// A trace films what happens, and takes as long as the rest together.
test.use({ trace: "off" });

/** How often each page is loaded: what goes wrong in one of six loads is found in ten. RELOADS chooses another number. */
const LOADS = Number(process.env.RELOADS ?? 10);
/** How many pages load at a time: few enough to leave room for the tests beside. */
const TABS = 3;

/** Loads every page of a list again and again, several at a time in one browser. */
async function reload(context: BrowserContext, paths: string[], loads = LOADS): Promise<void> {
  const waiting = [...paths];
  const tab = async () => {
    const page = await context.newPage();
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      await page.goto(path);
      for (let load = 1; load < loads; load++) {
        await hydrated(page);
        await page.reload();
      }
      await hydrated(page);
      await expect(page.locator(".page-note")).toHaveCount(0);
    }
    await page.close();
  };
  await Promise.all(Array.from({ length: TABS }, tab));
}

/** Signs in somebody who is no administrator and owns nothing here. */
async function signInAsReader(page: Page, longshore: Parameters<typeof rest>[0], name: string): Promise<void> {
  const reader = { name, password: "a reader's long password" };
  await rest(longshore, "POST", "/accounts", { ...reader, isOrg: false });
  await signIn(page, reader);
}

test("every route of the site is among the pages", async ({ longshore }) => {
  const paths = await everyPage(longshore);
  const found = await routes();
  expect(found.length).toBeGreaterThanOrEqual(40);
  expect(found.filter((route) => !paths.some((path) => leadsTo(route, path)))).toEqual([]);
});

test.describe("every page, reloaded ten times", () => {
  test.beforeEach(() => test.setTimeout(600_000));

  test("is taken over each time, by an administrator, and while everything is paused", async ({ page, context, longshore }) => {
    await signIn(page, longshore.admin);
    const paths = await everyPage(longshore);
    await reload(context, paths);
    await rest(longshore, "PUT", "/pauses/system");
    try {
      await reload(context, paths, 1);
    } finally {
      await rest(longshore, "DELETE", "/pauses/system?queued=drop");
    }
  });

  test.describe("by those who may see little", () => {
    // Chromium notes what the page was answered.
    test.use({ expectedComplaints: [/status of 40[134]/] });

    test("is taken over as well, whatever it says", async ({ page, context, longshore }) => {
      const paths = await everyPage(longshore);
      await reload(context, paths);
      await signInAsReader(page, longshore, "reader-of-all");
      await reload(context, paths);
    });
  });
});

test.describe("every page, read by axe", () => {
  test("has one heading of the first rank and no violation, in light and in dark", async ({ page, longshore }) => {
    test.setTimeout(300_000);
    await signIn(page, longshore.admin);
    const found: string[] = [];
    for (const path of await everyPage(longshore)) {
      await test.step(path, async () => {
        await open(page, path);
        await expect(page.getByRole("heading", { level: 1, includeHidden: true })).toHaveCount(1);
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          const { violations } = await new AxeBuilder({ page }).analyze();
          for (const { id, nodes } of violations) {
            found.push(...nodes.map((node) => `${path} (${colorScheme}): ${id}: ${node.html.slice(0, 160)}`));
          }
        }
      });
    }
    expect(found).toEqual([]);
  });
});
