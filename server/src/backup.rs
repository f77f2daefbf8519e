//! `longshore backup`: a copy of a registry, running or not, in a folder that a server can serve from. Blobs are copied
//! first, while the registry may change; then all rows as of one instant, with the blobs that they reference and that
//! are still missing. The next backup into the same folder copies only what is new.
//!
//! The folder contains `longshore.db` and `content/`, like any data folder, and `backup.db`, which records its content
//! for the next backup. Only `longshore.db` makes it a valid backup; it is replaced in one step at the end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use longshore_content::{Content, DiskStore};
use longshore_metadata::{Database, Priority, epoch, moving, work};
use longshore_model::{Clock, SystemClock, Timestamp, size};

use crate::config::Settings;
use crate::copying::{self, Copied};
use crate::files;
use crate::lock::DataLock;
use crate::rooms::open_database_as_it_is;

/// The maximum number of attempts at an instant: if garbage is collected between the instant and the copy of its blobs,
/// another one is needed. New content is not collected, so the second attempt should succeed.
const INSTANTS: usize = 5;

const GARBAGE: &str = "garbage was collected repeatedly while blobs were copied; run the command again";

/// The database that records the content of the folder for the next backup.
pub(crate) const WORKING: &str = "backup.db";

pub(crate) fn run(from: &Settings, folder: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(backup(from, &Places::of(folder)))
}

/// The paths of a backup.
struct Places {
    folder: PathBuf,
    published: PathBuf,
    draft: PathBuf,
    working: PathBuf,
}

impl Places {
    fn of(folder: &Path) -> Self {
        let place = |name: &str| folder.join(name);
        Self {
            folder: folder.to_owned(),
            published: place("longshore.db"),
            draft: place("longshore.db.new"),
            working: place(WORKING),
        }
    }

    /// Removes the rows of an interrupted attempt.
    fn drop_draft(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be replaced", self.draft.display()))
            }
            _ => Ok(()),
        }
    }
}

async fn backup(from: &Settings, places: &Places) -> anyhow::Result<()> {
    let folder = &places.folder;
    copying::check_key(&from.key)?;
    let is_used = folder.join("content").exists() || places.published.exists();
    if is_used && !places.working.exists() {
        bail!(
            "{} is the data folder of a server, or a backup that a server was started on; choose another folder",
            folder.display()
        );
    }
    let _lock = DataLock::take(folder).context("the backup cannot be written")?;
    files::tighten_folder(folder);
    let clock = SystemClock;
    let old = open_database_as_it_is(from).await?;
    if moving::is_unfinished(&mut old.read().await?).await? {
        bail!("a registry is being moved into this database; finish `longshore migrate-storage` first");
    }
    let source = Content::new(old.clone(), from.storage.open().await?, Arc::new(clock));
    source.check_store().await.context("the storage belongs to another database")?;
    let new = Database::open(text(&places.working)?, old.vault().clone()).await?;
    moving::begin_anew(&new).await?;
    let store = Arc::new(DiskStore::open(folder.join("content"))?);
    let target = Content::new(new.clone(), store, Arc::new(clock));
    target.own_store_of(&source).await.context("this folder cannot be used for the backup")?;
    // Left by an attempt that was interrupted in the middle of a blob.
    target.drop_stray_uploads().await?;

    let first = copying::blobs(&source, &mut old.read().await?, &target).await?;
    let made = clock.now();
    let (rows, copied) = match old.is_file() {
        true => copy_file(&source, &old, &target, &new, places, made).await?,
        false => copy_rows(&source, &old, &target, &new, places, made).await?,
    };
    publish(places).await?;
    // Not earlier: until then the previous backup references them.
    target
        .drop_condemned_blobs()
        .await
        .context("the backup is complete, but blobs of the previous one remain")?;
    println!(
        "{} contains {} blobs with {}, {} of them new, and {rows} rows",
        folder.display(),
        copied.blobs,
        size(copied.bytes),
        first.new + copied.new
    );
    println!("the encryption key is not included: keep a copy of {} elsewhere", from.key);
    copied.tell_damage(&source).await
}

/// Copies a registry in SQLite as of one instant: the database writes itself to a file, and then the blobs that this
/// file references are copied.
async fn copy_file(
    source: &Content,
    old: &Database,
    target: &Content,
    new: &Database,
    places: &Places,
    made: Timestamp,
) -> anyhow::Result<(u64, Copied)> {
    // Left by a backup of an earlier version, or of PostgreSQL.
    moving::clear_rows(new).await?;
    let draft = text(&places.draft)?;
    let mut new_blobs = 0;
    for _ in 0..INSTANTS {
        places.drop_draft()?;
        old.write_to_file(draft).await.with_context(|| format!("{draft} cannot be written"))?;
        let instant = Database::open_as_it_is(draft, old.vault().clone()).await?;
        let mut snapshot = instant.read().await?;
        let copied = copying::blobs(source, &mut snapshot, target).await?;
        new_blobs += copied.new;
        if copied.gone == 0 {
            target.condemn_blobs_unnamed_in(&mut snapshot).await?;
            drop(snapshot);
            instant.close().await;
            let rows = moving::settle_in(draft, text(&places.working)?, old.vault(), made).await?;
            return Ok((rows, Copied { new: new_blobs, ..copied }));
        }
    }
    bail!(GARBAGE)
}

/// Copies a registry in another database as of one instant, row by row.
async fn copy_rows(
    source: &Content,
    old: &Database,
    target: &Content,
    new: &Database,
    places: &Places,
    made: Timestamp,
) -> anyhow::Result<(u64, Copied)> {
    let mut new_blobs = 0;
    for _ in 0..INSTANTS {
        let mut snapshot = old.snapshot().await?;
        let copied = copying::blobs(source, &mut snapshot, target).await?;
        new_blobs += copied.new;
        if copied.gone == 0 {
            let rows = moving::copy(&mut snapshot, new).await?;
            target.condemn_blobs_unnamed_in(&mut snapshot).await?;
            new.write(Priority::Normal, work!(|tx| epoch::mark_backup(tx, made).await)).await?;
            places.drop_draft()?;
            new.write_to_file(text(&places.draft)?).await?;
            return Ok((rows, Copied { new: new_blobs, ..copied }));
        }
    }
    bail!(GARBAGE)
}

/// Publishes the rows under the name that a server opens, replacing those of the previous backup.
async fn publish(places: &Places) -> anyhow::Result<()> {
    // A write-ahead log of the previous backup would be applied to the new rows.
    if places.published.exists() {
        moving::settle(text(&places.published)?).await.context("the previous backup cannot be replaced")?;
    }
    let published = || {
        File::open(&places.draft)?.sync_all()?;
        fs::rename(&places.draft, &places.published)?;
        File::open(&places.folder)?.sync_all()
    };
    published().with_context(|| format!("{} cannot be written", places.published.display()))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not valid UTF-8", path.display()))
}
