//! Blobs, uploads and manifests: which repository has them, and which parts a manifest needs.

use crate::on_both;
use crate::scene::{Scene, at, digest, image_json, index_json, put};
use longshore_metadata::Visible;
use longshore_metadata::deletion::{self, DeleteOutcome};
use longshore_metadata::manifests::ReferrersWanted;
use longshore_metadata::uploads::Saved;
use longshore_metadata::{blobs, manifests, repositories, tags, uploads, work};
use longshore_model::{Author, BootId, UploadId};
use longshore_oci::{Algorithm, Digest, Manifest};

on_both![
    a_blob_is_visible_only_in_repositories_that_link_it,
    a_blob_is_found_only_through_repositories_that_the_reader_may_see,
    an_upload_advances_only_from_its_current_offset,
    only_the_server_that_claimed_an_upload_advances_it_until_the_claim_expires,
    a_linked_manifest_is_returned_byte_for_byte,
    semantics_09_the_missing_parts_of_a_manifest_are_listed,
    semantics_08_a_tree_is_linked_completely_without_copying_bytes,
    a_tree_lists_a_manifest_before_its_parts,
    semantics_43_tagged_images_that_lack_foreign_layers_are_found_also_through_indexes,
    referrers_are_found_by_subject_and_type,
    pages_of_referrers_are_limited_by_entries_and_bytes,
    deleting_a_manifest_deletes_its_tags,
];

async fn a_blob_is_visible_only_in_repositories_that_link_it(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    scene.image(&dev, 1).await;
    let blob = digest(1, 1);
    let conn = &mut scene.read().await;
    let (here, since) = blobs::linked(conn, dev.id, &blob).await.unwrap().unwrap();
    assert_eq!(since, at(0));
    assert_eq!((here.size, here.location), (10, format!("blobs/{blob}")));
    assert_eq!(blobs::linked(conn, qa.id, &blob).await.unwrap(), None);
    assert_eq!(blobs::find(conn, &blob).await.unwrap().unwrap().size, 10);
    let unlinked = blob.clone();
    let touch = async || {
        let (blob, now) = (blob.clone(), at(5));
        scene.write(work!(|tx| blobs::touch(tx, dev.id, &blob, now).await)).await
    };
    assert!(touch().await);
    assert!(scene.write(work!(|tx| blobs::unlink(tx, dev.id, &unlinked).await)).await);
    assert!(!touch().await, "it is no longer linked");
    assert_eq!(blobs::linked(conn, dev.id, &blob).await.unwrap(), None);
}

async fn a_blob_is_found_only_through_repositories_that_the_reader_may_see(scene: Scene) {
    let (dev, open) = (scene.repository("dev/app").await, scene.public_repository("dev/open").await);
    scene.image(&dev, 1).await;
    scene.image(&open, 2).await;
    let namespaces = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let of = |public, names: &[&str]| Visible::Of { public, namespaces: namespaces(names) };
    for (visible, private, public) in [
        (Visible::Everything, true, true),
        (of(true, &[]), false, true),
        (of(false, &["dev"]), true, true),
        (of(true, &["qa", "de"]), false, true),
        (of(false, &["qa"]), false, false),
    ] {
        let seen = async |digest| {
            blobs::linked_in_any(&mut scene.read().await, &visible, &digest).await.unwrap().is_some()
        };
        let found = (seen(digest(1, 1)).await, seen(digest(2, 1)).await);
        assert_eq!(found, (private, public), "{visible:?}");
        assert!(!seen(digest(9, 9)).await, "{visible:?}");
    }
    scene.write(work!(|tx| repositories::delete(tx, dev.id, &Author::System, at(1)).await)).await;
    let gone = blobs::linked_in_any(&mut scene.read().await, &Visible::Everything, &digest(1, 1)).await;
    assert_eq!(gone.unwrap(), None, "nobody can read a deleted repository");
}

