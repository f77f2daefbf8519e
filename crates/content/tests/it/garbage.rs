//! What garbage collection removes and what it must keep (semantics 23).

use crate::fixture::{House, now, sha256, whole};
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_content::{Content, Error, Freed, PutManifest, Retention};
use longshore_metadata::Visible;
use longshore_metadata::{Priority, jobs, repositories};
use longshore_model::job::{JobFilter, Status};
use longshore_model::repository::NewRepository;
use longshore_model::{Author, Lineage, PageRequest, Provenance, Repository};
use longshore_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use longshore_oci::{Algorithm, Digest, Reference};
use serde_json::{Value, json};

fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

fn image(config: &Digest, layer: &Digest) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, config, 2),
            "layers": [descriptor(OCI_LAYER_GZIP, layer, 5)] })
}

fn digest_of(manifest: &Value) -> Digest {
    sha256(manifest.to_string().as_bytes())
}

/// Cancels the waiting jobs, which keep what they concern and are never run here.
async fn end_jobs(house: &House) {
    let mut conn = house.db.read().await.unwrap();
    let all = PageRequest::first(PageRequest::MAX);
    let waiting = JobFilter { status: Some(Status::Waiting), ..JobFilter::default() };
    let found = jobs::list(&mut conn, &Visible::Everything, None, &waiting, &all).await.unwrap();
    for job in found.items {
        house
            .db
            .write(Priority::Normal, move |tx| {
                async move { jobs::cancel(tx, job.id, now()).await.map(drop) }.boxed()
            })
            .await
            .unwrap();
    }
}

async fn has_manifest(content: &Content, repository: &Repository, digest: &Digest) -> bool {
    let reference = Reference::Digest(digest.clone());
    content.get_manifest(repository, &reference).await.unwrap().is_some()
}

#[tokio::test]
async fn semantics_23_tagged_content_is_kept_and_the_rest_is_removed_after_its_retention() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let (old_layer, new_layer) = (house.put_blob(b"old..").await, house.put_blob(b"new..").await);
    let (old, new) = (image(&config, &old_layer), image(&config, &new_layer));
    house.put_manifest(&old, &["latest"]).await.unwrap();
    house.put_manifest(&new, &["latest"]).await.unwrap();
    end_jobs(&house).await;

    let keep = Retention::default();
    for days in [0, 8, 29] {
        assert_eq!(house.later(days).find_garbage(&keep).await.unwrap(), Freed::default(), "day {days}");
        assert_eq!(house.later(days).collect_garbage(&keep).await.unwrap(), Freed::default(), "day {days}");
    }
    let content = house.later(31);
    let expected = Freed { manifests: 1, blobs: 1, bytes: 5, ..Freed::default() };
    assert_eq!(content.find_garbage(&keep).await.unwrap(), expected);
    assert!(has_manifest(&content, &house.web, &digest_of(&old)).await, "a dry run removes nothing");
    assert_eq!(house.files("blobs"), 3);
    assert_eq!(content.collect_garbage(&keep).await.unwrap(), expected);
    assert!(!has_manifest(&content, &house.web, &digest_of(&old)).await);
    assert!(has_manifest(&content, &house.web, &digest_of(&new)).await);
    assert_eq!(house.files("blobs"), 2);
    for blob in [&config, &new_layer] {
        assert!(content.stat_blob(&house.web, blob).await.unwrap().is_some());
    }
    assert_eq!(content.collect_garbage(&keep).await.unwrap(), Freed::default());
}

#[tokio::test]
async fn semantics_23_manifests_may_be_kept_forever_but_blobs_that_no_manifest_names_are_not() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    house.put_manifest(&image(&config, &layer), &[]).await.unwrap();
    house.put_blob(b"forgotten").await;
    end_jobs(&house).await;
    let keep = Retention { untagged: None, ..Retention::default() };
    let freed = house.later(1000).collect_garbage(&keep).await.unwrap();
    assert_eq!(freed, Freed { blobs: 1, bytes: 9, ..Freed::default() });
    let freed = house.later(1000).collect_garbage(&Retention::default()).await.unwrap();
    assert_eq!(freed, Freed { manifests: 1, blobs: 2, bytes: 7, ..Freed::default() });
}

