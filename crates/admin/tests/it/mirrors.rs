//! Push and pull mirrors.

use crate::registry::Registry;
use crate::scene::{APPLY, SAVE, Scene, name, pull_mirror_over, push_mirror_over, robot_at, typed};
use jiff::SignedDuration;
use longshore_model::connect::{ConnectRequest, Direction};
use longshore_model::job::{JobAction, JobFilter, Parameters, Status};
use longshore_model::policy::{Baseline, Mirror, PullMirrorDraft, PushMirrorDraft};
use longshore_model::remote::RemoteDraft;
use longshore_model::repository::RepositoryChange;
use longshore_model::{Clock, Code, PageRequest, RepositoryState, Total, Version, Visibility};

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    scene
}

#[tokio::test]
async fn semantics_27_saving_makes_the_same_checks_as_connect() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let wrong = RemoteDraft { secret: Some("wrong".to_owned()), ..robot_at(&registry.url) };
    let push = push_mirror_over(typed(wrong.clone()));
    let problem = scene.admin.create_push_mirror(&dev, &web, push, SAVE).await.unwrap_err();
    assert_eq!(problem.code, Code::RemoteRegistryInvalidPermissions);
    assert!(problem.about("password").is_some(), "{problem:?}");
    let pull = pull_mirror_over(typed(wrong));
    let problem = scene.admin.create_pull_mirror(&dev, &web, pull, SAVE).await.unwrap_err();
    assert_eq!(problem.code, Code::RemoteRegistryInvalidPermissions);
    let page = PageRequest::first(10);
    assert_eq!(
        scene.admin.remotes(&dev, None, &page).await.unwrap().total,
        0,
        "a rejected mirror leaves nothing behind"
    );
    assert!(scene.admin.mirrors(&dev, &web).await.unwrap().is_empty());

    let right = push_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_push_mirror(&dev, &web, right, SAVE).await.unwrap();
    // A changed password is tested as well, and the stored one is kept if the test fails.
    let rotated = RemoteDraft { secret: Some("wrong".to_owned()), ..robot_at(&registry.url) };
    let rotated = push_mirror_over(typed(rotated));
    let problem = scene
        .admin
        .change_push_mirror(&dev, &web, mirror.common.id, mirror.common.version, rotated, SAVE)
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::RemoteRegistryInvalidPermissions);
    assert!(scene.admin.test_remote(&dev, mirror.remote).await.unwrap().usable);
}

#[tokio::test]
async fn semantics_27_a_metadata_address_is_rejected() {
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let request = ConnectRequest {
        saved: None,
        remote: Some(RemoteDraft { url: "http://169.254.169.254".to_owned(), ..RemoteDraft::default() }),
        remote_repository: "latest/meta-data".to_owned(),
        direction: Direction::Pull,
    };
    let report = scene.admin.connect(&dev, Some(&web), &request).await.unwrap();
    assert!(!report.usable);
    assert!(report.checks[0].message.contains("metadata service"), "{report:?}");
}

#[tokio::test]
async fn every_mistake_in_a_mirror_is_reported_at_once_at_its_field() {
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let remote = RemoteDraft { url: "ftp://host".to_owned(), ..robot_at("") };
    let push = PushMirrorDraft {
        remote_repository: "Upper".to_owned(),
        rules: Vec::new(),
        template: "%q".to_owned(),
        ..push_mirror_over(typed(remote.clone()))
    };
    let problem = scene.admin.create_push_mirror(&dev, &web, push, SAVE).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidPushMirroringPolicy);
    for field in ["remoteHost", "remoteRepository", "rules", "tagTemplate"] {
        assert!(problem.about(field).is_some(), "{field}: {problem:?}");
    }
    let pull =
        PullMirrorDraft { patterns: "[".to_owned(), interval_seconds: 1, ..pull_mirror_over(typed(remote)) };
    let problem = scene.admin.create_pull_mirror(&dev, &web, pull, SAVE).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidPollMirroringPolicy);
    for field in ["remoteHost", "patterns", "interval"] {
        assert!(problem.about(field).is_some(), "{field}: {problem:?}");
    }
}

