//! The switchboard: which handler answers which API, and nothing about what an answer means.
//!
//! ```text
//! frame ─► head ─► version gate ─► decode ─► room::file::handle(call, request) ─► encode ─► reply
//! ```
//!
//! A request that cannot be read ends its connection, as in Kafka: what follows it cannot be trusted.
//! Produce and Fetch take the raw frame, because their visitors materialise nothing.

mod cluster;
mod context;
mod data;
mod errors;
mod forward;
mod group;
mod offsets;
mod settings;
mod topics;
mod txn;
mod upkeep;

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wire::frame::{self, Head, HeadError};
use wire::{ApiKey, DecodeError, ErrorCode, Reader, Request, Response, Str};
use world::clock::LocalFuture;

pub(crate) use context::Context;
pub(crate) use errors::KafkaCode;
pub(crate) use topics::create_topics::create as create_topics;
pub(crate) use upkeep::voters;

use crate::net::Reply;
use crate::shared::Shared;
use context::Call;

/// The list of what this broker answers. One row, one file.
///
/// What is Klamm's own ([`ApiKey::is_private`]) and what brokers ask each other is privileged: answered on
/// internal listeners, advertised on none.
macro_rules! switchboard {
    (
        raw { $($raw_api:ident => $raw_room:ident::$raw_file:ident,)* }
        decoded { $($api:ident => $room:ident::$file:ident,)* }
        controller { $($controller_api:ident => $controller_room:ident::$controller_file:ident,)* }
        brokers { $($broker_api:ident => $broker_room:ident::$broker_file:ident,)* }
    ) => {
        /// Every API that clients are answered, and so advertised.
        pub(crate) const SERVED: &[ApiKey] =
            &[$(ApiKey::$raw_api,)* $(ApiKey::$api,)* $(ApiKey::$controller_api,)*];
        /// What brokers ask each other.
        const BETWEEN_BROKERS: &[ApiKey] = &[$(ApiKey::$broker_api,)*];
        /// What only the active controller answers.
        const CONTROLLER: &[ApiKey] = &[$(ApiKey::$controller_api,)*];

        fn dispatch(call: Call, key: ApiKey, body: Body) -> LocalFuture<Reply> {
            match key {
                $(ApiKey::$raw_api => Box::pin($raw_room::$raw_file::handle(call, body)),)*
                $(ApiKey::$api => decoded(call, body, $room::$file::handle),)*
                $(ApiKey::$controller_api => {
                    let shared = Arc::clone(call.shared());
                    let answer = decoded(call, body, $controller_room::$controller_file::handle);
                    Box::pin(obeyed(shared, answer))
                })*
                $(ApiKey::$broker_api => decoded(call, body, $broker_room::$broker_file::handle),)*
                other => refuse(format!("{} is not served", other.name())),
            }
        }
    };
}

