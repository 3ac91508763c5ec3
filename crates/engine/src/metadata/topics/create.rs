//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use config::{ConfigError, Described, Properties};

use crate::ids::{BrokerId, TopicId};
use crate::metadata::controller::{Controller, Decision};
use crate::metadata::names::{TopicNameError, check_topic_name, flattened};
use crate::metadata::placement::place;
use crate::metadata::record::{Record, Resource};

use super::{Allowance, PARTITIONS_MAX_PER_REQUEST, TooManyPartitions, count, rotation};

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 takes `num.partitions`.
    pub partitions: i32,
    /// How many replicas each; -1 takes `default.replication.factor`.
    pub replication_factor: i16,
    /// Where replicas go, if the client says. The two numbers above are then -1.
    pub assignments: Vec<Assignment>,
    /// Its overrides.
    pub configs: Vec<(String, Option<String>)>,
    /// Two random numbers: the topic's id.
    pub dice: [u64; 2],
}

/// The replicas of one partition, as a client gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The partition.
    pub partition: i32,
    /// Its replicas, preferred leader first.
    pub brokers: Vec<i32>,
}

/// A topic as it was, or with `validate_only` would be, created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas each.
    pub replication_factor: i16,
    /// All of its settings (v5+, KIP-525).
    pub configs: Vec<Described>,
}

