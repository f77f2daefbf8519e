//! Restoring what was overwritten or deleted, and quotas.

use crate::scene::{SAVE, Scene, name, promotion_to, tag};
use longshore_model::activity::{ActivityFilter, ActivityKind};
use longshore_model::repository::{ImmutableTags, NewRepository, RepositoryChange, RepositoryFilter};
use longshore_model::tag::AnswerResult;
use longshore_model::{Code, PageRequest, PolicyKind, Provenance, Total, Visibility};

fn first() -> PageRequest {
    PageRequest::first(10)
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_22_the_plan_of_a_rollback_names_the_policies_that_would_act() {
    let scene = Scene::new().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    scene.repository("dev/web", Visibility::Private).await;
    scene.repository("dev/qa", Visibility::Private).await;
    let old = scene.push("dev/web", "1.0-stable").await;
    scene.push("dev/web", "1.0-stable").await;
    scene.push("dev/web", "other").await;
    scene.push("dev/web", "other").await;
    let policy = scene.admin.create_promotion(&dev, &web, promotion_to("dev/qa"), SAVE).await.unwrap();
    let history = scene.admin.tag_history(&dev, &web, &tag("1.0-stable"), None).await.unwrap();
    assert_eq!((history.len(), history[0].until), (2, None));
    assert_eq!(history[1].provenance, Some(Provenance::Push));
    let change = history[1].revision;

    let plan = scene.admin.plan_restore(&dev, &web, &tag("1.0-stable"), change).await.unwrap();
    assert_eq!((&plan.digest, plan.pins, plan.policies.len()), (&old, false, 1));
    let ahead = &plan.policies[0];
    assert_eq!((ahead.policy, ahead.kind), (policy.common.id, PolicyKind::Promotion));
    assert_eq!((ahead.destination.as_str(), &ahead.target_tag), ("dev/qa", &Some(tag("1.0-stable"))));
    let other = scene.admin.tag_history(&dev, &web, &tag("other"), None).await.unwrap()[1].revision;
    let plan = scene.admin.plan_restore(&dev, &web, &tag("other"), other).await.unwrap();
    assert!(plan.policies.is_empty());

    scene.start_engine();
    scene.admin.restore_tag(&dev, &web, &tag("1.0-stable"), change, false).await.unwrap();
    let went = async || {
        let detail = scene.admin.tag(&dev, &web, &tag("1.0-stable")).await?;
        Ok(detail.answers.into_iter().find(|answer| answer.policy == policy.common.id).unwrap())
    };
    scene.until("the rollback is promoted", went, |answer| answer.result == AnswerResult::Done).await;
    let promoted = scene.admin.tag(&dev, &name("dev/qa"), &tag("1.0-stable")).await.unwrap();
    assert_eq!(promoted.summary.tag.digest, old);

    let fix = RepositoryChange { immutable_tags: Some(ImmutableTags::All), ..RepositoryChange::default() };
    scene.admin.change_repository(&dev, &web, fix).await.unwrap();
    let refused = scene.admin.plan_restore(&dev, &web, &tag("other"), other).await.unwrap_err();
    assert_eq!(refused.code, Code::TagImmutable, "the plan contains nothing that would be rejected");
    let fix = RepositoryChange { immutable_tags: Some(ImmutableTags::Off), ..RepositoryChange::default() };
    scene.admin.change_repository(&dev, &web, fix).await.unwrap();

    // And forward again, this time without running policies.
    let newer = scene.admin.tag_history(&dev, &web, &tag("1.0-stable"), None).await.unwrap()[1].revision;
    scene.admin.restore_tag(&dev, &web, &tag("1.0-stable"), newer, true).await.unwrap();
    let answer = went().await.unwrap();
    assert_eq!(answer.result, AnswerResult::NotEvaluated);
    assert!(answer.consequence.contains("without running policies"), "{}", answer.consequence);

    let filter = ActivityFilter { repository: Some(web), namespace: None };
    let told = scene.admin.activity(&dev, &filter, &PageRequest::first(50)).await.unwrap();
    let restored = told.items.iter().filter(|entry| entry.kind == ActivityKind::TagRestored).count();
    assert_eq!(restored, 2);
}

#[tokio::test]
async fn a_deleted_tag_is_listed_until_it_is_restored() {
    let scene = Scene::new().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    scene.repository("dev/web", Visibility::Private).await;
    let digest = scene.push("dev/web", "1.0").await;
    scene.admin.delete_tags(&dev, &web, &[tag("1.0")]).await.unwrap();
    let listed = scene.admin.deleted_tags(&dev, &web, &first()).await.unwrap();
    assert_eq!(
        (listed.total, &listed.items[0].name, &listed.items[0].digest),
        (Total::Exactly(1), &tag("1.0"), &digest)
    );
    let change = listed.items[0].revision;
    scene.admin.restore_tag(&dev, &web, &tag("1.0"), change, false).await.unwrap();
    assert_eq!(scene.admin.deleted_tags(&dev, &web, &first()).await.unwrap().total, 0);

    scene.admin.delete_tags(&dev, &web, &[tag("1.0")]).await.unwrap();
    let change = scene.admin.deleted_tags(&dev, &web, &first()).await.unwrap().items[0].revision;
    scene.clock.advance(jiff::SignedDuration::from_hours(7 * 24));
    let late = scene.admin.restore_tag(&dev, &web, &tag("1.0"), change, false).await.unwrap_err();
    assert_eq!(late.code, Code::NotRestorable);
    assert!(late.message.contains("dev/web:1.0"), "{late}");
    assert_eq!(scene.admin.deleted_tags(&dev, &web, &first()).await.unwrap().total, 0);
}

#[tokio::test]
async fn semantics_23_a_deleted_repository_is_visible_only_to_administrators_of_its_namespace() {
    let scene = Scene::new().await;
    let (dev, eve, root) = (scene.who("dev").await, scene.who("eve").await, scene.who("root").await);
    let web = name("dev/web");
    scene.repository("dev/web", Visibility::Public).await;
    scene.push("dev/web", "1.0").await;
    scene.admin.delete_repository(&dev, &web).await.unwrap();
    assert_eq!(scene.admin.repository(&root, &web).await.unwrap_err().code, Code::NoSuchRepository);
    let all = scene.admin.repositories(&root, RepositoryFilter::default(), &first()).await.unwrap();
    assert_eq!(all.total, 0);
    for (actor, seen) in [(&dev, 1), (&root, 1), (&eve, 0)] {
        assert_eq!(
            scene.admin.deleted_repositories(actor, &first()).await.unwrap().total,
            Total::Exactly(seen)
        );
    }
    let new = NewRepository { namespace: "dev".to_owned(), name: "web".to_owned(), ..Default::default() };
    let taken = scene.admin.create_repository(&dev, new).await.unwrap_err();
    assert_eq!(taken.code, Code::RepositoryExists);
    assert!(taken.message.contains("restore or purge that one"), "{taken}");

    scene.admin.restore_repository(&dev, &web).await.unwrap();
    assert_eq!(scene.admin.repository(&eve, &web).await.unwrap().tags, 1);
    assert_eq!(
        scene.admin.restore_repository(&dev, &web).await.unwrap_err().code,
        Code::NoSuchDeletedRepository
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_23_a_purge_lists_other_places_of_the_images_that_the_reader_may_see() {
    let scene = Scene::new().await;
    let (dev, root) = (scene.who("dev").await, scene.who("root").await);
    scene.repository("dev/web", Visibility::Private).await;
    scene.repository("dev/qa", Visibility::Private).await;
    scene.repository("crew/web", Visibility::Private).await;
    let digest = scene.push("dev/web", "1.0").await;
    for target in ["dev/qa", "crew/web"] {
        scene.admin.promote_tag(&root, &name("dev/web"), &tag("1.0"), target, "1.0").await.unwrap();
    }
    scene.admin.delete_repository(&dev, &name("dev/web")).await.unwrap();
    let plan = scene.admin.deleted_repository(&root, &name("dev/web")).await.unwrap();
    let places: Vec<_> = plan.elsewhere.iter().map(|place| place.place.as_str()).collect();
    assert_eq!(places, ["crew/web", "dev/qa"]);
    let purged = scene.admin.purge_repository(&dev, &name("dev/web")).await.unwrap();
    let places: Vec<_> =
        purged.elsewhere.iter().map(|place| (place.place.as_str(), &place.digests[0])).collect();
    assert_eq!(places, [("another/repository", &digest), ("dev/qa", &digest)]);
    scene.repository("dev/web", Visibility::Private).await;
    assert_eq!(scene.admin.repository(&dev, &name("dev/web")).await.unwrap().tags, 0);
}

#[tokio::test]
async fn administrators_set_a_quota_and_owners_see_it() {
    let scene = Scene::new().await;
    let (dev, root) = (scene.who("dev").await, scene.who("root").await);
    let namespace = "dev".parse().unwrap();
    let set = scene.admin.set_quota(&root, &namespace, Some(1_000_000)).await.unwrap();
    assert_eq!(set.quota, Some(1_000_000));
    let seen = scene.admin.namespace_storage(&dev, &namespace).await.unwrap();
    assert_eq!((seen.quota, seen.storage.total), (Some(1_000_000), 0));
    let nobody = "nobody".parse().unwrap();
    assert_eq!(scene.admin.set_quota(&root, &nobody, None).await.unwrap_err().code, Code::NoSuchAccount);
    let told = scene.admin.activity(&root, &ActivityFilter::default(), &first()).await.unwrap();
    assert_eq!(told.items[0].kind, ActivityKind::QuotaChanged);
    assert_eq!(told.items[0].detail, "the namespace dev may now hold 1.0 MB");
}