#[tokio::test]
async fn semantics_23_children_are_kept_with_their_index_and_referrers_with_their_subject() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    let child = image(&config, &layer);
    house.put_manifest(&child, &[]).await.unwrap();
    let child_size = child.to_string().len();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX,
                        "manifests": [descriptor(OCI_MANIFEST, &digest_of(&child), child_size)] });
    house.put_manifest(&index, &["v1"]).await.unwrap();
    let mut signature = image(&config, &house.put_blob(b"signed").await);
    signature["subject"] = descriptor(OCI_MANIFEST, &digest_of(&child), child_size);
    house.put_manifest(&signature, &[]).await.unwrap();
    end_jobs(&house).await;

    let keep = Retention::default();
    assert_eq!(house.later(100).collect_garbage(&keep).await.unwrap(), Freed::default());
    house.later(100).delete_tag(&house.web, &"v1".parse().unwrap(), &Author::System).await.unwrap();
    end_jobs(&house).await;
    assert_eq!(house.later(129).collect_garbage(&keep).await.unwrap(), Freed::default());
    let freed = house.later(131).collect_garbage(&keep).await.unwrap();
    assert_eq!((freed.manifests, freed.blobs), (3, 3));
}

#[tokio::test]
async fn semantics_23_a_signature_by_tag_name_is_removed_with_its_subject() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    let signed = image(&config, &layer);
    house.put_manifest(&signed, &[]).await.unwrap();
    let signature = image(&config, &house.put_blob(b"signed").await);
    let name = format!("sha256-{}.sig", digest_of(&signed).hex());
    house.put_manifest(&signature, &[&name]).await.unwrap();
    end_jobs(&house).await;
    let keep = Retention::default();
    let freed = house.later(31).collect_garbage(&keep).await.unwrap();
    assert_eq!((freed.manifests, freed.blobs), (1, 1), "what it signed");
    assert!(house.content.list_tags(&house.web, None, None).await.unwrap().is_empty());
    end_jobs(&house).await;
    let freed = house.later(62).collect_garbage(&keep).await.unwrap();
    assert_eq!((freed.manifests, freed.blobs), (1, 2), "and a month later itself");
}

#[tokio::test]
async fn semantics_23_a_job_keeps_the_images_that_it_concerns() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    house.put_manifest(&image(&config, &layer), &["v1"]).await.unwrap();
    house.content.delete_tag(&house.web, &"v1".parse().unwrap(), &Author::System).await.unwrap();
    let keep = Retention::default();
    assert_eq!(house.later(100).collect_garbage(&keep).await.unwrap(), Freed::default());
    end_jobs(&house).await;
    assert_eq!(house.later(100).collect_garbage(&keep).await.unwrap().manifests, 1);
}

#[tokio::test]
async fn semantics_23_a_deleted_repository_keeps_its_name_until_it_can_no_longer_be_restored() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    house.put_manifest(&image(&config, &layer), &["v1"]).await.unwrap();
    end_jobs(&house).await;
    let web = house.web.id;
    house
        .db
        .write(Priority::Normal, move |tx| {
            async move { repositories::delete(tx, web, &Author::System, now()).await }.boxed()
        })
        .await
        .unwrap();
    let (keep, new) = (Retention::default(), NewRepository::default());
    assert_eq!(house.later(6).collect_garbage(&keep).await.unwrap(), Freed::default());
    assert!(house.content.create_repository(&house.web.name, &new, &Author::System).await.is_err());
    let freed = house.later(8).collect_garbage(&keep).await.unwrap();
    assert_eq!(freed, Freed { repositories: 1, manifests: 1, blobs: 2, bytes: 7, uploads: 0 });
    house.content.create_repository(&house.web.name, &new, &Author::System).await.unwrap();
}

#[tokio::test]
async fn a_blob_that_a_client_has_looked_up_is_kept_as_if_it_had_just_been_pushed() {
    let house = House::new().await;
    let blob = house.put_blob(b"layer").await;
    let keep = Retention::default();
    assert!(house.later(1).stat_blob(&house.web, &blob).await.unwrap().is_some());
    assert_eq!(house.later(2).collect_garbage(&keep).await.unwrap(), Freed::default());
    assert_eq!(house.later(3).collect_garbage(&keep).await.unwrap().blobs, 1);
    assert!(house.later(3).stat_blob(&house.web, &blob).await.unwrap().is_none());
}

#[tokio::test]
async fn an_abandoned_upload_is_removed() {
    let house = House::new().await;
    house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    let keep = Retention::default();
    assert_eq!(house.later(6).find_garbage(&keep).await.unwrap().uploads, 0);
    assert_eq!(house.later(8).find_garbage(&keep).await.unwrap().uploads, 1);
    assert_eq!(house.later(8).collect_garbage(&keep).await.unwrap().uploads, 1);
    assert_eq!(house.later(8).find_garbage(&keep).await.unwrap().uploads, 0);
}

