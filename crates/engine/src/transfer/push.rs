//! Sending images out: a tree goes children and blobs first, each compared by HEAD before anything moves,
//! mounted where the registry holds it elsewhere, uploaded otherwise. Which name it gets, and whether it may
//! have it, is decided by those who call.

use super::{
    BLOBS_AT_ONCE, DEPTH, PARTS_AT_ONCE, claims::Claims, fallback, holdings::Holdings, parse, source::Stored,
    too_deep,
};
use crate::{
    journal::Journal,
    locks::Locks,
    trouble::{Fate, Trouble},
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use http::{HeaderName, HeaderValue};
use longshore_content::Content;
use longshore_model::{
    Lineage, RemoteId, Repository,
    message::{Again, Trouble as Said},
    policy::FOREIGN_LAYERS,
};
use longshore_oci::{
    Descriptor, Digest, ErrorCode, Manifest, ManifestKind, ManifestReference, Reference, ReferenceRole,
    RemoteName, Tag, media_type,
};
use longshore_remote::{Error, Mount, Registry};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

/// Tells a Longshore at the other end which policies an image has passed (semantics 5).
const LINEAGE: HeaderName = HeaderName::from_static("longshore-lineage");

/// One run that sends content of a repository here to one of another registry.
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

/// How long it is waited each time before a manifest is put again whose parts the registry does not find: some
/// take a moment until all their servers know of a blob (semantics 40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits(pub [Duration; 4]);

impl Default for Waits {
    fn default() -> Self {
        Self([1, 2, 4, 8].map(Duration::from_secs))
    }
}

/// A repository of another registry.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub remote: RemoteId,
    pub repository: RemoteName,
    /// Repositories there that are known to have received the same image.
    pub relatives: Vec<RemoteName>,
    /// Whether it gets layers that are not to be distributed, as far as they are stored here (semantics 43).
    pub foreign_layers: bool,
}

/// What all runs of this process share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub holdings: Holdings,
    pub locks: Locks,
}

