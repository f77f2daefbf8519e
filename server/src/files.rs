//! File permissions: only the user that the server runs as may read its files. Databases contain password hashes and
//! names of private repositories, and blobs are the content of private images.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::config::{KeySource, Settings};

/// The permission bits of the group and of others.
const OTHERS: u32 = 0o077;
/// The entries of a data folder or backup, by the prefix of their names.
const OURS: [&str; 4] = ["longshore.", "backup.db", "content", "lost+found"];

/// Sets the umask so that new folders have at most mode 0700, and new files 0600.
pub(crate) fn keep_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Removes permissions of group and others that earlier versions granted: on the data folder and its direct entries,
/// the database, and the files beside them. Anything deeper is protected by its folder.
pub(crate) fn tighten(settings: &Settings) {
    tighten_folder(&settings.server.data);
    if !settings.database.contains("://") || settings.database.starts_with("sqlite://") {
        let database = settings.database.strip_prefix("sqlite://").unwrap_or(&settings.database);
        // SQLite's names for the write-ahead log and its index.
        for ending in ["", "-wal", "-shm"] {
            tighten_one(&PathBuf::from(format!("{database}{ending}")));
        }
    }
    tighten_one(&settings.epoch_file);
    if let KeySource::File(key) = &settings.key {
        tighten_one(key);
    }
}

/// Does the same for one folder. If it contains other things too, it is shared: then only our entries are changed, and
/// a warning is logged.
pub(crate) fn tighten_folder(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut shared = false;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if OURS.iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            tighten_one(&entry.path());
        } else {
            shared = true;
        }
    }
    if !shared {
        tighten_one(folder);
    } else if is_open(folder) {
        tracing::warn!(
            "other users of this machine can list {}, which contains more than Longshore's data; give Longshore \
             its own folder, or restrict this one with chmod 700",
            folder.display()
        );
    }
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.mode() & OTHERS != 0)
}

fn tighten_one(path: &Path) {
    let changed = match fs::symlink_metadata(path) {
        // The target of a link was placed elsewhere on purpose.
        Ok(found) if found.is_symlink() || found.mode() & OTHERS == 0 => return,
        Ok(found) => fs::set_permissions(path, fs::Permissions::from_mode(found.mode() & 0o7777 & !OTHERS)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => Err(error),
    };
    match changed {
        Ok(()) => tracing::info!("{} is no longer readable by other users of this machine", path.display()),
        Err(error) => tracing::warn!(
            "other users of this machine can read {}, and that cannot be changed: {error}; change its owner to the user \
             that Longshore runs as",
            path.display()
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn open_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("content")).unwrap();
        for name in ["longshore.db", "longshore.db-wal"] {
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(folder.path().join("content"), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn permissions_granted_by_earlier_versions_are_removed() {
        let folder = open_folder();
        tighten_folder(folder.path());
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join("content")), 0o700);
        assert_eq!(mode(&folder.path().join("longshore.db")), 0o600);
        assert_eq!(mode(&folder.path().join("longshore.db-wal")), 0o600);
    }

    #[test]
    fn the_permissions_of_a_shared_folder_are_kept() {
        let folder = open_folder();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        fs::set_permissions(folder.path().join("notes.txt"), fs::Permissions::from_mode(0o644)).unwrap();
        tighten_folder(folder.path());
        assert_eq!(mode(folder.path()), 0o755);
        assert_eq!(mode(&folder.path().join("notes.txt")), 0o644);
        assert_eq!(mode(&folder.path().join("longshore.db")), 0o600);
    }
}
