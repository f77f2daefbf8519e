import { defineConfig } from "@playwright/test";

// Debian's Chromium; `npm ci` downloads no browser.
const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results/artifacts",
  timeout: 60_000,
  expect: { timeout: 10_000 },
  // A test that passes only on a retry has found a bug.
  retries: 0,
  // Each worker starts its own server; CI has two cores.
  workers: 2,
  forbidOnly: true,
  reporter: [["list"], ["json", { outputFile: "test-results/report.json" }]],
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    locale: "en-GB",
    timezoneId: "UTC",
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: chromium,
      // In containers the tests run as root, where Chromium has no sandbox. They use only the loopback network.
      args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-dev-shm-usage"],
    },
  },
});
