//! A cluster in memory, and what holds after every decision.

use config::{Properties, Settings};
use proptest::prelude::*;

use super::balance::Sizes;
use super::brokers::changed;
use super::partitions::is_live;
use super::{
    AlterConfigs, AlterPartition, AlterPartitionError, Broker, ConfigChange, ConfigOperation,
    Controller, Decision, Drain, Election, FeatureUpdate, Heartbeat, Image,
    IncrementalAlterConfigs, Lease, METADATA_VERSION, NewPartitions, NewTopic, Partition,
    Reassignment, Record, Registration, Resource, SupportedFeature, TopicRef, UpdateType,
};
use crate::ids::{BrokerId, LeaderEpoch};

/// An image, and the records that made it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) image: Image,
    pub(super) settings: Settings,
    pub(super) log: Vec<Record>,
}

impl Cluster {
    /// A cluster of brokers 1 to `brokers`, all live.
    pub(super) fn of(brokers: i32) -> Self {
        let settings = Settings::resolve(Properties::new()).unwrap();
        let mut cluster = Self { image: Image::default(), settings, log: Vec::new() };
        for id in 1..=brokers {
            cluster.run(|c| c.register_in(&"test".into(), registration(id, 1))).unwrap();
            cluster.beat(id);
        }
        cluster
    }

    /// The broker has caught up.
    pub(super) fn beat(&mut self, id: i32) {
        let (want_fence, want_shut_down) = (false, false);
        let (id, epoch) = (BrokerId(id), self.epoch(id));
        let heartbeat = Heartbeat { id, epoch, want_fence, want_shut_down, is_caught_up: true };
        self.run(|controller| controller.heartbeat(heartbeat)).unwrap();
    }

    fn epoch(&self, id: i32) -> i64 {
        self.image.broker(BrokerId(id)).expect("it is registered").epoch
    }

    fn known(&self, id: i32) -> Option<(BrokerId, i64)> {
        self.image.broker(BrokerId(id)).map(|broker| (BrokerId(id), broker.epoch))
    }

    /// The broker begins to stop, and has given nothing away yet.
    pub(super) fn stop(&mut self, id: i32) {
        self.set_broker(id, |broker| broker.in_controlled_shutdown = true);
    }

    fn set_broker(&mut self, id: i32, set: impl FnOnce(&mut Broker)) {
        let mut broker = Broker::clone(self.image.broker(BrokerId(id)).unwrap());
        set(&mut broker);
        self.apply(changed(BrokerId(id), &broker));
    }

