//! What is answered on which listener.

use client::connection::Connection;
use std::time::Duration;
use wire::{
    ApiKey, ApiVersionsRequest, BrokerHeartbeatRequest, DescribeBrokersRequest,
    DescribeQuorumRequest, EnvelopeRequest, QuorumMessageRequest, Request,
};
use world::World;
use world::real::RealOptions;

use crate::exchange::{Peer, with_settings};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs `test` with the port of each listener.
fn with_listeners(
    names: [&str; 3],
    more: &[(&str, &str)],
    test: impl AsyncFnOnce(&mut Peer, [u16; 3]),
) {
    let listeners = names.map(|name| format!("{name}://127.0.0.1:0")).join(",");
    let protocols = names.map(|name| format!("{name}:PLAINTEXT")).join(",");
    let mut settings =
        vec![("listeners", &*listeners), ("listener.security.protocol.map", &*protocols)];
    settings.extend(more);
    with_settings(&settings, async |peer| {
        let answer = peer.ask_newest(DescribeQuorumRequest::default()).await;
        let bound = &answer.nodes[0].listeners;
        let port =
            |name: &str| bound.iter().find(|one| *one.name == *name).expect("it is told").port;
        test(peer, names.map(port)).await;
    });
}

async fn connect(port: u16) -> Connection {
    let world = World::real(RealOptions::default());
    Connection::open(&world, "127.0.0.1", port, "tester").await.expect("it listens")
}

async fn is_answered<R: Request + Default>(port: u16) -> bool {
    let newest = *R::API_KEY.versions().end();
    connect(port).await.ask_at(&R::default(), newest, TIMEOUT).await.is_ok()
}

#[test]
fn what_brokers_ask_each_other_and_what_is_klamms_own_is_answered_on_internal_listeners_only() {
    let names = ["CLIENTS", "BROKERS", "FORWARD"];
    let internal = [("inter.broker.listener.name", "BROKERS")];
    with_listeners(names, &internal, async |_, ports| {
        for (port, is_internal) in ports.into_iter().zip([false, true, true]) {
            assert_eq!(is_answered::<DescribeBrokersRequest>(port).await, is_internal);
            assert_eq!(is_answered::<QuorumMessageRequest>(port).await, is_internal);
            assert_eq!(is_answered::<EnvelopeRequest>(port).await, is_internal);
            assert_eq!(is_answered::<BrokerHeartbeatRequest>(port).await, is_internal);
            assert!(is_answered::<DescribeQuorumRequest>(port).await, "it is no secret");
        }
    });
}

#[test]
fn nothing_privileged_is_advertised_and_who_asks_for_it_is_told_where_to() {
    let internal = [("inter.broker.listener.name", "BROKERS")];
    with_listeners(["CLIENTS", "BROKERS", "FORWARD"], &internal, async |peer, ports| {
        let told = peer.ask_newest(ApiVersionsRequest::default()).await.api_keys;
        let is_told = |key: ApiKey| told.iter().any(|one| one.api_key == key.number());
        assert!(!is_told(ApiKey::DescribeBrokers) && !is_told(ApiKey::Envelope));
        let asked = connect(ports[0]).await.ask(&DescribeBrokersRequest::default(), TIMEOUT).await;
        let error = asked.expect_err("clients are not answered");
        assert!(error.hint().expect("there is one").contains("inter.broker.listener.name"));
    });
}
