// What every browser test starts from: a server, a page that may not complain, screenshots.

import { expect, test as base, type BrowserContext, type Locator, type Page } from "@playwright/test";
import { fileURLToPath } from "node:url";
import { Longshore } from "./longshore.js";

export { expect, type Locator, type Page };

const screenshots = fileURLToPath(new URL("../screenshots/", import.meta.url));

interface Fixtures {
  /**
   * Complaints that a test provokes, such as Chromium's note about an answer with status 404. Any
   * other error in the console, report of the Content-Security-Policy or hydration warning fails it.
   */
  expectedComplaints: RegExp[];
}

interface WorkerFixtures {
  /** A server that all tests of a worker share: a test leaves nothing behind that another one could meet. */
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
    expect(unexpected, "the browser has nothing to complain about").toEqual([]);
  },
});

/**
 * Tests of a file that has a server to itself, because they look at what all of a server's users, jobs
 * or public repositories make up together.
 */
export const testAlone = test.extend<object, WorkerFixtures>({
  longshore: [async ({}, use) => serve(use), { scope: "worker" }],
});

async function serve(use: (longshore: Longshore) => Promise<void>): Promise<void> {
  const longshore = await Longshore.start();
  await use(longshore);
  await longshore.stop();
}

/** Collects what the pages of a context complain about. */
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

/** Opens a page and waits until it answers to clicks. */
export async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await hydrated(page);
}

/** Waits until the page answers to clicks. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator("html[data-hydrated]")).toBeAttached({ timeout: 30_000 });
}

/** Keeps the program of a page from arriving until what is returned is called: until then nothing is live. */
export async function holdProgram(page: Page): Promise<() => void> {
  let arrive = () => {};
  const arrives = new Promise<void>((resolve) => (arrive = resolve));
  await page.route("**/*.wasm", async (route) => {
    await arrives;
    await route.continue();
  });
  return arrive;
}

/** Keeps a picture of the page for people to look at: wide and narrow, light and dark. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const before = page.viewportSize();
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({
        path: `${screenshots}${name}-${width}-${colorScheme}.png`,
        fullPage: true,
        // Colours that change slowly would be caught half-way.
        animations: "disabled",
      });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (before) await page.setViewportSize(before);
}
