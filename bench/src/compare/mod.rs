//! Klamm and Apache Kafka side by side, in one run, with the floor beside them.
//!
//! Both run all the time in memory groups of equal size and take turns in the order ABBA: the same
//! generator, the same fixed bytes, each record verified when it is read back. What Kafka's virtual
//! machine still has to compile is paid for by a warm-up. A pair during which others used more than a
//! twentieth of the machine does not count (a tenth with three brokers each: Kafka's use that much while they rest),
//! and fewer than five pairs give no ratio.

mod cgroup;
mod cluster;
mod peer;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::kafka::{KAFKA_VERSION, Kafka};
use serde::Serialize;

use self::cluster::Trio;
use self::peer::Peer;
use self::verdict::{FOREIGN_MAX, PAIRS_MIN, median};
use crate::latency::{self, Measured};
use crate::load::{self, FetchArgs, Fetched, ProduceArgs, Produced, Target};
use crate::server::{Cost, resident_bytes};

const GB: u64 = 1_000_000_000;
const MIB: f64 = 1_048_576.0;
/// What a virtual machine needs until its code is compiled: its cost fell for 5 GB.
const WARM_UP_BYTES: u64 = 5 * GB;
const RECORD_BYTES: usize = 1024;
/// How long single records are sent.
const SMALL_SECONDS: u64 = 8;
/// How often a start is timed.
const STARTS: usize = 5;
/// How long a broker rests until its idle memory is taken.
const REST: Duration = Duration::from_secs(10);
/// How long deleted files take to be gone, in both.
const DELETE_DELAY: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The `klamm` binary, built for release.
    #[arg(long)]
    klamm: PathBuf,
    /// Pairs that must count, per mode.
    #[arg(long, default_value_t = PAIRS_MIN)]
    pairs: usize,
    /// Bytes of values per round.
    #[arg(long, default_value_t = 2 * GB)]
    bytes: u64,
    /// Memory of each contestant, its page cache included.
    #[arg(long, default_value_t = 4 << 30)]
    memory: u64,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// Bytes on disk at a restart after kill -9.
    #[arg(long, default_value_t = 12 * GB)]
    restart_bytes: u64,
    /// Only these parts: start, replicated, fsync, restart, cluster.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also write each round there, as a line of JSON.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// When a record is acknowledged, and the settings that say so.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    klamm: &'static str,
    kafka: Option<&'static str>,
    /// Single records per second: what both can carry.
    rate: u64,
    /// A pair counts while others, the one that waits for its turn among them, took at most this part of the machine.
    foreign_max: f64,
}

/// What can be compared. The last one is three brokers each: three replicas, of which two must be in sync.
const PARTS: [&str; 5] = ["start", "replicated", "fsync", "restart", "cluster"];

/// 10 MB/s of 1 KiB records, and a tenth of that where each is synced.
const MODES: [Mode; 2] = [
    Mode {
        name: "replicated",
        klamm: "klamm.durability=replicated",
        kafka: None,
        rate: 9_765,
        foreign_max: FOREIGN_MAX,
    },
    Mode {
        name: "fsync",
        klamm: "klamm.durability=fsync",
        kafka: Some("flush.messages=1"),
        rate: 976,
        foreign_max: FOREIGN_MAX,
    },
];

/// Three replicas at the defaults of both.
const REPLICAS: Mode = Mode {
    name: "cluster",
    klamm: "klamm.durability=replicated",
    kafka: None,
    rate: 9_765,
    foreign_max: 2.0 * FOREIGN_MAX,
};

/// Who is compared: brokers that run.
trait Contestant {
    /// In tables.
    fn name(&self) -> &'static str;

    /// A topic of theirs.
    fn target(&self, topic: &str, partitions: i32) -> Result<Target>;
}

impl Contestant for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn target(&self, topic: &str, partitions: i32) -> Result<Target> {
        Peer::target(self, topic, partitions)
    }
}

/// What one contestant did in one turn.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    mode: &'static str,
    peer: &'static str,
    produce: Produced,
    fetch: Fetched,
    /// Single records, a request each, read by nobody meanwhile.
    small: Produced,
    latency: Measured,
}

impl Round {
    /// The largest part of the machine that others used during one of its stretches.
    fn foreign_share(&self) -> f64 {
        self.costs().map(Cost::foreign_share).fold(0.0, f64::max)
    }

