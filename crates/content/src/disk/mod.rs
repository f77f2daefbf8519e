//! The store on local disk. Uploads are written to `uploads/<id>`. A finished one is synced and renamed to
//! `blobs/<algorithm>/<2 hex>/<hex>`, and the folder is synced, so that a stored blob is complete even after a power
//! failure. Files are read in `reading`.

mod reading;

use crate::store::{ByteStream, Kept, Note, Store, StoreError, Writer, location_of, off_thread};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use longshore_model::{Timestamp, UploadId};
use longshore_oci::{Algorithm, Digest, Span};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Writing to the disk begins each time this many bytes have been received, so that little is left to sync at the end
/// of a large blob.
const SYNC_EVERY: u64 = 32 * 1024 * 1024;

/// Blobs and uploads in a local folder.
#[derive(Debug, Clone)]
pub struct DiskStore {
    uploads: Arc<Path>,
    blobs: Arc<Path>,
    root: Arc<Path>,
}

impl DiskStore {
    /// Opens the store in `root` and creates missing folders.
    ///
    /// # Errors
    /// If a folder cannot be created.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        let store = Self {
            uploads: root.join("uploads").into(),
            blobs: root.join("blobs").into(),
            root: root.as_path().into(),
        };
        make_durable_folder(&root)?;
        make_folder(&store.uploads)?;
        for &algorithm in Algorithm::ALL {
            // All at once: a folder that is created later would have to be synced into its parent before a blob in it
            // counts as durable.
            let folder = store.blobs.join(algorithm.as_str());
            for first in 0..=u8::MAX {
                make_folder(&folder.join(format!("{first:02x}")))?;
            }
            sync_folder(&folder)?;
        }
        sync_folder(&store.blobs)?;
        sync_folder(&root)?;
        Ok(store)
    }

    fn upload_path(&self, upload: UploadId) -> PathBuf {
        self.uploads.join(upload.to_string())
    }
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::io("make the folder", path))
}

/// Creates a folder and its missing parents, and syncs them.
///
/// # Errors
/// If a folder cannot be created or synced.
pub fn make_durable_folder(path: &Path) -> Result<(), StoreError> {
    let path = std::path::absolute(path).map_err(StoreError::io("find", path))?;
    // An existing folder may have been created by a server that was killed before it could sync it.
    let new = path.ancestors().take_while(|folder| !folder.exists()).count().max(1);
    make_folder(&path)?;
    path.ancestors().take(new).filter_map(Path::parent).try_for_each(sync_folder)
}

/// Makes renames and new files in a folder durable.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(StoreError::io("sync the folder", path))
}

