//! InitProducerId.

use wire::InitProducerIdRequest;

use crate::exchange::{text, versions, with_broker};

#[test]
fn every_version_of_init_producer_id_gives_an_id_that_nobody_had() {
    with_broker(async |peer| {
        let mut ids = Vec::new();
        for version in versions::<InitProducerIdRequest>() {
            let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
            let given = peer.ask(request, version).await;
            assert_eq!((given.error_code, given.producer_epoch), (0, 0), "v{version}");
            assert!(!ids.contains(&given.producer_id) && given.producer_id >= 0);
            ids.push(given.producer_id);
        }
    });
}

#[test]
fn a_producer_that_comes_back_with_its_id_gets_a_new_one() {
    with_broker(async |peer| {
        let ask = |producer_id, producer_epoch| InitProducerIdRequest {
            transactional_id: None,
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        let first = peer.ask(ask(-1, -1), 5).await;
        for version in 3..=5 {
            let second = peer.ask(ask(first.producer_id, 0), version).await;
            assert_eq!((second.error_code, second.producer_epoch), (0, 0));
            assert_ne!(second.producer_id, first.producer_id);
            let half = peer.ask(ask(first.producer_id, -1), version).await;
            assert_eq!((half.error_code, half.producer_id, half.producer_epoch), (42, -1, -1));
        }
    });
}

#[test]
fn an_empty_transactional_id_is_an_invalid_request() {
    with_broker(async |peer| {
        for version in versions::<InitProducerIdRequest>() {
            let transactional_id = Some(text(""));
            let request = InitProducerIdRequest { transactional_id, ..Default::default() };
            assert_eq!(peer.ask(request, version).await.error_code, 42);
        }
    });
}
