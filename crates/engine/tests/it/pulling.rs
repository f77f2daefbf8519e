//! Pull mirrors: which tags are mirrored, how many requests that takes, and which tags are not changed.

use crate::support::{ScriptedRegistry, World};
use axum::http::Method;
use longshore_content::Restore;
use longshore_engine::ForeseeError;
use longshore_metadata::{pull_mirrors, work};
use longshore_model::job::orders;
use longshore_model::{
    Author, Provenance, RepositoryState,
    job::{Cause, Job, Status},
    message::Everything,
    policy::{Baseline, RunCode},
    repository::RepositoryChange,
    stored::PullMirror,
};
use longshore_oci::Tag;
use longshore_policy::Rules;
use longshore_testkit::{
    Package, StoredManifest,
    corpus::{self, Layer},
    scripted::{any, on, reply},
};

async fn poll(world: &World, mirror: &PullMirror) -> Job {
    let job = world.enqueue(orders::poll(mirror, Cause::Schedule, None, world.now())).await;
    world.ended(job.id).await
}

#[tokio::test]
async fn tags_that_match_the_patterns_are_mirrored_completely_and_evaluated() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    registry.hold("their/app", Some("1.0"), &index);
    registry.hold("their/app", Some("1.1"), &corpus::docker_image(2, 2, 1_000));
    registry.hold("their/app", Some("nightly"), &corpus::image(3, 1, 100));
    let here = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&here, &qa, Rules::EveryTag, "%n").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.patterns = "1.*".into()).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, job.outcome.as_deref()), (Status::Done, Some("2 tags mirrored")));
    assert_eq!(job.progress.tags_done, 2);
    assert_eq!(job.progress.bytes_done, job.progress.bytes_total);
    assert_eq!(world.tags(&here).await, ["1.0", "1.1"]);
    assert!(world.has(&here, &index).await, "semantics 8: an index is copied whole");
    let tag = world.tag(&here, "1.0").await.unwrap();
    assert!(matches!(tag.provenance, Provenance::Mirror { policy, .. } if policy == mirror.common.id));
    world.settled().await;
    assert_eq!(world.tags(&qa).await, ["1.0", "1.1"], "a tag that arrives is an ordinary new tag");
    let stored =
        pull_mirrors::get(&mut world.db.read().await.unwrap(), mirror.common.id).await.unwrap().unwrap();
    assert_eq!(stored.common.last_run.code, RunCode::Success);
}

#[tokio::test]
async fn an_unchanged_tag_costs_one_head_and_plain_names_are_not_listed() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.patterns = "1.0, 2.0".into()).await;
    poll(&world, &mirror).await;
    registry.forget_requests();
    let job = poll(&world, &mirror).await;
    assert_eq!(job.outcome.as_deref(), Some("no new tags, 1 unchanged, 1 warning"));
    let mut asked = registry.requests();
    asked.sort();
    let (unchanged, absent) = ("/v2/their/app/manifests/1.0", "/v2/their/app/manifests/2.0");
    assert_eq!(asked, [format!("GET {absent}"), format!("HEAD {unchanged}"), format!("HEAD {absent}")]);
}

#[tokio::test]
async fn each_blob_is_fetched_once_in_a_run_however_many_tags_need_it() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let shared = Layer::new(1, 200_000);
    for number in 0..8 {
        let image = corpus::image_of(&[shared.clone(), Layer::new(10 + number, 100)]);
        registry.hold("their/app", Some(&format!("v{number}")), &image);
    }
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    assert_eq!(poll(&world, &mirror).await.status, Status::Done);
    assert_eq!(world.tags(&here).await.len(), 8);
    assert_eq!(registry.count(Method::GET, shared.digest().as_str()), 1);
}

#[tokio::test]
async fn semantics_03_a_saved_mirror_copies_only_tags_that_are_new_or_change_afterwards() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (old, newer) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    registry.hold("their/app", Some("stays"), &old);
    registry.hold("their/app", Some("moves"), &old);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.baseline = Baseline::Pending).await;
    let first = poll(&world, &mirror).await;
    assert_eq!(first.status, Status::Done);
    assert!(world.tags(&here).await.is_empty());
    assert_eq!(registry.count(Method::GET, "/blobs/"), 0);
    registry.hold("their/app", Some("moves"), &newer);
    registry.hold("their/app", Some("comes"), &old);
    let second = poll(&world, &mirror).await;
    assert_eq!(second.status, Status::Done, "{second:?}");
    assert_eq!(world.tags(&here).await, ["comes", "moves"]);
    // *Sync now* and later polls respect the baseline, too.
    poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["comes", "moves"]);
}

