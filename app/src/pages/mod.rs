//! The pages: one file or folder each, with its component, server functions and address.

mod accounts;
mod activity;
mod connection;
mod jobs;
mod not_found;
mod pause;
mod remotes;
mod repositories;
mod repository;
mod sign_in;
mod system;

pub(crate) use not_found::NotFound;

use leptos::prelude::*;
use leptos_router::components::Redirect;

use crate::routes::{Route, Section};

/// The sections in the navigation, most frequently used first.
pub(crate) const SECTIONS: &[Section] = &[
    repositories::SECTION,
    remotes::SECTION,
    jobs::SECTION,
    activity::SECTION,
    accounts::ORGANIZATIONS,
    accounts::USERS,
    system::SECTION,
];

/// Pages reached only from other pages.
const OTHERS: &[Route] = &[
    Route::new("/", || view! { <Redirect path="/repositories"/> }.into_any()),
    sign_in::PAGE,
    repository::PAGE,
    repository::TAG_PAGE,
    pause::OF_THE_SYSTEM,
    pause::OF_A_NAMESPACE,
    pause::OF_A_REMOTE,
];

pub(crate) fn pages() -> Vec<Route> {
    SECTIONS.iter().flat_map(Section::pages).chain(OTHERS.iter().copied()).collect()
}

/// The addresses of all pages and dialogs, such as `/repositories/:namespace/:name/tags`. Parameters begin with `:`.
#[must_use]
pub fn addresses() -> Vec<String> {
    pages().iter().flat_map(|page| page.addresses("")).collect()
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn the_browser_tests_know_the_address_of_every_page() {
        let known: Vec<_> = include_str!("../../../end2end/support/routes.txt").lines().collect();
        let addresses = addresses();
        assert_eq!(known, addresses, "end2end/support/routes.txt should be:\n{}", addresses.join("\n"));
    }
}