/// A manifest that is ready to be put: all its parts are there.
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

    /// The registry that it goes to.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What a reference points to there. A registry that refuses the question does so for what is not there as
    /// well, so it counts as not there: the push itself shows what is allowed (semantics 40).
    pub(crate) async fn head(&self, reference: &Reference) -> Result<Option<Digest>, Trouble> {
        let there = self.registry.look_at_manifest(&self.to.repository, reference).await?;
        Ok(there.optional().map(|there| there.digest))
    }

    /// Sends all that the manifest needs, but not the manifest itself.
    pub(crate) async fn prepare(&self, digest: &Digest) -> Result<Ready, Trouble> {
        let ready = self.load(digest).await?;
        // Where it stands under another name, its parts are there, too.
        match self.has_manifest(digest).await? {
            true => self.complete(digest).await?,
            false => self.parts(&ready.manifest, 0).await?,
        }
        Ok(ready)
    }

    /// Sends the layers that are not to be distributed of a tree that is there: it may have come without them.
    pub(crate) async fn complete(&self, digest: &Digest) -> Result<(), Trouble> {
        if !self.to.foreign_layers {
            return Ok(());
        }
        let layers = self.content.nondistributable_layers(digest).await?;
        stream::iter(layers)
            .map(|layer| async move { self.blob(&layer).await })
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Puts a prepared manifest under a tag, or by its digest.
    pub(crate) async fn put(&self, ready: &Ready, reference: &Reference) -> Result<(), Trouble> {
        self.put_at_depth(ready, reference, 0).await
    }

    /// Sends a manifest with all that it needs, by digest.
    pub(crate) async fn tree(&self, digest: &Digest) -> Result<(), Trouble> {
        self.manifest(digest, 0).await
    }

    /// Sends what stands under a digest tag. A list of referrers is joined with the one that is there, since
    /// each registry's list names what that registry has.
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
            Trouble::Final(Said::ManifestGone { repository, short }.into())
        })?;
        let manifest = parse(digest, &stored.media_type, &stored.bytes)?;
        let (media_type, bytes) = (stored.media_type, Bytes::from(stored.bytes));
        Ok(Ready { digest: digest.clone(), media_type, bytes, manifest })
    }

    async fn has_manifest(&self, digest: &Digest) -> Result<bool, Trouble> {
        Ok(self.head(&Reference::Digest(digest.clone())).await?.is_some())
    }

    fn manifest<'a>(&'a self, digest: &'a Digest, depth: usize) -> BoxFuture<'a, Result<(), Trouble>> {
        let send = async move {
            if self.has_manifest(digest).await? {
                return self.complete(digest).await;
            }
            let ready = self.load(digest).await?;
            self.parts(&ready.manifest, depth).await?;
            self.put_at_depth(&ready, &Reference::Digest(digest.clone()), depth).await
        };
        Box::pin(async move {
            if depth > DEPTH {
                return Err(too_deep(digest));
            }
            self.claims.once(digest, send).await.map(drop)
        })
    }

    fn parts<'a>(&'a self, manifest: &'a Manifest, depth: usize) -> BoxFuture<'a, Result<(), Trouble>> {
        stream::iter(manifest.references())
            .map(move |part| self.part(part, depth))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .boxed()
    }

    async fn part(&self, part: ManifestReference<'_>, depth: usize) -> Result<(), Trouble> {
        let named = part.descriptor;
        match part.role {
            ReferenceRole::Subject => Ok(()),
            ReferenceRole::Child if self.is_absent_child(&named.digest).await? => Ok(()),
            ReferenceRole::Child => self.manifest(&named.digest, depth + 1).await,
            _ if part.is_nondistributable_layer() && !self.to.foreign_layers => Ok(()),
            ReferenceRole::Config | ReferenceRole::Layer => self.blob(named).await,
        }
    }

    /// Children that a sparse index came without (semantics 9).
    async fn is_absent_child(&self, digest: &Digest) -> Result<bool, Trouble> {
        let reference = Reference::Digest(digest.clone());
        Ok(self.content.get_manifest(&self.from, &reference).await?.is_none())
    }

    async fn blob(&self, blob: &Descriptor) -> Result<(), Trouble> {
        // Layers that are not to be distributed, and what a sparse image came without (semantics 9).
        if self.content.stat_blob(&self.from, &blob.digest).await?.is_none() {
            return Ok(());
        }
        self.claims.once(&blob.digest, self.send_blob(blob)).await.map(drop)
    }

    async fn send_blob(&self, blob: &Descriptor) -> Result<(), Trouble> {
        let _permit = self
            .streams
            .acquire()
            .await
            .map_err(|closed| Trouble::Passing(Said::Server { said: closed.to_string() }.into()))?;
        let place = format!("{}/{}@{}", self.registry.host(), self.to.repository, blob.digest);
        let _alone = self.shared.locks.hold(place).await;
        self.journal.plan_bytes(blob.size);
        let (repository, digest) = (&self.to.repository, &blob.digest);
        if self.registry.has_blob(repository, digest).await? || self.mount(blob).await? {
            self.journal.bytes(blob.size);
        }
        self.shared.holdings.saw(self.to.remote, digest, repository);
        Ok(())
    }

    /// Mounts the blob where that is possible, else uploads it. Says whether no byte moved.
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
        let stored = Stored::find(&self.content, &self.from, digest, &self.journal).await?;
        let sent = self.registry.push_blob(repository, digest, &stored, begun).await;
        if sent.is_err() {
            stored.lost();
        }
        Ok(sent.map(|()| false)?)
    }

    async fn put_at_depth(&self, ready: &Ready, reference: &Reference, depth: usize) -> Result<(), Trouble> {
        let repository = &self.to.repository;
        let mut waits = self.waits.0.into_iter();
        loop {
            let (kind, bytes) = (&ready.media_type, ready.bytes.clone());
            let error =
                match self.registry.put_manifest(repository, reference, kind, bytes, &self.headers).await {
                    Ok(put) if put.oci_subject.is_none() => return self.make_known(ready, reference).await,
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                };
            if !misses_parts(&error) {
                return Err(error.into());
            }
            // What is not here either will not be found there, however long it is waited.
            let absent = self.absent(&ready.manifest).await?;
            if let Some(part) = absent.first() {
                return Err(Trouble::Foreign(format!(
                    "{error}; {part}, one of its parts, is not stored here either, and {} does not take it \
                     without",
                    self.registry.host()
                )));
            }
            let Some(wait) = waits.next() else { return Err(self.refused(error, &ready.manifest).await?) };
            let why = Box::new(self.journal.told(&error.into()));
            self.journal.warn(Said::Again { why, again: Again::PartsAfter { seconds: wait.as_secs() } });
            sleep(wait).await;
            for part in ready.manifest.references() {
                self.claims.forget(&part.descriptor.digest);
            }
            self.parts(&ready.manifest, depth).await?;
        }
    }

    /// That a manifest stays refused whose parts were all sent. Layers that are not to be distributed were perhaps
    /// not, and some registries want those, too.
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

    /// Parts that a manifest came without, except those that every registry takes it without.
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

    /// Enters a manifest into its subject's list, at a registry that took no note of the subject. What has a tag
    /// of its own can be found without.
    async fn make_known(&self, ready: &Ready, reference: &Reference) -> Result<(), Trouble> {
        match (self.join_list(ready).await, reference) {
            (Err(trouble), Reference::Tag(_)) if trouble.fate() != Fate::Lost => {
                let why = Box::new(self.journal.told(&trouble));
                self.journal.warn(Said::Again { why, again: Again::Unlisted });
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    /// At a registry that took no note of the subject, its list of referrers is kept by hand.
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

/// Whether a registry refused a manifest because it does not find (yet) what it names.
fn misses_parts(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::ManifestBlobUnknown | ErrorCode::BlobUnknown | ErrorCode::ManifestUnknown)
    )
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
    fn semantics_05_the_lineage_travels_as_a_header() {
        assert_eq!(lineage_header(&Lineage::default()), None);
        let passed = [1, 2].map(|number| PolicyId(Uuid::from_u128(number)));
        let (name, value) = lineage_header(&passed.into_iter().collect()).unwrap();
        assert_eq!(name, "longshore-lineage");
        assert_eq!(value, "00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002");
    }
}
