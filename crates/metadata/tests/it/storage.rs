//! The storage that repositories and namespaces use, and quotas.

use crate::on_both;
use crate::scene::{Scene, at, digest};
use longshore_metadata::Visible;
use longshore_metadata::counters::{self, Counter, Miscount, Scope};
use longshore_metadata::storage::{self, QuotaExceeded};
use longshore_metadata::{accounts, blobs, garbage, manifests, repositories, totals, undo, work};
use longshore_model::repository::Storage;
use longshore_model::{Author, PageRequest, Repository, RepositoryId};
use longshore_oci::Namespace;

on_both![
    the_storage_of_a_namespace_is_counted_as_content_is_added_and_removed,
    a_blob_linked_many_times_at_once_counts_once_in_its_namespace,
    a_blob_counts_once_and_is_unique_if_no_other_repository_has_it,
    deleted_repositories_count_until_they_are_purged,
    a_quota_refuses_only_content_that_would_exceed_it,
    tags_and_blobs_of_repositories_are_counted_as_they_are_added_and_removed,
    wrong_counters_are_reported_and_recounted,
    unique_storage_is_computed_only_up_to_a_number_of_blobs_and_manifests,
];

/// Storage with these numbers of unique and shared bytes.
fn alone(unique: u64, shared: u64) -> Storage {
    Storage { total: unique + shared, unique: Some(unique) }
}

fn dev() -> Namespace {
    "dev".parse().unwrap()
}

/// The bytes of the manifests of [`Scene::image`] for these seeds, each of which counts in a namespace.
async fn manifests_of(scene: &Scene, repository: &Repository, seeds: &[u8]) -> u64 {
    let mut conn = scene.read().await;
    let mut bytes = 0;
    for seed in seeds {
        let found = manifests::get(&mut conn, repository.id, &digest(*seed, 0)).await.unwrap();
        bytes += found.expect("the manifest exists").size();
    }
    bytes
}

async fn link(scene: &Scene, from: &Repository, to: &Repository, seed: u8) {
    let (from, to) = (from.id, to.id);
    let linked = scene.write(work!(|tx| manifests::link_tree(tx, from, to, &digest(seed, 0)).await));
    linked.await;
}

async fn a_blob_counts_once_and_is_unique_if_no_other_repository_has_it(scene: Scene) {
    let (web, api, qa) = (
        scene.repository("dev/web").await,
        scene.repository("dev/api").await,
        scene.repository("qa/web").await,
    );
    scene.image(&web, 1).await;
    scene.image(&web, 2).await;
    let of = async |repository: &Repository| {
        storage::of_repository(&mut scene.read().await, repository.id).await.unwrap()
    };
    let of_dev = async || storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!(of(&web).await, alone(220, 0));
    assert_eq!(of(&api).await, alone(0, 0));

    link(&scene, &web, &api, 1).await;
    assert_eq!(of(&web).await, alone(110, 110));
    assert_eq!(of(&api).await, alone(0, 110));
    let (first, second) = (manifests_of(&scene, &web, &[1]).await, manifests_of(&scene, &web, &[2]).await);
    assert_eq!(of_dev().await.storage, alone(220 + first + second, 0), "shared only within the namespace");
    let summary = repositories::summary(&mut scene.read().await, web.id).await.unwrap().unwrap();
    assert_eq!((summary.size_bytes, summary.unique_bytes), (220, Some(110)));

    link(&scene, &web, &qa, 2).await;
    assert_eq!(of_dev().await.storage, alone(110 + first, 110 + second));
    assert_eq!(of(&web).await, alone(0, 220));
    let blob = digest(2, 2);
    scene.write(work!(|tx| longshore_metadata::blobs::unlink(tx, qa.id, &blob).await)).await;
    assert_eq!(of(&web).await, alone(100, 120));
}

