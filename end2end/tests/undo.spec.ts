// Restoring and rolling back, immutable tags, and quotas.

import { DockerRegistry } from "../support/docker-registry.js";
import { digestOf, push } from "../support/image.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, open, screenshot, test } from "../support/test.js";

test.describe("restoring", () => {
  test.describe("a deleted tag", () => {
    // The page of a deleted tag returns 404 until the browser has left it.
    test.use({ expectedComplaints: [/status of 404/] });

    test("works from the list of deleted tags", async ({ page, longshore }) => {
      await organizations(longshore, "attic");
      const image = { host: longshore.host, name: "attic/box:1.0", user: longshore.admin };
      const digest = await push("attic", image);
      await signIn(page, longshore.admin, "/repositories/attic/box/tags");
      await page.getByLabel("Select 1.0").check();
      await page.getByRole("button", { name: "Delete the selected tags" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete the selected tags" }).click();
      await expect(page.getByRole("heading", { name: "No tags yet" })).toBeVisible();
      await page.getByRole("link", { name: "Deleted tags" }).click();
      await expect(page).toHaveURL("/repositories/attic/box/deleted-tags");
      await screenshot(page, "tags-deleted");
      await page.getByRole("button", { name: "Restore 1.0" }).click();
      const dialog = page.getByRole("dialog", { name: "Restore 1.0" });
      await expect(dialog.getByText("No policies or push mirrors will act on it.")).toBeVisible();
      await dialog.getByRole("button", { name: "Restore" }).click();
      await expect(page).toHaveURL("/repositories/attic/box/tags/1.0");
      await expect(page.getByText("restored by admin from revision")).toBeVisible();
      expect(await digestOf(image)).toBe(digest);
      await open(page, "/repositories/attic/box/deleted-tags");
      await expect(page.getByRole("heading", { name: "No deleted tags" })).toBeVisible();
      await screenshot(page, "tags-deleted-empty");
    });
  });

  test("an overwritten tag lets its policies act, or not", async ({ page, longshore }) => {
    await organizations(longshore, "lift");
    const image = { host: longshore.host, name: "lift/car:latest", user: longshore.admin };
    const first = await push("lift 1", image);
    const second = await push("lift 2", image);
    await repository(longshore, "lift/stable");
    await rest(longshore, "POST", "/repositories/lift/car/promotionPolicies?initialEvaluation=false", {
      rules: [{ field: "tag", operator: "eq", values: ["latest"] }],
      targetRepository: "lift/stable",
      tagTemplate: "%n",
    });
    await signIn(page, longshore.admin, "/repositories/lift/car/tags/latest");
    const history = page.getByRole("region", { name: "History" });
    await expect(history.getByRole("row")).toHaveCount(3);
    await screenshot(page, "tag-history");
    await history.getByRole("button", { name: "Roll back to revision" }).click();
    const dialog = page.getByRole("dialog", { name: "Roll back latest" });
    await expect(dialog.getByText("lift/stable:latest")).toBeVisible();
    await screenshot(page, "tag-roll-back");
    await dialog.getByRole("button", { name: "Roll back" }).click();
    await expect(page).toHaveURL("/repositories/lift/car/tags/latest");
    await expect(history.getByText("restored from revision")).toBeVisible();
    expect(await digestOf(image)).toBe(first);
    await expect.poll(async () => digestOf({ ...image, name: "lift/stable:latest" }).catch(() => "")).toBe(first);

    await history.getByRole("button", { name: "Roll back to revision" }).first().click();
    await dialog.getByLabel("Let them act").uncheck();
    await dialog.getByRole("button", { name: "Roll back" }).click();
    await expect(page.getByText("without running policies")).toBeVisible();
    expect(await digestOf(image)).toBe(second);
    expect(await digestOf({ ...image, name: "lift/stable:latest" })).toBe(first);
  });

  test("a repository works until it is purged, which requires its name", async ({ page, longshore }) => {
    await organizations(longshore, "scrap");
    const image = { host: longshore.host, name: "scrap/heap:1.0", user: longshore.admin };
    const digest = await push("scrap", image);
    const remove = async () => {
      await open(page, "/repositories/scrap/heap/settings");
      await page.getByRole("button", { name: "Delete the repository" }).click();
      const question = page.getByRole("dialog", { name: "Delete scrap/heap?" });
      await expect(question.getByText("It can be restored for a while.")).toBeVisible();
      await question.getByRole("button", { name: "Delete the repository" }).click();
      await expect(page).toHaveURL("/deleted-repositories");
    };
    await signIn(page, longshore.admin);
    await remove();
    await expect(digestOf(image)).rejects.toThrow();
    const row = page.getByRole("row", { name: "scrap/heap" });
    await screenshot(page, "repositories-deleted");
    await row.getByRole("button", { name: "Restore" }).click();
    await expect(page).toHaveURL("/repositories/scrap/heap");
    expect(await digestOf(image)).toBe(digest);

    await remove();
    await row.getByRole("button", { name: "Purge now" }).click();
    const dialog = page.getByRole("dialog", { name: "Purge scrap/heap" });
    const confirm = dialog.getByRole("button", { name: "Purge now" });
    await expect(confirm).toBeDisabled();
    await screenshot(page, "repository-purge");
    await dialog.getByLabel("Type scrap/heap to confirm").fill("scrap/heap");
    await confirm.click();
    await expect(page).toHaveURL("/deleted-repositories");
    await expect(row).toHaveCount(0);
    await screenshot(page, "repositories-deleted-purged");
  });
});

test("a mirrored tag that is rolled back is pinned until it is released", async ({ page, longshore }) => {
  const bot = { name: "bot", password: "let me mirror" };
  const elsewhere = await DockerRegistry.start({ user: bot });
  try {
    await organizations(longshore, "echo");
    await repository(longshore, "echo/copy");
    const upstream = { host: elsewhere.host, name: "vendor/app:1.0", user: bot };
    const copy = { host: longshore.host, name: "echo/copy:1.0", user: longshore.admin };
    const first = await push("echo 1", upstream);
    const path = "/repositories/echo/copy/pollMirroringPolicies";
    const mirror = (await rest(longshore, "POST", path, {
      remoteHost: elsewhere.url,
      remoteRepository: "vendor/app",
      username: bot.name,
      password: bot.password,
      enabled: true,
    })) as { id: string };
    await expect.poll(async () => digestOf(copy).catch(() => ""), { timeout: 20_000 }).toBe(first);
    const second = await push("echo 2", upstream);
    const sync = async () => {
      const job = (await rest(longshore, "POST", `${path}/${mirror.id}/sync`, {})) as { id: string };
      const status = async () => ((await rest(longshore, "GET", `/jobs/${job.id}`)) as { status: string }).status;
      await expect.poll(status, { timeout: 20_000 }).toBe("done");
      return digestOf(copy);
    };
    expect(await sync()).toBe(second);

    await signIn(page, longshore.admin, "/repositories/echo/copy/tags/1.0");
    const history = page.getByRole("region", { name: "History" });
    await history.getByRole("button", { name: "Roll back to revision" }).click();
    const dialog = page.getByRole("dialog", { name: "Roll back 1.0" });
    await expect(dialog.getByText("It will be pinned")).toBeVisible();
    await screenshot(page, "tag-roll-back-mirrored");
    await dialog.getByRole("button", { name: "Roll back" }).click();
    await expect(page.getByText("so its pull mirror does not move it")).toBeVisible();
    await screenshot(page, "tag-pinned");
    expect(await sync()).toBe(first);
    await open(page, "/repositories/echo/copy/tags");
    await expect(page.getByRole("link", { name: "PINNED" })).toBeVisible();

    await open(page, "/repositories/echo/copy/tags/1.0");
    await page.getByRole("button", { name: "Release" }).click();
    await expect(page.getByRole("button", { name: "Release" })).toBeHidden();
    expect(await sync()).toBe(second);
  } finally {
    await elsewhere.stop();
  }
});

test("tags that match an immutable pattern cannot be overwritten by a push", async ({ page, longshore }) => {
  await organizations(longshore, "vault");
  const user = longshore.admin;
  for (const tag of ["v1.0", "latest"]) {
    await push(`vault ${tag}`, { host: longshore.host, name: `vault/safe:${tag}`, user });
  }
  await signIn(page, user, "/repositories/vault/safe/settings");
  await page.getByLabel("Those that match").check();
  const patterns = page.getByLabel("Tags that are immutable");
  await patterns.fill("v[");
  await expect(page.getByText("a [ is not closed by a ]")).toBeVisible();
  await patterns.fill("v*");
  await expect(page.getByText("1 of 2 tags: v1.0")).toBeVisible();
  await screenshot(page, "settings-immutable");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("The settings are saved.")).toBeVisible();
  const refused = push("another", { host: longshore.host, name: "vault/safe:v1.0", user });
  await expect(refused).rejects.toThrow(/the tag v1\.0 of vault\/safe is immutable/);
  await push("another", { host: longshore.host, name: "vault/safe:latest", user });
  await open(page, "/repositories/vault/safe");
  await expect(page.getByText("Immutable tags: v*")).toBeVisible();
  await screenshot(page, "repository-info");
});

test("a quota is set, shown, and named to a push that exceeds it", async ({ page, longshore }) => {
  await organizations(longshore, "hut");
  const user = longshore.admin;
  await push("small", { host: longshore.host, name: "hut/stuff:1.0", user });
  await signIn(page, user, "/organizations");
  await page.getByRole("row", { name: "hut" }).getByRole("button", { name: "Storage" }).click();
  const dialog = page.getByRole("dialog", { name: "Storage of hut" });
  await expect(dialog.getByText("used, no limit")).toBeVisible();
  const quota = dialog.getByLabel("Quota");
  await quota.fill("lots");
  await expect(dialog.getByText("is not a size; enter a number and a unit")).toBeVisible();
  await quota.fill("9.3 EB");
  await expect(dialog.getByText("9.3 EB is too large")).toBeVisible();
  // Input entered while the server saves is kept.
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/fn/set_quota", async (route) => {
    await held;
    await route.continue();
  });
  await quota.fill("500 B");
  await dialog.getByRole("button", { name: "Save" }).click();
  await quota.fill("1.5 TB");
  answer();
  await expect(dialog.getByText("of 500 B used")).toBeVisible();
  await expect(quota).toHaveValue("1.5 TB");
  await expect(dialog.getByRole("progressbar", { name: "Storage used" })).toBeVisible();
  await screenshot(page, "organization-storage");
  const text = Array.from({ length: 400 }, (_, index) => Math.sin(index).toString()).join(" ");
  const refused = push(text, { host: longshore.host, name: "hut/stuff:2.0", user });
  await expect(refused).rejects.toThrow(/the namespace hut may hold 500 B/);
});
