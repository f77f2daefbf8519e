//! Asks before typed input is lost to Escape, a link, or the closing of a dialog. Pressing *Cancel* asks nothing.

use leptos::{ev, html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlAnchorElement, MouseEvent};

use super::{
    Button, ButtonKind,
    live_form::{discard, is_filled},
};
use crate::arrival::before_router;

/// Where the user wants to go.
#[derive(Clone)]
pub(crate) enum Way {
    /// Another page of this site.
    Page {
        href: String,
        /// Whether to scroll to the top.
        scroll: bool,
    },
    /// Any other way out.
    Out(Callback<()>),
}

/// The pending navigation, until the user decides about the typed input.
#[derive(Clone, Copy)]
pub(crate) struct Leaving(RwSignal<Option<Way>>);

/// Provides the question to the whole page. Called once, by the root component.
pub(crate) fn provide_leaving() {
    provide_context(Leaving(RwSignal::new(None)));
}

/// The question of the page.
pub(crate) fn use_leaving() -> Leaving {
    use_context().expect("the app provides the question")
}

impl Leaving {
    /// Asks whether to leave `part` of the page, if input would be lost. Returns whether it asks.
    pub(crate) fn asks(self, part: Option<&Element>, way: Way) -> bool {
        let asks = is_filled(part);
        if asks {
            self.0.set(Some(way));
        }
        asks
    }

    /// Closes the question and stays.
    pub(super) fn stay(self) {
        self.0.set(None);
    }
}

/// The question, and the listener for links that leave the page.
#[component]
pub(crate) fn LeaveQuestion() -> impl IntoView {
    let leaving = use_leaving();
    Effect::new(move |_| {
        before_router(move |event| {
            if let Some(way) = leads_away(&event)
                && leaving.asks(None, way)
            {
                event.prevent_default();
                event.stop_propagation();
            }
        });
    });
    view! {
        <Show when=move || leaving.0.with(Option::is_some)>
            <Question leaving=leaving/>
        </Show>
    }
}

#[component]
fn Question(leaving: Leaving) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if let Some(dialog) = dialog.get()
            && !dialog.open()
        {
            // Fails only if the dialog is already open or detached, which it is not.
            let _ = dialog.show_modal();
        }
    });
    let navigate = StoredValue::new_local(use_navigate());
    // Closing it restores the focus; removing it from the page would not.
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let leave = move || {
        let way = leaving.0.get_untracked();
        close();
        discard();
        match way {
            Some(Way::Page { href, scroll }) => navigate.with_value(|navigate| {
                navigate(&href, NavigateOptions { scroll, ..Default::default() });
            }),
            Some(Way::Out(go)) => go.run(()),
            None => {}
        }
    };
    view! {
        <dialog
            class="confirm"
            role="alertdialog"
            aria-labelledby="leave-title"
            node_ref=dialog
            on:close=move |_: ev::Event| leaving.stay()
        >
            <h2 id="leave-title">"Discard what you entered?"</h2>
            <div class="confirm-text"><p>"It has not been saved."</p></div>
            <div class="form-actions">
                <Button on_press=close>"Keep editing"</Button>
                <Button kind=ButtonKind::Danger on_press=leave>"Discard"</Button>
            </div>
        </dialog>
    }
}

/// The page of this site that a click leads to, if it leaves the current one.
fn leads_away(event: &MouseEvent) -> Option<Way> {
    let elsewhere =
        event.button() != 0 || event.meta_key() || event.ctrl_key() || event.shift_key() || event.alt_key();
    let link = event.target()?.dyn_into::<Element>().ok()?.closest("a[href]").ok()??;
    // Pressing Cancel is a decision.
    let decided = link.closest(".form-actions").ok()?.is_some();
    let link: HtmlAnchorElement = link.dyn_into().ok()?;
    let here = window().location();
    let stays = link.pathname() == here.pathname().ok()?;
    let external =
        link.origin() != here.origin().ok()? || !link.target().is_empty() || link.rel().contains("external");
    (!elsewhere && !decided && !stays && !external).then(|| Way::Page {
        href: format!("{}{}{}", link.pathname(), link.search(), link.hash()),
        scroll: !link.has_attribute("data-noscroll"),
    })
}
