// Signing in with the form, and preparing test data over REST.

import { expect, hydrated, type Page } from "./test.js";
import type { Longshore } from "./longshore.js";

export interface Credentials {
  name: string;
  password: string;
}

/** Signs in with the form and opens the page `next`. */
export async function signIn(page: Page, who: Credentials, next = "/repositories"): Promise<void> {
  await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
  await hydrated(page);
  await page.getByLabel("Username").fill(who.name);
  await page.getByLabel("Password").fill(who.password);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(next);
}

/** Sends a REST request as the administrator; fails unless it succeeds. */
export async function rest(longshore: Longshore, method: string, path: string, body?: unknown): Promise<unknown> {
  const { name, password } = longshore.admin;
  const response = await fetch(`${longshore.url}/api/v0${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  expect(response.ok, `${method} ${path}: ${response.status} ${text}`).toBe(true);
  return text === "" ? undefined : JSON.parse(text);
}

/** Creates organizations. */
export async function organizations(longshore: Longshore, ...names: string[]): Promise<void> {
  for (const name of names) {
    await rest(longshore, "POST", "/accounts", { name, isOrg: true });
  }
}

export async function repository(longshore: Longshore, fullName: string): Promise<void> {
  const slash = fullName.indexOf("/");
  await rest(longshore, "POST", `/repositories/${fullName.slice(0, slash)}`, { name: fullName.slice(slash + 1) });
}
