//! The Topic: creates, grows, corrects, refuses and deletes one Kafka topic.
//!
//! ```text
//! observe.rs  the topic, its settings, its cluster, who else wants it → Observed
//! plan.rs     plan(&Topic, &Observed) → Plan { steps, refusals }     pure
//! apply.rs    steps, one by one, through kafka::Admin → Outcome
//! status.rs   status(&Topic, &Observed, &Plan, &Outcome) → TopicStatus   pure
//! ```

use std::collections::BTreeMap;

use crds::Key;
use crds::topic::TopicReason;

use crate::cluster::ClusterSeen;
use crate::kafka::{AdminError, NewTopic, Setting, TopicFacts};

mod apply;
mod observe;
mod plan;
mod settings;
mod status;

pub use apply::apply;
pub use observe::{claimed_by, observe};
pub use plan::plan;
pub use settings::settings;
pub use status::status;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Whether the Topic's Cluster can be asked.
    pub cluster: ClusterSeen,
    /// The topic, if it exists.
    pub topic: Option<TopicFacts>,
    /// Its settings; empty if it does not exist.
    pub config: BTreeMap<String, Setting>,
    /// How many of its partitions are being moved; asked only if its replicas are not as declared.
    pub moving: i32,
    /// Another Topic of the same name in Kafka, which came first.
    pub claimed_by: Option<Key>,
}

impl Observed {
    /// The brokers stopped answering half-way: nothing is known.
    pub(crate) fn unreachable(error: &AdminError) -> Self {
        Self {
            cluster: ClusterSeen::NotReady(error.to_string()),
            topic: None,
            config: BTreeMap::new(),
            moving: 0,
            claimed_by: None,
        }
    }
}

/// What to do, and what not to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What was declared and is not done.
    pub refusals: Vec<Refused>,
}

/// One step. Each may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create the topic.
    Create(NewTopic),
    /// Grow the topic.
    AddPartitions {
        /// To this many.
        to: i32,
    },
    /// Begin to give each partition more replicas, or fewer.
    SetReplicas {
        /// So many.
        to: i32,
    },
    /// Change settings, all at once: `Some` sets, `None` goes back to the default.
    SetConfig(BTreeMap<String, Option<String>>),
    /// Delete the topic with this id and no other.
    Delete {
        /// Its id.
        topic_id: String,
    },
    /// Let the resource go.
    Release,
}

/// Something that was declared and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In one word.
    pub reason: TopicReason,
    /// In a sentence, with a hint.
    pub message: String,
}

/// How far [`apply`] came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that were done.
    pub done: Vec<Step>,
    /// Whether the topic may have been created although nobody said so.
    pub may_have_created: bool,
    /// Why the next one was not.
    pub failure: Option<Refused>,
}
