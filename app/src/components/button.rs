//! Buttons, and links that look like them. Every one of them is labelled with a verb.

use leptos::{ev, prelude::*};
use leptos_router::components::A;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::live_form::cannot_submit;

/// How much a button asks for attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonKind {
    /// The one thing that this page or form is for.
    Primary,
    /// Everything else.
    #[default]
    Plain,
    /// In a table row, where a border would be noise.
    Quiet,
    /// What deletes.
    Danger,
}

impl ButtonKind {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "button primary",
            Self::Plain => "button",
            Self::Quiet => "button quiet",
            Self::Danger => "button danger",
        }
    }
}

/// A button. Without `on_press` it submits the form that it stands in, as soon as that can be sent.
#[component]
pub fn Button(
    /// How it looks.
    #[prop(optional)]
    kind: ButtonKind,
    /// What a press does, instead of submitting.
    #[prop(optional, into)]
    on_press: Option<Callback<()>>,
    /// Whether it submits the form nevertheless, for now.
    #[prop(optional, into)]
    submits: Signal<bool>,
    /// Whether it cannot be pressed now.
    #[prop(optional, into)]
    disabled: Signal<bool>,
    /// Whether what it started is still under way.
    #[prop(optional, into)]
    busy: Signal<bool>,
    /// The field's name, for forms that tell their submit buttons apart.
    #[prop(optional, into)]
    name: Option<String>,
    /// What the form is told when this button submits it.
    #[prop(optional, into)]
    value: Option<String>,
    /// The label.
    children: Children,
) -> impl IntoView {
    let presses = on_press.is_some();
    let submits = move || !presses || submits.get();
    let cannot_submit = cannot_submit();
    let too_early = move || submits() && cannot_submit.get();
    view! {
        <button
            type=move || if submits() { "submit" } else { "button" }
            class=kind.class()
            class:needs-script=presses
            name=name
            value=value
            disabled=move || disabled.get() || busy.get() || too_early()
            aria-busy=move || busy.get().then_some("true")
            on:click=move |_| {
                if let (Some(press), false) = (on_press, untrack(submits)) {
                    press.run(());
                }
            }
        >
            {children()}
        </button>
    }
}

/// A link that looks like a button: it leads to another page and changes nothing.
#[component]
pub fn ButtonLink(
    /// Where it leads.
    #[prop(into)]
    href: String,
    /// How it looks.
    #[prop(optional)]
    kind: ButtonKind,
    /// Whether it opens or closes a dialog: then it is a button, also to those who hear the page,
    /// and to the space bar.
    #[prop(optional)]
    dialog: bool,
    /// The label.
    children: Children,
) -> impl IntoView {
    let press = move |event: ev::KeyboardEvent| {
        let target = event.current_target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
        if let (true, " ", Some(link)) = (dialog, event.key().as_str(), target) {
            event.prevent_default();
            link.click();
        }
    };
    view! {
        <A
            href=href
            scroll=!dialog
            attr:class=kind.class()
            attr:role=dialog.then_some("button")
            on:keydown=press
        >
            {children()}
        </A>
    }
}
