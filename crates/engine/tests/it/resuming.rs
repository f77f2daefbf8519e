//! Jobs that need many attempts: each attempt resumes where the last one stopped.

use crate::support::{Ahead, ScriptedRegistry, World};
use axum::http::Method;
use jiff::SignedDuration;
use longshore_metadata::{jobs, work};
use longshore_model::job::orders;
use longshore_model::{
    JobId,
    job::{Cause, Job, Status},
    stored::PullMirror,
};
use longshore_testkit::{
    corpus,
    scripted::{Rule, any, on, reply},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

async fn world() -> (World, Arc<Ahead>) {
    let clock = Arc::new(Ahead::default());
    let mut world = World::still_at(clock.clone()).await;
    world.start();
    (world, clock)
}

async fn poll(world: &World, mirror: &PullMirror) -> JobId {
    world.enqueue(orders::poll(mirror, Cause::Schedule, None, world.now())).await.id
}

/// Waits until the job has had more than `before` attempts, and is queued again or has ended.
async fn tried(world: &World, job: JobId, before: u32) -> Job {
    let stands = |job: &Job| job.status.is_final() || (job.status == Status::Waiting && job.attempt > before);
    world.until(async || Some(world.job(job).await).filter(stands)).await
}

/// Moves the clock to the job's next attempt.
async fn next_try(world: &World, clock: &Ahead, job: &Job) -> Job {
    clock.put_after(job.scheduled_at);
    world.announce_work().await;
    tried(world, job.id, job.attempt).await
}

/// A strict rate limit, whose `Retry-After` is longer than a request waits for its turn.
fn every_tenth(rule: Rule) -> Rule {
    let asked = AtomicUsize::new(0);
    rule.with(move |_| asked.fetch_add(1, Relaxed).is_multiple_of(10).then(|| reply(429).retry_after(60)))
}

/// A mirror of 300 tags that are already stored, and one that fails.
async fn one_broken_tag(world: &World, registry: &ScriptedRegistry) -> (PullMirror, Job) {
    for number in 0..300 {
        registry.hold("their/app", Some(&format!("v{number:03}")), &corpus::image(number % 3, 1, 100));
    }
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, registry, "their/app", |m| m.common.referrers = true).await;
    world.ended(poll(world, &mirror).await).await;
    assert_eq!(world.tags(&here).await.len(), 300);
    registry.hold("their/app", Some("broken"), &corpus::image(0, 1, 100));
    registry.script([any("*/manifests/broken").status(500)]);
    registry.forget_requests();
    let job = poll(world, &mirror).await;
    (mirror, tried(world, job, 0).await)
}

#[tokio::test]
async fn semantics_39_all_tags_of_a_registry_with_a_rate_limit_are_mirrored_eventually() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    for number in 0..100 {
        registry.hold("their/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 100));
    }
    registry.script([every_tenth(on(Method::HEAD, "*/manifests/*"))]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let mut job = tried(&world, poll(&world, &mirror).await, 0).await;
    while !job.status.is_final() {
        job = next_try(&world, &clock, &job).await;
    }
    assert_eq!(
        (job.status, world.tags(&here).await.len()),
        (Status::Done, 100),
        "{}",
        world.log(job.id).await
    );
    let looks = registry.count(Method::HEAD, "/manifests/v");
    assert!(looks <= 150, "{looks} requests for 100 looks");
}

#[tokio::test]
async fn semantics_39_referrers_of_many_images_are_mirrored_eventually_despite_a_rate_limit() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    for number in 0..30 {
        registry.hold("their/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 100));
    }
    let seen = AtomicUsize::new(0);
    let limit = move |_: &_| (seen.fetch_add(1, Relaxed) % 12 == 11).then(|| reply(429).retry_after(60));
    registry.script([on(Method::GET, "*/referrers/*").with(limit)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.common.referrers = true).await;
    let mut job = tried(&world, poll(&world, &mirror).await, 0).await;
    while !job.status.is_final() {
        job = next_try(&world, &clock, &job).await;
    }
    assert_eq!(job.outcome.as_deref(), Some("no new tags, 30 unchanged"));
    assert_eq!(registry.count(Method::GET, "/referrers/"), 32, "each once, and the two refused ones again");
}

#[tokio::test]
async fn one_broken_tag_among_many_unchanged_ones_costs_few_requests_per_attempt() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    let (_, job) = one_broken_tag(&world, &registry).await;
    assert!(registry.count(Method::HEAD, "/manifests/v") == 300, "{job:?}");
    registry.forget_requests();
    let again = next_try(&world, &clock, &job).await;
    assert_eq!(again.attempt, job.attempt + 1);
    assert!(
        again.error.as_deref().is_some_and(|error| error.contains("300 unchanged, 1 failed")),
        "{again:?}"
    );
    assert!(registry.requests().len() <= 5, "{:#?}", registry.requests());
}

#[tokio::test]
async fn a_tag_that_moves_between_attempts_is_noticed_after_the_interval_and_a_new_one_at_once() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    let (mirror, job) = one_broken_tag(&world, &registry).await;
    let here = world.repository_of(mirror.repository).await;
    let (moved, new) = (corpus::image(77, 1, 100), corpus::image(78, 1, 100));
    registry.hold("their/app", Some("v007"), &moved);
    registry.hold("their/app", Some("new"), &new);
    let began = world.now();
    let mut again = next_try(&world, &clock, &job).await;
    assert_eq!(world.tag(&here, "new").await.unwrap().digest, new.root);
    while world.tag(&here, "v007").await.unwrap().digest != moved.root {
        assert!(world.now() < began + SignedDuration::from_hours(2), "{again:?}");
        again = next_try(&world, &clock, &again).await;
    }

    // Nothing is cached for a poll that has ended.
    registry.forget_rules();
    let ended = next_try(&world, &clock, &again).await;
    assert_eq!(ended.status, Status::Done);
    registry.forget_requests();
    world.ended(poll(&world, &mirror).await).await;
    assert_eq!(registry.count(Method::HEAD, "/manifests/"), 302);
}

