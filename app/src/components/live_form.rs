//! Forms that nothing but a script can send, and when they can.
//!
//! They are of use once the browser has taken the page over. Until then, or without script, neither Enter nor a
//! button may do anything: the browser would send what stands in the fields to an address that takes no form. So
//! their submit buttons are disabled until the page is live, which keeps Enter from sending as well, and without
//! script they say what they need.

use leptos::{context::Provider, ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, HtmlFormElement, HtmlInputElement};

/// Whether the browser has taken the page over, so that it answers to clicks.
#[derive(Clone, Copy)]
struct Live(RwSignal<bool>);

/// Around everything that nothing but a script can send: the form.
#[derive(Clone, Copy)]
struct NeedsScript(NodeRef<html::Form>);

/// What stands in a form without script. It is set as text: browsers with script see no elements in there.
const WITHOUT_SCRIPT: &str = "<p class=\"alert tone-warn\">This form needs JavaScript, which is switched off or blocked \
                              in this browser. The REST API can do the same.</p>";

/// The fields that one types into or chooses from.
const FIELDS: &str = "input:not([type=hidden], :disabled), textarea:not(:disabled), select:not(:disabled)";

/// Announces when the page answers to clicks: to its forms, to styles (`.needs-script` is hidden until then) and to
/// tests. Called once, by the root component.
pub(crate) fn announce_hydration() {
    let live = RwSignal::new(false);
    provide_context(Live(live));
    Effect::new(move |_| {
        live.set(true);
        if let Some(root) = document().document_element() {
            // Setting an attribute of a plain name cannot fail.
            let _ = root.set_attribute("data-hydrated", "");
        }
    });
}

/// Whether a submit button here would do nothing yet.
pub(super) fn cannot_submit() -> Signal<bool> {
    match (use_context::<NeedsScript>(), use_context::<Live>()) {
        (Some(NeedsScript(_)), Some(Live(live))) => Signal::derive(move || !live.get()),
        _ => Signal::stored(false),
    }
}

/// Says that something was entered in the form around, other than by typing in one of its fields.
pub(super) fn use_filling() -> impl Fn() + Copy + Send + Sync + 'static {
    let form = use_context::<NeedsScript>();
    move || {
        if let Some(form) = form.and_then(|NeedsScript(form)| form.get_untracked())
            && let Ok(event) = Event::new("input")
        {
            // Only an event that is being dispatched already could not be.
            let _ = form.dispatch_event(&event);
        }
    }
}

/// A form that a script sends. In a dialog, its first field gets the focus.
#[component]
pub fn LiveForm(
    /// How it is laid out.
    #[prop(optional)]
    class: &'static str,
    /// Sends it.
    #[prop(into)]
    on_submit: Callback<()>,
    /// Whether what stands in it is saved, where it stays on the page afterwards.
    #[prop(optional, into)]
    saved: Signal<bool>,
    /// Whether it is being saved, where it stays on the page afterwards.
    #[prop(optional, into)]
    saving: Signal<bool>,
    /// The fields and buttons.
    children: Children,
) -> impl IntoView {
    let form = NodeRef::<html::Form>::new();
    Effect::new(move |_| {
        if let Some(form) = form.get() {
            // The dialog around is opened in this turn.
            request_animation_frame(move || focus_first_field(&form));
        }
    });
    // What is typed while it is being saved is not saved with it.
    let typed = StoredValue::new(false);
    Effect::new(move |_| {
        if saving.get() {
            typed.set_value(false);
        }
    });
    Effect::new(move |_| {
        if let (true, false, Some(form)) = (saved.get(), typed.get_value(), form.get()) {
            // Removing an attribute of a plain name cannot fail.
            let _ = form.remove_attribute(FILLED);
        }
    });
    let fill = move || {
        typed.set_value(true);
        if let Some(form) = form.get_untracked() {
            let _ = form.set_attribute(FILLED, "");
        }
    };
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        on_submit.run(());
    };
    view! {
        // Were it ever sent by itself, nothing that was typed could come to stand in an address.
        <form
            class=class
            method="post"
            data-needs-script=""
            node_ref=form
            on:submit=submit
            on:input=move |_| fill()
            on:change=move |_| fill()
        >
            <noscript inner_html=WITHOUT_SCRIPT></noscript>
            <Provider value=NeedsScript(form)>{children()}</Provider>
        </form>
    }
}

/// Marks a form in which somebody has entered something that is not saved.
const FILLED: &str = "data-filled";

/// A form of `within`, or of the whole page, in which something would be lost.
fn filled(within: Option<&Element>) -> Option<Element> {
    let selector = format!("form[{FILLED}]");
    match within {
        Some(element) => element.query_selector(&selector),
        None => document().query_selector(&selector),
    }
    .ok()
    .flatten()
}

/// Whether something would be lost if `within`, or the whole page, were left.
pub(crate) fn is_filled(within: Option<&Element>) -> bool {
    filled(within).is_some()
}

/// Forgets what was entered in the open dialog, or else on the page: it was decided that it may be lost.
pub(crate) fn discard() {
    let dialog = document().query_selector("dialog:modal").ok().flatten();
    while let Some(form) = filled(dialog.as_ref()) {
        // Removing an attribute of a plain name cannot fail.
        let _ = form.remove_attribute(FILLED);
    }
}

/// Whether somebody is typing or choosing in a field of this part of the page.
pub(super) fn is_field_within(focused: &Element, within: &Element) -> bool {
    within.contains(Some(focused)) && focused.matches(FIELDS).unwrap_or(false)
}

/// Focuses the first field of a dialog's form, unless one of its fields has the focus already.
fn focus_first_field(form: &HtmlFormElement) {
    let Ok(Some(dialog)) = form.closest("dialog:modal") else { return };
    if document().active_element().is_some_and(|focused| is_field_within(&focused, &dialog)) {
        return;
    }
    let Ok(Some(first)) = form.query_selector(FIELDS) else { return };
    // Of several choices, the one that is chosen is where the keys go.
    let chosen =
        first.dyn_ref::<HtmlInputElement>().filter(|input| input.type_() == "radio").and_then(|input| {
            form.query_selector(&format!("input[name=\"{}\"]:checked", input.name())).ok().flatten()
        });
    if let Some(field) = chosen.unwrap_or(first).dyn_ref::<HtmlElement>() {
        // Focusing an element that is on the page cannot fail.
        let _ = field.focus();
    }
}