#[tokio::test]
async fn semantics_29_a_poll_does_what_its_preview_shows() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (old, newer) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    for name in ["stays", "moves", "ours"] {
        registry.hold("their/app", Some(name), &old);
    }
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    poll(&world, &mirror).await;
    registry.hold("their/app", Some("moves"), &newer);
    registry.hold("their/app", Some("comes"), &newer);
    world.push(&here, "ours", &corpus::image(3, 1, 100)).await;
    registry.forget_requests();

    let plan = world.engine.foresee_poll(&mirror).await.unwrap();
    let names = |tags: &[Tag]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&plan.new), ["comes"]);
    assert_eq!(names(&plan.moved), ["moves"]);
    assert_eq!(names(&plan.left_alone), ["ours"]);
    assert_eq!((plan.unchanged, plan.baseline_only, plan.incomplete), (1, false, None));
    assert_eq!(registry.count(Method::GET, "/manifests/") + registry.count(Method::GET, "/blobs/"), 0);
    assert_eq!(world.tags(&here).await, ["moves", "ours", "stays"], "nothing is changed");

    poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["comes", "moves", "ours", "stays"]);
    registry.script([any("*manifests/comes").times(2).status(403)]);
    let plan = world.engine.foresee_poll(&mirror).await.unwrap();
    let [unread] = &plan.unread[..] else { panic!("one tag cannot be read: {plan:?}") };
    let why = unread.why.sentence(&Everything);
    assert!(unread.tag.as_str() == "comes" && why.contains("403"), "{why}");
    assert_eq!((plan.unchanged, plan.unread_total), (2, 1), "the others are reported");
    registry.script([any("*/tags/list").times(2).status(403)]);
    let Err(ForeseeError::WouldFail(why)) = world.engine.foresee_poll(&mirror).await else {
        panic!("it would fail")
    };
    let failed = why.sentence(&Everything);
    assert!(failed.contains("403"), "{failed}");
}

#[tokio::test]
async fn semantics_03_until_a_complete_baseline_exists_nothing_is_copied() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.script([on(Method::GET, "*tags/list").times(1).status(403)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.baseline = Baseline::Pending).await;
    assert_eq!(poll(&world, &mirror).await.status, Status::Errored);
    let stored =
        pull_mirrors::get(&mut world.db.read().await.unwrap(), mirror.common.id).await.unwrap().unwrap();
    assert_eq!((stored.baseline, stored.common.last_run.code), (Baseline::Pending, RunCode::Failed));
    assert_eq!(poll(&world, &mirror).await.status, Status::Done);
    assert!(world.tags(&here).await.is_empty());
}

#[tokio::test]
async fn semantics_35_a_listed_tag_whose_digest_cannot_be_read_is_recorded_and_completed_later() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.hold("their/app", Some("2.0"), &corpus::image(2, 1, 100));
    registry.script([
        on(Method::HEAD, "*manifests/1.0").times(1).status(403),
        on(Method::GET, "*manifests/1.0").times(1).status(403),
    ]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.baseline = Baseline::Pending).await;
    for _ in 0..3 {
        assert_eq!(poll(&world, &mirror).await.status, Status::Done);
        assert!(world.tags(&here).await.is_empty());
    }
    registry.hold("their/app", Some("1.0"), &corpus::image(3, 1, 100));
    poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["1.0"]);
}

