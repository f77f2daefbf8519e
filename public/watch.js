// What the site's program cannot do for itself: notice that it has died or never came, and that the server was
// updated under it. Each page loads it by itself, before the program, and it needs nothing.
(() => {
  "use strict";
  /** When the page was last reloaded from here; a page that dies again within this pause waits for a click. */
  const RELOADED = "longshore-reloaded";
  const PAUSE = 60_000;
  /** How long to wait for a server that does not answer, and between two looks for an update. */
  const RETRY = 5_000;
  const LOOK = 60_000;
  /** Names the files that the server serves now. */
  const CURRENT = "/pkg/current";

  const hydrated = () => document.documentElement.hasAttribute("data-hydrated");
  let [dead, leaving, looked, note, due] = [false, false, 0];
  addEventListener("pagehide", () => (leaving = true));
  addEventListener("beforeunload", () => (leaving = true));
  addEventListener("pageshow", () => (leaving = false));

  function say(text, mayReload = true) {
    // What came later matters more: a page that has died says so, even where the server was updated before.
    note?.remove();
    note = document.createElement("div");
    note.className = "page-note";
    note.setAttribute("role", "alert");
    note.append(text);
    if (mayReload) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button";
      button.textContent = "Reload";
      button.addEventListener("click", reload);
      note.append(button);
    }
    // What lies outside of a modal dialog cannot be clicked.
    (document.querySelector("dialog:modal") ?? document.body).append(note);
  }

  function reload() {
    try {
      sessionStorage.setItem(RELOADED, String(Date.now()));
    } catch {
      // Without storage, the page is reloaded by a click alone.
    }
    // With its fragment, the address would be no more than a place on this page.
    location.replace(location.href.split("#", 1)[0]);
  }

  /** Whether the page may be reloaded without asking: it was not just now, and nothing that was typed would be lost. */
  function mayReload() {
    const typed = [...document.querySelectorAll("form[method=post] :is(input, textarea)")].some(
      (field) => field.type !== "hidden" && (field.value !== field.defaultValue || field.checked !== field.defaultChecked),
    );
    try {
      return !typed && Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) > PAUSE;
    } catch {
      return false;
    }
  }

  function die(text) {
    if (dead || leaving) return;
    dead = true;
    if (mayReload()) {
      say(`${text} It is being reloaded.`, false);
      // Somebody may have typed something while the server was away.
      whenServed(() => (mayReload() ? reload() : say(text)));
    } else {
      say(text);
    }
  }

  function whenServed(then) {
    const later = () => setTimeout(() => whenServed(then), RETRY);
    fetch(CURRENT, { cache: "no-store" }).then((answer) => (answer.status < 500 ? then() : later()), later);
  }

  addEventListener("error", (event) => {
    if (event.error instanceof WebAssembly.RuntimeError) die("This page has stopped working.");
  });
  addEventListener("unhandledrejection", (event) => {
    if (event.reason instanceof WebAssembly.RuntimeError) die("This page has stopped working.");
    else if (!hydrated()) die("This page could not be loaded completely.");
  });
  // What only the program can send is not sent once it is dead.
  addEventListener(
    "submit",
    (event) => {
      if ((dead || !hydrated()) && event.target.matches("[data-needs-script]")) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    },
    true,
  );

  /** Says that the server has other files than those that this page was made with. */
  async function lookForUpdate() {
    if (document.hidden || dead || note || due) return;
    const early = looked + LOOK - Date.now();
    if (early > 0) {
      due = setTimeout(() => ((due = undefined), lookForUpdate()), early);
      return;
    }
    looked = Date.now();
    const own = /\/pkg\/([0-9a-f]+)\//.exec(document.getElementById("style")?.href ?? "")?.[1];
    const answer = await fetch(CURRENT, { cache: "no-store" }).catch(() => undefined);
    if (!own || !answer?.ok) return;
    const current = (await answer.text()).trim();
    if (/^[0-9a-f]+$/.test(current) && current !== own && !dead) {
      say("Longshore was updated since this page was loaded. Reload it to go on with the new version.");
    }
  }
  document.addEventListener("visibilitychange", lookForUpdate);
  // The program tells when a lost connection is back, which is when a server has been restarted.
  addEventListener("longshore-reconnected", lookForUpdate);
})();
