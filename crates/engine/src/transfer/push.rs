//! Pushes images: a tree is sent children and blobs first. Each part is checked by HEAD, mounted if the registry has it
//! in another repository, and uploaded otherwise. Callers decide which tag is set, and whether it may be.

use super::{
    BLOBS_AT_ONCE, DEPTH, PARTS_AT_ONCE, claims::Claims, fallback, holdings::Holdings, parse, source::Stored,
    too_deep,
};
use crate::{
    journal::Journal,
    locks::Locks,
    memory::Notes,
    trouble::{Fate, Trouble},
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use http::{HeaderName, HeaderValue, StatusCode};
use longshore_content::Content;
use longshore_model::{
    Lineage, RemoteId, Repository,
    message::{self, TroubleMessage},
    policy::FOREIGN_LAYERS,
};
use longshore_oci::{
    Descriptor, Digest, ErrorCode, Manifest, ManifestKind, ManifestReference, Reference, ReferenceRole,
    RemoteName, Tag, media_type,
};
use longshore_remote::{Error, Mount, Registry, Upload};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

/// The header that tells another Longshore which policies an image has passed (semantics 5).
const LINEAGE: HeaderName = HeaderName::from_static("longshore-lineage");

/// One run that copies content from a local repository to one of another registry.
pub(crate) struct Push {
    content: Content,
    registry: Registry,
    from: Repository,
    to: Target,
    headers: Vec<(HeaderName, HeaderValue)>,
    journal: Journal,
    claims: Claims,
    streams: Semaphore,
    shared: Arc<Shared>,
    waits: Waits,
}

/// The delays before each further attempt to put a manifest that the registry refused for a temporary reason. In some
/// registries it takes a moment until all servers know of a blob (semantics 40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits(pub [Duration; 4]);

impl Default for Waits {
    fn default() -> Self {
        Self([1, 2, 4, 8].map(Duration::from_secs))
    }
}

/// The round of missing parts in which they are sent again although the registry claims to have them. By then,
/// registries that only lag behind have caught up, so nothing is sent to them twice.
const DOUBTED_ROUND: usize = 3;

/// Whether to believe a registry that claims to have a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The registry is asked, and what it has is not sent.
    Asked,
    /// The registry is not asked, since it claimed to have parts that it then did not find, for example because its
    /// cache outlived a garbage collection.
    Doubted,
}

/// Why a manifest that was refused is put again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The registry does not find a part of the manifest, or not yet.
    Parts,
    /// The refusal may have come from a proxy, or from a server that does not know of the parts yet.
    Put,
}

/// A repository of another registry.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub remote: RemoteId,
    pub repository: RemoteName,
    /// Other repositories of the remote to which the same image was sent.
    pub relatives: Vec<RemoteName>,
    /// Whether non-distributable layers are sent, as far as they are stored here (semantics 43).
    pub foreign_layers: bool,
    /// The content that earlier attempts of the job found there or sent.
    pub notes: Notes,
}

/// State that all runs of this process share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub holdings: Holdings,
    pub locks: Locks,
}

/// A manifest that is ready to be put, because all its parts are in the registry.
pub(crate) struct Ready {
    digest: Digest,
    media_type: String,
    bytes: Bytes,
    manifest: Manifest,
}

impl Push {
    pub(crate) fn new(
        content: Content,
        registry: Registry,
        from: Repository,
        to: Target,
        lineage: &Lineage,
        journal: Journal,
        shared: Arc<Shared>,
        waits: Waits,
    ) -> Self {
        let (claims, streams) = (Claims::default(), Semaphore::new(BLOBS_AT_ONCE));
        let headers = lineage_header(lineage).into_iter().collect();
        Self { content, registry, from, to, headers, journal, claims, streams, shared, waits }
    }

