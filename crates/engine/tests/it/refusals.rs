//! Pushes that other registries refuse in part, and what is sent nevertheless.

use crate::support::{ScriptedRegistry, World};
use axum::http::Method;
use longshore_model::{job::Status, policy::RunCode, tag::AnswerResult};
use longshore_testkit::{
    corpus,
    scripted::{any, on, reply},
};

#[tokio::test]
async fn semantics_37_the_image_is_pushed_although_its_signature_is_refused() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    let image = corpus::image(1, 1, 100);
    let (signature, (name, cosign)) = (corpus::signature(&image), corpus::cosign_signature(&image));
    world.push_untagged(&dev, &image).await;
    world.push_untagged(&dev, &signature).await;
    world.push(&dev, name.as_str(), &cosign).await;
    registry.script([
        on(Method::PUT, format!("*/manifests/{}", signature.root))
            .answer(reply(403).error("DENIED", "no artifacts")),
        on(Method::PUT, format!("*/manifests/{name}")).status(405),
    ]);
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let tag = world.push(&dev, "1.0", &image).await;
    let jobs = world.pushes().await;
    assert_eq!(registry.tag("their/app", "1.0"), Some(image.root.clone()));
    assert_eq!(jobs.len(), 1, "a permanently refused referrer gets no job of its own");
    assert_eq!(jobs[0].status, Status::Done);
    assert!(jobs[0].outcome.as_deref().unwrap().ends_with(", 2 warnings"), "{:?}", jobs[0].outcome);
    assert!(world.log(jobs[0].id).await.contains("no artifacts"));
    let lines = registry.requests();
    let at =
        |part: &str| lines.iter().position(|line| line.starts_with("PUT") && line.contains(part)).unwrap();
    assert!(at("manifests/1.0") < at(signature.root.as_str()), "the image goes first: {lines:#?}");
    assert_eq!(world.verdict(mirror.common.id, &tag).await.unwrap().result, AnswerResult::Done);
    let mut conn = world.db.read().await.unwrap();
    let stored = longshore_metadata::push_mirrors::get(&mut conn, mirror.common.id).await.unwrap();
    assert_eq!(stored.unwrap().common.last_run.code, RunCode::Success);
}

#[tokio::test]
async fn semantics_40_a_403_for_a_new_tag_counts_as_not_found_and_the_put_decides() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/manifests/*").when(|asked| asked.method != Method::PUT).status(403)]);
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |mirror| mirror.overwrite = false).await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    world.push(&dev, "1.0", &index).await;
    assert_eq!(world.pushes().await[0].status, Status::Done);
    assert_eq!(registry.tag("their/app", "1.0"), Some(index.root));
}

#[tokio::test]
async fn semantics_40_whatever_a_registry_answers_for_missing_content_the_put_decides() {
    let world = World::running().await;
    for (status, code) in [
        (400, "NAME_INVALID"),
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (404, "NAME_UNKNOWN"),
        (410, "NAME_UNKNOWN"),
    ] {
        let registry = ScriptedRegistry::start().await;
        let is_question =
            |asked: &longshore_testkit::scripted::Asked| matches!(asked.method, Method::HEAD | Method::GET);
        let answer = reply(status).error(code, "no such thing");
        registry.script([any("*/their/*").when(is_question).answer(answer)]);
        let dev = world.repository(&format!("dev/s{status}")).await;
        world.push_mirror(&dev, &registry, "their/app", |mirror| mirror.overwrite = false).await;
        let image = corpus::image(1, 1, 100);
        world.push(&dev, "1.0", &image).await;
        let jobs = world.pushes().await;
        assert_eq!(registry.tag("their/app", "1.0"), Some(image.root), "{status}: {:#?}", jobs.last());
    }
}

#[tokio::test]
async fn semantics_40_parts_that_a_registry_does_not_find_yet_are_waited_for() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::PUT, "*/manifests/1.0")
        .times(2)
        .answer(reply(404).error("MANIFEST_BLOB_UNKNOWN", "not yet"))]);
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let image = corpus::image(1, 2, 100);
    world.push(&dev, "1.0", &image).await;
    let jobs = world.pushes().await;
    assert_eq!((jobs[0].status, jobs[0].attempt), (Status::Done, 1), "{:?}", jobs[0].error);
    assert_eq!(registry.tag("their/app", "1.0"), Some(image.root));
    assert_eq!(registry.count(Method::POST, "/uploads/"), image.blobs.len(), "no blob is sent twice");
}

