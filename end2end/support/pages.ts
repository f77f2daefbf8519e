// The address of every page and dialog, with the data that they need.

import { readFile } from "node:fs/promises";
import { push } from "./image.js";
import type { Longshore } from "./longshore.js";
import { organizations, repository, rest } from "./session.js";

/** Creates an object of each kind and returns the address of every page and dialog. */
export async function everyPage(longshore: Longshore): Promise<string[]> {
  const [user, host] = [longshore.admin, longshore.host];
  const namespace = `opened-${Date.now()}`;
  const at = `/repositories/${namespace}/website`;
  await organizations(longshore, namespace);
  for (const name of ["website", "target", "lost"]) await repository(longshore, `${namespace}/${name}`);
  const make = async (path: string, body: unknown) =>
    ((await rest(longshore, "POST", path, body)) as { id: string }).id;
  // Mirrors can be saved only if their registry responds; this server is its own remote.
  const [username, password] = [user.name, user.password];
  const remote = await make("/remotes", { name: "staging", url: longshore.url, username, password });
  const promotion = await make(`${at}/promotionPolicies`, {
    rules: [],
    targetRepository: `${namespace}/target`,
    tagTemplate: "%n",
    enabled: true,
  });
  await push("one", { host, name: `${namespace}/website:1.0`, user });
  await push("two", { host, name: `${namespace}/website:1.0`, user });
  await push("two", { host, name: `${namespace}/website:gone`, user });
  await rest(longshore, "DELETE", `${at}/tags/gone`);
  await rest(longshore, "DELETE", `/repositories/${namespace}/lost`);
  const connection = { remoteID: remote, remoteRepository: `${namespace}/website`, enabled: false };
  const pushMirror = await make(`${at}/pushMirroringPolicies`, { ...connection, rules: [], tagTemplate: "%n" });
  const pullMirror = await make(`/repositories/${namespace}/target/pollMirroringPolicies`, connection);
  const list = async (path: string) => (await rest(longshore, "GET", path)) as { revision: number }[];
  const [deleted] = await list(`${at}/deletedTags`);
  const before = (await list(`${at}/tags/1.0/history`)).at(-1);
  await rest(longshore, "PUT", `/pauses/namespaces/${namespace}`);
  await rest(longshore, "PUT", `/pauses/remotes/${remote}`);
  const { jobs } = (await rest(longshore, "GET", "/jobs?limit=1")) as { jobs: { id: string }[] };
  return [
    "/",
    "/sign-in",
    "/repositories",
    "/repositories/new",
    "/repositories?q=nothing-has-this-name",
    "/deleted-repositories",
    `/deleted-repositories/${namespace}/lost/purge`,
    at,
    `${at}/tags`,
    `${at}/deleted-tags`,
    `${at}/deleted-tags/gone/${deleted?.revision}`,
    `${at}/promotions`,
    `${at}/promotions/new`,
    `${at}/promotions/${promotion}/edit`,
    `/repositories/${namespace}/target/promotions?side=target`,
    `${at}/mirrors`,
    `${at}/mirrors/new`,
    `${at}/mirrors/${pushMirror}/edit`,
    `/repositories/${namespace}/target/mirrors/${pullMirror}/edit`,
    `${at}/permissions`,
    `${at}/activity`,
    `${at}/settings`,
    `${at}/tags/1.0`,
    `${at}/tags/1.0/promote`,
    `${at}/tags/1.0/push`,
    `${at}/tags/1.0/changes/${before?.revision}`,
    "/remotes",
    "/remotes/new",
    `/remotes/${remote}`,
    "/jobs",
    `/jobs/${jobs[0]?.id}`,
    "/activity",
    "/organizations",
    "/organizations/new",
    `/organizations/${namespace}/storage`,
    "/users",
    "/users/new",
    "/users/admin/password",
    "/users/admin/storage",
    "/system",
    "/pauses/system",
    `/pauses/namespaces/${namespace}`,
    `/pauses/remotes/${remote}`,
  ];
}

/** The routes of the site, such as `/repositories/:namespace/:name/tags`; a test in Rust keeps the list complete. */
export async function routes(): Promise<string[]> {
  return (await readFile(new URL("routes.txt", import.meta.url), "utf8")).trim().split("\n");
}

/** Whether an address matches a route. */
export function leadsTo(route: string, address: string): boolean {
  const parts = route.split("/").map((part) => (part.startsWith(":") ? "[^/]+" : part));
  return new RegExp(`^${parts.join("/")}$`).test(address.split("?")[0] ?? "");
}
