//! Content that is no longer needed is found and removed (semantics 23).

use crate::on_both;
use crate::scene::{Scene, at, digest, index_json, order, put};
use longshore_metadata::garbage::{self, Cutoffs, Kind, Standing};
use longshore_metadata::jobs::NewJob;
use longshore_metadata::{blobs, deletion, jobs, repositories, undo, work};
use longshore_model::job::{Cause, Parameters};
use longshore_model::{Author, RepositoryId};
use longshore_oci::Digest;

on_both![
    semantics_23_an_index_is_unlinked_with_its_children,
    semantics_23_the_images_that_a_waiting_job_concerns_have_a_root,
    semantics_23_only_manifests_without_a_root_that_are_old_enough_are_found,
    semantics_23_a_manifest_deleted_by_digest_is_kept_only_as_long_as_its_tag_can_be_restored,
    semantics_23_blobs_are_unlinked_when_no_manifest_of_the_repository_names_them,
    semantics_23_content_that_no_repository_has_is_removed_and_its_bytes_are_condemned,
    semantics_23_a_purged_repository_is_emptied_and_its_name_is_available,
    semantics_23_images_that_a_poll_has_fetched_are_kept_until_it_ends,
];

const NONE: [Digest; 0] = [];

/// All manifests of a repository that have no root.
async fn rootless_of(scene: &Scene, repository: RepositoryId, cutoffs: &Cutoffs) -> Vec<Digest> {
    let conn = &mut scene.read().await;
    let all = garbage::manifests_behind(conn, repository, None, 100).await.unwrap();
    garbage::rootless(conn, repository, cutoffs, &all).await.unwrap()
}

/// Unlinks the blobs of a repository that no manifest names.
async fn unlink_loose(scene: &Scene, repository: RepositoryId, cutoffs: Cutoffs) -> Vec<Digest> {
    let conn = &mut scene.read().await;
    let behind = garbage::loose_blobs_behind(conn, repository, &cutoffs, &[], None, 100).await.unwrap();
    let loose = behind.loose.clone();
    let unlink = scene.write(work!(|tx| garbage::unlink_loose_blobs(tx, repository, &cutoffs, &loose).await));
    assert_eq!(unlink.await, behind.loose.len() as u64);
    behind.loose
}

async fn unlink(scene: &Scene, repository: RepositoryId, manifest: &Digest) {
    let manifest = manifest.clone();
    let unlink = scene.write(work!(|tx| garbage::unlink_manifest(tx, repository, &manifest).await.map(drop)));
    unlink.await;
}

/// Cutoffs at which everything before second `second` is old.
fn before(second: i64) -> Cutoffs {
    let at = at(second);
    Cutoffs { untagged: Some(at), undo: at, parts: at, uploads: at }
}

async fn end_jobs(scene: &Scene) {
    for claim in scene.claim(10, 100).await {
        let id = claim.job.id;
        scene
            .write(work!(|tx| jobs::finish(
                tx,
                id,
                claim.epoch,
                longshore_model::job::Status::Done,
                None,
                None,
                at(10)
            )
            .await))
            .await;
    }
}

async fn semantics_23_only_manifests_without_a_root_that_are_old_enough_are_found(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (tagged, moved, loose) =
        (scene.image(&dev, 1).await, scene.image(&dev, 2).await, scene.image(&dev, 3).await);
    scene.push(&dev, "latest", &moved).await;
    scene.push(&dev, "latest", &tagged).await;
    let rootless = async |cutoffs: Cutoffs| rootless_of(&scene, dev.id, &cutoffs).await;
    assert_eq!(rootless(before(0)).await, NONE, "too young");
    assert_eq!(
        rootless(before(1)).await,
        [loose.clone()],
        "the tag was moved at second 1, and jobs are waiting"
    );
    assert_eq!(rootless(before(2)).await, [loose.clone()], "an evaluation concerns it");
    end_jobs(&scene).await;
    assert_eq!(rootless(before(1)).await, [loose.clone()]);
    assert_eq!(rootless(before(2)).await, [moved, loose]);
    assert_eq!(rootless(Cutoffs { untagged: None, ..before(2) }).await, NONE);
}

