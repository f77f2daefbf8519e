//! Push mirrors: what is copied to the other registry, how many requests that takes, and which tags are not changed.

use crate::support::{ScriptedRegistry, World, world::author};
use axum::http::Method;
use longshore_metadata::{Visible, activity, push_mirrors};
use longshore_model::job::orders::{self, Destination, Shipment};
use longshore_model::{
    Author, PageRequest,
    activity::{ActivityFilter, ActivityKind},
    job::{Cause, JobAction, Status},
    policy::RunCode,
    tag::AnswerResult,
};
use longshore_policy::Rules;
use longshore_testkit::{
    corpus::{self, Layer},
    scripted::on,
};

#[tokio::test]
async fn a_pushed_tag_is_copied_completely_to_the_other_registry() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mirror =
        world.push_mirror(&dev, &registry, "their/app", |mirror| mirror.template = "%n-x".into()).await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    let tag = world.push(&dev, "1.0", &index).await;
    world.settled().await;
    assert_eq!(registry.tag("their/app", "1.0-x"), Some(index.root.clone()));
    assert!(registry.has("their/app", &index), "semantics 8: an index is copied whole");
    let verdict = world.verdict(mirror.common.id, &tag).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::Done);
    let stored =
        push_mirrors::get(&mut world.db.read().await.unwrap(), mirror.common.id).await.unwrap().unwrap();
    assert_eq!(stored.common.last_run.code, RunCode::Success);
    assert!(stored.last_mirrored_at.is_some());
    let mut conn = world.db.read().await.unwrap();
    let all = ActivityFilter::default();
    let activity =
        activity::list(&mut conn, &Visible::Everything, &all, &PageRequest::first(50)).await.unwrap();
    assert!(activity.items.iter().any(|entry| entry.kind == ActivityKind::TagSent));
}

#[tokio::test]
async fn a_build_cache_is_promoted_pushed_and_pulled_with_its_layers() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let names = ["dev/cache", "qa/cache", "back/cache"];
    let [dev, qa, back] = [
        world.repository(names[0]).await,
        world.repository(names[1]).await,
        world.repository(names[2]).await,
    ];
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let push = world.push_mirror(&qa, &registry, "their/cache", |_| {}).await;
    let cache = corpus::build_cache(1);
    world.push(&dev, "main", &cache).await;
    world.settled().await;
    assert!(world.has(&qa, &cache).await);
    assert!(registry.has("their/cache", &cache), "{:?}", registry.requests());
    let pull = world.pull_mirror(&back, &registry, "their/cache", |mirror| mirror.remote = push.remote).await;
    let job = world.enqueue(orders::poll(&pull, Cause::Schedule, None, world.now())).await;
    assert_eq!(world.ended(job.id).await.outcome.as_deref(), Some("1 tag mirrored"));
    assert!(world.has(&back, &cache).await);
}

#[tokio::test]
async fn an_unchanged_tag_costs_one_head_and_nothing_else() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let image = corpus::image(1, 2, 100);
    registry.hold("their/app", Some("1.0"), &image);
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let tag = world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(registry.requests(), ["HEAD /v2/their/app/manifests/1.0"]);
    assert_eq!(world.verdict(mirror.common.id, &tag).await.unwrap().result, AnswerResult::Done);
}

#[tokio::test]
async fn a_layer_that_another_repository_there_holds_is_mounted() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let remote = world.push_mirror(&dev, &registry, "their/one", |_| {}).await.remote;
    let shared = Layer::new(1, 50_000);
    world.push(&dev, "1.0", &corpus::image_of(&[shared.clone(), Layer::new(2, 100)])).await;
    world.settled().await;
    let other = world.repository("dev/other").await;
    world.push_mirror(&other, &registry, "their/two", |mirror| mirror.remote = remote).await;
    let image = corpus::image_of(&[shared.clone(), Layer::new(3, 100)]);
    world.push(&other, "1.0", &image).await;
    world.settled().await;
    assert!(registry.has("their/two", &image));
    let digest = shared.digest();
    let moved =
        registry.requests().iter().filter(|r| r.starts_with("PUT") && r.contains(digest.hex())).count();
    assert_eq!(moved, 1, "{:#?}", registry.requests());
    assert_eq!(registry.count(Method::POST, "mount="), 1);
}

