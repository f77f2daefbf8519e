//! Non-distributable layers, such as those of Windows base images (semantics 43), in mirrors with the switch on and
//! off.

use crate::support::{ScriptedRegistry, World};
use axum::http::Method;
use longshore_metadata::{jobs::NewJob, pull_mirrors, push_mirrors, work};
use longshore_model::job::orders;
use longshore_model::{
    Aspect, Author, LastChange, PolicyKind, Repository,
    job::{Cause, Job, Status},
    policy::FOREIGN_LAYERS,
    stored::{PullMirror, PushMirror},
};
use longshore_oci::Digest;
use longshore_testkit::{
    Package,
    corpus::{self, Layer},
    scripted::{on, reply},
};

/// A base layer, and images based on it.
fn images(count: u64) -> (Digest, Vec<Package>) {
    let base = Layer::new(7, 5_000);
    (base.digest(), (1..=count).map(|seed| corpus::image_over(&base, seed)).collect())
}

async fn ended(world: &World, order: NewJob) -> Job {
    let job = world.enqueue(order).await;
    world.ended(job.id).await
}

async fn poll(world: &World, mirror: &PullMirror) -> Job {
    ended(world, orders::poll(mirror, Cause::Schedule, None, world.now())).await
}

/// *Save & Apply*, up to the end of all resulting jobs.
async fn apply(world: &World, mirror: &PushMirror) {
    let (id, kind) = (mirror.common.id, PolicyKind::PushMirror);
    let order = orders::apply(id, kind, mirror.repository, Author::System, world.now());
    assert_eq!(ended(world, order).await.status, Status::Done);
    world.settled().await;
}

fn change() -> LastChange {
    LastChange::new(Author::System, vec![Aspect::ForeignLayers])
}

/// Switches it on as the form does.
async fn switched_on_in_pull(world: &World, before: &PullMirror) -> PullMirror {
    let (before, mut after) = (before.clone(), before.clone());
    after.foreign_layers = true;
    after.common.rules_version += 1;
    world.write(work!(|tx| pull_mirrors::update(tx, &before, after, change()).await)).await
}

/// Switches it on as the form does.
async fn switched_on_in_push(world: &World, before: &PushMirror) -> PushMirror {
    let (before, mut after) = (before.clone(), before.clone());
    after.foreign_layers = true;
    after.common.rules_version += 1;
    world.write(work!(|tx| push_mirrors::update(tx, &before, after, change()).await)).await
}

async fn stored(world: &World, repository: &Repository, layer: &Digest) -> bool {
    world.content.stat_blob(repository, layer).await.unwrap().is_some()
}

#[tokio::test]
async fn semantics_43_a_pull_mirror_fetches_no_foreign_layers_unless_that_is_switched_on() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(1);
    registry.hold("their/app", Some("1.0"), &images[0]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    for _ in 0..2 {
        let job = poll(&world, &mirror).await;
        assert_eq!(job.status, Status::Done, "{}", world.log(job.id).await);
    }
    assert!(world.has(&here, &images[0].without(&base)).await);
    assert!(!stored(&world, &here, &base).await);
    assert!(registry.requests().iter().all(|request| !request.contains(base.as_str())));
}

#[tokio::test]
async fn semantics_43_a_pull_mirror_fetches_foreign_layers_of_the_remote_if_that_is_switched_on() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(1);
    registry.hold("their/app", Some("1.0"), &images[0]);
    let here = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&here, &qa, longshore_policy::Rules::EveryTag, "%n").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.foreign_layers = true).await;
    poll(&world, &mirror).await;
    assert!(world.has(&here, &images[0]).await, "it is served like any blob");
    world.settled().await;
    assert!(world.has(&qa, &images[0]).await, "promotions include stored layers");
    poll(&world, &mirror).await;
    assert_eq!(registry.count(Method::GET, base.as_str()), 1, "a stored layer is not requested again");
}

#[tokio::test]
async fn semantics_43_a_foreign_layer_that_the_remote_lacks_stays_absent_and_its_tags_are_mirrored() {
    for status in [404, 403, 451] {
        let world = World::running().await;
        let registry = ScriptedRegistry::start().await;
        let (base, images) = images(3);
        for (number, image) in images.iter().enumerate() {
            registry.hold("their/app", Some(&format!("{number}.0")), image);
        }
        registry.script([on(Method::GET, format!("*/blobs/{base}")).status(status)]);
        let here = world.repository("dev/app").await;
        let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.foreign_layers = true).await;
        let job = poll(&world, &mirror).await;
        let log = world.log(job.id).await;
        assert_eq!(job.status, Status::Done, "{status}: {log}");
        assert_eq!(world.tags(&here).await, ["0.0", "1.0", "2.0"], "{status}");
        assert!(!stored(&world, &here, &base).await);
        assert!(log.contains(&format!("does not have {base}")), "{status}: {log}");
        assert_eq!(job.progress.bytes_done, job.progress.bytes_total, "no job waits for it");
        assert_eq!(registry.count(Method::GET, base.as_str()), 1, "one request for all images");

        registry.forget_rules();
        registry.forget_requests();
        let job = poll(&world, &mirror).await;
        assert_eq!(job.status, Status::Done);
        for image in &images {
            assert!(world.has(&here, image).await, "{status}");
        }
        assert_eq!(registry.count(Method::GET, "/blobs/"), 1, "nothing else is fetched");
        assert_eq!(registry.count(Method::GET, "/manifests/"), 0);
    }
}

