//! `longshore migrate-storage`: from SQLite and disk to PostgreSQL and a bucket, and back.

use longshore_testkit::s3_server::{ACCESS_KEY, BUCKET, SECRET_KEY};
use longshore_testkit::{Longshore, S3Server, corpus, eventually, postgres};
use reqwest::Method;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::storage::over;
use crate::support::{SOON, ends_with, promotion, repositories, user};

const KEY: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

fn migrate(folder: &Path, from: &str, to: &str) -> Output {
    fs::write(folder.join("from.toml"), from).expect("a file can be written");
    fs::write(folder.join("to.toml"), to).expect("a file can be written");
    Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["migrate-storage", "--config", "from.toml", "--to", "to.toml"])
        .env("LONGSHORE_ENCRYPTION_KEY", KEY)
        .env("LONGSHORE_S3_ACCESS_KEY", ACCESS_KEY)
        .env("LONGSHORE_S3_SECRET_KEY", SECRET_KEY)
        .current_dir(folder)
        .output()
        .expect("the command runs")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The visible state of a registry, without values that change by themselves.
async fn seen(server: &Longshore) -> Vec<Value> {
    let rest = server.rest();
    let mut all = Vec::new();
    for path in [
        "/repositories",
        "/repositories/dev/web/tags",
        "/repositories/qa/web/tags",
        "/repositories/dev/web/promotionPolicies",
        "/accounts",
    ] {
        all.push(rest.get(path).await.expect(200));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_moves_to_postgresql_and_a_bucket_and_back() {
    let mut old = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .variable("LONGSHORE_ENCRYPTION_KEY", KEY)
        .start()
        .await;
    repositories(&old.rest(), &["dev/web", "qa/web"]).await;
    user(&old.rest(), "ann").await;
    promotion(&old.rest(), "dev/web", "qa/web", ends_with("-rc"), "%n").await;
    let (one, two) =
        (corpus::index(1, &["linux/amd64", "linux/arm64"], true), corpus::image(2, 2, 9_000_000));
    old.registry().push(&one, "dev/web", Some("1-rc")).await;
    old.registry().push(&two, "dev/web", Some("2")).await;
    eventually("the promotion", SOON, async || old.registry().digest_of("qa/web", "1-rc").await).await;
    let before = seen(&old).await;
    old.terminate().await;

    let bucket = S3Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let database = tokio::task::spawn_blocking(postgres::new_database).await.unwrap();
    let on_disk = format!("data = '{}'", old.data().display());
    let in_bucket = format!(
        "data = 'new'\ndatabase = '{database}'\ns3_bucket = '{BUCKET}'\ns3_endpoint = '{}'\ns3_allow_http = true",
        bucket.url()
    );
    // It is interrupted in the middle, and no server accepts the result as a registry.
    bucket.refuse(Some((Method::POST, "-parts")));
    let broken = migrate(folder.path(), &on_disk, &in_bucket);
    assert!(!broken.status.success(), "{}", told(&broken));
    assert!(told(&broken).contains("cannot be copied"), "{}", told(&broken));
    let early = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["serve", "--config", "to.toml", "--listen", "127.0.0.1:0"])
        .env("LONGSHORE_ENCRYPTION_KEY", KEY)
        .env("LONGSHORE_S3_ACCESS_KEY", ACCESS_KEY)
        .env("LONGSHORE_S3_SECRET_KEY", SECRET_KEY)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(told(&early).contains("is being moved into"), "{}", told(&early));
    bucket.refuse(None);
    let moved = migrate(folder.path(), &on_disk, &in_bucket);
    assert!(moved.status.success(), "{}", told(&moved));

    let server = || over(&bucket).argument("--database").argument(&database);
    let mut new = server().variable("LONGSHORE_ENCRYPTION_KEY", KEY).start().await;
    assert_eq!(seen(&new).await, before);
    new.registry().verify(&one, "qa/web").await;
    new.registry().verify(&two, "dev/web").await;
    // New revisions follow the earlier ones, and policies act.
    new.registry().push(&two, "dev/web", Some("3-rc")).await;
    eventually("the promotion", SOON, async || new.registry().digest_of("qa/web", "3-rc").await).await;
    let after = seen(&new).await;
    new.terminate().await;

    let occupied = migrate(folder.path(), &on_disk, &in_bucket);
    assert!(told(&occupied).contains("already contains a registry"), "{}", told(&occupied));
    let back = migrate(folder.path(), &in_bucket, "data = 'back'");
    assert!(back.status.success(), "{}", told(&back));
    let mut again = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .variable("LONGSHORE_ENCRYPTION_KEY", KEY)
        .start()
        .await;
    again.terminate().await;
    fs::remove_dir_all(again.data()).unwrap();
    fs::rename(folder.path().join("back"), again.data()).unwrap();
    again.restart().await;
    assert_eq!(seen(&again).await, after);
    again.registry().verify(&one, "dev/web").await;
    again.registry().verify(&two, "qa/web").await;
}
