//! Asking before what somebody typed is lost: by Escape, by a link, by closing a dialog. Who presses *Cancel* has
//! decided already.

use leptos::{ev, html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlAnchorElement, MouseEvent};

use super::{
    Button, ButtonKind,
    live_form::{discard, is_filled},
};
use crate::arrival::before_router;

/// Where somebody wants to go.
#[derive(Clone)]
pub(crate) enum Way {
    /// To another page of this site.
    Page {
        /// Its address.
        href: String,
        /// Whether it is shown from its beginning.
        scroll: bool,
    },
    /// Whatever this does.
    Out(Callback<()>),
}

/// Where somebody wants to go, until it is decided what becomes of what was typed.
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
    /// Asks whether to leave `part` of the page, if anything would be lost. Answers whether it asks.
    pub(crate) fn asks(self, part: Option<&Element>, way: Way) -> bool {
        let asks = is_filled(part);
        if asks {
            self.0.set(Some(way));
        }
        asks
    }

    /// Asks no more.
    pub(super) fn stay(self) {
        self.0.set(None);
    }
}

/// The question, and what notices that a link would lead away.
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
            // It fails on a dialog that is open or detached; this one is neither.
            let _ = dialog.show_modal();
        }
    });
    let navigate = StoredValue::new_local(use_navigate());
    // Closing it hands the focus back; taking it off the page would not.
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

/// The page of this site that a click leads to, where it leaves the present one.
fn leads_away(event: &MouseEvent) -> Option<Way> {
    let elsewhere =
        event.button() != 0 || event.meta_key() || event.ctrl_key() || event.shift_key() || event.alt_key();
    let link = event.target()?.dyn_into::<Element>().ok()?.closest("a[href]").ok()??;
    // Who presses Cancel has decided.
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
