//! Referrers and digest tags that arrive after their image was promoted or mirrored (semantics 6, 7).

use crate::support::{ScriptedRegistry, World, world::rule};
use longshore_metadata::{promotions, push_mirrors, work};
use longshore_oci::{Manifest, Tag, media_type};
use longshore_policy::Rules;
use longshore_testkit::corpus;

#[tokio::test]
async fn semantics_07_a_signature_after_the_promotion_follows_its_image_along_the_chain() {
    let world = World::running().await;
    let [dev, qa, prod] = [
        world.repository("dev/app").await,
        world.repository("qa/app").await,
        world.repository("prod/app").await,
    ];
    world.promotion(&dev, &qa, rule("ew", "stable"), "%n").await;
    world.promotion(&qa, &prod, rule("ew", "stable"), "%n").await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0-stable", &image).await;
    world.settled().await;
    let (sbom, (name, signature)) = (corpus::sbom(&image), corpus::cosign_signature(&image));
    world.push_untagged(&dev, &sbom).await;
    world.push(&dev, name.as_str(), &signature).await;
    world.settled().await;
    for repository in [&qa, &prod] {
        assert!(world.has(repository, &sbom).await, "{}", repository.name);
        assert_eq!(world.tags(repository).await, ["1.0-stable", name.as_str()]);
        let referrers = world.content.referrers(repository, &image.root, None, None, None).await.unwrap();
        assert_eq!(referrers.descriptors.len(), 1);
    }
}

#[tokio::test]
async fn semantics_07_a_referrer_of_an_image_that_was_not_copied_is_not_copied_either() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, rule("ew", "stable"), "%n").await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0-dev", &image).await;
    world.push_untagged(&dev, &corpus::sbom(&image)).await;
    world.settled().await;
    assert!(!world.has(&qa, &corpus::sbom(&image)).await);
}

#[tokio::test]
async fn semantics_07_a_signature_after_the_mirroring_follows_its_image_to_the_other_registry() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let dev = world.repository("dev/app").await;
    world.push_mirror(&dev, &registry, "their/app", |mirror| mirror.rules = rule("sw", "1.").into()).await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(registry.tag("their/app", "1.0"), Some(image.root.clone()));
    let (sbom, (name, signature)) = (corpus::sbom(&image), corpus::cosign_signature(&image));
    world.push_untagged(&dev, &sbom).await;
    world.push(&dev, name.as_str(), &signature).await;
    world.settled().await;
    assert!(registry.has("their/app", &sbom));
    assert!(registry.has("their/app", &signature));
    assert_eq!(registry.tags("their/app"), ["1.0", name.as_str()]);
}

#[tokio::test]
async fn semantics_07_referrers_are_pushed_with_their_image_to_a_registry_without_the_referrers_api() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await.without_referrers();
    let dev = world.repository("dev/app").await;
    let image = corpus::image(1, 1, 100);
    let (sbom, signature) = (corpus::sbom(&image), corpus::signature(&image));
    world.push_untagged(&dev, &sbom).await;
    world.push_untagged(&dev, &signature).await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert!(registry.has("their/app", &sbom) && registry.has("their/app", &signature));
    let list =
        registry.tag("their/app", Tag::referrers_of(&image.root).as_str()).expect("a list of referrers");
    let list = registry.manifest("their/app", &list).unwrap();
    let list = Manifest::parse(&list, Some(media_type::OCI_INDEX)).unwrap();
    let mut listed: Vec<_> = list.manifests().iter().map(|entry| entry.digest.clone()).collect();
    let mut expected = vec![sbom.root.clone(), signature.root.clone()];
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn semantics_07_a_signature_on_a_child_of_an_index_follows_the_index() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let child = corpus::image(7, 1, 100);
    let index = corpus::index(7, &["linux/amd64"], false);
    world.push(&dev, "1.0", &index).await;
    world.settled().await;
    let first = index.manifests[0].clone();
    let subject =
        longshore_testkit::Package { root: first.digest.clone(), manifests: vec![first], blobs: vec![] };
    let signature = corpus::signature(&subject);
    world.push_untagged(&dev, &signature).await;
    world.settled().await;
    assert!(world.has(&qa, &signature).await);
    assert!(!world.has(&qa, &child).await);
}

#[tokio::test]
async fn semantics_07_a_deleted_policy_does_not_hide_the_one_that_replaces_it() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let [dev, qa] = [world.repository("dev/app").await, world.repository("qa/app").await];
    let promotion = world.promotion(&dev, &qa, Rules::EveryTag, "%n").await.common.id;
    let mirror = world.push_mirror(&dev, &registry, "their/app", |_| {}).await.common.id;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    let now = world.now();
    world
        .write(work!(|tx| {
            promotions::delete(tx, promotion, now).await?;
            push_mirrors::delete(tx, mirror, now).await
        }))
        .await;
    let lonely = corpus::sbom(&image);
    world.push_untagged(&dev, &lonely).await;
    world.settled().await;
    assert!(!world.has(&qa, &lonely).await, "no policy targets it any more");

    // The new policies have copied nothing themselves, but the image is at their targets.
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let signature = corpus::signature(&image);
    world.push_untagged(&dev, &signature).await;
    world.settled().await;
    assert!(world.has(&qa, &signature).await);
    assert!(registry.has("their/app", &signature));
}

#[tokio::test]
async fn semantics_07_the_late_signature_of_an_sbom_follows_the_image_everywhere() {
    let world = World::running().await;
    let registry = ScriptedRegistry::start().await;
    let [dev, qa, prod] = [
        world.repository("dev/app").await,
        world.repository("qa/app").await,
        world.repository("prod/app").await,
    ];
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    world.promotion(&qa, &prod, Rules::EveryTag, "%n").await;
    world.push_mirror(&dev, &registry, "their/app", |_| {}).await;
    let image = corpus::image(1, 1, 100);
    let sbom = corpus::sbom(&image);
    world.push_untagged(&dev, &sbom).await;
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    let (signature, (name, cosign)) = (corpus::signature(&sbom), corpus::cosign_signature(&sbom));
    world.push_untagged(&dev, &signature).await;
    world.push(&dev, name.as_str(), &cosign).await;
    world.settled().await;
    for repository in [&qa, &prod] {
        assert!(world.has(repository, &signature).await, "{}", repository.name);
        assert_eq!(
            world.tag(repository, name.as_str()).await.map(|tag| tag.digest),
            Some(cosign.root.clone())
        );
    }
    assert!(registry.has("their/app", &signature) && registry.has("their/app", &cosign));
}

#[tokio::test]
async fn semantics_07_a_signature_that_arrived_before_its_sbom_is_sent_with_it() {
    let world = World::running().await;
    let [dev, qa] = [world.repository("dev/app").await, world.repository("qa/app").await];
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    let sbom = corpus::sbom(&image);
    let signature = corpus::signature(&sbom);
    world.push_untagged(&dev, &signature).await;
    world.settled().await;
    assert!(!world.has(&qa, &signature).await);
    world.push_untagged(&dev, &sbom).await;
    world.settled().await;
    assert!(world.has(&qa, &sbom).await && world.has(&qa, &signature).await);
}
