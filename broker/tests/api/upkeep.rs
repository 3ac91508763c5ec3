//! What operating takes, of a broker that is alone. (With several: `tests/quorum/upkeep.rs`.)

use wire::validate_config::request::ConfigToValidate;
use wire::{
    BalanceClusterRequest, CordonBrokerRequest, DescribeBrokersRequest, DisruptionLeaseRequest,
    DrainBrokerRequest, ForgetBrokerRequest, RestartCheckRequest, ValidateConfigRequest,
};

use crate::exchange::{text, with_broker};

#[test]
fn a_broker_that_is_alone_may_restart_and_what_that_means_is_told() {
    with_broker(async |peer| {
        peer.create("orders", 2).await;
        let request = RestartCheckRequest { broker_ids: vec![0], ..Default::default() };
        let said = peer.ask_newest(request).await;
        assert_eq!((said.error_code, said.is_ok), (0, true));
        assert!(said.harms.iter().all(|harm| harm.is_accepted));
        let kinds: Vec<i8> = said.harms.iter().map(|harm| harm.kind).collect();
        assert_eq!(kinds, [0, 1, 3], "its disk, its partitions, the quorum");
        let partitions = &said.harms[1].topics[0];
        assert_eq!((&*partitions.name, &*partitions.partitions), ("orders", &[0, 1][..]));
    });
}

#[test]
fn requests_that_make_no_sense_are_refused_with_words() {
    with_broker(async |peer| {
        let unknown = RestartCheckRequest { broker_ids: vec![0, 7], ..Default::default() };
        let said = peer.ask_newest(unknown).await;
        assert_eq!((said.error_code, said.error_message.is_some()), (102, true));
        for (operation, holder, ttl_ms) in [(9, "a", 5000), (0, "", 5000), (0, "a", 0)] {
            let holder = text(holder);
            let request =
                DisruptionLeaseRequest { operation, holder, ttl_ms, ..Default::default() };
            let said = peer.ask_newest(request).await;
            assert_eq!((said.error_code, said.error_message.is_some()), (42, true));
            assert_eq!(said.broker_id, -1);
        }
        let said = peer.ask_newest(DrainBrokerRequest { mode: 7, ..Default::default() }).await;
        assert_eq!((said.error_code, said.error_message.is_some()), (42, true));
        let said = peer.ask_newest(BalanceClusterRequest { operation: 3, ..Default::default() });
        let said = said.await;
        assert_eq!((said.error_code, said.error_message.is_some()), (42, true));
        let nobody = CordonBrokerRequest { broker_id: 7, ..Default::default() };
        assert_eq!(peer.ask_newest(nobody).await.error_code, 102);
        let nobody = ForgetBrokerRequest { broker_id: 7, ..Default::default() };
        assert_eq!(peer.ask_newest(nobody).await.error_code, 102);
        let running = peer.ask_newest(ForgetBrokerRequest::default()).await;
        assert_eq!(running.error_code, 42, "{:?}", running.error_message);
    });
}

#[test]
fn a_broker_tells_what_it_carries() {
    with_broker(async |peer| {
        peer.create("orders", 3).await;
        let said = peer.ask_newest(DescribeBrokersRequest::default()).await;
        let only = &said.brokers[0];
        assert_eq!((said.error_code, said.brokers.len(), only.broker_id), (0, 1, 0));
        assert_eq!((only.leaders, only.replicas, only.in_sync), (3, 3, 3));
        assert_eq!((only.preferred, only.preferred_led), (3, 3));
        assert!(only.is_controller && only.is_voter && !only.is_fenced && !only.is_drained);
        assert_eq!(only.port, i32::from(peer.port));
    });
}

#[test]
fn a_broker_that_is_alone_has_its_share() {
    with_broker(async |peer| {
        peer.create("orders", 3).await;
        for operation in [0, 1, 2] {
            let request = BalanceClusterRequest { operation, ..Default::default() };
            let said = peer.ask_newest(request).await;
            assert_eq!((said.error_code, said.hold), (0, None));
            assert_eq!((said.moves.len(), said.leaders.len(), said.moving), (0, 0, 0));
            let only = &said.brokers[0];
            assert_eq!((only.broker_id, only.replicas, only.replicas_then), (0, 3, 3));
            assert_eq!((only.preferred, only.preferred_then), (3, 3));
        }
    });
}

#[test]
fn settings_are_checked_and_not_set() {
    with_broker(async |peer| {
        let request = |resource_type, configs: &[(&str, &str)]| {
            let configs = configs.iter().map(|(name, value)| ConfigToValidate {
                name: text(name),
                value: text(value),
                ..Default::default()
            });
            let configs = configs.collect();
            ValidateConfigRequest { resource_type, configs, ..Default::default() }
        };
        let good = peer.ask_newest(request(2, &[("retention.ms", "5")])).await;
        assert_eq!((good.error_code, good.errors.len()), (0, 0));
        let bad = [("retension.ms", "5"), ("segment.bytes", "few"), ("retention.ms", "5")];
        let said = peer.ask_newest(request(2, &bad)).await.errors;
        let names: Vec<&str> = said.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["retension.ms", "segment.bytes"]);
        assert_eq!(said[0].hint.as_deref(), Some("did you mean retention.ms?"));
        assert!(!said[0].message.contains("hint"), "{said:?}");
        let said = peer.ask_newest(request(4, &[("num.partitions", "0")])).await.errors;
        assert_eq!((said.len(), &*said[0].name), (1, "num.partitions"));
        assert_eq!(peer.ask_newest(request(32, &[])).await.error_code, 42);
    });
}