/// Why a topic is not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// INVALID_REQUEST.
    #[error("the request names this topic more than once")]
    Duplicate,
    /// INVALID_REQUEST.
    #[error("{0}")]
    Request(&'static str),
    /// INVALID_TOPIC_EXCEPTION.
    #[error(transparent)]
    Name(#[from] TopicNameError),
    /// TOPIC_ALREADY_EXISTS.
    #[error("there is such a topic already: {name}")]
    Exists {
        /// The name.
        name: String,
    },
    /// INVALID_PARTITIONS.
    #[error("a topic has at least 1 partition, or -1 for the default: {found}")]
    Partitions {
        /// The number asked for.
        found: i32,
    },
    /// INVALID_REPLICATION_FACTOR.
    #[error(
        "{found} replicas need as many live brokers, and there are {live}; hint: at least 1, or -1 for the default"
    )]
    ReplicationFactor {
        /// The number asked for.
        found: i16,
        /// How many brokers may hold replicas.
        live: usize,
    },
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    Assignment(String),
    /// POLICY_VIOLATION.
    #[error(transparent)]
    TooManyPartitions(#[from] TooManyPartitions),
    /// INVALID_CONFIG.
    #[error("a topic's setting needs a value: {key}")]
    NullConfig {
        /// The key.
        key: String,
    },
    /// INVALID_CONFIG.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What the topics of one CreateTopics must not repeat.
struct Batch {
    allowance: Allowance,
    /// Every name, by the form in which it collides.
    flattened: BTreeMap<String, String>,
    ids: BTreeSet<TopicId>,
}

impl Controller<'_> {
    /// Decides about all topics of one CreateTopics together. One result per name, in the order of the
    /// request; a name that it holds twice appears once. With `validate_only` the reply is the same and
    /// nothing changes.
    pub fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Decision<Vec<(String, Result<CreatedTopic, CreateTopicError>)>> {
        let mut times = count(topics.iter().map(|topic| topic.name.clone()));
        let mut batch = Batch {
            allowance: Allowance::new(self),
            flattened: self.flattened_names(),
            ids: BTreeSet::new(),
        };
        let mut decision = Decision::nothing(Vec::with_capacity(times.len()));
        for topic in topics {
            let result = match times.remove(&topic.name) {
                None => continue,
                Some(1) => self.create_topic(&topic, &mut batch).map(|(records, created)| {
                    decision.records.extend(records);
                    created
                }),
                Some(_) => Err(CreateTopicError::Duplicate),
            };
            decision.reply.push((topic.name, result));
        }
        decision.unless(validate_only)
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        batch: &mut Batch,
    ) -> Result<(Vec<Record>, CreatedTopic), CreateTopicError> {
        self.check_new_name(&topic.name, batch)?;
        let overrides = overrides(&topic.configs)?;
        self.settings.validate_topic(&overrides)?;
        let id = self.unused_id(topic.dice, batch);
        let replicas = self.new_replicas(topic, id)?;
        batch.allowance.take(replicas.len())?;
        batch.ids.insert(id);
        batch.flattened.insert(flattened(&topic.name), topic.name.clone());

        let name: Arc<str> = topic.name.as_str().into();
        let created = CreatedTopic {
            id,
            partitions: i32::try_from(replicas.len()).expect("below the limit of a request"),
            replication_factor: i16::try_from(replicas[0].len()).expect("counted as 16 bits"),
            configs: self.settings.describe_topic(&overrides),
        };
        let mut records = vec![Record::Topic { id, name: name.clone() }];
        records.extend(overrides.iter().map(|(key, value)| Record::Config {
            resource: Resource::Topic(name.clone()),
            key: key.as_str().into(),
            value: Some(value.as_str().into()),
        }));
        records.extend(self.new_partitions(id, 0, replicas));
        Ok((records, created))
    }

    fn check_new_name(&self, name: &str, batch: &Batch) -> Result<(), CreateTopicError> {
        if name == "__cluster_metadata" {
            return Err(CreateTopicError::Request("the name __cluster_metadata is reserved"));
        }
        check_topic_name(name)?;
        if self.image.topic(name).is_some() {
            return Err(CreateTopicError::Exists { name: name.to_owned() });
        }
        match batch.flattened.get(&flattened(name)) {
            Some(existing) => Err(CreateTopicError::Name(TopicNameError::Collision {
                name: name.to_owned(),
                existing: existing.clone(),
            })),
            None => Ok(()),
        }
    }

    /// The names that a new one may collide with.
    fn flattened_names(&self) -> BTreeMap<String, String> {
        let names = self.image.topics().map(|topic| topic.name.to_string());
        names.map(|name| (flattened(&name), name)).collect()
    }

    /// A version 4 id from two random numbers. Kafka's clients take an id that begins with `-` for an
    /// option.
    fn unused_id(&self, dice: [u64; 2], batch: &Batch) -> TopicId {
        let mut bits = (u128::from(dice[0]) << 64) | u128::from(dice[1]);
        loop {
            bits = bits & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
            let id = wire::Uuid(bits.to_be_bytes());
            let is_taken = self.image.topic_by_id(id).is_some() || batch.ids.contains(&id);
            if !is_taken && !id.to_string().starts_with('-') {
                return id;
            }
            bits = bits.wrapping_add((1 << 122) + 1);
        }
    }

    /// The replicas of each partition of a new topic, as asked for or planned.
    fn new_replicas(
        &self,
        topic: &NewTopic,
        id: TopicId,
    ) -> Result<Vec<Vec<BrokerId>>, CreateTopicError> {
        if !topic.assignments.is_empty() {
            return self.assigned_replicas(topic);
        }
        let broker = &self.settings.broker;
        let partitions = match topic.partitions {
            -1 => broker.num_partitions,
            partitions => partitions,
        };
        let replication_factor = match topic.replication_factor {
            -1 => broker.default_replication_factor,
            replication_factor => replication_factor,
        };
        let candidates = self.candidates();
        let partitions = usize::try_from(partitions)
            .ok()
            .filter(|partitions| *partitions > 0)
            .ok_or(CreateTopicError::Partitions { found: partitions })?;
        let replicas = usize::try_from(replication_factor)
            .ok()
            .filter(|replicas| (1..=candidates.len()).contains(replicas))
            .ok_or(CreateTopicError::ReplicationFactor {
                found: replication_factor,
                live: candidates.len(),
            })?;
        // Refused before it is planned: a plan takes memory.
        if partitions > PARTITIONS_MAX_PER_REQUEST {
            return Err(CreateTopicError::TooManyPartitions(TooManyPartitions {
                found: partitions,
                limit: PARTITIONS_MAX_PER_REQUEST,
                hint: "spread them over several requests",
            }));
        }
        Ok(place(&candidates, partitions, replicas, rotation(id)))
    }

    fn assigned_replicas(&self, topic: &NewTopic) -> Result<Vec<Vec<BrokerId>>, CreateTopicError> {
        if topic.replication_factor != -1 || topic.partitions != -1 {
            return Err(CreateTopicError::Request(
                "with an assignment, the numbers of partitions and of replicas are -1",
            ));
        }
        let assignments: BTreeMap<i32, &[i32]> =
            topic.assignments.iter().map(|one| (one.partition, &*one.brokers)).collect();
        let is_complete = assignments.len() == topic.assignments.len()
            && assignments.keys().copied().eq((0..).take(assignments.len()));
        if !is_complete {
            return Err(CreateTopicError::Assignment(
                "an assignment names every partition once, from 0".to_owned(),
            ));
        }
        let replicas = topic.assignments[0].brokers.len();
        let assigned = assignments.values().map(|brokers| self.assigned(brokers, replicas));
        assigned.collect::<Result<_, _>>().map_err(CreateTopicError::Assignment)
    }
}

fn overrides(configs: &[(String, Option<String>)]) -> Result<Properties, CreateTopicError> {
    let pair = |(key, value): &(String, Option<String>)| match value {
        Some(value) => Ok((key.clone(), value.clone())),
        None => Err(CreateTopicError::NullConfig { key: key.clone() }),
    };
    configs.iter().map(pair).collect()
}

#[cfg(test)]
#[path = "create_test.rs"]
mod tests;
