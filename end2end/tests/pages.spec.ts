// Every page and dialog, opened by its address: reloaded many times, by users with different rights, and checked by
// axe. The content of a page depends on the user; that its console has no errors does not.

import AxeBuilder from "@axe-core/playwright";
import type { BrowserContext } from "@playwright/test";
import { everyPage, leadsTo, routes } from "../support/pages.js";
import { rest, signIn } from "../support/session.js";
import { expect, hydrated, open, test, type Page } from "../support/test.js";

// A trace records every step, which would double the time.
test.use({ trace: "off" });

/** Loads of each page: ten are likely to reveal a fault that occurs in one of six. `RELOADS` overrides the number. */
const LOADS = Number(process.env.RELOADS ?? 10);
/** The number of pages loaded at the same time: few enough to leave resources for the other worker. */
const TABS = 3;

/** Loads every page of a list `loads` times, several pages at a time. */
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

/** Signs in as a new user who is not an administrator and owns nothing. */
async function signInAsReader(page: Page, longshore: Parameters<typeof rest>[0], name: string): Promise<void> {
  const reader = { name, password: "a reader's long password" };
  await rest(longshore, "POST", "/accounts", { ...reader, isOrg: false });
  await signIn(page, reader);
}

test("the pages include every route of the site", async ({ longshore }) => {
  const paths = await everyPage(longshore);
  const found = await routes();
  expect(found.length).toBeGreaterThanOrEqual(40);
  expect(found.filter((route) => !paths.some((path) => leadsTo(route, path)))).toEqual([]);
});

test.describe("every page, reloaded ten times", () => {
  test.beforeEach(() => test.setTimeout(600_000));

  test("hydrates each time, for an administrator, also while everything is paused", async ({ page, context, longshore }) => {
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

  test.describe("by users with few rights", () => {
    // Chromium logs the error statuses of pages.
    test.use({ expectedComplaints: [/status of 40[134]/] });

    test("hydrates as well, whatever it shows", async ({ page, context, longshore }) => {
      const paths = await everyPage(longshore);
      await reload(context, paths);
      await signInAsReader(page, longshore, "reader-of-all");
      await reload(context, paths);
    });
  });
});

test.describe("every page, checked by axe", () => {
  test("has one level-1 heading and no violations, in light and dark", async ({ page, longshore }) => {
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