#[tokio::test]
async fn layers_that_two_tags_share_are_sent_once() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let shared = Layer::new(1, 300_000);
    for number in 0..6 {
        let image = corpus::image_of(&[shared.clone(), Layer::new(10 + number, 100)]);
        world.push(&dev, &format!("v{number}"), &image).await;
    }
    world.settled().await;
    assert_eq!(registry.tags("their/app").len(), 6);
    let digest = shared.digest();
    let moved =
        registry.requests().iter().filter(|r| r.starts_with("PUT") && r.contains(digest.hex())).count();
    assert_eq!(moved, 1);
}

#[tokio::test]
async fn semantics_01_pushes_that_end_in_any_order_leave_the_other_registry_on_the_newest() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mut changes = Vec::new();
    for seed in 1..=3 {
        changes.push(world.push(&dev, "v", &corpus::image(seed, 1, 100)).await);
    }
    world.settled().await;
    let first = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut mirror = first.clone();
        let there = format!("their/app{}{}{}", order[0], order[1], order[2]);
        mirror.remote_repository = there.parse().unwrap();
        let mut newest = 0;
        for at in order {
            let shipment = Shipment::of(&mirror, &changes[at], "v".parse().unwrap());
            let cause = Cause::Asked { author: author() };
            let job = orders::push(&dev, shipment, &Destination::of(&mirror), cause, world.now());
            let job = world.enqueue(job).await;
            let expected = if at < newest { Status::Superseded } else { Status::Done };
            assert_eq!(world.ended(job.id).await.status, expected, "{order:?} {at}");
            newest = newest.max(at);
        }
        assert_eq!(registry.tag(&there, "v"), Some(changes[2].digest.clone()), "{order:?}");
    }
}

#[tokio::test]
async fn semantics_04_a_remote_tag_that_someone_else_set_is_kept_if_overwriting_is_off() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let (theirs, ours) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    registry.hold("their/app", Some("1.0"), &theirs);
    let mirror = world.push_mirror(&dev, &registry, "their/app", |mirror| mirror.overwrite = false).await;
    let tag = world.push(&dev, "1.0", &ours).await;
    world.settled().await;
    assert_eq!(registry.tag("their/app", "1.0"), Some(theirs.root.clone()));
    let verdict = world.verdict(mirror.common.id, &tag).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::Failed);
    assert!(verdict.consequence.contains("does not overwrite"), "{}", verdict.consequence);
}

#[tokio::test]
async fn semantics_04_an_overwritten_remote_tag_is_recorded() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let theirs = corpus::image(1, 1, 100);
    registry.hold("their/app", Some("1.0"), &theirs);
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let ours = world.push(&dev, "1.0", &corpus::image(2, 1, 100)).await;
    world.settled().await;
    assert_eq!(registry.tag("their/app", "1.0"), Some(ours.digest));
    let job = world.jobs().await.into_iter().find(|job| job.action == JobAction::PushMirrorTag).unwrap();
    assert!(world.log(job.id).await.contains(theirs.root.as_str()), "{}", world.log(job.id).await);
    // A tag that Longshore has set is moved without a warning, even if overwriting is off.
    let again = world.push(&dev, "1.0", &corpus::image(3, 1, 100)).await;
    world.settled().await;
    assert_eq!(registry.tag("their/app", "1.0"), Some(again.digest));
}

#[tokio::test]
async fn semantics_05_the_other_registry_is_told_the_policies_passed() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    world.settled().await;
    assert_eq!(registry.headers_seen("longshore-lineage"), [mirror.common.id.to_string()]);
}

