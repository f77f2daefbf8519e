//! Manifests and tags: what a push of a manifest verifies and writes in one transaction, and how manifests, tags and
//! referrers are read and deleted.

use crate::Content;
use crate::error::Error;
use crate::hash::digest_of;
use crate::repositories::{may_delete_tags, may_write_tags};
use crate::store::off_thread;
use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use longshore_metadata::deletion::{self, DeleteOutcome};
use longshore_metadata::manifests::{
    self, NewManifest, ReferrersPage, ReferrersWanted, StoredManifest, TreeEntry,
};
use longshore_metadata::tags::{self, RemoveOutcome, SetOutcome, SetTag};
use longshore_metadata::{Tx, repositories, storage};
use longshore_model::{Author, Lineage, Provenance, Repository, TagRecord};
use longshore_oci::{
    Algorithm, Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, ManifestError, ManifestKind, Namespace,
    Platform, Reference, Tag, media_type,
};
use metrics::counter;

/// The largest config, in bytes, that is read to find the platform; those of images have a few kB.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// The maximum size of one page of referrers, in bytes. Clients refuse an index of more than 4 MiB.
const MAX_REFERRERS_BYTES: i64 = 4_000_000;

/// A manifest to store, and the tags to set to it.
#[derive(Debug, Clone)]
pub struct PutManifest<'a> {
    pub repository: &'a Repository,
    /// The digest given by the client; `None` means that its SHA-256 digest is used.
    pub digest_expected: Option<&'a Digest>,
    /// If empty, the manifest is stored by digest only.
    pub tags: &'a [Tag],
    /// The Content-Type of the request; if empty, the manifest's own `mediaType` is used.
    pub media_type: &'a str,
    pub bytes: Bytes,
    pub author: &'a Author,
    pub provenance: &'a Provenance,
    pub lineage: &'a Lineage,
}

/// The result of storing a manifest.
#[derive(Debug, Clone)]
pub struct PutOutcome {
    pub digest: Digest,
    pub subject: Option<Digest>,
    /// The outcome for each tag, in the order of the request.
    pub tags: Vec<SetOutcome>,
}

/// Which manifests are accepted though parts of them are missing (semantics 9). The missing parts are recorded as
/// absent. The usual case is an index without some of its platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sparse {
    /// None: every part must be pushed before its manifest.
    #[default]
    Refused,
    /// Indexes without some of their children.
    Indexes,
    /// Indexes without some of their children, and images without some of their blobs.
    All,
}

impl Sparse {
    fn accepts(self, manifest: &Manifest) -> bool {
        match self {
            Self::Refused => false,
            Self::Indexes => manifest.kind() == ManifestKind::Index,
            Self::All => true,
        }
    }
}

impl Content {
    /// Whether this manifest is accepted though parts of it are missing.
    #[must_use]
    pub fn accepts_sparse(&self, manifest: &Manifest) -> bool {
        self.1.sparse.accepts(manifest)
    }

    /// Stores a manifest and sets its tags, all or nothing, after checking that every part that it needs is stored in
    /// the same repository (with the exceptions of semantics 9). The tags, their history and activity, and the jobs
    /// that evaluate them are written in the same transaction.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`], [`Error::DigestMismatch`], [`Error::ManifestBlobUnknown`] with all missing parts,
    /// [`Error::NotWritable`], [`Error::TagImmutable`], [`Error::QuotaExceeded`], [`Error::RepositoryGone`]; the
    /// database.
    pub async fn put_manifest(&self, put: PutManifest<'_>) -> Result<PutOutcome, Error> {
        let checked = Checked::check(put.bytes, put.media_type, put.digest_expected).await?;
        let platform = self.platform(put.repository, &checked.manifest).await;
        let sparse = self.1.sparse;
        let namespace = put.repository.name.to_namespace();
        // Read outside the transaction: most namespaces have no quota, and this is the busiest of all transactions.
        let limited = storage::quota(&mut self.0.db.read().await?, &namespace).await?.is_some();
        let (repository, tags, now) = (put.repository.clone(), put.tags.to_vec(), self.now());
        let (author, provenance, lineage) = (put.author.clone(), put.provenance.clone(), put.lineage.clone());
        self.write(move |tx| {
            async move {
                // Read again: the caller's repository may have been deleted or locked since. The lock comes before the
                // parts are checked, so that none of them is collected after the check.
                tags::lock_changes(tx).await?;
                let repository = current(tx, repository).await?;
                may_write_tags(&repository, &provenance)?;
                let Checked { digest, manifest, bytes } = checked;
                if limited {
                    storage::hold_quota(tx, &namespace).await?;
                    room_for_manifest(tx, &namespace, &digest, bytes.len() as u64).await?;
                }
                let absent = verify_parts(tx, &repository, &manifest, sparse).await?;
                let new = NewManifest {
                    digest: &digest,
                    media_type: manifest.media_type(),
                    artifact_type: manifest.artifact_type(),
                    bytes: &bytes,
                    parsed: &manifest,
                    platform: platform.as_ref(),
                    absent: &absent,
                };
                manifests::insert(tx, repository.id, &new, now).await?;
                let mut outcomes = Vec::with_capacity(tags.len());
                for name in &tags {
                    let set = SetTag {
                        repository: &repository,
                        name,
                        digest: &digest,
                        source_revision: None,
                        author: &author,
                        provenance: &provenance,
                        lineage: &lineage,
                        now,
                    };
                    match tags::set(tx, set).await? {
                        SetOutcome::Immutable { existing } => return Err(immutable(&repository, existing)),
                        outcome => outcomes.push(outcome),
                    }
                }
                let subject = manifest.subject().map(|subject| subject.digest.clone());
                Ok(PutOutcome { digest, subject, tags: outcomes })
            }
            .boxed()
        })
        .await
    }