async fn semantics_23_a_manifest_deleted_by_digest_is_kept_only_as_long_as_its_tag_can_be_restored(
    scene: Scene,
) {
    let dev = scene.repository("dev/app").await;
    let (tagged, loose) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    scene.push(&dev, "1", &tagged).await;
    end_jobs(&scene).await;
    for digest in [tagged.clone(), loose.clone()] {
        let dev = dev.clone();
        scene
            .write(work!(|tx| deletion::delete_manifest(tx, &dev, &digest, &Author::System, at(20)).await))
            .await;
    }
    let rootless = async |untagged: i64, undo: i64| {
        let cutoffs = Cutoffs { untagged: Some(at(untagged)), ..before(undo) };
        rootless_of(&scene, dev.id, &cutoffs).await
    };
    assert_eq!(rootless(0, 20).await, [loose.clone()], "a manifest without a tag cannot be restored");
    let both = {
        let mut both = [tagged, loose];
        both.sort();
        both
    };
    assert_eq!(rootless(0, 21).await, both, "whatever the retention of untagged manifests");
}

async fn semantics_23_blobs_are_unlinked_when_no_manifest_of_the_repository_names_them(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let image = scene.image(&dev, 1).await;
    scene.image(&qa, 2).await;
    assert_eq!(unlink_loose(&scene, dev.id, before(5)).await, NONE);
    unlink(&scene, dev.id, &image).await;
    assert_eq!(unlink_loose(&scene, dev.id, before(0)).await, NONE, "too young");
    let mut gone = unlink_loose(&scene, dev.id, before(5)).await;
    gone.sort();
    let mut parts = [digest(1, 1), digest(1, 2)];
    parts.sort();
    assert_eq!(gone, parts);
    assert!(blobs::linked(&mut scene.read().await, qa.id, &digest(2, 1)).await.unwrap().is_some());
}

async fn semantics_23_content_that_no_repository_has_is_removed_and_its_bytes_are_condemned(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let unheld = async |cutoffs: Cutoffs| {
        let conn = &mut scene.read().await;
        let manifests = garbage::unheld_behind(conn, Kind::Manifest, &cutoffs, None, 100).await.unwrap();
        (
            manifests.unheld,
            garbage::unheld_behind(conn, Kind::Blob, &cutoffs, None, 100).await.unwrap().unheld,
        )
    };
    assert_eq!(unheld(before(5)).await, (Vec::new(), Vec::new()));
    unlink(&scene, dev.id, &image).await;
    unlink_loose(&scene, dev.id, before(5)).await;
    assert_eq!(unheld(before(0)).await, (Vec::new(), Vec::new()), "too young");
    let (manifests, blobs) = unheld(before(5)).await;
    assert_eq!((manifests.len(), blobs.iter().map(|(_, size)| size).sum::<u64>()), (1, 110));
    let forget = async |cutoffs: Cutoffs| {
        let (manifests, blobs) = (manifests.clone(), blobs.clone());
        let forget = scene.write(work!(|tx| {
            for (manifest, _) in &manifests {
                garbage::forget_manifest(tx, manifest, &cutoffs).await?;
            }
            for (blob, _) in &blobs {
                garbage::condemn_blob(tx, blob, &cutoffs).await?;
            }
            Ok(())
        }));
        forget.await;
    };
    forget(before(0)).await;
    assert_eq!(unheld(before(5)).await, (manifests.clone(), blobs.clone()), "each is checked again");
    forget(before(5)).await;
    assert_eq!(unheld(before(5)).await, (Vec::new(), Vec::new()));
    let conn = &mut scene.read().await;
    let condemned = garbage::condemned(conn, 10).await.unwrap();
    assert_eq!(condemned.iter().map(|blob| blob.size).sum::<u64>(), 110);
    let location = condemned[0].location.clone();
    assert!(!garbage::is_used(conn, &location).await.unwrap());
    scene.write(work!(|tx| garbage::spare(tx, &location).await)).await;
    assert_eq!(garbage::condemned(conn, 10).await.unwrap().len(), 1);
    // After another push, it is a blob like any other.
    scene.image(&dev, 1).await;
    assert!(garbage::is_used(conn, &condemned[1].location).await.unwrap());
    assert_eq!(garbage::holders(conn, &digest(1, 2), &before(5)).await.unwrap(), Some((100, 1)));
    assert_eq!(garbage::holders(conn, &digest(1, 2), &before(0)).await.unwrap(), None, "too young");
}

