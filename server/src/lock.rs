//! The lock on the data folder: two servers must not use the same one.

use anyhow::{Context, bail};
use longshore_content::make_durable_folder;
use std::fs::{File, TryLockError};
use std::path::Path;

/// Held while the server runs; the operating system releases it however the process ends.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Creates the folder if it does not exist, and locks it.
    pub(crate) fn take(data: &Path) -> anyhow::Result<Self> {
        make_durable_folder(data)
            .with_context(|| format!("the data folder {} cannot be created", data.display()))?;
        let path = data.join("longshore.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another longshore process uses the data folder {}; stop it, or choose another folder",
                data.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_one_server_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = DataLock::take(&data).unwrap();
        let refused = DataLock::take(&data).unwrap_err().to_string();
        assert!(refused.contains("another longshore process"), "{refused}");
        drop(first);
        assert!(DataLock::take(&data).is_ok());
    }
}
