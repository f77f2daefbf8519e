//! The Mirrors tab: the mirrors of a repository, and the dialog that makes and changes one.

mod calls;
mod connect;
mod dialogs;
mod form;
mod input;
mod list;
mod pull;
mod push;
mod remote;
mod repository;
mod row;
mod words;

use leptos::prelude::*;

use super::tab::RepositoryTab;
use crate::routes::Route;

/// The tab, with the mirrors of both directions.
pub(super) const TAB: RepositoryTab = RepositoryTab::new(
    "Mirrors",
    Route::new("mirrors", || list::Mirrors().into_any()).with_dialogs(&[dialogs::NEW, dialogs::EDIT]),
)
.counting(|summary| u64::from(summary.push_mirrors.count) + u64::from(summary.pull_mirrors.count));