async fn semantics_23_images_that_a_poll_has_fetched_are_kept_until_it_ends(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (image, elsewhere) = (scene.image(&dev, 1).await, scene.image(&qa, 2).await);
    let poll = NewJob {
        parameters: Parameters::PollAll,
        cause: Cause::Schedule,
        policy: None,
        repository: Some(dev.id),
        parent: None,
        retry_of: None,
        serial_key: None,
        scheduled_at: at(1),
        retries: 9,
    };
    scene.write(work!(|tx| jobs::enqueue(tx, poll, at(1)).await.map(drop))).await;
    // Days later it is still fetching the last images.
    let days = 3 * 86_400;
    let found = async |repository| {
        let manifests = rootless_of(&scene, repository, &before(days)).await;
        // As if a manifest that names the blobs were still to be fetched.
        for manifest in &manifests {
            unlink(&scene, repository, manifest).await;
        }
        let blobs = unlink_loose(&scene, repository, before(days)).await;
        (manifests, blobs.len())
    };
    assert_eq!(found(dev.id).await, (Vec::new(), 0));
    assert_eq!(found(qa.id).await, (vec![elsewhere], 2), "no poll concerns it");
    end_jobs(&scene).await;
    assert_eq!(found(dev.id).await, (vec![image], 2));
}

async fn semantics_23_a_purged_repository_is_emptied_and_its_name_is_available(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    scene.push(&dev, "1.0", &image).await;
    let id = dev.id;
    scene.write(work!(|tx| repositories::delete(tx, id, &Author::System, at(3)).await)).await;
    assert_eq!(garbage::next_repository(&mut scene.read().await, None).await.unwrap(), Some(id));
    assert_eq!(garbage::next_repository(&mut scene.read().await, Some(id)).await.unwrap(), None);
    let standing = async || scene.write(work!(|tx| garbage::standing(tx, id).await)).await;
    assert_eq!(standing().await, Standing::Deleted(at(3)));
    let purge = async || scene.write(work!(|tx| garbage::purge(tx, id).await)).await;
    scene.write(work!(|tx| garbage::begin_purge(tx, id).await)).await;
    assert_eq!(standing().await, Standing::Purged);
    let again = scene.repository("dev/app").await;
    assert!(
        !scene.write(work!(|tx| undo::restore_repository(tx, id, at(4)).await)).await,
        "its purge has begun"
    );
    let mut manifests = 0;
    while standing().await != Standing::Gone {
        manifests += purge().await.manifests;
    }
    assert_eq!(manifests, 1);
    assert_eq!(standing().await, Standing::Gone);
    let conn = &mut scene.read().await;
    assert!(blobs::linked(conn, id, &digest(1, 2)).await.unwrap().is_none());
    assert!(repositories::get(conn, again.id).await.unwrap().is_some());
}

async fn semantics_23_an_index_is_unlinked_with_its_children(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (arm, amd) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let (index, id) = (digest(3, 0), dev.id);
    let text = index_json(&[(&arm, "arm64"), (&amd, "amd64")]);
    let put_index = index.clone();
    scene.write(work!(|tx| put(tx, id, &put_index, &text).await)).await;
    let mut all = vec![arm.clone(), amd.clone(), index.clone()];
    all.sort();
    assert_eq!(rootless_of(&scene, id, &before(5)).await, all);
    let mut gone = scene.write(work!(|tx| garbage::unlink_manifest(tx, id, &arm).await)).await;
    gone.sort();
    assert_eq!(gone.len(), 2, "a repository has only complete manifests");
    assert!(gone.contains(&index));
    assert_eq!(rootless_of(&scene, id, &before(5)).await, [amd.clone()]);
    scene.push(&dev, "amd64", &amd).await;
    assert_eq!(rootless_of(&scene, id, &before(5)).await, NONE);
}

async fn semantics_23_the_images_that_a_waiting_job_concerns_have_a_root(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (image, signature) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    assert_eq!(rootless_of(&scene, dev.id, &before(5)).await.len(), 2);
    let follow = NewJob {
        parameters: Parameters::FollowSubject {
            repository: dev.id,
            referrer: signature,
            subject: image,
            tag: None,
        },
        repository: Some(dev.id),
        ..order(None, 1)
    };
    scene.write(work!(|tx| jobs::enqueue(tx, follow, at(1)).await.map(drop))).await;
    assert_eq!(rootless_of(&scene, dev.id, &before(5)).await, NONE);
    end_jobs(&scene).await;
    assert_eq!(rootless_of(&scene, dev.id, &before(5)).await.len(), 2);
}