#[tokio::test]
async fn semantics_05_a_tag_is_not_pushed_back_to_its_origin_even_after_a_promotion() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    registry.hold("their/app", Some("1.0"), &image);
    let here = world.repository("dev/mirrored").await;
    let next = world.repository("dev/next").await;
    let pull = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let template = |mirror: &mut longshore_model::stored::PushMirror| mirror.template = "%n-back".to_owned();
    let back = world.push_mirror(&here, &registry, "their/app", template).await;
    world.promotion(&here, &next, longshore_policy::Rules::EveryTag, "%n").await;
    world.push_mirror(&next, &registry, "their/app", template).await;
    let elsewhere = world.push_mirror(&next, &registry, "their/other", |_| {}).await;
    let job = orders::poll(&pull, Cause::Schedule, None, world.now());
    let job = world.enqueue(job).await;
    world.ended(job.id).await;
    world.settled().await;
    assert_eq!(registry.tags("their/app"), ["1.0"]);
    assert_eq!(
        registry.tags("their/other"),
        ["1.0"],
        "another repository of the same remote is not the origin"
    );
    let tag = world.tag(&here, "1.0").await.unwrap();
    let verdict = world.verdict(back.common.id, &tag).await.unwrap();
    assert!(verdict.consequence.contains("it came from"), "{}", verdict.consequence);
    assert!(elsewhere.common.enabled);
}

#[tokio::test]
async fn a_manifest_whose_parts_the_registry_misses_is_put_again_after_checking_them() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let image = corpus::image(1, 2, 100);
    // The registry claims to have a layer, and then does not find it.
    let layer = image.blobs.iter().map(|(digest, _)| digest.clone()).max().unwrap();
    registry.script([on(Method::HEAD, format!("*blobs/{layer}")).times(1).status(200)]);
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert!(registry.has("their/app", &image), "{:#?}", registry.requests());
    assert_eq!(registry.tag("their/app", "1.0"), Some(image.root.clone()));
}

#[tokio::test]
async fn semantics_24_a_temporary_error_is_retried_and_a_permanent_one_ends_the_job() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    registry.script([
        on(Method::HEAD, "*manifests/1.0").times(1).status(503),
        on(Method::PUT, "*manifests/2.0").status(403),
    ]);
    world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    let refused = world.push(&dev, "2.0", &corpus::image(2, 1, 100)).await;
    world.settled().await;
    assert!(registry.tag("their/app", "1.0").is_some());
    let pushes: Vec<_> =
        world.jobs().await.into_iter().filter(|job| job.action == JobAction::PushMirrorTag).collect();
    assert_eq!((pushes[0].status, pushes[0].attempt), (Status::Done, 2));
    assert_eq!((pushes[1].status, pushes[1].attempt), (Status::Errored, 1));
    let error = pushes[1].error.clone().unwrap();
    assert!(error.contains(&registry.host()) && error.contains("403"), "{error}");
    let verdict = world.verdict(mirror.common.id, &refused).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::Failed);
}

#[tokio::test]
async fn semantics_02_a_failed_copy_is_repeated_by_a_push_of_the_same_digest() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |mirror| mirror.template = "%n-%H%M%S%f".into()).await;
    registry.script([on(Method::POST, "*uploads/").times(1).status(403)]);
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert!(registry.tags("their/app").is_empty());
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(registry.tags("their/app").len(), 1);
    let asked: Vec<_> =
        registry.requests().into_iter().filter(|r| r.starts_with("HEAD") && r.contains("1.0-")).collect();
    assert_eq!(asked[0], asked[1], "the name is rendered once");
}

#[tokio::test]
async fn a_person_may_push_one_tag_manually() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let tag = world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    let remote = world.remote(&registry).await;
    let repository = "their/app".parse().unwrap();
    let destination = Destination { remote, host: registry.host(), repository };
    let shipment = Shipment::by_hand(&tag, "by-hand".parse().unwrap());
    let cause = Cause::Asked { author: Author::System };
    let job = world.enqueue(orders::push(&dev, shipment, &destination, cause, world.now())).await;
    let ended = world.ended(job.id).await;
    assert_eq!(ended.status, Status::Done);
    assert_eq!(registry.tag("their/app", "by-hand"), Some(tag.digest));
}
