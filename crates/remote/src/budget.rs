//! Bounds the listings of a registry in bytes, entries and pages (semantics 41).

use std::sync::atomic::{AtomicU64, Ordering};

/// Bounds of the lists that one run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most bytes of all pages together.
    pub bytes: u64,
    /// The most names, or descriptors of referrers.
    pub entries: u64,
    /// The most pages.
    pub pages: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: 100 * 1024 * 1024, entries: 1_000_000, pages: 20_000 }
    }
}

/// The bound that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// [`Budget::bytes`].
    #[error("it is longer than the {0} bytes that are read (setting remote_listing_bytes)")]
    Bytes(u64),
    /// [`Budget::entries`].
    #[error("it has more than the {0} entries that are read (setting remote_listing_entries)")]
    Entries(u64),
    /// [`Budget::pages`].
    #[error("it has more than the {0} pages that are read")]
    Pages(u64),
}

/// The rest of a budget, shared by the concurrent listings of one run.
#[derive(Debug)]
pub struct Allowance {
    budget: Budget,
    bytes: AtomicU64,
    entries: AtomicU64,
    pages: AtomicU64,
}

impl From<Budget> for Allowance {
    fn from(budget: Budget) -> Self {
        let (bytes, entries, pages) = (budget.bytes, budget.entries, budget.pages);
        Self { budget, bytes: bytes.into(), entries: entries.into(), pages: pages.into() }
    }
}

impl Allowance {
    pub(crate) fn bytes_left(&self) -> usize {
        usize::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Subtracts bytes that were read.
    pub(crate) fn take_bytes(&self, bytes: usize) -> Result<(), OverBudget> {
        take(&self.bytes, bytes as u64).ok_or(OverBudget::Bytes(self.budget.bytes))
    }

    pub(crate) fn take_entry(&self) -> Result<(), OverBudget> {
        take(&self.entries, 1).ok_or(OverBudget::Entries(self.budget.entries))
    }

    pub(crate) fn take_page(&self) -> Result<(), OverBudget> {
        take(&self.pages, 1).ok_or(OverBudget::Pages(self.budget.pages))
    }

    /// The error for a page that was cut off because no bytes were left.
    pub(crate) fn out_of_bytes(&self) -> OverBudget {
        OverBudget::Bytes(self.budget.bytes)
    }
}

/// Takes `amount`. If less is left, takes that and returns `None`.
fn take(left: &AtomicU64, amount: u64) -> Option<()> {
    let before =
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(amount)));
    before.is_ok_and(|before| before >= amount).then_some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_41_a_budget_is_shared_and_ends() {
        let left = Allowance::from(Budget { bytes: 10, entries: 2, pages: 1 });
        left.take_bytes(6).unwrap();
        assert_eq!(left.bytes_left(), 4);
        assert_eq!(left.take_bytes(5), Err(OverBudget::Bytes(10)));
        assert_eq!(left.bytes_left(), 0);
        left.take_entry().unwrap();
        left.take_entry().unwrap();
        assert_eq!(left.take_entry(), Err(OverBudget::Entries(2)));
        left.take_page().unwrap();
        assert_eq!(left.take_page(), Err(OverBudget::Pages(1)));
    }
}