    /// The platform of an image, from its config. Without it, only a label in lists is missing. `verify_parts` checks
    /// whether the config exists.
    async fn platform(&self, repository: &Repository, manifest: &Manifest) -> Option<Platform> {
        let config = manifest.config().filter(|config| media_type::is_image_config(&config.media_type))?;
        let (info, stream) = self.read_blob(repository, &config.digest, None).await.ok()?;
        if info.size > MAX_CONFIG_BYTES {
            return None;
        }
        let bytes = stream.try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        });
        serde_json::from_slice(&bytes.await.ok()?).ok().filter(Platform::is_well_formed)
    }

    /// The non-distributable layers of a stored manifest and its children, each once, whether they are stored or not.
    ///
    /// # Errors
    /// The database.
    pub async fn nondistributable_layers(&self, manifest: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tree = manifests::tree(&mut self.0.db.read().await?, manifest).await?;
        let is_one =
            |part: &TreeEntry| !part.is_manifest() && media_type::is_nondistributable(&part.media_type);
        let layers = tree.into_iter().filter(is_one);
        Ok(layers.map(|layer| Descriptor::new(&layer.media_type, layer.digest, layer.size)).collect())
    }

    /// Reads a manifest by tag or digest, exactly as it was received.
    ///
    /// # Errors
    /// The database.
    pub async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<StoredManifest>, Error> {
        let mut conn = self.0.db.read().await?;
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match tags::find(&mut conn, repository.id, tag).await? {
                Some(tag) => tag.digest,
                None => return Ok(None),
            },
        };
        Ok(manifests::get(&mut conn, repository.id, &digest).await?)
    }

    /// Deletes a manifest and every tag that points to it. Restoring one of these tags restores the manifest.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::InUse`] while an index of the repository names it;
    /// [`Error::NotWritable`]; [`Error::TagImmutable`]; [`Error::RepositoryGone`]; the database.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        author: &Author,
    ) -> Result<(), Error> {
        let (repository, digest, author) = (repository.clone(), digest.clone(), author.clone());
        let now = self.now();
        self.write(move |tx| {
            async move {
                // No manifest that names it, and no tag that points to it, may be written after the check.
                tags::lock_changes(tx).await?;
                let repository = current(tx, repository).await?;
                may_delete_tags(&repository, &author)?;
                // A deleted index does not prevent this: restoring it restores its children.
                if let Some(by) = manifests::naming(tx, repository.id, &digest).await? {
                    return Err(Error::InUse { repository: repository.name, digest, by });
                }
                match deletion::delete_manifest(tx, &repository, &digest, &author, now).await? {
                    DeleteOutcome::Deleted => Ok(()),
                    DeleteOutcome::Missing => Err(unknown(&repository, digest.into())),
                    DeleteOutcome::Immutable { tag } => {
                        Err(Error::TagImmutable { repository: repository.name, tag, existing: digest })
                    }
                }
            }
            .boxed()
        })
        .await
    }

    /// Deletes a tag. The manifest is kept.
    ///
    /// # Errors
    /// Like [`Content::delete_tags`].
    pub async fn delete_tag(&self, repository: &Repository, tag: &Tag, author: &Author) -> Result<(), Error> {
        self.delete_tags(repository, std::slice::from_ref(tag), author).await
    }

    /// Deletes tags, all or nothing. Their manifests are kept.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::NotWritable`]; [`Error::TagImmutable`];
    /// [`Error::RepositoryGone`]; the database.
    pub async fn delete_tags(
        &self,
        repository: &Repository,
        tags: &[Tag],
        author: &Author,
    ) -> Result<(), Error> {
        let (repository, tags, author) = (repository.clone(), tags.to_vec(), author.clone());
        let now = self.now();
        self.write(move |tx| {
            async move {
                let repository = current(tx, repository).await?;
                may_delete_tags(&repository, &author)?;
                for tag in tags {
                    match tags::remove(tx, &repository, &tag, &author, now).await? {
                        RemoveOutcome::Removed(_) => {}
                        RemoveOutcome::Missing => return Err(unknown(&repository, tag.into())),
                        RemoveOutcome::Immutable { existing } => {
                            return Err(immutable(&repository, existing));
                        }
                    }
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// The names of the tags after `after`, in byte order, at most `limit` of them.
    ///
    /// # Errors
    /// The database.
    pub async fn list_tags(
        &self,
        repository: &Repository,
        after: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Vec<Tag>, Error> {
        let mut conn = self.0.db.read().await?;
        Ok(tags::list(&mut conn, repository.id, after, limit).await?)
    }

    /// The manifests that refer to `subject`, whether it exists or not, ordered by digest: those after `after`, at most
    /// `limit`, and no more than clients accept in one response.
    ///
    /// # Errors
    /// The database.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
        limit: Option<i64>,
    ) -> Result<ReferrersPage, Error> {
        let count = limit.unwrap_or(i64::MAX);
        let wanted = ReferrersWanted { artifact_type, after, count, bytes: MAX_REFERRERS_BYTES };
        let mut conn = self.0.db.read().await?;
        Ok(manifests::referrers_page(&mut conn, repository.id, subject, wanted).await?)
    }
}

/// Checks that the quota of a namespace has room for the manifest itself.
async fn room_for_manifest(
    tx: &mut Tx,
    namespace: &Namespace,
    digest: &Digest,
    size: u64,
) -> Result<(), Error> {
    match storage::obstacle_to_manifest(tx, namespace, digest, size).await? {
        Some(exceeded) => {
            counter!("longshore_limit_refusals_total", "limit" => "quota").increment(1);
            Err(exceeded.into())
        }
        None => Ok(()),
    }
}

fn unknown(repository: &Repository, reference: Reference) -> Error {
    Error::ManifestUnknown { repository: repository.name.clone(), reference }
}

/// The error for an immutable tag.
#[must_use]
pub fn immutable(repository: &Repository, existing: TagRecord) -> Error {
    let repository = repository.name.clone();
    Error::TagImmutable { repository, tag: existing.name, existing: existing.digest }
}

pub(crate) async fn current(tx: &mut Tx, repository: Repository) -> Result<Repository, Error> {
    repositories::get(tx, repository.id).await?.ok_or(Error::RepositoryGone(repository.name))
}

/// Checks that every part that a manifest needs is stored in its own repository (semantics 9). Returns the parts that a
/// sparse manifest was accepted without.
async fn verify_parts(
    tx: &mut Tx,
    repository: &Repository,
    manifest: &Manifest,
    sparse: Sparse,
) -> Result<Vec<Digest>, Error> {
    let digests = manifests::has_all(tx, repository.id, manifest).await?;
    if digests.is_empty() || sparse.accepts(manifest) {
        return Ok(digests);
    }
    Err(Error::ManifestBlobUnknown { repository: repository.name.clone(), digests })
}

/// A manifest that was parsed and matches its digest.
struct Checked {
    digest: Digest,
    manifest: Manifest,
    bytes: Bytes,
}

impl Checked {
    async fn check(bytes: Bytes, media_type: &str, expected: Option<&Digest>) -> Result<Self, Error> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()).into());
        }
        let (media_type, expected) = (media_type.to_owned(), expected.cloned());
        // A manifest may be 4 MiB of JSON, too much for an async thread.
        off_thread(move || {
            let algorithm = expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
            let digest = digest_of(algorithm, &bytes);
            if let Some(expected) = expected.filter(|expected| *expected != digest) {
                return Err(Error::DigestMismatch { expected, actual: digest });
            }
            let manifest = Manifest::parse(&bytes, Some(&media_type))?;
            Ok(Self { digest, manifest, bytes })
        })
        .await?
    }
}
