//! Forms that only script can send.
//!
//! Until the browser has hydrated the page, or without script, neither Enter nor a button may do anything: the browser
//! would submit the fields to an address that accepts no form. Submit buttons are therefore disabled until the page is
//! live, which also keeps Enter from submitting, and without script a message says what they need.

use leptos::{context::Provider, ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, HtmlFormElement, HtmlInputElement};

/// Whether the page is hydrated and responds to clicks.
#[derive(Clone, Copy)]
struct Live(RwSignal<bool>);

/// Context inside a form that only script can send.
#[derive(Clone, Copy)]
struct NeedsScript(NodeRef<html::Form>);

/// Shown in a form without script. Set as text, since browsers with script parse no elements inside `<noscript>`.
const WITHOUT_SCRIPT: &str = "<p class=\"alert tone-warn\">This form needs JavaScript, which is switched off or blocked \
                              in this browser. The REST API can do the same.</p>";

/// The fields a user can type into or choose from.
const FIELDS: &str = "input:not([type=hidden], :disabled), textarea:not(:disabled), select:not(:disabled)";

/// Announces that the page responds to clicks: to its forms, to styles (`.needs-script` is hidden until then) and to
/// tests. Called once, by the root component.
pub(crate) fn announce_hydration() {
    let live = RwSignal::new(false);
    provide_context(Live(live));
    Effect::new(move |_| {
        live.set(true);
        if let Some(root) = document().document_element() {
            // Setting an attribute with a valid name cannot fail.
            let _ = root.set_attribute("data-hydrated", "");
        }
    });
}

/// Whether a submit button here cannot work yet.
pub(super) fn cannot_submit() -> Signal<bool> {
    match (use_context::<NeedsScript>(), use_context::<Live>()) {
        (Some(NeedsScript(_)), Some(Live(live))) => Signal::derive(move || !live.get()),
        _ => Signal::stored(false),
    }
}

/// Marks the surrounding form as changed by something other than typing in a field.
pub(super) fn use_filling() -> impl Fn() + Copy + Send + Sync + 'static {
    let form = use_context::<NeedsScript>();
    move || {
        if let Some(form) = form.and_then(|NeedsScript(form)| form.get_untracked())
            && let Ok(event) = Event::new("input")
        {
            // Fails only for an event that is already being dispatched.
            let _ = form.dispatch_event(&event);
        }
    }
}

/// A form that script sends. In a dialog, its first field gets the focus.
#[component]
pub fn LiveForm(
    #[prop(optional)] class: &'static str,
    #[prop(into)] on_submit: Callback<()>,
    /// Whether its contents are saved, for a form that stays on the page.
    #[prop(optional, into)]
    saved: Signal<bool>,
    /// Whether it is being saved, for a form that stays on the page.
    #[prop(optional, into)]
    saving: Signal<bool>,
    children: Children,
) -> impl IntoView {
    let form = NodeRef::<html::Form>::new();
    Effect::new(move |_| {
        if let Some(form) = form.get() {
            // The surrounding dialog opens in the same turn.
            request_animation_frame(move || focus_first_field(&form));
        }
    });
    // Input typed during a save is not part of it.
    let typed = StoredValue::new(false);
    Effect::new(move |_| {
        if saving.get() {
            typed.set_value(false);
        }
    });
    Effect::new(move |_| {
        if let (true, false, Some(form)) = (saved.get(), typed.get_value(), form.get()) {
            // Removing an attribute with a valid name cannot fail.
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
        // With method POST, typed input cannot end up in an address even if the browser submits the form itself.
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

/// Marks a form with unsaved input.
const FILLED: &str = "data-filled";

/// A form inside `within`, or anywhere on the page, with unsaved input.
fn filled(within: Option<&Element>) -> Option<Element> {
    let selector = format!("form[{FILLED}]");
    match within {
        Some(element) => element.query_selector(&selector),
        None => document().query_selector(&selector),
    }
    .ok()
    .flatten()
}

/// Whether leaving `within`, or the whole page, would lose input.
pub(crate) fn is_filled(within: Option<&Element>) -> bool {
    filled(within).is_some()
}

/// Forgets the input in the open dialog, or else on the page, once the user has decided to discard it.
pub(crate) fn discard() {
    let dialog = document().query_selector("dialog:modal").ok().flatten();
    while let Some(form) = filled(dialog.as_ref()) {
        // Removing an attribute with a valid name cannot fail.
        let _ = form.remove_attribute(FILLED);
    }
}

/// Whether the focus is in a field of this part of the page.
pub(super) fn is_field_within(focused: &Element, within: &Element) -> bool {
    within.contains(Some(focused)) && focused.matches(FIELDS).unwrap_or(false)
}

/// Focuses the first field of a dialog's form, unless the focus is already in one of its fields.
fn focus_first_field(form: &HtmlFormElement) {
    let Ok(Some(dialog)) = form.closest("dialog:modal") else { return };
    if document().active_element().is_some_and(|focused| is_field_within(&focused, &dialog)) {
        return;
    }
    let Ok(Some(first)) = form.query_selector(FIELDS) else { return };
    // In a radio group, the focus belongs on the chosen one.
    let chosen =
        first.dyn_ref::<HtmlInputElement>().filter(|input| input.type_() == "radio").and_then(|input| {
            form.query_selector(&format!("input[name=\"{}\"]:checked", input.name())).ok().flatten()
        });
    if let Some(field) = chosen.unwrap_or(first).dyn_ref::<HtmlElement>() {
        // Focusing an element on the page cannot fail.
        let _ = field.focus();
    }
}
