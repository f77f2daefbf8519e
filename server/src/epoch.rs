//! Detects that the database was restored to an older state (semantics 29). The database contains an epoch, which
//! increases with changes. A copy of it, the mark, is kept outside the data: beside the data folder, or in the bucket.
//! A database whose epoch is behind the mark, or that is marked as a backup, was restored: then everything is paused
//! until a user has reviewed what would run. This is checked at the start and while the server runs, because PostgreSQL
//! can be restored under a running server.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use longshore_content::{Content, replace_durably};
use longshore_metadata::{Database, Priority, Tx, epoch, pauses, work};
use longshore_model::{Author, Clock, PauseReason, PauseScope, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The interval at which the mark is updated; an idle server writes nothing.
const EVERY: Duration = Duration::from_secs(5);

/// The place of the mark.
pub(crate) enum Mark {
    /// A file with the name of the registry, because another registry may be put in the place of the data.
    File {
        path: PathBuf,
        /// The name of the registry.
        registry: String,
    },
    /// Beside the blobs, for all servers that share them.
    Store(Content),
}

impl Mark {
    async fn read(&self) -> anyhow::Result<Option<u64>> {
        match self {
            Self::Store(content) => Ok(content.noted_epoch().await?),
            Self::File { path, registry } => match fs::read_to_string(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                read => {
                    let read = read.with_context(|| {
                        format!("cannot read {}; make it readable, or remove it", path.display())
                    })?;
                    // An unreadable mark, or one of another registry, is ignored and replaced.
                    let mark = read.trim().split_once(' ').filter(|(of, _)| of == registry);
                    Ok(mark.and_then(|(_, epoch)| epoch.parse().ok()))
                }
            },
        }
    }

    async fn write(&self, epoch: u64) -> anyhow::Result<()> {
        match self {
            Self::Store(content) => Ok(content.note_epoch(epoch).await?),
            Self::File { path, registry } => {
                let (path, line) = (path.clone(), format!("{registry} {epoch}"));
                tokio::task::spawn_blocking(move || replace_durably(&path, &line)).await??;
                Ok(())
            }
        }
    }

    /// What to do if the mark cannot be written.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Store(_) => "check whether the bucket accepts other objects",
            Self::File { .. } => "set epoch_file to a file outside the data folder that the server can write",
        }
    }
}

/// Keeps the epoch of the database and the mark up to date.
pub(crate) struct Epoch {
    db: Database,
    clock: Arc<dyn Clock>,
    mark: Mark,
    /// The highest epoch that was seen, in the mark or in the database.
    seen: u64,
    /// The number of changes that the epoch covers.
    known: u64,
    /// Whether the mark is up to date.
    noted: bool,
    /// Whether a warning was logged that the mark cannot be written.
    told: bool,
}

impl Epoch {
    /// Checks whether the database was restored, and pauses everything if so. Must be called before the engine runs.
    /// `told` forces the pause, because not every restoration is detectable.
    pub(crate) async fn begin(
        db: Database,
        mark: Mark,
        clock: Arc<dyn Clock>,
        told: bool,
    ) -> anyhow::Result<Self> {
        // In this order: other servers advance the database before the mark, so the mark is never ahead.
        let seen = mark.read().await.context("the copy of the database's epoch cannot be read")?;
        let seen = seen.unwrap_or(0);
        let mut epoch = Self { known: 0, seen, db, clock, mark, noted: false, told: false };
        epoch.advance(told).await?;
        epoch.known = epoch.db.changes_made();
        epoch.note().await;
        Ok(epoch)
    }

    /// Updates database and mark until `stop`.
    pub(crate) async fn keep(mut self, stop: CancellationToken) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.follow().await;
        }
        self
    }

    /// Advances database and mark if something has changed.
    pub(crate) async fn follow(&mut self) {
        let made = self.db.changes_made();
        if made != self.known {
            // Another server may have seen a later epoch.
            if let Ok(Some(mark)) = self.mark.read().await {
                self.seen = self.seen.max(mark);
            }
            match self.advance(false).await {
                Ok(()) => (self.known, self.noted) = (made, false),
                // Retried later; until then an older state is detected less reliably.
                Err(error) => tracing::warn!("the epoch of the database cannot be advanced: {error}"),
            }
        }
        if !self.noted {
            self.note().await;
        }
    }

    /// Advances the epoch of the database; pauses everything if the database is older than what was seen, or `told`.
    async fn advance(&mut self, told: bool) -> Result<(), longshore_metadata::Error> {
        let (seen, now) = (self.seen, self.clock.now());
        let write = self.db.write(Priority::Normal, work!(|tx| count_on(tx, seen, told, now).await));
        let (epoch, restored) = write.await?;
        self.seen = epoch;
        if let Some(why) = restored {
            tracing::warn!(
                "the database was restored from an older state ({why}); all policies and mirrors are paused: \
                 review under “Paused” on the site what resuming would do, and resume there"
            );
        }
        Ok(())
    }

    /// Writes the mark. Failing to do so is no reason to stop serving: the mark is only a safeguard.
    async fn note(&mut self) {
        let noted = async {
            // Another server may be ahead by now; a database that was restored in the meantime is not.
            let epoch = epoch::get(&mut self.db.read().await?).await?.max(self.seen);
            self.mark.write(epoch).await
        };
        match noted.await {
            Ok(()) => (self.noted, self.told) = (true, false),
            Err(_) if self.told => {}
            Err(error) => {
                self.told = true;
                tracing::warn!(
                    "the copy of the database's epoch cannot be written: {error:#}. Until it can, it is not detected if \
                     the database is restored to an older state; {}",
                    self.mark.remedy()
                );
            }
        }
    }
}

