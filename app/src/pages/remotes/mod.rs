//! Remotes: saved connections to other registries, used by many mirrors and changed in one place.

mod calls;
mod dialogs;
mod form;
mod list;
mod row;

use leptos::prelude::*;

use crate::routes::{Reader, Route, Section};

/// The list, with the dialogs over it.
pub(super) const SECTION: Section = Section {
    label: "Remotes",
    reader: Reader::User,
    key: Some("m"),
    page: Route::new("/remotes", || list::Remotes().into_any()).with_dialogs(&[dialogs::NEW, dialogs::EDIT]),
    more: &[],
};

/// Grows with each change of a remote, so that the list behind a dialog is read anew.
#[derive(Clone, Copy)]
struct Changes(RwSignal<usize>);

impl Changes {
    fn changed(self) {
        self.0.update(|changes| *changes += 1);
    }
}

/// The changes of the list around.
fn use_changes() -> Changes {
    use_context().expect("the list of remotes is around its dialogs")
}
