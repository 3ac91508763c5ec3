//! Decisions about brokers: registration, fencing, blocks of producer ids.

use std::sync::Arc;

use config::Listener;

use crate::ids::BrokerId;

use super::controller::{Controller, Decision};
use super::elect;
use super::image::{Broker, Partition};
use super::record::Record;

/// How many producer ids a broker gets at once.
const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// A broker asks to be part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: BrokerId,
    /// Chosen at the start of its process.
    pub incarnation: wire::Uuid,
    /// Where it is reached.
    pub listeners: Vec<Listener>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Whether it must catch up before it may lead. A single broker need not.
    pub fenced: bool,
    /// Whether another process with the same id was heard of within its session.
    pub predecessor_is_alive: bool,
}

/// Why a broker may not register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterBrokerError {
    /// Two processes with one id.
    #[error("broker {id} is already registered by another process that is alive")]
    Duplicate {
        /// The id.
        id: BrokerId,
    },
    /// Nobody could reach it.
    #[error("broker {id} names no listener")]
    NoListeners {
        /// The id.
        id: BrokerId,
    },
}

/// The broker is not registered, or not under this epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broker {id} is not registered with epoch {epoch}")]
pub struct UnknownBroker {
    /// The id.
    pub id: BrokerId,
    /// The epoch asked for.
    pub epoch: i64,
}

/// Producer ids that one broker may give away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first one.
    pub first: i64,
    /// How many.
    pub len: i64,
}

/// The metadata belong to another cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "these metadata belong to the cluster {found}, not to {asked}; hint: klamm.cluster.id, log.dirs"
)]
pub struct OtherCluster {
    /// The id that the metadata have.
    pub found: Arc<str>,
    /// The id asked for.
    pub asked: Arc<str>,
}

