//! Power cuts. A server is traced while clients work. What it wrote and synced is then replayed on a model of a disk,
//! which is cut off at random instants, and a server is started on what may be left of its files.
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

/// The amount of work.
#[derive(Debug, Clone, Copy)]
pub struct PowerOptions {
    /// The number of power cuts.
    pub cuts: usize,
    /// The number of clients that work at the same time.
    pub clients: usize,
    /// The number of things that each client does while the server is traced.
    pub things: usize,
    /// The source of all randomness except timing.
    pub seed: u64,
}

impl Default for PowerOptions {
    fn default() -> Self {
        Self { cuts: 300, clients: 4, things: 25, seed: 0 }
    }
}

/// The number of cuts after which other work is recorded.
const CUTS_PER_RECORDING: usize = 50;
/// The possible shares of unsynced changes that survive; each cut uses one of these.
const LUCK: &[Luck] = &[0.0, 0.0, 0.05, 0.5, 0.95, 1.0];
/// Half of the cuts are made within this number of moments after an acknowledgement.
const SHORTLY: usize = 12;
/// The maximum time until the tracer writes its last line.
const TRACE_TIMEOUT: Duration = Duration::from_secs(30);
/// The time to live of garbage in every other recording.
const KEPT_SECONDS: &str = "1";
/// With a given key, the loss of its file would not show.
const KEY: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

/// Cuts the power at random instants of traced work. After each start, nothing that was acknowledged before may be
/// missing. Reports each cut to `tell`.
///
/// # Panics
/// If anything is missing or wrong.
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
            // A failure only says what is wrong, so report the cut first.
            tell(format!("cut {done}, seed {seed}: {}", cut.what));
            cut.check(recording.builder.clone()).await;
        }
    }
}

/// The syncs that a server could leave out without being detected. The checks are worthless unless there are none.
///
/// # Panics
/// If the work itself fails.
pub async fn unnoticed_syncs(builder: LongshoreBuilder, options: PowerOptions) -> Vec<Syncs> {
    let builder = builder.variable("LONGSHORE_ENCRYPTION_KEY", KEY);
    let recording = Recording::make(&builder, options).await;
    let mut unnoticed = Vec::new();
    for &syncs in Syncs::ALL {
        if !recording.notices(options, syncs).await {
            unnoticed.push(syncs);
        }
    }
    unnoticed
}

/// The traced work of a server.
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
        // Every other recording collects garbage, so that content is deleted and pushed again. Untagged parts are not
        // kept there.
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

    /// Whether a cut reveals that the server leaves out these syncs.
    async fn notices(&self, options: PowerOptions, without: Syncs) -> bool {
        for cut in self.cuts(options.cuts, options.seed, Some(without)) {
            let what = cut.what.clone();
            let checked = AssertUnwindSafe(cut.check(self.builder.clone())).catch_unwind().await;
            if checked.is_err() {
                println!("detected without syncs of {without:?}: {what}");
                return true;
            }
        }
        false
    }

    /// The states after power cuts at random instants, in order. If syncs are left out, the last cut is after all
    /// work and loses everything that was not synced.
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
                _ => *LUCK.choose(&mut random).expect("the list is not empty"),
            };
            let folder = TempDir::new().expect("a temporary folder can be made");
            replay.disk.after_power_cut(folder.path(), luck, &mut random).expect("files can be written");
            let acknowledged = &replay.acknowledged;
            let what = format!(
                "power cut at {instant} of {}, after {} acknowledgements; {:.0} % of unsynced changes survive",
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

    /// Random instants, half of them shortly after an acknowledgement, where a late sync shows.
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

/// The files after a power cut.
struct Cut {
    what: String,
    folder: TempDir,
    /// `None` if no client had started: then the server only has to start.
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
    // Columns: a short number is followed by more than one space.
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
