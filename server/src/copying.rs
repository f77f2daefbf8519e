//! Copying the blobs of one registry to another, with word of how far it is: what `migrate-storage` and `backup`
//! have in common.

use anyhow::{Context, bail};
use longshore_content::{Content, Fate};
use longshore_metadata::Conn;
use longshore_model::size;

use crate::config::KeySource;

/// After so many bytes the progress is told.
const TELL_EVERY: u64 = 1_000_000_000;

/// What became of the blobs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Copied {
    /// How many there are.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Those that were not there before.
    pub(crate) new: u64,
    /// Those that were collected as garbage meanwhile.
    pub(crate) gone: u64,
}

/// Copies the blobs that `named_in` names, which reads the database of `from`.
pub(crate) async fn blobs(from: &Content, named_in: &mut Conn, to: &Content) -> anyhow::Result<Copied> {
    let (mut after, mut told, mut copied) = (None, 0, Copied::default());
    loop {
        let next = from.copy_next_blob(named_in, to, after.as_ref()).await;
        let next = next.with_context(|| {
            let behind =
                after.as_ref().map_or("the first blob".to_owned(), |after| format!("the blob behind {after}"));
            format!(
                "{behind} cannot be copied; where it is damaged, `scrub` may fetch it again at the old registry"
            )
        })?;
        let Some(blob) = next else { return Ok(copied) };
        match blob.fate {
            Fate::Gone => copied.gone += 1,
            Fate::Copied | Fate::There => {
                copied.blobs += 1;
                copied.bytes += blob.size;
                copied.new += u64::from(blob.fate == Fate::Copied);
            }
        }
        if copied.bytes - told >= TELL_EVERY {
            told = copied.bytes;
            println!("{} copied or there", size(told));
        }
        after = Some(blob.digest);
    }
}

/// Nobody makes a key for a registry that is copied: it would be another one than the server has.
pub(crate) fn check_key(key: &KeySource) -> anyhow::Result<()> {
    match key {
        KeySource::File(path) if !path.exists() => bail!(
            "the encryption key {} is not there; name the configuration and the options that the server has",
            path.display()
        ),
        KeySource::File(_) | KeySource::Given(_) => Ok(()),
    }
}
