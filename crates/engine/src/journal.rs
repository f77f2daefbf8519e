//! What a running job tells: log lines and progress, kept in memory and written at most once a second, so that
//! a transfer of ten thousand blobs is no load on the database.

use longshore_metadata::{Database, Error, Priority, jobs};
use longshore_model::{
    JobId, Timestamp,
    job::{Level, Progress},
};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest line, in characters; a registry's own words may be part of it.
const LONGEST_LINE: usize = 2_000;
/// Lines that wait to be written; what comes beyond is counted, not kept.
const MOST_WAITING: usize = 1_000;

/// The voice of one running job; clones speak for the same one.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    job: JobId,
    epoch: i64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<(Level, String)>,
    dropped: usize,
    progress: Progress,
    changed: bool,
}

impl Journal {
    pub(crate) fn new(job: JobId, epoch: i64) -> Self {
        Self { job, epoch, state: Arc::default() }
    }

    pub(crate) fn info(&self, line: impl Into<String>) {
        self.log(Level::Info, line.into());
    }

    pub(crate) fn warn(&self, line: impl Into<String>) {
        self.log(Level::Warn, line.into());
    }

    pub(crate) fn error(&self, line: impl Into<String>) {
        self.log(Level::Error, line.into());
    }

    fn log(&self, level: Level, mut line: String) {
        if let Some((end, _)) = line.char_indices().nth(LONGEST_LINE) {
            line.truncate(end);
            line.push('…');
        }
        self.change(|state| {
            if state.lines.len() < MOST_WAITING {
                state.lines.push((level, line));
            } else {
                state.dropped += 1;
            }
        });
    }

    /// More tags to do.
    pub(crate) fn plan_tags(&self, count: usize) {
        self.change(|state| state.progress.tags_total += count as u64);
    }

    /// One tag is done.
    pub(crate) fn tag_done(&self) {
        self.change(|state| state.progress.tags_done += 1);
    }

    /// More bytes to move.
    pub(crate) fn plan_bytes(&self, count: u64) {
        self.change(|state| state.progress.bytes_total += count);
    }

    /// Bytes were moved, or found in place.
    pub(crate) fn bytes(&self, count: u64) {
        self.change(|state| state.progress.bytes_done += count);
    }

    /// Bytes that were moved had to be thrown away.
    pub(crate) fn bytes_lost(&self, count: u64) {
        self.change(|state| state.progress.bytes_done = state.progress.bytes_done.saturating_sub(count));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.changed = true;
    }

    /// What has not been written yet.
    fn take(&self) -> Option<(Vec<(Level, String)>, Progress)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut state.changed) {
            return None;
        }
        let mut lines = std::mem::take(&mut state.lines);
        match std::mem::take(&mut state.dropped) {
            0 => {}
            dropped => lines.push((Level::Warn, format!("{dropped} further lines were left out"))),
        }
        Some((lines, state.progress))
    }

    /// Writes what is new, if the job is still this worker's.
    pub(crate) async fn flush(&self, db: &Database, now: Timestamp) -> Result<(), Error> {
        let Some((lines, progress)) = self.take() else { return Ok(()) };
        let (job, epoch) = (self.job, self.epoch);
        db.write(Priority::Normal, move |tx| {
            Box::pin(async move {
                jobs::fence(tx, job, epoch).await?;
                if !lines.is_empty() {
                    jobs::log(tx, job, &lines, now).await?;
                }
                jobs::progress(tx, job, epoch, &progress, now).await
            })
        })
        .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_progress_are_taken_once() {
        let journal = Journal::new(JobId::new(), 1);
        assert!(journal.take().is_none());
        journal.info("one");
        journal.plan_bytes(10);
        journal.bytes(6);
        journal.bytes_lost(2);
        let (lines, progress) = journal.take().unwrap();
        assert_eq!(lines, [(Level::Info, "one".to_owned())]);
        assert_eq!((progress.bytes_total, progress.bytes_done), (10, 4));
        assert!(journal.take().is_none());
    }

    #[test]
    fn a_flood_of_long_lines_stays_within_bounds() {
        let journal = Journal::new(JobId::new(), 1);
        for _ in 0..MOST_WAITING + 5 {
            journal.warn("ä".repeat(LONGEST_LINE + 1));
        }
        let (lines, _) = journal.take().unwrap();
        assert_eq!(lines.len(), MOST_WAITING + 1);
        assert_eq!(lines[0].1.chars().count(), LONGEST_LINE + 1);
        assert_eq!(lines.last().unwrap().1, "5 further lines were left out");
    }
}
