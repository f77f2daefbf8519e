//! Promotion policies.

use crate::scene::{APPLY, SAVE, Scene, name, promotion_to};
use longshore_model::job::{JobAction, JobFilter, Parameters};
use longshore_model::policy::PromotionDraft;
use longshore_model::repository::RepositoryChange;
use longshore_model::view::{ANOTHER_REPOSITORY, Side};
use longshore_model::{Code, PageRequest, RepositoryState, Version, Visibility};
use longshore_policy::RawRule;

async fn scene() -> Scene {
    let scene = Scene::new().await;
    for repository in ["dev/web", "dev/qa", "qa/web"] {
        scene.repository(repository, Visibility::Private).await;
    }
    scene
}

#[tokio::test]
async fn every_mistake_in_a_draft_is_reported_at_once_at_its_field() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let rule = |field: &str, operator: &str, values: &[&str]| RawRule {
        field: field.to_owned(),
        operator: operator.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let draft = PromotionDraft {
        rules: vec![rule("tag", "ew", &[]), rule("license.name", "oo", &["MIT"]), rule("tag", "m", &["("])],
        template: "%n-%h".to_owned(),
        target: "dev/missing".to_owned(),
        ..promotion_to("dev/qa")
    };
    let problem = scene.admin.create_promotion(&dev, &name("dev/web"), draft, SAVE).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidPromotionPolicy);
    let fields: Vec<&str> = problem.fields.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        ["rules[0].values", "rules[1].field", "rules[2].values", "tagTemplate", "targetRepository"]
    );
    let none = scene.admin.promotions(&dev, &name("dev/web"), Side::Source).await.unwrap();
    assert!(none.is_empty(), "a rejected draft leaves nothing behind");
}

#[tokio::test]
async fn a_target_that_does_not_exist_is_a_404_at_its_field() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    // It does exist, but not for dev.
    let (web, draft) = (name("dev/web"), promotion_to("qa/web"));
    let problem = scene.admin.create_promotion(&dev, &web, draft, SAVE).await.unwrap_err();
    assert_eq!(
        (problem.code, problem.fields[0].field.as_str()),
        (Code::NoSuchRepository, "targetRepository")
    );
}

#[tokio::test]
async fn a_policy_from_a_repository_to_itself_must_rename_tags() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let web = name("dev/web");
    let same = PromotionDraft { template: "%n".to_owned(), ..promotion_to("dev/web") };
    let problem = scene.admin.create_promotion(&dev, &web, same, SAVE).await.unwrap_err();
    assert!(problem.about("targetRepository").unwrap().contains("to itself"), "{problem}");
    let renamed = PromotionDraft { template: "%n-%Y".to_owned(), ..promotion_to("dev/web") };
    assert!(scene.admin.create_promotion(&dev, &web, renamed, SAVE).await.is_ok());
}

#[tokio::test]
async fn semantics_10_a_policy_without_rules_must_be_chosen_explicitly() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let web = name("dev/web");
    let none = PromotionDraft { rules: Vec::new(), ..promotion_to("dev/qa") };
    let problem = scene.admin.create_promotion(&dev, &web, none.clone(), SAVE).await.unwrap_err();
    assert!(problem.about("rules").unwrap().contains("every tag"), "{problem}");
    let every = PromotionDraft { every_tag: true, ..none };
    let made = scene.admin.create_promotion(&dev, &web, every, SAVE).await.unwrap();
    assert_eq!(made.rules.describe(), "every tag");
}

#[tokio::test]
async fn semantics_16_a_promotion_policy_requires_permission_on_source_and_target() {
    let scene = scene().await;
    let (dev, qa, root) = (scene.who("dev").await, scene.who("qa").await, scene.who("root").await);
    let (web, target) = (name("dev/web"), name("qa/web"));
    // The target is public now: dev may read it, but not promote into it.
    let open = RepositoryChange { visibility: Some(Visibility::Public), ..RepositoryChange::default() };
    scene.admin.change_repository(&qa, &target, open).await.unwrap();
    let refused = scene.admin.create_promotion(&dev, &web, promotion_to("qa/web"), SAVE).await.unwrap_err();
    assert_eq!((refused.code, refused.about("targetRepository").is_some()), (Code::NotAuthorized, true));

    let policy = scene.admin.create_promotion(&root, &web, promotion_to("qa/web"), SAVE).await.unwrap();
    let id = policy.common.id;
    // The owner of only one end may not change it.
    for (actor, at) in [(&dev, &web), (&qa, &target)] {
        let refused =
            scene.admin.change_promotion(actor, at, id, Version::FIRST, promotion_to("qa/web"), SAVE).await;
        assert_eq!(refused.unwrap_err().code, Code::NotAuthorized);
    }
    // The target's administrator sees the incoming policy, and may disable and delete it, but not enable it.
    let incoming = scene.admin.promotions(&qa, &target, Side::Target).await.unwrap();
    assert_eq!(incoming[0].source_name.as_str(), ANOTHER_REPOSITORY);
    assert_eq!(scene.admin.promotions(&root, &target, Side::Target).await.unwrap()[0].source_name, web);
    let disabled = scene.admin.enable_promotion(&qa, &target, id, None, false).await.unwrap();
    assert!(!disabled.common.enabled);
    let refused = scene.admin.enable_promotion(&qa, &target, id, None, true).await.unwrap_err();
    assert_eq!(refused.code, Code::NotAuthorized);
    scene.admin.delete_promotion(&qa, &target, id).await.unwrap();
    let gone = scene.admin.promotion(&root, &web, id).await.unwrap_err();
    assert_eq!(gone.code, Code::NoSuchPromotionPolicy);
}

