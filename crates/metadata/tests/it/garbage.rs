//! What nothing needs any more is found and forgotten, on both databases alike (semantics 23).

use crate::on_both;
use crate::scene::{Scene, at, digest};
use longshore_metadata::garbage::{self, Cutoffs, Standing};
use longshore_metadata::jobs::NewJob;
use longshore_metadata::{blobs, jobs, manifests, repositories};
use longshore_model::Author;
use longshore_model::job::{Action, Cause, Parameters};
use longshore_oci::Digest;

on_both![
    semantics_23_only_what_has_no_root_and_is_old_enough_is_rootless,
    semantics_23_what_was_deleted_by_its_digest_stays_only_as_long_as_a_tag_can_be_undone,
    semantics_23_blobs_go_when_no_manifest_of_the_repository_names_them,
    semantics_23_what_no_repository_has_is_forgotten_and_its_bytes_condemned,
    semantics_23_a_deleted_repository_is_emptied_and_its_name_free,
    semantics_23_what_a_poll_has_brought_stays_until_it_ends_however_long_that_takes,
];

const NONE: [Digest; 0] = [];

/// As if everything before second `second` were old.
fn before(second: i64) -> Cutoffs {
    let at = at(second);
    Cutoffs { untagged: Some(at), undo: at, parts: at, uploads: at }
}

async fn end_jobs(scene: &Scene) {
    for claim in scene.claim(10, 100).await {
        let id = claim.job.id;
        scene
            .write(move |tx| {
                Box::pin(async move {
                    jobs::finish(tx, id, claim.epoch, longshore_model::job::Status::Done, None, None, at(10))
                        .await
                })
            })
            .await;
    }
}

async fn semantics_23_only_what_has_no_root_and_is_old_enough_is_rootless(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (tagged, moved, loose) =
        (scene.image(&dev, 1).await, scene.image(&dev, 2).await, scene.image(&dev, 3).await);
    scene.push(&dev, "latest", &moved).await;
    scene.push(&dev, "latest", &tagged).await;
    let rootless = async |cutoffs: Cutoffs| {
        garbage::rootless_manifests(&mut scene.read().await, dev.id, &cutoffs).await.unwrap()
    };
    assert_eq!(rootless(before(0)).await, NONE, "too young");
    assert_eq!(
        rootless(before(1)).await,
        [loose.clone()],
        "the tag moved on at second 1, and jobs are waiting"
    );
    assert_eq!(rootless(before(2)).await, [loose.clone()], "an evaluation is about it");
    end_jobs(&scene).await;
    assert_eq!(rootless(before(1)).await, [loose.clone()]);
    assert_eq!(rootless(before(2)).await, [moved, loose]);
    assert_eq!(rootless(Cutoffs { untagged: None, ..before(2) }).await, NONE);
}

async fn semantics_23_what_was_deleted_by_its_digest_stays_only_as_long_as_a_tag_can_be_undone(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (tagged, loose) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    scene.push(&dev, "1", &tagged).await;
    end_jobs(&scene).await;
    for digest in [tagged.clone(), loose.clone()] {
        let dev = dev.clone();
        scene
            .write(move |tx| {
                Box::pin(async move { manifests::delete(tx, &dev, &digest, &Author::System, at(20)).await })
            })
            .await;
    }
    let rootless = async |untagged: i64, undo: i64| {
        let cutoffs = Cutoffs { untagged: Some(at(untagged)), ..before(undo) };
        garbage::rootless_manifests(&mut scene.read().await, dev.id, &cutoffs).await.unwrap()
    };
    assert_eq!(rootless(0, 20).await, [loose.clone()], "nothing can bring back what had no tag");
    let both = {
        let mut both = [tagged, loose];
        both.sort();
        both
    };
    assert_eq!(rootless(0, 21).await, both, "however long what nobody deleted stays");
}

async fn semantics_23_blobs_go_when_no_manifest_of_the_repository_names_them(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let image = scene.image(&dev, 1).await;
    scene.image(&qa, 2).await;
    let unlink = |cutoffs: Cutoffs| {
        scene
            .write(move |tx| Box::pin(async move { garbage::unlink_loose_blobs(tx, dev.id, &cutoffs).await }))
    };
    assert_eq!(unlink(before(5)).await, NONE);
    scene.write(move |tx| Box::pin(async move { garbage::unlink_manifest(tx, dev.id, &image).await })).await;
    assert_eq!(unlink(before(0)).await, NONE, "too young");
    let mut gone = unlink(before(5)).await;
    gone.sort();
    let mut parts = [digest(1, 1), digest(1, 2)];
    parts.sort();
    assert_eq!(gone, parts);
    assert!(blobs::linked(&mut scene.read().await, qa.id, &digest(2, 1)).await.unwrap().is_some());
}

