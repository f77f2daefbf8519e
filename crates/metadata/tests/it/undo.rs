//! Restoring overwritten and deleted content, which is an ordinary change (semantics 22, 23).

use crate::mirrors::pull_mirror;
use crate::on_both;
use crate::scene::{Scene, at, name, revision, week};
use longshore_metadata::undo::{self, Place, RestoreOutcome, RestoreTag};
use longshore_metadata::{Visible, repositories};
use longshore_metadata::{deletion, manifests, work};
use longshore_model::job::Parameters;
use longshore_model::policy::Baseline;
use longshore_model::repository::NewRepository;
use longshore_model::{
    Author, ImmutableTags, Lineage, PageRequest, Pin, PolicyId, Provenance, Repository, Revision, Total,
};

on_both![
    semantics_22_a_rollback_is_a_new_revision_that_policies_evaluate,
    semantics_22_a_deleted_tag_can_be_restored_only_within_the_window,
    semantics_22_policies_do_not_evaluate_a_tag_that_is_restored_quietly,
    semantics_22_a_restored_tag_of_a_mirror_is_pinned_until_it_is_released,
    semantics_22_an_image_deleted_by_digest_is_restored_with_its_tag,
    semantics_05_a_restored_tag_keeps_its_lineage,
    semantics_14_an_immutable_tag_is_not_rolled_back,
    semantics_23_a_deleted_repository_is_restored_unchanged,
    semantics_23_before_a_purge_other_places_of_the_images_are_listed,
];

async fn restore(scene: &Scene, repository: &Repository, tag: &str, revision: Revision) -> RestoreOutcome {
    restore_at(scene, repository, tag, revision, false, 10).await
}

async fn restore_at(
    scene: &Scene,
    repository: &Repository,
    tag: &str,
    revision: Revision,
    quietly: bool,
    second: i64,
) -> RestoreOutcome {
    let (repository, name, window) = (repository.clone(), name(tag), week(second));
    scene
        .write(work!(|tx| {
            let (repository, name, author) = (&repository, &name, &Author::System);
            undo::restore_tag(tx, RestoreTag { repository, name, revision, quietly, author, window }).await
        }))
        .await
}

async fn semantics_22_a_rollback_is_a_new_revision_that_policies_evaluate(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (v1, v2) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let first = revision(scene.push(&dev, "latest", &v1).await);
    let second = revision(scene.push(&dev, "latest", &v2).await);
    let before = scene.orders().await.len();

    let RestoreOutcome::Restored(tag) = restore(&scene, &dev, "latest", first).await else { panic!() };
    assert_eq!(scene.tag(&dev, "latest").await.as_ref(), Some(&tag));
    assert_eq!(tag.digest, v1);
    assert!(
        tag.revision > second && tag.source_revision == tag.revision,
        "a person may replace newer by older"
    );
    assert_eq!(tag.provenance, Provenance::Restored { revision: first, quietly: false, pin: None });
    let asked = scene.orders().await;
    assert_eq!(asked.len(), before + 1);
    assert!(
        matches!(asked.last(), Some(Parameters::EvaluateTag { revision, .. }) if *revision == tag.revision)
    );

    let history =
        undo::history(&mut scene.read().await, dev.id, &name("latest"), None, 10, &week(10)).await.unwrap();
    let told: Vec<_> = history.iter().map(|change| (change.revision, change.until.is_some())).collect();
    assert_eq!(
        told,
        [(tag.revision, false), (second, true), (first, false)],
        "the current revision need not be restored"
    );
    assert_eq!(history[0].provenance.as_ref(), Some(&tag.provenance));
    let earlier = async |before| {
        let conn = &mut scene.read().await;
        undo::history(conn, dev.id, &name("latest"), Some(before), 1, &week(10)).await.unwrap()
    };
    assert_eq!(earlier(tag.revision).await, history[1..2]);
    assert_eq!(
        earlier(second).await,
        history[2..],
        "the current revision is not offered on a later page either"
    );
    assert!(earlier(first).await.is_empty());
    assert!(matches!(restore(&scene, &dev, "latest", first).await, RestoreOutcome::Unchanged(_)));
    assert!(matches!(restore(&scene, &dev, "latest", second).await, RestoreOutcome::Restored(_)));
    assert_eq!(restore(&scene, &dev, "latest", Revision(999)).await, RestoreOutcome::TooLate);
    assert_eq!(restore(&scene, &dev, "another", first).await, RestoreOutcome::TooLate);
}

