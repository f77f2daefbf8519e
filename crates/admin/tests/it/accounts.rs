//! Users and organizations.

use crate::scene::{PASSWORD, PEER, Scene, secret};
use longshore_admin::NewAccount;
use longshore_model::repository::NewRepository;
use longshore_model::{Code, Visibility};

fn user(name: &str, password: &str) -> NewAccount {
    NewAccount { name: name.to_owned(), is_org: false, is_admin: false, password: Some(secret(password)) }
}

#[tokio::test]
async fn semantics_31_accounts_cannot_have_reserved_names() {
    let scene = Scene::new().await;
    let root = scene.who("root").await;
    for (name, code) in [
        ("v2", Code::InvalidAccountName),
        ("another", Code::InvalidAccountName),
        ("Upper", Code::InvalidAccountName),
        ("a/b", Code::InvalidAccountName),
        ("", Code::InvalidAccountName),
        ("dev", Code::AccountExists),
    ] {
        let problem = scene.admin.create_account(&root, user(name, PASSWORD)).await.unwrap_err();
        assert_eq!((problem.code, problem.fields[0].field.as_str()), (code, "name"), "{name}: {problem}");
    }
}

#[tokio::test]
async fn every_mistake_in_a_new_account_is_reported_at_once() {
    let scene = Scene::new().await;
    let root = scene.who("root").await;
    let problem = scene.admin.create_account(&root, user("Upper", "short")).await.unwrap_err();
    assert!(problem.about("name").is_some() && problem.about("password").is_some(), "{problem:?}");
    let problem = scene.admin.create_account(&root, user("fine", "short")).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidPassword);
    let org = NewAccount { is_org: true, is_admin: true, ..user("team", PASSWORD) };
    let problem = scene.admin.create_account(&root, org).await.unwrap_err();
    assert!(problem.about("isAdmin").is_some() && problem.about("password").is_some(), "{problem:?}");
}

#[tokio::test]
async fn password_guesses_are_throttled_and_organizations_cannot_sign_in() {
    let scene = Scene::new().await;
    let session = scene.admin.sign_in("dev", secret(PASSWORD), PEER).await.unwrap();
    assert_eq!(session.actor.name.as_str(), "dev");
    scene.admin.sign_out(&session.token).await.unwrap();
    for _ in 0..6 {
        let problem = scene.admin.sign_in("crew", secret(PASSWORD), PEER).await.unwrap_err();
        assert_eq!(problem.code, Code::WrongCredentials);
    }
    let problem = scene.admin.sign_in("crew", secret(PASSWORD), PEER).await.unwrap_err();
    assert_eq!(problem.code, Code::TooManyAttempts);
}

#[tokio::test]
async fn changing_ones_own_password_requires_the_current_one() {
    let scene = Scene::new().await;
    let (dev, dev_name) = (scene.who("dev").await, "dev".parse().unwrap());
    let change = |old: Option<&'static str>, new: &'static str| {
        scene.admin.change_password(&dev, &dev_name, old.map(secret), secret(new), PEER)
    };
    for old in [None, Some("wrong horse")] {
        let problem = change(old, "battery staple").await.unwrap_err();
        assert!(problem.about("oldPassword").is_some(), "{problem:?}");
    }
    let problem = change(Some(PASSWORD), "short").await.unwrap_err();
    assert_eq!((problem.code, problem.fields[0].field.as_str()), (Code::InvalidPassword, "password"));
    change(Some(PASSWORD), "battery staple").await.unwrap();
    assert!(scene.admin.sign_in("dev", secret("battery staple"), PEER).await.is_ok());
    assert!(scene.admin.sign_in("dev", secret(PASSWORD), PEER).await.is_err());
}

#[tokio::test]
async fn the_first_administrator_is_created_once() {
    let scene = Scene::empty().await;
    let short = scene.admin.ensure_first_admin(Some(secret("short"))).await.unwrap_err();
    assert_eq!(short.code, Code::InvalidPassword);
    let generated = scene.admin.ensure_first_admin(None).await.unwrap().expect("a generated password");
    assert!(scene.admin.sign_in("admin", generated, PEER).await.unwrap().actor.is_admin);
    assert!(scene.admin.ensure_first_admin(Some(secret(PASSWORD))).await.unwrap().is_none());
    assert!(scene.admin.sign_in("admin", secret(PASSWORD), PEER).await.is_err());

    let scene = Scene::empty().await;
    let told = scene.admin.ensure_first_admin(Some(secret(PASSWORD))).await.unwrap();
    assert!(told.is_none(), "a given password is not returned");
    assert!(scene.admin.sign_in("admin", secret(PASSWORD), PEER).await.is_ok());
}

#[tokio::test]
async fn a_repository_is_created_only_in_an_existing_namespace() {
    let scene = Scene::new().await;
    let root = scene.who("root").await;
    let new = |namespace: &str, name: &str| NewRepository {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..NewRepository::default()
    };
    let create = |namespace, name| scene.admin.create_repository(&root, new(namespace, name));
    assert_eq!(create("crew", "deep/er/web").await.unwrap().name.name(), "deep/er/web");
    assert_eq!(create("crew", "deep/er/web").await.unwrap_err().code, Code::RepositoryExists);
    assert_eq!(create("ghosts", "web").await.unwrap_err().code, Code::NoSuchAccount);
    assert_eq!(create("crew", "Web").await.unwrap_err().code, Code::InvalidRepositoryName);
    assert_eq!(create("", "web").await.unwrap_err().fields[0].field, "namespace");
    let names = scene.admin.namespaces(&root).await.unwrap();
    assert!(names.iter().any(|name| *name == "crew") && names.iter().any(|name| *name == "eve"));
    let eve = scene.who("eve").await;
    assert_eq!(scene.admin.namespaces(&eve).await.unwrap(), ["eve"]);
    scene.repository("qa/open", Visibility::Public).await;
    let writable = longshore_model::repository::RepositoryFilter { writable: true, ..Default::default() };
    let page = longshore_model::PageRequest::first(10);
    let found = scene.admin.repositories(&eve, writable, &page).await.unwrap();
    assert_eq!(found.total, 0, "permission to read includes none to write");
}