/// Advances the epoch beyond `seen` and returns it. If the database was restored, pauses everything and returns the
/// reason.
async fn count_on(
    tx: &mut Tx,
    seen: u64,
    told: bool,
    now: Timestamp,
) -> Result<(u64, Option<String>), longshore_metadata::Error> {
    let (backup, epoch) = (epoch::backup_made_at(tx).await?, epoch::get(tx).await?);
    let restored = match backup {
        Some(made) => Some(format!("it is a backup that was made at {made}")),
        None if seen > epoch => Some(format!("its epoch is {epoch}, but this server has seen {seen}")),
        None => told.then(|| "as specified with --restored".to_owned()),
    };
    if restored.is_some() {
        pauses::begin(tx, &PauseScope::System, PauseReason::Restored, &Author::System, now).await?;
        epoch::unmark_backup(tx).await?;
    }
    Ok((epoch::advance(tx, seen).await?, restored))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_metadata::{Vault, settings};
    use longshore_model::SystemClock;
    use std::path::Path;

    async fn open(folder: &Path, name: &str) -> Database {
        Database::open(folder.join(name).to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap()
    }

    async fn begin(db: &Database, path: &Path, registry: &str) -> Epoch {
        let mark = Mark::File { path: path.to_owned(), registry: registry.to_owned() };
        Epoch::begin(db.clone(), mark, Arc::new(SystemClock), false).await.unwrap()
    }

    async fn put(db: &Database, key: &'static str, value: &'static str) {
        db.write(Priority::Normal, work!(|tx| settings::put(tx, key, value).await)).await.unwrap();
    }

    async fn is_paused(db: &Database) -> bool {
        pauses::get(&mut db.read().await.unwrap(), &PauseScope::System).await.unwrap().is_some()
    }

    async fn count(db: &Database) -> u64 {
        epoch::get(&mut db.read().await.unwrap()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn semantics_29_restoring_the_database_of_a_running_server_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("epoch"));
        put(&db, "epoch", "40").await;
        let mut epoch = begin(&db, &path, "ours").await;
        put(&db, "something", "happens").await;
        epoch.follow().await;
        assert!(!is_paused(&db).await);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours 42\n");
        put(&db, "epoch", "20").await;
        epoch.follow().await;
        assert!(is_paused(&db).await);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours 43\n", "the mark never goes back");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn semantics_29_an_epoch_that_another_server_has_seen_counts_too() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("epoch"));
        put(&db, "epoch", "100").await;
        let mut standby = begin(&db, &path, "ours").await;
        // The other server is at 5000 when it stops, and the database is restored to 4000.
        fs::write(&path, "ours 5000\n").unwrap();
        put(&db, "epoch", "4000").await;
        standby.follow().await;
        assert!(is_paused(&db).await);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours 5001\n");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn semantics_29_the_option_restored_pauses_everything() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("epoch"));
        let mark = Mark::File { path, registry: "ours".to_owned() };
        Epoch::begin(db.clone(), mark, Arc::new(SystemClock), true).await.unwrap();
        assert!(is_paused(&db).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_registry_in_the_place_of_another_is_not_taken_for_an_older_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.epoch");
        fs::write(&path, "theirs 500\n").unwrap();
        let db = open(folder.path(), "longshore.db").await;
        begin(&db, &path, "ours").await;
        assert!(!is_paused(&db).await);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours 1\n");
        fs::write(&path, "ours 500\n").unwrap();
        begin(&db, &path, "ours").await;
        assert!(is_paused(&db).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_cannot_write_the_mark_still_serves_and_writes_nothing_while_idle() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("missing/epoch"));
        let mut epoch = begin(&db, &path, "ours").await;
        let counted = count(&db).await;
        epoch.follow().await;
        epoch.follow().await;
        assert_eq!(count(&db).await, counted);
        fs::create_dir(folder.path().join("missing")).unwrap();
        epoch.follow().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("ours {counted}\n"), "writing is retried");
    }
}
