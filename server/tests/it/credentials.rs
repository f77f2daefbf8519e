//! A changed password invalidates tokens, on every server and regardless of who changed it.

use std::io::Write;
use std::process::{Command, Stdio};

use longshore_testkit::{Longshore, S3Server, corpus, eventually};
use reqwest::Method;
use serde_json::json;

use crate::servers::three;
use crate::support::{SOON, longshore, user};

const PULL: &str = "repository:dev/app:pull";

/// A token of the user dev, for pulling `dev/app`.
async fn token(server: &Longshore, password: &str) -> String {
    let registry = server.registry().with_credentials("dev", password);
    let path = format!("/v2/token?service=longshore&scope={PULL}");
    let answer = registry.send(registry.request(Method::GET, &path)).await.expect(200);
    answer.json()["token"].as_str().expect("a token").to_owned()
}

/// The status of a pull with this token.
async fn pull(server: &Longshore, token: &str) -> u16 {
    let registry = server.registry().anonymous();
    let request = registry.request(Method::GET, "/v2/dev/app/manifests/1.0").bearer_auth(token);
    registry.send(request).await.status
}

async fn push(server: &Longshore) {
    user(&server.rest(), "dev").await;
    let registry = server.registry().with_credentials("dev", "dev has a password");
    registry.push(&corpus::image(1, 1, 100), "dev/app", Some("1.0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_45_a_new_password_invalidates_tokens_at_once() {
    let server = longshore().await;
    push(&server).await;
    let old = token(&server, "dev has a password").await;
    assert_eq!(pull(&server, &old).await, 200);
    let change = json!({"oldPassword": "dev has a password", "newPassword": "another password"});
    let rest = server.rest().as_user("dev", "dev has a password");
    rest.post("/accounts/dev/changePassword", change).await;
    assert_eq!(pull(&server, &old).await, 401);
    let new = token(&server, "another password").await;
    assert_eq!(pull(&server, &new).await, 200);

    // An administrator changes it on the command line, beside the server.
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    let data = server.data();
    command.args(["user", "passwd", "dev", "--data"]).arg(data).stdin(Stdio::piped()).stdout(Stdio::null());
    let changed = tokio::task::spawn_blocking(move || {
        let mut running = command.spawn().expect("longshore user passwd starts");
        let input = running.stdin.take();
        input.expect("a standard input").write_all(b"a third password\n").expect("the password is written");
        running.wait().expect("it ends")
    });
    assert!(changed.await.expect("the task ends").success());
    assert_eq!(pull(&server, &new).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_45_a_new_password_invalidates_tokens_on_the_other_servers_too() {
    let bucket = S3Server::start().await;
    let [one, two, _three] = three(&bucket).await;
    push(&one).await;
    let old = token(&two, "dev has a password").await;
    assert_eq!(pull(&two, &old).await, 200);
    let change = json!({"oldPassword": "dev has a password", "newPassword": "another password"});
    let rest = one.rest().as_user("dev", "dev has a password");
    rest.post("/accounts/dev/changePassword", change).await;
    eventually("the other server to be notified", SOON, async || {
        (pull(&two, &old).await == 401).then_some(())
    })
    .await;
}
