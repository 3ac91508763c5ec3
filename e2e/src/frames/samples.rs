//! A valid request for every API that is served, at every version, written by our own encoder.

use anyhow::{Context, Result};
use bytes::Bytes;
use wire::create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use wire::create_topics::request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use wire::record::{BatchBuilder, Codec, NewRecord};
use wire::*;

use super::Frame;

/// The topic that requests are about, and one that comes and goes.
const TOPIC: &str = "orders";
const SCRATCH: &str = "scratch";
const GROUP: &str = "inventory-service";
const MEMBER: &str = "member-1-2f0c";
const AUTHOR: &str = "wire";

/// Every sample. `id` is the id of the topic `orders`.
///
/// # Errors
/// When one cannot be encoded, which is a mistake in here.
pub fn all(id: Uuid) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    cluster(&mut frames, id)?;
    data(&mut frames, id)?;
    group(&mut frames)?;
    offsets(&mut frames, id)?;
    topics(&mut frames)?;
    replicas(&mut frames)?;
    settings(&mut frames)?;
    Ok(frames)
}

/// One frame per version that is served.
fn add<R: Request>(frames: &mut Vec<Frame>, sample: impl Fn(i16) -> R) -> Result<()> {
    let client = Str::from_static("sample");
    for version in R::API_KEY.versions() {
        let number = i32::try_from(frames.len())?;
        let encoded = frame::request(&sample(version), version, number, Some(&client));
        let encoded = encoded.with_context(|| format!("{} v{version}", R::NAME))?;
        frames.push(Frame::new(AUTHOR, encoded.into_bytes().to_vec())?);
    }
    Ok(())
}

/// `value` where the version has the field.
fn since<T: Default>(has: bool, value: T) -> T {
    if has { value } else { T::default() }
}

fn text(text: &'static str) -> Str {
    Str::from_static(text)
}

/// A topic's name until the versions that have its id.
fn named(has_id: bool) -> Str {
    since(!has_id, text(TOPIC))
}

fn cluster(frames: &mut Vec<Frame>, id: Uuid) -> Result<()> {
    use metadata::request::MetadataRequestTopic;

    add(frames, |v| ApiVersionsRequest {
        client_software_name: since(v >= 3, text("sample")),
        client_software_version: since(v >= 3, text("1.0")),
        ..Default::default()
    })?;
    add(frames, |v| DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        include_fenced_brokers: v >= 2,
        ..Default::default()
    })?;
    add(frames, |_| DescribeQuorumRequest {
        topics: vec![describe_quorum::request::TopicData {
            topic_name: text("__cluster_metadata"),
            partitions: vec![describe_quorum::request::PartitionData::default()],
            ..Default::default()
        }],
        ..Default::default()
    })?;
    // Four bytes away from the broker that is mutated at: without it there would be nobody to serve.
    let broker_id = 0x6363_6363;
    let directory = Uuid([5; 16]);
    add(frames, |v| AddRaftVoterRequest {
        cluster_id: None,
        timeout_ms: 1_000,
        voter_id: 9,
        voter_directory_id: directory,
        listeners: vec![add_raft_voter::request::Listener {
            name: text("PLAINTEXT"),
            host: text("127.0.0.1"),
            port: 1,
            ..Default::default()
        }],
        ack_when_committed: v < 1,
        ..Default::default()
    })?;
    add(frames, |_| RemoveRaftVoterRequest {
        cluster_id: None,
        voter_id: 9,
        voter_directory_id: directory,
        ..Default::default()
    })?;
    // Mutated, it must not lower what the other requests need.
    add(frames, |v| UpdateFeaturesRequest {
        feature_updates: vec![update_features::request::FeatureUpdateKey {
            feature: text("klamm.metadata.version"),
            max_version_level: 2,
            allow_downgrade: false,
            upgrade_type: 1,
            ..Default::default()
        }],
        validate_only: v >= 1,
        ..Default::default()
    })?;
    add(frames, |_| UnregisterBrokerRequest { broker_id, ..Default::default() })?;
    add(frames, |v| MetadataRequest {
        topics: Some(vec![
            MetadataRequestTopic { name: Some(text(TOPIC)), ..Default::default() },
            MetadataRequestTopic {
                topic_id: since(v >= 10, id),
                name: if v >= 10 { None } else { Some(text(SCRATCH)) },
                ..Default::default()
            },
        ]),
        allow_auto_topic_creation: v < 4,
        include_topic_authorized_operations: v >= 8,
        ..Default::default()
    })
}

