//! Answers ApiKey 19, CreateTopics. What may be created is decided in [`engine::metadata`]; when the
//! answer is sent, the topics have leaders.

use config::Described;
use engine::metadata::{Assignment, CreateTopicError, CreatedTopic, NewTopic};
use wire::create_topics::request::CreatableTopic;
use wire::create_topics::response::{CreatableTopicConfigs, CreatableTopicResult};
use wire::{CreateTopicsRequest, CreateTopicsResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};
use crate::shared::Shared;

pub(crate) async fn handle(call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    create(call.shared(), request).await
}

/// Has the controller, which is here, create topics.
pub(crate) async fn create(shared: &Shared, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let asked: Vec<NewTopic> =
        request.topics.iter().map(|topic| read(topic, shared.topic_dice())).collect();
    let validate_only = request.validate_only;
    let decided = shared.control.decide(move |c| c.create_topics(asked, validate_only));
    let topics = match decided.await {
        Ok(results) => results.into_iter().map(|(name, result)| describe(name, result)).collect(),
        Err(error) => {
            let refuse = |topic: &CreatableTopic| CreatableTopicResult {
                error_code: number(error.code()),
                error_message: text(&error),
                ..empty(topic.name.clone())
            };
            request.topics.iter().map(refuse).collect()
        }
    };
    CreateTopicsResponse { topics, ..Default::default() }
}

fn read(topic: &CreatableTopic, dice: [u64; 2]) -> NewTopic {
    let assignments = topic
        .assignments
        .iter()
        .map(|one| Assignment { partition: one.partition_index, brokers: one.broker_ids.clone() });
    let configs = topic.configs.iter();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs
            .map(|one| (one.name.to_string(), one.value.as_ref().map(ToString::to_string)))
            .collect(),
        dice,
    }
}

fn empty(name: Str) -> CreatableTopicResult {
    CreatableTopicResult { name, error_message: None, ..Default::default() }
}

fn describe(name: String, result: Result<CreatedTopic, CreateTopicError>) -> CreatableTopicResult {
    let empty = empty(Str::from(name));
    match result {
        Ok(created) => CreatableTopicResult {
            topic_id: created.id,
            num_partitions: created.partitions,
            replication_factor: created.replication_factor,
            configs: Some(created.configs.into_iter().map(describe_config).collect()),
            ..empty
        },
        Err(error) => CreatableTopicResult {
            error_code: number(error.code()),
            error_message: text(&error),
            ..empty
        },
    }
}

fn describe_config(config: Described) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: Str::from_static(config.key),
        value: config.value.map(Str::from),
        read_only: config.read_only,
        config_source: config.source.code(),
        is_sensitive: config.sensitive,
        ..Default::default()
    }
}
