//! Answers ApiKey 10007, DescribeBrokers: what brokers carry, how far they have recovered, and how far
//! their drains are.

use std::sync::Arc;

use engine::BrokerId;
use engine::metadata::{Broker, Decision, Drain, DrainProgress, Load, loads};
use wire::describe_brokers::response::{DescribedBroker, SupportedFeature};
use wire::{DescribeBrokersRequest, DescribeBrokersResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};

/// What the controller knows of one broker.
struct Facts {
    id: BrokerId,
    broker: Arc<Broker>,
    load: Load,
    drain: Option<DrainProgress>,
}

pub(crate) async fn handle(call: Call, request: DescribeBrokersRequest) -> DescribeBrokersResponse {
    let voters = super::voters(call.shared()).await;
    let asked = request.broker_ids;
    let decided = call.shared().control.decide(move |controller| {
        let loads = loads(controller.image);
        let is_asked = |id: BrokerId| asked.as_ref().is_none_or(|asked| asked.contains(&id.0));
        let brokers = controller.image.brokers().filter(|(id, _)| is_asked(*id));
        let facts = brokers.map(|(id, broker)| Facts {
            id,
            broker: Arc::clone(broker),
            load: loads.get(&id).copied().unwrap_or_default(),
            drain: controller.drain_progress(id),
        });
        Decision { records: Vec::new(), reply: facts.collect::<Vec<_>>() }
    });
    let facts = match decided.await {
        Ok(facts) => facts,
        Err(error) => {
            return DescribeBrokersResponse {
                error_code: number(error.code()),
                error_message: text(&error),
                ..Default::default()
            };
        }
    };
    let brokers = facts.into_iter().map(|one| DescribedBroker {
        is_voter: voters.iter().any(|voter| voter.is(one.id, &one.broker)),
        is_controller: one.id == call.shared().node,
        ..describe(&call, one)
    });
    let brokers = brokers.collect();
    DescribeBrokersResponse { error_message: None, brokers, ..Default::default() }
}

/// The answer of a broker that cannot serve.
pub(in crate::api) fn hindered(why: &str) -> DescribeBrokersResponse {
    DescribeBrokersResponse {
        error_code: number(ErrorCode::BrokerNotAvailable),
        error_message: text(&why),
        ..Default::default()
    }
}

fn describe(call: &Call, facts: Facts) -> DescribedBroker {
    let Facts { id, broker, load, drain } = facts;
    let (host, port) = call.address_of(&broker);
    let mode = match drain.as_ref().map(|progress| progress.drain) {
        None => 0,
        Some(Drain::Leadership) => 1,
        Some(Drain::All) => 2,
    };
    let obstacles = drain.iter().flat_map(|progress| &progress.obstacles);
    let obstacles = obstacles.map(|(obstacle, (count, first))| {
        Str::from(format!("{obstacle}: {count} partitions, as {first}"))
    });
    let features = broker.features.iter().map(|feature| SupportedFeature {
        name: Str::from(&*feature.name),
        min_level: feature.min,
        max_level: feature.max,
        ..Default::default()
    });
    DescribedBroker {
        broker_id: id.0,
        broker_epoch: broker.epoch,
        host,
        port,
        rack: broker.rack.as_deref().map(Str::from),
        is_fenced: broker.fenced,
        is_stopping: broker.in_controlled_shutdown,
        is_cordoned: broker.cordoned,
        drain: mode,
        is_drained: drain.as_ref().is_some_and(|progress| progress.is_done),
        obstacles: obstacles.collect(),
        leaders: count(load.leaders),
        replicas: count(load.replicas),
        in_sync: count(load.in_sync),
        preferred: count(load.preferred),
        preferred_led: count(load.preferred_led),
        features: features.collect(),
        ..Default::default()
    }
}

fn count(partitions: usize) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}
