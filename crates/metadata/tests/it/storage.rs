//! What repositories and namespaces hold, and how much they may.

use crate::on_both;
use crate::scene::{Scene, at, digest};
use longshore_metadata::storage::{self, QuotaExceeded};
use longshore_metadata::{Turn, accounts, blobs, garbage, manifests, repositories};
use longshore_model::repository::Storage;
use longshore_model::{Author, Repository};
use longshore_oci::Namespace;

on_both![
    what_a_namespace_holds_is_counted_as_it_comes_and_goes,
    of_many_who_give_a_namespace_the_same_blob_at_once_one_counts_it,
    a_blob_counts_once_and_is_unique_where_nobody_else_has_it,
    what_deleted_repositories_hold_counts_until_they_are_purged,
    a_quota_refuses_what_would_come_on_top_and_nothing_else,
];

fn dev() -> Namespace {
    "dev".parse().unwrap()
}

/// Bytes of the manifests of [`Scene::image`] for these seeds, each of which counts in a namespace.
async fn manifests_of(scene: &Scene, repository: &Repository, seeds: &[u8]) -> u64 {
    let mut conn = scene.read().await;
    let mut bytes = 0;
    for seed in seeds {
        let found = manifests::get(&mut conn, repository.id, &digest(*seed, 0)).await.unwrap();
        bytes += found.expect("it is there").size();
    }
    bytes
}

async fn link(scene: &Scene, from: &Repository, to: &Repository, seed: u8) {
    let (from, to) = (from.id, to.id);
    let linked = scene
        .write(move |tx| Box::pin(async move { manifests::link_tree(tx, from, to, &digest(seed, 0)).await }));
    linked.await;
}

async fn a_blob_counts_once_and_is_unique_where_nobody_else_has_it(scene: Scene) {
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
    assert_eq!(of(&web).await, Storage { unique: 220, shared: 0 });
    assert_eq!(of(&api).await, Storage::default());

    link(&scene, &web, &api, 1).await;
    assert_eq!(of(&web).await, Storage { unique: 110, shared: 110 });
    assert_eq!(of(&api).await, Storage { unique: 0, shared: 110 });
    let (first, second) = (manifests_of(&scene, &web, &[1]).await, manifests_of(&scene, &web, &[2]).await);
    assert_eq!(
        of_dev().await.storage,
        Storage { unique: 220 + first + second, shared: 0 },
        "shared within the namespace alone"
    );
    let summary = repositories::summary(&mut scene.read().await, web.id).await.unwrap().unwrap();
    assert_eq!((summary.size_bytes, summary.unique_bytes), (220, Some(110)));

    link(&scene, &web, &qa, 2).await;
    assert_eq!(of_dev().await.storage, Storage { unique: 110 + first, shared: 110 + second });
    assert_eq!(of(&web).await, Storage { unique: 0, shared: 220 });
    let blob = digest(2, 2);
    scene
        .write(move |tx| Box::pin(async move { longshore_metadata::blobs::unlink(tx, qa.id, &blob).await }))
        .await;
    assert_eq!(of(&web).await, Storage { unique: 100, shared: 120 });
}

async fn what_deleted_repositories_hold_counts_until_they_are_purged(scene: Scene) {
    let (web, api) = (scene.repository("dev/web").await, scene.repository("dev/api").await);
    scene.image(&web, 1).await;
    scene.image(&web, 2).await;
    link(&scene, &web, &api, 1).await;
    let (first, second) = (manifests_of(&scene, &web, &[1]).await, manifests_of(&scene, &web, &[2]).await);
    let id = web.id;
    scene.write(move |tx| Box::pin(repositories::delete(tx, id, &Author::System, at(1)))).await;
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!((held.storage.total(), held.deleted), (220 + first + second, 110 + second));
    scene.write(move |tx| Box::pin(garbage::begin_purge(tx, id))).await;
    let purge = async || {
        scene.write(move |tx| Box::pin(async move { garbage::purge(tx, id, &Turn::begin()).await })).await
    };
    while !purge().await.is_gone {}
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!((held.storage.total(), held.deleted), (110 + first, 0));
}

