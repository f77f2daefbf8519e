//! Fills a database as if the server had been in use for a long time. It uses the functions of `metadata` that the
//! server uses, so that counters, histories and indexes are realistic.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use longshore_metadata::{
    Database, Error, Priority, Tx, activity, blobs, jobs, manifests, repositories, storage, tags, work,
};
use longshore_model::{
    Author, BootId, Lineage, Provenance, Repository, Visibility,
    activity::ActivityKind,
    job::{JobAction, NewJob, Status, orders},
    repository::NewRepository,
};
use longshore_oci::{Digest, Manifest, RepositoryName, Tag};
use sha2::{Digest as _, Sha256};

use super::{CROWDED, CROWDED_NAMESPACE, QUIET};

/// The amount of data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) repositories: u64,
    /// Tags of the one crowded repository.
    pub(crate) tags: u64,
    pub(crate) jobs: u64,
    pub(crate) activity: u64,
}

impl Size {
    /// A hundredth of each number, but at least 1.
    pub(crate) fn hundredth(self) -> Self {
        let of = |number: u64| (number / 100).max(1);
        Self {
            repositories: of(self.repositories),
            tags: of(self.tags),
            jobs: of(self.jobs),
            activity: of(self.activity),
        }
    }
}

/// The number of rows written in one transaction.
const BATCH: u64 = 500;
/// The time span of the history.
const HISTORY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// One image in this many is signed, one job has failed, and one repository belongs to the quiet namespace.
const ONE_OF: u64 = 50;
/// The quota of the crowded namespace; far more than its data needs.
const QUOTA: u64 = 1 << 50;

/// Fills the database of a stopped server. The accounts must exist.
pub(crate) async fn fill(db: &Database, size: Size, now: Timestamp) -> Result<()> {
    let crowded = CROWDED.parse::<RepositoryName>().context("the name of the crowded repository")?;
    let fill = Fill { db, now, size };
    let quota = crowded.namespace().parse().context("its namespace")?;
    fill.write(work!(|tx| storage::set_quota(tx, &quota, Some(QUOTA)).await.map(drop))).await?;
    let crowded = Arc::new(fill.repository(crowded).await?);
    fill.tags(&crowded).await?;
    let quiet = fill.repositories().await?;
    let places = Arc::new((crowded, quiet));
    fill.jobs(&places).await?;
    fill.activity(&places).await?;
    Ok(())
}

struct Fill<'a> {
    db: &'a Database,
    now: Timestamp,
    size: Size,
}

/// The crowded repository, and one of the quiet namespace.
type Places = Arc<(Arc<Repository>, Arc<Repository>)>;

impl Fill<'_> {
    async fn write<T: Send + 'static>(
        &self,
        work: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.db.write(Priority::Normal, work).await
    }

    /// The time of event `number` of `of` events that are spread evenly over the history.
    fn when(&self, number: u64, of: u64) -> Timestamp {
        let back = HISTORY.as_secs().unsigned_abs() * (of - number) / of;
        self.now - SignedDuration::from_secs(back.cast_signed())
    }

    async fn repository(&self, name: RepositoryName) -> Result<Repository, Error> {
        let now = self.when(0, 1);
        let new = NewRepository { visibility: Visibility::Private, ..NewRepository::default() };
        self.write(work!(|tx| repositories::create(tx, &name, &new, now).await)).await
    }

    /// Creates all repositories but the crowded one, with one tag each. Returns one in the quiet namespace.
    async fn repositories(&self) -> Result<Arc<Repository>> {
        let mut quiet = None;
        for number in 0..self.size.repositories {
            let namespace = if number.is_multiple_of(ONE_OF) { QUIET } else { CROWDED_NAMESPACE };
            let name = format!("{namespace}/service-{number:05}").parse().context("a repository's name")?;
            let repository = Arc::new(self.repository(name).await?);
            let now = self.when(number, self.size.repositories);
            let (here, tag) = (repository.clone(), "1.0".parse().context("a tag")?);
            self.write(work!(|tx| push(tx, &here, &tag, number, now).await)).await?;
            quiet = quiet.or((namespace == QUIET).then_some(repository));
        }
        quiet.context("there is a repository of the quiet namespace")
    }

    async fn tags(&self, crowded: &Arc<Repository>) -> Result<(), Error> {
        for batch in batches(self.size.tags) {
            let (here, times) =
                (crowded.clone(), batch.clone().map(|number| self.when(number, self.size.tags)));
            let times: Vec<_> = times.collect();
            self.write(work!(|tx| {
                for (number, now) in batch.zip(times) {
                    let tag = tag(number);
                    // An offset keeps these images distinct from those of the other repositories.
                    push(tx, &here, &tag, 1_000_000 + number, now).await?;
                }
                Ok(())
            }))
            .await?;
        }
        Ok(())
    }

    /// Inserts finished jobs. One in fifty has failed, and one in fifty is of the quiet repository.
    async fn jobs(&self, places: &Places) -> Result<(), Error> {
        // Setting the tags has already enqueued some.
        let mut number = 0;
        while number < self.size.jobs {
            let (places, now) = (places.clone(), self.when(number.min(self.size.jobs), self.size.jobs));
            let wanted = BATCH.min(self.size.jobs - number);
            let done = self
                .write(work!(|tx| {
                    for number in number..number + wanted {
                        jobs::enqueue(tx, order(&places, number, now), now).await?;
                    }
                    end_all(tx, now).await
                }))
                .await?;
            number += done;
        }
        let now = self.now;
        while self.write(work!(|tx| end_all(tx, now).await)).await? > 0 {}
        Ok(())
    }

    /// Inserts activity entries, in addition to those that setting the tags has added.
    async fn activity(&self, places: &Places) -> Result<(), Error> {
        for batch in batches(self.size.activity.saturating_sub(self.size.tags)) {
            let (places, now) = (places.clone(), self.now);
            self.write(work!(|tx| {
                for number in batch {
                    let mut entry = activity::NewActivity::new(now, author(), ActivityKind::TagSent);
                    entry.repository = Some(place(&places, number).id);
                    entry.tag = Some(tag(number));
                    entry.digest = Some(digest(number, "manifest"));
                    activity::add(tx, &entry).await?;
                }
                Ok(())
            }))
            .await?;
        }
        Ok(())
    }
}

