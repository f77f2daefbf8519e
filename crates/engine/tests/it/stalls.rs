//! Requests that are never answered, and responses that stall.

use crate::support::{ScriptedRegistry, World};
use axum::http::Method;
use longshore_model::job::orders;
use longshore_model::job::{Cause, Job, Status};
use longshore_remote::Patience;
use longshore_testkit::{
    corpus,
    scripted::{any, on},
};
use std::time::Duration;

/// Long enough for a registry in the same process, even under load.
const PATIENCE: Patience = Patience { answer: Duration::from_secs(2), idle: Duration::from_secs(2) };

async fn tried(world: &World, registry: &ScriptedRegistry) -> Job {
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, registry, "up/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    world.until(async || Some(world.job(job.id).await).filter(|job| job.error.is_some())).await
}

#[tokio::test]
async fn semantics_37_a_manifest_request_that_is_never_answered_does_not_block_other_tags() {
    let world = World::waiting(PATIENCE).await;
    let registry = ScriptedRegistry::start().await;
    for (seed, tag) in ["a", "hung", "z"].into_iter().enumerate() {
        registry.hold("up/app", Some(tag), &corpus::image(seed as u64, 1, 100));
    }
    registry.script([any("*/manifests/hung").hang()]);
    let job = tried(&world, &registry).await;
    let here = world.repository_of(job.repository.unwrap()).await;
    assert_eq!((world.tags(&here).await, job.attempt), (vec!["a".into(), "z".into()], 1));
    let error = job.error.unwrap();
    assert!(error.contains("2 tags mirrored, 1 failed") && error.contains("hung"), "{error}");
    assert!(error.contains("did not answer within 2 s"), "{error}");
    registry.forget_rules();
    assert_eq!(world.ended(job.id).await.status, Status::Done);
}

#[tokio::test]
async fn semantics_37_a_blob_that_stalls_is_resumed_and_does_not_block_other_tags() {
    let world = World::waiting(PATIENCE).await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 400_000);
    registry.hold("up/app", Some("a"), &corpus::image(2, 1, 100));
    registry.hold("up/app", Some("stalls"), &image);
    registry.hold("up/app", Some("z"), &corpus::image(3, 1, 100));
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.gate(&layer);
    let job = tried(&world, &registry).await;
    let here = world.repository_of(job.repository.unwrap()).await;
    assert_eq!((world.tags(&here).await, job.attempt), (vec!["a".into(), "z".into()], 1));
    let error = job.error.unwrap();
    assert!(error.contains("2 tags mirrored, 1 failed") && error.contains("stalls"), "{error}");
    let asked = registry.count(Method::GET, layer.as_str());
    assert_eq!(asked, 2, "each timeout is long, so the download is resumed only once");
    assert_eq!(registry.headers_seen("range").len(), 1, "resumed where it had stopped");
    registry.open(&layer);
    assert_eq!(world.ended(job.id).await.status, Status::Done);
    assert!(world.has(&here, &image).await);
}

#[tokio::test]
async fn semantics_39_a_tag_list_that_is_never_answered_times_out_and_the_job_waits() {
    let world = World::waiting(PATIENCE).await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("up/app", Some("a"), &corpus::image(1, 1, 100));
    registry.script([on(Method::GET, "*/tags/list").hang()]);
    let job = tried(&world, &registry).await;
    assert_eq!(job.status, Status::Waiting);
    assert!(job.error.unwrap().contains("did not answer within 2 s"));
    registry.forget_rules();
    assert_eq!(world.ended(job.id).await.status, Status::Done);
}
