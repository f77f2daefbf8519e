//! Tags over time: revisions, their order, and the jobs that react.

use crate::on_both;
use crate::scene::{Scene, at, digest, image_json, name, put, revision, week};
use longshore_metadata::deletion::{self, DeleteOutcome};
use longshore_metadata::tags::{self, RemoveOutcome, SetOutcome, SetTag};
use longshore_metadata::{Change, Priority, Visible, activity, repositories, undo, work};
use longshore_model::activity::ActivityKind;
use longshore_model::job::{JobAction, Parameters};
use longshore_model::repository::NewRepository;
use longshore_model::{Author, ImmutableTags, Lineage, PageRequest, PolicyId, Provenance, Revision, Total};
use longshore_oci::Tag;

on_both![
    semantics_01_an_earlier_source_never_replaces_a_later_one,
    semantics_01_a_person_may_replace_a_newer_image_by_an_older_one,
    semantics_01_the_same_digest_from_a_later_source_keeps_the_tag_from_an_earlier_one,
    semantics_01_concurrent_changes_of_one_tag_are_serialized,
    semantics_02_the_same_digest_creates_no_revision_but_is_evaluated_again,
    semantics_05_the_lineage_of_a_tag_is_kept,
    semantics_06_digest_tags_are_neither_listed_nor_counted,
    semantics_07_a_digest_tag_follows_its_subject_and_is_not_evaluated,
    semantics_07_a_tagged_referrer_follows_its_subject_and_is_not_evaluated,
    semantics_14_an_immutable_tag_is_neither_moved_nor_deleted,
    only_tags_that_match_the_patterns_are_immutable,
    a_change_is_recorded_announced_and_evaluated_by_a_job,
    the_history_of_a_removed_tag_is_kept,
    tags_are_listed_in_byte_order,
    a_summary_has_size_and_platforms,
    semantics_09_a_tag_is_not_set_to_a_manifest_that_was_just_deleted,
];

async fn semantics_09_a_tag_is_not_set_to_a_manifest_that_was_just_deleted(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let (from, gone) = (dev.clone(), image.clone());
    let deleted =
        scene.write(work!(|tx| deletion::delete_manifest(tx, &from, &gone, &Author::System, at(1)).await));
    assert_eq!(deleted.await, DeleteOutcome::Deleted);
    assert_eq!(scene.push(&dev, "1", &image).await, SetOutcome::Unstored);
    assert_eq!(scene.push(&dev, "2", &digest(77, 0)).await, SetOutcome::Unstored);
    assert!(scene.tag(&dev, "1").await.is_none() && scene.tag(&dev, "2").await.is_none());
}

async fn semantics_01_an_earlier_source_never_replaces_a_later_one(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let qa = scene.repository("qa/app").await;
    let (v1, v2) = (scene.image(&qa, 1).await, scene.image(&qa, 2).await);
    let (in_dev, in_dev_2) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let first = revision(scene.push(&dev, "1", &in_dev).await);
    let second = revision(scene.push(&dev, "2", &in_dev_2).await);

    assert!(matches!(scene.promote(&qa, "latest", &v2, second).await, SetOutcome::Set(_)));
    let before = scene.orders().await.len();
    let late = scene.promote(&qa, "latest", &v1, first).await;
    let SetOutcome::Superseded { by } = late else { panic!("{late:?}") };
    assert_eq!((by.digest, by.source_revision), (v2.clone(), second));
    assert_eq!(scene.tag(&qa, "latest").await.unwrap().digest, v2);
    assert_eq!(scene.orders().await.len(), before, "a superseded change enqueues no job");
}

async fn semantics_01_a_person_may_replace_a_newer_image_by_an_older_one(scene: Scene) {
    let qa = scene.repository("qa/app").await;
    let (v1, v2) = (scene.image(&qa, 1).await, scene.image(&qa, 2).await);
    scene.promote(&qa, "latest", &v2, Revision(5_000)).await;
    let pushed = revision(scene.push(&qa, "latest", &v1).await);
    let tag = scene.tag(&qa, "latest").await.unwrap();
    assert_eq!((tag.digest, tag.source_revision), (v1, pushed), "a push is its own source");
}