fn batches(number: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..number).step_by(BATCH as usize).map(move |from| from..(from + BATCH).min(number))
}

fn place(places: &Places, number: u64) -> &Repository {
    if number.is_multiple_of(ONE_OF) { &places.1 } else { &places.0 }
}

fn author() -> Author {
    Author::System
}

/// A tag of the crowded repository.
pub(crate) fn tag(number: u64) -> Tag {
    format!("2.{}.{}-build.{number}", number / 1_000, number % 1_000)
        .parse()
        .expect("a tag's name is well-formed")
}

fn digest(number: u64, part: &str) -> Digest {
    Digest::sha256(Sha256::digest(format!("{part} {number}")).into())
}

/// Inserts the rows of a pushed image with a unique layer, and for one image in [`ONE_OF`] those of its signature.
async fn push(tx: &mut Tx, here: &Repository, tag: &Tag, number: u64, now: Timestamp) -> Result<(), Error> {
    let image = manifest(tx, here, number, None, now).await?;
    let to = tags::SetTag {
        repository: here,
        name: tag,
        digest: &image,
        source_revision: None,
        author: &author(),
        provenance: &Provenance::Push,
        lineage: &Lineage::default(),
        now,
    };
    tags::set(tx, to).await?;
    if number.is_multiple_of(ONE_OF) {
        manifest(tx, here, number, Some(&image), now).await?;
    }
    Ok(())
}

/// Inserts an image manifest, or the signature of `subject`.
async fn manifest(
    tx: &mut Tx,
    here: &Repository,
    number: u64,
    subject: Option<&Digest>,
    now: Timestamp,
) -> Result<Digest, Error> {
    let (config, layer) = match subject {
        None => (digest(0, "configuration"), digest(number, "layer")),
        Some(_) => (digest(0, "nothing"), digest(number, "signature")),
    };
    for part in [&config, &layer] {
        blobs::record(tx, part, 100, &format!("blobs/{part}"), now).await?;
        blobs::link(tx, here.id, part, now).await?;
    }
    let descriptor = |kind: &str, digest: &Digest| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": 100});
    let mut json = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", &layer)],
    });
    if let Some(subject) = subject {
        json["artifactType"] = "application/vnd.example.signature".into();
        json["subject"] = descriptor("manifest.v1+json", subject);
    }
    let bytes = json.to_string().into_bytes();
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    let parsed = Manifest::parse(&bytes, None).expect("it is a manifest");
    let new = manifests::NewManifest {
        digest: &digest,
        media_type: parsed.media_type(),
        artifact_type: parsed.artifact_type(),
        bytes: &bytes,
        parsed: &parsed,
        platform: None,
        absent: &[],
    };
    manifests::insert(tx, here.id, &new, now).await?;
    Ok(digest)
}

fn order(places: &Places, number: u64, now: Timestamp) -> NewJob {
    let (referrer, subject) = (digest(number, "signature"), digest(number, "manifest"));
    orders::follow(place(places, number).id, referrer, subject, None, author(), now)
}

/// Finishes a batch of waiting jobs. Returns their number.
async fn end_all(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let lease = SignedDuration::from_mins(1);
    let claimed =
        jobs::claim(tx, &[JobAction::Evaluate], BootId::new(), "bench", now, lease, BATCH.cast_signed())
            .await?;
    let ended = claimed.len() as u64;
    for (number, claim) in claimed.into_iter().enumerate() {
        let status = if (number as u64).is_multiple_of(ONE_OF) { Status::Errored } else { Status::Done };
        jobs::finish(tx, claim.job.id, claim.epoch, status, None, None, now).await?;
    }
    Ok(ended)
}
