//! Accounts and sessions.

use crate::on_both;
use crate::scene::{Scene, at};
use longshore_metadata::{Conn, Error, accounts, sessions, work};
use longshore_model::{Account, PageRequest};

on_both![
    an_account_is_found_by_name_and_identifier,
    a_name_can_be_taken_only_once,
    accounts_are_listed_by_name,
    a_session_ends_when_it_expires_or_by_sign_out,
];

async fn account(scene: &Scene, name: &str, is_org: bool) -> Account {
    let name = name.parse().unwrap();
    let hash = (!is_org).then_some("hash");
    scene.write(work!(|tx| accounts::create(tx, &name, is_org, false, hash, at(0)).await)).await
}

async fn with_password(conn: &mut Conn, name: &str) -> Option<String> {
    let found = accounts::find_with_password(conn, &name.parse().unwrap()).await.unwrap();
    found.map(|found| {
        assert_eq!(found.standing.account.name.as_str(), name);
        found.password_hash
    })
}

async fn an_account_is_found_by_name_and_identifier(scene: Scene) {
    let (alice, org) = (account(&scene, "alice", false).await, account(&scene, "acme", true).await);
    let conn = &mut scene.read().await;
    assert_eq!(accounts::find(conn, &alice.name).await.unwrap().as_ref(), Some(&alice));
    assert_eq!(accounts::get(conn, org.id).await.unwrap().as_ref(), Some(&org));
    assert_eq!(accounts::find(conn, &"bob".parse().unwrap()).await.unwrap(), None);
    assert_eq!(with_password(conn, "alice").await.as_deref(), Some("hash"));
    assert_eq!(with_password(conn, "acme").await, None);
    assert_eq!(with_password(conn, "bob").await, None);
    scene.write(work!(|tx| accounts::set_password(tx, alice.id, "other").await)).await;
    assert_eq!(with_password(conn, "alice").await.as_deref(), Some("other"));
}

async fn a_name_can_be_taken_only_once(scene: Scene) {
    account(&scene, "alice", false).await;
    let again = scene
        .try_write(
            work!(|tx| accounts::create(tx, &"alice".parse().unwrap(), true, false, None, at(0)).await),
        )
        .await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

async fn accounts_are_listed_by_name(scene: Scene) {
    for (name, is_org) in [("carol", false), ("acme", true), ("bob", false), ("a_b", true)] {
        if let Ok(_name) = name.parse::<longshore_oci::Namespace>() {
            account(&scene, name, is_org).await;
        }
    }
    let listed = async |search: Option<&str>, orgs| {
        let page =
            accounts::list(&mut scene.read().await, search, orgs, &PageRequest::first(10)).await.unwrap();
        page.items.into_iter().map(|account| account.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, Some(false)).await, ["bob", "carol"]);
    assert!(listed(None, Some(true)).await.contains(&"acme".to_owned()));
    assert_eq!(listed(Some("CAR"), None).await, ["carol"]);
    assert_eq!(listed(Some("%"), None).await, [""; 0]);
}

async fn a_session_ends_when_it_expires_or_by_sign_out(scene: Scene) {
    let alice = account(&scene, "alice", false).await;
    let begin = |token: &'static [u8]| {
        scene.write(work!(|tx| sessions::create(tx, token, alice.id, "csrf", at(0), at(100)).await))
    };
    begin(b"one").await;
    begin(b"two").await;
    let found =
        async |token: &[u8], now| sessions::find(&mut scene.read().await, token, at(now)).await.unwrap();
    let session = found(b"one", 99).await.unwrap();
    assert_eq!((session.standing.account.id, session.csrf.as_str()), (alice.id, "csrf"));
    assert!(found(b"one", 100).await.is_none(), "it has expired");
    assert!(found(b"three", 0).await.is_none());
    scene.write(work!(|tx| sessions::delete(tx, b"one").await)).await;
    assert!(found(b"one", 0).await.is_none());
    assert!(found(b"two", 0).await.is_some());
    scene.write(work!(|tx| sessions::delete_expired(tx, at(100)).await)).await;
    assert!(found(b"two", 0).await.is_none());
}