async fn semantics_23_what_no_repository_has_is_forgotten_and_its_bytes_condemned(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let forget = |cutoffs: Cutoffs| {
        scene.write(move |tx| {
            Box::pin(async move {
                let manifests = garbage::forget_manifests(tx, &cutoffs, 10).await?;
                Ok((manifests, garbage::condemn_blobs(tx, &cutoffs, 10).await?))
            })
        })
    };
    assert_eq!(forget(before(5)).await, (0, 0));
    let unlinked = image.clone();
    scene
        .write(move |tx| Box::pin(async move { garbage::unlink_manifest(tx, dev.id, &unlinked).await }))
        .await;
    let cutoffs = before(5);
    scene
        .write(move |tx| Box::pin(async move { garbage::unlink_loose_blobs(tx, dev.id, &cutoffs).await }))
        .await;
    assert_eq!(forget(before(0)).await, (0, 0), "too young");
    assert_eq!(garbage::loose_blobs(&mut scene.read().await, &before(5)).await.unwrap(), (2, 110));
    assert_eq!(forget(before(5)).await, (1, 2));
    let conn = &mut scene.read().await;
    let condemned = garbage::condemned(conn, 10).await.unwrap();
    assert_eq!(condemned.iter().map(|blob| blob.size).sum::<u64>(), 110);
    let location = condemned[0].location.clone();
    assert!(!garbage::is_used(conn, &location).await.unwrap());
    scene.write(move |tx| Box::pin(async move { garbage::spare(tx, &location).await })).await;
    assert_eq!(garbage::condemned(conn, 10).await.unwrap().len(), 1);
    // Pushed again, it is a blob as any other.
    scene.image(&dev, 1).await;
    assert!(garbage::is_used(conn, &condemned[1].location).await.unwrap());
    assert_eq!(garbage::holders(conn, &digest(1, 2), &before(5)).await.unwrap(), Some((100, 1)));
    assert_eq!(garbage::holders(conn, &digest(1, 2), &before(0)).await.unwrap(), None, "too young");
}

async fn semantics_23_what_a_poll_has_brought_stays_until_it_ends_however_long_that_takes(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (image, elsewhere) = (scene.image(&dev, 1).await, scene.image(&qa, 2).await);
    let poll = NewJob {
        action: Action::PollMirror,
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
    scene.write(move |tx| Box::pin(async move { jobs::enqueue(tx, poll, at(1)).await.map(drop) })).await;
    // Days later it still brings in what comes last.
    let days = 3 * 86_400;
    let found = async |repository| {
        let manifests =
            garbage::rootless_manifests(&mut scene.read().await, repository, &before(days)).await.unwrap();
        let blobs = scene.write(move |tx| {
            Box::pin(async move {
                // As if a manifest that names them were still to come.
                let rootless = garbage::rootless_manifests(tx, repository, &before(days)).await?;
                for digest in &rootless {
                    garbage::unlink_manifest(tx, repository, digest).await?;
                }
                garbage::unlink_loose_blobs(tx, repository, &before(days)).await
            })
        });
        (manifests, blobs.await.len())
    };
    assert_eq!(found(dev.id).await, (Vec::new(), 0));
    assert_eq!(found(qa.id).await, (vec![elsewhere], 2), "no poll brings anything in there");
    end_jobs(&scene).await;
    assert_eq!(found(dev.id).await, (vec![image], 2));
}

async fn semantics_23_a_deleted_repository_is_emptied_and_its_name_free(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    scene.push(&dev, "1.0", &image).await;
    let id = dev.id;
    scene.write(move |tx| Box::pin(repositories::delete(tx, id, &Author::System, at(3)))).await;
    assert_eq!(garbage::next_repository(&mut scene.read().await, None).await.unwrap(), Some(id));
    assert_eq!(garbage::next_repository(&mut scene.read().await, Some(id)).await.unwrap(), None);
    let standing =
        async || scene.write(move |tx| Box::pin(async move { garbage::standing(tx, id).await })).await;
    assert_eq!(standing().await, Standing::Deleted(at(3)));
    let (manifests, blobs) =
        scene.write(move |tx| Box::pin(async move { garbage::purge(tx, id).await })).await;
    assert_eq!((manifests, blobs.len()), (1, 2));
    assert_eq!(standing().await, Standing::Gone);
    scene.repository("dev/app").await;
}
