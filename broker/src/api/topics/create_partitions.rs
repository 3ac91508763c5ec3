//! Answers ApiKey 37, CreatePartitions: an entry for each topic asked for.

use engine::metadata::NewPartitions;
use wire::create_partitions::request::CreatePartitionsTopic;
use wire::create_partitions::response::CreatePartitionsTopicResult;
use wire::{CreatePartitionsRequest, CreatePartitionsResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};

pub(crate) async fn handle(
    call: Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let asked: Vec<NewPartitions> = request.topics.iter().map(read).collect();
    let validate_only = request.validate_only;
    let decided = call.shared().control.decide(move |c| c.create_partitions(asked, validate_only));
    let results = match decided.await {
        Ok(results) => {
            let results = results.into_iter();
            results.map(|(name, result)| describe(Str::from(name), result.err().as_ref())).collect()
        }
        Err(error) => {
            let names = request.topics.iter().map(|topic| topic.name.clone());
            names.map(|name| describe(name, Some(&error))).collect()
        }
    };
    CreatePartitionsResponse { results, ..Default::default() }
}

fn read(topic: &CreatePartitionsTopic) -> NewPartitions {
    let assignments = topic.assignments.as_ref();
    NewPartitions {
        topic: topic.name.to_string(),
        count: topic.count,
        assignments: assignments
            .map(|assignments| assignments.iter().map(|one| one.broker_ids.clone()).collect()),
    }
}

fn describe<E>(name: Str, error: Option<&E>) -> CreatePartitionsTopicResult
where
    E: KafkaCode + std::fmt::Display,
{
    CreatePartitionsTopicResult {
        name,
        error_code: error.map_or(0, |error| number(error.code())),
        error_message: error.and_then(|error| text(error)),
        ..Default::default()
    }
}
