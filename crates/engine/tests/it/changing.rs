//! Policies that are changed, disabled or deleted while their jobs run, and the baselines of changed mirrors
//! (semantics 34, 35).

use crate::support::{ScriptedRegistry, World};
use axum::http::Method;
use longshore_metadata::{pull_mirrors, push_mirrors, work};
use longshore_model::job::orders;
use longshore_model::{
    Author, LastChange,
    job::{Cause, Job, Status},
    policy::Baseline,
    stored::{PullMirror, PushMirror},
};
use longshore_testkit::{corpus, scripted::on};

/// Changes and saves a pull mirror as a person does.
async fn edit(world: &World, before: &PullMirror, adjust: impl FnOnce(&mut PullMirror)) -> PullMirror {
    let mut conn = world.db.read().await.unwrap();
    let before = pull_mirrors::get(&mut conn, before.common.id).await.unwrap().unwrap();
    drop(conn);
    let mut after = before.clone();
    adjust(&mut after);
    let change = LastChange::new(Author::System, Vec::new());
    world.write(work!(|tx| pull_mirrors::update(tx, &before, after, change).await)).await
}

async fn poll(world: &World, mirror: &PullMirror) -> Job {
    let job = world.enqueue(orders::poll(mirror, Cause::Schedule, None, world.now())).await;
    world.ended(job.id).await
}

async fn baseline(world: &World, mirror: &PullMirror) -> Baseline {
    let mut conn = world.db.read().await.unwrap();
    pull_mirrors::get(&mut conn, mirror.common.id).await.unwrap().unwrap().baseline
}

#[tokio::test]
async fn semantics_35_new_patterns_mirror_what_the_old_ones_matched_and_record_the_rest() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let hold = |tag: &str, seed| registry.hold("their/app", Some(tag), &corpus::image(seed, 1, 100));
    hold("1.0", 1);
    hold("2.0", 2);
    let here = world.repository("dev/app").await;
    let mirror = world
        .pull_mirror(&here, &registry, "their/app", |m| {
            m.patterns = "1.*".into();
            m.baseline = Baseline::Pending;
        })
        .await;
    poll(&world, &mirror).await;
    assert!(world.tags(&here).await.is_empty());
    // It was added under the old patterns and was not in their baseline; only the new patterns match 2.*.
    hold("1.1", 3);
    hold("2.1", 4);
    let mirror = edit(&world, &mirror, |m| {
        m.known_patterns = Some(m.patterns.clone());
        m.patterns = "1.*, 2.*".into();
        m.baseline = Baseline::Pending;
        m.common.rules_version += 1;
    })
    .await;
    poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["1.1"]);
    assert_eq!(baseline(&world, &mirror).await, Baseline::Complete);
    hold("2.2", 5);
    poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["1.1", "2.2"]);
}

#[tokio::test]
async fn semantics_35_new_patterns_of_a_mirror_without_baseline_still_mirror_what_the_old_ones_matched() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let hold = |tag: &str, seed| registry.hold("their/app", Some(tag), &corpus::image(seed, 1, 100));
    hold("1.0", 1);
    hold("2.0", 2);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.patterns = "1.*".into()).await;
    let mirror = edit(&world, &mirror, |m| {
        m.known_patterns = Some(m.patterns.clone());
        m.patterns = "*".into();
        m.baseline = Baseline::Pending;
        m.common.rules_version += 1;
    })
    .await;
    poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["1.0"]);
}

#[tokio::test]
async fn semantics_35_a_baseline_of_the_old_settings_is_not_committed_for_the_new_ones() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    registry.hold("their/app", Some("1.0"), &image);
    registry.hold("other/app", Some("1.0"), &image);
    let slow = std::time::Duration::from_secs(1);
    registry.script([on(Method::GET, "*their/app/tags/list").late(slow)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.baseline = Baseline::Pending).await;
    let old = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    world.until(async || (registry.count(Method::GET, "tags/list") > 0).then_some(())).await;
    let mirror = edit(&world, &mirror, |m| {
        m.remote_repository = "other/app".parse().unwrap();
        m.common.rules_version += 1;
    })
    .await;
    assert_eq!(world.ended(old.id).await.status, Status::Superseded);
    assert_eq!(baseline(&world, &mirror).await, Baseline::Pending);
    poll(&world, &mirror).await;
    poll(&world, &mirror).await;
    assert_eq!(baseline(&world, &mirror).await, Baseline::Complete);
    assert!(world.tags(&here).await.is_empty());
}

#[tokio::test]
async fn semantics_34_disabling_a_push_mirror_stops_its_queued_and_running_jobs() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let here = world.repository("dev/app").await;
    let image = corpus::image(1, 1, 100);
    let mirror = world.push_mirror(&here, &registry, "their/app", |_| {}).await;
    registry.script([on(Method::PUT, "*manifests/*").hang()]);
    for tag in 0..40 {
        world.push(&here, &format!("v{tag}"), &image).await;
    }
    world.until(async || (registry.count(Method::PUT, "manifests/") > 0).then_some(())).await;
    disable(&world, &mirror).await;
    let begun = registry.count(Method::PUT, "manifests/");
    world.settled().await;
    registry.forget_rules();
    assert_eq!(registry.count(Method::PUT, "manifests/"), begun);
    assert!(registry.tags("their/app").is_empty());
    let ended: Vec<Job> =
        world.jobs().await.into_iter().filter(|job| job.policy == Some(mirror.common.id)).collect();
    assert!(ended.iter().all(|job| job.status == Status::Canceled), "{ended:?}");
}

async fn disable(world: &World, mirror: &PushMirror) {
    let id = mirror.common.id;
    world
        .write(work!(|tx| {
            let before = push_mirrors::get_for_change(tx, id).await?.unwrap();
            let mut after = before.clone();
            after.common.enabled = false;
            let change = LastChange::new(Author::System, Vec::new());
            push_mirrors::update(tx, &before, after, change).await
        }))
        .await;
}
