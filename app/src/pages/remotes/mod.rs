//! Remotes: saved connections to other registries, shared by many mirrors and changed in one place.

mod calls;
mod dialogs;
mod form;
mod list;
mod row;

use leptos::prelude::*;

use crate::routes::{Reader, Route, Section};

/// The list, with its dialogs.
pub(super) const SECTION: Section = Section {
    label: "Remotes",
    reader: Reader::User,
    key: Some("m"),
    page: Route::new("/remotes", || list::Remotes().into_any()).with_dialogs(&[dialogs::NEW, dialogs::EDIT]),
    more: &[],
};