/// A push like those of clients: the parts first, and all of it again if a part was removed in between.
async fn push(content: &Content, repository: &Repository, number: usize) -> Digest {
    // Few layers for many images, so that pushes use each other's leftovers.
    let layer: &'static [u8] = [b"layer 0", b"layer 1", b"layer 2"][number % 3];
    for _ in 0..1000 {
        for bytes in [b"{}".as_slice(), layer] {
            let digest = sha256(bytes);
            if content.stat_blob(repository, &digest).await.unwrap().is_none() {
                content.put_blob(repository, &digest, None, whole(bytes)).await.unwrap();
            }
        }
        let mut manifest = image(&sha256(b"{}"), &sha256(layer));
        manifest["annotations"] = json!({ "number": number.to_string() });
        let put = PutManifest {
            repository,
            digest_expected: None,
            tags: &[format!("tag-{}", number % 5).parse().unwrap()],
            media_type: OCI_MANIFEST,
            bytes: manifest.to_string().into(),
            author: &Author::System,
            provenance: &Provenance::Push,
            lineage: &Lineage::default(),
        };
        match content.put_manifest(put).await {
            Ok(outcome) => return outcome.digest,
            Err(Error::ManifestBlobUnknown { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the push never succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn semantics_23_collecting_during_pushes_never_removes_what_a_tag_needs() {
    let house = House::new().await;
    // Nothing is kept for its age, so that only the checks protect it.
    let none = -SignedDuration::from_secs(1);
    let keep = Retention { untagged: Some(none), undo: none, parts: none, uploads: none };
    let pushing = (0..4).map(|client| {
        let (content, repository) = (house.content.clone(), house.web.clone());
        tokio::spawn(async move {
            for round in 0..25 {
                push(&content, &repository, client * 25 + round).await;
            }
        })
    });
    let pushing: Vec<_> = pushing.collect();
    let mut freed = 0;
    while !pushing.iter().all(tokio::task::JoinHandle::is_finished) {
        end_jobs(&house).await;
        freed += house.content.collect_garbage(&keep).await.unwrap().manifests;
    }
    for client in pushing {
        client.await.unwrap();
    }
    assert!(freed > 0, "nothing was collected during the pushes");
    let tags = house.content.list_tags(&house.web, None, None).await.unwrap();
    assert_eq!(tags.len(), 5);
    for tag in tags {
        let stored = house.content.get_manifest(&house.web, &Reference::Tag(tag)).await.unwrap().unwrap();
        let manifest: Value = serde_json::from_slice(&stored.bytes).unwrap();
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let digest: Digest = part["digest"].as_str().unwrap().parse().unwrap();
            let (_, stream) = house.content.read_blob(&house.web, &digest, None).await.unwrap();
            assert_eq!(sha256(&crate::fixture::read(stream).await), digest);
        }
    }
}

#[tokio::test]
async fn a_dry_run_counts_blobs_that_no_repository_has_unless_they_are_too_young() {
    let house = House::new().await;
    let digest = house.put_blob(b"pushed and deleted").await;
    house.content.delete_blob(&house.web, &digest).await.unwrap();
    let keep = Retention::default();
    assert_eq!(house.content.find_garbage(&keep).await.unwrap(), Freed::default(), "it was only just pushed");
    let expected = Freed { blobs: 1, bytes: 18, ..Freed::default() };
    assert_eq!(house.later(2).find_garbage(&keep).await.unwrap(), expected);
    assert_eq!(house.later(2).collect_garbage(&keep).await.unwrap(), expected);
}

#[tokio::test]
async fn semantics_23_a_dry_run_writes_nothing_and_a_collection_uses_many_transactions() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    for number in 0..250 {
        let mut manifest = image(&config, &layer);
        manifest["annotations"] = json!({ "number": number.to_string() });
        house.put_manifest(&manifest, &[]).await.unwrap();
    }
    end_jobs(&house).await;
    let (keep, content) = (Retention::default(), house.later(31));
    let before = house.db.changes_made();
    let found = content.find_garbage(&keep).await.unwrap();
    assert_eq!((found.manifests, found.blobs), (250, 2));
    assert_eq!(house.db.changes_made(), before, "a dry run only reads");
    assert_eq!(content.collect_garbage(&keep).await.unwrap(), found);
    // A transaction removes at most a hundred rows, first from the repository and then from the database.
    let made = house.db.changes_made() - before;
    assert!(made >= 6, "{made} transactions");
}
