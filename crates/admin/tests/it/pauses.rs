//! Pausing and resuming: who may do it, and who may see it (semantics 17, 29).

use crate::registry::Registry;
use crate::scene::{SAVE, Scene, name, pull_mirror_over, push_mirror_over, robot_at, tag, typed};
use futures::future::join_all;
use longshore_model::activity::{ActivityFilter, ActivityKind};
use longshore_model::job::{JobAction, JobFilter};
use longshore_model::pause::{PausePlan, PolicyPlan};
use longshore_model::policy::{PushMirrorDraft, RemoteChoice};
use longshore_model::{
    Actor, Code, PageRequest, PauseScope, Problem, Queued, RemoteId, Timestamp, Total, Visibility,
};
use std::time::Duration;

fn of(namespace: &str) -> PauseScope {
    PauseScope::Namespace(namespace.parse().unwrap())
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}

#[tokio::test]
async fn semantics_29_only_administrators_pause_the_system_and_everyone_sees_the_pause() {
    let scene = Scene::new().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    assert_eq!(scene.admin.system_pause(&Actor::Anonymous).await, Ok(None));
    assert_eq!(code(scene.admin.pause(&dev, &PauseScope::System).await), Code::NotAuthorized);
    let (pause, begun) = scene.admin.pause(&root, &PauseScope::System).await.unwrap();
    assert!(begun && pause.held == Some(0));
    assert!(!scene.admin.pause(&root, &PauseScope::System).await.unwrap().1);

    for actor in [&Actor::Anonymous, &dev] {
        let seen = scene.admin.pauses(actor).await.unwrap();
        assert_eq!((seen[0].pause.clone(), seen[0].held), (pause.pause.clone(), None));
    }
    let queue = scene.admin.pause_queue(&dev, &PauseScope::System, &PageRequest::first(10)).await;
    assert_eq!(code(queue), Code::NotAuthorized);
    assert_eq!(code(scene.admin.resume(&dev, &PauseScope::System, Queued::Run).await), Code::NotAuthorized);
    scene.admin.resume(&root, &PauseScope::System, Queued::Run).await.unwrap();
    assert_eq!(code(scene.admin.resume(&root, &PauseScope::System, Queued::Run).await), Code::NoSuchPause);
    let (all, page) = (ActivityFilter::default(), PageRequest::first(10));
    let told = scene.admin.activity(&root, &all, &page).await.unwrap();
    let told: Vec<_> = told.items.iter().take(2).map(|entry| entry.kind).collect();
    assert_eq!(told, [ActivityKind::Resumed, ActivityKind::Paused]);
}

#[tokio::test]
async fn semantics_29_the_owner_pauses_a_namespace_and_readers_of_its_repositories_see_the_pause() {
    let scene = Scene::new().await;
    let (dev, eve) = (scene.who("dev").await, scene.who("eve").await);
    scene.repository("dev/web", Visibility::Public).await;
    assert_eq!(code(scene.admin.pause(&eve, &of("dev")).await), Code::NotAuthorized);
    assert_eq!(code(scene.admin.pause(&scene.who("root").await, &of("nowhere")).await), Code::NoSuchAccount);
    scene.admin.pause(&dev, &of("dev")).await.unwrap();
    assert_eq!(scene.admin.pauses(&eve).await.unwrap(), []);
    let seen = scene.admin.repository_pauses(&eve, &name("dev/web")).await.unwrap();
    assert_eq!(seen.all.len(), 1);
    assert_eq!(seen.all[0].subject(), "the namespace dev");

    scene.push("dev/web", "1.0").await;
    let queue = scene.admin.pause_queue(&dev, &of("dev"), &PageRequest::first(10)).await.unwrap().unwrap();
    assert_eq!((queue.held.total, queue.jobs.items[0].action), (1, JobAction::Evaluate));
    assert!(queue.jobs.items[0].job.is_some());
    let jobs = scene.admin.jobs(&dev, &JobFilter::default(), &PageRequest::first(10)).await.unwrap();
    assert_eq!(jobs.items[0].held_by.as_ref().map(|pause| &pause.scope), Some(&of("dev")));
}

#[tokio::test]
async fn semantics_29_a_paused_remote_is_shown_to_its_users_and_to_administrators_of_repositories_that_use_it()
 {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    let (root, dev, qa) = (scene.who("root").await, scene.who("dev").await, scene.who("qa").await);
    scene.repository("dev/web", Visibility::Public).await;
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &name("dev/web"), draft, SAVE).await.unwrap();
    let scope = PauseScope::Remote(mirror.remote);
    assert_eq!(code(scene.admin.pause(&qa, &scope).await), Code::NoSuchRemote);
    assert_eq!(code(scene.admin.pause(&dev, &PauseScope::Remote(RemoteId::new())).await), Code::NoSuchRemote);
    scene.admin.pause(&dev, &scope).await.unwrap();
    assert_eq!(scene.admin.pauses(&qa).await.unwrap(), []);
    for actor in [&dev, &root] {
        let seen = scene.admin.pauses(actor).await.unwrap();
        assert!(seen[0].remote_name.is_some(), "{seen:?}");
        assert_eq!(
            scene.admin.repository_pauses(actor, &name("dev/web")).await.unwrap().remotes,
            seen.into_iter()
                .map(|view| longshore_model::pause::PauseView { held: None, ..view })
                .collect::<Vec<_>>()
        );
    }
    // Readers do not see which remotes a repository uses.
    let seen = scene.admin.repository_pauses(&qa, &name("dev/web")).await.unwrap();
    assert_eq!(seen, Default::default());
}

