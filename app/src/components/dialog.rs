//! Dialogs with an address. Without script, or before it has loaded, a dialog is a plain page; with script, it is modal
//! over the page behind it.

use leptos::{ev, html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{Way, live_form::is_field_within, use_leaving};

/// A dialog that is open as long as the browser is at its address.
#[component]
pub fn RouteDialog(
    /// The title: "New mirror".
    #[prop(into)]
    title: String,
    /// The page behind it, to which closing leads.
    #[prop(into)]
    back: String,
    /// The form.
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        let opener = document().active_element().and_then(|element| element.dyn_into::<HtmlElement>().ok());
        let typing = opener.clone().filter(|focused| is_field_within(focused, &dialog));
        // Fails only if the dialog is already open or detached, which it is not.
        let _ = dialog.show_modal();
        // Opening moves the focus to the first element, even away from a field the user is typing in.
        if let Some(field) = typing {
            let _ = field.focus();
        }
        // A dialog that is closed restores the focus by itself; one that is removed from the page does not.
        let opener = StoredValue::new_local(opener);
        on_cleanup(move || {
            if let Some(Some(opener)) = opener.try_get_value() {
                // The opener may no longer be on the page; focusing it is then a no-op.
                request_animation_frame(move || drop(opener.focus()));
            }
        });
    });

    let (navigate, leaving) = (use_navigate(), use_leaving());
    let leave = {
        let back = back.clone();
        move |event: ev::Event| {
            event.prevent_default();
            let part = dialog.get_untracked().map(Element::from);
            let way = Way::Page { href: back.clone(), scroll: false };
            if !leaving.asks(part.as_ref(), way) {
                navigate(&back, NavigateOptions { replace: true, scroll: false, ..Default::default() });
            }
        }
    };
    // Browsers close a dialog on the second Escape in a row, even if the first was cancelled.
    let reopen = move |_| {
        if let Some(dialog) = dialog.get_untracked().filter(|dialog| dialog.is_connected() && !dialog.open())
        {
            // A question opened meanwhile would lie below it, out of reach.
            leaving.stay();
            let _ = dialog.show_modal();
        }
    };
    view! {
        <dialog class="route-dialog" aria-labelledby="dialog-title" node_ref=dialog on:cancel=leave on:close=reopen>
            <header class="dialog-head">
                <h2 id="dialog-title">{title}</h2>
                <a class="button quiet" href=back aria-label="Close" title="Close" data-noscroll="">"✕"</a>
            </header>
            {children()}
        </dialog>
    }
}
