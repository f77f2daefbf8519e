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
    let ada = Actor::User(ada);
    let (token, lives) = scene.access.issue_token(&ada, &scopes());
    for access in [scene.access.clone(), scene.restarted()] {
        let claims = access.verify_token(&token).await.unwrap();
        assert_eq!((&claims.actor, &claims.scopes), (&ada, &scopes()));
    }
    scene.clock.advance(lives);
    assert!(matches!(scene.access.verify_token(&token).await, Err(TokenError::Expired)));
}

#[tokio::test]
async fn nobody_in_particular_gets_tokens_too() {
    let scene = Scene::new().await;
    let (token, lives) = scene.access.issue_token(&Actor::Anonymous, &[]);
    assert!(lives > SignedDuration::from_secs(60));
    let claims = scene.access.verify_token(&token).await.unwrap();
    assert_eq!((claims.actor, claims.scopes), (Actor::Anonymous, Vec::new()));
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused() {
    let scene = Scene::new().await;
    let (token, _) = scene.access.issue_token(&Actor::Anonymous, &scopes());
    for text in ["", "x", "a.b.c", &token[..token.len() - 1], &format!("{token}x")] {
        let error = scene.access.verify_token(text).await.unwrap_err();
        assert!(matches!(error, TokenError::Invalid), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_token_of_an_account_that_is_not_there_is_refused() {
    let (here, there) = (Scene::new().await, Scene::new().await);
    there.account("ada", Some("correct horse"), false).await;
    let ada = there.access.authenticate("ada", &secret("correct horse"), HOME).await.unwrap();
    // Both have the same key, as after a restored backup.
    let (token, _) = there.access.issue_token(&Actor::User(ada), &[]);
    assert!(matches!(here.access.verify_token(&token).await, Err(TokenError::NoSuchAccount)));
}
