//! Noticing that the server was put back to an older state (semantics 29). The database counts on as long as
//! things happen, and a copy of its count, the mark, is kept where a backup of the data does not reach: beside the
//! data folder, or in the bucket. A database that is behind its mark, or that says it is a backup, was restored:
//! then nothing moves before a person has seen what would.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use longshore_content::{Content, replace_durably};
use longshore_metadata::{Database, Priority, epoch, pauses};
use longshore_model::{Author, PauseReason, PauseScope, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How far the mark may lag behind; an idle server writes nothing.
const EVERY: Duration = Duration::from_secs(5);

/// Where the mark is.
pub(crate) enum Mark {
    /// In a file of its own.
    File(PathBuf),
    /// Beside the blobs, for all servers that share them.
    Store(Content),
}

impl Mark {
    async fn read(&self) -> anyhow::Result<Option<u64>> {
        match self {
            Self::Store(content) => Ok(content.noted_epoch().await?),
            Self::File(path) => match fs::read_to_string(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                // One that cannot be read as a number tells nothing, and is replaced.
                read => {
                    Ok(read.with_context(|| format!("cannot read {}", path.display()))?.trim().parse().ok())
                }
            },
        }
    }

    async fn write(&self, epoch: u64) -> anyhow::Result<()> {
        match self {
            Self::Store(content) => Ok(content.note_epoch(epoch).await?),
            Self::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || replace_durably(&path, &epoch.to_string())).await??;
                Ok(())
            }
        }
    }
}

/// Keeps database and mark together.
pub(crate) struct Epoch {
    db: Database,
    mark: Mark,
    /// How many changes the mark knows of.
    marked: u64,
}

impl Epoch {
    /// Looks whether the server was restored; if so, pauses everything. To be called before the engine runs.
    pub(crate) async fn begin(db: Database, mark: Mark, now: Timestamp) -> anyhow::Result<Self> {
        // In this order: others advance the database before the mark, so that the mark is never ahead of it.
        let marked = mark.read().await.context("the mark of the database's age cannot be read")?;
        let restored = db
            .write(Priority::Normal, move |tx| {
                Box::pin(async move {
                    let (backup, epoch) = (epoch::backup_made_at(tx).await?, epoch::get(tx).await?);
                    let restored = match (backup, marked) {
                        (Some(made), _) => Some(format!("it is a backup that was made at {made}")),
                        (None, Some(marked)) if marked > epoch => {
                            Some(format!("its count is at {epoch}, and this server has seen it at {marked}"))
                        }
                        (None, _) => None,
                    };
                    if restored.is_some() {
                        let (scope, author) = (PauseScope::System, Author::System);
                        pauses::begin(tx, &scope, PauseReason::Restored, &author, now).await?;
                        epoch::unmark_backup(tx).await?;
                    }
                    epoch::advance(tx, marked.unwrap_or(0)).await?;
                    Ok::<_, longshore_metadata::Error>(restored)
                })
            })
            .await?;
        if let Some(why) = restored {
            tracing::warn!(
                "the database was restored from an older state ({why}); all policies and mirrors are paused: \
                 see under “Paused” in the site what resuming would do, and resume there"
            );
        }
        let mut epoch = Self { marked: db.changes_made(), db, mark };
        epoch.note().await?;
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
        if made == self.marked {
            return;
        }
        match self.advance().await {
            Ok(()) => self.marked = made,
            // It is tried again; until then an older state would be noticed less surely.
            Err(error) => tracing::warn!("the mark of the database's age cannot be kept: {error:#}"),
        }
    }

    async fn advance(&mut self) -> anyhow::Result<()> {
        self.db.write(Priority::Normal, |tx| Box::pin(epoch::advance(tx, 0))).await?;
        self.note().await
    }

    async fn note(&mut self) -> anyhow::Result<()> {
        let epoch = epoch::get(&mut self.db.read().await?).await?;
        self.mark.write(epoch).await
    }
}
