//! Concurrent changes of the same thing (semantics 33), and new credentials for the same registry (semantics 35).

use crate::registry::Registry;
use crate::scene::{SAVE, Scene, name, promotion_to, pull_mirror_over, push_mirror_over, robot_at, typed};
use longshore_metadata::{Error, Priority, policies, promotions, work};
use longshore_model::policy::{PromotionDraft, PullMirrorDraft, PushMirrorDraft};
use longshore_model::remote::RemoteDraft;
use longshore_model::repository::RepositoryChange;
use longshore_model::{Code, JobId, PolicyKind, Version, Visibility};

async fn scene() -> Scene {
    let scene = Scene::new().await;
    for repository in ["dev/web", "dev/qa"] {
        scene.repository(repository, Visibility::Private).await;
    }
    scene
}

#[tokio::test]
async fn semantics_33_a_change_of_an_older_version_is_rejected_with_the_last_change_and_its_author() {
    let scene = scene().await;
    let (root, dev, web) = (scene.who("root").await, scene.who("dev").await, name("dev/web"));
    let made = scene.admin.create_promotion(&dev, &web, promotion_to("dev/qa"), SAVE).await.unwrap();
    let id = made.common.id;
    let other = PromotionDraft { template: "%n-x".to_owned(), ..promotion_to("dev/qa") };
    scene.admin.change_promotion(&root, &web, id, made.common.version, other, SAVE).await.unwrap();
    let mine = PromotionDraft { referrers: false, ..promotion_to("dev/qa") };
    let refused = scene.admin.change_promotion(&dev, &web, id, made.common.version, mine, SAVE).await;
    let problem = refused.unwrap_err();
    assert_eq!(problem.code, Code::PolicyChanged);
    assert!(problem.message.contains("root changed the tag template"), "{}", problem.message);
    let stands = scene.admin.promotion(&dev, &web, id).await.unwrap();
    assert_eq!((stands.template.as_str(), stands.common.referrers), ("%n-x", true));
}

#[tokio::test]
async fn semantics_33_a_stale_read_cannot_enable_a_policy_that_has_stopped() {
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let made = scene.admin.create_promotion(&dev, &web, promotion_to("dev/qa"), SAVE).await.unwrap();
    let (id, seen) = (made.common.id, made.common.version);
    let paused = scene.db.write::<_, Error, _>(
        Priority::Normal,
        work!(|tx| {
            let (why, job, now) = ("a loop".to_owned().into(), JobId::new(), made.common.created_at);
            policies::stop(tx, PolicyKind::Promotion, id, &why, job, now).await
        }),
    );
    paused.await.unwrap();
    let refused = scene.admin.change_promotion(&dev, &web, id, seen, promotion_to("dev/qa"), SAVE).await;
    let problem = refused.unwrap_err();
    assert!(problem.message.contains("stopped itself"), "{}", problem.message);
    let enabled = scene.admin.enable_promotion(&dev, &web, id, Some(seen), true).await.unwrap_err();
    assert_eq!(enabled.code, Code::PolicyChanged);
    // A change that does not enable the policy does not clear the reason why it stopped.
    let now = promotions::get(&mut scene.db.read().await.unwrap(), id).await.unwrap().unwrap();
    let draft = PromotionDraft { enabled: None, template: "%n-y".to_owned(), ..promotion_to("dev/qa") };
    let changed =
        scene.admin.change_promotion(&dev, &web, id, now.common.version, draft, SAVE).await.unwrap();
    assert!(changed.common.stopped.is_some());
    let enabled = scene.admin.enable_promotion(&dev, &web, id, None, true).await.unwrap();
    assert_eq!(enabled.common.stopped, None);
}

