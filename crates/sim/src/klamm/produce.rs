//! Producers: each writes to all partitions, one lane per partition, and records what it was promised.

use std::rc::Rc;
use std::time::Duration;

use client::{Acks, Producer, ProducerOptions, ProducerRecord};
use wire::record::Codec;
use world::World;
use world::tasks::spawn_local;

use super::{PAUSE, Stage, TOPICS, draw, draw_millis, partitions, value};
use crate::history::{Event, Partition, RecordId};

/// The longest wait between two sendings of a lane, milliseconds.
const PACE_MS: u64 = 500;
/// Longer than any fault lasts.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// A producer whose records must be there once, in order, whatever happens.
pub(super) async fn idempotent(world: World, stage: Rc<Stage>) {
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let codec = codecs[usize::try_from(draw(&world, "codec", 5)).expect("it is below 5")];
    let options =
        ProducerOptions { codec, delivery_timeout: DELIVERY_TIMEOUT, ..Default::default() };
    run(world, stage, options).await;
}

/// A producer that sends each record once. It wants to hear from the leader only, where there is no
/// other replica: what one replica alone has acknowledged dies with it.
pub(super) async fn plain(world: World, stage: Rc<Stage>) {
    let options = ProducerOptions {
        acks: if stage.brokers == 1 { Acks::Leader } else { Acks::All },
        idempotent: false,
        delivery_timeout: Duration::ZERO,
        ..Default::default()
    };
    run(world, stage, options).await;
}

async fn run(world: World, stage: Rc<Stage>, options: ProducerOptions) {
    let cluster = stage.cluster(&world, Duration::ZERO);
    let producer = Producer::new(
        cluster.clone(),
        ProducerOptions { may_create_topics: false, ..options.clone() },
    );
    for (topic, _) in TOPICS {
        while cluster.topic(topic, false).await.is_err() {
            world.clock.sleep(PAUSE).await;
        }
        for partition in partitions(topic) {
            let lane = Lane {
                world: world.clone(),
                stage: Rc::clone(&stage),
                producer: producer.clone(),
                idempotent: options.idempotent,
                partition,
            };
            spawn_local(lane.run());
        }
    }
}

/// What one producer writes to one partition.
struct Lane {
    world: World,
    stage: Rc<Stage>,
    producer: Producer,
    idempotent: bool,
    partition: Partition,
}

impl Lane {
    async fn run(self) {
        let mut next = RecordId { producer: self.stage.next_producer(), sequence: 0 };
        loop {
            self.world.clock.sleep(draw_millis(&self.world, "pace", PACE_MS)).await;
            // Without idempotence only a batch of its own has a known order.
            let count = if self.idempotent { 1 + draw(&self.world, "count", 4) } else { 1 };
            if !self.send(&mut next, count).await {
                // Nobody knows what becomes of what was given up: from here on it is another producer.
                next = RecordId { producer: self.stage.next_producer(), sequence: 0 };
                self.world.clock.sleep(PAUSE).await;
            }
        }
    }

    /// Sends some records, and waits for what becomes of them; false if one was given up.
    async fn send(&self, next: &mut RecordId, count: u64) -> bool {
        let mut deliveries = Vec::new();
        for _ in 0..count {
            let (record, partition) = (*next, self.partition.clone());
            next.sequence += 1;
            self.stage.record(Event::Sent { partition, record, idempotent: self.idempotent });
            let sent = self.producer.send(ProducerRecord {
                topic: self.partition.topic.clone(),
                partition: Some(self.partition.index),
                value: Some(value(record)),
                ..Default::default()
            });
            match sent.await {
                Ok(delivery) => deliveries.push((record, delivery)),
                Err(_) => return false,
            }
        }
        let mut all = true;
        for (record, delivery) in deliveries {
            match delivery.wait().await {
                Ok(delivered) => {
                    // Without an offset it is there, but nobody says where.
                    let Some(offset) = delivered.offset else { continue };
                    let (partition, at) = (self.partition.clone(), self.world.clock.tick());
                    self.stage.record(Event::Acked { partition, record, offset, at });
                }
                Err(_) => all = false,
            }
        }
        all
    }
}