    /// The target registry.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The digest of a reference in the target; `None` if it does not exist. A refusal counts as not existing, since
    /// some registries refuse requests for what does not exist; the push itself shows what is allowed (semantics 40).
    pub(crate) async fn head(&self, reference: &Reference) -> Result<Option<Digest>, Trouble> {
        let there = self.registry.look_at_manifest(&self.to.repository, reference).await?;
        Ok(there.optional().map(|there| there.digest))
    }

    /// Sends everything that the manifest references, but not the manifest itself.
    pub(crate) async fn prepare(&self, digest: &Digest) -> Result<Ready, Trouble> {
        let ready = self.load(digest).await?;
        // If the manifest exists under another tag, its parts exist, too.
        match self.has_manifest(digest).await? {
            true => self.complete(digest).await?,
            false => self.parts(&ready.manifest, 0, Trust::Asked).await?,
        }
        Ok(ready)
    }

    /// Sends the non-distributable layers of a tree that the registry already has, since they may be missing.
    pub(crate) async fn complete(&self, digest: &Digest) -> Result<(), Trouble> {
        if !self.to.foreign_layers {
            return Ok(());
        }
        let layers = self.content.nondistributable_layers(digest).await?;
        stream::iter(layers)
            .map(|layer| async move { self.blob(&layer, Trust::Asked).await })
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Puts a prepared manifest under a tag, or by its digest.
    pub(crate) async fn put(&self, ready: &Ready, reference: &Reference) -> Result<(), Trouble> {
        self.put_at_depth(ready, reference, 0).await
    }

    /// Sends a manifest and everything that it references, by digest.
    pub(crate) async fn tree(&self, digest: &Digest) -> Result<(), Trouble> {
        self.manifest(digest, 0, Trust::Asked).await
    }

    /// Sends the manifest of a digest tag. A list of referrers is merged with the existing one, since each registry's
    /// list contains what that registry has.
    pub(crate) async fn digest_tag(&self, name: &Tag, digest: &Digest) -> Result<(), Trouble> {
        let reference = Reference::Tag(name.clone());
        if self.head(&reference).await?.is_some_and(|there| there == *digest) {
            return Ok(());
        }
        let ready = self.prepare(digest).await?;
        let is_list = name.digest_tag().is_some_and(|tag| tag.suffix.is_empty())
            && ready.manifest.kind() == ManifestKind::Index;
        match name.digest_tag_subject().filter(|_| is_list) {
            Some(subject) => self.list(&subject, ready.manifest.manifests()).await,
            None => self.put(&ready, &reference).await,
        }
    }

    async fn load(&self, digest: &Digest) -> Result<Ready, Trouble> {
        let reference = Reference::Digest(digest.clone());
        let stored = self.content.get_manifest(&self.from, &reference).await?.ok_or_else(|| {
            let (repository, short) = ((&self.from).into(), digest.short().to_owned());
            Trouble::Final(TroubleMessage::ManifestGone { repository, short }.into())
        })?;
        let manifest = parse(digest, &stored.media_type, &stored.bytes)?;
        let (media_type, bytes) = (stored.media_type, Bytes::from(stored.bytes));
        Ok(Ready { digest: digest.clone(), media_type, bytes, manifest })
    }

    async fn has_manifest(&self, digest: &Digest) -> Result<bool, Trouble> {
        if self.to.notes.know(digest) {
            return Ok(true);
        }
        let there = self.head(&Reference::Digest(digest.clone())).await?.is_some();
        if there {
            self.to.notes.add(digest, Some(digest));
        }
        Ok(there)
    }

    fn manifest<'a>(
        &'a self,
        digest: &'a Digest,
        depth: usize,
        trust: Trust,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        let send = async move {
            if trust == Trust::Asked && self.has_manifest(digest).await? {
                return self.complete(digest).await;
            }
            let ready = self.load(digest).await?;
            // If these are missing as well, the registry says so when the manifest is put.
            self.parts(&ready.manifest, depth, Trust::Asked).await?;
            self.put_at_depth(&ready, &Reference::Digest(digest.clone()), depth).await?;
            self.to.notes.add(digest, Some(digest));
            Ok(())
        };
        Box::pin(async move {
            if depth > DEPTH {
                return Err(too_deep(digest));
            }
            self.claims.once(digest, send).await.map(drop)
        })
    }

