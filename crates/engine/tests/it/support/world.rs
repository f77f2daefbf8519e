//! The server without HTTP: helpers to set up a test, act, and wait for results.

use super::ScriptedRegistry;
use futures::{FutureExt, StreamExt, stream};
use longshore_content::{Content, DiskStore, PutManifest, Sparse};
use longshore_engine::{Engine, EngineParts, EngineSettings, Jitter, Waits};
use longshore_metadata::{
    Change, Database, Priority, Vault, Visible, accounts, jobs, promotions, pull_mirrors, push_mirrors,
    remotes, repositories, tags, verdicts, verdicts::VerdictRow,
};
use longshore_model::{
    Author, Clock, JobId, Lineage, PageRequest, PolicyId, Provenance, Remote, RemoteId, RemoteKind,
    Repository, SystemClock, TagRecord, Timestamp, Version,
    job::{Job, JobAction, JobFilter},
    message::Everything,
    policy::Baseline,
    repository::NewRepository,
    stored::{LastRun, PolicyCommon, PromotionPolicy, PullMirror, PushMirror, Speaks},
    tag::AnswerResult,
};
use longshore_oci::Tag;
use longshore_policy::{RawRule, Rules};
use longshore_remote::Patience;
use longshore_testkit::Package;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// The timeout of all waits, longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) db: Database,
    pub(crate) content: Content,
    pub(crate) engine: Engine,
    clock: Arc<dyn Clock>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl World {
    /// A world in which the engine runs.
    pub(crate) async fn running() -> Self {
        let mut world = Self::still().await;
        world.start();
        world
    }

    /// A world in which the engine does not run yet.
    pub(crate) async fn still() -> Self {
        Self::still_at(Arc::new(SystemClock)).await
    }

    pub(crate) async fn still_at(clock: Arc<dyn Clock>) -> Self {
        let folder = TempDir::new().unwrap();
        Self::open(folder, clock).await
    }

    /// A world that accepts sparse manifests.
    pub(crate) async fn accepting(sparse: Sparse) -> Self {
        let mut world = Self::still().await;
        world.content = world.content.accepting(sparse);
        world.engine = engine_of(&world.db, &world.content, &world.clock);
        world
    }

    /// A running world with these timeouts for other registries.
    pub(crate) async fn waiting(patience: Patience) -> Self {
        let mut world = Self::still().await;
        let settings = EngineSettings { patience, ..settings() };
        world.engine = engine_with(settings, &world.db, &world.content, &world.clock);
        world.start();
        world
    }

    async fn open(folder: TempDir, clock: Arc<dyn Clock>) -> Self {
        let url = format!("sqlite://{}", folder.path().join("longshore.db").display());
        let db = Database::open(&url, Vault::from_key([7; 32])).await.unwrap();
        let store = DiskStore::open(folder.path().join("content")).unwrap();
        let content = Content::new(db.clone(), Arc::new(store), clock.clone());
        let engine = engine_of(&db, &content, &clock);
        Self { folder, db, content, engine, clock, running: None }
    }

    /// The server after it was killed: its memory is lost, and its leases were not released.
    pub(crate) async fn killed_and_opened_again(mut self) -> Self {
        if let Some((_, task)) = self.running.take() {
            task.abort();
            let _ = task.await;
        }
        let Self { folder, clock, .. } = self;
        Self::open(folder, clock).await
    }

    pub(crate) fn start(&mut self) {
        let (token, engine) = (CancellationToken::new(), self.engine.clone());
        let until = token.clone();
        self.running = Some((token, tokio::spawn(async move { engine.run(until).await })));
    }

    /// Stops the engine as a graceful shutdown does.
    pub(crate) async fn stop(&mut self) {
        if let Some((token, task)) = self.running.take() {
            token.cancel();
            timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn write<T, F>(&self, change: F) -> T
    where
        T: Send + 'static,
        F: for<'t> FnOnce(
                &'t mut longshore_metadata::Tx,
            )
                -> futures::future::BoxFuture<'t, Result<T, longshore_metadata::Error>>
            + Send
            + 'static,
    {
        self.db.write(Priority::Normal, change).await.unwrap()
    }

    pub(crate) async fn repository(&self, name: &str) -> Repository {
        self.repository_with(name, |_| {}).await
    }

    pub(crate) async fn repository_with(
        &self,
        name: &str,
        adjust: impl FnOnce(&mut NewRepository),
    ) -> Repository {
        let name: longshore_oci::RepositoryName = name.parse().unwrap();
        let (namespace, now) = (name.to_namespace(), self.now());
        let mut new = NewRepository::default();
        adjust(&mut new);
        self.write(move |tx| {
            async move {
                if accounts::find(tx, &namespace).await?.is_none() {
                    accounts::create(tx, &namespace, true, false, None, now).await.unwrap();
                }
                repositories::create(tx, &name, &new, now).await
            }
            .boxed()
        })
        .await
    }

    /// Pushes a package as a client does: blobs, children, and the manifest under its tag.
    pub(crate) async fn push(&self, repository: &Repository, tag: &str, package: &Package) -> TagRecord {
        self.push_along(repository, Some(tag), package, &Lineage::default()).await;
        self.tag(repository, tag).await.unwrap()
    }

    /// Pushes a package by digest alone.
    pub(crate) async fn push_untagged(&self, repository: &Repository, package: &Package) {
        self.push_along(repository, None, package, &Lineage::default()).await;
    }

    /// Pushes a package with the lineage of another Longshore.
    pub(crate) async fn push_along(
        &self,
        to: &Repository,
        tag: Option<&str>,
        package: &Package,
        lineage: &Lineage,
    ) {
        for (digest, bytes) in &package.blobs {
            let body = stream::iter([Ok(bytes.clone())]).boxed();
            self.content.put_blob(to, digest, None, body).await.unwrap();
        }
        let tag: Vec<Tag> = tag.into_iter().map(|tag| tag.parse().unwrap()).collect();
        for manifest in &package.manifests {
            let put = PutManifest {
                repository: to,
                digest_expected: Some(&manifest.digest),
                tags: if manifest.digest == package.root { &tag } else { &[] },
                media_type: &manifest.media_type,
                bytes: manifest.bytes.clone(),
                author: &author(),
                provenance: &Provenance::Push,
                lineage,
            };
            self.content.put_manifest(put).await.unwrap();
        }
    }

    pub(crate) async fn repository_of(&self, id: longshore_model::RepositoryId) -> Repository {
        repositories::get(&mut self.db.read().await.unwrap(), id).await.unwrap().unwrap()
    }

    pub(crate) async fn tag(&self, repository: &Repository, tag: &str) -> Option<TagRecord> {
        let mut conn = self.db.read().await.unwrap();
        tags::find(&mut conn, repository.id, &tag.parse().unwrap()).await.unwrap()
    }

    /// The names of all tags, digest tags too, in byte order.
    pub(crate) async fn tags(&self, repository: &Repository) -> Vec<String> {
        let tags = self.content.list_tags(repository, None, None).await.unwrap();
        tags.iter().map(ToString::to_string).collect()
    }

    /// Whether every manifest and blob of the package is in the repository.
    pub(crate) async fn has(&self, repository: &Repository, package: &Package) -> bool {
        for manifest in &package.manifests {
            let stored =
                self.content.get_manifest(repository, &manifest.digest.clone().into()).await.unwrap();
            if stored.is_none_or(|stored| stored.bytes[..] != manifest.bytes[..]) {
                return false;
            }
        }
        for (digest, _) in &package.blobs {
            if self.content.stat_blob(repository, digest).await.unwrap().is_none() {
                return false;
            }
        }
        true
    }

    pub(crate) fn common(&self) -> PolicyCommon {
        PolicyCommon {
            id: PolicyId::new(),
            enabled: true,
            version: Version::FIRST,
            rules_version: 1,
            last_change: None,
            stopped: None,
            referrers: true,
            author: None,
            author_name: String::new(),
            orphaned: false,
            created_at: self.now(),
            updated_at: self.now(),
            last_run: LastRun::never(),
        }
    }

    pub(crate) async fn promotion(
        &self,
        from: &Repository,
        to: &Repository,
        rules: Rules,
        template: &str,
    ) -> PromotionPolicy {
        let policy = PromotionPolicy {
            common: self.common(),
            source: from.id,
            source_name: from.name.clone(),
            target: to.id,
            target_name: to.name.clone(),
            rules: rules.into(),
            template: template.to_owned(),
            last_promoted_at: None,
        };
        let inserted = policy.clone();
        self.write(move |tx| async move { promotions::insert(tx, &inserted).await }.boxed()).await;
        policy
    }

    pub(crate) async fn remote(&self, registry: &ScriptedRegistry) -> RemoteId {
        let remote = Remote {
            id: RemoteId::new(),
            owner: None,
            author: None,
            name: registry.host(),
            kind: RemoteKind::Other,
            url: registry.url(),
            username: String::new(),
            has_secret: false,
            ca_pem: None,
            skip_tls_verify: false,
            proxy: None,
            realm: None,
            version: Version::FIRST,
            last_change: None,
            created_at: self.now(),
            updated_at: self.now(),
            last_contact: None,
            last_error: None,
            used_by: 0,
            back_off: None,
        };
        let id = remote.id;
        self.write(move |tx| async move { remotes::insert(tx, &remote, None).await }.boxed()).await;
        id
    }

    /// A push mirror of every tag to the repository `to` of the registry.
    pub(crate) async fn push_mirror(
        &self,
        from: &Repository,
        registry: &ScriptedRegistry,
        to: &str,
        adjust: impl FnOnce(&mut PushMirror),
    ) -> PushMirror {
        let mut mirror = PushMirror {
            common: self.common(),
            repository: from.id,
            repository_name: from.name.clone(),
            remote: self.remote(registry).await,
            remote_host: registry.host(),
            remote_repository: to.parse().unwrap(),
            rules: Rules::EveryTag.into(),
            template: "%n".to_owned(),
            overwrite: true,
            foreign_layers: false,
            last_mirrored_at: None,
        };
        adjust(&mut mirror);
        let inserted = mirror.clone();
        self.write(move |tx| async move { push_mirrors::insert(tx, &inserted).await }.boxed()).await;
        mirror
    }

    /// A pull mirror of every tag of the repository `from` of the registry, without referrers.
    pub(crate) async fn pull_mirror(
        &self,
        to: &Repository,
        registry: &ScriptedRegistry,
        from: &str,
        adjust: impl FnOnce(&mut PullMirror),
    ) -> PullMirror {
        let mut mirror = PullMirror {
            common: PolicyCommon { referrers: false, ..self.common() },
            repository: to.id,
            repository_name: to.name.clone(),
            remote: self.remote(registry).await,
            remote_host: registry.host(),
            remote_repository: from.parse().unwrap(),
            patterns: "*".to_owned(),
            interval_seconds: 3600,
            foreign_layers: false,
            baseline: Baseline::None,
            known_patterns: None,
            next_run_at: self.now() + jiff::SignedDuration::from_hours(1),
            last_mirrored_at: None,
        };
        adjust(&mut mirror);
        let inserted = mirror.clone();
        self.write(move |tx| async move { pull_mirrors::insert(tx, &inserted).await }.boxed()).await;
        mirror
    }

    pub(crate) async fn enqueue(&self, order: jobs::NewJob) -> Job {
        let now = self.now();
        self.write(move |tx| {
            async move {
                let job = jobs::enqueue_and_read(tx, order, now).await?;
                tx.announce(Change::JobsWaiting(None));
                Ok(job)
            }
            .boxed()
        })
        .await
        .shown(&Everything)
    }

    /// Wakes the workers, which do not notice that the clock was moved forward.
    pub(crate) async fn announce_work(&self) {
        self.write(|tx| {
            tx.announce(Change::JobsWaiting(None));
            std::future::ready(Ok(())).boxed()
        })
        .await;
    }

    /// A job with its messages as text, as administrators see them.
    pub(crate) async fn job(&self, id: JobId) -> Job {
        jobs::get(&mut self.db.read().await.unwrap(), id).await.unwrap().unwrap().shown(&Everything)
    }

    /// All jobs, oldest first.
    pub(crate) async fn jobs(&self) -> Vec<Job> {
        let mut conn = self.db.read().await.unwrap();
        let (all, first) = (JobFilter::default(), PageRequest::first(500));
        let jobs = jobs::list(&mut conn, &Visible::Everything, None, &all, &first).await.unwrap().items;
        jobs.into_iter().rev().map(|job| job.shown(&Everything)).collect()
    }

    /// Waits until the job has ended.
    pub(crate) async fn ended(&self, id: JobId) -> Job {
        self.until(async || Some(self.job(id).await).filter(|job| job.status.is_final())).await
    }

    /// Waits until no job is queued or running.
    pub(crate) async fn settled(&self) {
        self.until(async || self.jobs().await.iter().all(|job| job.status.is_final()).then_some(())).await;
    }

    /// The jobs that push tags, once no job is queued or running.
    pub(crate) async fn pushes(&self) -> Vec<Job> {
        self.settled().await;
        self.jobs().await.into_iter().filter(|job| job.action == JobAction::PushMirrorTag).collect()
    }

    /// Waits until `look` returns something; calls it after each change.
    pub(crate) async fn until<T>(&self, look: impl AsyncFn() -> Option<T>) -> T {
        let mut changes = self.db.changes();
        let seen = timeout(PATIENCE, async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                // The result may not depend on the database alone.
                let _ = timeout(Duration::from_millis(50), changes.recv()).await;
            }
        });
        match seen.await {
            Ok(seen) => seen,
            Err(_) => panic!("what was waited for did not happen; jobs: {:#?}", self.jobs().await),
        }
    }

    /// The log of a job as text.
    pub(crate) async fn log(&self, job: JobId) -> String {
        let mut conn = self.db.read().await.unwrap();
        let lines = jobs::logs(&mut conn, job, 0, 1_000).await.unwrap();
        lines.iter().map(|line| line.message.sentence(&Everything)).collect::<Vec<_>>().join("\n")
    }

    pub(crate) async fn verdict(&self, policy: PolicyId, tag: &TagRecord) -> Option<Told> {
        let mut conn = self.db.read().await.unwrap();
        let rows = verdicts::for_tag(&mut conn, tag.repository, &tag.name, tag.revision).await.unwrap();
        rows.into_iter().find(|row| row.policy == policy).map(Told::of)
    }
}

