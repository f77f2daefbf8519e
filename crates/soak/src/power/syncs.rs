//! The kinds of syncs of a server with SQLite and a store on disk. Leaving out any of them must be detected.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use strum::VariantArray;

use super::trace::Call;

/// The kind of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum Syncs {
    /// The files of uploads that become blobs.
    BlobFiles,
    /// The folders that blobs are moved to.
    BlobFolders,
    /// The parents of those folders.
    StoreFolders,
    /// The files of unfinished uploads.
    UploadFiles,
    UploadFolder,
    Database,
    /// The log with the database's latest commits.
    DatabaseLog,
    /// The folder of the database and its log.
    DataFolder,
}

impl Syncs {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The kind of a sync of this file or folder, given the files that are `renamed` later. `None` if nothing
    /// acknowledged depends on it.
    pub(super) fn of(path: &Path, renamed: &HashSet<PathBuf>) -> Option<Self> {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        Some(match parts[..] {
            ["data"] => Self::DataFolder,
            ["data", "longshore.db"] => Self::Database,
            ["data", "longshore.db-wal"] => Self::DatabaseLog,
            ["data", "content"] | ["data", "content", "blobs"] | ["data", "content", "blobs", _] => {
                Self::StoreFolders
            }
            ["data", "content", "blobs", _, _] => Self::BlobFolders,
            ["data", "content", "uploads"] => Self::UploadFolder,
            ["data", "content", "uploads", _] if renamed.contains(path) => Self::BlobFiles,
            ["data", "content", "uploads", _] => Self::UploadFiles,
            _ => return None,
        })
    }
}

/// The paths below `root` that are renamed.
pub(super) fn renamed(calls: &[Call], root: &Path) -> HashSet<PathBuf> {
    let from = calls.iter().filter_map(|call| match call.name.as_str() {
        "rename" => Some(call.path(0)),
        "renameat" | "renameat2" => Some(call.path(1)),
        _ => None,
    });
    from.filter_map(|path| Path::new(&path).strip_prefix(root).ok().map(Path::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_becomes_a_blob_and_an_unfinished_one_are_different_kinds() {
        let (becomes, stays) = ("data/content/uploads/a", "data/content/uploads/b");
        let renamed = [PathBuf::from(becomes)].into();
        assert_eq!(Syncs::of(Path::new(becomes), &renamed), Some(Syncs::BlobFiles));
        assert_eq!(Syncs::of(Path::new(stays), &renamed), Some(Syncs::UploadFiles));
        assert_eq!(Syncs::of(Path::new("data.key"), &renamed), None);
    }
}