#[tokio::test]
async fn semantics_22_a_tag_that_a_person_restored_is_not_changed_until_it_is_released() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let images = [corpus::image(1, 1, 100), corpus::image(2, 1, 100), corpus::image(3, 1, 100)];
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let mut first = None;
    for image in &images[..2] {
        registry.hold("their/app", Some("1.0"), image);
        assert_eq!(poll(&world, &mirror).await.status, Status::Done);
        first.get_or_insert(world.tag(&here, "1.0").await.unwrap().revision);
    }
    let restore = Restore {
        repository: here.clone(),
        tag: "1.0".parse().unwrap(),
        revision: first.unwrap(),
        quietly: false,
        author: Author::User { name: "amelia".parse().unwrap() },
        window: jiff::SignedDuration::from_hours(24),
    };
    let pinned = world.content.restore_tag(restore).await.unwrap();
    assert_eq!(pinned.provenance.pinned_from(), Some(mirror.common.id));

    registry.hold("their/app", Some("1.0"), &images[2]);
    let job = poll(&world, &mirror).await;
    let told = "no new tags, 1 pinned and left alone until somebody releases them";
    assert_eq!((job.status, job.outcome.as_deref()), (Status::Done, Some(told)));
    let log = world.log(job.id).await;
    assert!(log.contains("dev/app:1.0 is pinned at") && log.contains("amelia restored it"), "{log}");
    assert_eq!(world.tag(&here, "1.0").await.unwrap().digest, images[0].root);

    let name = "1.0".parse().unwrap();
    world.content.release_tag(&here, &name, &Author::System).await.unwrap().unwrap();
    assert_eq!(poll(&world, &mirror).await.outcome.as_deref(), Some("1 tag mirrored"));
    assert_eq!(world.tag(&here, "1.0").await.unwrap().digest, images[2].root);
}

#[tokio::test]
async fn a_poll_that_exceeds_the_quota_ends_with_the_reason() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.hold("their/app", Some("2.0"), &corpus::image(2, 1, 50_000));
    let here = world.repository("dev/app").await;
    let namespace = here.name.to_namespace();
    world.write(work!(|tx| longshore_metadata::storage::set_quota(tx, &namespace, Some(10_000)).await)).await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, job.attempt), (Status::Errored, 1));
    let error = job.error.unwrap();
    assert!(error.contains("2.0: the namespace dev may hold 10.0 kB"), "{error}");
    assert_eq!(world.tags(&here).await, ["1.0"]);
}

#[tokio::test]
async fn semantics_04_a_tag_that_moves_while_it_is_copied_is_read_again() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (old, new) = (corpus::image(1, 2, 50_000), corpus::image(2, 2, 50_000));
    registry.hold("their/app", Some("1.0"), &old);
    let layer = old.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.gate(&layer);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    world.until(async || (registry.count(Method::GET, layer.as_str()) > 0).then_some(())).await;
    // The tag moves, and the old image and its layers are deleted at the remote.
    registry.hold("their/app", Some("1.0"), &new);
    registry.script([on(Method::GET, format!("*blobs/{layer}")).times(9).status(404)]);
    registry.script([on(Method::GET, format!("*manifests/{}", old.root)).times(9).status(404)]);
    for (digest, _) in &old.blobs {
        registry.script([on(Method::GET, format!("*blobs/{digest}")).times(9).status(404)]);
    }
    registry.open(&layer);
    let ended = world.ended(job.id).await;
    assert_eq!(ended.status, Status::Done, "{}", world.log(job.id).await);
    let tag = world.tag(&here, "1.0").await.unwrap();
    assert!(tag.digest == new.root || tag.digest == old.root && world.has(&here, &old).await);
}

#[tokio::test]
async fn semantics_04_a_tag_whose_content_stays_missing_fails_after_three_attempts() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    registry.hold("their/app", Some("1.0"), &image);
    registry.hold("their/app", Some("2.0"), &corpus::image(2, 1, 100));
    let (layer, _) = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    registry.script([on(Method::GET, format!("*blobs/{layer}")).times(9).status(404)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Errored);
    assert_eq!(registry.count(Method::GET, layer.as_str()), 3);
    assert_eq!(world.tags(&here).await, ["2.0"], "the failure of one tag does not block others");
}

#[tokio::test]
async fn semantics_06_digest_tags_are_not_counted_or_matched_and_are_mirrored_with_their_image() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let (image, other) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    let (name, signature) = corpus::cosign_signature(&image);
    let (foreign, unrelated) = corpus::cosign_signature(&other);
    registry.hold("their/app", Some("1.0"), &image);
    registry.hold("their/app", Some(name.as_str()), &signature);
    registry.hold("their/app", Some(foreign.as_str()), &unrelated);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.common.referrers = true).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.progress.tags_total, 1);
    assert_eq!(world.tags(&here).await, ["1.0", name.as_str()]);
    assert!(world.has(&here, &signature).await);
}

