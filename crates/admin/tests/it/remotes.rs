//! Remotes and their secrets (semantics 15).

use crate::registry::{Registry, SECRET};
use crate::scene::{SAVE, Scene, name, push_mirror_over, robot_at, typed};
use axum::http::Method;
use longshore_metadata::{Error, Priority, remotes as stored_remotes};
use longshore_model::connect::{CheckKind, CheckStatus, ConnectRequest, Direction};
use longshore_model::policy::RemoteChoice;
use longshore_model::remote::RemoteDraft;
use longshore_model::{Code, PageRequest, Remote, Visibility};
use longshore_remote::Authorities;
use longshore_testkit::scripted::{on, reply};
use longshore_testkit::{ScriptedRegistry, TestCa};

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    scene.repository("eve/web", Visibility::Private).await;
    scene
}

async fn saved(scene: &Scene, registry: &Registry) -> Remote {
    let dev = scene.who("dev").await;
    scene.admin.create_remote(&dev, robot_at(&registry.url)).await.unwrap()
}

#[tokio::test]
async fn semantics_41_the_preview_of_tags_reads_a_small_part_of_an_endless_list() {
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::GET, "*/tags/list").with(|asked| {
        let page: u64 = asked.parameter("page").map_or(0, |page| page.parse().unwrap());
        let tags: Vec<String> = (0..20_000).map(|number| format!("t{page}-{number}")).collect();
        let next = format!("<?page={}>; rel=next", page + 1);
        Some(reply(200).json(&serde_json::json!({"tags": tags})).header("link", next))
    })]);
    let scene = scene().await;
    let wanted = ConnectRequest {
        saved: None,
        remote: Some(RemoteDraft { url: registry.url(), ..RemoteDraft::default() }),
        remote_repository: "there/app".to_owned(),
        direction: Direction::Pull,
    };
    let dev = scene.who("dev").await;
    let found = scene.admin.remote_tags(&dev, &name("dev/web"), &wanted).await.unwrap();
    assert_eq!((found.tags.len(), found.complete), (5_000, false));
    assert_eq!(registry.count(Method::GET, "tags/list"), 1);
}

fn request(saved: Option<&Remote>, remote: Option<RemoteDraft>) -> ConnectRequest {
    ConnectRequest {
        saved: saved.map(|remote| remote.id),
        remote,
        remote_repository: "there/app".to_owned(),
        direction: Direction::Push,
    }
}

#[tokio::test]
async fn semantics_15_a_remote_of_another_user_cannot_be_seen_tested_edited_or_used() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let remote = saved(&scene, &registry).await;
    let eve = scene.who("eve").await;
    let own = name("eve/web");
    let admin = &scene.admin;
    let choice = RemoteChoice::Saved { id: remote.id };
    let hidden = [
        admin.remote(&eve, remote.id).await.map(|_| ()),
        admin.test_remote(&eve, remote.id).await.map(|_| ()),
        admin.change_remote(&eve, remote.id, remote.version, robot_at("http://eve.test")).await.map(|_| ()),
        admin.delete_remote(&eve, remote.id).await,
        admin.connect(&eve, Some(&own), &request(Some(&remote), None)).await.map(|_| ()),
        admin.connect(&eve, None, &request(Some(&remote), Some(robot_at(&registry.url)))).await.map(|_| ()),
        admin.create_push_mirror(&eve, &own, push_mirror_over(choice), SAVE).await.map(|_| ()),
    ];
    for attempt in hidden {
        assert_eq!(attempt.unwrap_err().code, Code::NoSuchRemote);
    }
    assert_eq!(admin.remotes(&eve, None, &PageRequest::first(10)).await.unwrap().total, 0);
    // Nor by guessing: a remote of eve's with equal settings does not use dev's secret.
    let guess = RemoteDraft { secret: None, ..robot_at(&registry.url) };
    let refused = admin.create_push_mirror(&eve, &own, push_mirror_over(typed(guess.clone())), SAVE).await;
    assert!(refused.unwrap_err().about("password").is_some());
    // Nor by making dev its owner.
    let as_dev = RemoteDraft { owner: "dev".to_owned(), ..guess };
    let refused = admin.create_push_mirror(&eve, &own, push_mirror_over(typed(as_dev)), SAVE).await;
    assert_eq!(refused.unwrap_err().code, Code::NotAuthorized);
    assert!(!registry.was_shown_the_secret());
}

