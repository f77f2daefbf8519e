//! A database with some content, and helpers for the tests.

use jiff::SignedDuration;
use longshore_metadata::tags::{RemoveOutcome, SetOutcome, SetTag};
use longshore_metadata::undo::Window;
use longshore_metadata::{
    Conn, Database, Error, Priority, Tx, Vault, blobs, jobs, manifests, repositories, tags, work,
};
use longshore_model::job::{Cause, JobAction, Parameters};
use longshore_model::repository::NewRepository;
use longshore_model::{
    Author, BootId, JobId, Lineage, Provenance, Repository, Revision, TagRecord, Timestamp, Visibility,
};
use longshore_oci::{Digest, Manifest, Tag};
use std::future::Future;
use std::pin::Pin;

/// A boxed future, as [`Database::write`] takes it.
pub(crate) type Boxed<'t, T> = Pin<Box<dyn Future<Output = T> + Send + 't>>;

pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(60);

pub(crate) struct Scene {
    pub(crate) db: Database,
    url: String,
    /// Keeps the files of SQLite until the test ends.
    _folder: Option<tempfile::TempDir>,
}

impl Scene {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("longshore.db").display());
        Self { db: Database::open(&url, vault()).await.unwrap(), url, _folder: Some(folder) }
    }

    pub(crate) async fn on_postgres() -> Self {
        let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
        Self::at(&url).await
    }

    /// One of several servers on a PostgreSQL database.
    pub(crate) async fn at(url: &str) -> Self {
        Self { db: Database::open(url, vault()).await.unwrap(), url: url.to_owned(), _folder: None }
    }

    /// Runs a statement as another program on the same database, such as a server of an older version.
    pub(crate) async fn by_another(&self, sql: &'static str) {
        use sqlx::Connection as _;
        if self.url.starts_with("sqlite") {
            let mut other = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut other).await.unwrap();
        } else {
            let mut other = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut other).await.unwrap();
        }
    }

    pub(crate) async fn read(&self) -> Conn {
        self.db.read().await.unwrap()
    }

    /// A transaction that must succeed.
    pub(crate) async fn write<T, F>(&self, work: F) -> T
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Boxed<'t, Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        self.try_write(work).await.unwrap()
    }

    pub(crate) async fn try_write<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Boxed<'t, Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        self.db.write(Priority::Normal, work).await
    }

    pub(crate) async fn repository(&self, name: &str) -> Repository {
        self.repository_with(name, NewRepository::default()).await
    }

    pub(crate) async fn public_repository(&self, name: &str) -> Repository {
        self.repository_with(name, NewRepository { visibility: Visibility::Public, ..Default::default() })
            .await
    }

    pub(crate) async fn repository_with(&self, name: &str, new: NewRepository) -> Repository {
        let name = name.parse().unwrap();
        self.write(work!(|tx| repositories::create(tx, &name, &new, at(0)).await)).await
    }

    /// Stores an image whose parts are distinguished by `seed`.
    pub(crate) async fn image(&self, repository: &Repository, seed: u8) -> Digest {
        let id = repository.id;
        let (config, layer) = (digest(seed, 1), digest(seed, 2));
        let text = image_json(&config, &layer, None);
        let image = digest(seed, 0);
        let answer = image.clone();
        self.write(work!(|tx| {
            for (part, size) in [(&config, 10), (&layer, 100)] {
                blobs::record(tx, part, size, &format!("blobs/{part}"), at(0)).await?;
                blobs::link(tx, id, part, at(0)).await?;
            }
            put(tx, id, &image, &text).await
        }))
        .await;
        answer
    }

    /// Sets a tag like a push.
    pub(crate) async fn push(&self, repository: &Repository, tag: &str, digest: &Digest) -> SetOutcome {
        self.set(repository, tag, digest, None, Provenance::Push).await
    }

    /// Sets a tag like a promotion of that revision of its source.
    pub(crate) async fn promote(
        &self,
        repository: &Repository,
        tag: &str,
        digest: &Digest,
        source: Revision,
    ) -> SetOutcome {
        let provenance = Provenance::Promotion {
            policy: Some(longshore_model::PolicyId::new()),
            source: None,
            source_repository: "dev/app".parse().unwrap(),
            source_tag: name(tag),
            source_revision: source,
        };
        self.set(repository, tag, digest, Some(source), provenance).await
    }

    pub(crate) async fn set(
        &self,
        repository: &Repository,
        tag: &str,
        digest: &Digest,
        source_revision: Option<Revision>,
        provenance: Provenance,
    ) -> SetOutcome {
        let (repository, digest, tag) = (repository.clone(), digest.clone(), name(tag));
        self.write(work!(|tx| {
            let to = SetTag {
                repository: &repository,
                name: &tag,
                digest: &digest,
                source_revision,
                author: &Author::System,
                provenance: &provenance,
                lineage: &Lineage::default(),
                now: at(1),
            };
            tags::set(tx, to).await
        }))
        .await
    }

    /// Removes a tag at second 2.
    pub(crate) async fn remove(&self, repository: &Repository, tag: &str) -> RemoveOutcome {
        let (repository, tag) = (repository.clone(), name(tag));
        self.write(work!(|tx| tags::remove(tx, &repository, &tag, &Author::System, at(2)).await)).await
    }

    pub(crate) async fn tag(&self, repository: &Repository, tag: &str) -> Option<TagRecord> {
        tags::find(&mut self.read().await, repository.id, &name(tag)).await.unwrap()
    }

    /// Enqueues a job that is due at second `due`.
    pub(crate) async fn enqueue(&self, serial_key: Option<&str>, due: i64) -> JobId {
        let order = order(serial_key, due);
        self.write(work!(|tx| jobs::enqueue(tx, order, at(0)).await)).await
    }

    /// Claims jobs that are due at second `now`, in all lanes.
    pub(crate) async fn claim(&self, now: i64, limit: i64) -> Vec<jobs::Claim> {
        self.write(work!(|tx| {
            let (boot, worker, now) = (BootId::new(), "here", at(now));
            let mut claimed = jobs::claim(tx, JobAction::ALL, boot, worker, now, LEASE, limit).await?;
            for action in [JobAction::PushMirrorTag, JobAction::PollMirror] {
                for due in jobs::lanes(tx, action, now).await? {
                    while i64::try_from(claimed.len()).unwrap() < limit {
                        let Some(claim) =
                            jobs::claim_lane(tx, action, &due, boot, worker, now, LEASE).await?
                        else {
                            break;
                        };
                        claimed.push(claim);
                    }
                }
            }
            claimed.sort_by_key(|claim| (claim.job.scheduled_at, claim.job.id));
            Ok(claimed)
        }))
        .await
    }

    /// The parameters of all jobs, oldest first.
    pub(crate) async fn orders(&self) -> Vec<Parameters> {
        let page = longshore_model::PageRequest::first(500);
        let visible = longshore_metadata::Visible::Everything;
        let listed =
            jobs::list(&mut self.read().await, &visible, None, &Default::default(), &page).await.unwrap();
        listed.items.into_iter().rev().map(|job| job.parameters).collect()
    }
}

