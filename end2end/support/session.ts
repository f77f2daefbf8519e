// Signing in, as people do it, and setting the scene over REST, as scripts do it.

import { expect, hydrated, type Page } from "./test.js";
import type { Longshore } from "./longshore.js";

export interface Credentials {
  name: string;
  password: string;
}

/** Signs in with the form and goes to a page. */
export async function signIn(page: Page, who: Credentials, next = "/repositories"): Promise<void> {
  await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
  await hydrated(page);
  await page.getByLabel("User name").fill(who.name);
  await page.getByLabel("Password").fill(who.password);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(next);
}

/** Asks the REST interface as the first administrator; fails unless it agrees. */
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

/** Makes organizations, whose repositories the administrator may use. */
export async function organizations(longshore: Longshore, ...names: string[]): Promise<void> {
  for (const name of names) {
    await rest(longshore, "POST", "/accounts", { name, isOrg: true });
  }
}

/** Makes a repository. */
export async function repository(longshore: Longshore, fullName: string): Promise<void> {
  const slash = fullName.indexOf("/");
  await rest(longshore, "POST", `/repositories/${fullName.slice(0, slash)}`, { name: fullName.slice(slash + 1) });
}
