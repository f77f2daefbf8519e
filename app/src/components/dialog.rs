//! Dialogs that have an address. Without script, or before it is loaded, one is a plain page; with
//! it, a modal one over the page behind.

use leptos::{ev, html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{Way, live_form::is_field_within, use_leaving};

/// A dialog that is open as long as one is at its address.
#[component]
pub fn RouteDialog(
    /// What it is for: "New mirror".
    #[prop(into)]
    title: String,
    /// Where closing leads: the page behind it.
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
        // It fails on a dialog that is open or detached; this one is neither.
        let _ = dialog.show_modal();
        // Opening it moves the focus to what comes first in it, even from a field in which somebody types.
        if let Some(field) = typing {
            let _ = field.focus();
        }
        // A dialog that is closed hands the focus back by itself; one that is taken off the page does not.
        let opener = StoredValue::new_local(opener);
        on_cleanup(move || {
            if let Some(Some(opener)) = opener.try_get_value() {
                // Whether the opener is still on the page is for it to know.
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
    // Browsers close a dialog at the second Escape in a row, whatever was made of the first.
    let reopen = move |_| {
        if let Some(dialog) = dialog.get_untracked().filter(|dialog| dialog.is_connected() && !dialog.open())
        {
            // A question that was asked meanwhile would lie below it, where nobody can answer it.
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
