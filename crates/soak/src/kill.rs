//! Rounds of random work, each ended by kill -9 at a random instant.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use longshore_testkit::LongshoreBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use crate::check::{Expectations, check};
use crate::client::Client;
use crate::expected::Journal;
use crate::scene;

/// The amount of work.
#[derive(Debug, Clone, Copy)]
pub struct KillOptions {
    /// The number of times that the server is killed.
    pub rounds: usize,
    /// The number of clients that work at the same time.
    pub clients: usize,
    /// The source of all randomness except timing.
    pub seed: u64,
}

/// The time from the start of the clients until the server is killed.
const KILLED_AFTER: std::ops::Range<Duration> = Duration::from_millis(20)..Duration::from_millis(1500);
/// The time to live of garbage; short, so that every round collects some.
const KEPT_SECONDS: &str = "2";
/// The lease of a server, after which others may continue the work of a killed one.
const LEASE_SECONDS: &str = "3";

/// Starts a server and kills it repeatedly. After each restart, nothing that was acknowledged may be missing. Works
/// with any database and store that the builder defines. Reports each round to `tell`.
///
/// # Panics
/// If anything is missing or wrong.
pub async fn kill_rounds(builder: LongshoreBuilder, options: KillOptions, mut tell: impl FnMut(String)) {
    let mut random = StdRng::seed_from_u64(options.seed);
    let builder = builder.argument("--keep-seconds").argument(KEPT_SECONDS);
    let mut server = builder.argument("--lease-seconds").argument(LEASE_SECONDS).start().await;
    scene::furnish(&server).await;
    let journal = Arc::new(Mutex::new(Journal::default()));
    for round in 1..=options.rounds {
        let mut clients = JoinSet::new();
        for name in 0..options.clients {
            let client = Client::new(&server, name, options.seed + round as u64, journal.clone());
            clients.spawn(client.work(usize::MAX));
        }
        tokio::time::sleep(random.random_range(KILLED_AFTER)).await;
        server.kill9();
        while let Some(ended) = clients.join_next().await {
            ended.unwrap_or_else(|failure| panic!("seed {}, round {round}: {failure}", options.seed));
        }
        let restarted = Instant::now();
        server.restart().await;
        let (acknowledged, wanted) = {
            let journal = journal.lock().expect("no client has panicked");
            let (expected, uploads) = (journal.expected(), journal.uploads.clone());
            (journal.acknowledged().count(), Expectations { expected, uploads, loose_parts: false })
        };
        let found = check(&server, &wanted).await;
        let tags = found.len();
        journal.lock().expect("no client has panicked").settle(found);
        tell(format!(
            "round {round}: {acknowledged} requests acknowledged, {tags} tags; checked {:.1} s after the restart",
            restarted.elapsed().as_secs_f64()
        ));
    }
}
