//! Noticing that the server was put back to an older state (semantics 29). The database counts on as long as
//! things happen, and a copy of its count, the mark, is kept where a backup of the data does not reach: beside the
//! data folder, or in the bucket. A database that is behind its mark, or that says it is a backup, was restored:
//! then nothing moves before a person has seen what would.
//! The same is looked for while the server runs: PostgreSQL can be put back beneath it.

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

/// How far the mark may lag behind; an idle server writes nothing.
const EVERY: Duration = Duration::from_secs(5);

/// Where the mark is.
pub(crate) enum Mark {
    /// In a file of its own, with the name of the registry: another one may be put into the place of the data.
    File {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
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
                    // One that cannot be read as such, or is another registry's, tells nothing and is replaced.
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

    /// What to do when it cannot be written.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Store(_) => "look whether the bucket takes other objects",
            Self::File { .. } => {
                "let epoch_file name a file that the server may write, outside the data folder"
            }
        }
    }
}

/// Keeps database and mark together.
pub(crate) struct Epoch {
    db: Database,
    clock: Arc<dyn Clock>,
    mark: Mark,
    /// The highest number that was seen, at the mark or in the database.
    seen: u64,
    /// How many changes that number knows of.
    known: u64,
    /// Whether the mark has that number.
    noted: bool,
    /// Whether it was told that the mark cannot be written.
    told: bool,
}

impl Epoch {
    /// Looks whether the server was restored; if so, pauses everything. To be called before the engine runs.
    /// It was also if `told` says so: not every way of putting data back leaves a trace.
    pub(crate) async fn begin(
        db: Database,
        mark: Mark,
        clock: Arc<dyn Clock>,
        told: bool,
    ) -> anyhow::Result<Self> {
        // In this order: others advance the database before the mark, so that the mark is never ahead of it.
        let seen = mark.read().await.context("the mark of the database's age cannot be read")?;
        let seen = seen.unwrap_or(0);
        let mut epoch = Self { known: 0, seen, db, clock, mark, noted: false, told: false };
        epoch.advance(told).await?;
        epoch.known = epoch.db.changes_made();
        epoch.note().await;
        Ok(epoch)
    }

    /// Follows what happens, until `stop`.
    pub(crate) async fn keep(mut self, stop: CancellationToken) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.follow().await;
        }
        self
    }

    /// Advances database and mark where something has changed.
    pub(crate) async fn follow(&mut self) {
        let made = self.db.changes_made();
        if made != self.known {
            // Others may have seen more than this server.
            if let Ok(Some(mark)) = self.mark.read().await {
                self.seen = self.seen.max(mark);
            }
            match self.advance(false).await {
                Ok(()) => (self.known, self.noted) = (made, false),
                // It is tried again; until then an older state would be noticed less surely.
                Err(error) => tracing::warn!("the database cannot be counted on: {error}"),
            }
        }
        if !self.noted {
            self.note().await;
        }
    }

    /// Counts the database on; pauses everything where it is an older one than was seen, or said to be one.
    async fn advance(&mut self, told: bool) -> Result<(), longshore_metadata::Error> {
        let (seen, now) = (self.seen, self.clock.now());
        let write = self.db.write(Priority::Normal, work!(|tx| count_on(tx, seen, told, now).await));
        let (epoch, restored) = write.await?;
        self.seen = epoch;
        if let Some(why) = restored {
            tracing::warn!(
                "the database was restored from an older state ({why}); all policies and mirrors are paused: \
                 see under “Paused” in the site what resuming would do, and resume there"
            );
        }
        Ok(())
    }

    /// Writes the mark. That it cannot be kept is no reason not to serve: what is lost is a precaution.
    async fn note(&mut self) {
        let noted = async {
            // Another server may be further by now; a database that was put back meanwhile is not.
            let epoch = epoch::get(&mut self.db.read().await?).await?.max(self.seen);
            self.mark.write(epoch).await
        };
        match noted.await {
            Ok(()) => (self.noted, self.told) = (true, false),
            Err(_) if self.told => {}
            Err(error) => {
                self.told = true;
                tracing::warn!(
                    "the mark of the database's age cannot be kept: {error:#}. Until it can, nobody notices when \
                     data are put back to an older state; {}",
                    self.mark.remedy()
                );
            }
        }
    }
}

/// Counts on, beyond `seen`, and answers how far; with the reason where the database was restored, which pauses
/// everything.
async fn count_on(
    tx: &mut Tx,
    seen: u64,
    told: bool,
    now: Timestamp,
) -> Result<(u64, Option<String>), longshore_metadata::Error> {
    let (backup, epoch) = (epoch::backup_made_at(tx).await?, epoch::get(tx).await?);
    let restored = match backup {
        Some(made) => Some(format!("it is a backup that was made at {made}")),
        None if seen > epoch => {
            Some(format!("its count is at {epoch}, and this server has seen it at {seen}"))
        }
        None => told.then(|| "so it was said, by --restored".to_owned()),
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
    async fn semantics_29_a_database_that_is_put_back_beneath_a_running_server_is_noticed() {
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
    async fn semantics_29_what_another_server_has_seen_counts_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("epoch"));
        put(&db, "epoch", "100").await;
        let mut standby = begin(&db, &path, "ours").await;
        // The other one is at 5000 when it stops, and the database is put back to 4000.
        fs::write(&path, "ours 5000\n").unwrap();
        put(&db, "epoch", "4000").await;
        standby.follow().await;
        assert!(is_paused(&db).await);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours 5001\n");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn semantics_29_a_database_that_is_said_to_be_restored_is() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("epoch"));
        let mark = Mark::File { path, registry: "ours".to_owned() };
        Epoch::begin(db.clone(), mark, Arc::new(SystemClock), true).await.unwrap();
        assert!(is_paused(&db).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_registry_in_the_place_of_another_is_not_taken_for_an_older_one() {
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
    async fn a_server_that_cannot_keep_the_mark_serves_and_writes_nothing_while_it_is_idle() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = (open(folder.path(), "longshore.db").await, folder.path().join("missing/epoch"));
        let mut epoch = begin(&db, &path, "ours").await;
        let counted = count(&db).await;
        epoch.follow().await;
        epoch.follow().await;
        assert_eq!(count(&db).await, counted);
        fs::create_dir(folder.path().join("missing")).unwrap();
        epoch.follow().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("ours {counted}\n"), "it is tried again");
    }
}
