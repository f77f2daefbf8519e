// Two users edit the same object: the second to save gets a conflict, keeps the input, and chooses how to resolve it.

import { DockerRegistry } from "../support/docker-registry.js";
import type { Longshore } from "../support/longshore.js";
import { organizations, repository, rest, signIn } from "../support/session.js";
import { expect, open, screenshot, test, type Page } from "../support/test.js";

const mine = { discard: "Discard mine and load theirs", keep: "Save mine over theirs" };

interface Form {
  thing: string;
  path: string;
  /** The field that both users edit. */
  field: string;
  /** The message about the conflicting change. */
  changed: RegExp;
  /** Waits until the form can be saved. */
  ready?: (page: Page) => Promise<void>;
  /** Waits until the page shows that the form was saved. */
  saved: (page: Page) => Promise<void>;
  /** The stored value of the field. */
  stored: (longshore: Longshore) => Promise<unknown>;
}

const leaves = (path: string) => (page: Page) => expect(page).toHaveURL(path);

async function member(longshore: Longshore, path: string, name: string): Promise<unknown> {
  return ((await rest(longshore, "GET", path)) as Record<string, unknown>)[name];
}

test.describe("the second of two users to save", () => {
  test.use({ expectedComplaints: [/status of 409/] });

  let elsewhere: DockerRegistry;
  const forms: Form[] = [];

  test.beforeAll(async ({ longshore }) => {
    elsewhere = await DockerRegistry.start();
    await organizations(longshore, "together");
    for (const name of ["together/website", "together/target"]) await repository(longshore, name);
    const at = "/repositories/together/website";
    const make = async (path: string, body: unknown) =>
      ((await rest(longshore, "POST", path, body)) as { id: string }).id;
    const policy = await make(`${at}/promotionPolicies`, {
      rules: [],
      targetRepository: "together/target",
      tagTemplate: "%n",
      enabled: true,
    });
    const remote = await make("/remotes", { name: "staging", url: elsewhere.url });
    const mirror = await make(`${at}/pushMirroringPolicies`, {
      remoteId: remote,
      remoteRepository: "copies/website",
      rules: [],
      tagTemplate: "%n",
      enabled: true,
    });
    forms.push(
      {
        thing: "promotion policy",
        path: `${at}/promotions/${policy}/edit`,
        field: "Tag name in target",
        changed: /admin changed the tag template of this promotion policy after you loaded it/,
        saved: leaves(`${at}/promotions`),
        stored: (server) => member(server, `${at}/promotionPolicies/${policy}`, "tagTemplate"),
      },
      {
        thing: "mirror",
        path: `${at}/mirrors/${mirror}/edit`,
        field: "Tag name in target",
        changed: /admin changed the tag template of this push mirror after you loaded it/,
        saved: leaves(`${at}/mirrors`),
        stored: (server) => member(server, `${at}/pushMirroringPolicies/${mirror}`, "tagTemplate"),
      },
      {
        thing: "remote",
        path: `/remotes/${remote}`,
        field: "Name",
        changed: /admin changed the name of this remote after you loaded it/,
        saved: leaves("/remotes"),
        stored: (server) => member(server, `/remotes/${remote}`, "name"),
      },
      {
        thing: "repository",
        path: `${at}/settings`,
        field: "Short description",
        changed: /admin changed a description of this repository after you loaded it/,
        saved: (page) => expect(page.getByText("The settings are saved.")).toBeVisible(),
        stored: (server) => member(server, at, "shortDescription"),
      },
    );
  });

  test.afterAll(async () => elsewhere.stop());

  for (const [index, thing] of ["promotion policy", "mirror", "remote", "repository"].entries()) {
    test(`a ${thing} sees the conflict, keeps the input, and chooses`, async ({ page, context, longshore }) => {
      const form = forms[index]!;
      expect(form.thing).toBe(thing);
      const field = (tab: Page) => tab.getByLabel(form.field, { exact: true });
      const save = (tab: Page) => tab.getByRole("button", { name: "Save", exact: true }).click();
      await signIn(page, longshore.admin);
      const other = await context.newPage();
      const begin = async (tab: Page, text: string) => {
        await open(tab, form.path);
        await field(tab).fill(text);
      };

      await test.step("the second save changes nothing and keeps the input", async () => {
        await begin(page, "second");
        await begin(other, "first");
        await save(other);
        await form.saved(other);
        await save(page);
        const alert = page.getByRole("alert").filter({ hasText: form.changed });
        await expect(alert).toBeVisible();
        await expect(alert).toBeInViewport();
        await expect(field(page)).toHaveValue("second");
        expect(await form.stored(longshore)).toBe("first");
        await screenshot(page, `conflict-${form.thing.replace(" ", "-")}`);
        // Saving again does not bypass the check.
        await save(page);
        await expect(page.getByRole("alert").filter({ hasText: form.changed })).toBeVisible();
        expect(await form.stored(longshore)).toBe("first");
      });

      await test.step("the user may discard the input and load what the other saved", async () => {
        await page.getByRole("button", { name: mine.discard }).click();
        await expect(field(page)).toHaveValue("first");
        await expect(page.getByRole("alert")).toBeHidden();
      });

      await test.step("or overwrite it explicitly", async () => {
        await begin(page, "fourth");
        await begin(other, "third");
        await save(other);
        await form.saved(other);
        await save(page);
        await page.getByRole("button", { name: mine.keep }).click();
        await form.saved(page);
        expect(await form.stored(longshore)).toBe("fourth");
      });
    });
  }
});
