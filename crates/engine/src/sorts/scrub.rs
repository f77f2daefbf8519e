//! The scrub job: verifies all stored content against its digest, and fetches damaged content again from the remotes of
//! its repositories' mirrors. A blob that no registry supplies is marked as damaged, so that clients push it again.
//! `content` verifies and replaces the bytes.

use crate::{
    Engine,
    journal::Journal,
    transfer::{
        halt::Halt,
        stream::{Fetch, Reading, Report},
    },
    trouble::Trouble,
};
use longshore_content::{Checked, Damage};
use longshore_metadata::{
    counters::{Counter, Miscount},
    pull_mirrors, push_mirrors, repositories,
};
use longshore_model::{
    Message, RemoteId,
    message::{RemoteRef, RepositoryRef, Upkeep},
};
use longshore_oci::{Digest, Reference, RemoteName, RepositoryName};

/// A repository of another registry that may have the content.
struct Source {
    remote: RemoteId,
    repository: RemoteName,
    host: String,
}

impl Source {
    fn remote(&self) -> RemoteRef {
        RemoteRef::new(self.remote, self.host.clone())
    }
}

/// The result of the scrub.
#[derive(Default)]
struct Found {
    mended: u64,
    damaged: u64,
}

impl Found {
    fn count(&mut self, mended: bool) {
        match mended {
            true => self.mended += 1,
            false => self.damaged += 1,
        }
    }
}

/// Verifies all content, repairs what can be repaired, and removes files that belong to nothing.
pub(crate) async fn run(engine: &Engine, journal: &Journal) -> Result<Message, Trouble> {
    let content = engine.content();
    let (blobs, bytes) = content.stored().await?;
    journal.plan_bytes(bytes);
    let mut found = Found::default();
    check_blobs(engine, journal, &mut found).await?;
    check_manifests(engine, journal, &mut found).await?;
    check_counts(engine, journal).await?;
    let (_, strays) = content.drop_stray_blobs().await?;
    let Found { mended, damaged } = found;
    let said = Upkeep::Verified { blobs, bytes, mended, strays, damaged }.into();
    if damaged == 0 { Ok(said) } else { Err(Trouble::Final(said)) }
}

async fn check_blobs(engine: &Engine, journal: &Journal, found: &mut Found) -> Result<(), Trouble> {
    let content = engine.content();
    let known = content.known_damage().await?;
    let mut after = None;
    while let Some(checked) = content.check_next_blob(after.as_ref()).await? {
        journal.bytes(checked.size);
        if let Some(damage) = &checked.damage {
            let holders = content.repositories_with(&checked.digest).await?;
            let (digest, damage_said) = (checked.digest.clone(), damage.to_string());
            journal.error(Upkeep::DamagedBlob { digest, holders: named(&holders), damage: damage_said });
            let mended = mend(engine, journal, &Part::Blob(&checked), &holders).await?;
            // An unreadable blob is not marked as damaged, since the storage may be back soon.
            if !mended && !matches!(damage, Damage::Unreadable(_)) {
                content.note_damage(&checked.digest, true).await?;
            }
            found.count(mended);
        } else if known.contains(&checked.digest) {
            content.note_damage(&checked.digest, false).await?;
        }
        after = Some(checked.digest);
    }
    Ok(())
}

/// Corrects the counters of stored bytes, which quotas and pages use.
async fn check_counts(engine: &Engine, journal: &Journal) -> Result<(), Trouble> {
    let mut after = None;
    while let Some((scope, miscounts)) = engine.content().check_next_count(after.as_ref()).await? {
        for Miscount { counter, counted, held } in miscounts {
            journal.warn(match counter {
                Counter::Store => Upkeep::MiscountedStore { counted, held },
                Counter::Namespace(namespace) => Upkeep::Miscounted { namespace, counted, held },
                Counter::Blobs(name) => {
                    Upkeep::MiscountedBlobs { repository: RepositoryRef::new(None, name), counted, held }
                }
                Counter::Tags(name) => {
                    Upkeep::MiscountedTags { repository: RepositoryRef::new(None, name), counted, held }
                }
            });
        }
        after = Some(scope);
    }
    Ok(())
}

async fn check_manifests(engine: &Engine, journal: &Journal, found: &mut Found) -> Result<(), Trouble> {
    let content = engine.content();
    for (digest, damage) in content.damaged_manifests().await? {
        let holders = content.repositories_with_manifest(&digest).await?;
        let (damaged, damage) = (digest.clone(), damage.to_string());
        journal.error(Upkeep::DamagedManifest { digest: damaged, holders: named(&holders), damage });
        found.count(mend(engine, journal, &Part::Manifest(&digest), &holders).await?);
    }
    Ok(())
}

/// Damaged content.
enum Part<'a> {
    Blob(&'a Checked),
    Manifest(&'a Digest),
}

impl Part<'_> {
    fn digest(&self) -> &Digest {
        match self {
            Self::Blob(blob) => &blob.digest,
            Self::Manifest(digest) => digest,
        }
    }
}

/// References by name only, which is enough because only administrators see the job.
fn named(holders: &[RepositoryName]) -> Vec<RepositoryRef> {
    holders.iter().map(|name| RepositoryRef::new(None, name.clone())).collect()
}

/// Fetches the content from the first registry that has it; returns false if none has.
async fn mend(
    engine: &Engine,
    journal: &Journal,
    part: &Part<'_>,
    holders: &[RepositoryName],
) -> Result<bool, Trouble> {
    for source in sources(engine, holders).await? {
        match fetch(engine, journal, part, &source).await {
            Ok(()) => {
                journal.info(Upkeep::Mended { digest: part.digest().clone(), from: source.remote() });
                return Ok(true);
            }
            Err(trouble) => {
                let from = source.remote();
                let why = Box::new(trouble.message(Some(&from), None));
                journal.warn(Upkeep::NotMended { from, why });
            }
        }
    }
    Ok(false)
}

/// The remote repositories of the mirrors of these repositories; those of pull mirrors first.
async fn sources(engine: &Engine, holders: &[RepositoryName]) -> Result<Vec<Source>, Trouble> {
    let conn = &mut engine.db().read().await?;
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for name in holders {
        let Some(repository) = repositories::find(conn, name).await? else { continue };
        from.extend(pull_mirrors::for_repository(conn, repository.id).await?.into_iter().map(|mirror| {
            Source { remote: mirror.remote, repository: mirror.remote_repository, host: mirror.remote_host }
        }));
        to.extend(push_mirrors::for_repository(conn, repository.id).await?.into_iter().map(|mirror| {
            Source { remote: mirror.remote, repository: mirror.remote_repository, host: mirror.remote_host }
        }));
    }
    from.append(&mut to);
    Ok(from)
}

async fn fetch(engine: &Engine, journal: &Journal, part: &Part<'_>, source: &Source) -> Result<(), Trouble> {
    let (content, registry) = (engine.content(), engine.registry(source.remote).await?);
    match part {
        Part::Manifest(digest) => {
            let reference = Reference::Digest((*digest).clone());
            let fetched = registry.get_manifest(&source.repository, &reference).await?;
            Ok(content.mend_manifest(digest, fetched.bytes).await?)
        }
        Part::Blob(blob) => {
            journal.plan_bytes(blob.size);
            let (from, digest) = (source.repository.clone(), blob.digest.clone());
            let fetch =
                Fetch::new(registry.clone(), from, digest, blob.size, Halt::of(registry), Reading::ByLength);
            let body = fetch.stream(journal.clone(), Report::default());
            Ok(content.mend_blob(&blob.digest, body).await?)
        }
    }
}
