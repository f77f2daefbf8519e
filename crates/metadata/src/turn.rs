//! How long one transaction may keep the others waiting.

use crate::line::Waiting;
use std::time::{Duration, Instant};

/// The turn of a transaction that has much to do ([`Tx::begin_turn`](crate::Tx::begin_turn)): it works piece by piece,
/// stops when its turn is over, and goes on in the next transaction. A SQLite database has one writer; whoever waits for
/// it waits for one piece, or for as long as it takes for a turn to be worth its commit.
#[derive(Debug, Clone)]
pub struct Turn {
    begun: Instant,
    others: Waiting,
}

impl Turn {
    /// How long a turn is that nobody waits for. Somebody may come at any moment, and what is left behind is a commit
    /// that takes long.
    pub const LONGEST: Duration = Duration::from_millis(20);
    /// How long a turn is that somebody waits for: about as long as its commit.
    pub const SHORTEST: Duration = Duration::from_millis(2);

    pub(crate) fn begin(others: Waiting) -> Self {
        Self { begun: Instant::now(), others }
    }

    /// Whether others are to be let in. The piece that was begun may be finished.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&self, now: Instant) -> bool {
        let length = if self.others.any() { Self::SHORTEST } else { Self::LONGEST };
        now.duration_since(self.begun) >= length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Line, Priority, Work};
    use futures::FutureExt;
    use tokio::sync::oneshot;

    #[test]
    fn a_turn_is_over_sooner_when_somebody_waits() {
        let (door, mut line) = Line::new();
        let turn = Turn::begin(line.waiting());
        let over = |after: Duration| turn.is_over_at(turn.begun + after);
        assert!(!over(Duration::from_millis(19)) && over(Turn::LONGEST));

        let work = Work {
            priority: Priority::Normal,
            run: Box::new(|_| Box::pin(async { true })),
            committed: oneshot::channel().0,
            since: Instant::now(),
        };
        assert!(matches!(door.join(work).now_or_never(), Some(Ok(()))));
        assert!(!over(Duration::from_millis(1)) && over(Turn::SHORTEST));

        assert_eq!(line.highest().now_or_never(), Some(Some(Priority::Normal)));
        assert!(line.next().is_some());
        assert!(!over(Duration::from_millis(19)), "whoever is served waits no longer");
    }
}
