//! The use cases of a server and the users of the tests: `root` is an administrator, `dev` and `qa` own repositories,
//! `eve` owns nothing, `crew` is an organization.

use crate::registry::{ROBOT, SECRET};
use bytes::Bytes;
use jiff::SignedDuration;
use longshore_access::{Access, AccessSettings};
use longshore_admin::{Admin, AdminParts, AdminSettings};
use longshore_content::{Content, DiskStore, PutManifest};
use longshore_engine::{Engine, EngineParts, EngineSettings};
use longshore_metadata::{Database, Error, Priority, Vault, accounts, work};
use longshore_model::account::UserActor;
use longshore_model::policy::{PromotionDraft, PullMirrorDraft, PushMirrorDraft, RemoteChoice, Save};
use longshore_model::remote::RemoteDraft;
use longshore_model::repository::NewRepository;
use longshore_model::{
    Actor, Author, Clock, Lineage, ManualClock, Problem, Provenance, Repository, Timestamp, Visibility,
};
use longshore_oci::{Digest, RepositoryName, Tag};
use longshore_policy::RawRule;
use longshore_remote::PrivateRemotes;
use secrecy::SecretString;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

pub(crate) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct Scene {
    pub(crate) admin: Admin,
    pub(crate) db: Database,
    pub(crate) clock: ManualClock,
    content: Content,
    engine: Engine,
    stop: CancellationToken,
    _folder: TempDir,
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

pub(crate) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let scene = Self::empty().await;
        // Hashing is slow, so all accounts share one hash.
        static HASH: OnceCell<String> = OnceCell::const_new();
        let access = scene.admin.access();
        let hash =
            HASH.get_or_init(|| async { access.hash_password(&secret(PASSWORD)).await.unwrap() }).await;
        let now = scene.clock.now();
        let made = scene.db.write::<_, Error, _>(
            Priority::Normal,
            work!(|tx| {
                for name in ["root", "dev", "qa", "eve"] {
                    let (is_admin, name) = (name == "root", name.parse().unwrap());
                    accounts::create(tx, &name, false, is_admin, Some(hash), now).await?;
                }
                accounts::create(tx, &"crew".parse().unwrap(), true, false, None, now).await
            }),
        );
        made.await.unwrap();
        scene
    }

    /// A server on its first start, without accounts.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let path = folder.path().join("longshore.db");
        let db = Database::open(path.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let store = Arc::new(DiskStore::open(folder.path().join("content")).unwrap());
        let content = Content::new(db.clone(), store, Arc::clone(&shared));
        let access = Access::new(db.clone(), Arc::clone(&shared), AccessSettings::default());
        let engine = Engine::new(EngineParts {
            db: db.clone(),
            content: content.clone(),
            clock: Arc::clone(&shared),
            // The remotes of the tests are at loopback addresses.
            settings: EngineSettings {
                private_remotes: PrivateRemotes::Everybody,
                ..EngineSettings::default()
            },
        });
        let settings = AdminSettings {
            version: "0.1.0".to_owned(),
            host: "registry.test".to_owned(),
            started_at: clock.now(),
        };
        let admin = Admin::new(AdminParts {
            db: db.clone(),
            content: content.clone(),
            access,
            engine: engine.clone(),
            clock: shared,
            settings,
        });
        let stop = CancellationToken::new();
        Self { admin, db, clock, content, engine, stop, _folder: folder }
    }

    /// The actor behind an account.
    pub(crate) async fn who(&self, name: &str) -> Actor {
        let mut conn = self.db.read().await.unwrap();
        let found = accounts::find(&mut conn, &name.parse().unwrap()).await;
        let account = found.unwrap().unwrap();
        Actor::User(UserActor { id: account.id, name: account.name, is_admin: account.is_admin })
    }

    /// A repository of its namespace.
    pub(crate) async fn repository(&self, text: &str, visibility: Visibility) -> Repository {
        let name = name(text);
        let new = NewRepository {
            namespace: name.namespace().to_owned(),
            name: name.name().to_owned(),
            visibility,
            ..NewRepository::default()
        };
        self.admin.create_repository(&self.who("root").await, new).await.unwrap()
    }

    /// Sets a tag to content that no other tag has, as if a client had pushed it.
    pub(crate) async fn push(&self, repository: &str, text: &str) -> Digest {
        self.clock.advance(SignedDuration::from_secs(1));
        let root = self.who("root").await;
        let found = self.admin.repository(&root, &name(repository)).await.unwrap().repository;
        let media_type = "application/vnd.oci.image.index.v1+json";
        let bytes = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[],"annotations":{{"of":"{repository}:{text}@{}"}}}}"#,
            self.clock.now()
        );
        let put = PutManifest {
            repository: &found,
            digest_expected: None,
            tags: &[tag(text)],
            media_type,
            bytes: Bytes::from(bytes),
            author: &Author::User { name: found.name.to_namespace() },
            provenance: &Provenance::Push,
            lineage: &Lineage::default(),
        };
        self.content.put_manifest(put).await.unwrap().digest
    }

    /// Starts the engine.
    pub(crate) fn start_engine(&self) {
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        tokio::spawn(async move { engine.run(stop).await });
    }

    /// Repeats a request until its result satisfies a condition.
    pub(crate) async fn until<T, F>(
        &self,
        what: &str,
        mut ask: impl FnMut() -> F,
        good: impl Fn(&T) -> bool,
    ) -> T
    where
        F: Future<Output = Result<T, Problem>>,
    {
        for _ in 0..600 {
            if let Ok(answer) = ask().await
                && good(&answer)
            {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the condition was never met: {what}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn ends_with(text: &str) -> Vec<RawRule> {
    vec![RawRule { field: "tag".to_owned(), operator: "ew".to_owned(), values: vec![text.to_owned()] }]
}

/// A promotion of tags that end with `stable`, names unchanged.
pub(crate) fn promotion_to(target: &str) -> PromotionDraft {
    PromotionDraft {
        rules: ends_with("stable"),
        every_tag: false,
        target: target.to_owned(),
        template: String::new(),
        enabled: Some(true),
        referrers: true,
    }
}

/// The robot's connection to a scripted registry.
pub(crate) fn robot_at(url: &str) -> RemoteDraft {
    RemoteDraft {
        url: url.to_owned(),
        username: ROBOT.to_owned(),
        secret: Some(SECRET.to_owned()),
        ..RemoteDraft::default()
    }
}

pub(crate) fn typed(remote: RemoteDraft) -> RemoteChoice {
    RemoteChoice::New { remote }
}

pub(crate) fn push_mirror_over(remote: RemoteChoice) -> PushMirrorDraft {
    PushMirrorDraft {
        remote,
        remote_repository: "there/app".to_owned(),
        rules: ends_with("stable"),
        every_tag: false,
        template: String::new(),
        enabled: Some(true),
        overwrite: true,
        foreign_layers: false,
        referrers: true,
    }
}

pub(crate) fn pull_mirror_over(remote: RemoteChoice) -> PullMirrorDraft {
    PullMirrorDraft {
        remote,
        remote_repository: "there/app".to_owned(),
        patterns: String::new(),
        interval_seconds: 1800,
        foreign_layers: false,
        enabled: Some(true),
        referrers: true,
        exclusive: None,
    }
}

/// `Save`, spelt short.
pub(crate) const SAVE: Save = Save::Future;
/// `Save & Apply`, spelt short.
pub(crate) const APPLY: Save = Save::Apply;