    fn apply(&mut self, record: Record) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record));
        self.image.apply(&record);
        self.log.push(record);
    }

    /// The topic `t` has one partition like this. If nobody leads it, nobody who could is there.
    pub(super) fn place(&mut self, shape: &str) {
        let partition = partition(shape);
        if partition.leader.is_none() {
            for id in partition.isr.iter().chain(&partition.elr) {
                self.set_broker(id.0, |broker| broker.fenced = true);
            }
        }
        let topic_id = wire::Uuid([7; 16]);
        self.apply(Record::Topic { id: topic_id, name: "t".into() });
        self.apply(Record::Partition { topic_id, index: 0, partition });
    }

    /// The first partition of `t`.
    pub(super) fn shape(&self) -> String {
        shape(self.image.partition("t", 0).unwrap())
    }

    /// The leader of the first partition of `t` says who is in sync.
    pub(super) fn propose(&mut self, leader: i32, isr: &[i32]) -> Result<(), AlterPartitionError> {
        let topic = self.image.topic("t").unwrap();
        let asked = AlterPartition {
            topic_id: topic.id,
            index: 0,
            leader_epoch: topic.partitions[0].leader_epoch,
            partition_epoch: topic.partitions[0].partition_epoch,
            isr: isr.iter().map(|id| (BrokerId(*id), self.epoch(*id))).collect(),
        };
        let epoch = self.epoch(leader);
        let reply = self.run(|c| c.alter_partitions(BrokerId(leader), epoch, vec![asked]));
        reply.unwrap().remove(0).1.map(|_| ())
    }

    /// Everybody who is there copies and obeys, until all moves have ended that can.
    pub(super) fn catch_up(&mut self) {
        for (leader, asked) in self.proposals() {
            let epoch = self.epoch(leader.0);
            self.run(|c| c.alter_partitions(leader, epoch, vec![asked])).unwrap();
        }
        self.let_go();
    }

    /// Everybody who is there obeys.
    pub(super) fn let_go(&mut self) {
        let controller = Controller { image: &self.image, settings: &self.settings };
        let departures = controller.departures();
        self.run(|c| c.let_go(&departures));
    }

    /// The leaders of all partitions say that every replica is in sync.
    fn proposals(&self) -> Vec<(BrokerId, AlterPartition)> {
        let mut proposals = Vec::new();
        for topic in self.image.topics() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let Some(leader) = partition.leader else { continue };
                let there = partition.replicas.iter().filter(|id| is_live(&self.image, **id));
                let asked = AlterPartition {
                    topic_id: topic.id,
                    index,
                    leader_epoch: partition.leader_epoch,
                    partition_epoch: partition.partition_epoch,
                    isr: there.map(|id| (*id, self.epoch(id.0))).collect(),
                };
                proposals.push((leader, asked));
            }
        }
        proposals
    }

    /// The same cluster with this setting in its file.
    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        let fixed = Properties::from([(key.to_owned(), value.to_owned())]);
        self.settings = Settings::resolve(fixed).unwrap();
        self
    }

    /// Decides, and applies the records after they went through their bytes.
    pub(super) fn run<R>(&mut self, decide: impl FnOnce(Controller<'_>) -> Decision<R>) -> R {
        let controller = Controller { image: &self.image, settings: &self.settings };
        let Decision { records, reply } = decide(controller);
        let level = self.image.metadata_version();
        for record in records {
            let begins = matches!(record, Record::Cluster { .. } | Record::Feature { .. });
            assert!(begins || record.level() <= level, "level {level}: {record:?}");
            self.apply(record);
        }
        self.check();
        reply
    }

    /// Creates a topic, which must succeed.
    pub(super) fn create(&mut self, name: &str, partitions: i32, replicas: i16) {
        let topic = new_topic(name, partitions, replicas);
        let reply = self.run(|controller| controller.create_topics(vec![topic], false));
        assert!(reply[0].1.is_ok(), "{reply:?}");
    }

    fn check(&self) {
        let mut partitions = 0;
        for topic in self.image.topics() {
            assert_eq!(self.image.topic_by_id(topic.id).unwrap().name, topic.name);
            assert!(!topic.partitions.is_empty());
            partitions += topic.partitions.len();
            for partition in &topic.partitions {
                self.check_partition(partition);
            }
            let overrides = self.image.config(&Resource::Topic(topic.name.clone()));
            assert!(self.settings.validate_topic(&overrides).is_ok());
        }
        assert_eq!(self.image.partition_count(), partitions);
    }

    fn check_partition(&self, partition: &Partition) {
        let Partition { leader, replicas, isr, elr, adding, removing, .. } = partition;
        for ids in [isr, elr, adding, removing] {
            assert!(ids.iter().all(|id| replicas.contains(id)), "{partition:?}");
        }
        assert!(!isr.is_empty() || elr.is_empty(), "the last with the records is in sync");
        assert!(elr.iter().all(|id| !isr.contains(id)), "in sync is more than eligible");
        if let Some(leader) = leader {
            assert!(isr.contains(leader), "a leader is in sync");
            assert!(isr.iter().all(|id| is_live(&self.image, *id)), "what commits is there");
        }
        let has_candidate = isr.iter().chain(elr).any(|id| is_live(&self.image, *id));
        assert_eq!(leader.is_some(), has_candidate, "whoever can lead leads: {partition:?}");
    }
}

/// Reads `leader/replicas/isr/elr/adding/removing`, of which the last three may be left out.
pub(super) fn partition(shape: &str) -> Partition {
    let mut parts = shape.split('/');
    let leader = parts.next().unwrap().parse().ok().map(BrokerId);
    let mut ids = || {
        let ids = parts.next().unwrap_or_default().split(',').filter(|id| !id.is_empty());
        ids.map(|id| BrokerId(id.parse().unwrap())).collect()
    };
    Partition {
        leader,
        leader_epoch: LeaderEpoch(5),
        partition_epoch: 7,
        replicas: ids(),
        isr: ids(),
        elr: ids(),
        adding: ids(),
        removing: ids(),
    }
}

/// The reverse of [`partition`].
pub(super) fn shape(partition: &Partition) -> String {
    let Partition { leader, replicas, isr, elr, adding, removing, .. } = partition;
    let ids =
        |ids: &Vec<BrokerId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let leader = leader.map_or("-".to_owned(), |id| id.to_string());
    let mut parts = vec![leader, ids(replicas), ids(isr), ids(elr), ids(adding), ids(removing)];
    while parts.len() > 3 && parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts.join("/")
}

