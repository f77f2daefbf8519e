// The base of every browser test: a server, a check for errors in the console, and screenshots.

import { expect, test as base, type BrowserContext, type Locator, type Page } from "@playwright/test";
import { fileURLToPath } from "node:url";
import { Longshore } from "./longshore.js";

export { expect, type Locator, type Page };

const screenshots = fileURLToPath(new URL("../screenshots/", import.meta.url));

interface Fixtures {
  /**
   * Console messages that the test provokes, such as Chromium's error for a response with status 404. Any other
   * console error, Content-Security-Policy violation or hydration warning fails the test.
   */
  expectedComplaints: RegExp[];
}

interface WorkerFixtures {
  /** A server that all tests of a worker share, so each test must use its own names. */
  longshore: Longshore;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  longshore: [async ({}, use) => serve(use), { scope: "worker" }],

  baseURL: async ({ longshore }, use) => use(longshore.url),

  expectedComplaints: [[], { option: true }],

  context: async ({ context, expectedComplaints }, use) => {
    const complaints = await listen(context);
    await use(context);
    const unexpected = complaints.filter((complaint) => !expectedComplaints.some((known) => known.test(complaint)));
    expect(unexpected, "the browser reports no errors").toEqual([]);
  },
});

/** Tests of a file that needs its own server, because they depend on all users, jobs or public repositories of it. */
export const testAlone = test.extend<object, WorkerFixtures>({
  longshore: [async ({}, use) => serve(use), { scope: "worker" }],
});

async function serve(use: (longshore: Longshore) => Promise<void>): Promise<void> {
  const longshore = await Longshore.start();
  await use(longshore);
  await longshore.stop();
}

/** Collects the errors and hydration warnings of all pages of a context. */
async function listen(context: BrowserContext): Promise<string[]> {
  const complaints: string[] = [];
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`Content-Security-Policy: ${event.violatedDirective} blocked ${event.blockedURI || "inline"}`);
    });
  });
  context.on("console", (message) => {
    if (message.type() === "error" || /hydrat/i.test(message.text())) {
      complaints.push(`${message.type()}: ${message.text()} (${message.page()?.url()})`);
    }
  });
  context.on("weberror", (error) => complaints.push(`uncaught: ${error.error()}`));
  return complaints;
}

/** Opens a page and waits until it is interactive. */
export async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await hydrated(page);
}

/** Waits until the page is hydrated and therefore interactive. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator("html[data-hydrated]")).toBeAttached({ timeout: 30_000 });
}

/** Delays the WASM of a page, and so its hydration, until the returned function is called. */
export async function holdProgram(page: Page): Promise<() => void> {
  let arrive = () => {};
  const arrives = new Promise<void>((resolve) => (arrive = resolve));
  await page.route("**/*.wasm", async (route) => {
    await arrives;
    await route.continue();
  });
  return arrive;
}

/** Saves screenshots for review: wide and narrow, light and dark. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const before = page.viewportSize();
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({
        path: `${screenshots}${name}-${width}-${colorScheme}.png`,
        fullPage: true,
        // Otherwise colours would be captured in the middle of a transition.
        animations: "disabled",
      });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (before) await page.setViewportSize(before);
}