impl Controller<'_> {
    /// Gives a new cluster its id, and checks that an old one has it.
    pub fn name_cluster(&self, cluster_id: &str) -> Decision<Result<(), OtherCluster>> {
        let asked: Arc<str> = cluster_id.into();
        match self.image.cluster_id() {
            None => {
                Decision { records: vec![Record::Cluster { cluster_id: asked }], reply: Ok(()) }
            }
            Some(found) if *found == asked => Decision::nothing(Ok(())),
            Some(found) => Decision::nothing(Err(OtherCluster { found: found.clone(), asked })),
        }
    }

    /// Registers a broker and answers its epoch. A broker that returns under a new incarnation starts a
    /// new leader epoch in every partition that it leads: its log may have lost its tail meanwhile.
    pub fn register_broker(
        &self,
        registration: Registration,
    ) -> Decision<Result<i64, RegisterBrokerError>> {
        let Registration { id, incarnation, listeners, rack, fenced, predecessor_is_alive } =
            registration;
        if listeners.is_empty() {
            return Decision::nothing(Err(RegisterBrokerError::NoListeners { id }));
        }
        let predecessor = self.image.broker(id);
        let is_new_process = predecessor.is_none_or(|old| old.incarnation != incarnation);
        if predecessor.is_some() && is_new_process && predecessor_is_alive {
            return Decision::nothing(Err(RegisterBrokerError::Duplicate { id }));
        }
        let epoch = match predecessor {
            Some(old) if !is_new_process => old.epoch,
            _ => 1 + self.image.brokers().map(|(_, broker)| broker.epoch).max().unwrap_or(0),
        };
        let broker = Broker { epoch, incarnation, listeners, rack, fenced };
        if predecessor.is_some_and(|old| **old == broker) {
            return Decision::nothing(Ok(epoch));
        }
        let mut records = vec![Record::RegisterBroker { id, broker }];
        records.extend(self.each_partition(|partition| match (fenced, is_new_process) {
            (true, _) => elect::after_fence(partition, id, |other| self.is_live(other)),
            (false, true) => elect::after_restart(partition, id),
            (false, false) => elect::after_return(partition, id),
        }));
        Decision { records, reply: Ok(epoch) }
    }

    /// Fences a broker, whose partitions get other leaders, or unfences it.
    pub fn fence_broker(
        &self,
        id: BrokerId,
        epoch: i64,
        fenced: bool,
    ) -> Decision<Result<(), UnknownBroker>> {
        let broker = match self.image.broker(id) {
            Some(broker) if broker.epoch == epoch => broker,
            _ => return Decision::nothing(Err(UnknownBroker { id, epoch })),
        };
        if broker.fenced == fenced {
            return Decision::nothing(Ok(()));
        }
        let mut records = vec![Record::FenceBroker { id, epoch, fenced }];
        records.extend(self.each_partition(|partition| {
            if fenced {
                elect::after_fence(partition, id, |other| self.is_live(other))
            } else {
                elect::after_return(partition, id)
            }
        }));
        Decision { records, reply: Ok(()) }
    }

    /// Gives away the next producer ids.
    ///
    /// # Panics
    /// When all 2^63 ids are used up.
    pub fn allocate_producer_ids(&self) -> Decision<ProducerIdBlock> {
        let first = self.image.next_producer_id();
        let next = first.checked_add(PRODUCER_IDS_PER_BLOCK).expect("ids outlast the hardware");
        Decision {
            records: vec![Record::ProducerIds { next }],
            reply: ProducerIdBlock { first, len: PRODUCER_IDS_PER_BLOCK },
        }
    }

    /// Whether a broker may lead, before this decision.
    pub(super) fn is_live(&self, id: BrokerId) -> bool {
        self.image.broker(id).is_some_and(|broker| !broker.fenced)
    }

    /// One record for each partition that `change` changes.
    fn each_partition(&self, change: impl Fn(&Partition) -> Option<Partition>) -> Vec<Record> {
        let mut records = Vec::new();
        for topic in self.image.topics() {
            records.extend((0..).zip(&topic.partitions).filter_map(|(index, partition)| {
                let partition = change(partition)?;
                Some(Record::Partition { topic_id: topic.id, index, partition })
            }));
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::{RegisterBrokerError, Registration, UnknownBroker};
    use crate::ids::{BrokerId, LeaderEpoch};
    use crate::metadata::invariants_test::{Cluster, registration};

    #[test]
    fn a_cluster_keeps_its_id() {
        let mut cluster = Cluster::of(0);
        assert_eq!(cluster.run(|c| c.name_cluster("one")), Ok(()));
        assert_eq!(cluster.run(|c| c.name_cluster("one")), Ok(()));
        let error = cluster.run(|c| c.name_cluster("two")).unwrap_err().to_string();
        assert!(error.starts_with("these metadata belong to the cluster one, not to two"));
        assert_eq!(cluster.image.cluster_id().map(AsRef::as_ref), Some("one"));
    }

    #[test]
    fn a_restart_begins_new_leader_epochs_and_a_repeated_request_does_not() {
        let mut cluster = Cluster::of(1);
        cluster.create("t", 2, 1);
        let epoch = |cluster: &Cluster| cluster.image.partition("t", 1).unwrap().leader_epoch;
        assert_eq!(cluster.run(|c| c.register_broker(registration(1, 1))), Ok(1));
        assert_eq!(epoch(&cluster), LeaderEpoch(0));
        assert_eq!(cluster.run(|c| c.register_broker(registration(1, 2))), Ok(2));
        assert_eq!(epoch(&cluster), LeaderEpoch(1));
        let moved = Registration { rack: Some("r".into()), ..registration(1, 2) };
        assert_eq!(cluster.run(|c| c.register_broker(moved)), Ok(2));
        assert_eq!(epoch(&cluster), LeaderEpoch(1));
    }

    #[test]
    fn two_processes_with_one_id_are_told_apart() {
        let mut cluster = Cluster::of(1);
        let second = Registration { predecessor_is_alive: true, ..registration(1, 2) };
        assert_eq!(
            cluster.run(|c| c.register_broker(second)),
            Err(RegisterBrokerError::Duplicate { id: BrokerId(1) })
        );
        let deaf = Registration { listeners: Vec::new(), ..registration(2, 2) };
        assert_eq!(
            cluster.run(|c| c.register_broker(deaf)),
            Err(RegisterBrokerError::NoListeners { id: BrokerId(2) })
        );
    }

    #[test]
    fn leadership_leaves_a_fenced_broker_and_returns_to_the_last_in_sync() {
        let mut cluster = Cluster::of(2);
        cluster.create("t", 1, 2);
        let leader = |cluster: &Cluster| {
            let partition = cluster.image.partition("t", 0).unwrap();
            (partition.leader.map(|id| id.0), partition.leader_epoch.0)
        };
        let first = leader(&cluster).0.unwrap();
        let second = 3 - first;
        let epoch = |cluster: &Cluster, id| cluster.image.broker(BrokerId(id)).unwrap().epoch;
        let mut fence = |id: i32, fenced: bool| {
            let epoch = epoch(&cluster, id);
            cluster.run(|c| c.fence_broker(BrokerId(id), epoch, fenced)).unwrap();
            leader(&cluster)
        };
        assert_eq!(fence(first, true), (Some(second), 1));
        assert_eq!(fence(second, true), (None, 2));
        assert_eq!(fence(first, false), (None, 2), "it has missed what the second had");
        assert_eq!(fence(second, false), (Some(second), 3));
        assert_eq!(
            cluster.run(|c| c.fence_broker(BrokerId(1), 99, true)),
            Err(UnknownBroker { id: BrokerId(1), epoch: 99 })
        );
    }
}
