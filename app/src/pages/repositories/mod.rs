//! All repositories: the list, and the dialog that creates one.

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

/// The list with its dialog, and the list of deleted repositories.
pub(super) const SECTION: Section = Section {
    label: "Repositories",
    reader: Reader::Anybody,
    key: Some("r"),
    page: Route::new("/repositories", || list::Repositories().into_any()).with_dialogs(&[new::PAGE]),
    more: &[deleted::PAGE],
};

/// Every state with its label and description, in the order shown.
pub(crate) const STATES: [(RepositoryState, &str, &str); 3] = [
    (RepositoryState::Normal, "Normal", "Namespace owners can push."),
    (RepositoryState::ReadOnly, "Read only", "Nobody can push, move or delete tags."),
    (RepositoryState::Mirror, "Mirror", "Only the repository's own pull mirrors can write."),
];

/// The label of a state.
pub(crate) fn state_label(state: RepositoryState) -> &'static str {
    STATES.iter().find(|(known, ..)| *known == state).map_or("", |(_, label, _)| label)
}

/// The state for a word in an address or form.
pub(crate) fn state_of(word: &str) -> Option<RepositoryState> {
    STATES.iter().map(|(state, ..)| *state).find(|state| state.as_str() == word)
}

/// The label of a visibility.
pub(crate) fn visibility_label(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "Public",
        Visibility::Private => "Private",
    }
}

/// The choices for a repository's visibility.
pub(crate) fn visibility_choices() -> Vec<Choice> {
    vec![
        Choice::new("private", "Private").with_hint("Namespace owners can pull."),
        Choice::new("public", "Public").with_hint("Everyone can pull, even without signing in."),
    ]
}

/// The visibility for a word in a form.
pub(crate) fn visibility_of(word: &str) -> Visibility {
    if word == Visibility::Public.as_str() { Visibility::Public } else { Visibility::Private }
}
