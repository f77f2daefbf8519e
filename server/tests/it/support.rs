//! Shared by the black-box tests: starting the real binary, and creating accounts and repositories.

use longshore_testkit::{Longshore, Rest};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a test waits for work in the background.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The server under test.
pub(crate) async fn longshore() -> Longshore {
    Longshore::start(env!("CARGO_BIN_EXE_longshore")).await
}

/// The server under test, where remotes of all users may be at loopback addresses, as those of tests are.
pub(crate) async fn longshore_for_everybody() -> Longshore {
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore"));
    builder.variable("LONGSHORE_PRIVATE_REMOTES", "everybody").start().await
}

/// Creates an organization.
pub(crate) async fn organization(rest: &Rest, name: &str) {
    rest.post("/accounts", json!({"name": name, "isOrg": true})).await.expect(201);
}

/// Creates a user whose password is `<name> has a password`.
pub(crate) async fn user(rest: &Rest, name: &str) -> Rest {
    let password = format!("{name} has a password");
    rest.post("/accounts", json!({"name": name, "isOrg": false, "password": password})).await.expect(201);
    rest.as_user(name, &password)
}

/// Creates a private repository.
pub(crate) async fn repository(rest: &Rest, name: &str) {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    rest.post(&format!("/repositories/{namespace}"), json!({"name": name, "visibility": "private"}))
        .await
        .expect(201);
}

/// Creates organizations and empty repositories with these names.
pub(crate) async fn repositories(rest: &Rest, names: &[&str]) {
    let mut organizations: Vec<&str> =
        names.iter().filter_map(|name| Some(name.split_once('/')?.0)).collect();
    organizations.sort_unstable();
    organizations.dedup();
    for name in organizations {
        organization(rest, name).await;
    }
    for name in names {
        repository(rest, name).await;
    }
}

/// The rule "tag name ends with …".
pub(crate) fn ends_with(suffix: &str) -> Value {
    json!([{"field": "tag", "operator": "ew", "values": [suffix]}])
}

/// Creates a promotion policy and returns it.
pub(crate) async fn promotion(
    rest: &Rest,
    source: &str,
    target: &str,
    rules: Value,
    template: &str,
) -> Value {
    let body = json!({
        "rules": rules, "targetRepository": target, "tagTemplate": template, "enabled": true,
    });
    rest.post(&format!("/repositories/{source}/promotionPolicies"), body).await.expect(201)
}

/// The connection settings of a mirror.
pub(crate) fn remote(url: &str, repository: &str, user: &str, password: &str) -> Value {
    json!({
        "remoteHost": url, "remoteRepository": repository, "username": user, "password": password,
        "authToken": "", "remoteCA": "", "skipTLSVerification": false, "enabled": true,
    })
}

/// The JSON object with additional or replaced members.
pub(crate) fn with(mut object: Value, more: Value) -> Value {
    let (Value::Object(members), Value::Object(more)) = (&mut object, more) else {
        panic!("both are objects");
    };
    members.extend(more);
    object
}