switchboard! {
    raw {
        Produce => data::produce,
        Fetch => data::fetch,
    }
    decoded {
        ListOffsets => data::list_offsets,
        ListTimestamps => data::list_timestamps,
        OffsetForLeaderEpoch => data::offset_for_leader_epoch,
        DeleteRecords => data::delete_records,
        FindCoordinator => group::find_coordinator,
        JoinGroup => group::join_group,
        SyncGroup => group::sync_group,
        Heartbeat => group::heartbeat,
        LeaveGroup => group::leave_group,
        DescribeGroups => group::describe_groups,
        ListGroups => group::list_groups,
        DeleteGroups => group::delete_groups,
        ResetGroupOffsets => offsets::reset_group_offsets,
        OffsetCommit => offsets::offset_commit,
        OffsetFetch => offsets::offset_fetch,
        OffsetDelete => offsets::offset_delete,
        InitProducerId => txn::init_producer_id,
        DescribeLogDirs => topics::describe_log_dirs,
        DescribeConfigs => settings::describe_configs,
        ApiVersions => cluster::api_versions,
        Metadata => cluster::metadata,
        DescribeCluster => cluster::describe_cluster,
        ValidateConfig => upkeep::validate_config,
        WatchMetadata => upkeep::watch_metadata,
    }
    controller {
        CreateTopics => topics::create_topics,
        DeleteTopics => topics::delete_topics,
        CreatePartitions => topics::create_partitions,
        ElectLeaders => topics::elect_leaders,
        AlterPartitionReassignments => topics::alter_partition_reassignments,
        ListPartitionReassignments => topics::list_partition_reassignments,
        AlterConfigs => settings::alter_configs,
        IncrementalAlterConfigs => settings::incremental_alter_configs,
        DescribeQuorum => cluster::describe_quorum,
        AddRaftVoter => cluster::add_raft_voter,
        RemoveRaftVoter => cluster::remove_raft_voter,
        UnregisterBroker => cluster::unregister_broker,
        UpdateFeatures => cluster::update_features,
        RestartCheck => upkeep::restart_check,
        DisruptionLease => upkeep::disruption_lease,
        DrainBroker => upkeep::drain_broker,
        CordonBroker => upkeep::cordon_broker,
        DescribeBrokers => upkeep::describe_brokers,
        ForgetBroker => upkeep::forget_broker,
        BalanceCluster => upkeep::balance_cluster,
    }
    brokers {
        QuorumMessage => cluster::quorum_message,
        FetchMetadata => cluster::fetch_metadata,
        Envelope => cluster::envelope,
        BrokerRegistration => cluster::broker_registration,
        BrokerHeartbeat => cluster::broker_heartbeat,
        AlterPartition => cluster::alter_partition,
        AllocateProducerIds => cluster::allocate_producer_ids,
    }
}

/// A request's frame, and where its body begins.
pub(crate) struct Body {
    pub(crate) frame: BytesMut,
    pub(crate) at: usize,
}

/// Starts the request that a frame holds; one that is the active controller's goes there.
pub(crate) fn start(context: &Rc<Context>, frame: BytesMut) -> LocalFuture<Reply> {
    let shared = &context.shard.shared;
    let may_forward = !shared.leadership().is_me;
    start_with(context, frame, |call, key, body| {
        let is_between_brokers = BETWEEN_BROKERS.contains(&key);
        if (is_between_brokers || key.is_private()) && !is_internal(context) {
            return refuse(format!("{} is not served on {}", key.name(), context.listener));
        }
        if key == ApiKey::DescribeBrokers
            && let Some(why) = shared.hindrance.why()
        {
            // Whoever operates it asks this first, and nobody else can answer.
            let answer = upkeep::describe_brokers::hindered(&why);
            let encoded = encode(&answer, call.version, call.correlation_id);
            return Box::pin(std::future::ready(encoded));
        }
        if !is_between_brokers && key != ApiKey::ApiVersions && !shared.is_serving() {
            // As if nobody listened yet: clients try again, here or elsewhere. Of a connection that is
            // closed in order some believe that they are not wanted, and give up.
            let reason = "the broker is starting".to_owned();
            return Box::pin(std::future::ready(Reply::Reset(reason)));
        }
        if may_forward && CONTROLLER.contains(&key) {
            return Box::pin(forward::to_controller(call, body));
        }
        dispatch(call, key, body)
    })
}

/// Whether the connection came in by a listener of brokers and of who operates them.
fn is_internal(context: &Context) -> bool {
    context.shard.shared.state().settings.broker.is_internal(&context.listener)
}

/// Starts a request for the active controller, on the node that is it.
fn start_here(context: &Rc<Context>, frame: BytesMut) -> LocalFuture<Reply> {
    start_with(context, frame, |call, key, body| {
        if CONTROLLER.contains(&key) {
            dispatch(call, key, body)
        } else {
            refuse(format!("{} is not passed on", key.name()))
        }
    })
}