pub(super) fn registration(id: i32, incarnation: u8) -> Registration {
    Registration {
        id: BrokerId(id),
        incarnation: wire::Uuid([incarnation; 16]),
        listeners: vec![format!("PLAINTEXT://host-{id}:9092").parse().unwrap()],
        directory: wire::Uuid([id.to_be_bytes()[3]; 16]),
        rack: None,
        features: SupportedFeature::of_this_build(),
        previous_epoch: -1,
        predecessor_is_alive: false,
        is_controller_only: false,
    }
}

pub(super) fn new_topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    let dice = [name.len() as u64, u64::from(name.bytes().map(u32::from).sum::<u32>())];
    NewTopic { name: name.to_owned(), partitions, replication_factor, dice, ..NewTopic::default() }
}

/// What may happen to a cluster, in any order.
#[derive(Clone, Debug)]
enum Event {
    Create { name: String, partitions: i32, replicas: i16, config: Option<(String, String)> },
    Delete { name: String },
    Grow { name: String, count: i32 },
    Claim { name: String, owner: Option<String> },
    Replace { name: String, key: String, value: String },
    Patch { name: String, operation: ConfigOperation, key: String, value: Option<String> },
    Restart { id: i32, incarnation: u8, is_whole: bool, has_new_disk: bool },
    Beat { id: i32, want_fence: bool, want_shut_down: bool },
    Fence { id: i32, fenced: bool },
    Unregister { id: i32 },
    Propose { name: String, index: i32, isr: Vec<i32> },
    Elect { election: Election },
    Reassign { name: String, index: i32, replicas: Option<Vec<i32>> },
    Settle,
    Obey,
    Drain { id: i32, drain: Option<Drain> },
    CarryOn,
    Balance { is_asked: bool },
    Return { percentage: i32 },
    Lease { id: i32, is_over: bool },
    Level { level: i16, update: UpdateType },
    ProducerIds,
}

fn event() -> impl Strategy<Value = Event> {
    let name = || prop::sample::select(vec!["a", "b.c", "b_c", "order-placed", "", "no/name"]);
    let name = move || name().prop_map(str::to_owned);
    let keys = ["retention.ms", "cleanup.policy", "min.insync.replicas", "nonsense"];
    let key = move || prop::sample::select(keys.to_vec());
    let key = move || key().prop_map(str::to_owned);
    let value = || prop::sample::select(vec!["1", "2", "-1", "compact", "delete,compact", "", "x"]);
    let value = move || value().prop_map(str::to_owned);
    let operation = prop::sample::select(vec![
        ConfigOperation::Set,
        ConfigOperation::Delete,
        ConfigOperation::Append,
        ConfigOperation::Subtract,
    ]);
    let brokers = || 1..5i32;
    let ids = move || prop::collection::vec(brokers(), 0..4);
    prop_oneof![
        2 => (name(), -1..5i32, -1..5i16, prop::option::of((key(), value()))).prop_map(
            |(name, partitions, replicas, config)| Event::Create {
                name,
                partitions,
                replicas,
                config
            }
        ),
        1 => name().prop_map(|name| Event::Delete { name }),
        1 => (name(), -1..9i32).prop_map(|(name, count)| Event::Grow { name, count }),
        1 => (name(), prop::option::of(value())).prop_map(|(name, owner)| Event::Claim { name, owner }),
        1 => (name(), key(), value()).prop_map(|(name, key, value)| Event::Replace { name, key, value }),
        1 => (name(), operation, key(), prop::option::of(value()))
            .prop_map(|(name, operation, key, value)| Event::Patch { name, operation, key, value }),
        1 => (brokers(), 1..4u8, any::<bool>(), any::<bool>()).prop_map(
            |(id, incarnation, is_whole, has_new_disk)| Event::Restart {
                id,
                incarnation,
                is_whole,
                has_new_disk
            }
        ),
        4 => (brokers(), 0..8).prop_map(|(id, wants)| Event::Beat {
            id,
            want_fence: wants == 0,
            want_shut_down: wants == 1
        }),
        1 => brokers().prop_map(|id| Event::Unregister { id }),
        4 => (name(), 0..3i32, ids()).prop_map(|(name, index, isr)| Event::Propose {
            name,
            index,
            isr
        }),
        1 => prop::sample::select(vec![Election::Preferred, Election::Unclean])
            .prop_map(|election| Event::Elect { election }),
        2 => (name(), 0..3i32, prop::option::of(ids())).prop_map(|(name, index, replicas)| {
            Event::Reassign { name, index, replicas }
        }),
        1 => Just(Event::Settle),
        2 => Just(Event::Obey),
        2 => (brokers(), any::<bool>()).prop_map(|(id, fenced)| Event::Fence { id, fenced }),
        1 => (brokers(), prop::option::of(any::<bool>())).prop_map(|(id, all)| Event::Drain {
            id,
            drain: all.map(|all| if all { Drain::All } else { Drain::Leadership }),
        }),
        2 => Just(Event::CarryOn),
        2 => any::<bool>().prop_map(|is_asked| Event::Balance { is_asked }),
        1 => (0..100i32).prop_map(|percentage| Event::Return { percentage }),
        1 => (brokers(), any::<bool>()).prop_map(|(id, is_over)| Event::Lease { id, is_over }),
        1 => (0..4i16, 0..3usize).prop_map(|(level, update)| Event::Level {
            level,
            update: [UpdateType::Upgrade, UpdateType::SafeDowngrade, UpdateType::UnsafeDowngrade][update],
        }),
        1 => Just(Event::ProducerIds),
    ]
}

