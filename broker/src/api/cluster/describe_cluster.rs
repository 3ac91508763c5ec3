//! Answers ApiKey 60, DescribeCluster: the brokers, for those who administer.

use wire::describe_cluster::response::DescribeClusterBroker;
use wire::{DescribeClusterRequest, DescribeClusterResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::{number, text};
use super::operations;

/// Kafka's codes of what a client believes to talk to.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(call: Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let refused = |code, message: String| DescribeClusterResponse {
        error_code: number(code),
        error_message: text(&message),
        ..Default::default()
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "this is a broker's listener, not a controller's".to_owned();
            return refused(ErrorCode::MismatchedEndpointType, message);
        }
        other => {
            let message = format!("there is no endpoint of type {other}");
            return refused(ErrorCode::UnsupportedEndpointType, message);
        }
    }
    let state = call.state();
    let brokers = state
        .image
        .brokers()
        .filter(|(_, broker)| request.include_fenced_brokers || !broker.fenced)
        .filter(|(_, broker)| !broker.is_controller_only);
    let brokers = brokers.map(|(id, broker)| {
        let (host, port) = call.address_of(broker);
        DescribeClusterBroker {
            broker_id: id.0,
            host,
            port,
            rack: broker.rack.as_deref().map(Str::from),
            is_fenced: broker.fenced,
            ..Default::default()
        }
    });
    DescribeClusterResponse {
        error_message: None,
        cluster_id: Str::from(&*call.shared().cluster_id),
        controller_id: call.shared().controller().0,
        brokers: brokers.collect(),
        cluster_authorized_operations: operations::if_asked(
            request.include_cluster_authorized_operations,
            operations::CLUSTER,
        ),
        ..Default::default()
    }
}
