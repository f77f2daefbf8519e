//! Jobs: cancellation, shutdown, crashes, lost leases, parents and children, schedules.

use crate::support::{ScriptedRegistry, World, world::author};
use axum::http::Method;
use jiff::SignedDuration;
use longshore_metadata::{jobs, pull_mirrors, work};
use longshore_model::job::orders;
use longshore_model::{
    BootId, JobId,
    job::{Cause, JobAction, Status},
    stored::PullMirror,
};
use longshore_policy::Rules;
use longshore_testkit::{
    Package, corpus,
    scripted::{any, on},
};
use std::time::{Duration, Instant};

/// A mirror that hangs in the middle of a layer.
pub(crate) async fn hanging(
    world: &World,
) -> (ScriptedRegistry, PullMirror, Package, longshore_oci::Digest, JobId) {
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 2, 200_000);
    registry.hold("their/app", Some("1.0"), &image);
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.gate(&layer);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    world.until(async || (registry.count(Method::GET, layer.as_str()) > 0).then_some(())).await;
    (registry, mirror, image, layer, job.id)
}

#[tokio::test]
async fn a_server_that_shuts_down_just_after_claiming_a_job_does_not_wait_for_it() {
    let mut world = World::still().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*").hang()]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await.id;
    for _ in 0..5 {
        world.start();
        world.until(async || (world.job(job).await.status == Status::Running).then_some(())).await;
        let began = Instant::now();
        world.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(world.job(job).await.status, Status::Waiting);
    }
}

#[tokio::test]
async fn cancelling_takes_effect_within_a_second_in_the_middle_of_a_blob() {
    let world = World::running().await;
    let (_registry, _, _, _, job) = hanging(&world).await;
    let began = Instant::now();
    let now = world.now();
    world.write(work!(|tx| jobs::cancel(tx, job, now).await.map(drop))).await;
    world.engine.cancel(job);
    assert_eq!(world.ended(job).await.status, Status::Canceled);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_cancellation_that_is_only_stored_takes_effect_too() {
    let world = World::running().await;
    let (_registry, _, _, _, job) = hanging(&world).await;
    let now = world.now();
    world.write(work!(|tx| jobs::cancel(tx, job, now).await.map(drop))).await;
    assert_eq!(world.ended(job).await.status, Status::Canceled);
}

#[tokio::test]
async fn a_job_that_runs_at_shutdown_is_resumed_after_the_next_start() {
    let mut world = World::running().await;
    let (registry, _, image, layer, job) = hanging(&world).await;
    world.stop().await;
    assert_eq!(world.job(job).await.status, Status::Waiting);
    registry.open(&layer);
    world.start();
    assert_eq!(world.ended(job).await.status, Status::Done);
    assert_eq!(registry.tag("their/app", "1.0"), Some(image.root));
}

#[tokio::test]
async fn semantics_25_a_killed_servers_job_is_resumed_and_stored_blobs_are_kept() {
    let world = World::running().await;
    let (registry, mirror, image, layer, job) = hanging(&world).await;
    let done: Vec<_> =
        image.blobs.iter().map(|(digest, _)| digest.clone()).filter(|digest| *digest != layer).collect();
    let here = world.repository_of(mirror.repository).await;
    world
        .until(async || {
            for digest in &done {
                world.content.stat_blob(&here, digest).await.unwrap()?;
            }
            Some(())
        })
        .await;
    let mut world = world.killed_and_opened_again().await;
    assert_eq!(world.job(job).await.status, Status::Running, "the lease was not released");
    registry.open(&layer);
    registry.forget_requests();
    world.start();
    assert_eq!(world.ended(job).await.status, Status::Done);
    assert!(world.has(&here, &image).await);
    for digest in &done {
        assert_eq!(registry.count(Method::GET, digest.as_str()), 0, "stored blobs are not fetched again");
    }
}

#[tokio::test]
async fn semantics_25_a_worker_that_lost_its_lease_commits_nothing() {
    let mut world = World::running().await;
    let (registry, mirror, _, layer, job) = hanging(&world).await;
    // The lease expires and another server claims the job, as happens while this one is suspended.
    let later = world.now() + SignedDuration::from_mins(5);
    let other = BootId::new();
    let taken = world
        .write(work!(|tx| {
            jobs::release_expired(tx, later).await?;
            let (action, lease) = (JobAction::PollMirror, SignedDuration::from_mins(10));
            let lanes = jobs::lanes(tx, action, later).await?;
            jobs::claim_lane(tx, action, &lanes[0], other, "other", later, lease).await
        }))
        .await;
    assert!(taken.is_some());
    registry.open(&layer);
    world.until(async || (registry.count(Method::GET, layer.as_str()) > 0).then_some(())).await;
    // The old worker can neither set a tag nor end the job any more.
    let here = world.repository_of(mirror.repository).await;
    world.stop().await;
    assert!(world.tag(&here, "1.0").await.is_none());
    let job = world.job(job).await;
    assert_eq!((job.status, job.worker.as_deref()), (Status::Running, Some("other")));
}

#[tokio::test]
async fn semantics_19_a_parent_ends_after_its_children_and_fails_if_one_of_them_does() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    let here = world.repository("dev/app").await;
    let other = world.repository("dev/other").await;
    let good = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let bad = world.pull_mirror(&other, &registry, "their/missing", |_| {}).await;
    registry.script([on(Method::GET, "*missing/tags/list").times(9).status(404)]);
    for (mirrors, expected) in [(vec![&good], Status::Done), (vec![&good, &bad], Status::Errored)] {
        let now = world.now();
        let mirrors: Vec<PullMirror> = mirrors.into_iter().cloned().collect();
        let parent = world
            .write(work!(|tx| {
                let parent = jobs::enqueue_and_read(tx, orders::poll_all(author(), now), now).await?;
                for mirror in &mirrors {
                    let cause = Cause::Asked { author: author() };
                    let child = orders::poll(mirror, cause, Some(parent.id), now);
                    jobs::enqueue(tx, child, now).await?;
                }
                tx.announce(longshore_metadata::Change::JobsWaiting(None));
                Ok(parent)
            }))
            .await;
        assert_eq!(world.ended(parent.id).await.status, expected);
    }
}

#[tokio::test]
async fn a_pull_mirror_is_polled_when_it_is_due_and_then_again_after_its_interval() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    let here = world.repository("dev/app").await;
    let now = world.now();
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.next_run_at = now).await;
    world.until(async || world.tag(&here, "1.0").await).await;
    world.settled().await;
    let stored =
        pull_mirrors::get(&mut world.db.read().await.unwrap(), mirror.common.id).await.unwrap().unwrap();
    assert!(stored.next_run_at >= now + SignedDuration::from_hours(1));
    let polls = world.jobs().await.into_iter().filter(|job| job.action == JobAction::PollMirror).count();
    assert_eq!(polls, 1);
}

#[tokio::test]
async fn a_job_whose_repository_was_deleted_ends_with_a_reason() {
    let mut world = World::still().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let here = world.repository("dev/mirrored").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    let poll = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    for repository in [dev.id, here.id] {
        let now = world.now();
        world
            .write(work!(|tx| longshore_metadata::repositories::delete(
                tx,
                repository,
                &longshore_model::Author::System,
                now,
            )
            .await))
            .await;
    }
    world.start();
    world.settled().await;
    let evaluation = world.jobs().await.into_iter().find(|job| job.action == JobAction::Evaluate).unwrap();
    assert_eq!(evaluation.status, Status::Superseded);
    assert!(world.job(poll.id).await.status.is_final());
}
