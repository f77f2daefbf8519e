//! Copies the blobs of one registry to another and reports the progress, for `migrate-storage` and `backup`.

use anyhow::{Context, bail};
use longshore_content::{Content, Fate};
use longshore_metadata::Conn;
use longshore_model::size;
use longshore_oci::Digest;

use crate::config::KeySource;

/// The number of bytes between two progress messages.
const TELL_EVERY: u64 = 1_000_000_000;

/// The result of copying blobs.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// The number of blobs that were copied or already existed.
    pub(crate) blobs: u64,
    /// The number of their bytes.
    pub(crate) bytes: u64,
    /// The number of blobs that were copied.
    pub(crate) new: u64,
    /// The number of blobs that were collected as garbage in the meantime.
    pub(crate) gone: u64,
    /// The damaged blobs, with the reason.
    pub(crate) damaged: Vec<(Digest, String)>,
}

impl Copied {
    /// Prints the damaged blobs, with the repositories of `from` that contain them.
    ///
    /// # Errors
    /// There are damaged blobs, so the copy is incomplete.
    pub(crate) async fn tell_damage(&self, from: &Content) -> anyhow::Result<()> {
        for (digest, why) in &self.damaged {
            let holders = from.repositories_with(digest).await?;
            let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
            println!("{digest} is damaged ({why}); it belongs to {}", holders.join(", "));
        }
        match self.damaged.len() {
            0 => Ok(()),
            count => bail!(
                "everything was copied except damaged blobs ({count}): run a scrub, which fetches \
                 them again if a mirror has them, or push their images again; then run the command again"
            ),
        }
    }
}

/// Copies the blobs that are referenced in `named_in`, a connection to the database of `from`.
pub(crate) async fn blobs(from: &Content, named_in: &mut Conn, to: &Content) -> anyhow::Result<Copied> {
    let (mut after, mut told, mut copied) = (None, 0, Copied::default());
    loop {
        let next = from.copy_next_blob(named_in, to, after.as_ref()).await;
        let next = next.with_context(|| match &after {
            None => "the first blob cannot be copied".to_owned(),
            Some(after) => format!("the blob after {after} cannot be copied"),
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
            println!("{} copied or already present", size(told));
        }
        after = Some(blob.digest);
    }
}

/// Fails if the key file does not exist: a newly generated key would differ from that of the server.
pub(crate) fn check_key(key: &KeySource) -> anyhow::Result<()> {
    match key {
        KeySource::File(path) if !path.exists() => bail!(
            "the encryption key {} does not exist; specify the configuration and options of the server",
            path.display()
        ),
        KeySource::File(_) | KeySource::Given(_) => Ok(()),
    }
}
