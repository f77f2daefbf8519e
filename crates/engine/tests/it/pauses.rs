//! Pauses: events are queued during a pause, and a person decides what to do with them on resume (semantics 29).

use crate::jobs::hanging;
use crate::support::{ScriptedRegistry, World, world::author};
use axum::http::Method;
use jiff::SignedDuration;
use longshore_engine::PromoteNow;
use longshore_metadata::{jobs, pauses, pull_mirrors, work};
use longshore_model::job::orders;
use longshore_model::{
    PauseReason, PauseScope, Queued,
    job::{Cause, Job, JobAction, Status},
    pause::Resumed,
};
use longshore_policy::Rules;
use longshore_testkit::corpus;

async fn pause(world: &World, scope: PauseScope) {
    let now = world.now();
    let begun = world.write(work!(|tx| pauses::begin(tx, &scope, PauseReason::Asked, &author(), now).await));
    assert!(begun.await.1);
}

async fn resume(world: &World, scope: PauseScope, queued: Queued) -> Resumed {
    let now = world.now();
    let ended = world.write(work!(|tx| pauses::end(tx, &scope, queued, &author(), now).await));
    ended.await.unwrap()
}

fn of(namespace: &str) -> PauseScope {
    PauseScope::Namespace(namespace.parse().unwrap())
}

/// Waits until the workers have looked for transfers after everything now in the queue.
async fn transfers_looked(world: &World) {
    let marker = world.enqueue(orders::scrub(Cause::Schedule, world.now())).await;
    world.ended(marker.id).await;
}

/// Waits until the workers have looked for evaluations after everything now in the queue.
async fn evaluations_looked(world: &World) {
    let elsewhere = world.repository("crew/app").await;
    world.push(&elsewhere, "1", &corpus::image(99, 1, 100)).await;
    let evaluated = |job: &Job| job.repository == Some(elsewhere.id) && job.status.is_final();
    world.until(async || world.jobs().await.into_iter().find(evaluated)).await;
}

async fn held(world: &World) -> Vec<Job> {
    world.jobs().await.into_iter().filter(|job| job.held_by.is_some()).collect()
}

#[tokio::test]
async fn semantics_29_an_event_during_a_pause_queues_and_runs_on_resume() {
    let world = World::running().await;
    let (dev, qa) = (world.repository("dev/app").await, world.repository("qa/app").await);
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    pause(&world, of("dev")).await;
    let pushed = world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    evaluations_looked(&world).await;
    assert!(world.tag(&qa, "1.0").await.is_none());
    assert_eq!(held(&world).await.len(), 1);
    assert_eq!(resume(&world, of("dev"), Queued::Run).await.freed, 1);
    let promoted = world.until(async || world.tag(&qa, "1.0").await).await;
    assert_eq!(promoted.digest, pushed.digest);
}

#[tokio::test]
async fn semantics_36_resuming_with_run_evaluates_every_revision_and_with_newest_only_the_last() {
    let world = World::running().await;
    for (namespace, queued, expected) in [("dev", Queued::Run, 3), ("ops", Queued::Newest, 1)] {
        let from = world.repository(&format!("{namespace}/app")).await;
        let to = world.repository(&format!("qa/{namespace}")).await;
        world.promotion(&from, &to, Rules::EveryTag, "%n-%H%M%S%f").await;
        pause(&world, of(namespace)).await;
        for seed in 1..=3 {
            world.push(&from, "v", &corpus::image(seed, 1, 100)).await;
        }
        resume(&world, of(namespace), queued).await;
        world.settled().await;
        assert_eq!(world.tags(&to).await.len(), expected);
        assert!(world.has(&to, &corpus::image(3, 1, 100)).await);
    }
}

#[tokio::test]
async fn semantics_29_a_dropped_event_is_not_promoted_until_the_tag_is_pushed_again() {
    let world = World::running().await;
    let (dev, qa) = (world.repository("dev/app").await, world.repository("qa/app").await);
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    pause(&world, PauseScope::System).await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    assert_eq!(resume(&world, PauseScope::System, Queued::Drop).await.dropped, 1);
    world.settled().await;
    assert!(world.tag(&qa, "1.0").await.is_none());
    world.push(&dev, "1.0", &image).await;
    world.until(async || world.tag(&qa, "1.0").await).await;
}

#[tokio::test]
async fn semantics_29_resuming_with_newest_pushes_only_the_newest_of_each_tag() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let remote = PauseScope::Remote(mirror.remote);
    pause(&world, remote.clone()).await;
    for (seed, waiting) in [(1, 1), (2, 2), (3, 3)] {
        world.push(&dev, "latest", &corpus::image(seed, 1, 100)).await;
        // Each is evaluated before the next push, since evaluations continue while a remote is paused.
        world.until(async || (held(&world).await.len() == waiting).then_some(())).await;
    }
    let other = world.push(&dev, "other", &corpus::image(9, 1, 100)).await;
    world.until(async || (held(&world).await.len() == 4).then_some(())).await;
    assert!(registry.requests().is_empty(), "{:?}", registry.requests());
    let resumed = resume(&world, remote, Queued::Newest).await;
    assert_eq!(resumed, Resumed { freed: 2, dropped: 2, still_held: 0 });
    world.settled().await;
    let latest = world.tag(&dev, "latest").await.unwrap();
    assert_eq!(registry.tag("their/app", "latest"), Some(latest.digest));
    assert_eq!(registry.tag("their/app", "other"), Some(other.digest));
    assert_eq!(registry.count(Method::PUT, "manifests/latest"), 1);
}

