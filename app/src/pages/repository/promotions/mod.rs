//! The Promotions tab: the policies that lead from a repository or to it, and the dialogs that make and change one.

mod calls;
mod dialogs;
mod form;
mod list;
mod row;

use leptos::prelude::*;

use super::tab::RepositoryTab;
use crate::routes::Route;

/// The tab, which opens with the policies that lead from the repository.
pub(super) const TAB: RepositoryTab = RepositoryTab::new(
    "Promotions",
    Route::new("promotions", || list::Promotions().into_any()).with_dialogs(&[dialogs::NEW, dialogs::EDIT]),
)
.counting(|summary| summary.promotions_out.count.into());
