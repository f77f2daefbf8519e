//! A database and a store in a temporary folder, with two repositories.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use longshore_content::{
    ByteStream, Content, DiskStore, Error, PutManifest, PutOutcome, S3Settings, S3Store, Store,
};
use longshore_metadata::{Database, Priority, Vault, accounts, repositories};
use longshore_model::repository::{NewRepository, RepositoryChange};
use longshore_model::{Author, Lineage, ManualClock, Provenance, Repository};
use longshore_oci::{Algorithm, Digest, Tag};
use longshore_testkit::S3Server;
use longshore_testkit::s3_server::{ACCESS_KEY, BUCKET, SECRET_KEY};
use sha2::Digest as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) db: Database,
    pub(crate) content: Content,
    pub(crate) web: Repository,
    pub(crate) other: Repository,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|store| store).await
    }

    /// With a wrapper around the store.
    pub(crate) async fn with<S: Store>(wrap: impl FnOnce(DiskStore) -> S) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("longshore.db");
        let db = Database::open(url.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let store = wrap(DiskStore::open(folder.path()).unwrap());
        let content = Content::new(db.clone(), Arc::new(store), Arc::new(ManualClock::at(now())));
        db.write(Priority::Normal, |tx| {
            let dev = "dev".parse().unwrap();
            async move { accounts::create(tx, &dev, true, false, None, now()).await }.boxed()
        })
        .await
        .unwrap();
        let [web, other] = ["dev/web", "dev/other"].map(|name| name.parse().unwrap());
        let new = NewRepository::default();
        let web = content.create_repository(&web, &new, &Author::System).await.unwrap();
        let other = content.create_repository(&other, &new, &Author::System).await.unwrap();
        Self { folder, db, content, web, other }
    }

    /// The same database and folder with nothing in memory, as after a restart.
    pub(crate) fn restarted(&self) -> Content {
        self.later(0)
    }

    /// The same, some days later.
    pub(crate) fn later(&self, days: i64) -> Content {
        let clock = ManualClock::at(now() + SignedDuration::from_hours(24 * days));
        Content::new(self.db.clone(), Arc::new(self.disk()), Arc::new(clock))
    }

    /// A restart with another store than the one on disk.
    pub(crate) fn restarted_over(&self, store: impl Store) -> Content {
        self.later_over(store, SignedDuration::ZERO)
    }

    /// The same, some time later.
    pub(crate) fn later_over(&self, store: impl Store, by: SignedDuration) -> Content {
        Content::new(self.db.clone(), Arc::new(store), Arc::new(ManualClock::at(now() + by)))
    }

    fn disk(&self) -> DiskStore {
        DiskStore::open(self.folder.path()).unwrap()
    }

    /// The number of files below `uploads` or `blobs`.
    pub(crate) fn files(&self, below: &str) -> usize {
        files_below(&self.folder.path().join(below))
    }

    /// Changes `web` in the database, but not the copies that callers hold.
    pub(crate) async fn change(&self, change: RepositoryChange) {
        let web = self.web.id;
        let db = &self.db;
        db.write(Priority::Normal, move |tx| {
            async move { repositories::update(tx, web, &change, now()).await }.boxed()
        })
        .await
        .unwrap();
    }

    pub(crate) async fn put_blob(&self, bytes: &'static [u8]) -> Digest {
        let digest = sha256(bytes);
        self.content.put_blob(&self.web, &digest, None, whole(bytes)).await.unwrap();
        digest
    }

    pub(crate) async fn put_manifest(
        &self,
        json: &serde_json::Value,
        tags: &[&str],
    ) -> Result<PutOutcome, Error> {
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let put = PutManifest {
            repository: &self.web,
            digest_expected: None,
            tags: &tags,
            media_type: json["mediaType"].as_str().unwrap_or_default(),
            bytes: json.to_string().into(),
            author: &Author::User { name: "dev".parse().unwrap() },
            provenance: &Provenance::Push,
            lineage: &Lineage::default(),
        };
        self.content.put_manifest(put).await
    }
}

/// What one of several servers knows about the bucket that they share.
pub(crate) trait Bucket {
    fn settings(&self) -> S3Settings;

    fn store(&self) -> S3Store {
        S3Store::open(&self.settings()).unwrap()
    }
}

impl Bucket for S3Server {
    fn settings(&self) -> S3Settings {
        S3Settings {
            bucket: BUCKET.into(),
            endpoint: Some(self.url().parse().unwrap()),
            region: "us-east-1".into(),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            prefix: String::new(),
            virtual_host: false,
            allow_http: true,
        }
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(sha2::Sha256::digest(bytes).into())
}

pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    Digest::from_hash(Algorithm::Sha512, &sha2::Sha512::digest(bytes)).unwrap()
}

/// The number of files below a folder.
pub(crate) fn files_below(path: &Path) -> usize {
    let below = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    below.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

/// Bytes that are different at every position and for every seed.
pub(crate) fn filled(length: usize, seed: u32) -> Vec<u8> {
    let numbers = (0u32..).map(|i| i.wrapping_add(seed).wrapping_mul(2_654_435_761));
    numbers.flat_map(u32::to_le_bytes).take(length).collect()
}

/// A single frame for a writer.
pub(crate) fn piece(bytes: &[u8]) -> Vec<Bytes> {
    vec![Bytes::copy_from_slice(bytes)]
}

/// A body that arrives in one piece.
pub(crate) fn whole(bytes: &'static [u8]) -> ByteStream {
    futures::stream::iter([Ok(Bytes::from_static(bytes))]).boxed()
}

/// A body that breaks off after `bytes`.
pub(crate) fn broken(bytes: &'static [u8]) -> ByteStream {
    let pieces = [Ok(Bytes::from_static(bytes)), Err(io::ErrorKind::ConnectionReset.into())];
    futures::stream::iter(pieces).boxed()
}

pub(crate) async fn read(stream: ByteStream) -> Vec<u8> {
    stream.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap()
}
