//! Promoting tags by hand, deleting them, and their details page.

use crate::scene::{APPLY, SAVE, Scene, name, promotion_to, tag};
use longshore_model::policy::PromotionDraft;
use longshore_model::repository::RepositoryChange;
use longshore_model::tag::AnswerResult;
use longshore_model::{
    Code, ImmutableTags, PageRequest, Provenance, RepositoryState, Total, Version, Visibility,
};

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    scene.repository("dev/qa", Visibility::Private).await;
    scene
}

#[tokio::test]
async fn semantics_01_a_user_may_replace_a_newer_image_with_an_older_one() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let (web, qa) = (name("dev/web"), name("dev/qa"));
    let old = scene.push("dev/web", "1.0").await;
    let new = scene.push("dev/web", "1.1").await;
    let promote = |from: &'static str| {
        let (scene, dev, web) = (&scene, &dev, &web);
        async move { scene.admin.promote_tag(dev, web, &tag(from), "dev/qa", "latest").await }
    };
    assert_eq!(promote("1.1").await.unwrap().digest, new);
    let rolled_back = promote("1.0").await.unwrap();
    assert_eq!(rolled_back.digest, old);
    assert!(matches!(rolled_back.provenance, Provenance::Promotion { policy: None, .. }));
    let page = scene.admin.tags(&dev, &qa, None, &PageRequest::first(10)).await.unwrap();
    assert_eq!((page.total, page.items[0].source_visible), (Total::Exactly(1), true));
}

#[tokio::test]
async fn a_rejected_promotion_by_hand_names_the_invalid_field() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    scene.push("dev/web", "1.0").await;
    scene.repository("qa/web", Visibility::Private).await;
    let promote = |from: &'static str, to: &'static str, as_: String| {
        let (scene, dev) = (&scene, &dev);
        async move { scene.admin.promote_tag(dev, &name("dev/web"), &tag(from), to, &as_).await.unwrap_err() }
    };
    let problem = promote("2.0", "dev/qa", "x".to_owned()).await;
    assert_eq!(problem.code, Code::NoSuchTag);
    let problem = promote("1.0", "dev/qa", "a".repeat(300)).await;
    assert_eq!((problem.code, problem.fields[0].field.as_str()), (Code::InvalidTagName, "targetTag"));
    assert!(problem.message.contains("300"), "{problem}");
    for target in ["dev/missing", "qa/web"] {
        let problem = promote("1.0", target, "x".to_owned()).await;
        assert_eq!(
            (problem.code, problem.fields[0].field.as_str()),
            (Code::NoSuchRepository, "targetRepository")
        );
    }
    let close = RepositoryChange { state: Some(RepositoryState::ReadOnly), ..RepositoryChange::default() };
    scene.admin.change_repository(&dev, &name("dev/qa"), close).await.unwrap();
    let problem = promote("1.0", "dev/qa", "x".to_owned()).await;
    assert_eq!(problem.code, Code::RepositoryNotWritable);
}

#[tokio::test]
async fn semantics_14_the_error_for_an_immutable_tag_is_dtrs_message() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    scene.push("dev/web", "1.0").await;
    scene.push("dev/web", "1.1").await;
    let fix = RepositoryChange { immutable_tags: Some(ImmutableTags::All), ..RepositoryChange::default() };
    scene.admin.change_repository(&dev, &name("dev/qa"), fix).await.unwrap();
    let promote = async |from: &str| {
        scene.admin.promote_tag(&dev, &name("dev/web"), &tag(from), "dev/qa", "latest").await
    };
    promote("1.0").await.unwrap();
    promote("1.0").await.unwrap();
    let problem = promote("1.1").await.unwrap_err();
    assert_eq!(problem.code, Code::TagImmutable);
    assert_eq!(
        problem.message,
        "tag=latest cannot be overwritten because registry.test/dev/qa is an immutable repository"
    );
}

