//! What a cluster goes on with whose quorum has lost its majority, and with it decisions that nobody knows.
//!
//! The majority may have given away epochs and ids that the rest has never heard of, and a broker may still
//! use one. So whoever goes on skips more of each than anybody can have used, and what was decided under
//! the lost ones is older than what is decided from here on.

use crate::ids::{BrokerId, LeaderEpoch};

use super::brokers::changed;
use super::controller::Controller;
use super::image::{Broker, Image, Partition};
use super::partitions::Change;
use super::record::Record;

/// Leader and partition epochs that are skipped: in a thousand recoveries they do not run out.
const EPOCHS_SKIPPED: i32 = 1 << 20;
/// Epochs of brokers that are skipped.
const BROKER_EPOCHS_SKIPPED: i64 = 1 << 32;
/// Producer ids that are skipped.
const PRODUCER_IDS_SKIPPED: i64 = 1 << 40;

impl Controller<'_> {
    /// What changes when this state is all that is left, and the disks of the brokers `gone` are not.
    pub fn recovered(&self, gone: &[BrokerId]) -> Vec<Record> {
        let mut records = vec![
            Record::BrokerEpochs { last: self.image.last_broker_epoch() + BROKER_EPOCHS_SKIPPED },
            Record::ProducerIds { next: self.image.next_producer_id() + PRODUCER_IDS_SKIPPED },
        ];
        if self.image.lease().is_some() {
            // Who held it may have been told that it has ended.
            records.push(Record::Lease { lease: None });
        }
        let mut image = self.image.clone();
        for id in gone {
            if let Some(broker) = image.broker(*id) {
                let fenced = changed(*id, &Broker { fenced: true, ..Broker::clone(broker) });
                image.apply(&fenced);
                records.push(fenced);
            }
        }
        for topic in image.topics() {
            let min_isr = self.min_isr(topic);
            records.extend((0..).zip(&topic.partitions).map(|(index, partition)| {
                let next = without(&image, partition, gone, min_isr);
                let partition = Partition {
                    leader_epoch: LeaderEpoch(skip(next.leader_epoch.0)),
                    partition_epoch: skip(next.partition_epoch),
                    ..next
                };
                Record::Partition { topic_id: topic.id, index, partition }
            }));
        }
        records
    }
}

/// A partition without those who are gone. Where nobody else has all committed records they keep their
/// standing: their disks may still be found.
fn without(image: &Image, partition: &Partition, gone: &[BrokerId], min_isr: usize) -> Partition {
    let mut next = partition.clone();
    for id in gone {
        let is_left = next.isr.iter().chain(&next.elr).any(|id| !gone.contains(id));
        let change = Change::of(image, &next, min_isr);
        let change = if is_left { change.loses(*id, true) } else { change.leaves(*id) };
        next = change.decide().unwrap_or(next);
    }
    next
}

fn skip(epoch: i32) -> i32 {
    epoch.checked_add(EPOCHS_SKIPPED).expect("epochs outlast the recoveries")
}

#[cfg(test)]
mod tests {
    use crate::ids::BrokerId;
    use crate::metadata::invariants_test::{Cluster, registration};
    use crate::metadata::{Decision, Lease};

    fn recover(cluster: &mut Cluster, gone: &[i32]) {
        let gone: Vec<BrokerId> = gone.iter().copied().map(BrokerId).collect();
        cluster.run(|c| Decision { records: c.recovered(&gone), reply: () });
    }

    #[test]
    fn whoever_is_left_with_the_records_leads() {
        for (before, gone, after) in [
            ("2/1,2,3/1,2,3", &[2, 3][..], "1/1,2,3/1"),
            ("2/1,2,3/2,1", &[2, 3], "1/1,2,3/1"),
            ("3/2,3,4/2,3,4", &[2, 3], "4/2,3,4/4"),
            // Nobody else has them: the disks may be found.
            ("2/2,3/2,3", &[2, 3], "-/2,3/3/2"),
            ("2/1,2,3/2,3", &[2, 3], "-/1,2,3/3/2"),
            ("4/1,4/1,4", &[2, 3], "4/1,4/1,4"),
        ] {
            let mut cluster = Cluster::of(4).with("min.insync.replicas", "2");
            cluster.place(before);
            recover(&mut cluster, gone);
            assert_eq!(cluster.shape(), after, "{before} without {gone:?}");
            assert!(cluster.image.live_brokers().all(|(id, _)| !gone.contains(&id.0)));
        }
    }

    #[test]
    fn epochs_and_ids_that_the_lost_majority_gave_away_are_not_given_again() {
        let mut cluster = Cluster::of(3);
        cluster.create("orders", 2, 3);
        cluster.run(|c| c.allocate_producer_ids());
        let lease = Lease { broker: BrokerId(1), holder: "a".into(), ttl_ms: 1000 };
        cluster.run(|c| c.acquire_lease(lease, false, &[])).unwrap();
        let before = cluster.image.clone();
        recover(&mut cluster, &[]);
        let after = &cluster.image;
        for (old, new) in [0, 1].map(|index| {
            let of = |image: &crate::metadata::Image| image.partition("orders", index).cloned();
            (of(&before).unwrap(), of(after).unwrap())
        }) {
            assert!(new.leader_epoch.0 > old.leader_epoch.0 + 1_000_000);
            assert!(new.partition_epoch > old.partition_epoch + 1_000_000);
            assert_eq!(
                (&new.leader, &new.replicas, &new.isr),
                (&old.leader, &old.replicas, &old.isr)
            );
        }
        assert!(after.next_producer_id() > before.next_producer_id() + 1_000_000_000);
        assert!(after.lease().is_none());
        let epoch = cluster.run(|c| c.register_broker(registration(4, 1))).unwrap();
        assert!(epoch > 1_000_000_000);
    }
}
