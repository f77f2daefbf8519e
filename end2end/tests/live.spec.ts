// Live updates: changes by another user, or in another tab, appear without a reload.

import { push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, open, test } from "../support/test.js";

test("changes made elsewhere appear on every list", async ({ page, context, longshore }) => {
  test.setTimeout(90_000);
  await organizations(longshore, "alive");
  await repository(longshore, "alive/website");
  await repository(longshore, "alive/target");
  await signIn(page, longshore.admin);
  const see = async (path: string, change: () => Promise<unknown>, seen: (tab: typeof page) => Promise<void>) => {
    const tab = await context.newPage();
    const following = tab.waitForResponse((response) => response.url().includes("/events?"));
    await open(tab, path);
    await following;
    await change();
    await seen(tab);
    await tab.close();
  };
  await see(
    "/repositories?q=alive",
    () => repository(longshore, "alive/newcomer"),
    (tab) => expect(tab.getByRole("link", { name: "alive/newcomer" })).toBeVisible(),
  );
  await see(
    "/remotes",
    () => rest(longshore, "POST", "/remotes", { name: "lively", url: "https://lively.example.com" }),
    (tab) => expect(tab.getByRole("link", { name: "lively" })).toBeVisible(),
  );
  await see(
    "/repositories/alive/website/promotions",
    () =>
      rest(longshore, "POST", "/repositories/alive/website/promotionPolicies", {
        rules: [],
        targetRepository: "alive/target",
        tagTemplate: "%n",
        enabled: true,
      }),
    (tab) => expect(tab.getByRole("row", { name: "alive/target" })).toBeVisible(),
  );
  await see(
    "/repositories/alive/website",
    () => push("alive", { host: longshore.host, name: "alive/website:1.0", user: longshore.admin }),
    (tab) => expect(tab.getByText("docker pull")).toContainText("alive/website:1.0"),
  );
  await see(
    "/system",
    () => rest(longshore, "PUT", "/pauses/namespaces/alive"),
    (tab) => expect(tab.getByRole("main").getByText("is paused by admin")).toBeVisible(),
  );
  await see(
    "/organizations?q=alive",
    () => organizations(longshore, "alive-as-well"),
    (tab) => expect(tab.getByRole("row", { name: "alive-as-well" })).toBeVisible(),
  );
  await see(
    "/deleted-repositories",
    () => repository(longshore, "alive/other").then(() => rest(longshore, "DELETE", "/repositories/alive/other")),
    (tab) => expect(tab.getByRole("row", { name: "alive/other" })).toBeVisible(),
  );
  await rest(longshore, "DELETE", "/pauses/namespaces/alive?queued=drop");
});