fn happen(cluster: &mut Cluster, event: Event, dice: u64) {
    match event {
        Event::Create { name, partitions, replicas, config } => {
            let configs = config.into_iter().map(|(key, value)| (key, Some(value))).collect();
            let dice = [dice, dice];
            let topic = NewTopic { configs, dice, ..new_topic(&name, partitions, replicas) };
            cluster.run(|controller| controller.create_topics(vec![topic], false));
        }
        Event::Delete { name } => {
            cluster.run(|controller| controller.delete_topics(vec![TopicRef::Name(name)]));
        }
        Event::Grow { name, count } => {
            let asked = NewPartitions { topic: name, count, assignments: None };
            cluster.run(|controller| controller.create_partitions(vec![asked], false));
        }
        Event::Claim { name, owner } => {
            let topic = TopicRef::Name(name);
            let _ =
                cluster.run(|controller| controller.claim_topic(&topic, None, owner.as_deref()));
        }
        Event::Replace { name, key, value } => {
            let resource = Resource::Topic(name.into());
            let asked = AlterConfigs { resource, configs: vec![(key, Some(value))] };
            cluster.run(|controller| controller.alter_configs(vec![asked], false));
        }
        Event::Patch { name, operation, key, value } => {
            let resource = Resource::Topic(name.into());
            let changes = vec![ConfigChange { key, operation, value }];
            let asked = IncrementalAlterConfigs { resource, changes };
            cluster.run(|controller| controller.incremental_alter_configs(vec![asked], false));
        }
        Event::Restart { id, incarnation, is_whole, has_new_disk } => {
            let known = cluster.image.broker(BrokerId(id)).map_or(-1, |broker| broker.epoch);
            let mut asked = registration(id, incarnation);
            asked.previous_epoch = if is_whole { known } else { -1 };
            asked.directory.0[0] = u8::from(has_new_disk);
            cluster.run(|controller| controller.register_broker(asked)).unwrap();
        }
        Event::Beat { id, want_fence, want_shut_down } => {
            let Some((id, epoch)) = cluster.known(id) else { return };
            let is_caught_up = true;
            let heartbeat = Heartbeat { id, epoch, want_fence, want_shut_down, is_caught_up };
            cluster.run(|controller| controller.heartbeat(heartbeat)).unwrap();
        }
        Event::Fence { id, fenced } => {
            let Some((id, epoch)) = cluster.known(id) else { return };
            cluster.run(|controller| controller.fence_broker(id, epoch, fenced)).unwrap();
        }
        Event::Unregister { id } => {
            let Some((id, epoch)) = cluster.known(id) else { return };
            // It may be running.
            let _ = cluster.run(|controller| controller.unregister_broker(id, epoch));
        }
        Event::Propose { name, index, isr } => {
            let Some(partition) = cluster.image.partition(&name, index) else { return };
            let Some(leader) = partition.leader else { return };
            let epoch = |id: i32| cluster.image.broker(BrokerId(id)).map_or(-1, |it| it.epoch);
            let asked = AlterPartition {
                topic_id: cluster.image.topic(&name).unwrap().id,
                index,
                leader_epoch: partition.leader_epoch,
                partition_epoch: partition.partition_epoch,
                isr: isr.iter().map(|id| (BrokerId(*id), epoch(*id))).collect(),
            };
            let epoch = epoch(leader.0);
            cluster.run(|c| c.alter_partitions(leader, epoch, vec![asked])).unwrap();
        }
        Event::Elect { election } => {
            cluster.run(|controller| controller.elect_leaders(election, None));
        }
        Event::Reassign { name, index, replicas } => {
            let asked = Reassignment { topic: name, index, replicas };
            cluster.run(|controller| controller.alter_reassignments(vec![asked], true));
        }
        Event::Settle => cluster.run(|controller| controller.settle_partitions()),
        Event::Obey => cluster.let_go(),
        Event::Drain { id, drain } => {
            // There may be no such broker.
            let _ = cluster.run(|controller| controller.drain_broker(BrokerId(id), drain));
        }
        Event::CarryOn => cluster.run(|controller| controller.carry_on_drains(2)),
        Event::Balance { is_asked } => {
            let _ = cluster.run(|controller| controller.ask_for_balance(is_asked));
            cluster.run(|controller| controller.carry_on_balance(&Sizes::new(), 2));
        }
        Event::Return { percentage } => {
            cluster.run(|controller| controller.return_leaders(percentage));
        }
        Event::Lease { id, is_over } => {
            let lease = Lease { broker: BrokerId(id), holder: "a".into(), ttl_ms: 1000 };
            // It may be held, or refused.
            let _ = cluster.run(|controller| controller.acquire_lease(lease, is_over, &[]));
        }
        Event::Level { level, update } => {
            let name = METADATA_VERSION.to_owned();
            let update = FeatureUpdate { name, level, update };
            // It may be lower, or something would be lost.
            let _ = cluster.run(|controller| controller.update_features(&[update], false));
        }
        Event::ProducerIds => {
            let before = cluster.image.next_producer_id();
            let block = cluster.run(|controller| controller.allocate_producer_ids());
            assert_eq!((block.first, block.first + block.len), (before, before + 1000));
        }
    }
}