/// Replaces the content of a file by one line, atomically: after a crash the file has either the old content or the new
/// one.
///
/// # Errors
/// If the file or its folder cannot be written or synced.
pub fn replace_durably(path: &Path, line: &str) -> Result<(), StoreError> {
    let path = &std::path::absolute(path).map_err(StoreError::io("find", path))?;
    let draft = path.with_added_extension("new");
    let written = || {
        let mut file = File::create(&draft)?;
        writeln!(file, "{line}")?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    written().map_err(StoreError::io("write", path))?;
    sync_folder(path.parent().expect("a file is in a folder"))
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

impl Store for DiskStore {
    fn is_shared(&self) -> bool {
        false
    }

    fn note(&self, note: Note) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        let path = self.root.join(note.name());
        async move {
            off_thread(move || match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                read => read.map(|text| Some(text.trim().to_owned())).map_err(StoreError::io("read", &path)),
            })
            .await?
        }
        .boxed()
    }

    fn set_note(&self, note: Note, text: String) -> BoxFuture<'_, Result<(), StoreError>> {
        let path = self.root.join(note.name());
        async move { off_thread(move || replace_durably(&path, &text)).await? }.boxed()
    }

    fn begin(&self, upload: UploadId) -> BoxFuture<'_, Result<Box<dyn Writer>, StoreError>> {
        let path = self.upload_path(upload);
        async move {
            off_thread(move || {
                let mut options = OpenOptions::new();
                let opened = options.write(true).create(true).truncate(true).open(&path);
                let file = opened.map_err(StoreError::io("create", &path))?;
                Ok(Box::new(DiskWriter::new(file, path, 0)) as Box<dyn Writer>)
            })
            .await?
        }
        .boxed()
    }

    fn resume<'s>(
        &'s self,
        upload: UploadId,
        offset: u64,
        _bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<Box<dyn Writer>, StoreError>> {
        let path = self.upload_path(upload);
        async move {
            off_thread(move || {
                let file = match OpenOptions::new().write(true).open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Err(StoreError::UploadLost { upload });
                    }
                    opened => opened.map_err(StoreError::io("open", &path))?,
                };
                if file.metadata().map_err(StoreError::io("look at", &path))?.len() < offset {
                    return Err(StoreError::UploadLost { upload });
                }
                file.set_len(offset).map_err(StoreError::io("shorten", &path))?;
                Ok(Box::new(DiskWriter::new(file, path, offset)) as Box<dyn Writer>)
            })
            .await?
        }
        .boxed()
    }

    fn read_back<'s>(
        &'s self,
        upload: UploadId,
        length: u64,
        _bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<ByteStream, StoreError>> {
        reading::stream(self.upload_path(upload), Span { start: 0, length }).boxed()
    }

    fn commit(&self, upload: UploadId, digest: &Digest) -> BoxFuture<'_, Result<String, StoreError>> {
        let (from, location) = (self.upload_path(upload), location_of(digest));
        let to = self.blobs.join(&location);
        async move {
            off_thread(move || {
                fs::rename(&from, &to).map_err(StoreError::io("store", &to))?;
                sync_folder(to.parent().expect("a blob is in a folder"))?;
                Ok(location)
            })
            .await?
        }
        .boxed()
    }

    fn abort<'s>(
        &'s self,
        upload: UploadId,
        _bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<(), StoreError>> {
        let path = self.upload_path(upload);
        async move { off_thread(move || remove_if_there(&path)).await? }.boxed()
    }

    fn uploads(&self) -> BoxFuture<'_, Result<Vec<UploadId>, StoreError>> {
        let folder = self.uploads.clone();
        async move {
            off_thread(move || {
                let list = || -> io::Result<Vec<UploadId>> {
                    let names = fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name()));
                    let names: Vec<_> = names.collect::<io::Result<_>>()?;
                    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
                };
                list().map_err(StoreError::io("list", &folder))
            })
            .await?
        }
        .boxed()
    }

    fn read(&self, location: &str, span: Span) -> BoxFuture<'_, Result<ByteStream, StoreError>> {
        reading::stream(self.blobs.join(location), span).boxed()
    }

    fn blobs(&self) -> BoxStream<'static, Result<Kept, StoreError>> {
        let root = self.blobs.clone();
        let folders = Algorithm::ALL.iter().copied().flat_map(|algorithm| {
            (0..=u8::MAX).map(move |first| format!("{}/{first:02x}", algorithm.as_str()))
        });
        futures::stream::iter(folders)
            .then(move |folder| {
                let root = root.clone();
                async move { off_thread(move || list(&root, &folder)).await.flatten() }
            })
            .map_ok(|kept| futures::stream::iter(kept.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    fn remove(&self, location: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let path = self.blobs.join(location);
        async move { off_thread(move || remove_if_there(&path)).await? }.boxed()
    }
}

/// The blobs in one folder.
fn list(root: &Path, folder: &str) -> Result<Vec<Kept>, StoreError> {
    let path = root.join(folder);
    let entries = fs::read_dir(&path).map_err(StoreError::io("list", &path))?;
    let kept = entries.map(|entry| {
        let entry = entry?;
        let file = match entry.metadata() {
            // Removed in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        Ok(entry.file_name().to_str().map(|name| Kept {
            location: format!("{folder}/{name}"),
            size: file.len(),
            modified: file.modified().ok().and_then(|at| at.try_into().ok()).unwrap_or(Timestamp::MAX),
        }))
    });
    let kept: io::Result<Vec<_>> = kept.filter_map(Result::transpose).collect();
    kept.map_err(StoreError::io("list", &path))
}

struct DiskWriter {
    file: Arc<File>,
    path: PathBuf,
    offset: u64,
    /// Whether the file's entry in its folder is durable.
    named: bool,
    unsynced: u64,
    /// The early sync that is under way. Its result must be checked: the operating system reports a failed write-back
    /// only once.
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl DiskWriter {
    fn new(file: File, path: PathBuf, offset: u64) -> Self {
        Self { file: Arc::new(file), path, offset, named: offset > 0, unsynced: 0, syncing: None }
    }

    async fn early_sync_ended(&mut self) -> Result<(), StoreError> {
        match self.syncing.take() {
            None => Ok(()),
            Some(sync) => {
                sync.await.map_err(|_| StoreError::ShuttingDown)?.map_err(StoreError::io("write", &self.path))
            }
        }
    }

    async fn begin_early_sync(&mut self) -> Result<(), StoreError> {
        if self.syncing.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        self.early_sync_ended().await?;
        let file = self.file.clone();
        self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        self.unsynced = 0;
        Ok(())
    }
}

impl Writer for DiskWriter {
    fn append(&mut self, frames: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let (file, start) = (self.file.clone(), self.offset);
            let written = off_thread(move || {
                frames.iter().try_fold(start, |at, frame| {
                    file.write_all_at(frame, at)?;
                    Ok(at + frame.len() as u64)
                })
            });
            self.offset = written.await?.map_err(StoreError::io("write", &self.path))?;
            self.unsynced += self.offset - start;
            if self.unsynced >= SYNC_EVERY { self.begin_early_sync().await } else { Ok(()) }
        }
        .boxed()
    }

    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.seal().await?;
            if !self.named {
                let path = self.path.clone();
                off_thread(move || sync_folder(path.parent().expect("an upload is in a folder"))).await??;
                self.named = true;
            }
            Ok(())
        }
        .boxed()
    }

    fn seal(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.early_sync_ended().await?;
            let file = self.file.clone();
            off_thread(move || file.sync_data()).await?.map_err(StoreError::io("write", &self.path))
        }
        .boxed()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_has_its_own_error_message() {
        // Every write to /dev/full fails as on a full disk.
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut writer = DiskWriter::new(file, "/data/uploads/x".into(), 0);
        let error = writer.append(vec![Bytes::from_static(b"x")]).await.unwrap_err();
        assert!(error.to_string().contains("/data/uploads/x is full"), "{error}");
    }
}