async fn semantics_01_the_same_digest_from_a_later_source_keeps_the_tag_from_an_earlier_one(scene: Scene) {
    let qa = scene.repository("qa/app").await;
    let (same, other) = (scene.image(&qa, 1).await, scene.image(&qa, 2).await);
    scene.promote(&qa, "latest", &same, Revision(10)).await;
    // Revision 20 moved the tag elsewhere and 30 moved it back; the job of 20 is late.
    assert!(matches!(scene.promote(&qa, "latest", &same, Revision(30)).await, SetOutcome::Unchanged(_)));
    let late = scene.promote(&qa, "latest", &other, Revision(20)).await;
    assert!(matches!(late, SetOutcome::Superseded { .. }), "{late:?}");
    // And an older source with the same digest does not change that.
    assert!(matches!(scene.promote(&qa, "latest", &same, Revision(10)).await, SetOutcome::Unchanged(_)));
    assert_eq!(scene.tag(&qa, "latest").await.unwrap().source_revision, Revision(30));
}

async fn semantics_01_concurrent_changes_of_one_tag_are_serialized(scene: Scene) {
    let qa = scene.repository("qa/app").await;
    let images = [scene.image(&qa, 1).await, scene.image(&qa, 2).await];
    let running: Vec<_> = (1..=40_i64)
        .map(|source| {
            let (db, qa, image) = (scene.db.clone(), qa.clone(), images[source as usize % 2].clone());
            tokio::spawn(async move {
                db.write::<_, longshore_metadata::Error, _>(
                    Priority::Evaluation,
                    work!(|tx| {
                        // Two names in either order, like promotions of different policies.
                        let mut names = [name("a"), name("b")];
                        if source % 2 == 0 {
                            names.reverse();
                        }
                        for name in &names {
                            let to = SetTag {
                                repository: &qa,
                                name,
                                digest: &image,
                                source_revision: Some(Revision(source)),
                                author: &Author::System,
                                provenance: &Provenance::Push,
                                lineage: &Lineage::default(),
                                now: at(source),
                            };
                            tags::set(tx, to).await?;
                        }
                        Ok(())
                    }),
                )
                .await
            })
        })
        .collect();
    for running in running {
        running.await.unwrap().unwrap();
    }
    for tag in ["a", "b"] {
        let tag = scene.tag(&qa, tag).await.unwrap();
        assert_eq!((tag.source_revision, &tag.digest), (Revision(40), &images[0]), "the latest source won");
    }
}

async fn semantics_02_the_same_digest_creates_no_revision_but_is_evaluated_again(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let first = revision(scene.push(&dev, "1", &image).await);
    let again = scene.push(&dev, "1", &image).await;
    assert!(matches!(&again, SetOutcome::Unchanged(tag) if tag.revision == first), "{again:?}");
    let history =
        undo::history(&mut scene.read().await, dev.id, &name("1"), None, 10, &week(2)).await.unwrap();
    assert_eq!(history.len(), 1);
    let asked: Vec<_> = scene.orders().await;
    let evaluation =
        Parameters::EvaluateTag { repository: dev.id, tag: name("1"), digest: image, revision: first };
    assert_eq!(asked, [evaluation.clone(), evaluation]);
}

async fn semantics_05_the_lineage_of_a_tag_is_kept(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let lineage: Lineage = (0..40).map(|_| PolicyId::new()).collect();
    let (kept, repository) = (lineage.clone(), dev.clone());
    scene
        .write(work!(|tx| {
            let to = SetTag {
                repository: &repository,
                name: &name("1"),
                digest: &image,
                source_revision: None,
                author: &Author::System,
                provenance: &Provenance::Push,
                lineage: &lineage,
                now: at(1),
            };
            tags::set(tx, to).await
        }))
        .await;
    let tag = scene.tag(&dev, "1").await.unwrap();
    assert_eq!(tag.lineage, kept);
    assert_eq!(tag.lineage.policies().len(), Lineage::MAX);
}

