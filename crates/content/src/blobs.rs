//! Blobs: each is stored once and can be read only through the repositories that link it.

use crate::Content;
use crate::error::Error;
use crate::hash::Hasher;
use crate::intake::take_in;
use crate::manifests::current;
use crate::repositories::may_write_tags;
use crate::store::{ByteStream, Store};
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use longshore_metadata::Visible;
use longshore_metadata::blobs::{self, BlobRow};
use longshore_metadata::{Conn, garbage, manifests, storage, tags, uploads};
use longshore_model::{Provenance, Repository, RepositoryId, UploadId};
use longshore_oci::{Digest, Namespace, Span};
use metrics::counter;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::RwLockReadGuard;
use url::Url;

/// For this long after a blob was linked, lookups need not be recorded. Must be shorter than the time that
/// [`crate::Retention`] leaves for a push.
const RELIED_UPON: SignedDuration = SignedDuration::from_hours(6);

/// A blob of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

impl Content {
    /// Stores a blob that arrives in one piece and links it into the repository. If it fails, or its future is dropped,
    /// nothing is kept.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; [`Error::SizeMismatch`] if the body does not have `expected_size` bytes;
    /// [`Error::QuotaExceeded`], before the body is read if `expected_size` is given; [`Error::BrokenOff`]; the store
    /// and the database.
    pub async fn put_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        expected_size: Option<u64>,
        body: ByteStream,
    ) -> Result<BlobInfo, Error> {
        counter!("longshore_uploads_started_total").increment(1);
        let stored = self.put_whole_blob(repository, digest, expected_size, body).await;
        ended(if stored.is_ok() { "stored" } else { "failed" });
        stored
    }

    async fn put_whole_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        expected_size: Option<u64>,
        body: ByteStream,
    ) -> Result<BlobInfo, Error> {
        let (quota, free) = self.room_for_whole(repository, digest, expected_size).await?;
        let (reserved, body) = self.reserving(repository, quota, free, body);
        let scratch = Scratch { store: Some(self.0.store.clone()), upload: UploadId::new() };
        let mut writer = self.0.store.begin(scratch.upload).await?;
        let intake = take_in(body, writer.as_mut(), Hasher::new(digest.algorithm())).await?;
        if let Some(error) = intake.broken {
            return Err(self.no_room(repository, error).await);
        }
        let (size, actual) = (intake.length, intake.hasher.finish());
        if let Some(expected) = expected_size.filter(|expected| *expected != size) {
            return Err(Error::SizeMismatch { expected, actual: size });
        }
        if actual != *digest {
            return Err(Error::DigestMismatch { expected: digest.clone(), actual });
        }
        let info = BlobInfo { digest: digest.clone(), size };
        writer.seal().await?;
        let stored = self.store(scratch.upload, digest).await?;
        // Immediately: if the caller's future is dropped while the row is written, the bytes must stay.
        scratch.committed();
        let _settling = self.settling().await;
        let recorded = self.record_blob(repository, info, stored, None).await;
        drop(reserved);
        recorded
    }

    /// The quota for a blob that arrives in one piece, and the number of its bytes that do not count against it.
    async fn room_for_whole(
        &self,
        repository: &Repository,
        digest: &Digest,
        expected_size: Option<u64>,
    ) -> Result<(Option<u64>, u64), Error> {
        let namespace = repository.name.to_namespace();
        let mut conn = self.0.db.read().await?;
        let Some(quota) = storage::quota(&mut conn, &namespace).await? else { return Ok((None, 0)) };
        if let Some(size) = expected_size {
            room_for(&mut conn, &namespace, &BlobInfo { digest: digest.clone(), size }).await?;
        }
        let held = storage::held_blob(&mut conn, &namespace, digest).await?;
        Ok((Some(quota), held.unwrap_or_default()))
    }

    /// Turns an upload whose bytes are saved into a stored blob.
    pub(crate) async fn store(&self, bytes: UploadId, digest: &Digest) -> Result<Stored<'_>, Error> {
        let storing = self.0.storing.read().await;
        let location = self.0.store.commit(bytes, digest).await?;
        Ok(Stored { location, _storing: storing })
    }

    /// Writes the row of a stored blob and links it into the repository. Its upload, if any, ends in the same
    /// transaction.
    pub(crate) async fn record_blob(
        &self,
        repository: &Repository,
        info: BlobInfo,
        stored: Stored<'_>,
        upload: Option<UploadId>,
    ) -> Result<BlobInfo, Error> {
        let location = &stored.location;
        let (to, at, now, me) = (repository.clone(), location.clone(), self.now(), self.0.me);
        let size = info.size;
        let recording = self.write(move |tx| {
            async move {
                let namespace = to.name.to_namespace();
                storage::hold_quota(tx, &namespace).await?;
                room_for(tx, &namespace, &info).await?;
                let kept = blobs::record(tx, &info.digest, info.size, &at, now).await?;
                blobs::link(tx, to.id, &info.digest, now).await?;
                if let Some(upload) = upload
                    && !uploads::finish(tx, upload, me).await?
                {
                    return Err(Error::UploadUnknown { repository: to.name, upload });
                }
                Ok::<_, Error>((info, kept == at))
            }
            .boxed()
        });
        let recorded = recording.await.map_err(|error| error.at(&repository.name));
        if let Err(Error::QuotaExceeded(_)) = &recorded {
            // Others used up the quota while these bytes were being stored.
            let at = location.clone();
            let condemn = self.write(move |tx| {
                async move { Ok::<_, Error>(garbage::condemn(tx, &at, size).await?) }.boxed()
            });
            condemn.await?;
        }
        let (info, is_kept) = recorded?;
        if !is_kept {
            self.keep_one(&info.digest, location).await?;
        }
        Ok(info)
    }

    /// If a blob is stored twice, keeps the location that is already recorded if the bytes there are complete;
    /// otherwise records the location of the copy that was just verified.
    async fn keep_one(&self, digest: &Digest, new: &str) -> Result<(), Error> {
        if self.has_whole(digest).await? {
            if let Err(error) = self.0.store.remove(new).await {
                tracing::warn!(%digest, location = new, %error, "a second copy of a blob could not be removed");
            }
            return Ok(());
        }
        let (of, at) = (digest.clone(), new.to_owned());
        self.write(move |tx| async move { Ok::<_, Error>(blobs::relocate(tx, &of, &at).await?) }.boxed())
            .await
    }

    /// Links a blob of one repository into another without copying bytes. `None` if `from` does not have it. The caller
    /// checks that the actor may read `from`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; the database.
    pub async fn mount(
        &self,
        from: &Repository,
        to: &Repository,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, Error> {
        self.mount_out_of(Source::One(from.id), to, digest).await
    }

    /// Like [`Content::mount`], from any of the repositories in `visible` that has the blob.
    ///
    /// # Errors
    /// The database.
    pub async fn mount_from_any(
        &self,
        visible: &Visible,
        to: &Repository,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, Error> {
        self.mount_out_of(Source::Any(visible.clone()), to, digest).await
    }

    async fn mount_out_of(
        &self,
        source: Source,
        to: &Repository,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, Error> {
        let (into, to, digest, now) = (&to.name, to.clone(), digest.clone(), self.now());
        let mounted = self.write(move |tx| {
            async move {
                tags::lock_changes(tx).await?;
                let found = match &source {
                    Source::One(from) => blobs::linked(tx, *from, &digest).await?.map(|(found, _)| found),
                    Source::Any(visible) => blobs::linked_in_any(tx, visible, &digest).await?,
                };
                let Some(found) = found else { return Ok(None) };
                let info = BlobInfo { digest, size: found.size };
                let namespace = to.name.to_namespace();
                storage::hold_quota(tx, &namespace).await?;
                room_for(tx, &namespace, &info).await?;
                blobs::link(tx, to.id, &info.digest, now).await?;
                Ok(Some(info))
            }
            .boxed()
        });
        mounted.await.map_err(|error: Error| error.at(into))
    }

    /// Looks a blob up in a repository. Clients do this to skip an upload, so a blob that no manifest names is then
    /// kept for as long as one that was just pushed.
    ///
    /// # Errors
    /// The database.
    pub async fn stat_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, Error> {
        let linked = blobs::linked(&mut self.0.db.read().await?, repository.id, digest).await?;
        let Some((found, since)) = linked else { return Ok(None) };
        let now = self.now();
        if now.duration_since(since) > RELIED_UPON {
            let (to, blob) = (repository.id, digest.clone());
            let there = self.write(move |tx| {
                async move { Ok::<_, Error>(blobs::touch(tx, to, &blob, now).await?) }.boxed()
            });
            // It may have been collected since it was looked up.
            if !there.await? {
                return Ok(None);
            }
        }
        Ok(Some(BlobInfo { digest: digest.clone(), size: found.size }))
    }

    /// Reads a blob of a repository, or the part of it in `span`. A stream that cannot deliver all of the bytes ends in
    /// an error.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`]; the store and the database.
    pub async fn read_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        span: Option<Span>,
    ) -> Result<(BlobInfo, ByteStream), Error> {
        let Some(found) = self.linked_blob(repository, digest).await? else {
            return Err(unknown(repository, digest));
        };
        let info = BlobInfo { digest: digest.clone(), size: found.size };
        let span = span.unwrap_or(Span { start: 0, length: found.size });
        let stream = match span.length {
            0 => futures::stream::empty().boxed(),
            _ => self.0.store.read(&found.location, span).await?,
        };
        let digest = digest.clone();
        // The client only sees its connection close; the operator must learn why.
        let told = move |error: &io::Error| tracing::error!(%digest, %error, "a stored blob cannot be read");
        let sent = counter!("longshore_blob_sent_bytes_total");
        let counted = stream.inspect_ok(move |bytes| sent.increment(bytes.len() as u64));
        Ok((info, counted.inspect_err(told).boxed()))
    }

    /// A URL at which anyone can read a blob of a repository until `ttl` has passed; `None` if the store has no such
    /// URLs.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`]; the store and the database.
    pub async fn presigned_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        ttl: Duration,
    ) -> Result<Option<Url>, Error> {
        let Some(found) = self.linked_blob(repository, digest).await? else {
            return Err(unknown(repository, digest));
        };
        Ok(self.0.store.presigned(&found.location, ttl).await?)
    }

    /// Unlinks a blob from a repository. Its bytes stay for other repositories. If it is a part of a deleted image,
    /// that image can no longer be restored.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`]; [`Error::InUse`] while a manifest of the repository names it;
    /// [`Error::NotWritable`]; [`Error::RepositoryGone`].
    pub async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.write(move |tx| {
            async move {
                // No manifest that names the blob may be put after the check.
                tags::lock_changes(tx).await?;
                let repository = current(tx, repository).await?;
                may_write_tags(&repository, &Provenance::Push)?;
                if let Some(by) = manifests::naming(tx, repository.id, &digest).await? {
                    return Err(Error::InUse { repository: repository.name, digest, by });
                }
                match blobs::unlink(tx, repository.id, &digest).await? {
                    true => Ok(()),
                    false => Err(unknown(&repository, &digest)),
                }
            }
            .boxed()
        })
        .await
    }

    /// Checks that the quota has room for a blob before it is stored; [`Content::record_blob`] checks it again.
    pub(crate) async fn check_quota(&self, to: &Repository, blob: &BlobInfo) -> Result<(), Error> {
        room_for(&mut self.0.db.read().await?, &to.name.to_namespace(), blob).await
    }

    async fn linked_blob(&self, repository: &Repository, digest: &Digest) -> Result<Option<BlobRow>, Error> {
        let linked = blobs::linked(&mut self.0.db.read().await?, repository.id, digest).await?;
        Ok(linked.map(|(found, _)| found))
    }
}