    fn costs(&self) -> impl Iterator<Item = &Cost> {
        [&self.produce.cost, &self.fetch.cost, &self.small.cost, &self.latency.cost].into_iter()
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for part in &args.only {
        ensure!(PARTS.contains(&part.as_str()), "no part {part}; there are {}", PARTS.join(", "));
    }
    let jars = Kafka::find()?.context("the comparison needs java and mvn")?;
    let scratch = tempfile::Builder::new().prefix("klamm-bench-").tempdir()?;
    let folder = |name: &str| scratch.path().join(name);
    println!(
        "klamm against Apache Kafka {KAFKA_VERSION}, {} MiB each, {} partitions, {} GB per round",
        args.memory >> 20,
        args.partitions,
        args.bytes as f64 / GB as f64
    );
    let wanted = |part: &str| args.only.is_empty() || args.only.iter().any(|one| one == part);
    if wanted("start") {
        starts(args, &jars, &folder("starts"))?;
    }
    let mut klamm = Peer::klamm(&args.klamm, &folder("klamm"), args.memory)?;
    let mut kafka = Peer::kafka(&jars, &folder("kafka"), args.memory)?;
    if wanted("replicated") || wanted("fsync") {
        for peer in [&mut klamm, &mut kafka] {
            peer.start_and_write("first", 1)?;
            std::thread::sleep(REST);
            let resident = resident_bytes(peer.pid()?)? as f64 / MIB;
            println!("{}: {resident:.1} MiB idle", peer.name);
            warm_up(args, peer).with_context(|| format!("{}'s warm-up", peer.name))?;
        }
        for mode in MODES.iter().filter(|mode| wanted(mode.name)) {
            let pairs = pairs(args, *mode, &klamm, &kafka)?;
            println!("\n### {}\n\n{}", mode.name, verdict::table(&pairs)?);
        }
        klamm.kill()?;
        kafka.kill()?;
        if wanted("replicated") {
            floor(args, &folder("floor"))?;
        }
    }
    if wanted("restart") {
        for peer in [&mut klamm, &mut kafka] {
            restart(args, peer)?;
        }
    }
    drop((klamm, kafka));
    if wanted("cluster") { clusters(args) } else { Ok(()) }
}

/// Three brokers each.
fn clusters(args: &Args) -> Result<()> {
    let klamm = Trio::klamm(&args.klamm, args.memory)?;
    let kafka = Trio::kafka(args.memory)?;
    for peer in [&klamm, &kafka] {
        warm_up(args, peer).with_context(|| format!("{}'s warm-up", peer.name()))?;
    }
    let pairs = pairs(args, REPLICAS, &klamm, &kafka)?;
    println!("\n### cluster\n\n{}", verdict::table(&pairs)?);
    Ok(())
}

/// From nothing to the first acknowledged record, each on an empty folder.
fn starts(args: &Args, jars: &Kafka, folder: &Path) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let mut klamm = Peer::klamm(&args.klamm, folder, args.memory)?;
        ours.push(klamm.start_and_write("first", 1)?.as_secs_f64());
        klamm.erase()?;
        let mut kafka = Peer::kafka(jars, folder, args.memory)?;
        theirs.push(kafka.start_and_write("first", 1)?.as_secs_f64());
        kafka.erase()?;
    }
    let (ours, theirs) = (median(ours.into_iter()), median(theirs.into_iter()));
    println!("start to first acknowledgement: klamm {ours:.3} s, kafka {theirs:.3} s");
    Ok(())
}

fn warm_up(args: &Args, peer: &impl Contestant) -> Result<()> {
    let target = peer.target("warm-up", args.partitions)?;
    load::prepare_topic(&target, &settings(None))?;
    let produced = load::produce(&bulk(&target, WARM_UP_BYTES))?;
    load::fetch(&whole(&target, produced.records))?;
    load::delete_topic(&target)?;
    std::thread::sleep(DELETE_DELAY);
    Ok(())
}

/// Takes turns until enough pairs count.
fn pairs<C: Contestant>(
    args: &Args,
    mode: Mode,
    klamm: &C,
    kafka: &C,
) -> Result<Vec<(Round, Round)>> {
    let turn = |peer: &C, setting| {
        round(args, mode, peer, setting).with_context(|| format!("{}'s turn", peer.name()))
    };
    let mut counted = Vec::new();
    let attempts = args.pairs * 2;
    for number in 0..attempts {
        let (ours, theirs) = if number % 2 == 0 {
            let ours = turn(klamm, mode.klamm.into())?;
            (ours, turn(kafka, mode.kafka)?)
        } else {
            let theirs = turn(kafka, mode.kafka)?;
            (turn(klamm, mode.klamm.into())?, theirs)
        };
        let foreign = ours.foreign_share().max(theirs.foreign_share());
        for round in [&ours, &theirs] {
            keep(args, round)?;
        }
        if foreign > mode.foreign_max {
            println!("pair {number} does not count: others used {:.1} %", foreign * 100.0);
            continue;
        }
        counted.push((ours, theirs));
        println!("{} pair {} of {}", mode.name, counted.len(), args.pairs);
        if counted.len() == args.pairs {
            return Ok(counted);
        }
    }
    anyhow::bail!(
        "{}: {} of {attempts} pairs count, {} are asked for: the machine is not quiet, no ratio",
        mode.name,
        counted.len(),
        args.pairs
    )
}

