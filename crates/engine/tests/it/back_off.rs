//! Remotes in back-off, and the effect on others.

use crate::support::{Ahead, ScriptedRegistry, World, world::author};
use axum::http::Method;
use jiff::SignedDuration;
use longshore_metadata::{jobs, pull_mirrors, remotes, work};
use longshore_model::job::orders;
use longshore_model::{
    JobId,
    job::{Cause, Job, Status},
    policy::RunCode,
    remote::WaitReason,
    stored::{LastRun, PullMirror},
};
use longshore_testkit::{
    corpus,
    scripted::{Reply, Rule, any, on, reply},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

async fn poll(world: &World, mirror: &PullMirror) -> JobId {
    world.enqueue(orders::poll(mirror, Cause::Schedule, None, world.now())).await.id
}

/// Waits until the job has had an attempt and is queued again.
async fn waits_again(world: &World, job: JobId) -> Job {
    world
        .until(async || {
            Some(world.job(job).await).filter(|job| job.status == Status::Waiting && job.attempt > 0)
        })
        .await
}

#[tokio::test]
async fn semantics_39_after_a_429_all_work_for_the_remote_waits_and_earlier_content_is_kept() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    for number in 0..30 {
        registry.hold("their/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 500));
    }
    registry.script([on(Method::GET, "*/manifests/*").after(5).answer(reply(429).retry_after(120))]);
    let (here, other) = (world.repository("dev/app").await, world.repository("dev/other").await);
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let began = world.now();
    let limited = waits_again(&world, poll(&world, &mirror).await).await;
    assert!(limited.scheduled_at >= began + SignedDuration::from_secs(115), "{limited:?}");
    assert_eq!(world.tags(&here).await.len(), 5);
    let asked = registry.count(Method::GET, "/manifests/");
    assert!(asked <= 5 + 4, "{asked} manifests were asked for");

    // Another job for the same remote sends no request.
    let before = registry.requests().len();
    let sibling = world.pull_mirror(&other, &registry, "their/app", |m| m.remote = mirror.remote).await;
    let job = poll(&world, &sibling).await;
    let shown = world.until(async || world.job(job).await.back_off).await;
    assert_eq!((shown.reason, shown.asked), (WaitReason::RateLimited, true));
    world.until(async || (began + SignedDuration::from_secs(4) < world.now()).then_some(())).await;
    assert_eq!(registry.requests().len(), before);
    let waiting = world.job(job).await;
    assert_eq!((waiting.status, waiting.attempt), (Status::Waiting, 0));

    // A person may retry at once.
    registry.forget_rules();
    let now = world.now();
    world.write(work!(|tx| jobs::hasten(tx, job, now).await.map(drop))).await;
    assert_eq!(world.ended(job).await.status, Status::Done);
    assert_eq!(world.job(limited.id).await.back_off, None, "the remote has answered");
}

/// A rate limit of `per_second` requests with bursts of `burst`, and a counter of refused requests.
fn limited(per_second: f64, burst: f64, refusal: Reply) -> (Rule, Arc<AtomicI64>) {
    let (tokens, refused) = (Mutex::new((burst, Instant::now())), Arc::new(AtomicI64::new(0)));
    let count = refused.clone();
    let rule = any("*").with(move |_| {
        let mut tokens = tokens.lock().unwrap();
        let now = Instant::now();
        let left = (tokens.0 + now.duration_since(tokens.1).as_secs_f64() * per_second).min(burst);
        let takes = left >= 1.0;
        *tokens = (if takes { left - 1.0 } else { left }, now);
        count.fetch_add(i64::from(!takes), Ordering::Relaxed);
        (!takes).then(|| refusal.clone())
    });
    (rule, refused)
}

#[tokio::test]
async fn semantics_39_a_registry_with_a_rate_limit_is_mirrored_in_one_run_with_few_refusals() {
    for refusal in [reply(429).retry_after(1), reply(429), reply(503)] {
        let world = World::running().await;
        let registry = ScriptedRegistry::start().await;
        for number in 0..30 {
            registry.hold("their/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 100));
        }
        let (rule, refused) = limited(20.0, 20.0, refusal);
        registry.script([rule]);
        let (from, here) = (world.repository("dev/from").await, world.repository("dev/app").await);
        let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
        let job = poll(&world, &mirror).await;
        assert_eq!(world.ended(job).await.status, Status::Done, "{}", world.log(job).await);
        assert_eq!((world.job(job).await.attempt, world.tags(&here).await.len()), (1, 30));
        world.push_mirror(&from, &registry, "their/copy", |m| m.remote = mirror.remote).await;
        for number in 0..3 {
            world.push(&from, &format!("v{number}"), &corpus::image(number, 2, 100)).await;
        }
        world.settled().await;
        assert_eq!(registry.tags("their/copy").len(), 3);
        let (refused, asked) = (refused.load(Ordering::Relaxed), registry.requests().len());
        assert!(refused <= 30, "{refused} of {asked} requests were refused");
    }
}

#[tokio::test]
async fn semantics_39_a_retry_after_date_is_read_by_our_clock_if_the_response_has_no_date() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let began = world.now();
    let until = began + SignedDuration::from_hours(2);
    let until = until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let limit = reply(429).header("date", "none").header("retry-after", until);
    registry.script([on(Method::GET, "*/tags/list").answer(limit)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let limited = waits_again(&world, poll(&world, &mirror).await).await;
    assert!(limited.scheduled_at >= began + SignedDuration::from_mins(119), "{limited:?}");
}

#[tokio::test]
async fn semantics_39_work_is_resumed_automatically_after_an_outage() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*").disconnect()]);
    let (from, here) = (world.repository("dev/app").await, world.repository("dev/mirrored").await);
    registry.hold("their/app", Some("1.0"), &corpus::image(9, 1, 100));
    let pulls = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    world.push_mirror(&from, &registry, "their/copy", |m| m.remote = pulls.remote).await;
    world.push(&from, "1.0", &corpus::image(1, 1, 100)).await;
    let job = poll(&world, &pulls).await;
    let waiting = waits_again(&world, job).await;
    // The message is that of the failed request or of the back-off.
    let error = waiting.error.unwrap();
    assert!(error.contains("could not be reached") || error.contains("the connection broke"), "{error}");
    world.until(async || (registry.requests().len() > 3).then_some(())).await;
    registry.forget_rules();
    world.settled().await;
    assert!(world.jobs().await.iter().all(|job| job.status == Status::Done), "{:#?}", world.jobs().await);
    assert!(registry.tag("their/copy", "1.0").is_some());
    assert!(world.tag(&here, "1.0").await.is_some());
}

#[tokio::test]
async fn semantics_39_hanging_registries_do_not_delay_healthy_ones() {
    let world = World::running().await;
    let (healthy, mut jobs, mut kept) = (ScriptedRegistry::start().await, Vec::new(), Vec::new());
    healthy.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    for number in 0..10 {
        let hung = ScriptedRegistry::start().await;
        hung.script([any("*").hang()]);
        let here = world.repository(&format!("dev/hung{number}")).await;
        let mirror = world.pull_mirror(&here, &hung, "their/app", |_| {}).await;
        jobs.push(poll(&world, &mirror).await);
        kept.push(hung);
    }
    let busy = async || {
        let mut running = 0;
        for job in &jobs {
            running += usize::from(world.job(*job).await.status == Status::Running);
        }
        (running >= 4).then_some(())
    };
    world.until(busy).await;
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &healthy, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(world.ended(job).await.status, Status::Done);
    for hung in jobs {
        let hung = world.job(hung).await;
        assert!(
            !hung.status.is_final() && hung.attempt <= 1,
            "the healthy one was kept waiting until {hung:?}"
        );
    }
}

#[tokio::test]
async fn semantics_39_a_job_is_retried_for_a_day_and_then_ends_as_errored() {
    let clock = Arc::new(Ahead::default());
    let mut world = World::still_at(clock.clone()).await;
    world.start();
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.script([on(Method::GET, "*/tags/list").status(500)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    waits_again(&world, job).await;
    clock.put(23 * 3600);
    world.until(async || (world.job(job).await.attempt > 3).then_some(())).await;
    assert!(!world.job(job).await.status.is_final());
    clock.put(25 * 3600);
    let ended = world.ended(job).await;
    assert_eq!(ended.status, Status::Errored);
    assert!(ended.error.unwrap().contains("500"));
}

#[tokio::test]
async fn semantics_39_a_failing_tag_is_retried_for_a_day_while_its_mirror_keeps_its_schedule() {
    let clock = Arc::new(Ahead::default());
    let mut world = World::still_at(clock.clone()).await;
    world.start();
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.hold("their/app", Some("broken"), &corpus::image(2, 1, 100));
    registry.script([any("*/manifests/broken").status(503)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.interval_seconds = 60).await;
    let job = poll(&world, &mirror).await;
    for hours in 1..=23 {
        let attempt = world.job(job).await.attempt;
        clock.put(hours * 3600);
        world.announce_work().await;
        world.until(async || (world.job(job).await.attempt > attempt).then_some(())).await;
        let waiting = waits_again(&world, job).await;
        assert!(waiting.scheduled_at <= world.now() + SignedDuration::from_secs(60), "{waiting:?}");
    }
    registry.hold("their/app", Some("2.0"), &corpus::image(3, 1, 100));
    // More than a day after the tag's own first failure; before that, the remote itself may have been in back-off.
    clock.put(48 * 3600);
    world.announce_work().await;
    let ended = world.ended(job).await;
    assert_eq!((ended.status, world.tags(&here).await), (Status::Errored, vec!["1.0".into(), "2.0".into()]));
    let error = ended.error.unwrap();
    assert!(error.contains("broken") && error.contains("503"), "{error}");
}

#[tokio::test]
async fn semantics_39_a_registry_that_only_answers_pings_is_put_in_back_off() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/manifests/*").status(503), any("*/blobs/*").status(503)]);
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    for number in 0..60 {
        world.push(&dev, &format!("v{number:02}"), &corpus::image(number, 1, 100)).await;
    }
    let began = world.now();
    world.until(async || (began + SignedDuration::from_secs(6) < world.now()).then_some(())).await;
    let asked = registry.requests().len();
    assert!(asked <= 24, "{asked} requests for 60 jobs");
    registry.forget_rules();
    world.settled().await;
    assert_eq!(registry.tags("their/app").len(), 60);
}

#[tokio::test]
async fn semantics_39_a_registry_that_lists_tags_but_fails_for_each_of_them_is_put_in_back_off() {
    for status in [500, 522] {
        let world = World::running().await;
        let registry = ScriptedRegistry::start().await;
        for number in 0..100 {
            registry.hold("their/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 100));
        }
        registry.script([any("*/manifests/*").status(status)]);
        let here = world.repository("dev/app").await;
        let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
        let job = poll(&world, &mirror).await;
        let tried = async || Some(world.job(job).await).filter(|job| job.attempt == 4 && job.error.is_some());
        let waiting = world.until(tried).await;
        assert_eq!(waiting.back_off.as_ref().map(|wait| wait.reason), Some(WaitReason::Unavailable));
        // Four more tags fail in each attempt, since those in progress are finished.
        let asked = registry.requests().len();
        assert!(asked <= 200, "{asked} requests in 4 tries, {status}");
        registry.forget_rules();
        assert_eq!(world.ended(job).await.status, Status::Done);
        assert_eq!(world.tags(&here).await.len(), 100);
    }
}

#[tokio::test]
async fn semantics_37_many_permanently_broken_tags_in_a_row_do_not_block_others() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    for number in 0..12 {
        registry.hold("their/app", Some(&format!("a{number:02}")), &corpus::image(number, 1, 100));
    }
    registry.hold("their/app", Some("fine"), &corpus::image(90, 1, 100));
    registry.script([any("*/manifests/a*").status(500)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    poll(&world, &mirror).await;
    world.until(async || world.tag(&here, "fine").await).await;
}

#[tokio::test]
async fn semantics_23_a_pull_longer_than_a_day_keeps_its_first_blobs() {
    let clock = Arc::new(Ahead::default());
    let mut world = World::still_at(clock.clone()).await;
    world.start();
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 2, 50_000);
    registry.hold("their/app", Some("1.0"), &image);
    let slow = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.gate(&slow);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    let early: Vec<_> =
        image.blobs.iter().map(|(digest, _)| digest).filter(|digest| **digest != slow).collect();
    let has_early = async || {
        for digest in &early {
            world.content.stat_blob(&here, digest).await.unwrap()?;
        }
        Some(())
    };
    world.until(has_early).await;

    for days in [2, 9, 45] {
        clock.put(days * 24 * 3600);
        let order = orders::collect_garbage(false, Cause::Asked { author: author() }, world.now());
        let collected = world.enqueue(order).await;
        assert_eq!(world.ended(collected.id).await.status, Status::Done);
        assert!(has_early().await.is_some(), "after {days} days");
    }
    registry.open(&slow);
    assert_eq!(world.ended(job).await.status, Status::Done, "{}", world.log(job).await);
    assert!(world.has(&here, &image).await);
    for digest in early {
        assert_eq!(registry.count(Method::GET, digest.as_str()), 1, "it was not fetched again");
    }
}

#[tokio::test]
async fn semantics_39_only_jobs_that_contacted_the_registry_update_the_mirror_and_the_remote() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.script([on(Method::GET, "*/tags/list").answer(reply(429).retry_after(600))]);
    let shown = async |mirror: &PullMirror| {
        let mut conn = world.db.read().await.unwrap();
        let mirror = pull_mirrors::get(&mut conn, mirror.common.id).await.unwrap().unwrap();
        let remote = remotes::get(&mut conn, mirror.remote).await.unwrap().unwrap();
        (mirror.common.last_run, remote.last_contact, remote.last_error)
    };
    let (one, two) = (world.repository("dev/one").await, world.repository("dev/two").await);
    let asks = world.pull_mirror(&one, &registry, "their/app", |_| {}).await;
    let limited = poll(&world, &asks).await;
    waits_again(&world, limited).await;
    let (run, contact, error) =
        world.until(async || Some(shown(&asks).await).filter(|(run, ..)| run.code == RunCode::Failed)).await;
    assert_eq!(run.job, Some(limited));
    assert!(error.as_deref().is_some_and(|error| error.contains("429")), "{error:?}");

    // The remote is in back-off: neither a job that waits for it nor one that gives up has contacted it.
    let waits = world.pull_mirror(&two, &registry, "their/app", |m| m.remote = asks.remote).await;
    let job = poll(&world, &waits).await;
    world.until(async || world.job(job).await.back_off).await;
    assert_eq!(shown(&waits).await, (LastRun::never(), contact, error.clone()));
    let now = world.now();
    world.write(work!(|tx| jobs::cancel(tx, job, now).await.map(drop))).await;
    assert_eq!(world.ended(job).await.status, Status::Canceled);
    assert_eq!(shown(&waits).await, (LastRun::never(), contact, error));
}

#[tokio::test]
async fn a_remote_used_only_by_push_mirrors_shows_its_last_contact() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let fares = async || {
        let remote = remotes::get(&mut world.db.read().await.unwrap(), mirror.remote).await.unwrap().unwrap();
        (remote.last_contact.is_some(), remote.last_error)
    };
    assert_eq!(fares().await, (false, None));
    world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    world.settled().await;
    assert_eq!(fares().await, (true, None));
    for status in [403, 503] {
        registry.script([any("*").status(status)]);
        world.push(&dev, &format!("s{status}"), &corpus::image(u64::from(status), 1, 100)).await;
        world.until(async || fares().await.1).await;
        registry.forget_rules();
        world.push(&dev, &format!("after{status}"), &corpus::image(u64::from(status) + 1, 1, 100)).await;
        world.settled().await;
        assert_eq!(fares().await, (true, None));
    }
}

#[tokio::test]
async fn semantics_19_two_parents_wait_for_the_same_polls() {
    let mut world = World::still().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::GET, "*/tags/list").status(404)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let now = world.now();
    let (one, two, child) = world
        .write(work!(|tx| {
            let one = jobs::enqueue(tx, orders::poll_all(author(), now), now).await?;
            let two = jobs::enqueue(tx, orders::poll_all(author(), now), now).await?;
            let cause = Cause::Asked { author: author() };
            let child = jobs::enqueue(tx, orders::poll(&mirror, cause, Some(one), now), now).await?;
            assert_eq!(jobs::adopt_polls(tx, two, &[mirror.common.id], now).await?, [mirror.common.id]);
            Ok((one, two, child))
        }))
        .await;
    let mut conn = world.db.read().await.unwrap();
    for parent in [one, two] {
        let parts = jobs::children(&mut conn, parent).await.unwrap();
        assert_eq!(parts.iter().map(|part| part.id).collect::<Vec<_>>(), [child]);
    }
    assert!(jobs::is_awaited_by_others(&mut conn, child, one).await.unwrap());
    drop(conn);
    world.start();
    for parent in [one, two] {
        let parent = world.ended(parent).await;
        assert_eq!(parent.status, Status::Errored);
        assert!(parent.error.unwrap().contains("1 of 1 polls failed"));
    }
    let id = world.job(child).await.policy.unwrap();
    assert!(pull_mirrors::get(&mut world.db.read().await.unwrap(), id).await.unwrap().is_some());
}
