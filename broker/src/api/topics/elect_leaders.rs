//! Answers ApiKey 43, ElectLeaders: of partitions that are named, or of all that need it.

use engine::metadata::{ElectLeadersReply, Election};
use wire::elect_leaders::response::{PartitionResult, ReplicaElectionResult};
use wire::{ElectLeadersRequest, ElectLeadersResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use super::by_topic::by_topic;

/// Before, only the partitions tell what failed.
const ERROR_SINCE: i16 = 1;

/// A code and what to say with it.
type Refusal = (ErrorCode, String);

pub(crate) async fn handle(call: Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let asked: Option<Vec<(String, i32)>> = request.topic_partitions.map(|topics| {
        let named = topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|index| (topic.topic.to_string(), *index))
        });
        named.collect()
    });
    let elected = elect(&call, request.election_type, asked.clone()).await;
    let error = elected.as_ref().map_or_else(|(code, _)| *code, |_| ErrorCode::None);
    let results: Vec<((String, i32), Option<Refusal>)> = match elected {
        Ok(results) => {
            let refusals = results.into_iter().map(|(partition, result)| {
                (partition, result.err().map(|error| (error.code(), error.to_string())))
            });
            refusals.collect()
        }
        Err(refusal) => {
            let asked = asked.unwrap_or_default().into_iter();
            asked.map(|partition| (partition, Some(refusal.clone()))).collect()
        }
    };
    let topics = by_topic(results).into_iter().map(|(topic, partitions)| ReplicaElectionResult {
        topic,
        partition_result: partitions.into_iter().map(describe).collect(),
        ..Default::default()
    });
    ElectLeadersResponse {
        error_code: if call.version >= ERROR_SINCE { number(error) } else { 0 },
        replica_election_results: topics.collect(),
        ..Default::default()
    }
}

async fn elect(
    call: &Call,
    election_type: i8,
    asked: Option<Vec<(String, i32)>>,
) -> Result<ElectLeadersReply, Refusal> {
    let election = match election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        other => {
            let why = format!("there is no election of type {other}");
            return Err((ErrorCode::InvalidRequest, why));
        }
    };
    let decided = call.shared().control.decide(move |c| c.elect_leaders(election, asked)).await;
    decided.map_err(|error| (error.code(), error.to_string()))
}

fn describe((partition_id, refusal): (i32, Option<Refusal>)) -> PartitionResult {
    let (code, error_message) = match refusal {
        None => (ErrorCode::None, None),
        Some((code, why)) => (code, Some(Str::from(why))),
    };
    PartitionResult { partition_id, error_code: number(code), error_message, ..Default::default() }
}
