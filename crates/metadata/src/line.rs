//! The line in front of the one writer of a SQLite database: who waits, and who is next. What is
//! done with them is the writer's.

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

/// Which transactions go first when several wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// What an event leads to: finished before new events are taken in.
    Evaluation,
    /// Everything else.
    Normal,
}

/// More than this many waiting transactions make callers wait before they can ask.
const LONGEST: usize = 1024;

/// What a transaction does; it answers whether its work shall be kept.
pub(crate) type Run = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, bool> + Send>;

/// A transaction that waits. Its result goes to the caller by a channel of its own.
pub(crate) struct Work {
    pub priority: Priority,
    pub run: Run,
    pub committed: oneshot::Sender<Result<(), Error>>,
    /// When it joined the line.
    pub since: Instant,
}

/// How many transactions wait, for the one that is running to know. Zero for ever where transactions do not wait for
/// each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// Whether any transaction waits.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

/// Where one joins the line.
pub(crate) struct Door {
    sender: mpsc::Sender<Work>,
    waiting: Waiting,
}

impl Door {
    /// Joins the line.
    ///
    /// # Errors
    /// [`Error::Closed`]: the writer has stopped.
    pub(crate) async fn join(&self, work: Work) -> Result<(), Error> {
        let place = self.sender.reserve().await.map_err(|_| Error::Closed)?;
        self.waiting.0.fetch_add(1, Relaxed);
        place.send(work);
        Ok(())
    }
}

/// Those who wait, by priority, each in the order in which they came.
pub(crate) struct Line {
    arriving: mpsc::Receiver<Work>,
    waiting: BTreeMap<Priority, VecDeque<Work>>,
    number: Waiting,
}

impl Line {
    /// An empty line, and where one joins it.
    pub(crate) fn new() -> (Door, Self) {
        let (sender, arriving) = mpsc::channel(LONGEST);
        let number = Waiting::default();
        (Door { sender, waiting: number.clone() }, Self { arriving, waiting: BTreeMap::new(), number })
    }

    /// How many wait, to be asked while one of them is running.
    pub(crate) fn waiting(&self) -> Waiting {
        self.number.clone()
    }

    /// Waits for somebody and answers the highest priority there is; none when nobody can come any more.
    pub(crate) async fn highest(&mut self) -> Option<Priority> {
        if self.waiting.is_empty() {
            let first = self.arriving.recv().await?;
            self.join(first);
        }
        self.let_in();
        self.waiting.keys().next().copied()
    }

    /// Whether the next one has this priority: somebody has, and nobody more urgent has come.
    pub(crate) fn leads(&mut self, priority: Priority) -> bool {
        self.let_in();
        self.waiting.keys().next() == Some(&priority)
    }

    /// The next one, of the highest priority among those who are in the line.
    pub(crate) fn next(&mut self) -> Option<Work> {
        let mut first = self.waiting.first_entry()?;
        let work = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        self.number.0.fetch_sub(usize::from(work.is_some()), Relaxed);
        work
    }

    /// How many wait, those at the door included.
    pub(crate) fn length(&self) -> usize {
        self.number.0.load(Relaxed)
    }

    /// Everybody who waits.
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
    async fn somebody_more_urgent_goes_first_and_ends_the_turn_of_the_others() {
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
    async fn a_long_line_makes_callers_wait_at_the_door() {
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