#[tokio::test]
async fn semantics_07_referrers_are_mirrored_with_their_image_and_later_ones_in_the_next_run() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    let (sbom, signature) = (corpus::sbom(&image), corpus::signature(&image));
    registry.hold("their/app", Some("1.0"), &image);
    registry.hold("their/app", None, &sbom);
    let here = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&here, &qa, Rules::EveryTag, "%n").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.common.referrers = true).await;
    poll(&world, &mirror).await;
    assert!(world.has(&here, &sbom).await);
    registry.hold("their/app", None, &signature);
    poll(&world, &mirror).await;
    assert!(world.has(&here, &signature).await);
    world.settled().await;
    assert!(world.has(&qa, &sbom).await && world.has(&qa, &signature).await);
}

#[tokio::test]
async fn semantics_09_a_tag_whose_layer_the_remote_lacks_is_not_set() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 2, 100);
    registry.hold("their/app", Some("1.0"), &image);
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.script([on(Method::GET, format!("*blobs/{layer}")).times(99).status(404)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Errored);
    assert!(world.tags(&here).await.is_empty());
    assert!(job.error.unwrap().contains(&registry.host()));
}

#[tokio::test]
async fn semantics_18_a_repository_in_state_mirror_is_written_by_its_mirror_and_a_read_only_one_by_nobody() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    for (name, state, expected) in [
        ("dev/one", RepositoryState::Mirror, Status::Done),
        ("dev/two", RepositoryState::ReadOnly, Status::Errored),
    ] {
        let here = world.repository(name).await;
        let (id, now) = (here.id, world.now());
        let change = RepositoryChange { state: Some(state), ..RepositoryChange::default() };
        world
            .write(work!(|tx| longshore_metadata::repositories::update(tx, id, &change, now).await.map(drop)))
            .await;
        let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
        assert_eq!(poll(&world, &mirror).await.status, expected);
    }
}

#[tokio::test]
async fn semantics_20_a_tag_that_someone_else_set_is_not_changed_but_reported() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.hold("their/app", Some("2.0"), &corpus::image(2, 1, 100));
    let here = world.repository("dev/app").await;
    let ours = world.push(&here, "1.0", &corpus::image(9, 1, 100)).await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Done);
    assert!(job.outcome.unwrap().contains("1 left alone"));
    assert!(world.log(job.id).await.contains("dev/app:1.0 was not made by this mirror"));
    assert_eq!(world.tag(&here, "1.0").await.unwrap().digest, ours.digest);
    assert!(world.tag(&here, "2.0").await.is_some());
    // A tag that the mirror has set follows the remote.
    let moved = corpus::image(3, 1, 100);
    registry.hold("their/app", Some("2.0"), &moved);
    poll(&world, &mirror).await;
    assert_eq!(world.tag(&here, "2.0").await.unwrap().digest, moved.root);
}

#[tokio::test]
async fn semantics_24_wrong_bytes_are_discarded_and_fetched_once_more() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 10_000);
    registry.hold("their/app", Some("1.0"), &image);
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.script([on(Method::GET, format!("*blobs/{layer}")).times(1).wrong_bytes()]);
    registry.script([on(Method::GET, format!("*manifests/{}", image.root)).times(1).wrong_bytes()]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, job.attempt), (Status::Done, 1), "{}", world.log(job.id).await);
    assert!(world.has(&here, &image).await);
    assert_eq!(job.progress.bytes_done, job.progress.bytes_total);
}

#[tokio::test]
async fn semantics_24_a_broken_connection_is_resumed_by_range() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 400_000);
    registry.hold("their/app", Some("1.0"), &image);
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.script([on(Method::GET, format!("*blobs/{layer}")).times(2).break_after(100_000)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, job.attempt), (Status::Done, 1), "{}", world.log(job.id).await);
    assert!(world.has(&here, &image).await);
    assert_eq!(registry.headers_seen("range"), ["bytes=100000-", "bytes=200000-"]);
}

#[tokio::test]
async fn semantics_24_retry_after_is_honoured() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("their/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.script([on(Method::GET, "*tags/list").times(1).answer(reply(429).retry_after(1800))]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    let waiting = world
        .until(async || {
            let job = world.job(job.id).await;
            (job.status == Status::Waiting && job.attempt == 1).then_some(job)
        })
        .await;
    assert!(waiting.scheduled_at > world.now() + jiff::SignedDuration::from_mins(29));
    assert!(waiting.error.unwrap().contains("429"));
}

