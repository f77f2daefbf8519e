//! The Tags tab, and the page of deleted tags.

mod actions;
mod calls;
mod deleted;
mod list;
mod restore;
mod row;

pub(super) use restore::RestoreDialog;
pub(super) use row::{by, what};

use leptos::prelude::*;

use super::tab::RepositoryTab;
use crate::routes::Route;

pub(super) const TAB: RepositoryTab =
    RepositoryTab::new("Tags", Route::new("tags", || list::Tags().into_any()))
        .with_more(&[deleted::PAGE])
        .counting(|summary| summary.tags);
