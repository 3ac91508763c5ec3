//! Feature levels in a cluster whose brokers run different builds.

use wire::broker_registration::request::{Feature, Listener};
use wire::update_features::request::FeatureUpdateKey;
use wire::{
    BrokerRegistrationRequest, DescribeBrokersRequest, Request, Str, UnregisterBrokerRequest,
    UpdateFeaturesRequest, Uuid,
};

use super::cluster::{CLUSTER_ID, Cluster, NODES, TIMEOUT, run};

const NAME: &str = "klamm.metadata.version";
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_UPDATE_VERSION: i16 = 95;

async fn ask<R: Request>(cluster: &Cluster, id: i32, request: R) -> R::Response {
    let connection = cluster.connect(id).await.expect("it listens");
    connection.ask(&request, TIMEOUT).await.expect("it answers")
}

/// Has a broker whose build knows level 1 alone ask to be registered; gives the code.
async fn older_build_registers(cluster: &Cluster, leader: i32) -> i16 {
    let feature = Feature {
        name: Str::from_static(NAME),
        min_supported_version: 1,
        max_supported_version: 1,
        ..Default::default()
    };
    let listener = Listener {
        name: Str::from_static("PLAINTEXT"),
        host: Str::from_static("127.0.0.1"),
        port: 1,
        ..Default::default()
    };
    let request = BrokerRegistrationRequest {
        broker_id: 9,
        cluster_id: Str::from_static(CLUSTER_ID),
        incarnation_id: Uuid([9; 16]),
        listeners: vec![listener],
        features: vec![feature],
        log_dirs: vec![Uuid([9; 16])],
        previous_broker_epoch: -1,
        ..Default::default()
    };
    let connection = cluster.connect(leader).await.expect("it listens");
    // What brokers ask of each other is not advertised.
    let newest = *BrokerRegistrationRequest::API_KEY.versions().end();
    let answer = connection.ask_at(&request, newest, TIMEOUT).await.expect("it answers");
    answer.error_code
}

async fn finalize(cluster: &Cluster, through: i32, level: i16, upgrade_type: i8) -> i16 {
    let update = FeatureUpdateKey {
        feature: Str::from_static(NAME),
        max_version_level: level,
        upgrade_type,
        ..Default::default()
    };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
    ask(cluster, through, request).await.error_code
}

#[test]
fn a_broker_of_an_older_build_joins_until_the_level_is_finalized() {
    run(90, async |cluster| {
        let leader = cluster.settle().await;
        assert_eq!(older_build_registers(cluster, leader).await, UNSUPPORTED_VERSION);
        // Through any broker.
        let other = NODES.into_iter().find(|id| *id != leader).expect("there are three");
        assert_eq!(finalize(cluster, other, 1, 2).await, 0);
        assert_eq!(older_build_registers(cluster, leader).await, 0, "level 1 is finalized");
        assert_eq!(finalize(cluster, other, 2, 1).await, INVALID_UPDATE_VERSION);
        let said = ask(cluster, leader, DescribeBrokersRequest::default()).await;
        let levels = |id| {
            let broker = said.brokers.iter().find(|it| it.broker_id == id);
            broker.map(|it| (it.features[0].min_level, it.features[0].max_level))
        };
        assert_eq!((levels(leader), levels(9)), (Some((1, 2)), Some((1, 1))));
        let gone = UnregisterBrokerRequest { broker_id: 9, ..Default::default() };
        assert_eq!(ask(cluster, other, gone).await.error_code, 0);
        assert_eq!(finalize(cluster, other, 2, 1).await, 0);
        assert_eq!(older_build_registers(cluster, leader).await, UNSUPPORTED_VERSION);
        // It holds over a change of the controller, and of those who are there nobody is refused.
        cluster.kill(leader);
        let next = cluster.settle().await;
        assert_eq!(older_build_registers(cluster, next).await, UNSUPPORTED_VERSION);
        cluster.start(leader);
        cluster.settle().await;
    });
}