#[tokio::test]
async fn semantics_03_save_records_a_baseline_and_save_and_apply_does_not() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let draft = || pull_mirror_over(typed(robot_at(&registry.url)));
    let saved = scene.admin.create_pull_mirror(&dev, &web, draft(), SAVE).await.unwrap();
    assert_eq!(saved.baseline, Baseline::Pending);
    assert_eq!(saved.next_run_at, scene.clock.now() + SignedDuration::from_mins(30));
    let filter = JobFilter { action: Some(JobAction::PollMirror), ..JobFilter::default() };
    let polls = scene.admin.jobs(&dev, &filter, &PageRequest::first(10)).await.unwrap();
    assert_eq!((polls.total, polls.items[0].policy), (Total::Exactly(1), Some(saved.common.id)));

    let applied = scene
        .admin
        .change_pull_mirror(&dev, &web, saved.common.id, saved.common.version, draft(), APPLY)
        .await
        .unwrap();
    assert_eq!((applied.baseline, applied.common.version), (Baseline::None, Version(2)));
    let fewer = PullMirrorDraft { patterns: "1.*".to_owned(), ..draft() };
    let fewer = scene
        .admin
        .change_pull_mirror(&dev, &web, saved.common.id, applied.common.version, fewer, SAVE)
        .await
        .unwrap();
    assert_eq!((fewer.baseline, fewer.common.version), (Baseline::Pending, Version(3)));
    // Tags that the patterns matched before are mirrored as before; newly matched ones are recorded first.
    assert_eq!(fewer.known_patterns.as_deref(), Some(applied.patterns.as_str()));
}

#[tokio::test]
async fn semantics_18_the_form_decides_whether_only_the_mirror_may_write() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let state = async || scene.admin.repository(&dev, &web).await.unwrap().repository.state;
    let exclusive =
        PullMirrorDraft { exclusive: Some(true), ..pull_mirror_over(typed(robot_at(&registry.url))) };
    let mirror = scene.admin.create_pull_mirror(&dev, &web, exclusive.clone(), SAVE).await.unwrap();
    assert_eq!(state().await, RepositoryState::Mirror);
    let shared = PullMirrorDraft { exclusive: Some(false), ..exclusive };
    scene
        .admin
        .change_pull_mirror(&dev, &web, mirror.common.id, mirror.common.version, shared.clone(), SAVE)
        .await
        .unwrap();
    assert_eq!(state().await, RepositoryState::Normal);

    let locked = RepositoryChange { state: Some(RepositoryState::ReadOnly), ..RepositoryChange::default() };
    scene.admin.change_repository(&dev, &web, locked).await.unwrap();
    let as_is = PullMirrorDraft { exclusive: None, ..shared };
    let problem = scene.admin.create_pull_mirror(&dev, &web, as_is, SAVE).await.unwrap_err();
    assert!(problem.about("exclusive").is_some(), "{problem:?}");
}

#[tokio::test]
async fn a_rule_can_be_changed_while_the_registry_is_down() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let draft = push_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_push_mirror(&dev, &web, draft, SAVE).await.unwrap();
    let url = registry.url.clone();
    drop(registry);
    let unchanged = RemoteDraft { secret: None, ..robot_at(&url) };
    let draft = PushMirrorDraft { template: "%n-x".to_owned(), ..push_mirror_over(typed(unchanged)) };
    let changed = scene
        .admin
        .change_push_mirror(&dev, &web, mirror.common.id, mirror.common.version, draft, SAVE)
        .await
        .unwrap();
    assert_eq!(
        (changed.template.as_str(), changed.common.version, changed.remote),
        ("%n-x", Version(2), mirror.remote)
    );
}

#[tokio::test]
async fn the_tags_of_the_other_registry_can_be_previewed() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let request = ConnectRequest {
        saved: None,
        remote: Some(robot_at(&registry.url)),
        remote_repository: "there/app".to_owned(),
        direction: Direction::Pull,
    };
    let found = scene.admin.remote_tags(&dev, &name("dev/web"), &request).await.unwrap();
    assert_eq!(found.tags.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.0", "2.0"]);
    assert!(found.complete);
}