#[tokio::test]
async fn a_poll_that_a_person_retries_at_once_notices_moved_tags() {
    let (world, _) = world().await;
    let registry = ScriptedRegistry::start().await;
    let (mirror, job) = one_broken_tag(&world, &registry).await;
    let here = world.repository_of(mirror.repository).await;
    let moved = corpus::image(77, 1, 100);
    registry.hold("their/app", Some("v007"), &moved);
    let (id, now) = (job.id, world.now());
    world.write(work!(|tx| jobs::hasten(tx, id, now).await.map(drop))).await;
    tried(&world, id, job.attempt).await;
    assert_eq!(world.tag(&here, "v007").await.unwrap().digest, moved.root);
}

#[tokio::test]
async fn a_tag_that_was_read_again_is_not_set_back_by_the_next_attempt() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    let (old, new) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    registry.hold("their/app", Some("1.0"), &new);
    registry.hold("their/app", Some("broken"), &corpus::image(3, 1, 100));
    let stale = reply(200).header("docker-content-digest", old.root.to_string());
    registry.script([
        any("*/manifests/broken").status(500),
        on(Method::HEAD, "*/manifests/1.0").times(1).answer(stale),
    ]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = tried(&world, poll(&world, &mirror).await, 0).await;
    assert_eq!(world.tag(&here, "1.0").await.unwrap().digest, new.root, "{}", world.log(job.id).await);
    registry.hold("their/app", None, &old);
    next_try(&world, &clock, &job).await;
    assert_eq!(world.tag(&here, "1.0").await.unwrap().digest, new.root);
}

#[tokio::test]
async fn semantics_39_an_image_with_many_layers_is_pushed_despite_a_rate_limit() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    registry.script([every_tenth(any("*"))]);
    let image = corpus::image(1, 24, 100);
    world.push(&dev, "1.0", &image).await;
    let job = world.until(async || world.jobs().await.into_iter().find(|job| job.policy.is_some())).await;
    let mut job = tried(&world, job.id, 0).await;
    while !job.status.is_final() {
        job = next_try(&world, &clock, &job).await;
    }
    assert_eq!(job.status, Status::Done, "{}", world.log(job.id).await);
    assert!(registry.has("their/app", &image));
    // Only refused requests are sent again.
    let asked = registry.count(Method::HEAD, "/blobs/");
    assert!(asked <= 50, "{asked} questions about 25 blobs");
}

#[tokio::test]
async fn content_that_was_sent_and_has_been_deleted_since_is_sent_again() {
    let (world, clock) = world().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    registry
        .script([on(Method::PUT, "*/manifests/*").times(1).answer(reply(429).header("retry-after", "60"))]);
    let image = corpus::image(1, 2, 100);
    world.push(&dev, "1.0", &image).await;
    let job = world.until(async || world.jobs().await.into_iter().find(|job| job.policy.is_some())).await;
    let job = tried(&world, job.id, 0).await;
    registry.lose("their/app", &image.blobs[0].0);
    let ended = next_try(&world, &clock, &job).await;
    assert_eq!(ended.status, Status::Done, "{}", world.log(job.id).await);
    assert!(registry.has("their/app", &image));
}