async fn semantics_06_digest_tags_are_neither_listed_nor_counted(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let signature = format!("{}.sig", Tag::referrers_of(&image));
    scene.push(&dev, "1", &image).await;
    scene.push(&dev, &signature, &image).await;
    scene.push(&dev, Tag::referrers_of(&image).as_str(), &image).await;

    let conn = &mut scene.read().await;
    let shown = tags::summaries(conn, dev.id, None, &PageRequest::first(10)).await.unwrap();
    assert_eq!((shown.items.len(), shown.total), (1, Total::Exactly(1)));
    assert_eq!(tags::all(conn, dev.id).await.unwrap().len(), 1);
    let summary = longshore_metadata::repositories::summary(conn, dev.id).await.unwrap().unwrap();
    assert_eq!(summary.tags, 1);
    // Clients that list tags see them.
    assert_eq!(tags::list(conn, dev.id, None, None).await.unwrap().len(), 3);
    assert_eq!(tags::digest_tags_of(conn, dev.id, &image).await.unwrap().len(), 2);
}

async fn semantics_07_a_digest_tag_follows_its_subject_and_is_not_evaluated(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (image, signature) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let tag = format!("{}.sig", Tag::referrers_of(&image));
    scene.push(&dev, &tag, &signature).await;
    let follow = Parameters::FollowSubject {
        repository: dev.id,
        referrer: signature,
        subject: image,
        tag: Some(name(&tag)),
    };
    assert_eq!(scene.orders().await, [follow]);
}

async fn semantics_07_a_tagged_referrer_follows_its_subject_and_is_not_evaluated(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let referrer = digest(9, 0);
    let (id, text, stored) =
        (dev.id, image_json(&digest(1, 1), &digest(1, 2), Some(&image)), referrer.clone());
    scene.write(work!(|tx| put(tx, id, &stored, &text).await)).await;
    scene.push(&dev, "sbom", &referrer).await;
    let orders = scene.orders().await;
    assert!(!orders.is_empty());
    for order in orders {
        let Parameters::FollowSubject { referrer: follows, subject, .. } = &order else {
            panic!("{order:?}")
        };
        assert_eq!((follows, subject), (&referrer, &image));
    }
}

async fn semantics_14_an_immutable_tag_is_neither_moved_nor_deleted(scene: Scene) {
    let settings = NewRepository { immutable_tags: ImmutableTags::All, ..Default::default() };
    let prod = scene.repository_with("prod/app", settings).await;
    let (v1, v2) = (scene.image(&prod, 1).await, scene.image(&prod, 2).await);
    scene.push(&prod, "1", &v1).await;
    let refused = scene.push(&prod, "1", &v2).await;
    assert!(matches!(&refused, SetOutcome::Immutable { existing } if existing.digest == v1), "{refused:?}");
    assert!(matches!(scene.push(&prod, "1", &v1).await, SetOutcome::Unchanged(_)));
    // Signing tools move their tags.
    let signature = format!("{}.sig", Tag::referrers_of(&v1));
    scene.push(&prod, &signature, &v1).await;
    assert!(matches!(scene.push(&prod, &signature, &v2).await, SetOutcome::Set(_)));
    let kept = scene.remove(&prod, "1").await;
    assert!(matches!(&kept, RemoveOutcome::Immutable { existing } if existing.digest == v1), "{kept:?}");
    assert!(matches!(scene.remove(&prod, &signature).await, RemoveOutcome::Removed(_)));
    let digest = v1.clone();
    let deleted =
        scene.write(work!(|tx| deletion::delete_manifest(tx, &prod, &digest, &Author::System, at(2)).await));
    assert_eq!(deleted.await, DeleteOutcome::Immutable { tag: name("1") });
}

