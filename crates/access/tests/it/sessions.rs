//! Sessions of the site.

use crate::scene::{HOME, Scene, secret};
use jiff::SignedDuration;
use longshore_model::Clock;
use secrecy::ExposeSecret;

#[tokio::test]
async fn a_session_is_identified_by_its_token() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    let session = scene.access.sign_in("ada", &secret("correct horse"), HOME).await.unwrap();
    assert!(session.token.expose_secret().len() >= 43);
    assert_ne!(session.token.expose_secret(), session.csrf);
    let printed = format!("{session:?}");
    assert!(!printed.contains(session.token.expose_secret()) && !printed.contains(&session.csrf));

    let found = scene.access.session(&session.token).await.unwrap().unwrap();
    assert_eq!((found.proven.actor, found.csrf.as_str()), (session.actor, session.csrf.as_str()));
    // A restart does not end sessions.
    assert!(scene.restarted().session(&session.token).await.unwrap().is_some());
    assert_eq!(scene.access.session(&secret("made up")).await.unwrap(), None);
    assert_eq!(scene.access.session(&secret(&session.csrf)).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_ends_twelve_hours_after_its_last_use() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    let session = scene.access.sign_in("ada", &secret("correct horse"), HOME).await.unwrap();
    assert_eq!(session.expires_at, scene.clock.now() + SignedDuration::from_hours(12));

    scene.clock.advance(SignedDuration::from_hours(11));
    let used = scene.access.session(&session.token).await.unwrap().unwrap();
    assert_eq!(used.expires_at, scene.clock.now() + SignedDuration::from_hours(12));
    scene.clock.advance(SignedDuration::from_hours(11));
    assert!(scene.access.session(&session.token).await.unwrap().is_some());
    scene.clock.advance(SignedDuration::from_hours(12));
    assert_eq!(scene.access.session(&session.token).await.unwrap(), None);
}

#[tokio::test]
async fn signing_out_ends_one_session_and_no_other() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    let first = scene.access.sign_in("ada", &secret("correct horse"), HOME).await.unwrap();
    let second = scene.access.sign_in("ada", &secret("correct horse"), HOME).await.unwrap();
    scene.access.sign_out(&first.token).await.unwrap();
    scene.access.sign_out(&first.token).await.unwrap();
    assert_eq!(scene.access.session(&first.token).await.unwrap(), None);
    assert!(scene.access.session(&second.token).await.unwrap().is_some());
}

#[tokio::test]
async fn the_number_of_sessions_per_account_is_limited_and_the_oldest_end_first() {
    let scene = Scene::new().await;
    scene.account("ada", Some("correct horse"), false).await;
    let sign_in = async || {
        scene.clock.advance(SignedDuration::from_secs(1));
        scene.access.sign_in("ada", &secret("correct horse"), HOME).await.unwrap().token
    };
    let first = sign_in().await;
    let second = sign_in().await;
    for _ in 0..255 {
        sign_in().await;
    }
    assert_eq!(scene.access.session(&first).await.unwrap(), None);
    assert!(scene.access.session(&second).await.unwrap().is_some());
}
