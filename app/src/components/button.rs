//! Buttons, and links that look like buttons. Every label is a verb.

use leptos::{ev, prelude::*};
use leptos_router::components::A;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::live_form::cannot_submit;

/// How prominent a button is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonKind {
    /// The main action of the page or form.
    Primary,
    /// Every other action.
    #[default]
    Plain,
    /// In a table row, where a border would be noise.
    Quiet,
    /// Deletes something.
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

/// A button. Without `on_press` it submits its form once that can be sent.
#[component]
pub fn Button(
    #[prop(optional)] kind: ButtonKind,
    /// Called on a press, instead of submitting the form.
    #[prop(optional, into)]
    on_press: Option<Callback<()>>,
    /// Whether it currently submits the form despite `on_press`.
    #[prop(optional, into)]
    submits: Signal<bool>,
    #[prop(optional, into)] disabled: Signal<bool>,
    /// Whether the action it started is still running.
    #[prop(optional, into)]
    busy: Signal<bool>,
    /// The field name, for forms that tell their submit buttons apart.
    #[prop(optional, into)]
    name: Option<String>,
    /// The field value that is sent when this button submits the form.
    #[prop(optional, into)]
    value: Option<String>,
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

/// A link that looks like a button: it navigates and changes nothing.
#[component]
pub fn ButtonLink(
    #[prop(into)] href: String,
    #[prop(optional)] kind: ButtonKind,
    /// Whether it opens or closes a dialog. If so it behaves as a button for screen readers and the space bar.
    #[prop(optional)]
    dialog: bool,
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