async fn an_upload_advances_only_from_its_current_offset(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let upload = UploadId::new();
    scene.write(work!(|tx| uploads::create(tx, upload, dev.id, Algorithm::Sha256, b"0", at(0)).await)).await;
    let me = BootId::new();
    let advance = |from, to, state: &'static [u8]| {
        let saved = Saved { from, to, hash_state: state.to_vec(), bookmark: Some(format!("to {to}")) };
        scene.write(work!(|tx| uploads::advance(tx, upload, me, &saved, at(1)).await))
    };
    assert!(advance(0, 5, b"5").await);
    assert!(!advance(0, 7, b"7").await, "someone else has advanced it");
    let found = uploads::get(&mut scene.read().await, upload).await.unwrap().unwrap();
    assert_eq!((found.offset, found.hash_state.as_slice(), found.repository), (5, b"5".as_slice(), dev.id));
    assert_eq!(found.bookmark.as_deref(), Some("to 5"));
    assert_eq!((found.algorithm, found.updated_at), (Algorithm::Sha256, at(1)));
    scene.write(work!(|tx| uploads::delete(tx, upload).await)).await;
    assert!(uploads::get(&mut scene.read().await, upload).await.unwrap().is_none());
}

async fn only_the_server_that_claimed_an_upload_advances_it_until_the_claim_expires(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (upload, one, two) = (UploadId::new(), BootId::new(), BootId::new());
    scene.write(work!(|tx| uploads::create(tx, upload, dev.id, Algorithm::Sha256, b"0", at(0)).await)).await;
    let claim =
        |by, now, until| scene.write(work!(|tx| uploads::claim(tx, upload, by, at(now), at(until)).await));
    let advance = |by, from, to| {
        let saved = Saved { from, to, hash_state: b"x".to_vec(), bookmark: None };
        scene.write(work!(|tx| uploads::advance(tx, upload, by, &saved, at(1)).await))
    };
    assert!(claim(one, 0, 10).await);
    assert!(!claim(two, 5, 15).await);
    assert!(claim(one, 5, 20).await, "a claim can be renewed");
    assert!(!advance(two, 0, 5).await);
    assert!(claim(two, 21, 30).await, "the claim expired");
    assert!(!advance(one, 0, 5).await, "a server that lost the claim cannot advance the upload");
    assert!(!scene.write(work!(|tx| uploads::finish(tx, upload, one).await)).await);
    assert!(advance(two, 0, 5).await);
    assert!(claim(one, 22, 40).await, "advancing the upload released the claim");
    scene.write(work!(|tx| uploads::release(tx, upload, one).await)).await;
    assert!(scene.write(work!(|tx| uploads::finish(tx, upload, two).await)).await);
}

async fn a_linked_manifest_is_returned_byte_for_byte(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let image = scene.image(&dev, 1).await;
    let conn = &mut scene.read().await;
    let stored = manifests::get(conn, dev.id, &image).await.unwrap().unwrap();
    assert_eq!(stored.bytes, image_json(&digest(1, 1), &digest(1, 2), None).as_bytes());
    assert_eq!(stored.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifests::get(conn, qa.id, &image).await.unwrap(), None);
    // Storing it again changes nothing.
    assert_eq!(scene.image(&dev, 1).await, image);
    assert_eq!(manifests::get(conn, dev.id, &image).await.unwrap().unwrap(), stored);
}

async fn semantics_09_the_missing_parts_of_a_manifest_are_listed(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let absent = digest(9, 9);
    let missing = async |text: &str| {
        let manifest = Manifest::parse(text.as_bytes(), None).unwrap();
        manifests::has_all(&mut scene.read().await, dev.id, &manifest).await.unwrap()
    };
    assert!(missing(&image_json(&digest(1, 1), &digest(1, 2), None)).await.is_empty());
    assert_eq!(missing(&image_json(&digest(1, 1), &absent, None)).await, [absent.clone()]);
    assert_eq!(missing(&image_json(&absent, &absent, None)).await, [absent.clone()], "listed once");
    let referrer = image_json(&digest(1, 1), &digest(1, 2), Some(&absent));
    assert!(missing(&referrer).await.is_empty(), "a subject may be absent");
    assert_eq!(missing(&index_json(&[(&image, "amd64"), (&absent, "arm64")])).await, [absent]);
    let others = [digest(9, 8), digest(9, 7)];
    assert_eq!(missing(&image_json(&others[0], &others[1], None)).await, others, "in the manifest's order");
    // A blob is not a manifest.
    assert_eq!(missing(&index_json(&[(&digest(1, 1), "amd64")])).await, [digest(1, 1)]);
}