#[tokio::test]
async fn semantics_40_content_that_a_registry_claims_to_have_and_does_not_find_is_sent_again() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let index = corpus::index(1, &["linux/amd64", "linux/arm64"], false);
    let registry = ScriptedRegistry::start().await;
    let digests = index.manifests.iter().filter(|manifest| manifest.digest != index.root);
    let lies = digests.map(|manifest| format!("*manifests/{}", manifest.digest));
    // The responses of a cache that outlived a garbage collection.
    registry.script(lies.map(|path| {
        let digest = path.rsplit('/').next().unwrap().to_owned();
        on(Method::HEAD, path).answer(reply(200).header("docker-content-digest", digest))
    }));
    registry.script([on(Method::HEAD, "*/blobs/*").status(200)]);
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    world.push(&dev, "1.0", &index).await;
    let jobs = world.pushes().await;
    assert_eq!((jobs[0].status, jobs[0].attempt), (Status::Done, 1), "{:?}", jobs[0].error);
    assert!(registry.has("their/app", &index), "{:#?}", registry.requests());
    assert_eq!(registry.count(Method::POST, "/uploads/"), index.blobs.len(), "each blob is sent once");
}

#[tokio::test]
async fn semantics_40_a_manifest_is_put_again_if_the_refusal_may_be_temporary() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let image = corpus::image(1, 1, 100);
    let page = reply(404).typed("text/html", "<h1>default backend</h1>");
    let refusals = [
        ("page", 4, page),
        ("harbor", 4, reply(404).error("NOT_FOUND", "artifact not found")),
        ("conflict", 4, reply(409).error("CONFLICT", "try again")),
        ("invalid", 1, reply(400).error("MANIFEST_INVALID", "manifest invalid")),
    ];
    for (name, times, refusal) in refusals {
        let registry = ScriptedRegistry::start().await;
        registry.script([on(Method::PUT, "*/manifests/*").times(times).answer(refusal)]);
        world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
        world.push(&dev, name, &image).await;
        world.settled().await;
        assert_eq!(registry.tag("their/app", name), Some(image.root.clone()), "{name}");
        assert_eq!(registry.count(Method::PUT, "/manifests/"), times + 1, "{name}");
    }
}

#[tokio::test]
async fn a_refusal_to_move_a_tag_or_to_accept_a_manifest_is_final() {
    let world = World::running().await;
    let image = corpus::image(1, 1, 100);
    let refusals = [
        ("tag", 1, reply(409).error("TAG_IMMUTABLE", "no")),
        ("words", 1, reply(409).error("CONFLICT", "the tag is configured as immutable")),
        ("harbor", 1, reply(412).error("PRECONDITION", "no")),
        ("invalid", 2, reply(400).error("MANIFEST_INVALID", "manifest invalid")),
        ("gone", 5, reply(404)),
    ];
    for (name, puts, refusal) in refusals {
        let dev = world.repository(&format!("dev/{name}")).await;
        let registry = ScriptedRegistry::start().await;
        registry.script([on(Method::PUT, "*/manifests/*").answer(refusal)]);
        world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
        world.push(&dev, "1.0", &image).await;
        world.settled().await;
        assert_eq!(registry.count(Method::PUT, "/manifests/"), puts, "{name}");
    }
    let jobs = world.pushes().await;
    assert!(jobs.iter().all(|job| job.status == Status::Errored && job.attempt == 1), "{jobs:#?}");
}

#[tokio::test]
async fn semantics_40_a_mount_that_fails_for_any_reason_becomes_an_upload() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let image = corpus::image(1, 1, 20_000);
    for (status, name) in [(200, "a"), (202, "b"), (400, "c"), (403, "d"), (404, "e"), (405, "f"), (500, "g")]
    {
        let registry = ScriptedRegistry::start().await;
        let remote = world.push_mirror(&dev, &registry, "their/one", |_| {}).await;
        world.push(&dev, &format!("one-{name}"), &image).await;
        world.settled().await;
        registry.script([on(Method::POST, "*uploads/?mount=*").status(status)]);
        let other = world.repository(&format!("dev/{name}")).await;
        world.push_mirror(&other, &registry, "their/two", |mirror| mirror.remote = remote.remote).await;
        world.push(&other, "1.0", &image).await;
        world.settled().await;
        assert!(registry.count(Method::POST, "mount=") > 0, "{status}");
        assert!(registry.has("their/two", &image), "{status}: {:#?}", world.jobs().await.last());
    }
}
