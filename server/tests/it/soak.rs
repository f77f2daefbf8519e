//! A few rounds of `cargo xtask soak` (semantics 26): the server is killed in the middle of random work, and nothing
//! that it acknowledged is lost.

use longshore_soak::power::{PowerOptions, power_cuts, unnoticed_syncs};
use longshore_soak::{KillOptions, kill_rounds};
use longshore_testkit::{Longshore, S3Server, postgres};

fn server() -> longshore_testkit::LongshoreBuilder {
    Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_a_killed_server_keeps_everything_that_it_acknowledged() {
    kill_rounds(server(), KillOptions { rounds: 4, clients: 3, seed: 26 }, |line| println!("{line}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_a_killed_server_on_postgresql_and_a_bucket_keeps_everything_too() {
    let bucket = S3Server::start().await;
    let database = tokio::task::spawn_blocking(postgres::new_database).await.expect("a database is created");
    let server = server().argument("--database").argument(&database).in_bucket(&bucket);
    kill_rounds(server, KillOptions { rounds: 3, clients: 3, seed: 26 }, |line| println!("{line}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_a_power_failure_loses_nothing_that_was_acknowledged() {
    let options = PowerOptions { cuts: 6, clients: 2, things: 6, seed: 26 };
    power_cuts(server(), options, |line| println!("{line}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_omitting_any_kind_of_sync_is_detected() {
    let options = PowerOptions { cuts: 4, clients: 2, things: 6, seed: 26 };
    let unnoticed = unnoticed_syncs(server(), options).await;
    assert!(unnoticed.is_empty(), "missing syncs of {unnoticed:?} are not detected");
}