async fn semantics_08_a_tree_is_linked_completely_without_copying_bytes(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (amd64, arm64) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let index = digest(3, 0);
    let (text, stored) = (index_json(&[(&amd64, "amd64"), (&arm64, "arm64")]), index.clone());
    scene.write(work!(|tx| put(tx, dev.id, &stored, &text).await)).await;

    let link = || {
        let root = index.clone();
        scene.write(work!(|tx| manifests::link_tree(tx, dev.id, qa.id, &root).await))
    };
    let outcome = link().await;
    assert_eq!((outcome.manifests, outcome.blobs), (3, 4));
    let again = link().await;
    assert_eq!((again.manifests, again.blobs), (0, 0));
    let conn = &mut scene.read().await;
    for manifest in [&index, &amd64, &arm64] {
        assert!(manifests::get(conn, qa.id, manifest).await.unwrap().is_some());
    }
    assert!(blobs::linked(conn, qa.id, &digest(2, 2)).await.unwrap().is_some());
    assert_eq!(manifests::parents(conn, qa.id, &amd64).await.unwrap(), [index.clone()]);
    assert_eq!(manifests::naming(conn, qa.id, &digest(2, 2)).await.unwrap(), Some(arm64));
}

async fn a_tree_lists_a_manifest_before_its_parts(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (deep, other) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    // `deep` is a child of the root and of its other child, so it comes after both.
    let (inner, root) = (digest(3, 0), digest(4, 0));
    let texts = [
        (inner.clone(), index_json(&[(&other, "arm64"), (&deep, "amd64")])),
        (root.clone(), index_json(&[(&deep, "amd64"), (&inner, "arm64")])),
    ];
    scene
        .write(work!(|tx| {
            for (digest, text) in &texts {
                put(tx, dev.id, digest, text).await?;
            }
            Ok(())
        }))
        .await;
    let tree = manifests::tree(&mut scene.read().await, &root).await.unwrap();
    let place =
        |wanted: &longshore_oci::Digest| tree.iter().position(|entry| entry.digest == *wanted).unwrap();
    assert_eq!(tree.len(), 4 + 4, "each entry once");
    assert_eq!(place(&root), 0);
    assert!(place(&inner) < place(&deep) && place(&inner) < place(&other));
    assert!(place(&deep) < place(&digest(1, 1)) && place(&deep) < place(&digest(1, 2)));
    assert!(tree[place(&deep)].is_manifest() && !tree[place(&digest(1, 1))].is_manifest());
    assert!(manifests::tree(&mut scene.read().await, &digest(99, 0)).await.unwrap().is_empty());
}

async fn semantics_43_tagged_images_that_lack_foreign_layers_are_found_also_through_indexes(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let whole = scene.image(&dev, 1).await;
    let (single, inner, untagged, index, base) =
        (digest(2, 0), digest(3, 0), digest(4, 0), digest(5, 0), digest(9, 2));
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let over_base = |config| {
        image_json(&config, &base, None).replace("application/vnd.oci.image.layer.v1.tar+gzip", foreign)
    };
    let texts = [
        (single.clone(), over_base(digest(2, 1))),
        (inner.clone(), over_base(digest(3, 1))),
        (untagged.clone(), over_base(digest(4, 1))),
        (index.clone(), index_json(&[(&inner, "amd64"), (&whole, "arm64")])),
    ];
    for repository in [dev.id, qa.id] {
        let texts = texts.clone();
        scene
            .write(work!(|tx| {
                for (digest, text) in &texts {
                    put(tx, repository, digest, text).await?;
                }
                Ok(())
            }))
            .await;
    }
    for (tag, digest) in [("one", &whole), ("two", &single), ("three", &index)] {
        scene.push(&dev, tag, digest).await;
    }
    let lacking = async || {
        let mut found = manifests::lacking_layers(&mut scene.read().await, dev.id).await.unwrap();
        found.sort();
        found
    };
    let mut expected = [single, index];
    expected.sort();
    assert_eq!(lacking().await, expected);
    let came_to = |repository| {
        let base = base.clone();
        scene.write(work!(|tx| {
            blobs::record(tx, &base, 100, &format!("blobs/{base}"), at(0)).await?;
            blobs::link(tx, repository, &base, at(0)).await
        }))
    };
    came_to(qa.id).await;
    assert_eq!(lacking().await, expected, "a blob of another repository does not count");
    came_to(dev.id).await;
    assert!(lacking().await.is_empty());
}