async fn deleted_repositories_count_until_they_are_purged(scene: Scene) {
    let (web, api) = (scene.repository("dev/web").await, scene.repository("dev/api").await);
    scene.image(&web, 1).await;
    scene.image(&web, 2).await;
    link(&scene, &web, &api, 1).await;
    let (first, second) = (manifests_of(&scene, &web, &[1]).await, manifests_of(&scene, &web, &[2]).await);
    let id = web.id;
    scene.write(work!(|tx| repositories::delete(tx, id, &Author::System, at(1)).await)).await;
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!((held.storage.total, held.deleted), (220 + first + second, Some(110 + second)));
    purge(&scene, id).await;
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!((held.storage.total, held.deleted), (110 + first, Some(0)));
}

async fn a_quota_refuses_only_content_that_would_exceed_it(scene: Scene) {
    scene.write(work!(|tx| accounts::create(tx, &dev(), true, false, None, at(0)).await)).await;
    let (web, qa) = (scene.repository("dev/web").await, scene.repository("qa/web").await);
    scene.image(&web, 1).await;
    scene.image(&qa, 1).await;
    scene.image(&qa, 2).await;
    let blob = |seed: u8, size: u64| {
        scene.write(work!(|tx| {
            storage::hold_quota(tx, &dev()).await?;
            storage::obstacle_to_blob(tx, &dev(), &digest(seed, 2), size).await
        }))
    };
    let tree = |seed: u8| {
        scene.write(work!(|tx| storage::obstacle_to_tree(tx, &dev(), qa.id, &digest(seed, 0)).await))
    };
    let set = |quota: Option<u64>| scene.write(work!(|tx| storage::set_quota(tx, &dev(), quota).await));
    assert_eq!(blob(2, u64::from(u32::MAX)).await, None, "there is no quota");
    let (first, second) = (manifests_of(&scene, &qa, &[1]).await, manifests_of(&scene, &qa, &[2]).await);
    let quota = 150 + first;
    assert!(set(Some(quota)).await);
    assert_eq!(storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap().quota, Some(quota));
    assert_eq!((blob(2, 40).await, tree(1).await), (None, None));
    let refusal = blob(2, 41).await.unwrap();
    assert_eq!(refusal, QuotaExceeded { namespace: dev(), quota, used: 110 + first, needed: 41 });
    let text = refusal.to_string();
    assert!(text.contains("and would need 41 B more"), "{text}");
    assert_eq!(tree(2).await.unwrap().needed, 110 + second);
    let manifest = |seed: u8, size: u64| {
        scene.write(work!(|tx| storage::obstacle_to_manifest(tx, &dev(), &digest(seed, 0), size).await))
    };
    assert_eq!((manifest(1, 1_000_000).await, manifest(2, 40).await), (None, None));
    assert_eq!(manifest(2, 41).await.unwrap().needed, 41);

    // Below what is already stored: it is kept and can be pushed again.
    assert!(set(Some(10)).await);
    assert_eq!((blob(1, 100).await, tree(1).await), (None, None));
    assert!(set(None).await);
    assert_eq!(tree(2).await, None);
    let none = scene.write(work!(|tx| storage::set_quota(tx, &"nobody".parse().unwrap(), Some(1)).await));
    assert!(!none.await);
}

/// Checks that every counter matches the rows.
async fn is_counted_right(scene: &Scene) {
    let conn = &mut scene.read().await;
    let mut after = None;
    while let Some(scope) = counters::next(conn, after.as_ref()).await.unwrap() {
        assert_eq!(counters::miscounts(conn, &scope).await.unwrap(), []);
        after = Some(scope);
    }
}

async fn the_storage_of_a_namespace_is_counted_as_content_is_added_and_removed(scene: Scene) {
    let (web, api) = (scene.repository("dev/web").await, scene.repository("dev/api").await);
    let mut seen = Vec::new();
    let mut look = async || {
        is_counted_right(&scene).await;
        let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
        seen.push(held.storage.total);
    };
    look().await;
    scene.image(&web, 1).await;
    look().await;
    scene.image(&web, 1).await;
    link(&scene, &web, &api, 1).await;
    look().await;
    let (of_web, of_api) = (web.id, api.id);
    for repository in [of_web, of_api] {
        let unlink =
            scene.write(work!(|tx| garbage::unlink_manifest(tx, repository, &digest(1, 0)).await.map(drop)));
        unlink.await;
        look().await;
        for part in [1, 2] {
            let unlink = scene.write(work!(|tx| blobs::unlink(tx, repository, &digest(1, part)).await));
            assert!(unlink.await);
            look().await;
        }
    }
    let manifest = seen[1] - 110;
    let rest = 110 + manifest;
    assert_eq!(seen, [0, rest, rest, rest, rest, rest, rest - manifest, 100, 0]);
}