async fn only_tags_that_match_the_patterns_are_immutable(scene: Scene) {
    let patterns = ImmutableTags::Matching("v*, 3.?".parse().unwrap());
    let prod = scene
        .repository_with("prod/app", NewRepository { immutable_tags: patterns.clone(), ..Default::default() })
        .await;
    let found = repositories::get(&mut scene.read().await, prod.id).await.unwrap().unwrap();
    assert_eq!(found.immutable_tags, patterns, "as it was written");
    let (one, two) = (scene.image(&prod, 1).await, scene.image(&prod, 2).await);
    for (tag, moves) in [("v1", false), ("3.1", false), ("3.14", true), ("latest", true)] {
        scene.push(&prod, tag, &one).await;
        let moved = scene.push(&prod, tag, &two).await;
        assert_eq!(matches!(moved, SetOutcome::Set(_)), moves, "{tag}");
        assert_eq!(matches!(scene.remove(&prod, tag).await, RemoveOutcome::Removed(_)), moves, "{tag}");
    }
}

async fn a_change_is_recorded_announced_and_evaluated_by_a_job(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    let mut changes = scene.db.changes();
    let pushed = revision(scene.push(&dev, "1", &image).await);
    let mut told = Vec::new();
    while let Ok(change) = changes.try_recv() {
        told.push(change);
    }
    assert!(
        told.contains(&Change::Tags(dev.id))
            && told.contains(&Change::JobsWaiting(Some(JobAction::Evaluate))),
        "{told:?}"
    );

    let conn = &mut scene.read().await;
    let history = undo::history(conn, dev.id, &name("1"), None, 10, &week(2)).await.unwrap();
    assert_eq!((history.len(), history[0].revision, &history[0].digest), (1, pushed, &Some(image)));
    let page = PageRequest::first(10);
    let happened = activity::list(conn, &Visible::Everything, &Default::default(), &page).await.unwrap();
    assert_eq!(happened.items[0].kind, ActivityKind::TagPushed);
    assert_eq!(happened.items[0].repository.as_ref(), Some(&dev.name));
}

async fn the_history_of_a_removed_tag_is_kept(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    scene.push(&dev, "1", &image).await;
    let removed = scene.remove(&dev, "1").await;
    assert!(matches!(removed, RemoveOutcome::Removed(tag) if tag.digest == image));
    assert_eq!(scene.remove(&dev, "1").await, RemoveOutcome::Missing);
    assert_eq!(scene.tag(&dev, "1").await, None);
    let history =
        undo::history(&mut scene.read().await, dev.id, &name("1"), None, 10, &week(2)).await.unwrap();
    let digests: Vec<_> = history.iter().map(|change| change.digest.clone()).collect();
    assert_eq!(digests, [None, Some(image)], "newest first");
    assert!(history[0].revision > history[1].revision);
}

async fn tags_are_listed_in_byte_order(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    for tag in ["b", "a", "B", "_", "1.10", "1.9", "a-b", "a.b", "A"] {
        scene.push(&dev, tag, &image).await;
    }
    let conn = &mut scene.read().await;
    let names = |tags: Vec<Tag>| tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let all = tags::list(conn, dev.id, None, None).await.unwrap();
    assert_eq!(names(all), "1.10 1.9 A B _ a a-b a.b b");
    let some = tags::list(conn, dev.id, Some("B"), Some(3)).await.unwrap();
    assert_eq!(names(some), "_ a a-b");
    // A name to start after need not exist.
    let none = tags::list(conn, dev.id, Some("zzz"), Some(3)).await.unwrap();
    assert!(none.is_empty());
}

async fn a_summary_has_size_and_platforms(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (amd64, arm64) = (scene.image(&dev, 1).await, scene.image(&dev, 2).await);
    let index = digest(3, 0);
    let text = crate::scene::index_json(&[(&amd64, "amd64"), (&arm64, "arm64"), (&amd64, "amd64")]);
    let (id, stored, length) = (dev.id, index.clone(), text.len() as u64);
    scene.write(work!(|tx| put(tx, id, &stored, &text).await)).await;
    scene.push(&dev, "1", &index).await;
    let summary = tags::summary(&mut scene.read().await, dev.id, &name("1")).await.unwrap().unwrap();
    assert_eq!(summary.media_type, "application/vnd.oci.image.index.v1+json");
    let mut platforms = summary.platforms;
    platforms.sort_unstable();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"], "each once, though the index lists one twice");
    assert_eq!(summary.size_bytes, length + 2 * (400 + 10 + 100), "each part counts once");
}