#[tokio::test]
async fn semantics_19_polling_all_polls_the_mirrors_that_the_actor_administers_and_adopts_queued_polls() {
    let registry = Registry::start().await;
    let scene = scene().await;
    scene.repository("qa/web", Visibility::Private).await;
    let (dev, qa, root) = (scene.who("dev").await, scene.who("qa").await, scene.who("root").await);
    let draft = || pull_mirror_over(typed(robot_at(&registry.url)));
    let own = scene.admin.create_pull_mirror(&dev, &name("dev/web"), draft(), SAVE).await.unwrap();
    let others = scene.admin.create_pull_mirror(&qa, &name("qa/web"), draft(), SAVE).await.unwrap();
    let disabled = scene.admin.create_pull_mirror(&dev, &name("dev/web"), draft(), SAVE).await.unwrap();
    scene.admin.enable_mirror(&dev, &name("dev/web"), disabled.common.id, None, false).await.unwrap();

    let parent = scene.admin.poll_all(&dev).await.unwrap();
    assert_eq!((parent.action, &parent.parameters), (JobAction::PollMirror, &Parameters::PollAll));
    let children = scene.admin.job_children(&dev, parent.id).await.unwrap();
    let policies: Vec<_> = children.iter().filter_map(|job| job.policy).collect();
    assert_eq!(policies, [own.common.id], "neither qa's nor the disabled one");
    // The job has been queued since the mirror was saved.
    let filter = JobFilter { policy: Some(own.common.id), ..JobFilter::default() };
    assert_eq!(scene.admin.jobs(&dev, &filter, &PageRequest::first(10)).await.unwrap().total, 1);

    // It is about no repository, so only the user who started it and administrators see it.
    for (who, sees) in [(&dev, true), (&root, true), (&qa, false)] {
        let listed = scene.admin.jobs(who, &JobFilter::default(), &PageRequest::first(100)).await.unwrap();
        assert_eq!(listed.items.iter().any(|job| job.id == parent.id), sees, "{who:?}");
    }

    let parent = scene.admin.poll_all(&root).await.unwrap();
    let children = scene.admin.job_children(&root, parent.id).await.unwrap();
    assert!(children.iter().any(|job| job.policy == Some(others.common.id)));
    assert!(scene.admin.job(&dev, parent.id).await.is_err(), "started by another user");
    let canceled = scene.admin.cancel_job(&root, parent.id).await.unwrap();
    assert_eq!(canceled.status, Status::Canceled);
}

#[tokio::test]
async fn repeated_polls_and_retries_cannot_fill_the_queue() {
    let scene = scene().await;
    let (dev, root) = (scene.who("dev").await, scene.who("root").await);
    let mut asked = Vec::new();
    let refused = loop {
        match scene.admin.poll_all(&dev).await {
            Ok(parent) => asked.push(parent.id),
            Err(problem) => break problem,
        }
    };
    assert_eq!((refused.code, asked.len()), (Code::LimitReached, 16), "{refused:?}");
    scene.admin.poll_all(&root).await.expect("the limit of dev does not concern other users");
    let canceled = scene.admin.cancel_job(&dev, asked[0]).await.unwrap();
    assert_eq!(canceled.status, Status::Canceled);
    scene.admin.poll_all(&dev).await.expect("one of dev's polls has ended");
}

#[tokio::test]
async fn retrying_a_job_twice_creates_one_job() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &web, draft, SAVE).await.unwrap();
    let job = scene.admin.sync_now(&dev, &web, mirror.common.id).await.unwrap();
    scene.admin.cancel_job(&dev, job.id).await.unwrap();
    let again = scene.admin.retry_job(&dev, job.id).await.unwrap();
    assert_eq!(again.retry_of, Some(job.id));
    assert_eq!(scene.admin.retry_job(&dev, job.id).await.unwrap().id, again.id);
}

#[tokio::test]
async fn sync_now_returns_a_queued_poll_and_rejects_a_disabled_mirror() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &web, draft, SAVE).await.unwrap();
    let id = mirror.common.id;
    let first = scene.admin.sync_now(&dev, &web, id).await.unwrap();
    assert_eq!(scene.admin.sync_now(&dev, &web, id).await.unwrap().id, first.id);
    let Mirror::Pull { mirror } = scene.admin.enable_mirror(&dev, &web, id, None, false).await.unwrap()
    else {
        panic!("it is a pull mirror")
    };
    assert!(!mirror.common.enabled);
    assert_eq!(scene.admin.sync_now(&dev, &web, id).await.unwrap_err().code, Code::InvalidJob);
}
