//! Answers ApiKey 3, Metadata: which brokers there are, and who leads which partition. Creates topics
//! that a client asks for, where client and broker both allow it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::metadata::{Partition, Topic, check_topic_name, is_internal};
use wire::metadata::request::MetadataRequestTopic;
use wire::metadata::response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use wire::{ErrorCode, MetadataRequest, MetadataResponse, Str, Uuid};

use super::super::context::Call;
use super::super::number;
use super::super::topics::auto_create;
use super::operations;
use crate::metadata::State;

/// Topics may be asked for by id from here on; the two versions before have the field and refuse it.
const IDS_SINCE: i16 = 12;

/// Which topics a request is about.
#[derive(Debug, PartialEq)]
enum Wanted {
    All,
    Names(BTreeSet<Str>),
    Ids(BTreeSet<Uuid>),
    /// Nothing that this version can say.
    Invalid(Vec<MetadataRequestTopic>),
}

impl Wanted {
    fn read(topics: Option<Vec<MetadataRequestTopic>>, version: i16) -> Self {
        let Some(topics) = topics else { return Self::All };
        if topics.is_empty() && version == 0 {
            return Self::All;
        }
        let is_invalid =
            |topic: &MetadataRequestTopic| topic.name.is_none() || !topic.topic_id.is_zero();
        if version < IDS_SINCE && topics.iter().any(is_invalid) {
            return Self::Invalid(topics);
        }
        let ids: BTreeSet<Uuid> =
            topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero()).collect();
        if !ids.is_empty() {
            return Self::Ids(ids);
        }
        Self::Names(topics.into_iter().filter_map(|topic| topic.name).collect())
    }
}

pub(crate) async fn handle(call: Call, request: MetadataRequest) -> MetadataResponse {
    let operations =
        operations::if_asked(request.include_topic_authorized_operations, operations::TOPIC);
    let wanted = Wanted::read(request.topics, call.version);
    let failed = match &wanted {
        Wanted::Names(names) if request.allow_auto_topic_creation => {
            create_missing(&call, names).await
        }
        Wanted::Invalid(topics) => return refuse(topics),
        _ => BTreeMap::new(),
    };
    let state = call.state();
    let topics = match wanted {
        Wanted::All => state.image.topics().map(|topic| describe(&state, topic)).collect(),
        Wanted::Ids(ids) => ids.into_iter().map(|id| by_id(&state, id)).collect(),
        Wanted::Names(names) => {
            names.into_iter().map(|name| by_name(&state, name, &failed)).collect()
        }
        Wanted::Invalid(_) => Vec::new(),
    };
    let authorized = |mut topic: MetadataResponseTopic| {
        // Only of what exists.
        if topic.error_code == 0 {
            topic.topic_authorized_operations = operations;
        }
        topic
    };
    MetadataResponse {
        brokers: live_brokers(&call, &state),
        cluster_id: Some(Str::from(&*call.shared().cluster_id)),
        controller_id: call.shared().controller().0,
        topics: topics.into_iter().map(authorized).collect(),
        cluster_authorized_operations: operations::if_asked(
            request.include_cluster_authorized_operations,
            operations::CLUSTER,
        ),
        ..Default::default()
    }
}

fn live_brokers(call: &Call, state: &State) -> Vec<MetadataResponseBroker> {
    let brokers = state.image.live_brokers().map(|(id, broker)| {
        let (host, port) = call.address_of(broker);
        MetadataResponseBroker {
            node_id: id.0,
            host,
            port,
            rack: broker.rack.as_deref().map(Str::from),
            ..Default::default()
        }
    });
    brokers.collect()
}

