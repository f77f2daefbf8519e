//! `longshore migrate-storage`: moves a registry to another database and store, for example from SQLite and disk to
//! PostgreSQL and a bucket, or back. Blobs are copied first, each verified, then all rows; only after that can a server
//! serve from there.

use std::sync::Arc;

use anyhow::{Context, bail};
use longshore_content::Content;
use longshore_metadata::{Database, moving};
use longshore_model::{SystemClock, size};

use crate::config::Settings;
use crate::copying;
use crate::lock::DataLock;
use crate::rooms::open_database;

pub(crate) fn run(from: &Settings, to: &Settings) -> anyhow::Result<()> {
    if from.database == to.database {
        bail!("both configurations have the same database; set another one in the file of --to");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(migrate(from, to))
}

async fn migrate(from: &Settings, to: &Settings) -> anyhow::Result<()> {
    if !from.server.data.is_dir() {
        bail!("the data folder {} does not exist; specify it with --data", from.server.data.display());
    }
    copying::check_key(&from.key)?;
    let _from = DataLock::take(&from.server.data)?;
    let _to = if from.server.data == to.server.data { None } else { Some(DataLock::take(&to.server.data)?) };
    let (old, new) = (open_database(from).await?, open_database(to).await?);
    same_key(&old, &new)?;
    moving::begin(&new).await.context("nothing can be moved into the new database")?;
    let clock = Arc::new(SystemClock);
    let content = |db: &Database, store| Content::new(db.clone(), store, clock.clone());
    let source = content(&old, from.storage.open().await.context("the old storage")?);
    let target = content(&new, to.storage.open().await.context("the new storage")?);
    source.own_store().await.context("the old storage")?;
    target.own_store_of(&source).await.context("the new storage")?;
    let (blobs, bytes) = source.stored().await?;
    println!("moving {blobs} blobs with {}", size(bytes));
    let mut snapshot = old.snapshot().await?;
    let copied = copying::blobs(&source, &mut snapshot, &target).await?;
    if copied.gone > 0 {
        bail!(
            "{} blobs disappeared while they were copied; stop all servers of both registries, and run the command again",
            copied.gone
        );
    }
    println!("{} blobs are at the target, {} of them copied now", copied.blobs, copied.new);
    let rows =
        moving::copy(&mut snapshot, &new).await.context("not all rows were copied; run the command again")?;
    println!("{rows} rows were copied; start the server with the new configuration");
    copied.tell_damage(&source).await
}

/// The key encrypts secrets and signs the tokens of clients.
fn same_key(old: &Database, new: &Database) -> anyhow::Result<()> {
    if old.vault().derive("moving") != new.vault().derive("moving") {
        bail!(
            "the two configurations have different encryption keys; set key_file in both to the same \
             file, or set LONGSHORE_ENCRYPTION_KEY"
        );
    }
    Ok(())
}
