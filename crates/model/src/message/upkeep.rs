//! Sentences about garbage collection and verification.

use super::{
    Message, counted,
    eyes::Eyes,
    reference::{RemoteRef, RepositoryRef},
};
use crate::size;
use longshore_oci::{Digest, Namespace};
use serde::{Deserialize, Serialize};

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Freed {
    /// Deleted repositories whose names are available again.
    pub repositories: u64,
    /// Manifests removed from repositories.
    pub manifests: u64,
    /// Deleted blobs.
    pub blobs: u64,
    /// The size of those blobs.
    pub bytes: u64,
    /// Abandoned uploads.
    pub uploads: u64,
}

impl Freed {
    fn sentence(&self, verb: &str) -> String {
        if *self == Self::default() {
            return "nothing to remove".to_owned();
        }
        let counts = [
            (self.blobs, "blob", "blobs"),
            (self.manifests, "manifest", "manifests"),
            (self.uploads, "abandoned upload", "abandoned uploads"),
            (self.repositories, "deleted repository", "deleted repositories"),
        ];
        let parts: Vec<String> = counts
            .into_iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, one, many)| counted(count, one, many))
            .collect();
        format!("{verb} {}: {}", size(self.bytes), parts.join(", "))
    }
}

/// A sentence about stored content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Upkeep {
    /// Garbage was removed.
    Collected { freed: Freed },
    /// A dry run reports what would be removed.
    WouldCollect { freed: Freed },
    /// Nothing was removed, because everything is paused.
    Paused,
    /// All stored content was read.
    Verified {
        blobs: u64,
        bytes: u64,
        /// Blobs and manifests that were damaged and fetched again.
        mended: u64,
        /// Bytes that belonged to nothing and were removed.
        strays: u64,
        /// Blobs and manifests that are still damaged.
        damaged: u64,
    },
    /// The recorded size of a namespace was wrong and was corrected.
    Miscounted {
        namespace: Namespace,
        /// The recorded bytes.
        counted: i64,
        /// The actual bytes.
        held: i64,
    },
    /// The recorded size of the blobs of a repository was wrong and was corrected.
    MiscountedBlobs {
        repository: RepositoryRef,
        /// The recorded bytes.
        counted: i64,
        /// The actual bytes.
        held: i64,
    },
    /// The recorded number of tags of a repository was wrong and was corrected.
    MiscountedTags {
        repository: RepositoryRef,
        /// The recorded number.
        counted: i64,
        /// The actual number.
        held: i64,
    },
    /// The recorded size of all blobs was wrong and was corrected.
    MiscountedStore {
        /// The recorded bytes.
        counted: i64,
        /// The actual bytes.
        held: i64,
    },
    /// A blob is damaged.
    DamagedBlob {
        digest: Digest,
        /// The repositories that have it.
        holders: Vec<RepositoryRef>,
        /// The damage in the words of the store.
        damage: String,
    },
    /// A manifest is damaged.
    DamagedManifest {
        digest: Digest,
        /// The repositories that have it.
        holders: Vec<RepositoryRef>,
        damage: String,
    },
    /// Damaged content was fetched again.
    Mended { digest: Digest, from: RemoteRef },
    /// Damaged content could not be fetched from a remote.
    NotMended { from: RemoteRef, why: Box<Message> },
}

impl Upkeep {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Collected { freed } => freed.sentence("freed"),
            Self::WouldCollect { freed } => freed.sentence("would free"),
            Self::Paused => "nothing was collected because everything is paused".to_owned(),
            Self::Verified { blobs, bytes, mended, strays, damaged } => {
                let mut said = match mended {
                    0 => String::new(),
                    mended => {
                        let what = counted(*mended, "blob or manifest was", "blobs or manifests were");
                        format!("{what} damaged and fetched again; ")
                    }
                };
                if *strays > 0 {
                    said.push_str(&format!("{} of unreferenced data were removed; ", size(*strays)));
                }
                match damaged {
                    0 => format!("{said}{blobs} blobs with {} are sound", size(*bytes)),
                    damaged => format!(
                        "{said}{damaged} of what is stored is damaged and no mirror could supply it: the log names \
                         it; push those images again, or restore them from a backup"
                    ),
                }
            }
            Self::Miscounted { namespace, counted, held } => {
                let whose =
                    if eyes.everything() { namespace.to_string() } else { "another namespace".to_owned() };
                miscounted(&whose, *counted, *held)
            }
            Self::MiscountedBlobs { repository, counted, held } => {
                miscounted(&repository.shown(eyes), *counted, *held)
            }
            Self::MiscountedTags { repository, counted: before, held } => {
                let tags = counted(held.unsigned_abs(), "tag", "tags");
                let whose = repository.shown(eyes);
                format!("{whose} has {tags}, but {before} had been counted; the count was corrected")
            }
            Self::MiscountedStore { counted, held } => miscounted("the store", *counted, *held),
            Self::DamagedBlob { digest, holders, damage } => {
                format!("blob {digest}, {}: {}", places(holders, eyes), words(damage, eyes))
            }
            Self::DamagedManifest { digest, holders, damage } => {
                format!("manifest {digest}, {}: {}", places(holders, eyes), words(damage, eyes))
            }
            Self::Mended { digest, from } => {
                format!("{digest} was fetched again from {}", from.shown(eyes))
            }
            Self::NotMended { from, why } => {
                format!("{} does not supply it: {}", from.shown(eyes), why.sentence(eyes))
            }
        }
    }
}

fn miscounted(whose: &str, counted: i64, held: i64) -> String {
    let (counted, held) = (size(counted.unsigned_abs()), size(held.unsigned_abs()));
    format!("{whose} holds {held}, but {counted} had been counted; the count was corrected")
}

/// The store's words name its files.
fn words<'a>(damage: &'a str, eyes: &dyn Eyes) -> &'a str {
    if eyes.everything() { damage } else { "it is damaged" }
}

fn places(holders: &[RepositoryRef], eyes: &dyn Eyes) -> String {
    match holders {
        [] => "in no repository".to_owned(),
        holders => {
            let names: Vec<String> = holders.iter().map(|holder| holder.shown(eyes)).collect();
            format!("in {}", names.join(", "))
        }
    }
}