fn batch(codec: Codec, producer: Option<i64>) -> Records {
    let mut batch = BatchBuilder::new(codec);
    if let Some(id) = producer {
        batch = batch.producer(id, 0, 0);
    }
    for n in 0..4 {
        batch.push(&NewRecord {
            timestamp: 1_700_000_000_000 + n,
            key: Some(Bytes::from_static(b"order-00017")),
            value: Some(Bytes::from_static(b"placed, paid, packed, packed, packed")),
            headers: vec![(Bytes::from_static(b"source"), Some(Bytes::from_static(b"web-shop")))],
        });
    }
    batch.finish().freeze().into()
}

fn data(frames: &mut Vec<Frame>, id: Uuid) -> Result<()> {
    use delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
    use fetch::request::{FetchPartition, FetchTopic, ForgottenTopic};
    use list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
    use offset_for_leader_epoch::request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    use produce::request::{PartitionProduceData, TopicProduceData};

    let produce = |v: i16, records: [Records; 2]| ProduceRequest {
        acks: if v % 2 == 0 { 1 } else { -1 },
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: named(v >= 13),
            topic_id: since(v >= 13, id),
            partition_data: (0..)
                .zip(records)
                .map(|(index, records)| PartitionProduceData {
                    index,
                    records: Some(records),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    add(frames, |v| produce(v, [batch(Codec::None, None), batch(Codec::Zstd, None)]))?;
    add(frames, |v| produce(v, [batch(Codec::Gzip, None), batch(Codec::Lz4, None)]))?;
    let producer = |v: i16| Some(7000 + i64::from(v));
    add(frames, |v| produce(v, [batch(Codec::None, producer(v)), batch(Codec::Snappy, None)]))?;
    add(frames, |v| FetchRequest {
        max_wait_ms: 5,
        min_bytes: 1,
        max_bytes: 64 << 10,
        isolation_level: 1,
        session_epoch: if v >= 7 { 0 } else { -1 },
        topics: vec![FetchTopic {
            topic: named(v >= 13),
            topic_id: since(v >= 13, id),
            partitions: (0..2)
                .map(|partition| FetchPartition {
                    partition,
                    current_leader_epoch: -1,
                    fetch_offset: 2,
                    partition_max_bytes: 4 << 10,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        forgotten_topics_data: since(
            v >= 7,
            vec![ForgottenTopic {
                topic: since(v < 13, text(SCRATCH)),
                topic_id: since(v >= 13, id),
                partitions: vec![2],
                ..Default::default()
            }],
        ),
        rack_id: since(v >= 11, text("rack-1")),
        ..Default::default()
    })?;
    add(frames, |v| ListOffsetsRequest {
        replica_id: -1,
        isolation_level: i8::from(v >= 2),
        topics: vec![ListOffsetsTopic {
            name: text(TOPIC),
            partitions: [(0, -1), (1, -2), (2, 1_700_000_000_001)]
                .map(|(partition_index, timestamp)| ListOffsetsPartition {
                    partition_index,
                    timestamp,
                    ..Default::default()
                })
                .into(),
            ..Default::default()
        }],
        timeout_ms: since(v >= 10, 1000),
        ..Default::default()
    })?;
    add(frames, |_| OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: text(TOPIC),
            partitions: vec![OffsetForLeaderPartition { leader_epoch: 0, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    })?;
    add(frames, |_| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: text(TOPIC),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 1,
                offset: 1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        timeout_ms: 1000,
        ..Default::default()
    })?;
    add(frames, |v| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: if v >= 3 { 7000 } else { -1 },
        producer_epoch: if v >= 3 { 0 } else { -1 },
        ..Default::default()
    })
}

fn group(frames: &mut Vec<Frame>) -> Result<()> {
    use join_group::request::JoinGroupRequestProtocol;
    use leave_group::request::MemberIdentity;
    use sync_group::request::SyncGroupRequestAssignment;

    add(frames, |v| FindCoordinatorRequest {
        key: since(v < 4, text(GROUP)),
        coordinator_keys: since(v >= 4, vec![text(GROUP), text("billing-service")]),
        ..Default::default()
    })?;
    add(frames, |v| JoinGroupRequest {
        group_id: text(GROUP),
        session_timeout_ms: 6000,
        rebalance_timeout_ms: if v >= 1 { 6000 } else { -1 },
        group_instance_id: since(v >= 5, Some(text("shelf-1"))),
        protocol_type: text("consumer"),
        protocols: [text("range"), text("roundrobin")]
            .map(|name| JoinGroupRequestProtocol {
                name,
                metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff"),
                ..Default::default()
            })
            .into(),
        reason: since(v >= 8, Some(text("rebalance"))),
        ..Default::default()
    })?;
    add(frames, |v| SyncGroupRequest {
        group_id: text(GROUP),
        generation_id: 1,
        member_id: text(MEMBER),
        protocol_type: since(v >= 5, Some(text("consumer"))),
        protocol_name: since(v >= 5, Some(text("range"))),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: text(MEMBER),
            assignment: Bytes::from_static(
                b"\0\0\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\xff\xff\xff\xff",
            ),
            ..Default::default()
        }],
        ..Default::default()
    })?;
    add(frames, |v| HeartbeatRequest {
        group_id: text(GROUP),
        generation_id: 1,
        member_id: text(MEMBER),
        group_instance_id: since(v >= 3, Some(text("shelf-1"))),
        ..Default::default()
    })?;
    add(frames, |v| LeaveGroupRequest {
        group_id: text(GROUP),
        member_id: since(v < 3, text(MEMBER)),
        members: since(
            v >= 3,
            vec![MemberIdentity {
                member_id: text(MEMBER),
                group_instance_id: Some(text("shelf-2")),
                reason: since(v >= 5, Some(text("closing"))),
                ..Default::default()
            }],
        ),
        ..Default::default()
    })?;
    add(frames, |v| DescribeGroupsRequest {
        groups: vec![text(GROUP), text("billing-service")],
        include_authorized_operations: v >= 3,
        ..Default::default()
    })?;
    add(frames, |v| ListGroupsRequest {
        states_filter: since(v >= 4, vec![text("Stable"), text("Empty")]),
        types_filter: since(v >= 5, vec![text("classic")]),
        ..Default::default()
    })?;
    add(frames, |_| DeleteGroupsRequest {
        groups_names: vec![text("billing-service")],
        ..Default::default()
    })
}

fn offsets(frames: &mut Vec<Frame>, id: Uuid) -> Result<()> {
    use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
    use offset_fetch::request::{
        OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    };
    use reset_group_offsets::request::{ResetPartition, ResetTopic};

    add(frames, |v| OffsetCommitRequest {
        group_id: text("billing-service"),
        topics: vec![OffsetCommitRequestTopic {
            name: named(v >= 10),
            topic_id: since(v >= 10, id),
            partitions: (0..2)
                .map(|partition_index| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: 3,
                    committed_leader_epoch: if v >= 6 { 0 } else { -1 },
                    committed_metadata: Some(text("till closed")),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    })?;
    add(frames, |v| OffsetFetchRequest {
        group_id: since(v < 8, text("billing-service")),
        topics: Some(since(
            v < 8,
            vec![OffsetFetchRequestTopic {
                name: text(TOPIC),
                partition_indexes: vec![0, 1, 2],
                ..Default::default()
            }],
        )),
        groups: since(
            v >= 8,
            vec![OffsetFetchRequestGroup {
                group_id: text("billing-service"),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: named(v >= 10),
                    topic_id: since(v >= 10, id),
                    partition_indexes: vec![0, 1, 2],
                    ..Default::default()
                }]),
                ..Default::default()
            }],
        ),
        require_stable: v >= 7,
        ..Default::default()
    })?;
    add(frames, |_| OffsetDeleteRequest {
        group_id: text("billing-service"),
        topics: vec![OffsetDeleteRequestTopic {
            name: text(TOPIC),
            partitions: vec![OffsetDeleteRequestPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    })?;
    add(frames, |_| ResetGroupOffsetsRequest {
        group_id: text("billing-service"),
        token: text("once-more"),
        topics: vec![ResetTopic {
            name: text(TOPIC),
            partitions: vec![ResetPartition { offset: 1, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    })
}

fn topics(frames: &mut Vec<Frame>) -> Result<()> {
    use delete_topics::request::DeleteTopicState;
    use describe_log_dirs::request::DescribableLogDirTopic;

    let scratch = |partitions: i32, assigned: &[i32]| CreatableTopic {
        name: text(SCRATCH),
        num_partitions: partitions,
        replication_factor: if assigned.is_empty() { 1 } else { -1 },
        assignments: (0..)
            .zip(assigned)
            .map(|(partition_index, broker)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: vec![*broker],
                ..Default::default()
            })
            .collect(),
        configs: vec![CreatableTopicConfig {
            name: text("retention.ms"),
            value: Some(text("600000")),
            ..Default::default()
        }],
        ..Default::default()
    };
    let create = |validate_only, topic| CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 1000,
        validate_only,
        ..Default::default()
    };
    add(frames, |_| create(false, scratch(2, &[])))?;
    add(frames, |_| create(true, scratch(-1, &[1, 1])))?;
    add(frames, |v| DeleteTopicsRequest {
        topics: since(
            v >= 6,
            vec![
                DeleteTopicState { name: Some(text(SCRATCH)), ..Default::default() },
                DeleteTopicState { topic_id: Uuid([9; 16]), ..Default::default() },
            ],
        ),
        topic_names: since(v < 6, vec![text(SCRATCH)]),
        timeout_ms: 1000,
        ..Default::default()
    })?;
    add(frames, |_| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: text(SCRATCH),
            count: 3,
            assignments: Some(vec![CreatePartitionsAssignment {
                broker_ids: vec![1],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        timeout_ms: 1000,
        ..Default::default()
    })?;
    add(frames, |_| DescribeLogDirsRequest {
        topics: Some(vec![DescribableLogDirTopic {
            topic: text(TOPIC),
            partitions: vec![0, 1],
            ..Default::default()
        }]),
        ..Default::default()
    })
}

fn replicas(frames: &mut Vec<Frame>) -> Result<()> {
    use alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
    use elect_leaders::request::TopicPartitions;
    use list_partition_reassignments::request::ListPartitionReassignmentsTopics;

    add(frames, |v| ElectLeadersRequest {
        election_type: i8::from(v >= 1),
        topic_partitions: Some(vec![TopicPartitions {
            topic: text(TOPIC),
            partitions: vec![0, 1],
            ..Default::default()
        }]),
        timeout_ms: 1000,
        ..Default::default()
    })?;
    add(frames, |_| AlterPartitionReassignmentsRequest {
        timeout_ms: 1000,
        topics: vec![ReassignableTopic {
            name: text(TOPIC),
            partitions: [Some(vec![1]), None]
                .map(|replicas| ReassignablePartition { replicas, ..Default::default() })
                .into(),
            ..Default::default()
        }],
        ..Default::default()
    })?;
    add(frames, |_| ListPartitionReassignmentsRequest {
        timeout_ms: 1000,
        topics: Some(vec![ListPartitionReassignmentsTopics {
            name: text(TOPIC),
            partition_indexes: vec![0, 1],
            ..Default::default()
        }]),
        ..Default::default()
    })
}

fn settings(frames: &mut Vec<Frame>) -> Result<()> {
    use {alter_configs, describe_configs, incremental_alter_configs};

    /// Kafka's codes of what has settings.
    const RESOURCES: [(i8, &str, &str, &str); 3] = [
        (2, TOPIC, "retention.ms", "604800000"),
        (4, "1", "log.retention.ms", "604800000"),
        (32, GROUP, "consumer.session.timeout.ms", "45000"),
    ];
    add(frames, |v| DescribeConfigsRequest {
        resources: RESOURCES
            .map(|(resource_type, name, key, _)| {
                describe_configs::request::DescribeConfigsResource {
                    resource_type,
                    resource_name: text(name),
                    configuration_keys: (v % 2 == 0).then(|| vec![text(key)]),
                    ..Default::default()
                }
            })
            .into(),
        include_synonyms: true,
        include_documentation: v >= 3,
        ..Default::default()
    })?;
    add(frames, |_| AlterConfigsRequest {
        resources: RESOURCES
            .map(|(resource_type, name, key, value)| alter_configs::request::AlterConfigsResource {
                resource_type,
                resource_name: text(name),
                configs: vec![alter_configs::request::AlterableConfig {
                    name: text(key),
                    value: Some(text(value)),
                    ..Default::default()
                }],
                ..Default::default()
            })
            .into(),
        ..Default::default()
    })?;
    add(frames, |_| IncrementalAlterConfigsRequest {
        resources: RESOURCES
            .map(|(resource_type, name, key, value)| {
                incremental_alter_configs::request::AlterConfigsResource {
                    resource_type,
                    resource_name: text(name),
                    configs: vec![incremental_alter_configs::request::AlterableConfig {
                        name: text(key),
                        value: Some(text(value)),
                        ..Default::default()
                    }],
                    ..Default::default()
                }
            })
            .into(),
        ..Default::default()
    })
}
