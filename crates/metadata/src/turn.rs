//! How long a transaction may make others wait.

use crate::line::Waiting;
use std::time::{Duration, Instant};

/// The turn of a long transaction ([`Tx::begin_turn`](crate::Tx::begin_turn)): it works piece by piece, stops when its
/// turn is over, and continues in the next transaction. A SQLite database has one writer, so others wait for one piece,
/// or for as long as it takes to make the commit worthwhile.
#[derive(Debug, Clone)]
pub struct Turn {
    begun: Instant,
    others: Waiting,
}

impl Turn {
    /// The length of a turn while nothing is waiting. A transaction may arrive at any moment, and then also has to wait
    /// for the commit.
    pub const LONGEST: Duration = Duration::from_millis(20);
    /// The length of a turn while another transaction is waiting: about as long as its commit.
    pub const SHORTEST: Duration = Duration::from_millis(2);

    pub(crate) fn begin(others: Waiting) -> Self {
        Self { begun: Instant::now(), others }
    }

    /// Whether others should get their turn. The current piece may be finished.
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
    fn a_turn_is_shorter_while_another_transaction_is_waiting() {
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
        assert!(!over(Duration::from_millis(19)), "a running transaction is no longer waiting");
    }
}
