//! Usernames and passwords.

use crate::scene::{ABROAD, HOME, Scene, secret};
use jiff::SignedDuration;
use longshore_access::{AuthError, PasswordError};
use std::time::Duration;

#[tokio::test]
async fn the_correct_password_returns_the_actor_with_its_current_permissions() {
    let scene = Scene::new().await;
    let ada = scene.account("ada", Some("correct horse"), true).await;
    let actor = scene.access.authenticate("ada", &secret("correct horse"), HOME).await.unwrap().actor;
    assert_eq!((actor.id, actor.name.as_str(), actor.is_admin), (ada.id, "ada", true));
}

#[tokio::test]
async fn unknown_users_organizations_and_wrong_passwords_cannot_be_told_apart() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    scene.account("crew", None, false).await;
    for (number, user) in ["ada", "crew", "nobody", "No/Name", ""].into_iter().enumerate() {
        // Each from its own address, so that only the account counts.
        let peer = std::net::IpAddr::from([203, 0, 113, u8::try_from(number).unwrap()]);
        for _ in 0..6 {
            let error = scene.access.authenticate(user, &secret("guess"), peer).await.unwrap_err();
            assert!(matches!(error, AuthError::WrongCredentials), "{user}: {error}");
        }
        let error = scene.access.authenticate(user, &secret("guess"), peer).await.unwrap_err();
        assert!(
            matches!(error, AuthError::Throttled { retry_after } if retry_after == Duration::from_secs(1)),
            "{user}: {error}"
        );
    }
}

#[tokio::test]
async fn the_delay_grows_with_each_wrong_guess_until_a_success_resets_it() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    let guess = |text: &'static str| async { scene.access.authenticate("ada", &secret(text), HOME).await };
    for _ in 0..6 {
        assert!(guess("wrong").await.is_err());
    }
    assert!(matches!(guess("correct horse").await, Err(AuthError::Throttled { .. })));
    scene.clock.advance(SignedDuration::from_secs(1));
    assert!(matches!(guess("wrong").await, Err(AuthError::WrongCredentials)));
    scene.clock.advance(SignedDuration::from_secs(1));
    let error = guess("correct horse").await.unwrap_err();
    assert!(matches!(error, AuthError::Throttled { retry_after } if retry_after == Duration::from_secs(1)));
    scene.clock.advance(SignedDuration::from_secs(1));
    assert!(guess("correct horse").await.is_ok());
    assert!(matches!(guess("wrong").await, Err(AuthError::WrongCredentials)));
    assert!(guess("correct horse").await.is_ok());
}

#[tokio::test]
async fn a_user_who_recently_signed_in_is_not_locked_out_by_guesses() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    assert!(scene.access.authenticate("ada", &secret("correct horse"), HOME).await.is_ok());
    for _ in 0..8 {
        assert!(scene.access.authenticate("ada", &secret("guess"), ABROAD).await.is_err());
    }
    assert!(scene.access.authenticate("ada", &secret("correct horse"), HOME).await.is_ok());
}

#[tokio::test]
async fn a_new_password_takes_effect_at_once_and_ends_existing_sessions() {
    let scene = Scene::new().await;
    let ada = scene.account("ada", Some("correct horse"), false).await;
    let session = scene.access.sign_in("ada", &secret("correct horse"), HOME).await.unwrap();

    let refused = scene.access.hash_password(&secret("short")).await;
    assert_eq!(refused, Err(PasswordError::TooShort));
    let hash = scene.access.hash_password(&secret("battery staple")).await.unwrap();
    scene.access.set_password(ada.id, hash).await.unwrap();

    let old = scene.access.authenticate("ada", &secret("correct horse"), HOME).await;
    assert!(matches!(old, Err(AuthError::WrongCredentials)));
    assert!(scene.access.authenticate("ada", &secret("battery staple"), HOME).await.is_ok());
    assert_eq!(scene.access.session(&session.token).await.unwrap(), None);
}

#[tokio::test]
async fn a_known_user_is_admitted_while_others_guess_and_equal_credentials_are_checked_once() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    assert!(scene.access.authenticate("ada", &secret("correct horse"), HOME).await.is_ok());
    for n in 0..20 {
        let peer = std::net::IpAddr::from([203, 0, 113, n]);
        assert!(scene.access.authenticate("ada", &secret("guess"), peer).await.is_err());
    }
    // Longer than successes are remembered.
    scene.clock.advance(SignedDuration::from_secs(61));
    let again = (0..50)
        .map(|_| async { scene.access.authenticate("ada", &secret("correct horse"), HOME).await.map(drop) });
    for answer in futures::future::join_all(again).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn too_many_concurrent_checks_are_rejected_with_a_time_to_retry() {
    let scene = Scene::new().await;
    let guesses = (0..400_u16).map(|n| {
        let access = &scene.access;
        async move {
            let [high, low] = n.to_be_bytes();
            access.authenticate(&format!("user{n}"), &secret("guess"), [10, 0, high, low].into()).await
        }
    });
    let answers = futures::future::join_all(guesses).await;
    let busy = answers.iter().filter(|answer| matches!(answer, Err(AuthError::Busy { .. }))).count();
    let wrong = answers.iter().filter(|answer| matches!(answer, Err(AuthError::WrongCredentials))).count();
    assert_eq!(busy + wrong, 400);
    assert!(wrong >= 64 && busy >= 300, "{wrong} were checked, {busy} rejected");
}
