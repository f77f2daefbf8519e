//! Bringing images in: a tree is fetched by digest, children and blobs before what names them, each blob once
//! in a run. No tag is set here.

use super::{
    BLOBS_AT_ONCE, DEPTH, PARTS_AT_ONCE, REFERRER_DEPTH,
    claims::Claims,
    parse,
    stream::{Report, whole_blob},
    too_deep,
};
use crate::{
    journal::Journal,
    trouble::{Trouble, by_digest},
};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use longshore_content::{Content, PutManifest};
use longshore_model::{Author, Lineage, Provenance, Repository};
use longshore_oci::{Descriptor, Digest, Manifest, ManifestReference, Reference, ReferenceRole, RemoteName};
use longshore_remote::{FetchedManifest, Registry};
use std::collections::HashSet;
use tokio::sync::Semaphore;

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
    streams: Semaphore,
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
    ) -> Self {
        let Carrier { author, provenance, lineage } = carrier;
        let streams = Semaphore::new(BLOBS_AT_ONCE);
        let claims = Claims::default();
        Self { content, registry, from, into, author, provenance, lineage, journal, claims, streams }
    }

    /// Brings a manifest in with all that it needs.
    pub(crate) async fn tree(&self, digest: &Digest) -> Result<(), Trouble> {
        self.manifest(digest, 0).await
    }

    fn manifest<'a>(&'a self, digest: &'a Digest, depth: usize) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            if depth > DEPTH {
                return Err(too_deep(digest));
            }
            self.claims.once(digest, self.bring(digest, depth)).await.map(drop)
        })
    }

    async fn bring(&self, digest: &Digest, depth: usize) -> Result<(), Trouble> {
        let reference = Reference::Digest(digest.clone());
        // What is stored has all its parts: that is checked when it is stored.
        if self.content.get_manifest(&self.into, &reference).await?.is_some() {
            return Ok(());
        }
        let fetched = self.fetch_manifest(&reference).await?;
        let manifest = parse(digest, &fetched.media_type, &fetched.bytes)?;
        self.parts(&manifest, depth).await?;
        let put = PutManifest {
            repository: &self.into,
            digest_expected: Some(digest),
            tags: &[],
            media_type: &fetched.media_type,
            bytes: fetched.bytes,
            author: &self.author,
            provenance: &self.provenance,
            lineage: &self.lineage,
        };
        self.content.put_manifest(put).await?;
        Ok(())
    }

    /// Wrong bytes are fetched once more (semantics 24).
    async fn fetch_manifest(&self, reference: &Reference) -> Result<FetchedManifest, Trouble> {
        let fetched = self.registry.get_manifest(&self.from, reference).await.map_err(by_digest);
        match fetched {
            Err(trouble) if trouble.is_wrong_content() => {
                self.journal.warn(format!("{trouble}; it is fetched once more"));
                self.registry.get_manifest(&self.from, reference).await.map_err(by_digest)
            }
            fetched => fetched,
        }
    }

    /// Brings in what a manifest names, except the subject and layers that are not to be distributed.
    async fn parts(&self, manifest: &Manifest, depth: usize) -> Result<(), Trouble> {
        let needed = manifest.references().filter(|part| !part.absent_ok);
        let work: Vec<_> = needed.map(|part| self.part(part, depth)).collect();
        stream::iter(work).buffer_unordered(PARTS_AT_ONCE).try_collect().await
    }

    async fn part(&self, part: ManifestReference<'_>, depth: usize) -> Result<(), Trouble> {
        match part.role {
            ReferenceRole::Child => self.manifest(&part.descriptor.digest, depth + 1).await,
            ReferenceRole::Config | ReferenceRole::Layer => self.blob(part.descriptor).await,
            ReferenceRole::Subject => Ok(()),
        }
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
        let _permit = self.streams.acquire().await.map_err(|closed| Trouble::Passing(closed.to_string()))?;
        match self.store_blob(blob).await {
            Err(trouble) if trouble.is_wrong_content() => {
                self.journal.warn(format!("{trouble}; it is fetched once more, from the start"));
                self.store_blob(blob).await
            }
            stored => stored,
        }
    }

    async fn store_blob(&self, blob: &Descriptor) -> Result<(), Trouble> {
        let report = Report::default();
        let (registry, from) = (self.registry.clone(), self.from.clone());
        let (digest, size) = (blob.digest.clone(), blob.size);
        let body = whole_blob(registry, from, digest, size, self.journal.clone(), report.clone());
        match self.content.put_blob(&self.into, &blob.digest, Some(blob.size), body).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.journal.bytes_lost(report.bytes());
                Err(report.trouble().unwrap_or(Trouble::Content(error)))
            }
        }
    }

    /// Brings in what refers to `subjects`, and what refers to those, and so on. Answers how many came.
    pub(crate) async fn referrers(&self, subjects: &[Digest]) -> Result<u64, Trouble> {
        let mut seen: HashSet<Digest> = HashSet::new();
        let mut level: Vec<Digest> = subjects.to_vec();
        let mut count = 0;
        for _ in 0..REFERRER_DEPTH {
            let mut found = Vec::new();
            for subject in &level {
                let named = self.registry.referrers(&self.from, subject, None).await?;
                for descriptor in named.unwrap_or_default() {
                    if seen.insert(descriptor.digest.clone()) {
                        found.push(descriptor.digest);
                    }
                }
            }
            if found.is_empty() {
                break;
            }
            let mut arrived = Vec::new();
            for referrer in found {
                match self.tree(&referrer).await {
                    Ok(()) => arrived.push(referrer),
                    // A list of referrers may name what has been deleted since.
                    Err(trouble @ Trouble::Gone(_)) => self.journal.warn(trouble.to_string()),
                    Err(trouble) => return Err(trouble),
                }
            }
            count += arrived.len() as u64;
            level = arrived;
        }
        Ok(count)
    }
}