/// One turn: bulk in, all of it out again and verified, single records; then the topics are gone.
fn round(args: &Args, mode: Mode, peer: &impl Contestant, setting: Option<&str>) -> Result<Round> {
    let bulk_target = peer.target("bulk", args.partitions)?;
    load::prepare_topic(&bulk_target, &settings(setting))?;
    let produce = load::produce(&bulk(&bulk_target, args.bytes))?;
    let fetch = load::fetch(&whole(&bulk_target, produce.records))?;
    let small_target = peer.target("small", args.partitions)?;
    load::prepare_topic(&small_target, &settings(setting))?;
    let small = load::produce(&ProduceArgs {
        batch_records: 1,
        rate: Some(mode.rate),
        ..bulk(&small_target, mode.rate * RECORD_BYTES as u64 * SMALL_SECONDS)
    })?;
    load::fetch(&whole(&small_target, small.records))?;
    let latency_target = peer.target("latency", args.partitions)?;
    load::prepare_topic(&latency_target, &settings(setting))?;
    let latency = latency::run(&latency::Args {
        target: latency_target.clone(),
        rate: mode.rate,
        seconds: 8,
        warm_up: 2,
        record_bytes: RECORD_BYTES,
        // A millisecond's worth.
        batch_records: mode.rate.div_ceil(1_000),
    })?;
    load::delete_topic(&small_target)?;
    load::delete_topic(&latency_target)?;
    // Just before the other's turn, so that it gets the pages.
    load::delete_topic(&bulk_target)?;
    std::thread::sleep(DELETE_DELAY);
    Ok(Round { mode: mode.name, peer: peer.name(), produce, fetch, small, latency })
}

fn floor(args: &Args, folder: &Path) -> Result<()> {
    let mut costs = Vec::new();
    for number in 0..=args.pairs {
        let mut floor = Peer::floor(folder, args.memory)?;
        floor.start()?;
        let target = floor.target("bench", args.partitions)?;
        load::wait_until_open(&target)?;
        let produced = load::produce(&bulk(&target, args.bytes))?;
        floor.erase()?;
        // The first one finds no pages to use again.
        if number > 0 && produced.cost.foreign_share() <= FOREIGN_MAX {
            costs.push(produced.cost.server_cpu() * GB as f64 / produced.bytes as f64);
        }
    }
    let count = costs.len();
    println!("floor, produce: {:.3} s/GB (median of {count})", median(costs.into_iter()));
    Ok(())
}

/// Killed with much on disk: how long until every partition takes records again, and is all still there.
fn restart(args: &Args, peer: &mut Peer) -> Result<()> {
    peer.start_and_write("first", 1)?;
    let target = peer.target("large", args.partitions)?;
    load::prepare_topic(&target, &settings(None))?;
    let produced = load::produce(&bulk(&target, args.restart_bytes))?;
    peer.kill()?;
    let took = peer.start_and_write("large", args.partitions)?.as_secs_f64();
    let added = u64::from(args.partitions.unsigned_abs());
    load::fetch(&whole(&peer.target("large", args.partitions)?, produced.records + added))?;
    println!("{}: {took:.2} s from a start after kill -9 until all partitions write", peer.name);
    peer.erase()
}

fn settings(one: Option<&str>) -> Vec<String> {
    // Deleted at once, so that both give their pages back before the next turn.
    ["file.delete.delay.ms=1000"].into_iter().chain(one).map(str::to_owned).collect()
}

fn bulk(target: &Target, bytes: u64) -> ProduceArgs {
    let target = target.clone();
    ProduceArgs {
        target,
        bytes,
        batch_records: 64,
        record_bytes: RECORD_BYTES,
        inflight: 5,
        connections: 4,
        rate: None,
    }
}

fn whole(target: &Target, records: u64) -> FetchArgs {
    FetchArgs { target: target.clone(), records, verify: true, max_bytes: 16 << 20 }
}

fn keep(args: &Args, round: &Round) -> Result<()> {
    let Some(path) = &args.out else { return Ok(()) };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    std::io::Write::write_all(&mut file, (serde_json::to_string(round)? + "\n").as_bytes())?;
    Ok(())
}
