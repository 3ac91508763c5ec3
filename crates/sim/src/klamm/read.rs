//! Readers without a group: one that follows each topic, one that asks others for the leader again and
//! again, and one that reads all at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use client::admin::OffsetAt;
use client::{Admin, ConsumedRecord, Consumer, ConsumerOptions, Error, Isolation, TopicPartition};
use world::World;
use world::tasks::spawn_local;

use super::{GROUPS, PAUSE, Stage, TOPICS, draw, group, partition, partitions, topic_partition};
use crate::history::{Event, Partition};

/// How long a single question of the final reading is asked again.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn options() -> ConsumerOptions {
    ConsumerOptions {
        isolation: Isolation::Uncommitted,
        // A topic that lost its end is read on from where it ends now.
        on_out_of_range: Some(OffsetAt::Latest),
        ..ConsumerOptions::default()
    }
}

/// Reads each topic from its beginning as it grows.
pub(super) async fn follow(world: World, stage: Rc<Stage>) {
    for (topic, _) in TOPICS {
        spawn_local(follow_topic(world.clone(), Rc::clone(&stage), topic, false));
    }
}

/// The same, but now and then as somebody who has just come and knows no leader.
pub(super) async fn wander(world: World, stage: Rc<Stage>) {
    for (topic, _) in TOPICS {
        spawn_local(follow_topic(world.clone(), Rc::clone(&stage), topic, true));
    }
}

async fn follow_topic(world: World, stage: Rc<Stage>, topic: &'static str, wanders: bool) {
    let mut cluster = stage.cluster(&world, Duration::ZERO);
    let mut consumer = Consumer::new(cluster.clone(), options());
    let all = partitions(topic);
    let mut positions = all.iter().map(|partition| (topic_partition(partition), 0)).collect();
    loop {
        if wanders && draw(&world, "wander", 8) == 0 {
            cluster = stage.cluster(&world, Duration::ZERO);
            consumer = Consumer::new(cluster.clone(), options());
        }
        // Anew, so that no watermark of an earlier answer is taken for this one's.
        consumer.assign(positions);
        let asked = stage.history.borrow().now();
        let polled = consumer.poll().await;
        positions = consumer.positions();
        match polled {
            Ok(records) => {
                stage.read(&records);
                for partition in &all {
                    if let Some(offset) = consumer.end(&topic_partition(partition)) {
                        let partition = partition.clone();
                        stage.record(Event::Watermark { partition, asked, offset });
                    }
                }
            }
            Err(error) => {
                stage.damaged(&error);
                cluster.forget();
                world.clock.sleep(PAUSE).await;
            }
        }
    }
}

/// Reads all records of all partitions, and the positions of all groups.
pub(super) async fn everything(world: &World, stage: &Stage) {
    let admin = Admin::new(stage.cluster(world, PATIENCE));
    for group in GROUPS {
        while group::positions(&admin, stage, group).await.is_err() {
            world.clock.sleep(PAUSE).await;
        }
    }
    for (topic, _) in TOPICS {
        for partition in partitions(topic) {
            while let Err(error) = whole(&admin, stage, &partition).await {
                if stage.damaged(&error) {
                    // It will not get better: what is missing is what the checks find.
                    break;
                }
                world.clock.sleep(PAUSE).await;
            }
        }
    }
}

/// Reads a partition that no client of the storm reads, such as those of the groups' offsets, for what its
/// leader finds on the way.
pub(super) async fn through(world: &World, stage: &Stage, of: &Partition) {
    let admin = Admin::new(stage.cluster(world, PATIENCE));
    while let Err(error) = each(&admin, of, |_| {}).await {
        if stage.damaged(&error) {
            break;
        }
        world.clock.sleep(PAUSE).await;
    }
}

async fn whole(admin: &Admin, stage: &Stage, of: &Partition) -> Result<(), Error> {
    let mut records = Vec::new();
    let start = each(admin, of, |record| records.extend(stage.served(record))).await?;
    let partition = partition(&of.topic, of.index);
    stage.record(Event::Final { partition, start, records });
    Ok(())
}

/// Reads all that is there now; gives where it begins.
async fn each(
    admin: &Admin,
    of: &Partition,
    mut take: impl FnMut(&ConsumedRecord),
) -> Result<i64, Error> {
    let one = topic_partition(of);
    let start = bound(admin, OffsetAt::Earliest, &one).await?;
    let end = bound(admin, OffsetAt::Latest, &one).await?;
    let mut consumer = Consumer::new(admin.cluster().clone(), options());
    consumer.assign(BTreeMap::from([(one.clone(), start)]));
    while consumer.positions()[&one] < end {
        consumer.poll().await?.iter().for_each(&mut take);
    }
    Ok(start)
}

async fn bound(admin: &Admin, at: OffsetAt, of: &TopicPartition) -> Result<i64, Error> {
    let one = BTreeSet::from([of.clone()]);
    let offsets = admin.list_offsets(at, &one, Isolation::Uncommitted).await?;
    let found = offsets.get(of).map(|found| found.offset);
    // A topic that is not there is found missing by what is not read of it.
    Ok(found.unwrap_or(0))
}
