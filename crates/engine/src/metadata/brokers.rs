//! Decisions about brokers: registration, cordons, blocks of producer ids. Who of them is there is the
//! matter of `heartbeat.rs`.

use std::sync::Arc;

use config::Listener;

use crate::ids::BrokerId;

use super::controller::{Controller, Decision};
use super::features::{SupportedFeature, covers};
use super::image::{Broker, Drain, Partition, Topic};
use super::partitions::{Change, is_live};
use super::record::{Record, Resource};
use super::upkeep::loads;

/// How many producer ids a broker gets at once.
const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// A broker asks to be part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: BrokerId,
    /// Chosen at the start of its process.
    pub incarnation: wire::Uuid,
    /// Chosen when its log directory was made.
    pub directory: wire::Uuid,
    /// Where it is reached.
    pub listeners: Vec<Listener>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Which levels of which features it can go along with.
    pub features: Vec<SupportedFeature>,
    /// The epoch under which its logs were last known to be whole; -1 if they may have lost something
    /// (KIP-966): the machine has crashed, or nobody knows.
    pub previous_epoch: i64,
    /// Whether another process with the same id was heard of within its session.
    pub predecessor_is_alive: bool,
    /// Whether it is there for the quorum alone.
    pub is_controller_only: bool,
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
    /// It could not read what the others write.
    #[error(
        "broker {id} does not support level {level} of {feature}, which is finalized; hint: run a newer \
         version there"
    )]
    Feature {
        /// The id.
        id: BrokerId,
        /// The feature.
        feature: Arc<str>,
        /// The finalized level.
        level: i16,
    },
    /// Nobody could reach it.
    #[error("broker {id} names no listener")]
    NoListeners {
        /// The id.
        id: BrokerId,
    },
    /// Clients would not find what it holds.
    #[error(
        "node {id} holds replicas and would be a controller only; hint: drain it first, or give it both roles"
    )]
    HoldsReplicas {
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

/// Why a broker is not unregistered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnregisterBrokerError {
    /// It is not registered, or another process than was meant.
    #[error(transparent)]
    Unknown(#[from] UnknownBroker),
    /// It would register again, and until then tell watermarks of partitions that others lead.
    #[error("broker {id} is running; hint: stop it first")]
    Running {
        /// The broker.
        id: BrokerId,
    },
}

/// Producer ids that one broker may give away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first one.
    pub first: i64,
    /// How many.
    pub len: i64,
}

