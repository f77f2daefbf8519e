//! Faults of other registries, and what is mirrored nevertheless.

use crate::support::{ScriptedRegistry, World, world::author};
use axum::http::Method;
use longshore_model::job::orders;
use longshore_model::{
    job::{Cause, Job, JobAction, Status},
    stored::PullMirror,
};
use longshore_oci::media_type;
use longshore_testkit::{
    corpus,
    scripted::{any, on, reply},
};

async fn poll(world: &World, mirror: &PullMirror) -> Job {
    let job = world.enqueue(orders::poll(mirror, Cause::Schedule, None, world.now())).await;
    world.ended(job.id).await
}

#[tokio::test]
async fn semantics_37_one_broken_tag_does_not_block_others_and_is_named() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    for status in [403, 500, 502, 503, 504] {
        let from = format!("up/s{status}");
        for (seed, tag) in ["a", "broken", "z"].into_iter().enumerate() {
            registry.hold(&from, Some(tag), &corpus::image(seed as u64, 1, 100));
        }
        registry.script([any(format!("/v2/{from}/manifests/broken")).status(status)]);
        let here = world.repository(&format!("dev/s{status}")).await;
        let mirror = world.pull_mirror(&here, &registry, &from, |_| {}).await;
        let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
        let job = world.until(async || Some(world.job(job.id).await).filter(|job| job.error.is_some())).await;
        assert_eq!((world.tags(&here).await, job.attempt), (vec!["a".into(), "z".into()], 1), "{status}");
        // A 403 is permanent, and the others are temporary.
        let expected = if status == 403 { Status::Errored } else { Status::Waiting };
        assert_eq!(job.status, expected, "{job:?}");
        let error = job.error.unwrap();
        assert!(error.contains("2 tags mirrored, 1 failed"), "{error}");
        assert!(error.contains("broken") && error.contains(&status.to_string()), "{error}");
        let log = world.log(job.id).await;
        assert!(log.contains(&format!("looking at {from}:broken")), "the request is named: {log}");
    }
}

#[tokio::test]
async fn semantics_37_several_broken_tags_do_not_block_others_in_the_same_run() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    for number in 0..12 {
        registry.hold("up/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 100));
    }
    let broken = ["v00", "v01", "v07"];
    registry.script(broken.map(|tag| any(format!("*/manifests/{tag}")).status(502)));
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    let job = world.until(async || Some(world.job(job.id).await).filter(|job| job.error.is_some())).await;
    assert_eq!((world.tags(&here).await.len(), job.attempt), (9, 1), "{job:?}");
    assert!(job.error.unwrap().contains("9 tags mirrored, 3 failed"));
    let log = world.log(job.id).await;
    assert!(broken.iter().all(|tag| log.contains(&format!("looking at up/app:{tag}"))), "{log}");
}

#[tokio::test]
async fn semantics_37_a_blob_or_manifest_that_always_breaks_does_not_block_other_tags() {
    let world = World::running().await;
    for act in [any("").status(503), any("").status(504), any("").disconnect()] {
        let registry = ScriptedRegistry::start().await;
        let images: Vec<_> = (0..12).map(|seed| corpus::image(seed, 1, 100)).collect();
        for (number, image) in images.iter().enumerate() {
            registry.hold("up/app", Some(&format!("v{number:02}")), image);
        }
        let layer = images[3].blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
        registry.script([act.at(format!("*blobs/{layer}"))]);
        let here = world.repository(&format!("dev/{}", registry.host().replace([':', '.'], "-"))).await;
        let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
        let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
        let job = world.until(async || Some(world.job(job.id).await).filter(|job| job.error.is_some())).await;
        assert_eq!((world.tags(&here).await.len(), job.attempt), (11, 1), "{}", world.log(job.id).await);
        let error = job.error.unwrap();
        assert!(error.contains("11 tags mirrored, 1 failed") && error.contains("v03"), "{error}");
    }
}

#[tokio::test]
async fn semantics_37_a_tag_that_cannot_be_pushed_does_not_block_others() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/manifests/broken*").status(503)]);
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    for number in 0..6 {
        world.push(&dev, &format!("broken{number}"), &corpus::image(number, 1, 100)).await;
    }
    world.push(&dev, "fine", &corpus::image(90, 1, 100)).await;
    world.until(async || registry.tag("their/app", "fine")).await;
    world.push(&dev, "later", &corpus::image(91, 1, 100)).await;
    world.until(async || registry.tag("their/app", "later")).await;
    let is_open = |job: &&Job| job.action == JobAction::PushMirrorTag && !job.status.is_final();
    world.until(async || (world.jobs().await.iter().filter(is_open).count() == 6).then_some(())).await;
    registry.forget_rules();
    world.settled().await;
    assert_eq!(registry.tags("their/app").len(), 8);
}

