//! A cluster in memory, and what holds after every decision.

use config::{Properties, Settings};
use proptest::prelude::*;

use super::{
    AlterConfigs, ConfigChange, ConfigOperation, Controller, Decision, Image,
    IncrementalAlterConfigs, NewPartitions, NewTopic, Record, Registration, Resource, TopicRef,
};
use crate::ids::BrokerId;

/// An image, and the records that made it.
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
            cluster.run(|controller| controller.register_broker(registration(id, 1))).unwrap();
        }
        cluster
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
        for record in records {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record));
            self.image.apply(&record);
            self.log.push(record);
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
                assert!(!partition.isr.is_empty(), "somebody has what was acknowledged");
                assert!(partition.isr.iter().all(|id| partition.replicas.contains(id)));
                if let Some(leader) = partition.leader {
                    assert!(partition.isr.contains(&leader), "a leader is in sync");
                    assert!(!self.image.broker(leader).unwrap().fenced, "a leader is live");
                }
                let has_candidate =
                    partition.isr.iter().any(|id| !self.image.broker(*id).unwrap().fenced);
                assert_eq!(partition.leader.is_some(), has_candidate, "whoever can lead leads");
            }
            let overrides = self.image.config(&Resource::Topic(topic.name.clone()));
            assert!(self.settings.validate_topic(&overrides).is_ok());
        }
        assert_eq!(self.image.partition_count(), partitions);
    }
}

pub(super) fn registration(id: i32, incarnation: u8) -> Registration {
    Registration {
        id: BrokerId(id),
        incarnation: wire::Uuid([incarnation; 16]),
        listeners: vec![format!("PLAINTEXT://host-{id}:9092").parse().unwrap()],
        rack: None,
        fenced: false,
        predecessor_is_alive: false,
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
    Restart { id: i32, incarnation: u8, fenced: bool },
    Fence { id: i32, fenced: bool },
    ProducerIds,
}

fn event() -> impl Strategy<Value = Event> {
    let name = || prop::sample::select(vec!["a", "b.c", "b_c", "order-placed", "", "no/name"]);
    let name = move || name().prop_map(str::to_owned);
    let key = || prop::sample::select(vec!["retention.ms", "cleanup.policy", "nonsense"]);
    let key = move || key().prop_map(str::to_owned);
    let value = || prop::sample::select(vec!["1", "-1", "compact", "delete,compact", "", "x"]);
    let value = move || value().prop_map(str::to_owned);
    let operation = prop::sample::select(vec![
        ConfigOperation::Set,
        ConfigOperation::Delete,
        ConfigOperation::Append,
        ConfigOperation::Subtract,
    ]);
    prop_oneof![
        (name(), -1..5i32, -1..5i16, prop::option::of((key(), value()))).prop_map(
            |(name, partitions, replicas, config)| Event::Create {
                name,
                partitions,
                replicas,
                config
            }
        ),
        name().prop_map(|name| Event::Delete { name }),
        (name(), -1..9i32).prop_map(|(name, count)| Event::Grow { name, count }),
        (name(), prop::option::of(value())).prop_map(|(name, owner)| Event::Claim { name, owner }),
        (name(), key(), value()).prop_map(|(name, key, value)| Event::Replace { name, key, value }),
        (name(), operation, key(), prop::option::of(value()))
            .prop_map(|(name, operation, key, value)| Event::Patch { name, operation, key, value }),
        (1..4i32, 1..4u8, any::<bool>()).prop_map(|(id, incarnation, fenced)| Event::Restart {
            id,
            incarnation,
            fenced
        }),
        (1..4i32, any::<bool>()).prop_map(|(id, fenced)| Event::Fence { id, fenced }),
        Just(Event::ProducerIds),
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
        Event::Restart { id, incarnation, fenced } => {
            let asked = Registration { fenced, ..registration(id, incarnation) };
            cluster.run(|controller| controller.register_broker(asked)).unwrap();
        }
        Event::Fence { id, fenced } => {
            let Some(epoch) = cluster.image.broker(BrokerId(id)).map(|broker| broker.epoch) else {
                return;
            };
            cluster.run(|controller| controller.fence_broker(BrokerId(id), epoch, fenced)).unwrap();
        }
        Event::ProducerIds => {
            let before = cluster.image.next_producer_id();
            let block = cluster.run(|controller| controller.allocate_producer_ids());
            assert_eq!((block.first, block.first + block.len), (before, before + 1000));
        }
    }
}

proptest! {
    #[test]
    fn invariants_hold_and_the_image_is_its_records(
        events in prop::collection::vec((event(), any::<u64>()), 0..40),
    ) {
        let mut cluster = Cluster::of(2);
        for (event, dice) in events {
            let before = cluster.image.clone();
            happen(&mut cluster, event, dice);
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
