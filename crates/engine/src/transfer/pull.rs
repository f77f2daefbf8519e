//! Pulls images: fetches a tree by digest, children and blobs before the manifests that reference them, and each blob
//! only once in a run. Sets no tags.

use super::{
    BLOBS_AT_ONCE, DEPTH, PARTS_AT_ONCE, REFERRER_DEPTH,
    claims::Claims,
    halt::Halt,
    parse,
    stream::{Fetch, Reading, Report},
    too_deep,
};
use crate::{
    journal::Journal,
    trouble::{Trouble, by_digest},
};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use longshore_content::{self as content, Content, PutManifest};
use longshore_model::{
    Author, Lineage, Message, Provenance, Repository,
    message::{Again, TroubleMessage},
};
use longshore_oci::{
    Descriptor, Digest, Manifest, ManifestReference, Reference, ReferenceRole, RemoteName, Tag,
};
use longshore_remote::{self as remote, Allowance, FetchedManifest, ReferrersWays, Registry};
use std::collections::HashSet;
use tokio::sync::Semaphore;

/// The number of attempts to store a manifest whose local parts are deleted during the pull.
const ROUNDS: u32 = 3;

/// One run that copies content from a remote repository into a local one.
pub(crate) struct Pull {
    content: Content,
    registry: Registry,
    from: RemoteName,
    into: Repository,
    author: Author,
    provenance: Provenance,
    lineage: Lineage,
    journal: Journal,
    claims: Claims,
    halt: Halt,
    streams: Semaphore,
    /// Whether non-distributable layers are fetched (semantics 43).
    foreign_layers: bool,
    /// How much of lists of referrers may still be read in this run.
    allowance: Allowance,
    /// The ways to find referrers.
    ways: ReferrersWays,
}

/// The result of mirroring the referrers of a subject.
#[derive(Debug, Default)]
pub(crate) struct Referrers {
    /// The number of referrers copied.
    pub arrived: u64,
    /// The referrers that were not copied, or the subject whose list could not be read, with the reason.
    pub left_behind: Vec<(String, Trouble)>,
}

/// The author, provenance and lineage to record with the content.
pub(crate) struct Carrier {
    pub author: Author,
    pub provenance: Provenance,
    pub lineage: Lineage,
}

impl Pull {
    pub(crate) fn new(
        content: Content,
        registry: Registry,
        from: RemoteName,
        into: Repository,
        carrier: Carrier,
        journal: Journal,
        foreign_layers: bool,
    ) -> Self {
        let Carrier { author, provenance, lineage } = carrier;
        let streams = Semaphore::new(BLOBS_AT_ONCE);
        let (claims, halt) = (Claims::default(), Halt::of(registry.clone()));
        let allowance = registry.endpoint().budget.into();
        Self {
            content,
            registry,
            from,
            into,
            author,
            provenance,
            lineage,
            journal,
            claims,
            halt,
            streams,
            foreign_layers,
            allowance,
            ways: ReferrersWays::default(),
        }
    }