/// Creates the topics that are not there, if the broker allows it. Returns why some could not be.
async fn create_missing(call: &Call, names: &BTreeSet<Str>) -> BTreeMap<String, ErrorCode> {
    let state = call.state();
    let missing: Vec<String> = names
        .iter()
        .filter(|name| state.image.topic(name).is_none() && check_topic_name(name).is_ok())
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() || !state.settings.broker.auto_create_topics_enable {
        return BTreeMap::new();
    }
    let failed = auto_create::create(call, missing).await;
    failed.into_iter().map(|(name, (code, _))| (name, code)).collect()
}

fn by_name(
    state: &State,
    name: Str,
    failed: &BTreeMap<String, ErrorCode>,
) -> MetadataResponseTopic {
    if let Some(topic) = state.image.topic(&name) {
        return describe(state, topic);
    }
    let code = match check_topic_name(&name) {
        Err(_) => ErrorCode::InvalidTopic,
        Ok(()) => failed.get(name.as_str()).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition),
    };
    MetadataResponseTopic {
        error_code: number(code),
        is_internal: is_internal(&name),
        name: Some(name),
        ..Default::default()
    }
}

fn by_id(state: &State, id: Uuid) -> MetadataResponseTopic {
    match state.image.topic_by_id(id) {
        Some(topic) => describe(state, topic),
        None => MetadataResponseTopic {
            error_code: number(ErrorCode::UnknownTopicId),
            name: None,
            topic_id: id,
            ..Default::default()
        },
    }
}

fn refuse(topics: &[MetadataRequestTopic]) -> MetadataResponse {
    let topics = topics.iter().map(|topic| MetadataResponseTopic {
        error_code: number(ErrorCode::InvalidRequest),
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse { topics: topics.collect(), cluster_id: None, ..Default::default() }
}

fn describe(state: &State, topic: &Arc<Topic>) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions);
    let partitions =
        partitions.map(|(index, partition)| describe_partition(state, index, partition));
    MetadataResponseTopic {
        name: Some(Str::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn describe_partition(
    state: &State,
    partition_index: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let is_live = |id| state.image.broker(id).is_some_and(|broker| !broker.fenced);
    let leader = partition.leader.filter(|id| is_live(*id));
    let code = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    let offline = partition.replicas.iter().filter(|id| !is_live(**id));
    MetadataResponsePartition {
        error_code: number(code),
        partition_index,
        leader_id: leader.map_or(-1, |leader| leader.0),
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: partition.replicas.iter().map(|id| id.0).collect(),
        isr_nodes: partition.isr.iter().map(|id| id.0).collect(),
        offline_replicas: offline.map(|id| id.0).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use wire::metadata::request::MetadataRequestTopic;
    use wire::{Str, Uuid};

    use super::Wanted;

    fn named(name: &'static str) -> MetadataRequestTopic {
        let name = Some(Str::from_static(name));
        MetadataRequestTopic { name, ..Default::default() }
    }

    #[test]
    fn no_list_means_all_and_an_empty_list_none_but_in_version_0() {
        assert_eq!(Wanted::read(Some(Vec::new()), 0), Wanted::All);
        for version in 1..=13 {
            assert_eq!(Wanted::read(None, version), Wanted::All);
            assert_eq!(Wanted::read(Some(Vec::new()), version), Wanted::Names([].into()));
        }
    }

    #[test]
    fn a_topic_is_named_once_however_often_it_is_asked_for() {
        let names = [Str::from_static("a"), Str::from_static("b")];
        let asked = Some(vec![named("b"), named("a"), named("b")]);
        assert_eq!(Wanted::read(asked, 5), Wanted::Names(names.into()));
    }

    #[test]
    fn ids_are_refused_before_version_12() {
        let id = Uuid([7; 16]);
        let by_id = MetadataRequestTopic { name: None, topic_id: id, ..Default::default() };
        for version in [10, 11] {
            let asked = Some(vec![by_id.clone()]);
            assert_eq!(Wanted::read(asked, version), Wanted::Invalid(vec![by_id.clone()]));
        }
        assert_eq!(Wanted::read(Some(vec![by_id, named("a")]), 12), Wanted::Ids([id].into()));
    }
}