/// The revision of a tag that was set.
pub(crate) fn revision(outcome: SetOutcome) -> Revision {
    match outcome {
        SetOutcome::Set(record) => record.revision,
        other => panic!("the tag was not set: {other:?}"),
    }
}

pub(crate) fn order(serial_key: Option<&str>, due: i64) -> jobs::NewJob {
    jobs::NewJob {
        parameters: Parameters::PollAll,
        cause: Cause::Schedule,
        policy: None,
        repository: None,
        parent: None,
        retry_of: None,
        serial_key: serial_key.map(str::to_owned),
        scheduled_at: at(due),
        retries: 3,
    }
}

/// Stores a manifest and links it into a repository.
pub(crate) async fn put(
    tx: &mut Tx,
    repository: longshore_model::RepositoryId,
    digest: &Digest,
    text: &str,
) -> Result<(), Error> {
    let parsed = Manifest::parse(text.as_bytes(), None).unwrap();
    let new = manifests::NewManifest {
        digest,
        media_type: parsed.media_type(),
        artifact_type: parsed.artifact_type(),
        bytes: text.as_bytes(),
        parsed: &parsed,
        platform: None,
        absent: &[],
    };
    manifests::insert(tx, repository, &new, at(0)).await
}

pub(crate) fn image_json(config: &Digest, layer: &Digest, subject: Option<&Digest>) -> String {
    let subject = subject.map_or(String::new(), |subject| {
        format!(
            r#","subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":7}}"#
        )
    });
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":10}},
            "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":100}}],
            "annotations":{{"made.by":"test"}}{subject}}}"#
    )
}

pub(crate) fn index_json(children: &[(&Digest, &str)]) -> String {
    let children: Vec<String> = children
        .iter()
        .map(|(digest, architecture)| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":400,
                    "platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        children.join(",")
    )
}

pub(crate) fn digest(seed: u8, part: u8) -> Digest {
    let mut hash = [seed; 32];
    hash[0] = part;
    Digest::sha256(hash)
}

pub(crate) fn name(tag: &str) -> Tag {
    tag.parse().unwrap()
}

/// A restore window of a week, as of second `now`.
pub(crate) fn week(now: i64) -> Window {
    Window { length: SignedDuration::from_hours(7 * 24), now: at(now) }
}

/// An instant, in seconds from a fixed start.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn vault() -> Vault {
    Vault::from_key([7; 32])
}

/// A message with plain text, as earlier versions stored them.
pub(crate) fn words(text: &str) -> longshore_model::Message {
    text.to_owned().into()
}