async fn a_blob_linked_many_times_at_once_counts_once_in_its_namespace(scene: Scene) {
    let names: Vec<String> = (0..8).map(|number| format!("dev/app{number}")).collect();
    let mut ids = Vec::new();
    for name in &names {
        ids.push(scene.repository(name).await.id);
    }
    let elsewhere = scene.repository("qa/app").await;
    scene.image(&elsewhere, 1).await;
    let linking = ids.iter().map(|id| {
        let id = *id;
        scene.write(work!(|tx| blobs::link(tx, id, &digest(1, 2), at(0)).await))
    });
    futures::future::join_all(linking).await;
    is_counted_right(&scene).await;
    let unlinking = ids.iter().map(|id| {
        let id = *id;
        scene.write(work!(|tx| blobs::unlink(tx, id, &digest(1, 2)).await))
    });
    futures::future::join_all(unlinking).await;
    is_counted_right(&scene).await;
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!(held.storage.total, 0);
}

async fn purge(scene: &Scene, id: RepositoryId) {
    assert!(scene.write(work!(|tx| garbage::begin_purge(tx, id).await)).await);
    let step = async || scene.write(work!(|tx| garbage::purge(tx, id).await)).await;
    while !step().await.is_gone {}
}

async fn tags_and_blobs_of_repositories_are_counted_as_they_are_added_and_removed(scene: Scene) {
    let (web, api) = (scene.repository("dev/web").await, scene.repository("dev/api").await);
    let look = async |repository: &Repository| {
        is_counted_right(&scene).await;
        let conn = &mut scene.read().await;
        let summary = repositories::summary(conn, repository.id).await.unwrap().unwrap();
        let all = totals::all(conn).await.unwrap();
        (summary.tags, summary.size_bytes, all.tags, all.blobs_bytes)
    };
    assert_eq!(look(&web).await, (0, 0, 0, 0));
    let (first, second) = (scene.image(&web, 1).await, scene.image(&web, 2).await);
    link(&scene, &web, &api, 1).await;
    for tag in ["1", "2", "latest"] {
        scene.push(&web, tag, &first).await;
    }
    scene.push(&web, "latest", &second).await;
    scene.push(&web, &format!("sha256-{}.sig", "0".repeat(64)), &second).await;
    scene.push(&api, "1", &first).await;
    assert_eq!(look(&web).await, (3, 220, 4, 220));
    assert_eq!(look(&api).await, (1, 110, 4, 220));
    scene.remove(&web, "2").await;
    let of_web = web.id;
    let unlink = scene.write(work!(|tx| blobs::unlink(tx, of_web, &digest(2, 2)).await));
    assert!(unlink.await);
    assert_eq!(look(&web).await, (2, 120, 3, 220));
    let forgotten = scene.write(work!(|tx| blobs::forget(tx, &digest(2, 2)).await));
    forgotten.await;
    assert_eq!(look(&web).await, (2, 120, 3, 120));

    // Restorable content is not in the totals, but still in the repository's own counters.
    scene.write(work!(|tx| repositories::delete(tx, of_web, &Author::System, at(1)).await)).await;
    let (hour, page) = (jiff::SignedDuration::from_hours(1), PageRequest::first(9));
    let conn = &mut scene.read().await;
    let listed = undo::deleted_repositories(conn, &Visible::Everything, hour, &page).await.unwrap();
    assert_eq!((listed.items[0].tags, listed.items[0].size_bytes), (2, 120));
    assert_eq!(look(&api).await, (1, 110, 1, 120));
    purge(&scene, of_web).await;
    assert_eq!(look(&api).await, (1, 110, 1, 120));
}

