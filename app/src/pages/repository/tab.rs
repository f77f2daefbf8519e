//! A tab of a repository, as it declares itself.

use longshore_model::repository::RepositorySummary;

use crate::{components::Tab, paths, routes::Route};

/// A tab: its label, its page, and what the bar of tabs says about it.
#[derive(Clone, Copy)]
pub(super) struct RepositoryTab {
    label: &'static str,
    page: Route,
    more: &'static [Route],
    count: fn(&RepositorySummary) -> u64,
    offered: fn(&RepositorySummary) -> bool,
}

impl RepositoryTab {
    /// A tab that everybody is offered.
    pub(super) const fn new(label: &'static str, page: Route) -> Self {
        Self { label, page, more: &[], count: |_| 0, offered: |_| true }
    }

    /// The same tab with other pages that belong to it.
    pub(super) const fn with_more(self, more: &'static [Route]) -> Self {
        Self { more, ..self }
    }

    /// The same tab, with how many things are on it; nothing is said where there are none.
    pub(super) const fn counting(self, count: fn(&RepositorySummary) -> u64) -> Self {
        Self { count, ..self }
    }

    /// The same tab, offered to some alone. What it shows to the others is for its page to say.
    pub(super) const fn offered_if(self, offered: fn(&RepositorySummary) -> bool) -> Self {
        Self { offered, ..self }
    }

    /// Its address below the repository's.
    pub(super) const fn path(&self) -> &'static str {
        self.page.path()
    }

    /// All its pages.
    pub(super) fn pages(&self) -> impl Iterator<Item = Route> + use<> {
        std::iter::once(self.page).chain(self.more.iter().copied())
    }

    /// The link to it, where the reader is offered one.
    pub(super) fn link(&self, summary: &RepositorySummary) -> Option<Tab> {
        let (count, page) = ((self.count)(summary), self.page.path());
        (self.offered)(summary).then(|| Tab {
            label: self.label,
            href: paths::below(summary.repository.name.as_ref(), page),
            count: (count > 0).then_some(count),
            exact: page.is_empty(),
        })
    }
}