#[tokio::test]
async fn semantics_15_a_stored_secret_is_never_sent_to_a_host_it_was_not_entered_for() {
    let (registry, thief) = (Registry::start().await, Registry::start().await);
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let remote = saved(&scene, &registry).await;
    let without_secret = |url: &str| RemoteDraft { secret: None, ..robot_at(url) };
    let elsewhere = [
        without_secret(&thief.url),
        RemoteDraft { skip_tls_verify: true, ..without_secret(&registry.url) },
        RemoteDraft { proxy: thief.url.clone(), ..without_secret(&registry.url) },
        without_secret(&registry.url.replace("http://", "https://")),
    ];
    for draft in elsewhere {
        let tried = scene.admin.connect(&dev, Some(&web), &request(Some(&remote), Some(draft.clone()))).await;
        let tried = tried.unwrap_err();
        assert_eq!(
            (tried.code, tried.fields[0].field.as_str()),
            (Code::SecretNeeded, "password"),
            "{draft:?}"
        );
        let changed = scene.admin.change_remote(&dev, remote.id, remote.version, draft).await.unwrap_err();
        assert_eq!(changed.code, Code::SecretNeeded);
    }
    // Nor through a mirror's form.
    let mirror = push_mirror_over(RemoteChoice::Saved { id: remote.id });
    let mirror = scene.admin.create_push_mirror(&dev, &web, mirror, SAVE).await.unwrap();
    let moved = push_mirror_over(typed(without_secret(&thief.url)));
    let moved = scene
        .admin
        .change_push_mirror(&dev, &web, mirror.common.id, mirror.common.version, moved, SAVE)
        .await
        .unwrap_err();
    assert_eq!((moved.code, moved.fields[0].field.as_str()), (Code::SecretNeeded, "password"));
    assert!(!thief.was_shown_the_secret());
    assert_eq!(scene.admin.remote(&dev, remote.id).await.unwrap().url, registry.url);
}

#[tokio::test]
async fn semantics_15_a_secret_is_kept_while_the_address_is_unchanged_and_replaced_when_entered() {
    let (registry, other) = (Registry::start().await, Registry::start().await);
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let remote = saved(&scene, &registry).await;
    let renamed = RemoteDraft { name: "the robot".to_owned(), secret: None, ..robot_at(&registry.url) };
    let renamed = scene.admin.change_remote(&dev, remote.id, remote.version, renamed).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.has_secret), ("the robot", true));
    let report = scene.admin.test_remote(&dev, remote.id).await.unwrap();
    assert!(report.usable, "{report:?}");

    let moved =
        scene.admin.change_remote(&dev, remote.id, renamed.version, robot_at(&other.url)).await.unwrap();
    assert_eq!(moved.url, other.url);
    scene.admin.test_remote(&dev, remote.id).await.unwrap();
    assert!(other.was_shown_the_secret());

    let anonymous = RemoteDraft { url: registry.url.clone(), ..RemoteDraft::default() };
    let anonymous = scene.admin.change_remote(&dev, remote.id, moved.version, anonymous).await.unwrap();
    assert!(!anonymous.has_secret && anonymous.username.is_empty());
}

#[tokio::test]
async fn no_response_and_no_debug_output_contains_a_secret() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let remote = saved(&scene, &registry).await;
    let report = scene.admin.test_remote(&dev, remote.id).await.unwrap();
    let mirror = push_mirror_over(typed(robot_at(&registry.url)));
    let printed = format!("{mirror:?}");
    let mirror = scene.admin.create_push_mirror(&dev, &web, mirror, SAVE).await.unwrap();
    for text in [printed, format!("{remote:?} {report:?} {mirror:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test]
async fn a_remote_in_use_is_not_deleted() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let remote = saved(&scene, &registry).await;
    let mirror = push_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_push_mirror(&dev, &web, mirror, SAVE).await.unwrap();
    assert_eq!(mirror.remote, remote.id, "equal settings reuse the remote");
    let refused = scene.admin.delete_remote(&dev, remote.id).await.unwrap_err();
    assert_eq!(refused.code, Code::RemoteInUse);
    assert!(refused.message.starts_with("1 mirror uses"), "{refused}");
    scene.admin.delete_mirror(&dev, &web, mirror.common.id).await.unwrap();
    scene.admin.delete_remote(&dev, remote.id).await.unwrap();
    assert_eq!(scene.admin.remote(&dev, remote.id).await.unwrap_err().code, Code::NoSuchRemote);
}

#[tokio::test]
async fn semantics_15_a_remote_of_the_system_is_visible_only_to_administrators() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    let remote = scene.admin.create_remote(&root, robot_at(&registry.url)).await.unwrap();
    assert_eq!(remote.owner, None);
    assert_eq!(scene.admin.remote(&dev, remote.id).await.unwrap_err().code, Code::NoSuchRemote);
    let mirror = push_mirror_over(RemoteChoice::Saved { id: remote.id });
    let refused = scene.admin.create_push_mirror(&dev, &name("dev/web"), mirror, SAVE).await.unwrap_err();
    assert_eq!(refused.code, Code::NoSuchRemote);
}