#[tokio::test]
async fn semantics_37_an_invalid_or_missing_manifest_does_not_block_other_tags() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("up/app", Some("a"), &corpus::image(1, 1, 100));
    registry.hold("up/app", Some("z"), &corpus::image(2, 1, 100));
    registry.hold_manifest("up/app", Some("garbage"), "application/octet-stream", "<<<not a manifest>>>");
    let gone = corpus::image(3, 1, 100);
    registry.hold("up/app", Some("gone"), &gone);
    registry.script([
        on(Method::GET, format!("*/manifests/{}", gone.root)).status(404),
        on(Method::GET, "*/manifests/gone").status(410),
    ]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["a", "z"]);
    let log = world.log(job.id).await;
    assert!(log.contains("garbage: ") && log.contains("gone: "), "{log}");
    assert!(job.error.unwrap().contains("2 tags mirrored, 2 failed"));
}

#[tokio::test]
async fn semantics_04_a_wrong_digest_from_head_is_corrected_and_content_missing_by_digest_is_named() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    registry.hold("up/app", Some("lost"), &image);
    let misnamed = corpus::image(2, 1, 100);
    registry.hold("up/app", Some("misnamed"), &misnamed);
    registry.script([
        on(Method::GET, format!("*/manifests/{}", image.root)).status(404),
        on(Method::HEAD, "*/manifests/misnamed").headers(|headers| {
            let wrong = format!("sha256:{}", "0".repeat(64));
            headers.insert("docker-content-digest", wrong.parse().unwrap());
        }),
    ]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["misnamed"]);
    assert!(world.log(job.id).await.contains("lost: "), "{}", world.log(job.id).await);
    assert!(job.error.unwrap().contains("1 tag mirrored, 1 failed"));
}

#[tokio::test]
async fn semantics_40_a_tag_that_only_head_does_not_find_is_mirrored_and_a_missing_one_is_a_warning() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("up/app", Some("there"), &corpus::image(1, 1, 100));
    registry.list_also("up/app", "ghost");
    registry.script([on(Method::HEAD, "*/manifests/*").status(404)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((world.tags(&here).await, job.status), (vec!["there".to_owned()], Status::Done), "{job:?}");
    let log = world.log(job.id).await;
    assert!(log.contains("up/app:ghost") && log.contains("does not exist"), "{log}");
    assert!(job.outcome.unwrap().contains("1 warning"));
}

#[tokio::test]
async fn semantics_37_referrers_and_digest_tags_that_fail_are_warnings() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    let (name, signature) = corpus::cosign_signature(&image);
    registry.hold("up/app", Some("1.0"), &image);
    registry.hold("up/app", Some(name.as_str()), &signature);
    registry.script([
        on(Method::GET, "*/referrers/*").status(500),
        on(Method::GET, format!("*/manifests/{}", signature.root)).status(502),
    ]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |m| m.common.referrers = true).await;
    let job = poll(&world, &mirror).await;
    let outcome = Some("1 tag mirrored, 2 warnings");
    assert_eq!((job.status, job.outcome.as_deref(), job.attempt), (Status::Done, outcome, 1));
    assert_eq!(world.tags(&here).await, ["1.0"]);
    let log = world.log(job.id).await;
    assert!(log.contains(name.as_str()) && log.contains("listing what refers to"), "{log}");
}

#[tokio::test]
async fn semantics_37_one_failing_referrer_does_not_block_others() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 100);
    let (sbom, signature) = (corpus::sbom(&image), corpus::signature(&image));
    registry.hold("up/app", Some("1.0"), &image);
    registry.hold("up/app", None, &sbom);
    registry.hold("up/app", None, &signature);
    registry.script([on(Method::GET, format!("*/manifests/{}", sbom.root)).status(403)]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |m| m.common.referrers = true).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Done);
    assert!(world.has(&here, &signature).await && !world.has(&here, &sbom).await);
    assert!(job.outcome.unwrap().ends_with("1 signatures and other referrers, 1 warning"));
}

