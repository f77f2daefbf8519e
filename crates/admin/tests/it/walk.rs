//! Every use case, role by role, on a private repository of `dev`: which roles are allowed, and how the others are
//! denied.

use crate::registry::Registry;
use crate::scene::{
    PASSWORD, PEER, SAVE, Scene, name, promotion_to, pull_mirror_over, push_mirror_over, robot_at, secret,
    tag, typed,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use longshore_admin::{Admin, EventFilter, NewAccount};
use longshore_model::activity::ActivityFilter;
use longshore_model::connect::{ConnectRequest, Direction};
use longshore_model::job::JobFilter;
use longshore_model::repository::{NewRepository, RepositoryChange, RepositoryFilter};
use longshore_model::view::Side;
use longshore_model::{
    Actor, Code, ImmutableTags, JobId, PageRequest, PauseScope, PolicyId, Problem, Queued, RemoteId,
    Revision, Version, Visibility,
};
use longshore_oci::{Digest, RepositoryName};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The state that each attempt starts from.
struct Stage {
    admin: Admin,
    web: RepositoryName,
    promotion: PolicyId,
    push: PolicyId,
    pull: PolicyId,
    remote: RemoteId,
    spare_remote: RemoteId,
    job: JobId,
    ended_job: JobId,
    registry: String,
    /// The deleted repositories of the stage.
    lost: RepositoryName,
    gone: RepositoryName,
    /// The digest that the tag `1.0-stable` points to.
    stable: Digest,
    /// The change of the deleted tag `lost`.
    change: Revision,
}

impl Stage {
    async fn set(scene: &Scene, registry: &Registry) -> Self {
        let dev = scene.who("dev").await;
        let web = scene.repository("dev/web", Visibility::Private).await.name;
        scene.repository("dev/qa", Visibility::Private).await;
        let stable = scene.push("dev/web", "1.0-stable").await;
        let admin = scene.admin.clone();
        let promotion = admin.create_promotion(&dev, &web, promotion_to("dev/qa"), SAVE).await.unwrap();
        let choice = typed(robot_at(&registry.url));
        let push =
            admin.create_push_mirror(&dev, &web, push_mirror_over(choice.clone()), SAVE).await.unwrap();
        let pull = admin.create_pull_mirror(&dev, &web, pull_mirror_over(choice), SAVE).await.unwrap();
        let spare = admin.create_remote(&dev, robot_at("https://spare.test")).await.unwrap();
        let job = admin.sync_now(&dev, &web, pull.common.id).await.unwrap();
        let ended = admin.sync_now(&dev, &web, push.common.id).await.unwrap();
        let ended = admin.cancel_job(&dev, ended.id).await.unwrap();
        let (lost, gone) = (name("dev/lost"), name("dev/gone"));
        for name in [&lost, &gone] {
            scene.repository(name.as_str(), Visibility::Public).await;
            admin.delete_repository(&dev, name).await.unwrap();
        }
        scene.push("dev/web", "lost").await;
        admin.delete_tags(&dev, &web, &[tag("lost")]).await.unwrap();
        let change = admin.tag_history(&dev, &web, &tag("lost"), None).await.unwrap()[1].revision;
        Self {
            lost,
            gone,
            change,
            admin,
            web,
            promotion: promotion.common.id,
            push: push.common.id,
            stable,
            pull: pull.common.id,
            remote: push.remote,
            spare_remote: spare.id,
            job: job.id,
            ended_job: ended.id,
            registry: registry.url.clone(),
        }
    }

    fn request(&self) -> ConnectRequest {
        ConnectRequest {
            saved: None,
            remote: Some(robot_at(&self.registry)),
            remote_repository: "there/app".to_owned(),
            direction: Direction::Pull,
        }
    }
}

fn dev() -> PauseScope {
    PauseScope::Namespace("dev".parse().unwrap())
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Yes,
    SignIn,
    No,
    /// Denied as if the repository did not exist.
    Hidden,
}
use End::{Hidden, No, SignIn, Yes};

fn end(result: Result<(), Problem>) -> Result<End, Problem> {
    match result {
        Ok(()) => Ok(Yes),
        Err(problem) => match problem.code {
            Code::NotAuthenticated => Ok(SignIn),
            Code::NotAuthorized => Ok(No),
            // Allowed; there is just nothing to release.
            Code::NotPinned => Ok(Yes),
            Code::NoSuchRepository | Code::NoSuchRemote | Code::NoSuchJob => Ok(Hidden),
            _ => Err(problem),
        },
    }
}

/// Anonymous, a stranger, the owner, an administrator.
type Ends = [End; 4];
const OPEN: Ends = [Yes, Yes, Yes, Yes];
const SIGNED_IN: Ends = [SignIn, Yes, Yes, Yes];
/// Reading a private repository.
const READERS: Ends = [SignIn, Hidden, Yes, Yes];
/// Changing a private repository.
const OWNERS: Ends = [SignIn, Hidden, Yes, Yes];
/// Acting in a namespace, whose existence is not secret.
const NAMESPACE: Ends = [SignIn, No, Yes, Yes];
const ADMINISTRATORS: Ends = [SignIn, No, No, Yes];

type Attempt = for<'a> fn(&'a Stage, &'a Actor) -> BoxFuture<'a, Result<(), Problem>>;

macro_rules! attempts {
    ($($name:ident: $ends:expr, |$stage:ident, $actor:ident| $call:expr;)*) => {
        &[$((stringify!($name), $ends, |$stage, $actor| {
            async move { $call.await.map(|_| ()) }.boxed()
        })),*]
    };
}

const WALK: &[(&str, Ends, Attempt)] = attempts! {
    create_account: ADMINISTRATORS, |s, a| s.admin.create_account(a, NewAccount {
        name: "new-team".to_owned(), is_org: true, is_admin: false, password: None,
    });
    accounts: SIGNED_IN, |s, a| s.admin.accounts(a, None, None, &PageRequest::first(10));
    account: SIGNED_IN, |s, a| { let dev = "dev".parse().unwrap(); async move { s.admin.account(a, &dev).await } };
    change_password: NAMESPACE, |s, a| {
        let dev = "dev".parse().unwrap();
        async move {
            s.admin.change_password(a, &dev, Some(secret(PASSWORD)), secret("battery staple"), PEER).await
        }
    };
    namespaces: OPEN, |s, a| s.admin.namespaces(a);
    repositories: OPEN, |s, a| s.admin.repositories(a, RepositoryFilter::default(), &PageRequest::first(10));
    repository: READERS, |s, a| s.admin.repository(a, &s.web);
    create_repository: NAMESPACE, |s, a| s.admin.create_repository(a, NewRepository {
        namespace: "dev".to_owned(), name: "new".to_owned(), ..NewRepository::default()
    });
    change_repository: OWNERS, |s, a| s.admin.change_repository(a, &s.web, RepositoryChange {
        immutable_tags: Some(ImmutableTags::Off), ..RepositoryChange::default()
    });
    deleted_repositories: SIGNED_IN, |s, a| { let all = PageRequest::first(10); async move { s.admin.deleted_repositories(a, &all).await } };
    deleted_repository: NAMESPACE, |s, a| s.admin.deleted_repository(a, &s.lost);
    restore_repository: NAMESPACE, |s, a| s.admin.restore_repository(a, &s.lost);
    purge_repository: NAMESPACE, |s, a| s.admin.purge_repository(a, &s.gone);
    namespace_storage: NAMESPACE, |s, a| { let dev = "dev".parse().unwrap(); async move { s.admin.namespace_storage(a, &dev).await } };
    set_quota: ADMINISTRATORS, |s, a| { let dev = "dev".parse().unwrap(); async move { s.admin.set_quota(a, &dev, None).await } };
    tag_history: READERS, |s, a| { let name = tag("1.0-stable"); async move { s.admin.tag_history(a, &s.web, &name, None).await } };
    deleted_tags: OWNERS, |s, a| { let all = PageRequest::first(10); async move { s.admin.deleted_tags(a, &s.web, &all).await } };
    plan_restore: OWNERS, |s, a| { let name = tag("lost"); async move { s.admin.plan_restore(a, &s.web, &name, s.change).await } };
    restore_tag: OWNERS, |s, a| { let name = tag("lost"); async move { s.admin.restore_tag(a, &s.web, &name, s.change, true).await } };
    release_tag: OWNERS, |s, a| { let name = tag("1.0-stable"); async move { s.admin.release_tag(a, &s.web, &name).await } };
    tags: READERS, |s, a| { let all = PageRequest::first(10); async move { s.admin.tags(a, &s.web, None, &all).await } };
    tag: READERS, |s, a| { let name = tag("1.0-stable"); async move { s.admin.tag(a, &s.web, &name).await } };
    tag_at: READERS, |s, a| s.admin.tag_at(a, &s.web, &s.stable);
    delete_tags: OWNERS, |s, a| { let names = [tag("1.0-stable")]; async move { s.admin.delete_tags(a, &s.web, &names).await } };
    promote_tag: OWNERS, |s, a| {
        let name = tag("1.0-stable");
        async move { s.admin.promote_tag(a, &s.web, &name, "dev/qa", "by-hand").await }
    };
    push_tag: OWNERS, |s, a| {
        let name = tag("1.0-stable");
        let choice = typed(robot_at(&s.registry));
        async move { s.admin.push_tag(a, &s.web, &name, choice, "there/app", "by-hand").await }
    };
    promotions: READERS, |s, a| s.admin.promotions(a, &s.web, Side::Source);
    promotion: READERS, |s, a| s.admin.promotion(a, &s.web, s.promotion);
    create_promotion: OWNERS, |s, a| s.admin.create_promotion(a, &s.web, promotion_to("dev/qa"), SAVE);
    change_promotion: OWNERS, |s, a| s.admin.change_promotion(a, &s.web, s.promotion, Version::FIRST, promotion_to("dev/qa"), SAVE);
    enable_promotion: OWNERS, |s, a| s.admin.enable_promotion(a, &s.web, s.promotion, None, true);
    delete_promotion: OWNERS, |s, a| s.admin.delete_promotion(a, &s.web, s.promotion);
    preview_tags: READERS, |s, a| s.admin.preview_tags(a, &s.web);
    mirrors: READERS, |s, a| s.admin.mirrors(a, &s.web);
    mirror: READERS, |s, a| s.admin.mirror(a, &s.web, s.push);
    create_push_mirror: OWNERS, |s, a| s.admin.create_push_mirror(a, &s.web, push_mirror_over(typed(robot_at(&s.registry))), SAVE);
    change_push_mirror: OWNERS, |s, a| s.admin.change_push_mirror(a, &s.web, s.push, Version::FIRST, push_mirror_over(typed(robot_at(&s.registry))), SAVE);
    create_pull_mirror: OWNERS, |s, a| s.admin.create_pull_mirror(a, &s.web, pull_mirror_over(typed(robot_at(&s.registry))), SAVE);
    change_pull_mirror: OWNERS, |s, a| s.admin.change_pull_mirror(a, &s.web, s.pull, Version::FIRST, pull_mirror_over(typed(robot_at(&s.registry))), SAVE);
    enable_mirror: OWNERS, |s, a| s.admin.enable_mirror(a, &s.web, s.pull, None, true);
    delete_mirror: OWNERS, |s, a| s.admin.delete_mirror(a, &s.web, s.push);
    sync_now: OWNERS, |s, a| s.admin.sync_now(a, &s.web, s.pull);
    connect: OWNERS, |s, a| { let asked = s.request(); async move { s.admin.connect(a, Some(&s.web), &asked).await } };
    remote_tags: OWNERS, |s, a| { let asked = s.request(); async move { s.admin.remote_tags(a, &s.web, &asked).await } };
    remotes: SIGNED_IN, |s, a| { let all = PageRequest::first(10); async move { s.admin.remotes(a, None, &all).await } };
    remote: OWNERS, |s, a| s.admin.remote(a, s.remote);
    create_remote: SIGNED_IN, |s, a| s.admin.create_remote(a, robot_at("https://another.test"));
    change_remote: OWNERS, |s, a| async move {
        let now = s.admin.remote(a, s.remote).await?.version;
        s.admin.change_remote(a, s.remote, now, robot_at(&s.registry)).await
    };
    delete_remote: OWNERS, |s, a| s.admin.delete_remote(a, s.spare_remote);
    test_remote: OWNERS, |s, a| s.admin.test_remote(a, s.remote);
    after_evaluations: SIGNED_IN, |s, a| s.admin.after_evaluations(a);
    jobs: SIGNED_IN, |s, a| { let all = PageRequest::first(10); async move { s.admin.jobs(a, &JobFilter::default(), &all).await } };
    job: OWNERS, |s, a| s.admin.job(a, s.job);
    job_children: OWNERS, |s, a| s.admin.job_children(a, s.job);
    job_logs: OWNERS, |s, a| s.admin.job_logs(a, s.job, 0, 100);
    job_log_part: OWNERS, |s, a| s.admin.job_log_part(a, s.job, 0, 100);
    cancel_job: OWNERS, |s, a| s.admin.cancel_job(a, s.job);
    retry_job: OWNERS, |s, a| s.admin.retry_job(a, s.ended_job);
    retry_failed: SIGNED_IN, |s, a| s.admin.retry_failed(a, JobFilter::default());
    after_evaluations: SIGNED_IN, |s, a| s.admin.after_evaluations(a);
    poll_all: SIGNED_IN, |s, a| s.admin.poll_all(a);
    events: OWNERS, |s, a| s.admin.events(a, None, EventFilter { job: Some(s.job), ..EventFilter::default() });
    activity: OPEN, |s, a| { let all = PageRequest::first(10); async move { s.admin.activity(a, &ActivityFilter::default(), &all).await } };
    system: ADMINISTRATORS, |s, a| s.admin.system(a);
    collect_garbage: ADMINISTRATORS, |s, a| s.admin.collect_garbage(a, true);
    scrub: ADMINISTRATORS, |s, a| s.admin.scrub(a);
    system_pause: OPEN, |s, a| s.admin.system_pause(a);
    pauses: OPEN, |s, a| s.admin.pauses(a);
    repository_pauses: READERS, |s, a| s.admin.repository_pauses(a, &s.web);
    pause: NAMESPACE, |s, a| { let dev = dev(); async move { s.admin.pause(a, &dev).await } };
    pause_queue: NAMESPACE, |s, a| { let (dev, all) = (dev(), PageRequest::first(10)); async move { s.admin.pause_queue(a, &dev, &all).await } };
    pause_plan: NAMESPACE, |s, a| { let dev = dev(); async move { s.admin.pause_plan(a, &dev).await } };
    plan_poll: OWNERS, |s, a| s.admin.plan_poll(a, &s.web, s.pull);
    resume: NAMESPACE, |s, a| { let dev = dev(); async move { s.admin.resume(a, &dev, Queued::Run).await } };
    delete_repository: OWNERS, |s, a| s.admin.delete_repository(a, &s.web);
};

#[tokio::test(flavor = "multi_thread")]
async fn every_use_case_allows_exactly_the_roles_that_it_should() {
    let registry = Registry::start().await;
    for (number, role) in ["nobody", "eve", "dev", "root"].into_iter().enumerate() {
        let scene = Scene::new().await;
        let stage = Stage::set(&scene, &registry).await;
        let actor = if role == "nobody" { Actor::Anonymous } else { scene.who(role).await };
        // Later use cases need what others delete, so deletions come last, and that of the repository at the very end.
        let deletes = |name: &str| name.starts_with("delete_");
        let (last, first): (Vec<_>, Vec<_>) = WALK.iter().partition(|(name, ..)| deletes(name));
        for (name, ends, attempt) in first.into_iter().chain(last) {
            assert_eq!(end(attempt(&stage, &actor).await), Ok(ends[number]), "{name} by {role}");
        }
    }
}

/// Starts or ends a session, or runs before there are any accounts.
const WITHOUT_ACTOR: [&str; 4] = ["sign_in", "sign_out", "ensure_first_admin", "tidy_authorities"];

#[test]
fn the_walk_covers_every_use_case() {
    let mut written = BTreeSet::new();
    let mut open = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let methods = source.lines().filter_map(|line| line.strip_prefix("    pub async fn "));
        written.extend(methods.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()));
    }
    let walked: BTreeSet<String> =
        WALK.iter().map(|(name, ..)| *name).chain(WITHOUT_ACTOR).map(str::to_owned).collect();
    let differences: Vec<_> = written.symmetric_difference(&walked).collect();
    assert!(differences.is_empty(), "only in the source or only in WALK: {differences:?}");
}

#[tokio::test]
async fn every_signed_in_user_may_connect_without_a_repository() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    let request = ConnectRequest {
        saved: None,
        remote: Some(robot_at(&registry.url)),
        remote_repository: "there/app".to_owned(),
        direction: Direction::Push,
    };
    let eve = scene.who("eve").await;
    let report = scene.admin.connect(&eve, None, &request).await.unwrap();
    assert!(report.usable && report.permissions.write, "{report:?}");
    let refused = scene.admin.connect(&Actor::Anonymous, None, &request).await.unwrap_err();
    assert_eq!(refused.code, Code::NotAuthenticated);
}

#[tokio::test]
async fn the_errors_for_a_missing_and_a_hidden_repository_are_the_same() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    let eve = scene.who("eve").await;
    let hidden = scene.admin.repository(&eve, &name("dev/web")).await.unwrap_err();
    let missing = scene.admin.repository(&eve, &name("dev/wob")).await.unwrap_err();
    assert_eq!(hidden.message.replace("web", "wob"), missing.message);
    assert_eq!(hidden.code, missing.code);
}