#[tokio::test]
async fn the_owner_of_a_remote_must_exist() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let root = scene.who("root").await;
    let of = |owner: &str| RemoteDraft { owner: owner.to_owned(), ..robot_at(&registry.url) };
    let refused = scene.admin.create_remote(&root, of("nobody")).await.unwrap_err();
    assert_eq!(refused.code, Code::NoSuchAccount);
    assert!(refused.about("owner").is_some_and(|why| why.contains("nobody")), "{refused:?}");
    let saved = scene.admin.create_remote(&root, of("dev")).await.unwrap();
    assert_eq!(saved.owner.clone().map(|owner| owner.to_string()).as_deref(), Some("dev"));
    let refused = scene.admin.change_remote(&root, saved.id, saved.version, of("nobody")).await.unwrap_err();
    assert!(refused.about("owner").is_some());
}

#[tokio::test]
async fn testing_a_remote_reports_whether_the_credentials_are_correct() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let wrong = RemoteDraft { secret: Some("wrong".to_owned()), ..robot_at(&registry.url) };
    let remote = scene.admin.create_remote(&dev, wrong).await.unwrap();
    let report = scene.admin.test_remote(&dev, remote.id).await.unwrap();
    assert!(!report.usable);
    let failed: Vec<_> = report.checks.iter().filter(|check| check.status == CheckStatus::Failed).collect();
    assert_eq!(failed[0].kind, CheckKind::Credentials);
    let kept = scene.admin.remote(&dev, remote.id).await.unwrap();
    assert_eq!(kept.last_error.as_deref(), Some(failed[0].message.as_str()));
}

#[tokio::test]
async fn only_the_certificates_of_certificate_authorities_are_stored() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let dev = scene.who("dev").await;
    let ca = TestCa::new();
    let plain = Authorities::parse(ca.pem()).unwrap().to_pem();
    let typed = format!("</textarea><form>\n{}Kind regards", ca.pem());
    let draft = RemoteDraft { ca_pem: typed.clone(), ..robot_at(&registry.url) };
    let remote = scene.admin.create_remote(&dev, draft).await.unwrap();
    assert_eq!(remote.ca_pem.as_ref(), Some(&plain));

    let key = ca.issue(&["example.com"]).key;
    let draft = RemoteDraft { ca_pem: format!("{}{key}", ca.pem()), ..robot_at(&registry.url) };
    let refused = scene.admin.change_remote(&dev, remote.id, remote.version, draft).await.unwrap_err();
    assert!(refused.about("remoteCA").unwrap().contains("private key"), "{refused}");

    // An earlier version stored the text as entered.
    for (stored, tidy) in [(format!("{typed}{key}"), Some(plain)), ("no certificate".to_owned(), None)] {
        let id = remote.id;
        let now = stored_remotes::authorities(&mut scene.db.read().await.unwrap()).await.unwrap();
        let before = scene.db.write::<_, Error, _>(Priority::Normal, move |tx| {
            Box::pin(
                async move { stored_remotes::rewrite_authorities(tx, id, &now[0].1, Some(&stored)).await },
            )
        });
        before.await.unwrap();
        assert_eq!(scene.admin.tidy_authorities().await.unwrap(), 1);
        assert_eq!(scene.admin.remote(&dev, remote.id).await.unwrap().ca_pem, tidy);
        assert_eq!(scene.admin.tidy_authorities().await.unwrap(), 0);
    }
}