#[tokio::test]
async fn semantics_33_repository_settings_and_remotes_are_versioned_too() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (root, dev, web) = (scene.who("root").await, scene.who("dev").await, name("dev/web"));
    let seen = scene.admin.repository(&dev, &web).await.unwrap().repository.version;
    let describe = |text: &str, based_on| RepositoryChange {
        short_description: Some(text.to_owned()),
        based_on,
        ..RepositoryChange::default()
    };
    scene.admin.change_repository(&root, &web, describe("theirs", Some(seen))).await.unwrap();
    let refused = scene.admin.change_repository(&dev, &web, describe("mine", Some(seen))).await.unwrap_err();
    assert_eq!(refused.code, Code::RepositoryChanged);
    assert!(refused.message.contains("root changed a description"), "{}", refused.message);
    let merged = scene.admin.change_repository(&dev, &web, describe("mine", None)).await.unwrap();
    assert_eq!(merged.short_description, "mine");

    let remote = scene.admin.create_remote(&dev, robot_at(&registry.url)).await.unwrap();
    let change =
        async || scene.admin.change_remote(&dev, remote.id, remote.version, robot_at(&registry.url)).await;
    assert_eq!(change().await.unwrap().version, Version(2));
    assert_eq!(change().await.unwrap_err().code, Code::RemoteChanged);
}

#[tokio::test]
async fn semantics_35_other_credentials_for_the_same_registry_push_nothing_again() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let before =
        scene.admin.create_push_mirror(&dev, &web, push_mirror_over(typed(robot_at(&registry.url))), SAVE);
    let before = before.await.unwrap();
    // The registry knows only one user, so another remote for it stands in for other credentials.
    let other = RemoteDraft { skip_tls_verify: true, ..robot_at(&registry.url) };
    let after = scene.admin.change_push_mirror(
        &dev,
        &web,
        before.common.id,
        before.common.version,
        push_mirror_over(typed(other)),
        SAVE,
    );
    let after = after.await.unwrap();
    assert_ne!(after.remote, before.remote);
    assert_eq!(after.common.rules_version, before.common.rules_version);
}

#[tokio::test]
async fn semantics_43_including_foreign_layers_makes_a_mirror_start_over_and_is_recorded_as_a_change() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (root, dev, web) = (scene.who("root").await, scene.who("dev").await, name("dev/web"));
    let push = |foreign_layers| PushMirrorDraft {
        foreign_layers,
        ..push_mirror_over(typed(robot_at(&registry.url)))
    };
    let pull = |foreign_layers| PullMirrorDraft {
        foreign_layers,
        ..pull_mirror_over(typed(robot_at(&registry.url)))
    };
    let before = scene.admin.create_push_mirror(&dev, &web, push(false), SAVE).await.unwrap();
    let (id, seen) = (before.common.id, before.common.version);
    let after = scene.admin.change_push_mirror(&root, &web, id, seen, push(true), SAVE).await.unwrap();
    assert_eq!((before.foreign_layers, after.foreign_layers), (false, true));
    assert_eq!(
        after.common.rules_version,
        before.common.rules_version + 1,
        "images at the remote lack the layers"
    );
    let stale = scene.admin.change_push_mirror(&dev, &web, id, seen, push(false), SAVE).await.unwrap_err();
    assert_eq!(stale.code, Code::PolicyChanged);
    assert!(stale.message.contains("foreign layers"), "{}", stale.message);

    let before = scene.admin.create_pull_mirror(&dev, &web, pull(false), SAVE).await.unwrap();
    let (id, seen) = (before.common.id, before.common.version);
    let after = scene.admin.change_pull_mirror(&root, &web, id, seen, pull(true), SAVE).await.unwrap();
    assert_eq!((before.foreign_layers, after.foreign_layers), (false, true));
    assert_eq!(after.common.rules_version, before.common.rules_version + 1, "a running poll ends");
    assert_eq!(after.baseline, before.baseline, "the baseline is kept");
    let stale = scene.admin.change_pull_mirror(&dev, &web, id, seen, pull(false), SAVE).await.unwrap_err();
    assert!(stale.message.contains("foreign layers"), "{}", stale.message);
}
