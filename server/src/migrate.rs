//! `longshore migrate-storage`: a registry moves to another database and another store, such as from
//! SQLite and disk to PostgreSQL and a bucket, or back. Blobs first, each verified on its way, then all
//! rows; only then may a server serve from there.

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
        bail!("both configurations name the same database; name another one in the file of --to");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(migrate(from, to))
}

async fn migrate(from: &Settings, to: &Settings) -> anyhow::Result<()> {
    if !from.server.data.is_dir() {
        bail!("there is no data folder {}; name it with --data", from.server.data.display());
    }
    copying::check_key(&from.key)?;
    let _from = DataLock::take(&from.server.data)?;
    let _to = if from.server.data == to.server.data { None } else { Some(DataLock::take(&to.server.data)?) };
    let (old, new) = (open_database(from).await?, open_database(to).await?);
    same_key(&old, &new)?;
    moving::begin(&new).await.context("the new database cannot be moved to")?;
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
            "{} blobs went away meanwhile; is a server still running on either? Ask once more",
            copied.gone
        );
    }
    println!("{} blobs are there, {} of them since this was begun", copied.blobs, copied.new);
    let rows =
        moving::copy(&mut snapshot, &new).await.context("the rows were not all copied; ask once more")?;
    println!("{rows} rows are there as well; start the server with the new configuration");
    copied.tell_damage(&source).await
}

/// Secrets are sealed with the key, and so are the tokens that clients have.
fn same_key(old: &Database, new: &Database) -> anyhow::Result<()> {
    if old.vault().derive("moving") != new.vault().derive("moving") {
        bail!(
            "the two configurations have different encryption keys; let key_file in both name the same \
             file, or set LONGSHORE_ENCRYPTION_KEY"
        );
    }
    Ok(())
}
