//! The scrub: damaged content is fetched again from the remotes of mirrors.

use crate::support::{ScriptedRegistry, World};
use longshore_metadata::{manifests, work};
use longshore_model::job::orders;
use longshore_model::job::{Cause, Status};
use longshore_testkit::corpus;

#[tokio::test]
async fn a_damaged_manifest_is_fetched_again_from_the_remote_of_a_mirror() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    registry.hold("their/app", Some("1.0"), &image);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let poll = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    assert_eq!(world.ended(poll.id).await.status, Status::Done);

    let damaged = image.root.clone();
    world.write(work!(|tx| manifests::mend(tx, &damaged, b"{}").await)).await;
    let scrub = world.enqueue(orders::scrub(Cause::Schedule, world.now())).await;
    let outcome = world.ended(scrub.id).await.outcome.unwrap_or_default();
    assert!(outcome.starts_with("1 blob or manifest was damaged and fetched again"), "{outcome}");
    let log = world.log(scrub.id).await;
    assert!(log.contains("in dev/app: its bytes have changed") && log.contains("was fetched again"), "{log}");
    assert!(world.has(&here, &image).await);
}
