//! Uploads that take several requests: begun, appended to, finished or cancelled. An upload's row stores its offset and
//! the state of its hash, so that it can continue after a restart.

use crate::Content;
use crate::blobs::{BlobInfo, ended};
use crate::claims::Claim;
use crate::error::Error;
use crate::hash::Hasher;
use crate::intake::{Intake, take_in};
use crate::store::{ByteStream, StoreError, Writer};
use futures::{FutureExt, StreamExt, TryStreamExt};
use longshore_metadata::{
    repositories, storage,
    uploads::{self, Saved, Upload},
};
use longshore_model::{Repository, Timestamp, UploadId};
use longshore_oci::{Algorithm, Digest};
use metrics::counter;
use std::future::Future;
use std::io;
use tracing::Instrument;

/// The maximum number of unfinished uploads of a repository. Each is a row and a file until it ends or expires.
const MOST_UNFINISHED: i64 = 10_000;

/// A part of an upload.
pub struct Chunk {
    /// The offset given by the client; `None` means the upload's current offset.
    pub start: Option<u64>,
    pub body: ByteStream,
}

impl Content {
    /// Begins an upload. `algorithm` is that of the expected digest. Finishing with another one is possible, but all
    /// bytes are then read once more.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`]; [`Error::RepositoryGone`]; the database.
    pub async fn begin_upload(
        &self,
        repository: &Repository,
        algorithm: Algorithm,
    ) -> Result<UploadId, Error> {
        let (id, to, now) = (UploadId::new(), repository.id, self.now());
        let state = Hasher::new(algorithm).state();
        let name = repository.name.clone();
        self.write(move |tx| {
            async move {
                if uploads::count_in(tx, to, MOST_UNFINISHED).await? >= MOST_UNFINISHED.unsigned_abs() {
                    return Err(Error::TooManyUploads { repository: name });
                }
                Ok::<_, Error>(uploads::create(tx, id, to, algorithm, &state, now).await?)
            }
            .boxed()
        })
        .await
        .map_err(|error| error.at(&repository.name))?;
        counter!("longshore_uploads_started_total").increment(1);
        Ok(id)
    }

    /// The number of durable bytes of an upload, where its next part begins. If a client has just disconnected, this
    /// waits until its bytes are saved.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]
    pub async fn upload_offset(&self, repository: &Repository, upload: UploadId) -> Result<u64, Error> {
        self.0.busy.free(upload).await;
        Ok(self.upload(repository, upload).await?.offset)
    }

    /// Appends a part; returns the new offset, which is durable. If the body breaks off, the received bytes are kept
    /// ([`Error::BrokenOff`]), even if the caller's future was dropped.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; [`Error::RangeNotSatisfiable`] if the part begins at another offset;
    /// [`Error::UploadBusy`]; [`Error::BrokenOff`]; [`Error::QuotaExceeded`] as soon as more bytes were received than
    /// the namespace may hold, and the upload is removed; [`Error::UploadsExceedQuota`] if only other uploads are in
    /// the way, and the upload keeps its offset; the store and the database.
    pub async fn append(
        &self,
        repository: &Repository,
        upload: UploadId,
        chunk: Chunk,
    ) -> Result<u64, Error> {
        let (content, repository) = (self.clone(), repository.clone());
        self.to_its_end(async move {
            let (upload, claim) = content.take_upload(&repository, upload, chunk.start).await?;
            let hasher = content.hasher_of(&upload).await?;
            let (reserved, part) = content.reserving(&repository, upload.quota, 0, claim.part(chunk.body));
            let (mut writer, mut intake) = content.add(&repository, &upload, hasher, part).await?;
            if let Some(error) = intake.broken.take_if(|error| is_no_room(error)) {
                return Err(content.refuse(&repository, &upload, error).await);
            }
            let settling = content.settling().await;
            let offset = content.keep(&upload, writer.as_mut(), &intake).await?;
            drop((reserved, settling));
            claim.ended();
            intake.broken.map_or(Ok(offset), |error| Err(Error::BrokenOff(error)))
        })
        .await
    }

    /// Finishes an upload, with an optional last part: verifies the digest, stores the blob and links it into the
    /// repository. If the digest does not match, the upload is removed.
    ///
    /// # Errors
    /// Like [`Content::append`], and [`Error::DigestMismatch`].
    pub async fn finish_upload(
        &self,
        repository: &Repository,
        upload: UploadId,
        digest: &Digest,
        last: Option<Chunk>,
    ) -> Result<BlobInfo, Error> {
        let (content, repository, digest) = (self.clone(), repository.clone(), digest.clone());
        self.to_its_end(async move {
            let last = last.unwrap_or_else(|| Chunk { start: None, body: futures::stream::empty().boxed() });
            let (upload, claim) = content.take_upload(&repository, upload, last.start).await?;
            let free = content.free_bytes(&repository, &upload, &digest).await?;
            let (reserved, last) = content.reserving(&repository, upload.quota, free, claim.part(last.body));
            let stored = content.finish(&repository, &upload, digest, last).await?;
            drop(reserved);
            claim.ended();
            Ok(stored)
        })
        .await
    }

