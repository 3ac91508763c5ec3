//! The replicas at the end: who is in sync, and what lies on each disk.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use client::metadata::ClusterMetadata;
use world::World;
use world::simulated::{HostId, Simulation};

use super::{PAUSE, Stage, TOPICS, moves, partition, read};
use crate::history::{Event, Partition};

/// How long replicas may take to get in sync once nothing fails any more.
const IN_SYNC_WITHIN: Duration = Duration::from_secs(20);
/// How long they may take until they hold the same once nobody writes. A group whose last member has died
/// writes once more when it notices.
const EQUAL_WITHIN: Duration = Duration::from_secs(15);

/// Records who is in sync, and what each disk holds.
pub(super) async fn compare(
    world: &World,
    stage: &Stage,
    simulation: &Simulation,
    hosts: &[HostId],
) {
    let placed = in_sync(world, stage).await;
    for (partition, replicas, in_sync) in &placed {
        let (partition, replicas) = (partition.clone(), replicas.clone());
        let in_sync = in_sync.clone();
        stage.record(Event::Placed { partition, replicas, in_sync });
    }
    let deadline = world.clock.tick() + EQUAL_WITHIN;
    for (partition, replicas, _) in placed {
        let copies = loop {
            let copy = |id: &i32| {
                let at = usize::try_from(*id).expect("brokers are numbered from 0");
                (*id, log(simulation, hosts[at], &partition))
            };
            let copies: Vec<(i32, Bytes)> = replicas.iter().map(copy).collect();
            if copies.iter().all(|(_, log)| *log == copies[0].1) || world.clock.tick() >= deadline {
                break copies;
            }
            world.clock.sleep(PAUSE).await;
        };
        for (broker, log) in copies {
            stage.record(Event::Copy { partition: partition.clone(), broker, log });
        }
    }
}

/// Has one broker lead what it has, and reads all of it from there: what has rotted on its disk is found.
pub(super) async fn read_at(world: &World, stage: &Stage, broker: i32) {
    for (partition, mut replicas, _) in in_sync(world, stage).await {
        let Some(at) = replicas.iter().position(|id| *id == broker) else { continue };
        replicas.swap(0, at);
        moves::place(world, stage, &partition, &replicas).await;
    }
    for (partition, ..) in in_sync(world, stage).await {
        if TOPICS.iter().all(|(topic, _)| **topic != *partition.topic) {
            read::through(world, stage, &partition).await;
        }
    }
    read::everything(world, stage).await;
}

type Placed = Vec<(Partition, Vec<i32>, Vec<i32>)>;

/// Asks until all replicas of all partitions are in sync, or the time for that is over.
async fn in_sync(world: &World, stage: &Stage) -> Placed {
    let deadline = world.clock.tick() + IN_SYNC_WITHIN;
    loop {
        // Another one each time, in case that one does not learn of it.
        let answer = stage.cluster(world, Duration::ZERO).metadata(None).await;
        if let Ok(metadata) = answer {
            let placed = placed(&metadata);
            let all = placed.iter().all(|(_, replicas, in_sync)| replicas.len() == in_sync.len());
            if all || world.clock.tick() >= deadline {
                return placed;
            }
        }
        world.clock.sleep(PAUSE).await;
    }
}

fn placed(metadata: &ClusterMetadata) -> Placed {
    let of_topic = metadata.topics.iter().flat_map(|(name, topic)| {
        let placed = topic.partitions.iter();
        placed.map(|(index, it)| (partition(name, *index), it.replicas.clone(), it.isr.clone()))
    });
    of_topic.collect()
}

/// What a disk holds of a partition.
fn log(simulation: &Simulation, host: HostId, of: &Partition) -> Bytes {
    let (disk, folder) = (simulation.disk(host), Path::new("/data").join(of.to_string()));
    let mut bytes = Vec::new();
    for (path, _) in disk.files() {
        let is_log = path.extension().is_some_and(|kind| kind == "log");
        if is_log && path.parent() == Some(folder.as_path()) {
            bytes.extend(disk.read(&path).expect("it was listed"));
        }
    }
    bytes.into()
}