#[tokio::test]
async fn semantics_28_a_mirror_whose_source_is_a_registry_on_this_machine_works() {
    // This server's own address is allowed like any other, and so is loopback.
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    registry.hold("dev/app", Some("1.0"), &image);
    let here = world.repository("qa/app").await;
    let mirror = world.pull_mirror(&here, &registry, "dev/app", |_| {}).await;
    assert_eq!(poll(&world, &mirror).await.status, Status::Done);
    assert!(world.has(&here, &image).await);
}

#[tokio::test]
async fn the_list_of_referrers_of_a_registry_without_the_api_is_read() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await.without_referrers();
    let image = corpus::image(1, 1, 100);
    let sbom = corpus::sbom(&image);
    registry.hold("their/app", Some("1.0"), &image);
    registry.hold("their/app", None, &sbom);
    let list = list_of(&sbom);
    let name = Tag::referrers_of(&image.root);
    registry.hold("their/app", Some(name.as_str()), &list);
    let here = world.repository("dev/app").await;
    let mirror = world
        .pull_mirror(&here, &registry, "their/app", |m| {
            m.common.referrers = true;
            m.patterns = "1.0".to_owned();
        })
        .await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Done, "{}", world.log(job.id).await);
    assert!(world.has(&here, &sbom).await);
    assert_eq!(world.tags(&here).await, ["1.0", name.as_str()]);
}

#[tokio::test]
async fn patterns_that_match_no_tag_cause_a_warning() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    for tag in ["1.0", "1.1"] {
        registry.hold("their/app", Some(tag), &corpus::image(1, 1, 100));
    }
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.patterns = "v1.*".into()).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, job.outcome.as_deref()), (Status::Done, Some("no new tags, 1 warning")));
    let log = world.log(job.id).await;
    assert!(log.contains("none of the 2 tags at") && log.contains("matches “v1.*”"), "{log}");

    // A repository without tags causes no warning about the patterns.
    let empty = world.repository("dev/empty").await;
    registry.hold("their/none", None, &corpus::image(1, 1, 100));
    let mirror = world.pull_mirror(&empty, &registry, "their/none", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.outcome.as_deref(), Some("no new tags"));
}

#[tokio::test]
async fn a_registry_without_the_referrers_api_gets_requests_only_for_listed_tags() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await.without_referrers();
    for number in 0..60 {
        registry.hold("their/app", Some(&format!("v{number}")), &corpus::image(number, 1, 100));
    }
    let (signed, sbom) = (corpus::image(7, 1, 100), corpus::sbom(&corpus::image(7, 1, 100)));
    let list = list_of(&sbom);
    let name = Tag::referrers_of(&signed.root);
    registry.hold("their/app", None, &sbom);
    registry.hold("their/app", Some(name.as_str()), &list);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "their/app", |m| m.common.referrers = true).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Done, "{}", world.log(job.id).await);
    assert!(world.has(&here, &sbom).await, "listed tags are requested");
    // The requests sent at the same time, and the few that are needed to find out.
    let asked = registry.count(Method::GET, "/referrers/");
    assert!(asked <= 11, "the API was asked {asked} times");
    let by_name = registry.requests().into_iter().filter(|line| line.contains("/manifests/sha256-"));
    let others: Vec<String> = by_name.filter(|line| !line.contains(name.as_str())).collect();
    assert_eq!(others, [""; 0]);
}

/// The manifest of the fallback tag in a registry without the referrers API: an index that lists one referrer.
fn list_of(referrer: &Package) -> Package {
    let list = serde_json::json!({
        "schemaVersion": 2, "mediaType": longshore_oci::media_type::OCI_INDEX, "manifests": [referrer.descriptor()],
    });
    let bytes = serde_json::to_vec(&list).unwrap();
    let root = corpus::digest_of(&bytes);
    let manifest = StoredManifest {
        digest: root.clone(),
        media_type: longshore_oci::media_type::OCI_INDEX.to_owned(),
        bytes: bytes.into(),
    };
    Package { manifests: vec![manifest], blobs: Vec::new(), root }
}