    /// Removes an upload and its bytes.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; [`Error::UploadBusy`].
    pub async fn cancel_upload(&self, repository: &Repository, upload: UploadId) -> Result<(), Error> {
        let (upload, claim) = self.take_upload(repository, upload, None).await?;
        self.drop_upload(&upload).await?;
        claim.ended();
        ended("cancelled");
        Ok(())
    }

    /// Removes bytes in the store that belong to no upload: those of one-request uploads that were running when a
    /// server died. To be called before requests are served; returns the number of uploads. If the store is shared with
    /// other servers, garbage collection does this instead, after a delay.
    ///
    /// # Errors
    /// The store and the database.
    pub async fn drop_stray_uploads(&self) -> Result<usize, Error> {
        match self.0.store.is_shared() {
            true => Ok(0),
            false => self.drop_strays(None).await,
        }
    }

    /// Removes bytes that belong to no upload and whose upload began before an instant, or at any time.
    pub(crate) async fn drop_strays(&self, before: Option<Timestamp>) -> Result<usize, Error> {
        let mut dropped = 0;
        let mut uploads = self.0.store.uploads().await?;
        uploads.retain(|upload| before.is_none_or(|before| upload.made_at() < before));
        for upload in uploads {
            let mut conn = self.0.db.read().await?;
            if uploads::get(&mut conn, upload).await?.is_none() {
                self.0.store.abort(upload, None).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    async fn finish(
        &self,
        repository: &Repository,
        upload: &Upload,
        digest: Digest,
        body: ByteStream,
    ) -> Result<BlobInfo, Error> {
        let hasher = match upload.offset {
            // Nothing was hashed yet, so the required algorithm can be used from the start.
            0 => Hasher::new(digest.algorithm()),
            _ => self.hasher_of(upload).await?,
        };
        let (mut writer, mut intake) = self.add(repository, upload, hasher, body).await?;
        if let Some(error) = intake.broken.take_if(|error| is_no_room(error)) {
            return Err(self.refuse(repository, upload, error).await);
        }
        if let Some(error) = intake.broken {
            if intake.hasher.algorithm() == upload.algorithm {
                let kept = Intake { broken: None, ..intake };
                self.keep(upload, writer.as_mut(), &kept).await?;
            }
            return Err(Error::BrokenOff(error));
        }
        writer.seal().await?;
        let size = upload.offset + intake.length;
        let hasher = match intake.hasher {
            hasher if hasher.algorithm() == digest.algorithm() => hasher,
            _ => self.hash_again(upload, size, digest.algorithm()).await?,
        };
        let actual = hasher.finish();
        if actual != digest {
            self.drop_upload(upload).await?;
            ended("failed");
            return Err(Error::DigestMismatch { expected: digest, actual });
        }
        let info = BlobInfo { digest, size };
        // Checked before the bytes become a blob that no repository has.
        if let Err(error) = self.check_quota(repository, &info).await {
            self.drop_upload(upload).await?;
            ended("failed");
            return Err(error);
        }
        let stored = self.store(upload.id, &info.digest).await?;
        let _settling = self.settling().await;
        let info = self.record_blob(repository, info, stored, Some(upload.id)).await?;
        ended("stored");
        Ok(info)
    }

    async fn upload(&self, repository: &Repository, upload: UploadId) -> Result<Upload, Error> {
        let mut conn = self.0.db.read().await?;
        let found = uploads::get(&mut conn, upload).await?;
        found
            .filter(|found| found.repository == repository.id)
            .ok_or_else(|| Error::UploadUnknown { repository: repository.name.clone(), upload })
    }

    /// Claims an upload, after waiting for a request that is about to release it or whose client sends nothing. The row
    /// is read only after the claim, or it could be outdated.
    async fn take_upload(
        &self,
        repository: &Repository,
        upload: UploadId,
        start: Option<u64>,
    ) -> Result<(Upload, Claim), Error> {
        self.0.busy.give_way(upload).await;
        let claim = self.claim_upload(upload).await?;
        let upload = self.upload(repository, upload).await?;
        match claim {
            None => Err(Error::UploadBusy { offset: upload.offset }),
            Some(claim) if start.is_none_or(|start| start == upload.offset) => Ok((upload, claim)),
            Some(_) => Err(Error::RangeNotSatisfiable { offset: upload.offset }),
        }
    }

    /// The number of bytes of an upload that do not count against the quota: those of a blob that the namespace already
    /// has.
    async fn free_bytes(
        &self,
        repository: &Repository,
        upload: &Upload,
        digest: &Digest,
    ) -> Result<u64, Error> {
        if upload.quota.is_none() || upload.offset > 0 {
            return Ok(0);
        }
        let namespace = repository.name.to_namespace();
        let held = storage::held_blob(&mut self.0.db.read().await?, &namespace, digest).await?;
        Ok(held.unwrap_or_default())
    }

    /// Discards a part for which the quota has no room, and returns the reason. An upload that can never finish is
    /// removed; one that only has to wait for others keeps its offset.
    async fn refuse(&self, repository: &Repository, upload: &Upload, error: io::Error) -> Error {
        let error = self.no_room(repository, error).await;
        let freed = match &error {
            Error::QuotaExceeded(_) => {
                ended("failed");
                self.drop_upload(upload).await
            }
            _ => self.take_back(upload).await.map_err(Error::from),
        };
        if let Err(error) = freed {
            tracing::warn!(upload = %upload.id, %error, "the refused bytes of an upload could not be removed yet");
        }
        error
    }

    /// Discards the bytes of a part that were not recorded.
    async fn take_back(&self, upload: &Upload) -> Result<(), StoreError> {
        let (store, bookmark) = (&self.0.store, upload.bookmark.as_deref());
        match upload.offset {
            0 => store.abort(upload.id, bookmark).await,
            offset => store.resume(upload.id, offset, bookmark).await.map(drop),
        }
    }

    /// The hash of the upload's bytes so far. If the stored state cannot be restored (it may come from another version
    /// of the library), all bytes are read again.
    async fn hasher_of(&self, upload: &Upload) -> Result<Hasher, Error> {
        match Hasher::restore(upload.algorithm, &upload.hash_state) {
            Some(hasher) => Ok(hasher),
            None => self.hash_again(upload, upload.offset, upload.algorithm).await,
        }
    }

    /// Stores and hashes a part after the upload's offset, without recording it yet.
    async fn add(
        &self,
        repository: &Repository,
        upload: &Upload,
        hasher: Hasher,
        body: ByteStream,
    ) -> Result<(Box<dyn Writer>, Intake), Error> {
        let (store, bookmark) = (&self.0.store, upload.bookmark.as_deref());
        let opened = match upload.offset {
            0 => store.begin(upload.id).await,
            offset => store.resume(upload.id, offset, bookmark).await,
        };
        let mut writer = match opened {
            Err(StoreError::UploadLost { .. }) => {
                self.drop_upload(upload).await?;
                return Err(Error::UploadUnknown { repository: repository.name.clone(), upload: upload.id });
            }
            opened => opened?,
        };
        match take_in(body, writer.as_mut(), hasher).await {
            Ok(intake) => Ok((writer, intake)),
            Err(error) => {
                // Frees the space of this part, in case the disk is full. The error to return is that of the part.
                let _ = self.take_back(upload).await;
                Err(error.into())
            }
        }
    }

    /// Makes a part durable, then records it in the upload's row.
    async fn keep(&self, upload: &Upload, writer: &mut dyn Writer, intake: &Intake) -> Result<u64, Error> {
        writer.save().await?;
        let (id, me, now, old) = (upload.id, self.0.me, self.now(), upload.offset);
        let (new, hash_state) = (old + intake.length, intake.hasher.state());
        let saved = Saved { from: old, to: new, hash_state, bookmark: writer.bookmark() };
        let moved = self.write(move |tx| {
            async move { Ok::<_, Error>(uploads::advance(tx, id, me, &saved, now).await?) }.boxed()
        });
        if !moved.await? {
            return Err(Error::RangeNotSatisfiable { offset: old });
        }
        writer.counted().await;
        Ok(new)
    }

    async fn hash_again(&self, upload: &Upload, length: u64, algorithm: Algorithm) -> Result<Hasher, Error> {
        let stream = self.0.store.read_back(upload.id, length, upload.bookmark.as_deref()).await?;
        let hashed = stream.try_fold(Hasher::new(algorithm), |mut hasher, chunk| async move {
            let work = move || {
                hasher.update(&chunk);
                hasher
            };
            tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)
        });
        Ok(hashed.await.map_err(|source| StoreError::Unreadable { source })?)
    }

    /// Removes an upload, and its repository if that was created for it alone.
    pub(crate) async fn drop_upload(&self, upload: &Upload) -> Result<(), Error> {
        self.0.store.abort(upload.id, upload.bookmark.as_deref()).await?;
        let (upload, repository) = (upload.id, upload.repository);
        self.write(move |tx| {
            async move {
                uploads::delete(tx, upload).await?;
                Ok::<_, Error>(repositories::forget_unused(tx, repository).await.map(drop)?)
            }
            .boxed()
        })
        .await
    }

    /// Runs work to its end on its own task, even if the caller's future is dropped: if a client disconnects, its last
    /// bytes must still be saved.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let running = self.0.unattended.spawn(work.in_current_span());
        running.await.unwrap_or_else(|failure| match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::ShuttingDown.into()),
        })
    }
}

/// Whether a part was ended by the quota and not by its client.
fn is_no_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::QuotaExceeded
}