    /// Sets the complete list of the remote repository's digest tags, by which referrers may be found.
    pub(crate) fn listed<'t>(&mut self, digest_tags: impl IntoIterator<Item = &'t Tag>) {
        self.ways = ReferrersWays::listed(digest_tags);
    }

    /// The halt of this run.
    pub(crate) fn halt(&self) -> &Halt {
        &self.halt
    }

    /// Forgets what was copied, because some of it has been deleted locally in the meantime.
    pub(crate) fn forget(&self) {
        self.claims.forget_all();
    }

    /// Copies a manifest and everything that it references. The manifest is fetched by digest, unless it was already
    /// fetched (`came`), since some registries find a manifest only by its tag.
    pub(crate) async fn tree(&self, digest: &Digest, came: Option<FetchedManifest>) -> Result<(), Trouble> {
        self.manifest(digest, came, 0).await
    }

    fn manifest<'a>(
        &'a self,
        digest: &'a Digest,
        came: Option<FetchedManifest>,
        depth: usize,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            if depth > DEPTH {
                return Err(too_deep(digest));
            }
            self.claims.once(digest, self.bring(digest, came, depth)).await.map(drop)
        })
    }

    async fn bring(
        &self,
        digest: &Digest,
        came: Option<FetchedManifest>,
        depth: usize,
    ) -> Result<(), Trouble> {
        let reference = Reference::Digest(digest.clone());
        // A stored manifest has all its parts except optional ones, which is checked when it is stored.
        if self.content.get_manifest(&self.into, &reference).await?.is_some() {
            return self.complete(digest).await;
        }
        let fetched = match came {
            Some(fetched) => fetched,
            None => self.fetch_manifest(&reference).await?,
        };
        let manifest = parse(digest, &fetched.media_type, &fetched.bytes)?;
        for round in 1.. {
            self.parts(digest, &manifest, depth).await?;
            let put = PutManifest {
                repository: &self.into,
                digest_expected: Some(digest),
                tags: &[],
                media_type: &fetched.media_type,
                bytes: fetched.bytes.clone(),
                author: &self.author,
                provenance: &self.provenance,
                lineage: &self.lineage,
            };
            match self.content.put_manifest(put).await {
                Ok(_) => break,
                // Parts that existed a moment ago have been deleted.
                Err(content::Error::ManifestBlobUnknown { digests, .. }) if round < ROUNDS => {
                    digests.iter().for_each(|part| self.claims.forget(part));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Fetches the non-distributable layers that a stored tree lacks.
    async fn complete(&self, digest: &Digest) -> Result<(), Trouble> {
        if !self.foreign_layers {
            return Ok(());
        }
        let layers = self.content.nondistributable_layers(digest).await?;
        stream::iter(layers)
            .map(|layer| async move { self.foreign_layer(digest, &layer).await })
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Fetches a manifest, once more if its bytes are wrong (semantics 24).
    async fn fetch_manifest(&self, reference: &Reference) -> Result<FetchedManifest, Trouble> {
        let fetched = self.ask_for_manifest(reference).await;
        match fetched {
            Err(trouble) if trouble.is_wrong_content() => {
                let why = Box::new(self.journal.told(&trouble));
                self.journal.warn(TroubleMessage::Again { why, again: Again::Fetch });
                self.ask_for_manifest(reference).await
            }
            fetched => fetched,
        }
    }

    async fn ask_for_manifest(&self, reference: &Reference) -> Result<FetchedManifest, Trouble> {
        self.halt.check()?;
        let fetched = self.registry.get_manifest(&self.from, reference).await;
        self.halt.heed(fetched.map_err(by_digest))
    }

    /// Copies everything that a manifest references, except the subject and, unless switched on, non-distributable
    /// layers.
    fn parts<'a>(
        &'a self,
        whole: &'a Digest,
        manifest: &'a Manifest,
        depth: usize,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        let sparse = self.content.accepts_sparse(manifest);
        let is_foreign =
            |part: &ManifestReference<'_>| self.foreign_layers && part.is_nondistributable_layer();
        let wanted = manifest.references().filter(move |part| !part.absent_ok || is_foreign(part));
        stream::iter(wanted)
            .map(move |part| self.part(whole, part, depth, sparse))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .boxed()
    }

    /// Copies one part. A part that the remote does not have may be absent if this server accepts sparse manifests
    /// (semantics 42); otherwise the whole manifest fails.
    async fn part(
        &self,
        whole: &Digest,
        part: ManifestReference<'_>,
        depth: usize,
        sparse: bool,
    ) -> Result<(), Trouble> {
        let digest = &part.descriptor.digest;
        let brought = match part.role {
            ReferenceRole::Child => self.manifest(digest, None, depth + 1).await,
            _ if part.is_nondistributable_layer() => self.foreign_layer(whole, part.descriptor).await,
            ReferenceRole::Config | ReferenceRole::Layer => self.blob(part.descriptor).await,
            ReferenceRole::Subject => Ok(()),
        };
        match brought {
            Err(Trouble::Gone(_) | Trouble::PartGone { .. }) if sparse => {
                self.journal.warn(self.absent(whole, digest));
                Ok(())
            }
            Err(Trouble::Gone(error)) => Err(Trouble::PartGone {
                whole: whole.clone(),
                part: digest.clone(),
                is_index: part.role == ReferenceRole::Child,
                error,
            }),
            brought => brought,
        }
    }

    /// Copies a non-distributable layer, if the remote has it; its licence may forbid that there, too. It is requested
    /// only once in a run, however many images have it.
    async fn foreign_layer(&self, whole: &Digest, layer: &Descriptor) -> Result<(), Trouble> {
        let fetch = async {
            match self.fetch_blob(layer).await {
                Err(trouble) if trouble.says_not_there() => {
                    self.journal.info(self.absent(whole, &layer.digest));
                    Ok(())
                }
                fetched => fetched,
            }
        };
        self.claims.once(&layer.digest, fetch).await.map(drop)
    }

    /// The log line about a part that is absent.
    fn absent(&self, whole: &Digest, part: &Digest) -> Message {
        let (host, from) = (self.registry.host(), &self.from);
        self.journal.told(&Trouble::Foreign(format!(
            "{host}/{from} does not have {part}, which {} names; it is recorded as absent",
            whole.short()
        )))
    }

    async fn blob(&self, blob: &Descriptor) -> Result<(), Trouble> {
        self.claims.once(&blob.digest, self.fetch_blob(blob)).await.map(drop)
    }

    async fn fetch_blob(&self, blob: &Descriptor) -> Result<(), Trouble> {
        self.journal.plan_bytes(blob.size);
        if self.content.stat_blob(&self.into, &blob.digest).await?.is_some() {
            self.journal.bytes(blob.size);
            return Ok(());
        }
        let _permit =
            self.streams.acquire().await.map_err(|closed| {
                Trouble::Passing(TroubleMessage::Server { said: closed.to_string() }.into())
            })?;
        match self.store_blob(blob, Reading::ByLength).await {
            Err(trouble) if trouble.is_wrong_content() => {
                let why = Box::new(self.journal.told(&trouble));
                self.journal.warn(TroubleMessage::Again { why, again: Again::FromStart });
                self.store_blob(blob, Reading::Otherwise).await
            }
            Err(trouble) if trouble.says_not_there() => {
                if self.store_embedded(blob).await? {
                    self.journal.bytes(blob.size);
                    return Ok(());
                }
                self.journal.unplan_bytes(blob.size);
                Err(trouble)
            }
            stored => stored,
        }
    }

    /// Stores a blob whose bytes are embedded in the manifest, as those of the empty configuration often are. Returns
    /// false if they are not embedded or do not match the digest.
    async fn store_embedded(&self, blob: &Descriptor) -> Result<bool, Trouble> {
        let Some(bytes) = blob.embedded() else { return Ok(false) };
        let body = stream::iter([Ok(bytes.into())]).boxed();
        match self.content.put_blob(&self.into, &blob.digest, Some(blob.size), body).await {
            Ok(_) => Ok(true),
            Err(content::Error::DigestMismatch { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn store_blob(&self, blob: &Descriptor, reading: Reading) -> Result<(), Trouble> {
        // No check whether the run has stopped: the tag that needs this blob is in progress and may finish.
        let report = Report::default();
        let (registry, from) = (self.registry.clone(), self.from.clone());
        let (digest, size) = (blob.digest.clone(), blob.size);
        let fetch = Fetch::new(registry, from, digest, size, self.halt.clone(), reading);
        let body = fetch.stream(self.journal.clone(), report.clone());
        match self.content.put_blob(&self.into, &blob.digest, Some(blob.size), body).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.journal.bytes_lost(report.bytes());
                let trouble = report.trouble().unwrap_or(Trouble::Content(error));
                let encoding = report.encoding().filter(|_| trouble.is_wrong_content());
                self.halt.heed(Err(match encoding {
                    Some(encoding) => Trouble::WrongContent(format!("{trouble}; {}", encoding.remedy())),
                    None => trouble,
                }))
            }
        }
    }

    /// Copies the referrers of `subject`, their referrers, and so on. All are optional: the failure of one does not
    /// affect the others (semantics 37).
    pub(crate) async fn referrers(&self, subject: &Digest) -> Referrers {
        let mut seen: HashSet<Digest> = HashSet::new();
        let mut level: Vec<Digest> = vec![subject.clone()];
        let mut referrers = Referrers::default();
        for _ in 0..REFERRER_DEPTH {
            let mut found = Vec::new();
            for subject in &level {
                match self.ask_for_referrers(subject).await {
                    Ok(named) => {
                        let digests = named.descriptors.into_iter().map(|descriptor| descriptor.digest);
                        found.extend(digests.filter(|digest| seen.insert(digest.clone())));
                        let warnings = named.warnings.into_iter().map(|warning| {
                            (subject.short().to_owned(), Trouble::Foreign(warning.to_string()))
                        });
                        referrers.left_behind.extend(warnings);
                    }
                    Err(trouble) => referrers.left_behind.push((subject.short().to_owned(), trouble)),
                }
            }
            let mut arrived = Vec::new();
            for referrer in found {
                match self.tree(&referrer, None).await {
                    Ok(()) => arrived.push(referrer),
                    Err(trouble) => referrers.left_behind.push((referrer.short().to_owned(), trouble)),
                }
            }
            if arrived.is_empty() {
                break;
            }
            referrers.arrived += arrived.len() as u64;
            level = arrived;
        }
        referrers
    }

    async fn ask_for_referrers(&self, subject: &Digest) -> Result<remote::Referrers, Trouble> {
        self.halt.check()?;
        let named = self.registry.referrers(&self.from, subject, None, &self.allowance, &self.ways).await;
        self.halt.heed(named.map_err(Trouble::from))
    }
}