/// Where a mounted blob may come from.
enum Source {
    One(RepositoryId),
    Any(Visible),
}

/// Checks that the quota of a namespace has room for a blob.
async fn room_for(conn: &mut Conn, namespace: &Namespace, blob: &BlobInfo) -> Result<(), Error> {
    match storage::obstacle_to_blob(conn, namespace, &blob.digest, blob.size).await? {
        Some(exceeded) => {
            counter!("longshore_limit_refusals_total", "limit" => "quota").increment(1);
            Err(exceeded.into())
        }
        None => Ok(()),
    }
}

/// Counts an upload that ended.
pub(crate) fn ended(outcome: &'static str) {
    counter!("longshore_uploads_ended_total", "outcome" => outcome).increment(1);
}

fn unknown(repository: &Repository, digest: &Digest) -> Error {
    Error::BlobUnknown { repository: repository.name.clone(), digest: digest.clone() }
}

/// A stored blob whose row is not written yet. While this is held, its bytes are not removed as garbage.
pub(crate) struct Stored<'a> {
    location: String,
    _storing: RwLockReadGuard<'a, ()>,
}

impl Stored<'_> {
    pub(crate) fn location(&self) -> &str {
        &self.location
    }
}

/// An upload that cannot be resumed: aborted when dropped, unless it was committed.
struct Scratch {
    store: Option<Arc<dyn Store>>,
    upload: UploadId,
}

impl Scratch {
    fn committed(mut self) {
        self.store = None;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let (Some(store), Ok(runtime)) = (self.store.take(), tokio::runtime::Handle::try_current()) {
            let upload = self.upload;
            runtime.spawn(async move {
                if let Err(error) = store.abort(upload, None).await {
                    tracing::warn!(%upload, %error, "the bytes of a failed upload stay until the next start");
                }
            });
        }
    }
}
