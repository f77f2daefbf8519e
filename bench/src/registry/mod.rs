//! Compares Longshore with Debian's docker-registry and with the durable floor, in one run on one machine: pushes and
//! pulls of the shared corpora on tmpfs and on disk, manifest requests, and memory. The order of the two alternates
//! each round, and the best round of each counts, since disturbances can only make a result worse. Pulls are also
//! measured over TLS, with HTTP/1.1 and HTTP/2; pushes are not, since they are limited by hashing and the disk.

mod client;
mod corpus;
mod floor;
mod peer;
mod table;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::latency::Latencies;
use client::{Client, JOBS, Protocol};
use corpus::Corpus;
use peer::{Kind, Peer, Setting};
use table::{Row, Target, Unit};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folder that contains corpus/corpus.py
    #[arg(long, env = "LONGSHORE_SHARED")]
    shared: Option<PathBuf>,
    /// Factor for the sizes of layers; the targets are valid for 1
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Number of times that each measurement is repeated
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Folder on disk for the corpora and, in the runs on disk, for the data of the registries
    #[arg(long, default_value = "target/bench")]
    disk: PathBuf,
    /// Folder on tmpfs
    #[arg(long, default_value = "/dev/shm")]
    tmpfs: PathBuf,
    /// Measure only one part
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

/// The parts of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Pushes, pulls and manifests over plain HTTP, on tmpfs and on disk
    Plain,
    /// Pulls over TLS
    Tls,
    /// Memory when idle and while a large blob is transferred
    Memory,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

/// The scale of the blob for measuring memory, relative to that of the corpus `bigblob` (2 GB).
const MEMORY_SCALE: f64 = 2.5;
/// The number of manifest requests in each round.
const MANIFESTS: usize = 5000;
/// The number of concurrent pulls.
const PULLS: usize = 6;
/// The number of times that each blob is pulled.
const PULLED: usize = 3;
/// The delay after starting a server before its idle memory is read.
const SETTLED: Duration = Duration::from_secs(3);
const MIB: u64 = 1024 * 1024;

/// Runs the benchmark. Returns whether all targets were met.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let shared = options
        .shared
        .as_deref()
        .context("LONGSHORE_SHARED is not set; it must name the folder that contains corpus/corpus.py")?;
    std::fs::create_dir_all(&options.disk)?;
    let disk = std::path::absolute(&options.disk)?;
    let load =
        |name: &str, scale: f64| Corpus::load(shared, name, scale, &disk.join("corpora")).map(Arc::new);
    let mut rows = Vec::new();
    for name in ["shared", "bigblob"] {
        let corpus = load(name, options.scale)?;
        let tmpfs = Place { binary, medium: "tmpfs", folder: &options.tmpfs, corpus: &corpus };
        if options.wants(Part::Plain) {
            let disk = Place { medium: "disk", folder: &disk, ..tmpfs };
            for place in [&tmpfs, &disk] {
                rows.extend(compare(place, options.rounds).await?);
            }
        }
        if options.wants(Part::Tls) {
            rows.extend(compare_tls(&tmpfs, options.rounds).await?);
        }
    }
    if options.wants(Part::Memory) {
        rows.extend(memory(binary, &disk, &load("bigblob", options.scale * MEMORY_SCALE)?).await?);
    }
    let met = table::print(&rows, options.json)?;
    Ok(met)
}

/// A medium and a corpus to measure with.
#[derive(Clone, Copy)]
struct Place<'a> {
    binary: &'a Path,
    medium: &'static str,
    folder: &'a Path,
    corpus: &'a Arc<Corpus>,
}

impl Place<'_> {
    fn setting(&self, tls: bool) -> Setting<'_> {
        Setting { binary: self.binary, medium: self.folder, tls }
    }
}

/// Seconds per gigabyte: elapsed time, and CPU time of the server.
#[derive(Debug, Clone, Copy)]
struct Pull {
    wall: f64,
    cpu: f64,
}

impl Pull {
    fn best(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }
}

/// The results of one peer in one round, in seconds. The best of several rounds is the minimum of each field.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// With [`JOBS`] concurrent uploads.
    push: f64,
    /// With one upload at a time.
    push_in_turn: f64,
    push_cpu: f64,
    pull: Pull,
    /// The average time per manifest at full concurrency.
    manifest: f64,
    p50: f64,
    p99: f64,
}