    fn parts<'a>(
        &'a self,
        manifest: &'a Manifest,
        depth: usize,
        trust: Trust,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        stream::iter(manifest.references())
            .map(move |part| self.part(part, depth, trust))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .boxed()
    }

    async fn part(&self, part: ManifestReference<'_>, depth: usize, trust: Trust) -> Result<(), Trouble> {
        let named = part.descriptor;
        match part.role {
            ReferenceRole::Subject => Ok(()),
            ReferenceRole::Child if self.is_absent_child(&named.digest).await? => Ok(()),
            ReferenceRole::Child => self.manifest(&named.digest, depth + 1, trust).await,
            _ if part.is_nondistributable_layer() && !self.to.foreign_layers => Ok(()),
            ReferenceRole::Config | ReferenceRole::Layer => self.blob(named, trust).await,
        }
    }

    /// Whether the child is missing here because the index is sparse (semantics 9).
    async fn is_absent_child(&self, digest: &Digest) -> Result<bool, Trouble> {
        let reference = Reference::Digest(digest.clone());
        Ok(self.content.get_manifest(&self.from, &reference).await?.is_none())
    }

    async fn blob(&self, blob: &Descriptor, trust: Trust) -> Result<(), Trouble> {
        // Not stored here: a non-distributable layer, or a part that a sparse image lacks (semantics 9).
        if self.content.stat_blob(&self.from, &blob.digest).await?.is_none() {
            return Ok(());
        }
        self.claims.once(&blob.digest, self.send_blob(blob, trust)).await.map(drop)
    }

    async fn send_blob(&self, blob: &Descriptor, trust: Trust) -> Result<(), Trouble> {
        let _permit =
            self.streams.acquire().await.map_err(|closed| {
                Trouble::Passing(TroubleMessage::Server { said: closed.to_string() }.into())
            })?;
        let place = format!("{}/{}@{}", self.registry.host(), self.to.repository, blob.digest);
        let _alone = self.shared.locks.hold(place).await;
        self.journal.plan_bytes(blob.size);
        let (repository, digest) = (&self.to.repository, &blob.digest);
        let moved_nothing = match trust {
            Trust::Asked => self.has_blob(digest).await? || self.mount(blob).await?,
            Trust::Doubted => self.upload(digest, None).await.map(|()| false)?,
        };
        if moved_nothing {
            self.journal.bytes(blob.size);
        }
        self.to.notes.add(digest, Some(digest));
        self.shared.holdings.saw(self.to.remote, digest, repository);
        Ok(())
    }

    /// Whether the registry has the blob, according to this or earlier attempts. If the blob was added there since, it
    /// is only uploaded in vain.
    async fn has_blob(&self, digest: &Digest) -> Result<bool, Trouble> {
        if let Some(known) = self.to.notes.recall(digest) {
            return Ok(known.is_some());
        }
        let there = self.registry.has_blob(&self.to.repository, digest).await?;
        self.to.notes.add(digest, there.then_some(digest));
        Ok(there)
    }

    /// Mounts the blob if possible, and otherwise uploads it. Returns whether it was mounted.
    async fn mount(&self, blob: &Descriptor) -> Result<bool, Trouble> {
        let (repository, digest) = (&self.to.repository, &blob.digest);
        let known = self.shared.holdings.elsewhere(self.to.remote, digest, repository);
        let source = known.as_ref().or_else(|| self.to.relatives.first());
        let mounted = match source {
            Some(source) => self.registry.mount_blob(repository, digest, source).await?,
            None => Mount::Refused,
        };
        let begun = match mounted {
            Mount::Mounted => return Ok(true),
            Mount::Upload(upload) => Some(upload),
            Mount::Refused => None,
        };
        self.upload(digest, begun).await.map(|()| false)
    }

    async fn upload(&self, digest: &Digest, begun: Option<Upload>) -> Result<(), Trouble> {
        let stored = Stored::find(&self.content, &self.from, digest, &self.journal).await?;
        let sent = self.registry.push_blob(&self.to.repository, digest, &stored, begun).await;
        if sent.is_err() {
            stored.lost();
        }
        Ok(sent?)
    }

    async fn put_at_depth(&self, ready: &Ready, reference: &Reference, depth: usize) -> Result<(), Trouble> {
        let repository = &self.to.repository;
        for round in 1.. {
            let (kind, bytes) = (&ready.media_type, ready.bytes.clone());
            let error =
                match self.registry.put_manifest(repository, reference, kind, bytes, &self.headers).await {
                    Ok(put) if put.oci_subject.is_none() => return self.make_known(ready, reference).await,
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                };
            let again = put_again(&error, round);
            if again == Some(Again::Parts) {
                self.check_absent(&ready.manifest, &error).await?;
            }
            let (Some(again), Some(wait)) = (again, self.waits.0.get(round - 1)) else {
                return Err(match again {
                    Some(Again::Parts) => self.refused(error, &ready.manifest).await?,
                    _ => error.into(),
                });
            };
            let (why, seconds) = (Box::new(self.journal.told(&error.into())), wait.as_secs());
            let said = match again {
                Again::Parts => message::Again::PartsAfter { seconds },
                Again::Put => message::Again::PutAfter { seconds },
            };
            self.journal.warn(TroubleMessage::Again { why, again: said });
            sleep(*wait).await;
            if again == Again::Parts {
                let trust = if round == DOUBTED_ROUND { Trust::Doubted } else { Trust::Asked };
                for part in ready.manifest.references() {
                    self.claims.forget(&part.descriptor.digest);
                    self.to.notes.forget(&part.descriptor.digest);
                }
                self.parts(&ready.manifest, depth, trust).await?;
            }
        }
        Ok(())
    }

    /// Fails if a missing part is not stored here either, so that waiting would not help.
    async fn check_absent(&self, manifest: &Manifest, error: &Error) -> Result<(), Trouble> {
        let absent = self.absent(manifest).await?;
        let Some(part) = absent.first() else { return Ok(()) };
        Err(Trouble::Foreign(format!(
            "{error}; {part}, one of its parts, is not stored here either, and {} does not take it without",
            self.registry.host()
        )))
    }

    /// The error for a manifest that is refused although its parts were sent. The message mentions non-distributable
    /// layers if any were not sent, since some registries require them.
    async fn refused(&self, error: Error, manifest: &Manifest) -> Result<Trouble, Trouble> {
        for part in manifest.references().filter(ManifestReference::is_nondistributable_layer) {
            let layer = &part.descriptor.digest;
            let is_stored = self.content.stat_blob(&self.from, layer).await?.is_some();
            let remedy = match (is_stored, self.to.foreign_layers) {
                (true, true) => continue,
                (true, false) => {
                    format!("switch “{FOREIGN_LAYERS}” on in the push mirror, then Save & Apply")
                }
                (false, _) => format!(
                    "it is not stored here: pull the image with “{FOREIGN_LAYERS}” on, or push the layer, too"
                ),
            };
            return Ok(Trouble::Foreign(format!(
                "{error}; {layer}, a non-distributable layer of it, was not sent; {remedy}"
            )));
        }
        Ok(error.into())
    }

    /// The parts of a manifest that are not stored here, except those that every registry accepts as missing.
    async fn absent(&self, manifest: &Manifest) -> Result<Vec<Digest>, Trouble> {
        let mut absent = Vec::new();
        for part in manifest.references().filter(|part| !part.absent_ok) {
            let digest = &part.descriptor.digest;
            let is_absent = match part.role {
                ReferenceRole::Child => self.is_absent_child(digest).await?,
                _ => self.content.stat_blob(&self.from, digest).await?.is_none(),
            };
            if is_absent {
                absent.push(digest.clone());
            }
        }
        Ok(absent)
    }

    /// Adds a manifest to its subject's list of referrers, if the registry ignored the subject. If the manifest has a
    /// tag of its own, a failure is only a warning, since it can be found by that.
    async fn make_known(&self, ready: &Ready, reference: &Reference) -> Result<(), Trouble> {
        match (self.join_list(ready).await, reference) {
            (Err(trouble), Reference::Tag(_)) if trouble.fate() != Fate::Lost => {
                let why = Box::new(self.journal.told(&trouble));
                self.journal.warn(TroubleMessage::Again { why, again: message::Again::Unlisted });
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    /// Updates the subject's list of referrers in a registry that ignored the subject.
    async fn join_list(&self, ready: &Ready) -> Result<(), Trouble> {
        let Some(subject) = ready.manifest.subject() else { return Ok(()) };
        let entry = fallback::entry(&ready.digest, ready.bytes.len(), &ready.manifest);
        self.list(&subject.digest, &[entry]).await
    }

    async fn list(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<(), Trouble> {
        let (repository, name) = (&self.to.repository, Tag::referrers_of(subject));
        let _alone = self.shared.locks.hold(format!("{}/{repository}:{name}", self.registry.host())).await;
        let reference = Reference::Tag(name);
        let existing = match self.registry.get_manifest(repository, &reference).await {
            Ok(existing) => Some(existing.bytes),
            Err(error) if error.may_mean_absent() => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(list) = fallback::with_referrers(existing.as_deref(), referrers) {
            self.registry.put_manifest(repository, &reference, media_type::OCI_INDEX, list, &[]).await?;
        }
        Ok(())
    }
}

/// Whether and why a manifest that was refused `refusals` times is put again. Its blobs were accepted before, so a 404
/// that names no part, or a 409, is often temporary: an ingress that has just lost its backend, or servers that are not
/// in sync yet. A 400 seldom is, so it is retried once.
fn put_again(error: &Error, refusals: usize) -> Option<Again> {
    match (error.code(), error.status()) {
        (Some(ErrorCode::ManifestBlobUnknown | ErrorCode::BlobUnknown | ErrorCode::ManifestUnknown), _) => {
            Some(Again::Parts)
        }
        _ if forbids_overwriting(error) => None,
        (_, Some(StatusCode::NOT_FOUND | StatusCode::CONFLICT)) => Some(Again::Put),
        (Some(ErrorCode::ManifestInvalid), Some(StatusCode::BAD_REQUEST)) if refusals == 1 => {
            Some(Again::Put)
        }
        _ => None,
    }
}

/// Whether the registry says that the tag exists and is immutable: `TAG_IMMUTABLE` and the like.
fn forbids_overwriting(error: &Error) -> bool {
    let Error::Refused(refusal) = error else { return false };
    let words = format!("{} {}", refusal.code.as_ref().map_or("", ErrorCode::as_str), refusal.message);
    let words = words.to_ascii_lowercase();
    ["immutab", "already exist", "already_exist", "overwrit", "denied"]
        .iter()
        .any(|word| words.contains(word))
}

fn lineage_header(lineage: &Lineage) -> Option<(HeaderName, HeaderValue)> {
    let passed: Vec<String> = lineage.policies().iter().map(ToString::to_string).collect();
    let value = HeaderValue::from_str(&passed.join(",")).ok()?;
    (!passed.is_empty()).then_some((LINEAGE, value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::PolicyId;
    use uuid::Uuid;

    #[test]
    fn semantics_05_the_lineage_is_sent_as_a_header() {
        assert_eq!(lineage_header(&Lineage::default()), None);
        let passed = [1, 2].map(|number| PolicyId(Uuid::from_u128(number)));
        let (name, value) = lineage_header(&passed.into_iter().collect()).unwrap();
        assert_eq!(name, "longshore-lineage");
        assert_eq!(value, "00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002");
    }
}
