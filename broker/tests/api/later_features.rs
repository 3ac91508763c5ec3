//! Fields whose feature arrives later: each gets Kafka 4.4's answer with that feature off.

use wire::describe_configs::request::DescribeConfigsResource;
use wire::offset_fetch::request::OffsetFetchRequestGroup;
use wire::{
    ApiKey, ApiVersionsRequest, DescribeConfigsRequest, DescribeLogDirsRequest,
    FindCoordinatorRequest, InitProducerIdRequest, OffsetFetchRequest,
};

use crate::exchange::{public_keys, text, versions, with_broker};
use crate::offsets::commit;

fn hello() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: text("tester"),
        client_software_version: text("1.0"),
        ..Default::default()
    }
}

#[test]
fn no_feature_of_kafka_is_supported_or_finalized() {
    with_broker(async |peer| {
        for version in 3..=5 {
            let answer = peer.ask(hello(), version).await;
            let supported = answer.supported_features.iter().map(|it| &*it.name);
            let finalized = answer.finalized_features.iter().map(|it| &*it.name);
            assert!(supported.eq(["klamm.metadata.version"]));
            assert!(finalized.eq(["klamm.metadata.version"]));
            assert!(!answer.zk_migration_ready);
        }
    });
}

#[test]
fn what_is_not_served_is_not_advertised() {
    with_broker(async |peer| {
        let answer = peer.ask(hello(), 5).await;
        let told: Vec<i16> = answer.api_keys.iter().map(|one| one.api_key).collect();
        for later in [
            ApiKey::AddPartitionsToTxn,
            ApiKey::EndTxn,
            ApiKey::SaslHandshake,
            ApiKey::CreateAcls,
            ApiKey::ConsumerGroupHeartbeat,
            ApiKey::ShareFetch,
            ApiKey::GetTelemetrySubscriptions,
            ApiKey::DescribeClientQuotas,
        ] {
            assert!(public_keys().any(|key| key == later));
            assert!(!told.contains(&later.number()), "{later}");
        }
    });
}

#[test]
fn transactions_are_refused_so_that_a_client_fails_at_once() {
    with_broker(async |peer| {
        for version in versions::<InitProducerIdRequest>() {
            let transactional_id = Some(text("orders"));
            let request = InitProducerIdRequest {
                transactional_id,
                transaction_timeout_ms: 1000,
                ..Default::default()
            };
            let answer = peer.ask(request, version).await;
            assert_eq!((answer.error_code, answer.producer_id), (53, -1));
        }
        for version in 1..=6 {
            let found = peer.coordinator("orders", 1, version).await;
            assert_eq!((found.error_code, found.node_id, found.port), (53, -1, -1));
            assert!(found.error_message.is_some_and(|message| message.contains("transactions")));
        }
    });
}

#[test]
fn share_groups_and_what_nobody_knows_have_no_coordinator() {
    with_broker(async |peer| {
        for version in versions::<FindCoordinatorRequest>().skip(1) {
            for key_type in [2, 9] {
                let found = peer.coordinator("g:t:0", key_type, version).await;
                assert_eq!((found.error_code, found.node_id), (42, -1), "v{version}");
            }
        }
    });
}

#[test]
fn offsets_are_stable_without_transactions_and_a_member_epoch_means_nothing_to_a_classic_group() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        commit(peer, "g", "orders", 3).await;
        for version in 7..=10 {
            let mut request = OffsetFetchRequest { require_stable: true, ..Default::default() };
            if version < 8 {
                (request.group_id, request.topics) = (text("g"), None);
            } else {
                let (group_id, topics) = (text("g"), None);
                request.groups =
                    vec![OffsetFetchRequestGroup { group_id, topics, ..Default::default() }];
            }
            if version >= 9 {
                request.groups[0].member_id = Some(text("m"));
                request.groups[0].member_epoch = 8;
            }
            let answer = peer.ask(request, version).await;
            let offset = if version < 8 {
                answer.topics[0].partitions[0].committed_offset
            } else {
                answer.groups[0].topics[0].partitions[0].committed_offset
            };
            assert_eq!(offset, 3, "v{version}");
        }
    });
}

#[test]
fn no_log_dir_is_cordoned() {
    with_broker(async |peer| {
        let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
        assert!(!peer.ask(request, 5).await.results[0].is_cordoned);
    });
}

#[test]
fn loggers_and_client_metrics_have_no_settings() {
    with_broker(async |peer| {
        for (resource_type, name) in [(8, "0"), (16, "subscription")] {
            let resource = DescribeConfigsResource {
                resource_type,
                resource_name: text(name),
                configuration_keys: None,
                ..Default::default()
            };
            let resources = vec![resource];
            let request = DescribeConfigsRequest { resources, ..Default::default() };
            let answer = peer.ask(request, 4).await.results.remove(0);
            assert_eq!((answer.error_code, answer.configs.len()), (0, 0));
        }
    });
}
