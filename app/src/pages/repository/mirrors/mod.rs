//! The Mirrors tab: the push and pull mirrors of a repository, and the dialogs that create and edit one.

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

pub(super) const TAB: RepositoryTab = RepositoryTab::new(
    "Mirrors",
    Route::new("mirrors", || list::Mirrors().into_any()).with_dialogs(&[dialogs::NEW, dialogs::EDIT]),
)
.counting(|summary| u64::from(summary.push_mirrors.count) + u64::from(summary.pull_mirrors.count));