fn start_with(
    context: &Rc<Context>,
    frame: BytesMut,
    dispatch: impl FnOnce(Call, ApiKey, Body) -> LocalFuture<Reply>,
) -> LocalFuture<Reply> {
    let (head, at) = match head(&frame) {
        Ok(read) => read,
        Err(error) => return refuse(format!("cannot read the request's header: {error}")),
    };
    let Head { key, version, correlation_id, client_id } = head;
    let call = Call { context: Rc::clone(context), version, correlation_id, client_id };
    call.shared().metrics.request(key);
    if !versions(key).contains(&version) {
        if key == ApiKey::ApiVersions {
            return Box::pin(std::future::ready(cluster::api_versions::unsupported(&call)));
        }
        return refuse(format!("version {version} of {} is not served", key.name()));
    }
    dispatch(call, key, Body { frame, at })
}

/// Reads the header off a copy of the frame's first bytes: the frame must stay the only owner of its
/// buffer, so that Produce can stamp batches in place. Returns where the body begins.
fn head(frame: &[u8]) -> Result<(Head, usize), HeadError> {
    /// Enough for any header but one with a very long client id or with tagged fields that nobody uses.
    const USUAL_BYTES: usize = 128;
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
        let before = reader.remaining();
        Head::decode(&mut reader).map(|head| (head, before - reader.remaining()))
    };
    match read(&frame[..frame.len().min(USUAL_BYTES)]) {
        Err(HeadError::Decode(DecodeError::UnexpectedEnd { .. })) => read(frame),
        read => read,
    }
}

/// The versions that are answered. Equal to Kafka's stable ones, but for what stands here.
///
/// | API | answered | why |
/// | --- | --- | --- |
/// | Produce | 3 to 13, advertised from 0 | older librdkafka stops compressing if 0 is missing (KAFKA-18659) |
/// | InitProducerId | 0 to 5 | version 6 is unstable in Kafka 4.4 |
fn versions(key: ApiKey) -> std::ops::RangeInclusive<i16> {
    key.versions()
}

/// What ApiVersions tells: [`versions`], and the one exception.
pub(crate) fn advertised(key: ApiKey) -> std::ops::RangeInclusive<i16> {
    let versions = versions(key);
    if key == ApiKey::Produce { 0..=*versions.end() } else { versions }
}

/// Reads the request, has it answered, writes the response.
fn decoded<R, F>(call: Call, body: Body, handle: fn(Call, R) -> F) -> LocalFuture<Reply>
where
    R: Request + 'static,
    F: Future<Output = R::Response> + 'static,
{
    let mut bytes = body.frame.freeze();
    let request = R::decode_exact(bytes.split_off(body.at), call.version);
    let (version, correlation_id) = (call.version, call.correlation_id);
    match request {
        Ok(request) => {
            call.shared().metrics.decoded(R::API_KEY);
            let answer = handle(call, request);
            Box::pin(async move { encode(&answer.await, version, correlation_id) })
        }
        Err(error) => refuse(format!("cannot read {} v{version}: {error}", R::NAME)),
    }
}

/// The answer, once the partitions of this broker obey what was decided: a client that then uses what it
/// has asked for finds it so.
async fn obeyed(shared: Arc<Shared>, answer: LocalFuture<Reply>) -> Reply {
    let reply = answer.await;
    shared.followed.reached(shared.state().version).await;
    reply
}

/// A response as the connection sends it.
fn encode<R: Response>(response: &R, version: i16, correlation_id: i32) -> Reply {
    match frame::response(response, version, correlation_id) {
        Ok(segments) => Reply::Send(segments.into_iter().collect()),
        // A handler has filled a field that the version lacks: our bug, told loudly.
        Err(error) => Reply::Close(format!("cannot write {} v{version}: {error}", R::NAME)),
    }
}

fn refuse(reason: String) -> LocalFuture<Reply> {
    Box::pin(std::future::ready(Reply::Close(reason)))
}

/// A code's number, which is what messages hold.
fn number(code: ErrorCode) -> i16 {
    code.number()
}

/// A message for the client.
fn text(error: &impl std::fmt::Display) -> Option<Str> {
    Some(Str::from(error.to_string().as_str()))
}
