//! All repositories: the list, and the dialog that makes one.

mod calls;
mod deleted;
mod flows;
mod list;
mod new;

pub(super) use flows::Flows;

use leptos::prelude::*;
use longshore_model::{RepositoryState, Visibility};

use crate::{
    components::Choice,
    routes::{Reader, Route, Section},
};

/// The list with the dialog over it, and that of the deleted ones.
pub(super) const SECTION: Section = Section {
    label: "Repositories",
    reader: Reader::Anybody,
    key: Some("r"),
    page: Route::new("/repositories", || list::Repositories().into_any()).with_dialogs(&[new::PAGE]),
    more: &[deleted::PAGE],
};

/// What is said of a state, in its order.
pub(crate) const STATES: [(RepositoryState, &str, &str); 3] = [
    (RepositoryState::Normal, "Normal", "Whoever may act in the namespace may push."),
    (RepositoryState::ReadOnly, "Read only", "Nobody may push, move or delete tags."),
    (RepositoryState::Mirror, "Mirror", "Only the repository's own pull mirrors write."),
];

/// A state in words.
pub(crate) fn state_label(state: RepositoryState) -> &'static str {
    STATES.iter().find(|(known, ..)| *known == state).map_or("", |(_, label, _)| label)
}

/// The state that a word in an address or a form means.
pub(crate) fn state_of(word: &str) -> Option<RepositoryState> {
    STATES.iter().map(|(state, ..)| *state).find(|state| state.as_str() == word)
}

/// Visibility in words.
pub(crate) fn visibility_label(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "Public",
        Visibility::Private => "Private",
    }
}

/// Both kinds of visibility, to choose from.
pub(crate) fn visibility_choices() -> Vec<Choice> {
    vec![
        Choice::new("private", "Private").with_hint("Those who may act in the namespace pull."),
        Choice::new("public", "Public").with_hint("Everybody pulls, signed in or not."),
    ]
}

/// The visibility that a word in a form means.
pub(crate) fn visibility_of(word: &str) -> Visibility {
    if word == Visibility::Public.as_str() { Visibility::Public } else { Visibility::Private }
}
