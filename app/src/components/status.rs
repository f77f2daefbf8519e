//! Badges and alerts: the only places with status colours.

use leptos::prelude::*;

/// What a status means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Neither good nor bad.
    #[default]
    Neutral,
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Failed, or about to be lost.
    Bad,
    /// Under way, or worth knowing.
    Info,
}

impl Tone {
    /// The class that colours it.
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

/// A word or two about the state of a thing.
#[component]
pub fn Badge(
    /// What it means.
    #[prop(optional, into)]
    tone: Signal<Tone>,
    /// The words.
    children: Children,
) -> impl IntoView {
    view! { <span class=move || format!("badge {}", tone.get().class())>{children()}</span> }
}

/// A sentence that has to be read: what failed, or what was just done.
#[component]
pub fn Alert(
    /// What it means.
    tone: Tone,
    /// The sentence.
    children: Children,
) -> impl IntoView {
    // What failed interrupts those who hear the page; all else waits for them.
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    view! { <div class=format!("alert {}", tone.class()) role=role>{children()}</div> }
}
