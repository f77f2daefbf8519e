//! Power cuts. A server is traced while clients work; what it wrote and synced is then replayed on a model of a
//! disk, cut off at random instants, and a server is started on what may be left of its files.
//!
//! kill -9 cannot show this: the kernel keeps what a process wrote, synced or not.

mod disk;
mod replay;
mod syncs;
mod trace;

pub use syncs::Syncs;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use longshore_testkit::{LongshoreBuilder, eventually};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::check::{Expectations, check, promotions};
use crate::client::Client;
use crate::expected::Journal;
use crate::scene;
use disk::Luck;
use replay::{Replay, TRACED};
use trace::{Call, calls};

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct PowerOptions {
    /// At how many instants the power is cut.
    pub cuts: usize,
    /// Clients that work at the same time.
    pub clients: usize,
    /// How many things each of them does while the server is traced.
    pub things: usize,
    /// What all randomness but that of time comes from.
    pub seed: u64,
}

impl Default for PowerOptions {
    fn default() -> Self {
        Self { cuts: 300, clients: 4, things: 25, seed: 0 }
    }
}

/// After how many cuts other work is recorded.
const CUTS_PER_RECORDING: usize = 50;
/// How much of what is not synced survives; one of these at each cut.
const LUCK: &[Luck] = &[0.0, 0.0, 0.05, 0.5, 0.95, 1.0];
/// Within how many moments after an acknowledgement half of the cuts are made.
const SHORTLY: usize = 12;
/// How long the tracer may take to write its last line.
const TRACE_TIMEOUT: Duration = Duration::from_secs(30);
/// What nothing needs stays so long in every other recording.
const KEPT_SECONDS: &str = "1";
/// Where the key is given, no lost file of it shows that something was lost.
const KEY: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

/// Cuts the power at random instants of traced work; after each start nothing that was acknowledged before may be
/// missing. Tells of each cut.
///
/// # Panics
/// With what is missing or wrong.
pub async fn power_cuts(builder: LongshoreBuilder, options: PowerOptions, mut tell: impl FnMut(String)) {
    let mut done = 0;
    while done < options.cuts {
        let seed = options.seed + (done / CUTS_PER_RECORDING) as u64;
        let recording = Recording::make(&builder, PowerOptions { seed, ..options }).await;
        tell(format!(
            "recorded {} calls, {} acknowledgements",
            recording.calls.len(),
            recording.acknowledgements
        ));
        let cuts = CUTS_PER_RECORDING.min(options.cuts - done);
        for cut in recording.cuts(cuts, seed, None) {
            done += 1;
            // A failure tells no more than what is wrong, so this comes before it.
            tell(format!("cut {done}, seed {seed}: {}", cut.what));
            cut.check(recording.builder.clone()).await;
        }
    }
}

/// The syncs that a server could leave out without being caught. The checks are worth nothing unless there are
/// none.
///
/// # Panics
/// When the work itself fails.
pub async fn unnoticed_syncs(builder: LongshoreBuilder, options: PowerOptions) -> Vec<Syncs> {
    let builder = builder.variable("LONGSHORE_ENCRYPTION_KEY", KEY);
    let recording = Recording::make(&builder, options).await;
    let mut unnoticed = Vec::new();
    for syncs in Syncs::ALL {
        if !recording.notices(options, syncs).await {
            unnoticed.push(syncs);
        }
    }
    unnoticed
}

/// Traced work of a server.
struct Recording {
    calls: Vec<Call>,
    root: PathBuf,
    journal: Journal,
    builder: LongshoreBuilder,
    loose_parts: bool,
    acknowledgements: usize,
}

