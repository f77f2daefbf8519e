//! Lists that do not fit one answer.

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts, when there is one.
    pub next: Option<String>,
    /// How many items there are on all pages.
    pub total: u64,
}

impl<T> Page<T> {
    /// The same page with each item turned into another.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next, total: self.total }
    }
}

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// `next` of the page before; none: the first page.
    pub start: Option<String>,
    /// How many items, 1 to [`PageRequest::MAX`].
    pub size: u32,
}

impl PageRequest {
    /// Larger pages are cut to this.
    pub const MAX: u32 = 500;

    /// The first page of `size` items.
    #[must_use]
    pub fn first(size: u32) -> Self {
        Self { start: None, size }
    }

    /// The size within its bounds.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::from(self.size.clamp(1, Self::MAX))
    }

    /// `start` read as a number of items to skip, for lists that are paged by offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.start.as_deref().and_then(|start| start.parse().ok()).map_or(0, |skip: i64| skip.max(0))
    }
}