async fn referrers_are_found_by_subject_and_type(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let image = scene.image(&dev, 1).await;
    let referrer = digest(9, 0);
    let (text, stored) = (image_json(&digest(1, 1), &digest(1, 2), Some(&image)), referrer.clone());
    scene.write(work!(|tx| put(tx, dev.id, &stored, &text).await)).await;
    let conn = &mut scene.read().await;
    let found = manifests::referrers(conn, dev.id, &image, None).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, referrer);
    assert_eq!(found[0].annotations["made.by"], "test");
    let its_type = found[0].artifact_type.clone().unwrap();
    assert_eq!(manifests::referrers(conn, dev.id, &image, Some(&its_type)).await.unwrap(), found);
    assert!(manifests::referrers(conn, dev.id, &image, Some("another")).await.unwrap().is_empty());
    assert!(
        manifests::referrers(conn, qa.id, &image, None).await.unwrap().is_empty(),
        "this repository has no referrer"
    );
}

async fn pages_of_referrers_are_limited_by_entries_and_bytes(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let text = image_json(&digest(1, 1), &digest(1, 2), Some(&image));
    for seed in 10..15 {
        let (text, stored) = (text.clone(), digest(seed, 0));
        scene.write(work!(|tx| put(tx, dev.id, &stored, &text).await)).await;
    }
    let page = async |after: Option<Digest>, count, bytes| {
        let after = after.as_ref().map(Digest::as_str);
        let wanted = ReferrersWanted { artifact_type: None, after, count, bytes };
        let conn = &mut scene.read().await;
        let found = manifests::referrers_page(conn, dev.id, &image, wanted).await.unwrap();
        let digests: Vec<_> = found.descriptors.into_iter().map(|found| found.digest).collect();
        (digests, found.more)
    };
    let all: Vec<_> = (10..15).map(|seed| digest(seed, 0)).collect();
    assert_eq!(page(None, i64::MAX, i64::MAX).await, (all.clone(), false));
    assert_eq!(page(None, 3, i64::MAX).await, (all[..3].to_vec(), true));
    assert_eq!(page(Some(all[2].clone()), 3, i64::MAX).await, (all[3..].to_vec(), false));
    assert_eq!(page(Some(all[4].clone()), 3, i64::MAX).await, (vec![], false));
    // Each has a little more than 512 bytes. A page has at least one, however few bytes are wanted.
    assert_eq!(page(None, 5, 1_500).await, (all[..2].to_vec(), true));
    assert_eq!(page(None, 5, 1).await, (all[..1].to_vec(), true));
}

async fn deleting_a_manifest_deletes_its_tags(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (image, other) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    scene.push(&dev, "1", &image).await;
    scene.push(&dev, "latest", &image).await;
    scene.push(&dev, "2", &other).await;
    let delete = || {
        let (repository, digest) = (dev.clone(), image.clone());
        scene.write(work!(
            |tx| deletion::delete_manifest(tx, &repository, &digest, &Author::System, at(2)).await
        ))
    };
    assert_eq!(delete().await, DeleteOutcome::Deleted);
    assert_eq!(delete().await, DeleteOutcome::Missing);
    let conn = &mut scene.read().await;
    let left: Vec<_> = tags::list(conn, dev.id, None, None).await.unwrap();
    assert_eq!(left.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2"]);
    assert_eq!(manifests::get(conn, dev.id, &image).await.unwrap(), None);
}
