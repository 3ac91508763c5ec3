//! Answers ApiKey 10, FindCoordinator: which broker keeps a group. The first question of all creates
//! the internal topic that groups are kept in.

use engine::metadata::CONSUMER_OFFSETS;
use wire::find_coordinator::response::Coordinator;
use wire::{ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse, Str};

use super::super::context::Call;
use super::super::number;
use super::super::topics::auto_create;
use crate::coordinator::partition_of;

/// Many keys in one request, from here on (KIP-699).
const BATCHED_SINCE: i16 = 4;

/// Kafka's codes of what is coordinated.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Where a coordinator is.
struct Place {
    node_id: i32,
    host: Str,
    port: i32,
}

type Found = Result<Place, (ErrorCode, String)>;

pub(crate) async fn handle(call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if call.version < BATCHED_SINCE {
        let Coordinator { node_id, host, port, error_code, error_message, .. } =
            answer(request.key.clone(), find(&call, request.key_type, &request.key).await);
        return FindCoordinatorResponse {
            error_code,
            error_message,
            node_id,
            host,
            port,
            ..Default::default()
        };
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let found = find(&call, request.key_type, &key).await;
        coordinators.push(answer(key, found));
    }
    FindCoordinatorResponse { coordinators, error_message: None, ..Default::default() }
}

fn answer(key: Str, found: Found) -> Coordinator {
    let (place, error_code, error_message) = match found {
        Ok(place) => (place, 0, None),
        Err((code, message)) => {
            let nowhere = Place { node_id: -1, host: Str::EMPTY, port: -1 };
            (nowhere, number(code), Some(Str::from(message)))
        }
    };
    let Place { node_id, host, port } = place;
    Coordinator { key, node_id, host, port, error_code, error_message, ..Default::default() }
}

async fn find(call: &Call, key_type: i8, key: &str) -> Found {
    match key_type {
        GROUP => find_group(call, key).await,
        TRANSACTION => Err((
            // Not retriable: a producer fails at once instead of asking for ever.
            ErrorCode::TransactionalIdAuthorizationFailed,
            "transactions are not available in this version".to_owned(),
        )),
        other => {
            Err((ErrorCode::InvalidRequest, format!("nothing of type {other} is coordinated")))
        }
    }
}

async fn find_group(call: &Call, group: &str) -> Found {
    if partition_of(&call.state(), group).is_none() {
        create_offsets_topic(call).await?;
    }
    let unavailable = |why: &str| (ErrorCode::CoordinatorNotAvailable, why.to_owned());
    let state = call.state();
    let id = partition_of(&state, group).ok_or_else(|| unavailable("it is being created"))?;
    let topic = state.image.topic_by_id(id.topic).expect("the image that named it has it");
    let leader = topic.partition(id.index).and_then(|partition| partition.leader);
    let broker = leader.and_then(|leader| Some((leader, state.image.broker(leader)?)));
    let (leader, broker) = broker.ok_or_else(|| unavailable("its partition has no leader"))?;
    let (host, port) = call.address_of(broker);
    Ok(Place { node_id: leader.0, host, port })
}

/// Creates the topic; somebody else may have done so meanwhile.
async fn create_offsets_topic(call: &Call) -> Result<(), (ErrorCode, String)> {
    let created = auto_create::create(call, [CONSUMER_OFFSETS.to_owned()]).await;
    match created.into_iter().next() {
        None => Ok(()),
        Some((name, (code, why))) => {
            tracing::error!(
                topic = name,
                code = code.name(),
                why,
                "cannot create an internal topic"
            );
            Err((ErrorCode::CoordinatorNotAvailable, why))
        }
    }
}