#[tokio::test]
async fn semantics_40_a_403_for_digest_tags_counts_as_not_found() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await.without_referrers();
    registry.hold("up/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry.script([any("*/manifests/sha256-*").status(403)]);
    let here = world.repository("dev/app").await;
    let mirror = world
        .pull_mirror(&here, &registry, "up/app", |m| {
            m.patterns = "1.0".into();
            m.common.referrers = true;
        })
        .await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Done, "{}", world.log(job.id).await);
    assert_eq!(world.tags(&here).await, ["1.0"]);
}

#[tokio::test]
async fn semantics_39_after_the_first_429_no_further_requests_are_sent() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    for number in 0..40 {
        registry.hold("up/app", Some(&format!("v{number:02}")), &corpus::image(number, 1, 100));
    }
    registry.script([on(Method::GET, "*/manifests/*").after(5).answer(reply(429).retry_after(600))]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    let waiting = world
        .until(async || {
            let job = world.job(job.id).await;
            (job.status == Status::Waiting && job.attempt == 1).then_some(job)
        })
        .await;
    assert_eq!(world.tags(&here).await.len(), 5, "earlier content is kept");
    let asked = registry.count(Method::GET, "/manifests/");
    assert!(asked <= 5 + 8, "{asked}");
    assert!(waiting.scheduled_at > world.now() + jiff::SignedDuration::from_mins(9));
    assert!(waiting.error.unwrap().contains("429"));
}

#[tokio::test]
async fn semantics_42_an_index_that_lacks_children_fails_by_itself_and_names_them() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], false);
    let child = index.manifests[0].digest.clone();
    registry.hold("up/app", Some("multi"), &index);
    registry.hold("up/app", Some("plain"), &corpus::image(7, 1, 100));
    registry.lose("up/app", &child);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(world.tags(&here).await, ["plain"]);
    let error = job.error.unwrap();
    assert!(error.contains(child.as_str()) && error.contains("--sparse-manifests"), "{error}");
}

#[tokio::test]
async fn semantics_42_an_index_without_some_children_is_mirrored_and_pushed_on_if_sparse_ones_are_accepted() {
    let mut world = World::accepting(longshore_content::Sparse::Indexes).await;
    world.start();
    let registry = ScriptedRegistry::start().await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], false);
    let child = index.manifests[0].digest.clone();
    registry.hold("up/app", Some("multi"), &index);
    registry.lose("up/app", &child);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!(job.status, Status::Done, "{:?}", job.error);
    assert_eq!(world.tag(&here, "multi").await.unwrap().digest, index.root);
    assert!(world.log(job.id).await.contains(child.as_str()));

    let lenient = ScriptedRegistry::start().await.taking_everything();
    let strict = ScriptedRegistry::start().await;
    let other = world.repository("dev/other").await;
    world.push_mirror(&other, &lenient, "their/app", |_| {}).await;
    world.push_mirror(&other, &strict, "their/app", |_| {}).await;
    let present: Vec<_> =
        index.manifests.iter().filter(|manifest| manifest.digest != child).cloned().collect();
    let sparse = longshore_testkit::Package { manifests: present, ..index.clone() };
    world.push(&other, "multi", &sparse).await;
    let jobs = world.pushes().await;
    assert_eq!(lenient.tag("their/app", "multi"), Some(index.root));
    let refused = jobs.iter().find(|job| job.status == Status::Errored).unwrap();
    assert!(refused.error.as_deref().unwrap().contains(child.as_str()), "{refused:?}");
    assert_eq!(
        strict.count(Method::PUT, "/manifests/multi"),
        1,
        "there is no waiting for a part that is not stored here"
    );
}

#[tokio::test]
async fn semantics_24_a_blob_of_another_length_is_fetched_once_more_from_its_start() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 10_000);
    registry.hold("up/app", Some("1.0"), &image);
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let blob = format!("/v2/up/app/blobs/{}", layer.0);
    let longer = [&layer.1[..], b"and more"].concat();
    registry.script([on(Method::GET, blob).times(1).answer(reply(200).body(longer))]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, job.attempt), (Status::Done, 1), "{}", world.log(job.id).await);
    assert!(world.has(&here, &image).await);
}

