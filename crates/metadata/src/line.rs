//! The queue in front of the single writer of a SQLite database: which transactions are waiting, and which one is next.
//! The writer runs them.

use crate::{Error, Tx};
use futures::future::BoxFuture;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};

/// The order of transactions when several are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Reactions to an event: finished before new events are processed.
    Evaluation,
    /// Everything else.
    Normal,
}

/// The maximum number of waiting transactions. When it is reached, callers wait before they can queue theirs.
const LONGEST: usize = 1024;

/// The work of a transaction; it returns whether to commit.
pub(crate) type Run = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, bool> + Send>;

/// A waiting transaction. Its result goes to the caller through a channel of its own.
pub(crate) struct Work {
    pub priority: Priority,
    pub run: Run,
    pub committed: oneshot::Sender<Result<(), Error>>,
    /// When it was queued.
    pub since: Instant,
}

/// The number of waiting transactions, for the running one to see. Always zero if transactions do not wait for each
/// other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// Whether any transaction is waiting.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

/// The sender's end of the queue.
pub(crate) struct Door {
    sender: mpsc::Sender<Work>,
    waiting: Waiting,
}

impl Door {
    /// Queues a transaction.
    ///
    /// # Errors
    /// [`Error::Closed`] if the writer has stopped.
    pub(crate) async fn join(&self, work: Work) -> Result<(), Error> {
        let place = self.sender.reserve().await.map_err(|_| Error::Closed)?;
        self.waiting.0.fetch_add(1, Relaxed);
        place.send(work);
        Ok(())
    }
}

/// The waiting transactions, by priority, each in the order of their arrival.
pub(crate) struct Line {
    arriving: mpsc::Receiver<Work>,
    waiting: BTreeMap<Priority, VecDeque<Work>>,
    number: Waiting,
}

impl Line {
    /// An empty queue, and its sender's end.
    pub(crate) fn new() -> (Door, Self) {
        let (sender, arriving) = mpsc::channel(LONGEST);
        let number = Waiting::default();
        (Door { sender, waiting: number.clone() }, Self { arriving, waiting: BTreeMap::new(), number })
    }

    /// The number of waiting transactions, for the running one to see.
    pub(crate) fn waiting(&self) -> Waiting {
        self.number.clone()
    }

    /// Waits for a transaction and returns the highest waiting priority; `None` if no more can arrive.
    pub(crate) async fn highest(&mut self) -> Option<Priority> {
        if self.waiting.is_empty() {
            let first = self.arriving.recv().await?;
            self.join(first);
        }
        self.let_in();
        self.waiting.keys().next().copied()
    }

    /// Whether the next transaction has this priority, and none that is more urgent has arrived.
    pub(crate) fn leads(&mut self, priority: Priority) -> bool {
        self.let_in();
        self.waiting.keys().next() == Some(&priority)
    }

    /// The next transaction, of the highest waiting priority.
    pub(crate) fn next(&mut self) -> Option<Work> {
        let mut first = self.waiting.first_entry()?;
        let work = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        self.number.0.fetch_sub(usize::from(work.is_some()), Relaxed);
        work
    }

    /// The number of waiting transactions, including those not yet sorted by priority.
    pub(crate) fn length(&self) -> usize {
        self.number.0.load(Relaxed)
    }

    /// Removes all waiting transactions.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = Work> {
        let all = std::mem::take(&mut self.waiting);
        self.number.0.fetch_sub(all.values().map(VecDeque::len).sum(), Relaxed);
        all.into_values().flatten()
    }

    fn let_in(&mut self) {
        while self.waiting.values().map(VecDeque::len).sum::<usize>() < LONGEST
            && let Ok(work) = self.arriving.try_recv()
        {
            self.join(work);
        }
    }

    fn join(&mut self, work: Work) {
        self.waiting.entry(work.priority).or_default().push_back(work);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::task::unconstrained;

    fn work(priority: Priority) -> Work {
        Work {
            priority,
            run: Box::new(|_| Box::pin(async { true })),
            committed: oneshot::channel().0,
            since: Instant::now(),
        }
    }

    #[tokio::test]
    async fn a_more_urgent_transaction_goes_first_and_interrupts_the_others() {
        let (door, mut line) = Line::new();
        for _ in 0..3 {
            door.join(work(Priority::Normal)).await.unwrap();
        }
        assert_eq!(line.highest().await, Some(Priority::Normal));
        assert!(line.next().is_some() && line.leads(Priority::Normal));
        door.join(work(Priority::Evaluation)).await.unwrap();
        assert!(!line.leads(Priority::Normal));
        assert_eq!(line.highest().await, Some(Priority::Evaluation));
        assert_eq!(line.next().map(|work| work.priority), Some(Priority::Evaluation));
        assert!(!line.leads(Priority::Evaluation));
        assert_eq!(line.highest().await, Some(Priority::Normal));
        assert!(line.waiting().any());
        assert_eq!(line.clear().count(), 2);
        assert!(!line.waiting().any());
        drop(door);
        assert_eq!(line.highest().await, None);
    }

    #[tokio::test]
    async fn a_full_queue_makes_callers_wait() {
        let (door, mut line) = Line::new();
        for _ in 0..2 {
            while unconstrained(door.join(work(Priority::Normal))).now_or_never().is_some() {}
            assert_eq!(line.highest().await, Some(Priority::Normal));
        }
        assert!(unconstrained(door.join(work(Priority::Normal))).now_or_never().is_none());
        assert_eq!(line.length(), 2 * LONGEST);
        assert_eq!(line.clear().count(), LONGEST);
    }
}
