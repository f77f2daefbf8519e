//! The log and progress of a running job, buffered in memory and written at most once a second, so that a transfer of
//! ten thousand blobs puts no load on the database.

use crate::trouble::{LONGEST, Trouble};
use longshore_metadata::{
    Database, Error, Priority,
    jobs::{self, Claim},
    work,
};
use longshore_model::{
    JobId, Message, RemoteId, Timestamp,
    job::{Level, Progress, RemoteOf, Transfer},
    message::{JobMessage, RemoteRef, RepositoryRef},
};
use parking_lot::Mutex;
use std::sync::Arc;

/// The maximum number of buffered lines; further lines are counted and dropped.
const MOST_WAITING: usize = 1_000;

/// The log and progress of one running job; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    job: JobId,
    epoch: i64,
    repository: Option<RepositoryRef>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<(Level, Message)>,
    dropped: u64,
    remote: Option<RemoteRef>,
    progress: Progress,
    changed: bool,
    asked: Option<RemoteId>,
}

impl Journal {
    pub(crate) fn new(job: JobId, epoch: i64) -> Self {
        Self { job, epoch, repository: None, state: Arc::default() }
    }

    /// The journal of a claimed job, with its repository and remote.
    pub(crate) fn of(claim: &Claim) -> Self {
        let job = &claim.job;
        let repository = job.repository.zip(job.repository_name.clone());
        let repository = repository.map(|(id, name)| RepositoryRef::new(id, name));
        let journal = Self { repository, ..Self::new(job.id, claim.epoch) };
        if let Some(Transfer { remote: RemoteOf::Job(remote), host, .. }) = job.parameters.concerns().transfer
        {
            journal.speaks_to(RemoteRef::new(remote, host));
        }
        journal
    }

    /// Sets the remote that errors belong to: only those who may see the remote are shown its words.
    pub(crate) fn speaks_to(&self, remote: RemoteRef) {
        self.with(|state| state.remote = Some(remote));
    }

    /// The message that is stored for a failure of this job.
    pub(crate) fn told(&self, trouble: &Trouble) -> Message {
        let remote = self.with(|state| state.remote.clone());
        trouble.message(remote.as_ref(), self.repository.as_ref())
    }

    /// Notes that the job sends requests to this remote, so that its result is recorded at the remote too.
    pub(crate) fn asks(&self, remote: RemoteId) {
        self.with(|state| state.asked = Some(remote));
    }

    /// The remote that the job has sent requests to, if any.
    pub(crate) fn asked(&self) -> Option<RemoteId> {
        self.with(|state| state.asked)
    }

    pub(crate) fn info(&self, line: impl Into<Message>) {
        self.log(Level::Info, line.into());
    }

    pub(crate) fn warn(&self, line: impl Into<Message>) {
        self.log(Level::Warn, line.into());
    }

    pub(crate) fn error(&self, line: impl Into<Message>) {
        self.log(Level::Error, line.into());
    }

    fn log(&self, level: Level, line: Message) {
        let line = line.shortened(LONGEST);
        self.change(|state| {
            if state.lines.len() < MOST_WAITING {
                state.lines.push((level, line));
            } else {
                state.dropped += 1;
            }
        });
    }

    pub(crate) fn plan_tags(&self, count: usize) {
        self.change(|state| state.progress.tags_total += count as u64);
    }

    pub(crate) fn tag_done(&self) {
        self.change(|state| state.progress.tags_done += 1);
    }

    /// Adds to the number of bytes to transfer.
    pub(crate) fn plan_bytes(&self, count: u64) {
        self.change(|state| state.progress.bytes_total += count);
    }

    /// Subtracts bytes that the source does not have.
    pub(crate) fn unplan_bytes(&self, count: u64) {
        self.change(|state| state.progress.bytes_total = state.progress.bytes_total.saturating_sub(count));
    }

    /// Counts bytes that were transferred or already present.
    pub(crate) fn bytes(&self, count: u64) {
        self.change(|state| state.progress.bytes_done += count);
    }

    /// Subtracts bytes that were transferred in vain.
    pub(crate) fn bytes_lost(&self, count: u64) {
        self.change(|state| state.progress.bytes_done = state.progress.bytes_done.saturating_sub(count));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.with(|state| {
            change(state);
            state.changed = true;
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock())
    }

    /// The buffered lines and the progress; `None` if nothing has changed since the last call.
    fn take(&self) -> Option<(Vec<(Level, Message)>, Progress)> {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.changed) {
            return None;
        }
        let mut lines = std::mem::take(&mut state.lines);
        match std::mem::take(&mut state.dropped) {
            0 => {}
            count => lines.push((Level::Warn, JobMessage::LinesLeftOut { count }.into())),
        }
        Some((lines, state.progress))
    }

    /// Writes buffered lines and progress. Fails if this worker no longer holds the job.
    pub(crate) async fn flush(&self, db: &Database, now: Timestamp) -> Result<(), Error> {
        let Some((lines, progress)) = self.take() else { return Ok(()) };
        let (job, epoch) = (self.job, self.epoch);
        db.write(
            Priority::Normal,
            work!(|tx| {
                jobs::fence(tx, job, epoch).await?;
                if !lines.is_empty() {
                    jobs::log(tx, job, &lines, now).await?;
                }
                jobs::progress(tx, job, epoch, &progress, now).await
            }),
        )
        .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::message::Everything;

    #[test]
    fn lines_and_progress_are_taken_once() {
        let journal = Journal::new(JobId::new(), 1);
        assert!(journal.take().is_none());
        journal.info("one".to_owned());
        journal.plan_bytes(10);
        journal.bytes(6);
        journal.bytes_lost(2);
        journal.plan_bytes(5);
        journal.unplan_bytes(5);
        let (lines, progress) = journal.take().unwrap();
        assert_eq!(lines, [(Level::Info, Message::from("one".to_owned()))]);
        assert_eq!((progress.bytes_total, progress.bytes_done), (10, 4));
        assert!(journal.take().is_none());
    }

    #[test]
    fn a_flood_of_long_lines_stays_within_bounds() {
        let journal = Journal::new(JobId::new(), 1);
        for _ in 0..MOST_WAITING + 5 {
            journal.warn("ä".repeat(LONGEST + 1));
        }
        let (lines, _) = journal.take().unwrap();
        assert_eq!(lines.len(), MOST_WAITING + 1);
        assert_eq!(lines[0].1.sentence(&Everything).chars().count(), LONGEST + 1);
        assert_eq!(lines.last().unwrap().1, JobMessage::LinesLeftOut { count: 5 }.into());
    }
}
