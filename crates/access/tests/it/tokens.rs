//! Registry tokens.

use crate::scene::{HOME, Scene, secret};
use jiff::SignedDuration;
use longshore_access::TokenError;
use longshore_model::Actor;
use longshore_oci::Scope;

fn scopes() -> Vec<Scope> {
    vec!["repository:dev/web:pull,push".parse().unwrap(), Scope::Catalog]
}

#[tokio::test]
async fn a_token_proves_actor_and_scopes_on_every_server_until_it_expires() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    let ada = scene.access.authenticate("ada", &secret("correct horse"), HOME).await.unwrap();
    let (token, lives) = scene.access.issue_token(Some(&ada.credential), &scopes());
    let ada = Actor::User(ada.actor);
    for access in [scene.access.clone(), scene.restarted()] {
        let claims = access.verify_token(&token).await.unwrap();
        assert_eq!((&claims.actor, &claims.scopes), (&ada, &scopes()));
    }
    scene.clock.advance(lives);
    assert!(matches!(scene.access.verify_token(&token).await, Err(TokenError::Expired)));
}

#[tokio::test]
async fn anonymous_clients_get_tokens_too() {
    let scene = Scene::new().await;
    let (token, lives) = scene.access.issue_token(None, &[]);
    assert!(lives > SignedDuration::from_secs(60));
    let claims = scene.access.verify_token(&token).await.unwrap();
    assert_eq!((claims.actor, claims.scopes), (Actor::Anonymous, Vec::new()));
}

#[tokio::test]
async fn a_token_that_was_not_issued_here_is_rejected() {
    let scene = Scene::new().await;
    let (token, _) = scene.access.issue_token(None, &scopes());
    for text in ["", "x", "a.b.c", &token[..token.len() - 1], &format!("{token}x")] {
        let error = scene.access.verify_token(text).await.unwrap_err();
        assert!(matches!(error, TokenError::Invalid), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_token_of_an_account_that_does_not_exist_is_rejected() {
    let (here, there) = (Scene::new().await, Scene::new().await);
    there.account("ada", Some("correct horse"), false).await;
    let ada = there.access.authenticate("ada", &secret("correct horse"), HOME).await.unwrap();
    // Both have the same key, as after a restored backup.
    let (token, _) = there.access.issue_token(Some(&ada.credential), &[]);
    assert!(matches!(here.access.verify_token(&token).await, Err(TokenError::NoSuchAccount)));
}

#[tokio::test]
async fn semantics_45_a_token_ends_with_the_password_it_was_issued_for() {
    let scene = Scene::new().await;
    let ada = scene.account("ada", Some("correct horse"), false).await;
    let proven = scene.access.authenticate("ada", &secret("correct horse"), HOME).await.unwrap();
    let (token, _) = scene.access.issue_token(Some(&proven.credential), &scopes());
    assert!(scene.access.verify_token(&token).await.is_ok());
    let hash = scene.access.hash_password(&secret("battery staple")).await.unwrap();
    scene.access.set_password(ada.id, hash).await.unwrap();
    assert!(matches!(scene.access.verify_token(&token).await, Err(TokenError::Outdated)));
    assert_eq!(scene.access.still_holds(&proven.credential).await.unwrap(), None);
    // A token issued now for a credential that was checked before the change is invalid too.
    let (late, _) = scene.access.issue_token(Some(&proven.credential), &scopes());
    assert!(matches!(scene.access.verify_token(&late).await, Err(TokenError::Outdated)));

    let proven = scene.access.authenticate("ada", &secret("battery staple"), HOME).await.unwrap();
    let (token, _) = scene.access.issue_token(Some(&proven.credential), &scopes());
    assert!(scene.access.verify_token(&token).await.is_ok());
}

#[tokio::test]
async fn semantics_45_a_server_that_is_not_notified_of_a_new_password_knows_it_within_a_second() {
    let scene = Scene::new().await;
    let ada = scene.account("ada", Some("correct horse"), false).await;
    let proven = scene.access.authenticate("ada", &secret("correct horse"), HOME).await.unwrap();
    let (token, _) = scene.access.issue_token(Some(&proven.credential), &scopes());
    assert!(scene.access.verify_token(&token).await.is_ok());
    // As `longshore user passwd` does beside a server on SQLite.
    let beside = scene.beside().await;
    let hash = beside.hash_password(&secret("battery staple")).await.unwrap();
    beside.set_password(ada.id, hash).await.unwrap();
    scene.clock.advance(SignedDuration::from_secs(1));
    assert!(matches!(scene.access.verify_token(&token).await, Err(TokenError::Outdated)));
}
