//! Content that is embedded in the manifest.

use crate::support::{ScriptedRegistry, World};
use axum::http::Method;
use longshore_model::job::orders;
use longshore_model::job::{Cause, Job, Status};
use longshore_oci::{Digest, Manifest};
use longshore_testkit::{Package, corpus};

/// Polls a registry that has the image but not its configuration blob.
async fn pulled(world: &World, name: &str, image: &Package) -> (Job, ScriptedRegistry) {
    let registry = ScriptedRegistry::start().await;
    registry.hold("up/app", Some("1.0"), image);
    registry.lose("up/app", &config(image));
    let here = world.repository(name).await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    (world.ended(job.id).await, registry)
}

fn config(image: &Package) -> Digest {
    let manifest = Manifest::parse(&image.root_manifest().bytes, None).unwrap();
    manifest.config().unwrap().digest.clone()
}

#[tokio::test]
async fn semantics_40_a_missing_configuration_blob_is_taken_from_the_manifest() {
    let world = World::running().await;
    let image = corpus::image(1, 1, 100);
    let bytes = image.blobs.iter().find(|(digest, _)| *digest == config(&image)).unwrap().1.clone();
    let image = image.embedding(&bytes);
    let (job, registry) = pulled(&world, "dev/app", &image).await;
    assert_eq!((job.status, job.attempt), (Status::Done, 1), "{}", world.log(job.id).await);
    let here = world.repository_of(job.repository.unwrap()).await;
    assert!(world.has(&here, &image).await);
    assert_eq!(job.progress.bytes_done, job.progress.bytes_total);
    assert_eq!(registry.count(Method::GET, config(&image).as_str()), 1, "a blob takes precedence");
}

#[tokio::test]
async fn semantics_24_embedded_content_with_another_digest_or_length_is_ignored() {
    let world = World::running().await;
    let image = corpus::image(1, 1, 100);
    let length = image.blobs.iter().find(|(digest, _)| *digest == config(&image)).unwrap().1.len();
    for (name, lie) in [("digest", vec![b' '; length]), ("length", b"{}".to_vec())] {
        let image = image.embedding(&lie);
        let (job, _registry) = pulled(&world, &format!("dev/{name}"), &image).await;
        assert_eq!(job.status, Status::Errored, "{name}");
        let error = job.error.unwrap();
        assert!(error.contains("the registry has no") && error.contains(config(&image).as_str()), "{error}");
    }
}