#[tokio::test]
async fn semantics_43_a_foreign_layer_that_fails_otherwise_fails_its_tag() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(1);
    registry.hold("their/app", Some("1.0"), &images[0]);
    registry.hold("their/app", Some("2.0"), &corpus::image(9, 1, 100));
    registry.script([on(Method::GET, format!("*/blobs/{base}")).wrong_bytes()]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.foreign_layers = true).await;
    assert_eq!(poll(&world, &mirror).await.status, Status::Errored);
    assert_eq!(world.tags(&here).await, ["2.0"]);
}

#[tokio::test]
async fn semantics_43_a_poll_completes_existing_images_after_foreign_layers_are_switched_on() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(2);
    let index = corpus::index_of(&[&images[1]]);
    registry.hold("their/app", Some("1.0"), &images[0]);
    registry.hold("their/app", Some("2.0"), &index);
    registry.hold("their/app", Some("3.0"), &corpus::image(9, 1, 100));
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    poll(&world, &mirror).await;
    assert!(!stored(&world, &here, &base).await);

    let mirror = switched_on_in_pull(&world, &mirror).await;
    registry.script([on(Method::GET, format!("*/blobs/{base}")).times(1).status(500)]);
    registry.forget_requests();
    let job = poll(&world, &mirror).await;
    let log = world.log(job.id).await;
    assert_eq!(job.status, Status::Done, "the tags are here already: {log}");
    assert!(job.outcome.unwrap().contains("1 warning") && log.contains("500"), "{log}");
    poll(&world, &mirror).await;
    assert!(world.has(&here, &images[0]).await && world.has(&here, &index).await);
    assert_eq!(
        registry.count(Method::GET, "/manifests/"),
        0,
        "manifests that are here are not fetched again"
    );
}

#[tokio::test]
async fn semantics_43_a_push_mirror_sends_no_foreign_layers_unless_that_is_switched_on() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(1);
    let index = corpus::index_of(&[&images[0]]);
    let here = world.repository("dev/app").await;
    let mirror = world.push_mirror(&here, &registry, "qa/app", |_| {}).await;
    world.push(&here, "1.0", &images[0]).await;
    world.push(&here, "2.0", &index).await;
    world.settled().await;
    assert_eq!(registry.tags("qa/app"), ["1.0", "2.0"]);
    assert!(registry.has("qa/app", &index.without(&base)) && !registry.has("qa/app", &index));
    assert!(registry.requests().iter().all(|request| !request.contains(base.as_str())));

    // After it is switched on, *Save & Apply* adds them to existing images.
    let mirror = switched_on_in_push(&world, &mirror).await;
    registry.forget_requests();
    apply(&world, &mirror).await;
    assert!(registry.has("qa/app", &images[0]) && registry.has("qa/app", &index));
    assert_eq!(registry.count(Method::PUT, "/manifests/"), 0);
    // And they are included in later pushes.
    let (_, more) = self::images(2);
    world.push(&here, "3.0", &more[1]).await;
    world.settled().await;
    assert!(registry.has("qa/app", &more[1]));
}

#[tokio::test]
async fn semantics_43_a_foreign_layer_that_is_not_stored_is_skipped_by_a_push() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(1);
    let here = world.repository("dev/app").await;
    world.push_mirror(&here, &registry, "qa/app", |m| m.foreign_layers = true).await;
    let image = images[0].without(&base);
    world.push(&here, "1.0", &image).await;
    world.settled().await;
    assert!(registry.has("qa/app", &image));
    assert_eq!(registry.tags("qa/app"), ["1.0"]);
}

#[tokio::test]
async fn semantics_43_the_job_names_the_switch_if_a_registry_requires_foreign_layers() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (base, images) = images(2);
    let unknown = || reply(400).error("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    registry.script([on(Method::PUT, "*/manifests/*").times(5).answer(unknown())]);
    let here = world.repository("dev/app").await;
    let mirror = world.push_mirror(&here, &registry, "qa/app", |_| {}).await;
    let error = async |tag: &str, image: &Package| {
        world.push(&here, tag, image).await;
        world.settled().await;
        let jobs = world.jobs().await;
        jobs.into_iter().filter_map(|job| job.error).next_back().unwrap()
    };
    let said = error("1.0", &images[0]).await;
    assert!(said.contains("MANIFEST_BLOB_UNKNOWN") && said.contains(base.as_str()), "{said}");
    assert!(said.contains(&format!("switch “{FOREIGN_LAYERS}” on")), "{said}");

    let mirror = switched_on_in_push(&world, &mirror).await;
    apply(&world, &mirror).await;
    assert!(registry.has("qa/app", &images[0]), "the remedy helps");

    // Even if it is switched on, a layer that is not stored here cannot be sent.
    registry.script([on(Method::PUT, "*/manifests/*").times(5).answer(unknown())]);
    let other = world.repository("dev/other").await;
    world.push_mirror(&other, &registry, "qa/other", |m| m.foreign_layers = true).await;
    world.push(&other, "2.0", &images[1].without(&base)).await;
    world.settled().await;
    let said = world.jobs().await.into_iter().filter_map(|job| job.error).next_back().unwrap();
    assert!(said.contains("it is not stored here"), "{said}");
}

#[tokio::test]
async fn semantics_43_a_copy_started_by_a_person_includes_all_stored_layers() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (_, images) = images(1);
    let here = world.repository("dev/app").await;
    let tag = world.push(&here, "1.0", &images[0]).await;
    let destination = orders::Destination {
        remote: world.remote(&registry).await,
        host: registry.host(),
        repository: "qa/app".parse().unwrap(),
    };
    let shipment = orders::Shipment::by_hand(&tag, "1.0".parse().unwrap());
    let cause = Cause::Asked { author: Author::System };
    let job = ended(&world, orders::push(&here, shipment, &destination, cause, world.now())).await;
    assert_eq!(job.status, Status::Done);
    assert!(registry.has("qa/app", &images[0]));
}