async fn semantics_22_a_deleted_tag_can_be_restored_only_within_the_window(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let pushed = revision(scene.push(&dev, "1", &image).await);
    scene.push(&dev, "2", &image).await;
    let deleted = async |now| {
        let page = PageRequest::first(10);
        undo::deleted_tags(&mut scene.read().await, dev.id, &week(now), &page).await.unwrap()
    };
    assert_eq!(deleted(3).await.total, 0);
    scene.remove(&dev, "1").await;
    let listed = deleted(3).await;
    assert_eq!((listed.total, listed.items.len()), (Total::Exactly(1), 1));
    let tag = &listed.items[0];
    assert_eq!((&tag.name, tag.revision, &tag.digest), (&name("1"), pushed, &image));
    assert_eq!((tag.deleted_at, tag.until), (at(2), at(2 + 7 * 86_400)));

    let late = 2 + 7 * 86_400;
    assert_eq!(deleted(late).await.total, 0);
    assert_eq!(restore_at(&scene, &dev, "1", pushed, false, late).await, RestoreOutcome::TooLate);
    let in_time = restore_at(&scene, &dev, "1", pushed, false, late - 1).await;
    assert!(matches!(in_time, RestoreOutcome::Restored(_)), "{in_time:?}");
    assert_eq!(deleted(late - 1).await.total, 0, "it exists again");
}

async fn semantics_22_policies_do_not_evaluate_a_tag_that_is_restored_quietly(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let pushed = revision(scene.push(&dev, "1", &image).await);
    scene.remove(&dev, "1").await;
    let before = scene.orders().await.len();
    let RestoreOutcome::Restored(tag) = restore_at(&scene, &dev, "1", pushed, true, 3).await else {
        panic!()
    };
    assert_eq!(tag.provenance, Provenance::Restored { revision: pushed, quietly: true, pin: None });
    assert_eq!(scene.orders().await.len(), before);
}

async fn semantics_22_a_restored_tag_of_a_mirror_is_pinned_until_it_is_released(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let mirror = pull_mirror(&scene, &dev, 0, Baseline::None).await.common.id;
    let (v1, v2) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let by = |policy: PolicyId| Provenance::Mirror {
        policy,
        remote: None,
        remote_host: "registry.example".into(),
        remote_repository: "library/app".parse().unwrap(),
        remote_tag: name("1"),
    };
    let first = revision(scene.set(&dev, "1", &v1, None, by(mirror)).await);
    scene.set(&dev, "1", &v2, None, by(mirror)).await;
    let RestoreOutcome::Restored(tag) = restore(&scene, &dev, "1", first).await else { panic!() };
    assert_eq!((tag.provenance.mirror(), tag.provenance.pinned_from()), (Some(mirror), Some(mirror)));

    // Rolling back further keeps the pin.
    let RestoreOutcome::Restored(tag) = restore(&scene, &dev, "1", Revision(first.0 + 1)).await else {
        panic!()
    };
    assert_eq!(tag.provenance.pinned_from(), Some(mirror));
    let release =
        || scene.write(work!(|tx| undo::release_tag(tx, dev.id, &name("1"), &Author::System, at(11)).await));
    let released = release().await.unwrap();
    assert_eq!((released.revision, released.provenance.pinned_from()), (tag.revision, None));
    assert_eq!(released.provenance.mirror(), Some(mirror), "the mirror may move it");
    assert_eq!(release().await, None);

    // Without a mirror there is no pin.
    let first = revision(scene.set(&dev, "2", &v1, None, by(PolicyId::new())).await);
    scene.remove(&dev, "2").await;
    let RestoreOutcome::Restored(tag) = restore(&scene, &dev, "2", first).await else { panic!() };
    assert_eq!(tag.provenance, Provenance::Restored { revision: first, quietly: false, pin: None::<Pin> });
}

async fn semantics_22_an_image_deleted_by_digest_is_restored_with_its_tag(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let pushed = revision(scene.push(&dev, "1", &image).await);
    let (repository, digest) = (dev.clone(), image.clone());
    scene
        .write(work!(|tx| deletion::delete_manifest(tx, &repository, &digest, &Author::System, at(2)).await))
        .await;
    let there = async || manifests::get(&mut scene.read().await, dev.id, &image).await.unwrap().is_some();
    assert!(!there().await, "nobody can read it");
    assert!(matches!(restore(&scene, &dev, "1", pushed).await, RestoreOutcome::Restored(_)));
    assert!(there().await);

    // It cannot be restored without its parts.
    scene.remove(&dev, "1").await;
    let layer = crate::scene::digest(1, 2);
    scene.write(work!(|tx| longshore_metadata::blobs::unlink(tx, dev.id, &layer).await)).await;
    assert_eq!(restore(&scene, &dev, "1", pushed).await, RestoreOutcome::TooLate);
}

