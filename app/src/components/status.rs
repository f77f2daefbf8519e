//! Badges and alerts: the only places with status colours.

use leptos::prelude::*;

/// The meaning of a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Neutral,
    Ok,
    /// Worth a look.
    Warn,
    /// Failed, or about to be lost.
    Bad,
    /// In progress, or worth knowing.
    Info,
}

impl Tone {
    /// Its CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Neutral => "tone-neutral",
            Self::Ok => "tone-ok",
            Self::Warn => "tone-warn",
            Self::Bad => "tone-bad",
            Self::Info => "tone-info",
        }
    }
}

/// A word or two about a state.
#[component]
pub fn Badge(#[prop(optional, into)] tone: Signal<Tone>, children: Children) -> impl IntoView {
    view! { <span class=move || format!("badge {}", tone.get().class())>{children()}</span> }
}

/// A message that must be read: an error, or the result of an action.
#[component]
pub fn Alert(tone: Tone, children: Children) -> impl IntoView {
    // Screen readers announce errors immediately and everything else when idle.
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    view! { <div class=format!("alert {}", tone.class()) role=role>{children()}</div> }
}
