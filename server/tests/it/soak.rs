//! A few rounds of what `cargo xtask soak` does for long (semantics 26): the server dies in the middle of random
//! work, and nothing that it acknowledged is missing.

use longshore_testkit::Longshore;
use longshore_testkit::soak::power::{PowerOptions, power_cuts, unnoticed_syncs};
use longshore_testkit::soak::{KillOptions, kill_rounds};

fn server() -> longshore_testkit::LongshoreBuilder {
    Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_a_server_that_is_killed_has_all_that_it_acknowledged() {
    kill_rounds(server(), KillOptions { rounds: 4, clients: 3, seed: 26 }, |line| println!("{line}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_a_power_cut_takes_nothing_that_was_acknowledged() {
    let options = PowerOptions { cuts: 6, clients: 2, things: 6, seed: 26 };
    power_cuts(server(), options, |line| println!("{line}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_26_a_sync_of_any_sort_that_is_left_out_is_noticed() {
    let options = PowerOptions { cuts: 4, clients: 2, things: 6, seed: 26 };
    let unnoticed = unnoticed_syncs(server(), options).await;
    assert!(unnoticed.is_empty(), "nobody misses syncs of {unnoticed:?}");
}