/// What holds between the states of a partition before and after one decision.
fn check_transitions(before: &Image, after: &Image, names_holders: bool) {
    let lives = |id: &BrokerId| {
        let epoch = |image: &Image| image.broker(*id).map(|broker| broker.epoch);
        is_live(after, *id) && epoch(before) == epoch(after)
    };
    for topic in after.topics() {
        let Some(old) = before.topic_by_id(topic.id) else { continue };
        for (old, new) in old.partitions.iter().zip(&topic.partitions) {
            let steps = i32::from(old != new);
            assert_eq!(new.partition_epoch, old.partition_epoch + steps, "every change counts");
            let moved = old.leader != new.leader
                || old.replicas.iter().any(|id| !new.replicas.contains(id));
            let epochs = new.leader_epoch.0 - old.leader_epoch.0;
            assert!(epochs == 1 || (epochs == 0 && !moved), "{old:?} {new:?}");
            if let Some(leader) = old.leader.filter(lives) {
                let leaves = !new.isr.contains(&leader);
                assert!(!leaves, "it may not know yet who leads: {old:?} {new:?}");
            }
            let had = |id: &BrokerId| old.isr.contains(id) || old.elr.contains(id);
            let holders = || new.isr.iter().chain(&new.elr);
            assert!(names_holders || holders().all(had), "nobody gets records by decree");
        }
    }
}

proptest! {
    #[test]
    fn invariants_hold_and_the_image_is_its_records(
        events in prop::collection::vec((event(), any::<u64>()), 0..40),
    ) {
        let mut cluster = Cluster::of(3);
        for (event, dice) in events {
            let before = cluster.image.clone();
            let names_holders = matches!(
                event,
                Event::Propose { .. } | Event::Elect { election: Election::Unclean }
            );
            happen(&mut cluster, event, dice);
            check_transitions(&before, &cluster.image, names_holders);
            // Applying what the changes say to the old topics gives the new ones.
            let mut topics: std::collections::BTreeMap<_, _> =
                before.topics().map(|topic| (topic.name.clone(), topic.clone())).collect();
            for change in cluster.image.changed_topics(&before) {
                match change {
                    super::TopicChange::Set(topic) => topics.insert(topic.name.clone(), topic),
                    super::TopicChange::Removed(topic) => topics.remove(&topic.name),
                };
            }
            prop_assert!(topics.values().eq(cluster.image.topics()));
        }
        prop_assert_eq!(&Image::from_records(&cluster.log), &cluster.image);
        prop_assert_eq!(&Image::from_records(&cluster.image.to_records()), &cluster.image);
    }
}
