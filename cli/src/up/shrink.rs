//! Fewer brokers than run: those that are too many give away what they hold and lose their votes, and only then
//! they are stopped and forgotten. A step at each look; [`Left`] says what has to happen before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use client::admin::{BrokerStanding, DrainMode};
use client::{Admin, Error, TopicPartition};
use world::Disk;

use super::settings::{BROKERS, dir_of};

/// The topic that brokers make themselves, and nobody declares.
const INTERNAL: &str = "__consumer_offsets";

/// What is left before the brokers that go may be stopped, for people.
pub(super) type Left = Option<String>;

/// Has the brokers `leaving` give away what they hold, and takes their votes once they have.
pub(super) async fn empty(admin: &Admin, leaving: &BTreeSet<i32>) -> Result<Left, Error> {
    let brokers = admin.describe_brokers().await?;
    let (going, staying): (Vec<_>, Vec<_>) =
        brokers.iter().partition(|broker| leaving.contains(&broker.id));
    for broker in going.iter().filter(|broker| broker.drain != DrainMode::All) {
        admin.drain_broker(broker.id, DrainMode::All).await?;
    }
    let held: i32 = going.iter().map(|broker| broker.replicas).sum();
    if held > 0 {
        let staying: Vec<i32> = staying.iter().map(|broker| broker.id).collect();
        narrow_internal(admin, &staying).await?;
        return Ok(Some(text(leaving, held, &going)));
    }
    for broker in going.iter().filter(|broker| broker.is_voter) {
        admin.remove_voter(broker.id).await?;
    }
    Ok(None)
}

fn text(leaving: &BTreeSet<i32>, held: i32, going: &[&BrokerStanding]) -> String {
    let ids = leaving.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    let obstacles: BTreeSet<&String> = going.iter().flat_map(|broker| &broker.obstacles).collect();
    let said = format!("brokers {ids} are being drained: {held} replicas are left");
    match obstacles.first() {
        None => said,
        Some(obstacle) => format!(
            "{said}; {obstacle}; hint: topics have more replicas than brokers will be left: \
             `klamm topic set-replicas TOPIC --to COUNT`"
        ),
    }
}

/// Has the internal topic no more replicas than brokers will be left.
async fn narrow_internal(admin: &Admin, staying: &[i32]) -> Result<(), Error> {
    let metadata = admin.topics(Some(&[INTERNAL.to_owned()])).await?;
    let Some(topic) = metadata.topics.get(INTERNAL) else { return Ok(()) };
    let moving = admin.list_moves().await?;
    let mut moves = BTreeMap::new();
    for (index, partition) in &topic.partitions {
        let name = TopicPartition::new(INTERNAL, *index);
        let stays = |id: &i32| staying.contains(id) && partition.isr.contains(id);
        let kept: Vec<i32> = partition.replicas.iter().copied().filter(stays).collect();
        let is_too_wide = partition.replicas.len() > staying.len();
        if is_too_wide && !kept.is_empty() && !moving.contains_key(&name) {
            moves.insert(name, Some(kept));
        }
    }
    if !moves.is_empty() {
        admin.move_replicas(&moves).await?;
    }
    Ok(())
}

/// How many brokers have kept data below `dir`.
pub(super) fn found(disk: &dyn Disk, dir: &Path) -> i32 {
    let kept = disk.read_dir(&dir.join(BROKERS)).unwrap_or_default();
    let ids = kept.iter().filter_map(|entry| entry.name.parse::<i32>().ok());
    ids.max().unwrap_or(1)
}

/// Sets the directory of a broker aside that is stopped, empty and forgotten: one with its id that comes later
/// is another one.
pub(super) fn set_aside(disk: &dyn Disk, dir: &Path, id: i32) -> std::io::Result<()> {
    let from: PathBuf = dir_of(dir, id);
    if !disk.exists(&from) {
        return Ok(());
    }
    let to = from.with_extension("removed");
    disk.remove_dir_all(&to)?;
    disk.rename(&from, &to)?;
    disk.sync_dir(&dir.join(BROKERS))
}
