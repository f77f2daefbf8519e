//! How long one transaction may keep the others waiting.

use std::time::{Duration, Instant};

/// The turn of a transaction that has much to do: it works piece by piece, stops when its turn is over, and goes on in
/// the next transaction. A SQLite database has one writer; who waits for it waits for no longer than this.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    until: Instant,
}

impl Turn {
    /// How long a turn is.
    pub const LENGTH: Duration = Duration::from_millis(20);

    /// A turn that begins now. To be asked for inside the transaction: waiting for the writer is no part of it.
    #[must_use]
    pub fn begin() -> Self {
        Self { until: Instant::now() + Self::LENGTH }
    }

    /// Whether others are to be let in. The piece that was begun may be finished.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}