#[tokio::test]
async fn semantics_29_a_dropped_copy_is_made_by_the_next_push_of_the_same_image() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let remote = PauseScope::Remote(mirror.remote);
    pause(&world, remote.clone()).await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    world.until(async || (held(&world).await.len() == 1).then_some(())).await;
    resume(&world, remote, Queued::Drop).await;
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(registry.tag("their/app", "1.0"), Some(image.root));
}

#[tokio::test]
async fn semantics_29_a_pause_stops_a_transfer_in_the_middle_of_a_blob_and_it_is_resumed_afterwards() {
    let world = World::running().await;
    let (registry, mirror, image, layer, job) = hanging(&world).await;
    let here = world.repository_of(mirror.repository).await;

    pause(&world, PauseScope::System).await;
    let stopped = world.job(job).await;
    assert_eq!((stopped.status, stopped.held_by.is_some()), (Status::Waiting, true));
    // Even if the registry answers now, no worker receives the response.
    registry.open(&layer);
    transfers_looked(&world).await;
    assert!(world.tag(&here, "1.0").await.is_none());
    assert!(world.log(job).await.contains("everything was paused"), "{}", world.log(job).await);

    resume(&world, PauseScope::System, Queued::Run).await;
    assert_eq!(world.ended(job).await.status, Status::Done);
    assert!(world.has(&here, &image).await);
}

#[tokio::test]
async fn semantics_29_a_paused_remote_holds_pushes_but_not_promotions() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (dev, qa) = (world.repository("dev/app").await, world.repository("qa/app").await);
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    pause(&world, PauseScope::Remote(mirror.remote)).await;
    world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    world.until(async || world.tag(&qa, "1.0").await).await;
    transfers_looked(&world).await;
    let held = held(&world).await;
    assert_eq!(held.iter().map(|job| job.action).collect::<Vec<_>>(), [JobAction::PushMirrorTag]);
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn semantics_29_a_person_may_still_promote_manually() {
    let world = World::running().await;
    let (dev, qa) = (world.repository("dev/app").await, world.repository("qa/app").await);
    pause(&world, PauseScope::System).await;
    let pushed = world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    let order = PromoteNow {
        source: dev,
        tag: "1.0".parse().unwrap(),
        target: qa.clone(),
        target_tag: "1.0".parse().unwrap(),
        author: author(),
    };
    world.engine.promote_now(order).await.unwrap();
    assert_eq!(world.tag(&qa, "1.0").await.unwrap().digest, pushed.digest);
}

#[tokio::test]
async fn semantics_29_a_paused_mirror_that_is_due_queues_one_poll() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    let here = world.repository("dev/app").await;
    let now = world.now();
    pause(&world, of("dev")).await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.next_run_at = now).await;
    world.until(async || (!held(&world).await.is_empty()).then_some(())).await;
    let stored =
        pull_mirrors::get(&mut world.db.read().await.unwrap(), mirror.common.id).await.unwrap().unwrap();
    let mut conn = world.db.read().await.unwrap();
    let active = jobs::active_for_policy(&mut conn, mirror.common.id, JobAction::PollMirror).await.unwrap();
    drop(conn);
    assert!(stored.next_run_at > now && active.is_some());
    assert!(registry.requests().is_empty());
    resume(&world, of("dev"), Queued::Newest).await;
    world.until(async || world.tag(&here, "1.0").await).await;
    assert_eq!(world.jobs().await.iter().filter(|job| job.action == JobAction::PollMirror).count(), 1);
}

#[tokio::test]
async fn semantics_29_a_scheduled_collection_collects_nothing_while_the_system_is_paused() {
    let world = World::running().await;
    pause(&world, PauseScope::System).await;
    for (cause, collected) in [(Cause::Schedule, false), (Cause::Asked { author: author() }, true)] {
        let job = world.enqueue(orders::collect_garbage(false, cause, world.now())).await;
        let outcome = world.ended(job.id).await.outcome.unwrap();
        assert_eq!(!outcome.contains("everything is paused"), collected, "{outcome}");
    }
}

#[tokio::test]
async fn semantics_29_a_collection_from_a_restored_backup_collects_nothing_whoever_started_it() {
    let mut world = World::running().await;
    world.stop().await;
    let now = world.now();
    let asked = orders::collect_garbage(false, Cause::Asked { author: author() }, now);
    let job = world.enqueue(asked).await;
    let begun = world.write(work!(|tx| {
        let later = now + SignedDuration::from_hours(240);
        pauses::begin(tx, &PauseScope::System, PauseReason::Restored, &author(), later).await
    }));
    assert!(begun.await.1);
    world.start();
    let outcome = world.ended(job.id).await.outcome.unwrap();
    assert!(outcome.contains("everything is paused"), "{outcome}");
}
