// Something of each kind, and the address of every page and dialog that shows it.

import { push } from "./image.js";
import type { Longshore } from "./longshore.js";
import { organizations, repository, rest } from "./session.js";

/** Makes something of each kind, and names the address of each page and dialog. */
export async function everyPage(longshore: Longshore): Promise<string[]> {
  const [user, host] = [longshore.admin, longshore.host];
  const namespace = `opened-${Date.now()}`;
  const at = `/repositories/${namespace}/website`;
  await organizations(longshore, namespace);
  for (const name of ["website", "target", "lost"]) await repository(longshore, `${namespace}/${name}`);
  const make = async (path: string, body: unknown) =>
    ((await rest(longshore, "POST", path, body)) as { id: string }).id;
  const remote = await make("/remotes", { name: "staging", url: "https://staging.example.com" });
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
  await rest(longshore, "PUT", `/pauses/namespaces/${namespace}`);
  await rest(longshore, "PUT", `/pauses/remotes/${remote}`);
  const { jobs } = (await rest(longshore, "GET", "/jobs?limit=1")) as { jobs: { id: string }[] };
  return [
    "/repositories",
    "/repositories/new",
    "/repositories?q=nothing-has-this-name",
    "/deleted-repositories",
    `/deleted-repositories/${namespace}/lost/purge`,
    at,
    `${at}/tags`,
    `${at}/deleted-tags`,
    `${at}/promotions`,
    `${at}/promotions/new`,
    `${at}/promotions/${promotion}/edit`,
    `/repositories/${namespace}/target/promotions?side=target`,
    `${at}/mirrors`,
    `${at}/mirrors/new`,
    `${at}/permissions`,
    `${at}/activity`,
    `${at}/settings`,
    `${at}/tags/1.0`,
    `${at}/tags/1.0/promote`,
    `${at}/tags/1.0/push`,
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