async fn a_quota_refuses_what_would_come_on_top_and_nothing_else(scene: Scene) {
    scene
        .write(|tx| Box::pin(async move { accounts::create(tx, &dev(), true, false, None, at(0)).await }))
        .await;
    let (web, qa) = (scene.repository("dev/web").await, scene.repository("qa/web").await);
    scene.image(&web, 1).await;
    scene.image(&qa, 1).await;
    scene.image(&qa, 2).await;
    let blob = |seed: u8, size: u64| {
        scene.write(move |tx| {
            Box::pin(async move {
                storage::hold_quota(tx, &dev()).await?;
                storage::obstacle_to_blob(tx, &dev(), &digest(seed, 2), size).await
            })
        })
    };
    let tree = |seed: u8| {
        scene.write(move |tx| {
            Box::pin(async move { storage::obstacle_to_tree(tx, &dev(), qa.id, &digest(seed, 0)).await })
        })
    };
    let set = |quota: Option<u64>| {
        scene.write(move |tx| Box::pin(async move { storage::set_quota(tx, &dev(), quota).await }))
    };
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
        scene.write(move |tx| {
            Box::pin(async move { storage::obstacle_to_manifest(tx, &dev(), &digest(seed, 0), size).await })
        })
    };
    assert_eq!((manifest(1, 1_000_000).await, manifest(2, 40).await), (None, None));
    assert_eq!(manifest(2, 41).await.unwrap().needed, 41);

    // Below what is there already: what is there stays, and can be pushed again.
    assert!(set(Some(10)).await);
    assert_eq!((blob(1, 100).await, tree(1).await), (None, None));
    assert!(set(None).await);
    assert_eq!(tree(2).await, None);
    let none = scene.write(|tx| {
        Box::pin(async move { storage::set_quota(tx, &"nobody".parse().unwrap(), Some(1)).await })
    });
    assert!(!none.await);
}

/// The counter equals the sum.
async fn is_counted_right(scene: &Scene, namespace: &Namespace) {
    let wrong = storage::miscount(&mut scene.read().await, namespace).await.unwrap();
    assert_eq!(wrong, None);
}

async fn what_a_namespace_holds_is_counted_as_it_comes_and_goes(scene: Scene) {
    let (web, api) = (scene.repository("dev/web").await, scene.repository("dev/api").await);
    let mut seen = Vec::new();
    let mut look = async || {
        is_counted_right(&scene, &dev()).await;
        let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
        seen.push(held.storage.total());
    };
    look().await;
    scene.image(&web, 1).await;
    look().await;
    scene.image(&web, 1).await;
    link(&scene, &web, &api, 1).await;
    look().await;
    let (of_web, of_api) = (web.id, api.id);
    for repository in [of_web, of_api] {
        let unlink = scene.write(move |tx| {
            Box::pin(async move { garbage::unlink_manifest(tx, repository, &digest(1, 0)).await.map(drop) })
        });
        unlink.await;
        look().await;
        for part in [1, 2] {
            let unlink = scene.write(move |tx| {
                Box::pin(async move { blobs::unlink(tx, repository, &digest(1, part)).await })
            });
            assert!(unlink.await);
            look().await;
        }
    }
    let manifest = seen[1] - 110;
    let rest = 110 + manifest;
    assert_eq!(seen, [0, rest, rest, rest, rest, rest, rest - manifest, 100, 0]);
}

async fn of_many_who_give_a_namespace_the_same_blob_at_once_one_counts_it(scene: Scene) {
    let names: Vec<String> = (0..8).map(|number| format!("dev/app{number}")).collect();
    let mut ids = Vec::new();
    for name in &names {
        ids.push(scene.repository(name).await.id);
    }
    let elsewhere = scene.repository("qa/app").await;
    scene.image(&elsewhere, 1).await;
    let linking = ids.iter().map(|id| {
        let id = *id;
        scene.write(move |tx| Box::pin(async move { blobs::link(tx, id, &digest(1, 2), at(0)).await }))
    });
    futures::future::join_all(linking).await;
    is_counted_right(&scene, &dev()).await;
    let unlinking = ids.iter().map(|id| {
        let id = *id;
        scene.write(move |tx| Box::pin(async move { blobs::unlink(tx, id, &digest(1, 2)).await }))
    });
    futures::future::join_all(unlinking).await;
    is_counted_right(&scene, &dev()).await;
    let held = storage::of_namespace(&mut scene.read().await, &dev()).await.unwrap();
    assert_eq!(held.storage.total(), 0);
}
