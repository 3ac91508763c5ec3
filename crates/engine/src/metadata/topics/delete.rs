//! DeleteTopics, and the claims of `Topic` resources.

use std::sync::Arc;

use crate::ids::TopicId;
use crate::metadata::controller::{Controller, Decision};
use crate::metadata::record::Record;

use super::{TopicRef, count};

/// The outcome for one topic of DeleteTopics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name; unknown if only an unknown id was given.
    pub name: Option<Arc<str>>,
    /// Its id; zero if only an unknown name was given.
    pub id: TopicId,
    /// Whether it is deleted.
    pub result: Result<(), DeleteTopicError>,
}

/// Why a topic is not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no topic of this name")]
    UnknownName,
    /// UNKNOWN_TOPIC_ID.
    #[error("there is no topic of this id")]
    UnknownId,
    /// INVALID_REQUEST.
    #[error("the request names this topic more than once")]
    Duplicate,
    /// TOPIC_DELETION_DISABLED.
    #[error("deleting topics is switched off; hint: delete.topic.enable")]
    Disabled,
}

/// Why a topic cannot be claimed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimTopicError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such topic")]
    UnknownTopic,
    /// Somebody else declares it.
    #[error("the topic is declared by {}", owner.as_deref().unwrap_or("nobody"))]
    Claimed {
        /// The owner that it has now.
        owner: Option<Arc<str>>,
    },
}

impl Controller<'_> {
    /// Deletes topics with their partitions and settings. One result per topic of the request, in its
    /// order.
    pub fn delete_topics(&self, topics: Vec<TopicRef>) -> Decision<Vec<DeletedTopic>> {
        let known = topics.iter().filter_map(|topic| self.find_topic(topic));
        let times = count(known.map(|topic| topic.id));
        let mut decision = Decision::nothing(Vec::with_capacity(topics.len()));
        for asked in topics {
            let found = self.find_topic(&asked);
            let result = match (found, &asked) {
                (None, TopicRef::Name(_)) => Err(DeleteTopicError::UnknownName),
                (None, TopicRef::Id(_)) => Err(DeleteTopicError::UnknownId),
                (Some(topic), _) if times[&topic.id] > 1 => Err(DeleteTopicError::Duplicate),
                (Some(_), _) if !self.settings.broker.delete_topic_enable => {
                    Err(DeleteTopicError::Disabled)
                }
                (Some(topic), _) => {
                    decision.records.push(Record::RemoveTopic { id: topic.id });
                    Ok(())
                }
            };
            let (name, id) = match (found, asked) {
                (Some(topic), _) => (Some(topic.name.clone()), topic.id),
                (None, TopicRef::Name(name)) => (Some(name.into()), TopicId::ZERO),
                (None, TopicRef::Id(id)) => (None, id),
            };
            decision.reply.push(DeletedTopic { name, id, result });
        }
        decision
    }

    /// Sets, changes or (`owner: None`) releases the claim on a topic. `expected` is the owner that the
    /// caller has seen; another one means that it lost a race.
    pub fn claim_topic(
        &self,
        topic: &TopicRef,
        expected: Option<&str>,
        owner: Option<&str>,
    ) -> Decision<Result<(), ClaimTopicError>> {
        let Some(topic) = self.find_topic(topic) else {
            return Decision::nothing(Err(ClaimTopicError::UnknownTopic));
        };
        let found = topic.owner.as_deref();
        if found == owner {
            return Decision::nothing(Ok(()));
        }
        if found != expected {
            let owner = topic.owner.clone();
            return Decision::nothing(Err(ClaimTopicError::Claimed { owner }));
        }
        let record = Record::ClaimTopic { topic_id: topic.id, owner: owner.map(Arc::from) };
        Decision { records: vec![record], reply: Ok(()) }
    }
}
