//! Thousands of partitions on three brokers: how long until all of them can be used, until others lead what a
//! killed broker led, and until it is back; and the memory that they take.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use campaign::Program;
use serde::Serialize;

use super::{Cluster, Product, Spec};
use crate::history::{Historian, Said};
use crate::process::{Process, memory, until};

/// How many partitions one topic has: Kafka's controller refuses ten thousand in one request.
const PER_TOPIC: usize = 1000;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(180);
/// Pause between trials. For minutes ext4 gives out no inode that was just deleted, and walks past each: the next
/// trial's files take many times as long. A fresh file system for each (`TMPDIR`) has nothing of it.
pub const REST: Duration = Duration::from_secs(45);
/// How long the brokers are left alone before one is killed.
const CALM: Duration = Duration::from_secs(5);

/// What one trial showed.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// What was tried.
    pub commit: String,
    /// Partitions, each with three replicas.
    pub partitions: usize,
    /// From the first request to create a topic until each partition had acknowledged a record, in seconds.
    pub usable_s: f64,
    /// Then one record more to each partition, in seconds.
    pub again_s: f64,
    /// How many the killed broker led.
    pub led: usize,
    /// Whether it was the active controller.
    pub was_controller: bool,
    /// From the kill until a broker that was left knew another leader for each of them, in seconds.
    pub moved_s: f64,
    /// From the kill until each partition had acknowledged a record that was sent after it, in seconds.
    pub acknowledged_s: f64,
    /// From the start of its process until it served again, in seconds.
    pub ready_s: f64,
    /// The same, until all replicas were in sync.
    pub in_sync_s: f64,
    /// Resident memory of each broker in the end, in MiB.
    pub resident_mib: Vec<u64>,
    /// The most that each had, in MiB; that of the killed one since its restart.
    pub peak_mib: Vec<u64>,
}

/// Three brokers, topics, and a client that sends to each partition.
struct Stage {
    cluster: Cluster,
    topics: Vec<String>,
    producer: Process<Said>,
    /// How many records each partition was sent.
    rounds: u64,
}

/// One trial with about so many partitions: whole topics of a thousand.
///
/// # Errors
/// When something takes too long, or the client gives up on a record.
pub fn trial(product: Product, partitions: usize, kills_controller: bool) -> Result<Shown> {
    let (network, settings, prefix, machines) = (None, Vec::new(), Vec::new(), None);
    let cluster = Cluster::launch(Spec { count: 3, product, network, settings, prefix, machines })?;
    let topics: Vec<String> =
        (0..partitions.div_ceil(PER_TOPIC)).map(|number| format!("orders-{number}")).collect();
    let each = i32::try_from(PER_TOPIC)?;
    let historian = Historian::new(cluster.bootstrap(), &topics.join(","), each)?;
    let begun = Instant::now();
    for topic in &topics {
        cluster.create_topic(topic, each)?;
    }
    let producer = historian.send_to_each()?;
    let mut stage = Stage { cluster, topics, producer, rounds: 0 };
    stage.send_to_each()?;
    let usable = begun.elapsed();
    let begun = Instant::now();
    stage.send_to_each()?;
    let again = begun.elapsed();
    let shown = stage.kill_and_start(kills_controller);
    let (led, times) = shown.with_context(|| stage.cluster.notes())?;
    let [moved_s, acknowledged_s, ready_s, in_sync_s] = times.map(|time| time.as_secs_f64());
    let mib = |line: &str| -> Result<Vec<u64>> {
        let all = stage.cluster.processes().into_iter();
        all.map(|id| Ok(memory(id, line)? >> 20)).collect()
    };
    Ok(Shown {
        commit: Program::Broker.commit()?,
        partitions: stage.count(),
        usable_s: usable.as_secs_f64(),
        again_s: again.as_secs_f64(),
        led,
        was_controller: kills_controller,
        moved_s,
        acknowledged_s,
        ready_s,
        in_sync_s,
        resident_mib: mib("VmRSS")?,
        peak_mib: mib("VmHWM")?,
    })
}

impl Stage {
    fn count(&self) -> usize {
        self.topics.len() * PER_TOPIC
    }

    /// Sends a record to each partition, and waits until all are acknowledged.
    fn send_to_each(&mut self) -> Result<()> {
        self.begin_round()?;
        self.end_round()
    }

    fn begin_round(&mut self) -> Result<()> {
        self.rounds += 1;
        self.producer.write("again")
    }

    fn end_round(&mut self) -> Result<()> {
        let round = self.rounds - 1;
        let mut acked = BTreeSet::new();
        let all = until("every partition has acknowledged", LIMIT, || {
            for heard in self.producer.take() {
                match heard.event {
                    Said::Acked { partition, number, .. } if number == round => {
                        acked.insert(partition);
                    }
                    Said::Failed { partition, error, .. } => {
                        anyhow::bail!("partition {partition}: {error}")
                    }
                    _ => {}
                }
            }
            Ok((acked.len() == self.count()).then_some(()))
        });
        all.with_context(|| format!("{}{}", self.producer.notes(), self.cluster.notes()))
    }

    /// Kills a broker and starts it again: how many partitions it led, and the four times.
    fn kill_and_start(&mut self, kills_controller: bool) -> Result<(usize, [Duration; 4])> {
        for topic in &self.topics {
            self.cluster.settle(topic)?;
        }
        std::thread::sleep(CALM);
        let controller = self.cluster.controller()?;
        let ids = self.cluster.ids().into_iter();
        let (mut actives, mut others): (Vec<i32>, Vec<i32>) = ids.partition(|id| *id == controller);
        let killed = if kills_controller { &mut actives } else { &mut others };
        let victim = killed.pop().context("there is such a broker")?;
        let witness = actives.into_iter().chain(others).next().context("another is left")?;
        let places = |topic: &String| self.cluster.places_by(witness, topic);
        let before = self.topics.iter().map(places).collect::<Result<Vec<_>>>()?;
        let led = before.iter().flatten().filter(|place| place.leader == victim).count();
        ensure!(led > 0, "broker {victim} leads nothing");

        let killed = self.cluster.kill(victim)?;
        self.begin_round()?;
        for topic in &self.topics {
            until("others lead", LIMIT, || {
                let places = self.cluster.places_by(witness, topic)?;
                let is_led = |id: i32| id >= 0 && id != victim;
                Ok(places.iter().all(|place| is_led(place.leader)).then_some(()))
            })?;
        }
        let moved = killed.elapsed();
        self.end_round()?;
        let acknowledged = killed.elapsed();

        let started = Instant::now();
        self.cluster.start_broker(victim)?;
        self.cluster.wait_until_ready(victim)?;
        let ready = started.elapsed();
        for topic in &self.topics {
            self.cluster.settle(topic)?;
        }
        let in_sync = started.elapsed();
        self.send_to_each()?;
        Ok((led, [moved, acknowledged, ready, in_sync]))
    }
}
