//! The declaration of a repository's tab.

use longshore_model::repository::RepositorySummary;

use crate::{components::Tab, paths, routes::Route};

/// A tab: its label, its pages, and its appearance in the tab bar.
#[derive(Clone, Copy)]
pub(super) struct RepositoryTab {
    label: &'static str,
    page: Route,
    more: &'static [Route],
    count: fn(&RepositorySummary) -> u64,
    offered: fn(&RepositorySummary) -> bool,
}

impl RepositoryTab {
    /// A tab that is shown to every user, with no count.
    pub(super) const fn new(label: &'static str, page: Route) -> Self {
        Self { label, page, more: &[], count: |_| 0, offered: |_| true }
    }

    /// Adds further pages to the tab.
    pub(super) const fn with_more(self, more: &'static [Route]) -> Self {
        Self { more, ..self }
    }

    /// Adds a count to the label; zero is not shown.
    pub(super) const fn counting(self, count: fn(&RepositorySummary) -> u64) -> Self {
        Self { count, ..self }
    }

    /// Shows the tab to some users only. This hides the link, not the page, which must handle other users itself.
    pub(super) const fn offered_if(self, offered: fn(&RepositorySummary) -> bool) -> Self {
        Self { offered, ..self }
    }

    /// The path of its first page, relative to the repository.
    pub(super) const fn path(&self) -> &'static str {
        self.page.path()
    }

    pub(super) fn pages(&self) -> impl Iterator<Item = Route> + use<> {
        std::iter::once(self.page).chain(self.more.iter().copied())
    }

    /// The link in the tab bar; `None` if it is not shown to this user.
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
