//! Answers ApiKey 10011, BalanceCluster: what the balancer would do, and that it is to do so. The steps are
//! taken in `controller/balance.rs`.

use std::sync::Arc;

use engine::metadata::Controller;
use engine::metadata::balance::{Hold, Plan};
use engine::{BrokerId, TopicId};
use wire::balance_cluster::response::{BrokerShare, PlannedLeader, PlannedMove};
use wire::{BalanceClusterRequest, BalanceClusterResponse, ErrorCode, Str};
use world::tasks::{Pool, blocking};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};
use crate::controller::partition_sizes;
use crate::metadata::State;

/// What a request is for, as its number says.
const TELL: i8 = 0;
const BEGIN: i8 = 1;
const END: i8 = 2;

/// Moves that one answer tells; the rest is planned when these are done.
const MOVES_MAX: usize = 10_000;

pub(crate) async fn handle(call: Call, request: BalanceClusterRequest) -> BalanceClusterResponse {
    let refused = |code: ErrorCode, why: &dyn std::fmt::Display| BalanceClusterResponse {
        error_code: number(code),
        error_message: text(&why),
        ..Default::default()
    };
    let is_asked = match request.operation {
        TELL => None,
        BEGIN => Some(true),
        END => Some(false),
        other => {
            let why = format!("there is no operation {other}");
            return refused(ErrorCode::InvalidRequest, &why);
        }
    };
    let shared = call.shared();
    if let Some(is_asked) = is_asked {
        match shared.control.decide(move |c| c.ask_for_balance(is_asked)).await {
            Ok(Ok(())) => {}
            Ok(Err(too_low)) => return refused(too_low.code(), &too_low),
            Err(error) => return refused(error.code(), &error),
        }
    }
    let sizes = partition_sizes(shared).await;
    let state = shared.state();
    let planned_from = Arc::clone(&state);
    // A plan for thousands of partitions takes longer than others should wait.
    let plan = move || {
        let State { image, settings, .. } = &*planned_from;
        let controller = Controller { image, settings };
        (controller.plan_balance(&sizes, MOVES_MAX), controller.balance_hold())
    };
    let (plan, hold) = blocking(&*shared.world.tasks, Pool::Files, plan).await;
    tell(&state, &plan, hold)
}

fn tell(state: &State, plan: &Plan, hold: Option<Hold>) -> BalanceClusterResponse {
    let name = |id: TopicId| state.image.topic_by_id(id).map_or("", |topic| &*topic.name);
    let moves = plan.moves.iter().flatten().map(|one| PlannedMove {
        topic: Str::from(name(one.topic_id)),
        partition: one.index,
        from: one.from.0,
        to: one.to.0,
        bytes: bytes(one.bytes),
        ..Default::default()
    });
    let leaders = plan.leaders.iter().map(|one| PlannedLeader {
        topic: Str::from(name(one.topic_id)),
        partition: one.index,
        from: one.from.0,
        to: one.replicas.first().map_or(-1, |BrokerId(id)| *id),
        ..Default::default()
    });
    let brokers = plan.shares.iter().map(|(id, (now, then))| BrokerShare {
        broker_id: id.0,
        replicas: count(now.replicas),
        replicas_then: count(then.replicas),
        bytes: bytes(now.bytes),
        bytes_then: bytes(then.bytes),
        preferred: count(now.preferred),
        preferred_then: count(then.preferred),
        ..Default::default()
    });
    BalanceClusterResponse {
        error_message: None,
        is_running: state.image.is_balance_asked() || state.settings.broker.balance_enable,
        hold: hold.map(|hold| Str::from(hold.to_string())),
        moving: count(state.image.reassignments().count()),
        moves: moves.collect(),
        leaders: leaders.collect(),
        brokers: brokers.collect(),
        ..Default::default()
    }
}

fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn bytes(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