#[tokio::test]
async fn semantics_17_a_queue_does_not_name_repositories_that_its_reader_may_not_see() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    let (root, qa) = (scene.who("root").await, scene.who("qa").await);
    scene.repository("dev/secret", Visibility::Private).await;
    scene.push("dev/secret", "1.0").await;
    // An administrator uses the remote of one namespace for a repository of another.
    let remote = scene.admin.create_remote(&qa, robot_at(&registry.url)).await.unwrap();
    scene.admin.pause(&qa, &PauseScope::Remote(remote.id)).await.unwrap();
    let choice = RemoteChoice::Saved { id: remote.id };
    let pushed =
        scene.admin.push_tag(&root, &name("dev/secret"), &tag("1.0"), choice, "there/app", "x").await;
    let pushed = pushed.unwrap();
    assert!(pushed.held_by.is_some());
    let page = PageRequest::first(10);
    let seen = scene.admin.pause_queue(&qa, &PauseScope::Remote(remote.id), &page).await.unwrap().unwrap();
    assert_eq!((seen.jobs.total, seen.jobs.items[0].action), (Total::Exactly(1), JobAction::PushMirrorTag));
    assert_eq!(seen.jobs.items[0].job, None);
    assert!(seen.jobs.items[0].since > Timestamp::UNIX_EPOCH);
    let all = scene.admin.pause_queue(&root, &PauseScope::Remote(remote.id), &page).await.unwrap().unwrap();
    assert_eq!(all.jobs.items[0].job.as_ref().map(|job| job.id), Some(pushed.id));
}

#[tokio::test]
async fn deleting_a_paused_remote_leaves_no_job_waiting_for_ever() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    let dev = scene.who("dev").await;
    scene.repository("dev/web", Visibility::Private).await;
    scene.push("dev/web", "1.0").await;
    let remote = scene.admin.create_remote(&dev, robot_at(&registry.url)).await.unwrap();
    scene.admin.pause(&dev, &PauseScope::Remote(remote.id)).await.unwrap();
    let choice = RemoteChoice::Saved { id: remote.id };
    let pushed = scene.admin.push_tag(&dev, &name("dev/web"), &tag("1.0"), choice, "there/app", "x").await;
    let pushed = pushed.unwrap();
    scene.admin.delete_remote(&dev, remote.id).await.unwrap();
    assert_eq!(scene.admin.pauses(&dev).await.unwrap(), []);
    assert_eq!(scene.admin.job(&dev, pushed.id).await.unwrap().held_by, None);
}

#[tokio::test]
async fn semantics_34_a_plan_shows_what_a_mirror_still_pushes_after_its_destination_changed() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    let dev = scene.who("dev").await;
    scene.repository("dev/web", Visibility::Private).await;
    let draft = push_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_push_mirror(&dev, &name("dev/web"), draft, SAVE).await.unwrap();
    let scope = PauseScope::Remote(mirror.remote);
    scene.admin.pause(&dev, &scope).await.unwrap();
    scene.start_engine();
    let planned = async |copies: u64| {
        let plan = || scene.admin.pause_plan(&dev, &scope);
        let all = |plan: &PausePlan| plan.policies.iter().map(|policy| policy.total).sum::<u64>() == copies;
        let plan = scene.until("the plan has every copy", plan, |plan| plan.as_ref().is_some_and(all)).await;
        let steps = |policy: &PolicyPlan| policy.steps.iter().map(|step| step.tag.to_string()).collect();
        plan.unwrap().policies.iter().map(|policy| (policy.place.clone(), steps(policy))).collect::<Vec<_>>()
    };
    let place = |repository: &str| format!("{}/{repository}", mirror.remote_host);
    scene.push("dev/web", "1-stable").await;
    assert_eq!(planned(1).await, [(place("there/app"), vec!["1-stable".to_owned()])]);

    let remote = RemoteChoice::Saved { id: mirror.remote };
    let moved = PushMirrorDraft { remote_repository: "there/new".to_owned(), ..push_mirror_over(remote) };
    scene
        .admin
        .change_push_mirror(&dev, &name("dev/web"), mirror.common.id, mirror.common.version, moved, SAVE)
        .await
        .unwrap();
    scene.push("dev/web", "2-stable").await;
    assert_eq!(planned(1).await, [(place("there/new"), vec!["2-stable".to_owned()])]);
}

#[tokio::test]
async fn many_concurrent_readers_of_a_queue_do_not_exhaust_the_connections() {
    let scene = Scene::new().await;
    let dev = scene.who("dev").await;
    scene.repository("dev/web", Visibility::Public).await;
    scene.admin.pause(&dev, &of("dev")).await.unwrap();
    scene.push("dev/web", "1.0").await;
    let (scope, page) = (of("dev"), PageRequest::first(10));
    let looking = (0..16).map(|_| async {
        scene.admin.pause_queue(&dev, &scope, &page).await.unwrap();
        scene.admin.pause_plan(&dev, &scope).await.unwrap();
    });
    // One connection each: if a reader needed a second one, the readers would deadlock.
    tokio::time::timeout(Duration::from_secs(20), join_all(looking)).await.unwrap();
}
