//! The Promotions tab: the promotion policies from and to a repository, and the dialogs that create and edit one.

mod calls;
mod dialogs;
mod form;
mod list;
mod row;

use leptos::prelude::*;

use super::tab::RepositoryTab;
use crate::routes::Route;

/// The tab. It first shows the policies whose source is the repository, and its count includes only these.
pub(super) const TAB: RepositoryTab = RepositoryTab::new(
    "Promotions",
    Route::new("promotions", || list::Promotions().into_any()).with_dialogs(&[dialogs::NEW, dialogs::EDIT]),
)
.counting(|summary| summary.promotions_out.count.into());