/// A verdict with its messages as text, as administrators see them.
pub(crate) struct Told {
    pub(crate) result: AnswerResult,
    pub(crate) target_tag: Option<Tag>,
    pub(crate) consequence: String,
}

impl Told {
    fn of(row: VerdictRow) -> Self {
        let VerdictRow { result, target_tag, consequence, .. } = row;
        Self { result, target_tag, consequence: consequence.sentence(&Everything) }
    }
}

fn engine_of(db: &Database, content: &Content, clock: &Arc<dyn Clock>) -> Engine {
    engine_with(settings(), db, content, clock)
}

fn settings() -> EngineSettings {
    EngineSettings {
        jitter: Jitter::fixed(0.0),
        waits: Waits([Duration::from_millis(20); 4]),
        ..EngineSettings::default()
    }
}

fn engine_with(settings: EngineSettings, db: &Database, content: &Content, clock: &Arc<dyn Clock>) -> Engine {
    Engine::new(EngineParts { db: db.clone(), content: content.clone(), clock: clock.clone(), settings })
}

pub(crate) fn author() -> Author {
    Author::User { name: "amelia".parse().unwrap() }
}

/// One rule on the tag's name.
pub(crate) fn rule(operator: &str, value: &str) -> Rules {
    let raw =
        RawRule { field: "tag".to_owned(), operator: operator.to_owned(), values: vec![value.to_owned()] };
    Rules::parse(vec![raw], false).unwrap()
}