impl Round {
    fn best(self, other: Self) -> Self {
        Self {
            push: self.push.min(other.push),
            push_in_turn: self.push_in_turn.min(other.push_in_turn),
            push_cpu: self.push_cpu.min(other.push_cpu),
            pull: self.pull.best(other.pull),
            manifest: self.manifest.min(other.manifest),
            p50: self.p50.min(other.p50),
            p99: self.p99.min(other.p99),
        }
    }
}

async fn compare(place: &Place<'_>, rounds: usize) -> Result<Vec<Row>> {
    let (mut floor, mut ours, mut theirs) = (f64::INFINITY, None, None);
    for round in 0..rounds {
        floor = floor.min(floor::measure(place.corpus, place.folder)?.as_secs_f64());
        for kind in turns(round) {
            let measured = measure(kind, place).await?;
            eprintln!(
                "{} on {}, round {}: {kind:?} {measured:.3?}",
                place.corpus.name,
                place.medium,
                round + 1
            );
            let best = if kind == Kind::Longshore { &mut ours } else { &mut theirs };
            *best = Some(best.map_or(measured, |best: Round| best.best(measured)));
        }
    }
    let (ours, theirs) = ours.zip(theirs).context("there is at least one round")?;
    let bytes = place.corpus.bytes() as f64;
    let name = |what: &str| format!("{} on {}: {what}", place.corpus.name, place.medium);
    // On disk, both registries are limited by the speed of the disk.
    let target = if place.medium == "disk" { Target::None } else { Target::AtLeast(2.5) };
    let push = |what: &str, ours: f64, theirs: f64| {
        Row::new(name(what), Unit::BytesPerSecond, bytes / ours, bytes / theirs, target)
    };
    let mut rows = vec![
        push("push, eight blobs at once", ours.push, theirs.push),
        push("push, one blob at a time", ours.push_in_turn, theirs.push_in_turn),
        Row::new(name("push, server CPU"), Unit::Seconds, ours.push_cpu, theirs.push_cpu, Target::None),
        match place.medium {
            "disk" => {
                Row::new(name("push and the floor"), Unit::Seconds, ours.push, floor, Target::AtMost(1.2))
            }
            _ => Row::new(name("push and the floor"), Unit::Seconds, ours.push, floor, Target::None),
        },
    ];
    rows.extend(pull_rows(&name("pull"), ours.pull, theirs.pull, (1.0, 0.9)));
    if place.corpus.name == "shared" {
        rows.push(Row::new(
            name("manifests"),
            Unit::PerSecond,
            1.0 / ours.manifest,
            1.0 / theirs.manifest,
            Target::AtLeast(3.0),
        ));
        rows.push(Row::new(name("manifest, p50"), Unit::Seconds, ours.p50, theirs.p50, Target::None));
        rows.push(Row::new(name("manifest, p99"), Unit::Seconds, ours.p99, theirs.p99, Target::AtMost(1.0)));
    }
    Ok(rows)
}

/// Meeting one of the two targets, speed or CPU time, is enough.
fn pull_rows(name: &str, ours: Pull, theirs: Pull, target: (f64, f64)) -> [Row; 2] {
    Row::either([
        Row::new(
            name.to_owned(),
            Unit::BytesPerSecond,
            1e9 / ours.wall,
            1e9 / theirs.wall,
            Target::AtLeast(target.0),
        ),
        Row::new(
            format!("{name}, server CPU for 1 GB"),
            Unit::Seconds,
            ours.cpu,
            theirs.cpu,
            Target::AtMost(target.1),
        ),
    ])
}

