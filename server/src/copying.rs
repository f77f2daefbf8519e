//! Copying the blobs of one registry to another, with word of how far it is: what `migrate-storage` and `backup`
//! have in common.

use anyhow::{Context, bail};
use longshore_content::{Content, Fate};
use longshore_metadata::Conn;
use longshore_model::size;
use longshore_oci::Digest;

use crate::config::KeySource;

/// After so many bytes the progress is told.
const TELL_EVERY: u64 = 1_000_000_000;

/// What became of the blobs.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// How many there are.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Those that were not there before.
    pub(crate) new: u64,
    /// Those that were collected as garbage meanwhile.
    pub(crate) gone: u64,
    /// Those that are damaged, and in which way.
    pub(crate) damaged: Vec<(Digest, String)>,
}

impl Copied {
    /// Names the damaged blobs with the repositories of `from` that have them.
    ///
    /// # Errors
    /// There are some: what was copied is not all there is.
    pub(crate) async fn tell_damage(&self, from: &Content) -> anyhow::Result<()> {
        for (digest, why) in &self.damaged {
            let holders = from.repositories_with(digest).await?;
            let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
            println!("{digest} is damaged ({why}); it belongs to {}", holders.join(", "));
        }
        match self.damaged.len() {
            0 => Ok(()),
            count => bail!(
                "{count} of the blobs are damaged and were not copied, all else was: run a scrub, which fetches \
                 them again where a mirror has them, or push their images again; then ask once more"
            ),
        }
    }
}

/// Copies the blobs that `named_in` names, which reads the database of `from`.
pub(crate) async fn blobs(from: &Content, named_in: &mut Conn, to: &Content) -> anyhow::Result<Copied> {
    let (mut after, mut told, mut copied) = (None, 0, Copied::default());
    loop {
        let next = from.copy_next_blob(named_in, to, after.as_ref()).await;
        let next = next.with_context(|| match &after {
            None => "the first blob cannot be copied".to_owned(),
            Some(after) => format!("the blob behind {after} cannot be copied"),
        })?;
        let Some(blob) = next else { return Ok(copied) };
        match blob.fate {
            Fate::Gone => copied.gone += 1,
            Fate::Damaged(why) => copied.damaged.push((blob.digest.clone(), why)),
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