#[tokio::test]
async fn semantics_40_content_is_read_whether_a_proxy_compressed_it_or_only_claims_to() {
    let world = World::running().await;
    let says_gzip = |headers: &mut http::HeaderMap| {
        headers.insert("content-encoding", http::HeaderValue::from_static("gzip"));
    };
    let image = corpus::image(1, 1, 400_000);
    let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    for (name, content, has_length, breaks) in [
        ("compressed", any("*").gzipped(), true, false),
        ("in-chunks", any("*").gzipped(), false, false),
        ("broken", any("*").gzipped(), true, true),
        ("says-so", any("*").headers(says_gzip), true, false),
        ("says-so-in-chunks", any("*").headers(says_gzip), false, false),
    ] {
        let registry = ScriptedRegistry::start().await;
        registry.hold("up/app", Some("1.0"), &image);
        registry.script([content]);
        if breaks {
            registry.script([any(format!("*blobs/{layer}")).times(1).break_after(200_000)]);
        }
        if !has_length {
            registry.script([any("*").without("content-length")]);
        }
        let here = world.repository(&format!("dev/{name}")).await;
        let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
        let job = poll(&world, &mirror).await;
        assert_eq!((job.status, job.attempt), (Status::Done, 1), "{name}: {}", world.log(job.id).await);
        assert!(world.has(&here, &image).await, "{name}");
    }
}

#[tokio::test]
async fn semantics_40_an_encoding_that_cannot_be_undone_is_named_with_the_remedy() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("up/app", Some("1.0"), &corpus::image(1, 1, 100));
    registry
        .script([on(Method::GET, "*/blobs/*").answer(reply(200).header("content-encoding", "br").body("?"))]);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let error = poll(&world, &mirror).await.error.unwrap();
    assert!(error.contains("Content-Encoding: br") && error.contains("proxy"), "{error}");
}

#[tokio::test]
async fn semantics_37_an_index_is_named_if_its_type_is_not_a_manifest() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.hold("up/app", Some("good"), &corpus::image(1, 1, 100));
    registry.hold_manifest("up/app", Some("odd"), media_type::OCI_INDEX, "{\"schemaVersion\":2}");
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = poll(&world, &mirror).await;
    assert_eq!((job.status, world.tags(&here).await), (Status::Errored, vec!["good".to_owned()]));
    assert!(job.error.unwrap().contains("odd: "));
}

#[tokio::test]
async fn semantics_09_a_part_that_is_deleted_locally_during_the_pull_is_fetched_again() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], false);
    registry.hold("up/app", Some("1.0"), &index);
    let gated = index.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    registry.gate(&gated);
    let here = world.repository("dev/app").await;
    let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
    let job = world.enqueue(orders::poll(&mirror, Cause::Schedule, None, world.now())).await;
    // One child is stored, and the request for the other is held up.
    let arrived = world
        .until(async || {
            for child in index.manifests.iter().filter(|manifest| manifest.digest != index.root) {
                let reference = child.digest.clone().into();
                if world.content.get_manifest(&here, &reference).await.unwrap().is_some() {
                    return Some(child.digest.clone());
                }
            }
            None
        })
        .await;
    world.content.delete_manifest(&here, &arrived, &author()).await.unwrap();
    registry.open(&gated);
    let job = world.ended(job.id).await;
    assert_eq!(job.status, Status::Done, "{}", world.log(job.id).await);
    assert!(world.has(&here, &index).await);
}

#[tokio::test]
async fn semantics_24_a_registry_that_does_not_support_ranges_is_asked_for_the_whole_blob() {
    let elsewhere = reply(206).header("content-range", "bytes 7-9/400000").body("abc");
    for wrong in [reply(400), reply(403), reply(416), reply(501), elsewhere] {
        let world = World::running().await;
        let registry = ScriptedRegistry::start().await;
        let image = corpus::image(1, 1, 400_000);
        registry.hold("up/app", Some("1.0"), &image);
        let layer = image.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
        registry.script([
            on(Method::GET, format!("*blobs/{layer}")).nth(2).answer(wrong),
            on(Method::GET, format!("*blobs/{layer}")).times(1).break_after(100_000),
        ]);
        let here = world.repository("dev/app").await;
        let mirror = world.pull_mirror(&here, &registry, "up/app", |_| {}).await;
        let job = poll(&world, &mirror).await;
        assert_eq!((job.status, job.attempt), (Status::Done, 1), "{}", world.log(job.id).await);
        assert!(world.has(&here, &image).await);
        assert_eq!(registry.count(Method::GET, layer.as_str()), 3);
    }
}