#[tokio::test]
async fn tags_are_deleted_all_or_none() {
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    scene.push("dev/web", "1.0").await;
    let problem = scene.admin.delete_tags(&dev, &web, &[tag("1.0"), tag("2.0")]).await.unwrap_err();
    assert_eq!(problem.code, Code::NoSuchTag);
    assert!(scene.admin.tag(&dev, &web, &tag("1.0")).await.is_ok());
    scene.admin.delete_tags(&dev, &web, &[tag("1.0")]).await.unwrap();
    assert_eq!(scene.admin.tag(&dev, &web, &tag("1.0")).await.unwrap_err().code, Code::NoSuchTag);
}

#[tokio::test]
async fn semantics_18_tags_of_a_mirror_or_a_read_only_repository_cannot_be_deleted() {
    let scene = scene().await;
    let (root, web) = (scene.who("root").await, name("dev/web"));
    scene.push("dev/web", "1.0").await;
    for state in [RepositoryState::Mirror, RepositoryState::ReadOnly] {
        let close = RepositoryChange { state: Some(state), ..RepositoryChange::default() };
        scene.admin.change_repository(&root, &web, close).await.unwrap();
        let problem = scene.admin.delete_tags(&root, &web, &[tag("1.0")]).await.unwrap_err();
        assert_eq!(problem.code, Code::RepositoryNotWritable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_details_of_a_tag_say_where_it_was_delivered_and_why_not() {
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    scene.push("dev/web", "1.0-stable").await;
    let created = scene.admin.create_promotion(&dev, &web, promotion_to("dev/qa"), SAVE).await.unwrap();
    let id = created.common.id;
    let answer = async |text: &str| {
        let detail = scene.admin.tag(&dev, &web, &tag(text)).await?;
        Ok(detail.answers.into_iter().find(|answer| answer.policy == id).unwrap())
    };
    let before = answer("1.0-stable").await.unwrap();
    assert_eq!((before.result, before.would_qualify_today), (AnswerResult::NotEvaluated, Some(true)));
    assert!(before.consequence.contains("Save & Apply"), "{}", before.consequence);

    scene.start_engine();
    scene.push("dev/web", "1.1-dev").await;
    let applied = scene
        .admin
        .change_promotion(&dev, &web, id, Version::FIRST, promotion_to("dev/qa"), APPLY)
        .await
        .unwrap();
    assert_eq!(applied.common.rules_version, 1);
    let went = scene
        .until("1.0-stable is promoted", || answer("1.0-stable"), |a| a.result == AnswerResult::Done)
        .await;
    assert_eq!(went.destination, "dev/qa");
    assert_eq!(went.target_tag, Some(tag("1.0-stable")));
    assert!(went.job.is_some() && went.at.is_some() && went.verdict.unwrap().is_match());
    let stayed = scene
        .until("1.1-dev is looked at", || answer("1.1-dev"), |a| a.result == AnswerResult::NotMatched)
        .await;
    assert_eq!(stayed.would_qualify_today, Some(false));
    assert!(stayed.consequence.contains("1.1-dev"), "{}", stayed.consequence);

    // A delivery is not undone, and the page says that it would not qualify today (semantics 2).
    let stricter = PromotionDraft { rules: crate::scene::ends_with("gold"), ..promotion_to("dev/qa") };
    scene.admin.change_promotion(&dev, &web, id, applied.common.version, stricter, SAVE).await.unwrap();
    let now = answer("1.0-stable").await.unwrap();
    assert_eq!((now.result, now.would_qualify_today), (AnswerResult::Done, Some(false)));
    let detail = scene.admin.tag(&dev, &name("dev/qa"), &tag("1.0-stable")).await.unwrap();
    assert_eq!(detail.answers[0].would_qualify_today, Some(false));
    assert!(detail.answers[0].consequence.contains("would not qualify today"));
    assert!(detail.summary.source_visible && detail.manifest.contains("schemaVersion"));
    assert_eq!(detail.history.len(), 1);
}
