//! Bringing images in: a tree is fetched by digest, children and blobs before what names them, each blob once
//! in a run. No tag is set here.

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

/// A manifest whose parts are deleted here while it is brought in is put so often.
const ROUNDS: u32 = 3;

/// One run that brings content of one remote repository into one of ours.
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
    /// Whether layers that are not to be distributed are asked for (semantics 43).
    foreign_layers: bool,
    /// What may still be read of lists of referrers in this run.
    allowance: Allowance,
    /// How those are to be had.
    ways: ReferrersWays,
}

/// What came of looking for referrers.
#[derive(Debug, Default)]
pub(crate) struct Referrers {
    /// How many were brought in.
    pub arrived: u64,
    /// Those that were not, or the list that could not be had, with the reason.
    pub left_behind: Vec<(String, Trouble)>,
}

/// Who brings it, for the records.
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

    /// The tags of the remote repository by which signatures and other referrers may be found; there are no others.
    pub(crate) fn listed<'t>(&mut self, digest_tags: impl IntoIterator<Item = &'t Tag>) {
        self.ways = ReferrersWays::listed(digest_tags);
    }

    /// Whether the run goes on.
    pub(crate) fn halt(&self) -> &Halt {
        &self.halt
    }

    /// Forgets what was brought in: some of it has been deleted here meanwhile.
    pub(crate) fn forget(&self) {
        self.claims.forget_all();
    }

    /// Brings a manifest in with all that it needs. It is fetched by its digest, unless it `came` already: some
    /// registries have by its tag what they do not find by its digest.
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
        // What is stored has all its parts, except those that may be absent: that is checked when it is stored.
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
                // Parts that were here a moment ago have been deleted.
                Err(content::Error::ManifestBlobUnknown { digests, .. }) if round < ROUNDS => {
                    digests.iter().for_each(|part| self.claims.forget(part));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Brings in the layers that are not to be distributed and that a stored tree came without.
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

    /// Wrong bytes are fetched once more (semantics 24).
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

    /// Brings in what a manifest names, except the subject and, where they are not asked for, layers that are not
    /// to be distributed.
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

    /// Brings in one part. A part that the remote does not have may be absent where this server takes
    /// manifests without it (semantics 42); elsewhere the whole cannot be had.
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

    /// Brings in a layer that is not to be distributed, if the remote has it: its licence may keep it from there
    /// too. It is asked for once in a run, however many images have it.
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

    /// That a part is stored nowhere, in words for the journal.
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

    /// Stores a blob whose bytes stand in the manifest itself, as those of the empty configuration often do. False:
    /// they do not, or are not those of the blob.
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
        // Not asked whether the run goes on: the tag that needs it is under way, and ends where it can.
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

    /// Brings in what refers to `subject`, and what refers to that, and so on. All of it is optional: what fails
    /// keeps nothing else from coming (semantics 37).
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