async fn wrong_counters_are_reported_and_recounted(scene: Scene) {
    let web = scene.repository("dev/web").await;
    let image = scene.image(&web, 1).await;
    scene.push(&web, "1", &image).await;
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap().storage.total;
    let held = i64::try_from(held).unwrap();
    for sql in [
        "UPDATE namespace_storage SET bytes = 1",
        "UPDATE blob_totals SET bytes = 2",
        "DELETE FROM tag_totals",
        "UPDATE store_total SET bytes = 4",
    ] {
        scene.by_another(sql).await;
    }
    let counters = [
        (Scope::Server, vec![(Counter::Store, 4, 110)]),
        (
            Scope::Namespace(dev()),
            vec![
                (Counter::Namespace(dev()), 1, held),
                (Counter::Blobs(web.name.clone()), 2, 110),
                (Counter::Tags(web.name.clone()), 0, 1),
            ],
        ),
    ];
    let mut after = None;
    for (scope, wrong) in counters {
        let conn = &mut scene.read().await;
        assert_eq!(counters::next(conn, after.as_ref()).await.unwrap().as_ref(), Some(&scope));
        let wrong: Vec<Miscount> =
            wrong.into_iter().map(|(counter, counted, held)| Miscount { counter, counted, held }).collect();
        assert_eq!(counters::miscounts(conn, &scope).await.unwrap(), wrong);
        let of = scope.clone();
        scene.write(work!(|tx| counters::recount(tx, &of).await)).await;
        after = Some(scope);
    }
    assert_eq!(counters::next(&mut scene.read().await, after.as_ref()).await.unwrap(), None);
    is_counted_right(&scene).await;
    // Counting continues from there.
    scene.image(&web, 2).await;
    scene.push(&web, "2", &image).await;
    is_counted_right(&scene).await;
}

async fn unique_storage_is_computed_only_up_to_a_number_of_blobs_and_manifests(scene: Scene) {
    let (web, api) = (scene.repository("dev/web").await, scene.repository("dev/api").await);
    scene.image(&web, 1).await;
    // Together with the image's two blobs and its manifest, this is the maximum.
    let most = Storage::MOST_LOOKED_UP - 3;
    let fill = |from: u64, to: u64| {
        let id = web.id;
        scene.write(work!(|tx| {
            for number in from..to {
                let blob = format!("sha256:{number:064x}").parse().unwrap();
                blobs::record(tx, &blob, 1, &format!("blobs/{blob}"), at(0)).await?;
                blobs::link(tx, id, &blob, at(0)).await?;
            }
            Ok(())
        }))
    };
    let of = async |repository: &Repository| {
        storage::of_repository(&mut scene.read().await, repository.id).await.unwrap()
    };
    let of_dev = async || storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    for from in (0..most).step_by(500) {
        fill(from, most.min(from + 500)).await;
    }
    assert_eq!(of(&web).await, alone(110 + most, 0));
    assert_eq!(of_dev().await.storage.shared(), Some(0));
    fill(most, most + 1).await;
    assert_eq!(of(&web).await, Storage { total: 110 + most + 1, unique: None });
    assert_eq!(of(&api).await, alone(0, 0), "for a small repository it is still computed");
    let summary = repositories::summary(&mut scene.read().await, web.id).await.unwrap().unwrap();
    assert_eq!((summary.size_bytes, summary.unique_bytes), (110 + most + 1, None));
    let manifest = manifests_of(&scene, &web, &[1]).await;
    let held = of_dev().await;
    let total = 110 + most + 1 + manifest;
    assert_eq!(held.storage, Storage { total, unique: None });
    assert_eq!(held.deleted, Some(0), "nothing is deleted, and so nothing has to be looked up");
    let id = web.id;
    scene.write(work!(|tx| repositories::delete(tx, id, &Author::System, at(1)).await)).await;
    assert_eq!((of_dev().await.deleted, of_dev().await.storage.total), (None, total));
}