impl Controller<'_> {
    /// As [`Self::register_broker`], in the cluster `cluster_id`, which the first broker makes begin.
    pub fn register_in(
        &self,
        cluster_id: &Arc<str>,
        registration: Registration,
    ) -> Decision<Result<i64, RegisterBrokerError>> {
        let mut records = self.beginning(cluster_id);
        let mut image = self.image.clone();
        records.iter().for_each(|record| image.apply(record));
        let begun = Controller { image: &image, settings: self.settings };
        let mut decision = begun.register_broker(registration);
        if decision.reply.is_ok() {
            records.append(&mut decision.records);
            decision.records = records;
        }
        decision
    }

    /// Registers a broker, fenced, and answers its epoch. Unless it proves that its logs are what its last
    /// registration left, it loses its standing wherever somebody else has the records.
    ///
    /// The directory is locked by whoever uses it: a new process on the same one has no living
    /// predecessor.
    pub fn register_broker(
        &self,
        registration: Registration,
    ) -> Decision<Result<i64, RegisterBrokerError>> {
        let Registration { id, incarnation, directory, listeners, rack, features, .. } =
            registration;
        let is_controller_only = registration.is_controller_only;
        if listeners.is_empty() {
            return Decision::nothing(Err(RegisterBrokerError::NoListeners { id }));
        }
        if is_controller_only && loads(self.image).contains_key(&id) {
            return Decision::nothing(Err(RegisterBrokerError::HoldsReplicas { id }));
        }
        if let Some((feature, level)) =
            self.image.features().find(|(name, level)| !covers(&features, name, *level))
        {
            let feature = feature.into();
            return Decision::nothing(Err(RegisterBrokerError::Feature { id, feature, level }));
        }
        let known = self.image.broker(id).map(|broker| &**broker);
        if let Some(known) = known.filter(|known| known.incarnation == incarnation) {
            let broker = Broker {
                directory,
                listeners,
                rack,
                features,
                is_controller_only,
                ..known.clone()
            };
            let (epoch, is_news) = (broker.epoch, *known != broker);
            let records = is_news.then_some(Record::RegisterBroker { id, broker });
            return Decision { records: records.into_iter().collect(), reply: Ok(epoch) };
        }
        // Of one that was unregistered only its disk still knows that it was there before.
        let has_same_disk = match known {
            Some(known) => known.directory == directory,
            None => registration.previous_epoch >= 0,
        };
        if registration.predecessor_is_alive && known.is_some() && !has_same_disk {
            return Decision::nothing(Err(RegisterBrokerError::Duplicate { id }));
        }
        let epoch = self.image.last_broker_epoch() + 1;
        let is_whole =
            has_same_disk && known.is_some_and(|known| known.epoch == registration.previous_epoch);
        let broker = Broker {
            epoch,
            incarnation,
            directory,
            listeners,
            rack,
            features,
            fenced: true,
            in_controlled_shutdown: false,
            cordoned: known.is_some_and(|known| known.cordoned),
            is_controller_only,
        };
        let mut records =
            self.with_partitions_of(id, Record::RegisterBroker { id, broker }, |change| {
                if is_whole { change.leaves(id) } else { change.loses(id, !has_same_disk) }
            });
        if self.image.drain(id) == Some(Drain::Leadership) {
            // It was to give them away for this restart.
            records.push(Record::Drain { id, drain: None });
        }
        Decision { records, reply: Ok(epoch) }
    }

    /// Forgets a broker that is gone for good. What it alone has stays its own, if it comes back and its disk proves that
    /// it has all that its last registration left. One that cannot prove it, as after the crash of its machine, is taken
    /// for one with a new disk: which disk it had is not known any more.
    pub fn unregister_broker(
        &self,
        id: BrokerId,
        epoch: i64,
    ) -> Decision<Result<(), UnregisterBrokerError>> {
        if let Err(unknown) = self.registered(id, epoch) {
            return Decision::nothing(Err(unknown.into()));
        }
        if is_live(self.image, id) {
            return Decision::nothing(Err(UnregisterBrokerError::Running { id }));
        }
        let gone = Record::UnregisterBroker { id, epoch };
        let mut records = self.with_partitions_of(id, gone, |change| change.leaves(id));
        // It took the lease for its stop, and will not give it back.
        if self.image.lease().is_some_and(|lease| lease.broker == id) {
            records.push(Record::Lease { lease: None });
        }
        Decision { records, reply: Ok(()) }
    }

    /// Places new replicas on other brokers from now on, or on this one again.
    pub fn cordon_broker(
        &self,
        id: BrokerId,
        epoch: i64,
        cordoned: bool,
    ) -> Decision<Result<(), UnknownBroker>> {
        let broker = match self.registered(id, epoch) {
            Ok(broker) if broker.cordoned == cordoned => return Decision::nothing(Ok(())),
            Ok(broker) => Broker { cordoned, ..broker.clone() },
            Err(unknown) => return Decision::nothing(Err(unknown)),
        };
        Decision { records: vec![changed(id, &broker)], reply: Ok(()) }
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

    /// A broker, if it is registered with this epoch.
    pub(super) fn registered(&self, id: BrokerId, epoch: i64) -> Result<&Broker, UnknownBroker> {
        let broker = self.image.broker(id).filter(|broker| broker.epoch == epoch);
        broker.map(|broker| &**broker).ok_or(UnknownBroker { id, epoch })
    }

    /// A record about a broker, and one for each partition that holds a replica of it and changes for that
    /// reason.
    pub(super) fn with_partitions_of(
        &self,
        id: BrokerId,
        record: Record,
        change: impl Fn(Change<'_>) -> Change<'_>,
    ) -> Vec<Record> {
        let mut image = self.image.clone();
        image.apply(&record);
        let after = Controller { image: &image, settings: self.settings };
        let mut records = vec![record];
        records.extend(after.each_partition(|partition| partition.replicas.contains(&id), change));
        records
    }

    /// One record for each partition that is `concerned` and that `change` changes.
    pub(super) fn each_partition(
        &self,
        concerned: impl Fn(&Partition) -> bool,
        change: impl Fn(Change<'_>) -> Change<'_>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        for topic in self.image.topics() {
            if !topic.partitions.iter().any(&concerned) {
                continue;
            }
            let min_isr = self.min_isr(topic);
            let partitions = (0..).zip(&topic.partitions);
            records.extend(partitions.filter(|(_, it)| concerned(it)).filter_map(|(index, it)| {
                let partition = change(Change::of(self.image, it, min_isr)).decide()?;
                Some(Record::Partition { topic_id: topic.id, index, partition })
            }));
        }
        records
    }

    /// `min.insync.replicas` of a topic.
    pub(super) fn min_isr(&self, topic: &Topic) -> usize {
        let overrides = self.image.config(&Resource::Topic(topic.name.clone()));
        let config =
            self.settings.topic(&overrides).expect("overrides were checked when they were set");
        usize::try_from(config.min_insync_replicas).expect("the setting is at least 1")
    }
}

/// The record of what a broker may do now.
pub(super) fn changed(id: BrokerId, broker: &Broker) -> Record {
    let Broker { epoch, fenced, in_controlled_shutdown, cordoned, .. } = *broker;
    Record::ChangeBroker { id, epoch, fenced, in_controlled_shutdown, cordoned }
}

#[cfg(test)]
mod tests {
    use super::{RegisterBrokerError, Registration, UnregisterBrokerError};
    use crate::ids::BrokerId;
    use crate::metadata::Image;
    use crate::metadata::invariants_test::{Cluster, registration};

    #[test]
    fn a_new_process_is_fenced_and_a_repeated_request_changes_nothing() {
        let mut cluster = Cluster::of(1);
        cluster.create("t", 2, 1);
        let state = |cluster: &Cluster| {
            let partition = cluster.image.partition("t", 1).unwrap();
            (partition.leader.map(|id| id.0), partition.leader_epoch.0)
        };
        assert_eq!(cluster.run(|c| c.register_broker(registration(1, 1))), Ok(1));
        assert_eq!(state(&cluster), (Some(1), 0));
        assert_eq!(cluster.run(|c| c.register_broker(registration(1, 2))), Ok(2));
        assert_eq!(state(&cluster), (None, 1));
        cluster.beat(1);
        assert_eq!(state(&cluster), (Some(1), 2));
        let moved = Registration { rack: Some("r".into()), ..registration(1, 2) };
        assert_eq!(cluster.run(|c| c.register_broker(moved)), Ok(2));
        assert_eq!(state(&cluster), (Some(1), 2));
    }

    #[test]
    fn two_processes_with_one_id_are_told_apart() {
        let mut cluster = Cluster::of(1);
        let elsewhere = wire::Uuid([99; 16]);
        let alive = Registration { predecessor_is_alive: true, ..registration(1, 2) };
        let second = Registration { directory: elsewhere, ..alive.clone() };
        assert_eq!(
            cluster.run(|c| c.register_broker(second)),
            Err(RegisterBrokerError::Duplicate { id: BrokerId(1) })
        );
        assert_eq!(cluster.run(|c| c.register_broker(alive)), Ok(2), "the directory was free");
        let deaf = Registration { listeners: Vec::new(), ..registration(2, 2) };
        assert_eq!(
            cluster.run(|c| c.register_broker(deaf)),
            Err(RegisterBrokerError::NoListeners { id: BrokerId(2) })
        );
    }

    /// What becomes of the partition when broker `id` registers, with the proof or without.
    fn check_return(before: &str, id: i32, proof: Proof, expected: &str) {
        let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
        cluster.place(before);
        let known = cluster.image.broker(BrokerId(id)).unwrap().epoch;
        let mut asked = registration(id, 7);
        match proof {
            Proof::Whole => asked.previous_epoch = known,
            Proof::None => asked.previous_epoch = -1,
            Proof::NewDisk => asked.directory = wire::Uuid([99; 16]),
        }
        cluster.run(|c| c.register_broker(asked)).unwrap();
        assert_eq!(cluster.shape(), expected, "{before} and {id} returns: {proof:?}");
    }

    #[derive(Clone, Copy, Debug)]
    enum Proof {
        Whole,
        None,
        NewDisk,
    }

    #[test]
    fn a_log_that_may_have_lost_something_has_no_standing_if_others_have_it() {
        for proof in [Proof::Whole, Proof::None, Proof::NewDisk] {
            check_return("1/1,2,3/1,2,3", 3, proof, "1/1,2,3/1,2");
            check_return("1/1,2,3/1,2,3", 1, proof, "2/1,2,3/2,3");
        }
        // Without it, too few are left.
        check_return("1/1,2,3/1,2", 2, Proof::Whole, "1/1,2,3/1/2");
        check_return("1/1,2,3/1,2", 2, Proof::None, "1/1,2,3/1");
        check_return("1/1,2,3/1,2", 2, Proof::NewDisk, "1/1,2,3/1");
        check_return("-/1,2,3/1/2", 2, Proof::Whole, "-/1,2,3/1/2");
        check_return("-/1,2,3/1/2", 2, Proof::None, "-/1,2,3/1");
        check_return("-/1,2,3/1/2", 1, Proof::Whole, "-/1,2,3/1/2");
        check_return("-/1,2,3/1/2", 1, Proof::None, "-/1,2,3/2");
    }

    #[test]
    fn the_last_that_has_the_records_keeps_its_standing_unless_its_disk_is_new() {
        check_return("-/1,2,3/1", 1, Proof::Whole, "-/1,2,3/1");
        check_return("-/1,2,3/1", 1, Proof::None, "-/1,2,3/1");
        check_return("-/1,2,3/1", 1, Proof::NewDisk, "-/1,2,3/");
        check_return("-/1/1", 1, Proof::None, "-/1/1");
        check_return("-/1/1", 1, Proof::NewDisk, "-/1/1");
    }

    #[test]
    fn a_broker_that_was_forgotten_gets_an_epoch_that_nobody_had() {
        let mut cluster = Cluster::of(3);
        cluster.place("3/3,1,2/3,1,2");
        let id = BrokerId(3);
        assert!(cluster.run(|c| c.unregister_broker(id, 9)).is_err());
        let runs = Err(UnregisterBrokerError::Running { id });
        assert_eq!(cluster.run(|c| c.unregister_broker(id, 3)), runs);
        cluster.run(|c| c.fence_broker(id, 3, true)).unwrap();
        cluster.run(|c| c.unregister_broker(id, 3)).unwrap();
        assert_eq!(cluster.shape(), "1/3,1,2/1,2");
        cluster.image = Image::from_records(&cluster.image.to_records());
        cluster.log = cluster.image.to_records();
        assert_eq!(cluster.run(|c| c.register_broker(registration(3, 1))), Ok(4));
    }

    #[test]
    fn a_broker_that_was_unregistered_is_known_by_its_disk() {
        for (previous_epoch, expected) in [(1, "-/1,2,3/1"), (-1, "-/1,2,3/")] {
            let mut cluster = Cluster::of(3);
            let id = BrokerId(1);
            cluster.run(|c| c.fence_broker(id, 1, true)).unwrap();
            cluster.place("-/1,2,3/1");
            cluster.run(|c| c.unregister_broker(id, 1)).unwrap();
            assert_eq!(cluster.shape(), "-/1,2,3/1", "it may come back");
            let back = Registration { previous_epoch, ..registration(1, 7) };
            let epoch = cluster.run(|c| c.register_broker(back)).unwrap();
            assert_eq!(cluster.shape(), expected);
            cluster.run(|c| c.fence_broker(id, epoch, false)).unwrap();
            let leads = cluster.shape().starts_with('1');
            assert_eq!(leads, previous_epoch == 1, "an empty log leads nobody");
        }
    }

    #[test]
    fn a_controller_only_gets_no_replicas_and_does_not_become_one_while_it_holds_some() {
        let mut cluster = Cluster::of(2);
        let only = |id, incarnation| Registration {
            is_controller_only: true,
            ..registration(id, incarnation)
        };
        let epoch = cluster.run(|c| c.register_broker(only(3, 1))).unwrap();
        cluster.beat(3);
        assert!(!cluster.image.broker(BrokerId(3)).unwrap().fenced, "it may be missed by nobody");
        assert!(cluster.image.live_brokers().all(|(id, _)| id != BrokerId(3)));
        cluster.create("t", 4, 2);
        let topic = cluster.image.topic("t").unwrap();
        assert!(topic.partitions.iter().all(|one| !one.replicas.contains(&BrokerId(3))));
        let refused = cluster.run(|c| c.register_broker(only(1, 2)));
        assert_eq!(refused, Err(RegisterBrokerError::HoldsReplicas { id: BrokerId(1) }));
        cluster.image = Image::from_records(&cluster.image.to_records());
        let known = cluster.image.broker(BrokerId(3)).unwrap();
        assert!(known.is_controller_only && known.epoch == epoch, "a snapshot keeps it");
    }

    #[test]
    fn a_cordoned_broker_gets_no_new_replicas() {
        let mut cluster = Cluster::of(2);
        cluster.run(|c| c.cordon_broker(BrokerId(1), 1, true)).unwrap();
        cluster.create("t", 4, 1);
        let topic = cluster.image.topic("t").unwrap();
        assert!(topic.partitions.iter().all(|it| it.replicas == [BrokerId(2)]));
        let again = Registration { previous_epoch: 1, ..registration(1, 2) };
        cluster.run(|c| c.register_broker(again)).unwrap();
        assert!(cluster.image.broker(BrokerId(1)).unwrap().cordoned, "a restart does not undo it");
    }
}