/// Pulls over TLS, with HTTP/1.1 and with HTTP/2.
async fn compare_tls(place: &Place<'_>, rounds: usize) -> Result<Vec<Row>> {
    const BOTH: [(Protocol, &str); 2] = [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2")];
    let mut best: BTreeMap<(Kind, Protocol), Pull> = BTreeMap::new();
    for round in 0..rounds {
        for kind in turns(round) {
            let peer = Peer::start(kind, place.setting(true), place.corpus).await?;
            Client::new(&peer, Protocol::Http1, place.corpus)?.push(JOBS).await?;
            for (protocol, name) in BOTH {
                let pull = pull(&peer, &Client::new(&peer, protocol, place.corpus)?, place.corpus).await?;
                eprintln!("{} over TLS, {name}, round {}: {kind:?} {pull:.3?}", place.corpus.name, round + 1);
                best.entry((kind, protocol)).and_modify(|best| *best = best.best(pull)).or_insert(pull);
            }
        }
    }
    let rows = BOTH.iter().filter_map(|(protocol, name)| {
        let (ours, theirs) =
            (best.get(&(Kind::Longshore, *protocol))?, best.get(&(Kind::DockerRegistry, *protocol))?);
        let name = format!("{} on {}: pull over TLS, {name}", place.corpus.name, place.medium);
        Some(pull_rows(&name, *ours, *theirs, (1.5, 0.7)))
    });
    Ok(rows.flatten().collect())
}

/// The order of the peers, which alternates from round to round.
fn turns(round: usize) -> [Kind; 2] {
    match round % 2 {
        0 => [Kind::Longshore, Kind::DockerRegistry],
        _ => [Kind::DockerRegistry, Kind::Longshore],
    }
}

async fn measure(kind: Kind, place: &Place<'_>) -> Result<Round> {
    let push_in_turn = {
        let peer = Peer::start(kind, place.setting(false), place.corpus).await?;
        timed(&peer, Client::new(&peer, Protocol::Http1, place.corpus)?.push(1)).await?.0
    };
    let peer = Peer::start(kind, place.setting(false), place.corpus).await?;
    let client = Client::new(&peer, Protocol::Http1, place.corpus)?;
    let (push, push_cpu, ()) = timed(&peer, client.push(JOBS)).await?;
    let pull = pull(&peer, &client, place.corpus).await?;
    let (latencies, all) = client.manifests(MANIFESTS).await?;
    let latencies = Latencies::new(latencies);
    Ok(Round {
        push,
        push_in_turn,
        push_cpu,
        pull,
        manifest: all.as_secs_f64() / MANIFESTS as f64,
        p50: latencies.percentile(50).as_secs_f64(),
        p99: latencies.percentile(99).as_secs_f64(),
    })
}

/// Pulls all blobs of the corpus, with [`PULLS`] concurrent requests.
async fn pull(peer: &Peer, client: &Client, corpus: &Corpus) -> Result<Pull> {
    let (wall, cpu, bytes) = timed(peer, client.pull(&corpus.blobs(), PULLED, PULLS)).await?;
    let gigabytes = bytes as f64 / 1e9;
    Ok(Pull { wall: wall / gigabytes, cpu: cpu / gigabytes })
}

/// Runs `work` and returns the elapsed seconds, the seconds of CPU time of the peer, and the result.
async fn timed<T>(peer: &Peer, work: impl Future<Output = Result<T>>) -> Result<(f64, f64, T)> {
    let (before, started) = (peer.usage()?, Instant::now());
    let result = work.await?;
    Ok((started.elapsed().as_secs_f64(), peer.usage()?.cpu - before.cpu, result))
}

/// Memory when idle, while a large blob is pushed, and while it is pulled four times concurrently.
async fn memory(binary: &Path, medium: &Path, corpus: &Arc<Corpus>) -> Result<Vec<Row>> {
    let mut used = Vec::new();
    for kind in [Kind::Longshore, Kind::DockerRegistry] {
        let peer = Peer::start(kind, Setting { binary, medium, tls: false }, corpus).await?;
        let client = Client::new(&peer, Protocol::Http1, corpus)?;
        tokio::time::sleep(SETTLED).await;
        let idle = peer.usage()?.memory;
        peer.forget_peak()?;
        client.push(JOBS).await?;
        let push = peer.usage()?.peak;
        peer.forget_peak()?;
        let biggest = corpus.blobs().into_iter().max_by_key(|(_, blob)| blob.size);
        client.pull(&biggest.into_iter().collect::<Vec<_>>(), 4, 4).await?;
        used.push((idle, push.saturating_sub(idle), peer.usage()?.peak.saturating_sub(idle)));
    }
    let [(idle, push, pull), (their_idle, their_push, their_pull)] = used[..] else { return Ok(Vec::new()) };
    let row = |name: &str, ours: u64, theirs: u64, limit: u64| {
        Row::new(
            name.to_owned(),
            Unit::Bytes,
            ours as f64,
            theirs as f64,
            Target::Limit((limit * MIB) as f64),
        )
    };
    Ok(vec![
        row("memory, idle", idle, their_idle, 40),
        row("memory above idle, pushing a large blob", push, their_push, 64),
        row("memory above idle, four pulls of it", pull, their_pull, 64),
    ])
}