impl Recording {
    async fn make(builder: &LongshoreBuilder, options: PowerOptions) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let trace = folder.path().join("trace");
        // Collections in every other recording: then bytes go away and come back, and loose parts do not stay.
        let loose_parts = options.seed.is_multiple_of(2);
        let builder = match loose_parts {
            true => builder.clone(),
            false => builder.clone().argument("--keep-seconds").argument(KEPT_SECONDS),
        };
        let mut server = builder.clone().traced(&trace, TRACED).start().await;
        scene::furnish(&server).await;
        let journal = Arc::new(Mutex::new(Journal::default()));
        let mut clients = JoinSet::new();
        for name in 0..options.clients {
            let client = Client::new(&server, name, options.seed, journal.clone());
            clients.spawn(client.work(options.things));
        }
        while let Some(ended) = clients.join_next().await {
            ended.unwrap_or_else(|failure| panic!("seed {}: {failure}", options.seed));
        }
        let journal = Arc::into_inner(journal).expect("all clients have ended");
        let journal = journal.into_inner().expect("none has panicked");
        let now = journal.expected().into_iter().map(|(thing, known)| (thing, known.certain)).collect();
        promotions(&server.registry(), &now).await;
        let root = server.folder().to_owned();
        server.kill9();
        wait_for_end(&trace, server.process_id()).await;
        let calls = calls(&fs::read_to_string(&trace).expect("the trace can be read"));
        let acknowledgements = journal.acknowledged().count();
        Self { calls, root, journal, builder, loose_parts, acknowledgements }
    }

    /// Whether something is missing or wrong after some cut when the server leaves out these syncs.
    async fn notices(&self, options: PowerOptions, without: Syncs) -> bool {
        for cut in self.cuts(options.cuts, options.seed, Some(without)) {
            let what = cut.what.clone();
            let checked = AssertUnwindSafe(cut.check(self.builder.clone())).catch_unwind().await;
            if checked.is_err() {
                println!("as it has to be, without syncs of {without:?}: {what}");
                return true;
            }
        }
        false
    }

    /// What is left at random instants, from first to last; where syncs are left out, at last when all is done and
    /// nothing survives that was not synced.
    fn cuts(&self, count: usize, seed: u64, without: Option<Syncs>) -> impl Iterator<Item = Cut> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut replay = Replay::new(&self.calls, &self.root, without);
        let mut instants = self.instants(count, &mut random);
        let last = without.map(|_| replay.length());
        instants.extend(last);
        let mut instants = instants.into_iter();
        std::iter::from_fn(move || {
            let instant = instants.next()?;
            replay.advance_to(instant);
            let luck = match last {
                Some(last) if instant == last => 0.0,
                _ => *LUCK.choose(&mut random).expect("there are some"),
            };
            let folder = TempDir::new().expect("a temporary folder can be made");
            replay.disk.after_power_cut(folder.path(), luck, &mut random).expect("files can be written");
            let acknowledged = &replay.acknowledged;
            let what = format!(
                "the power goes at {instant} of {}, after {} acknowledgements; {:.0} % of what is not synced survives",
                replay.length(),
                acknowledged.len(),
                luck * 100.0
            );
            let wanted = replay.begun.then(|| Expectations {
                expected: self.journal.expected_when(|number| acknowledged.contains(&number)),
                uploads: self.journal.uploads.clone(),
                loose_parts: self.loose_parts,
            });
            Some(Cut { what, folder, wanted })
        })
    }

    /// Half of them just after an acknowledgement, where a sync that comes too late shows.
    fn instants(&self, count: usize, random: &mut StdRng) -> Vec<usize> {
        let mut replay = Replay::new(&self.calls, &self.root, None);
        let mut after_answers = Vec::new();
        for instant in 1..=replay.length() {
            let before = replay.acknowledged.len();
            replay.advance_to(instant);
            if replay.acknowledged.len() > before {
                after_answers.push(instant);
            }
        }
        let lost: BTreeSet<_> =
            self.journal.acknowledged().filter(|number| !replay.acknowledged.contains(number)).collect();
        assert!(lost.is_empty(), "the trace lacks the acknowledgements {lost:?}");
        let mut instants: Vec<usize> = (0..count)
            .map(|number| match after_answers.choose(random) {
                Some(answer) if number.is_multiple_of(2) => answer + random.random_range(0..SHORTLY),
                _ => random.random_range(0..=replay.length()),
            })
            .map(|instant| instant.min(replay.length()))
            .collect();
        instants.sort_unstable();
        instants
    }
}

/// What a power cut has left.
struct Cut {
    what: String,
    folder: TempDir,
    /// None while no client had begun: then it is enough that the server starts.
    wanted: Option<Expectations>,
}

impl Cut {
    async fn check(self, builder: LongshoreBuilder) {
        let server = builder.start_in(self.folder).await;
        if let Some(wanted) = self.wanted {
            check(&server, &wanted).await;
        }
    }
}

async fn wait_for_end(trace: &Path, process: u32) {
    // In columns: there is more than one space behind a short number.
    let end = |line: &str| {
        let told = line.strip_prefix(&process.to_string());
        told.is_some_and(|told| told.starts_with(' ') && told.trim_start().starts_with("+++ "))
    };
    eventually("the end of the trace", TRACE_TIMEOUT, async || {
        let mut file = fs::File::open(trace).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096))).ok()?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).ok()?;
        String::from_utf8_lossy(&tail).lines().any(end).then_some(())
    })
    .await;
}
