//! Jobs: the live list, and the page of one job with its log.

mod calls;
mod describe;
mod detail;
mod facts;
mod filter;
mod list;
mod log;
mod moving;
mod progress;
mod table;

use leptos::prelude::*;

use crate::routes::{Reader, Route, Section};

/// The list, and the page of one job.
pub(super) const SECTION: Section = Section {
    label: "Jobs",
    reader: Reader::User,
    key: Some("j"),
    page: Route::new("/jobs", || list::Jobs().into_any()),
    more: &[Route::new("/jobs/:id", || detail::JobPage().into_any())],
};
