//! What garbage collection and verification found and did.

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
    /// Deleted repositories whose names are free again.
    pub repositories: u64,
    /// Manifests taken from repositories.
    pub manifests: u64,
    /// Blobs that are stored no more.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads that nobody went on with.
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

/// Something about what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Upkeep {
    /// Garbage went.
    Collected {
        /// What.
        freed: Freed,
    },
    /// Garbage would go.
    WouldCollect {
        /// What.
        freed: Freed,
    },
    /// Everything is paused, and so nothing went.
    Paused,
    /// All that is stored was read.
    Verified {
        /// Blobs.
        blobs: u64,
        /// Their bytes.
        bytes: u64,
        /// Damaged and fetched again.
        mended: u64,
        /// Bytes that belonged to nothing and were removed.
        strays: u64,
        /// Damaged still.
        damaged: u64,
    },
    /// What was counted of a namespace was not what it holds, and was counted anew.
    Miscounted {
        /// The namespace.
        namespace: Namespace,
        /// What was counted, in bytes.
        counted: i64,
        /// What it holds, in bytes.
        held: i64,
    },
    /// What was counted of the blobs of a repository was not what it has, and was counted anew.
    MiscountedBlobs {
        /// The repository.
        repository: RepositoryRef,
        /// What was counted, in bytes.
        counted: i64,
        /// What it has, in bytes.
        held: i64,
    },
    /// What was counted of the tags of a repository was not what it has, and was counted anew.
    MiscountedTags {
        /// The repository.
        repository: RepositoryRef,
        /// What was counted.
        counted: i64,
        /// How many it has.
        held: i64,
    },
    /// What was counted of all blobs was not what they have, and was counted anew.
    MiscountedStore {
        /// What was counted, in bytes.
        counted: i64,
        /// What they have, in bytes.
        held: i64,
    },
    /// A blob is damaged.
    DamagedBlob {
        /// Which.
        digest: Digest,
        /// Repositories that have it.
        holders: Vec<RepositoryRef>,
        /// How, in words of the store.
        damage: String,
    },
    /// A manifest is damaged.
    DamagedManifest {
        /// Which.
        digest: Digest,
        /// Repositories that have it.
        holders: Vec<RepositoryRef>,
        /// How.
        damage: String,
    },
    /// Something damaged was fetched again.
    Mended {
        /// What.
        digest: Digest,
        /// Where from.
        from: RemoteRef,
    },
    /// Something damaged is not to be had there.
    NotMended {
        /// Where it was looked for.
        from: RemoteRef,
        /// Why not.
        why: Box<Message>,
    },
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
                    said.push_str(&format!("{} that belonged to nothing were removed; ", size(*strays)));
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
                format!("{whose} has {tags} and not {before}, as was counted; that was put right")
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
    format!("{whose} holds {held} and not {counted}, as was counted; that was put right")
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