#[tokio::test]
async fn semantics_16_a_reader_of_the_target_does_not_see_incoming_policies() {
    let scene = scene().await;
    let (root, eve) = (scene.who("root").await, scene.who("eve").await);
    let open = RepositoryChange { visibility: Some(Visibility::Public), ..RepositoryChange::default() };
    scene.admin.change_repository(&root, &name("qa/web"), open).await.unwrap();
    let (web, draft) = (name("dev/web"), promotion_to("qa/web"));
    let id = scene.admin.create_promotion(&root, &web, draft, SAVE).await.unwrap().common.id;
    let list = scene.admin.promotions(&eve, &name("qa/web"), Side::Target).await.unwrap_err();
    assert_eq!(list.code, Code::NotAuthorized);
    let one = scene.admin.promotion(&eve, &name("qa/web"), id).await.unwrap_err();
    assert_eq!(one.code, Code::NoSuchPromotionPolicy);
}

#[tokio::test]
async fn semantics_18_saving_a_promotion_into_a_closed_repository_is_rejected() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    for state in [RepositoryState::Mirror, RepositoryState::ReadOnly] {
        let close = RepositoryChange { state: Some(state), ..RepositoryChange::default() };
        scene.admin.change_repository(&dev, &name("dev/qa"), close).await.unwrap();
        let (web, draft) = (name("dev/web"), promotion_to("dev/qa"));
        let refused = scene.admin.create_promotion(&dev, &web, draft, SAVE).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidPromotionPolicy);
        assert!(refused.about("targetRepository").unwrap().starts_with("dev/qa is"), "{refused}");
        // Both may be sources.
        let out = scene.admin.create_promotion(&dev, &name("dev/qa"), promotion_to("dev/web"), SAVE).await;
        assert!(out.is_ok());
    }
}

#[tokio::test]
async fn semantics_03_save_and_apply_evaluates_present_tags_and_save_does_not() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let web = name("dev/web");
    let evaluations = async || {
        let filter = JobFilter { action: Some(JobAction::Evaluate), ..JobFilter::default() };
        scene.admin.jobs(&dev, &filter, &PageRequest::first(50)).await.unwrap().items
    };
    let saved = scene.admin.create_promotion(&dev, &web, promotion_to("dev/qa"), SAVE).await.unwrap();
    assert!(evaluations().await.is_empty());
    let applied = scene.admin.create_promotion(&dev, &web, promotion_to("dev/qa"), APPLY).await.unwrap();
    let jobs = evaluations().await;
    assert!(
        matches!(&jobs[..], [job] if matches!(job.parameters, Parameters::ApplyPolicy { policy, .. } if policy == applied.common.id)),
        "{jobs:?}"
    );
    let change = PromotionDraft { template: "%n-x".to_owned(), ..promotion_to("dev/qa") };
    let id = saved.common.id;
    let changed = scene
        .admin
        .change_promotion(&dev, &web, id, saved.common.version, change.clone(), SAVE)
        .await
        .unwrap();
    assert_eq!((saved.common.rules_version, changed.common.rules_version), (1, 2));
    let unchanged =
        scene.admin.change_promotion(&dev, &web, id, changed.common.version, change, APPLY).await.unwrap();
    assert_eq!(unchanged.common.rules_version, 2, "equal rules do not change the version");
    assert_eq!(evaluations().await.len(), 2);
    // Once more, before the first one has started.
    let same = PromotionDraft { template: "%n-x".to_owned(), ..promotion_to("dev/qa") };
    scene.admin.change_promotion(&dev, &web, id, unchanged.common.version, same, APPLY).await.unwrap();
    assert_eq!(evaluations().await.len(), 2, "it is already queued");
}

#[tokio::test]
async fn semantics_14_the_preview_gets_the_servers_time_and_zone() {
    let scene = scene().await;
    let dev = scene.who("dev").await;
    scene.push("dev/web", "1.0").await;
    scene.push("dev/web", "1.1").await;
    let facts = scene.admin.preview_tags(&dev, &name("dev/web")).await.unwrap();
    assert_eq!(facts.tags.iter().map(|facts| facts.tag.to_string()).collect::<Vec<_>>(), ["1.1", "1.0"]);
    assert_eq!((facts.total, facts.moment.zone.as_str()), (2, "UTC"));
    assert_eq!(facts.moment.local.to_string(), "2026-11-20T12:00:02");
}