async fn semantics_05_a_restored_tag_keeps_its_lineage(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let passed: Lineage = [PolicyId::new()].into_iter().collect();
    let (repository, lineage) = (dev.clone(), passed.clone());
    let set = scene.write(work!(|tx| {
        let to = longshore_metadata::tags::SetTag {
            repository: &repository,
            name: &name("1"),
            digest: &image,
            source_revision: None,
            author: &Author::System,
            provenance: &Provenance::Push,
            lineage: &lineage,
            now: at(1),
        };
        longshore_metadata::tags::set(tx, to).await
    }));
    let pushed = revision(set.await);
    scene.remove(&dev, "1").await;
    let RestoreOutcome::Restored(tag) = restore(&scene, &dev, "1", pushed).await else { panic!() };
    assert_eq!(tag.lineage, passed);
}

async fn semantics_14_an_immutable_tag_is_not_rolled_back(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (v1, v2) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let first = revision(scene.push(&dev, "1", &v1).await);
    scene.push(&dev, "1", &v2).await;
    let fixed = Repository { immutable_tags: ImmutableTags::All, ..dev };
    let refused = restore(&scene, &fixed, "1", first).await;
    assert!(
        matches!(&refused, RestoreOutcome::Immutable { existing } if existing.digest == v2),
        "{refused:?}"
    );
}

async fn semantics_23_a_deleted_repository_is_restored_unchanged(scene: Scene) {
    let new = NewRepository { short_description: "the site".to_owned(), ..Default::default() };
    let dev = scene.repository_with("dev/app", new).await;
    let image = scene.image(&dev, 1).await;
    scene.push(&dev, "1", &image).await;
    let before = scene.tag(&dev, "1").await;
    let author = Author::User { name: "dev".parse().unwrap() };
    let by = author.clone();
    scene.write(work!(|tx| repositories::delete(tx, dev.id, &by, at(5)).await)).await;

    let listed = async |visible: Visible| {
        let page = PageRequest::first(10);
        undo::deleted_repositories(&mut scene.read().await, &visible, week(0).length, &page).await.unwrap()
    };
    let all = listed(Visible::Everything).await;
    assert_eq!(all.total, 1);
    let deleted = &all.items[0];
    assert_eq!((&deleted.repository, &deleted.deleted_by), (&dev, &author));
    assert_eq!((deleted.deleted_at, deleted.until), (at(5), at(5 + 7 * 86_400)));
    assert_eq!((deleted.tags, deleted.size_bytes), (1, 110));
    let of = |namespace: &str| Visible::Of { public: true, namespaces: vec![namespace.parse().unwrap()] };
    assert_eq!(
        (listed(of("dev")).await.total, listed(of("qa")).await.total),
        (Total::Exactly(1), Total::Exactly(0))
    );

    assert!(scene.write(work!(|tx| undo::restore_repository(tx, dev.id, at(6)).await)).await);
    assert!(!scene.write(work!(|tx| undo::restore_repository(tx, dev.id, at(6)).await)).await);
    let back = repositories::find(&mut scene.read().await, &dev.name).await.unwrap();
    assert_eq!(back, Some(dev.clone()));
    assert_eq!(scene.tag(&dev, "1").await, before);
    assert_eq!(listed(Visible::Everything).await.total, 0);
}

async fn semantics_23_before_a_purge_other_places_of_the_images_are_listed(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let image = scene.image(&dev, 1).await;
    scene.image(&dev, 2).await;
    scene.image(&qa, 1).await;
    let found = undo::elsewhere(&mut scene.read().await, dev.id, 10).await.unwrap();
    assert_eq!(found, (vec![(Place::Here { id: qa.id, name: qa.name.clone() }, image)], 0));

    scene.image(&qa, 2).await;
    let found = undo::elsewhere(&mut scene.read().await, dev.id, 1).await.unwrap();
    assert_eq!((found.0.len(), found.1), (1, 1), "omitted places are counted");
}
