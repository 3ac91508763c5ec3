//! The balancer on the active controller, and the return of preferred leaders: when, and with what they are
//! told. What is done decide [`engine::metadata::Controller::carry_on_balance`] and `return_leaders` there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::connection::Connection;
use engine::BrokerId;
use engine::metadata::Controller;
use engine::metadata::balance::{Round, Sizes};
use futures_util::future::join_all;
use wire::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use world::watch;

use crate::metadata::State;
use crate::shared::Shared;

/// Pause between two rounds, and before it is looked again whether one may begin.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a broker may take to tell how large its partitions are.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Balances when it is asked for, or by itself if it may. Goes on for ever.
pub(crate) async fn carry_on_balance(shared: Arc<Shared>) {
    let (mut leaderships, mut states) = (shared.leaderships(), shared.states());
    loop {
        let is_active = leaderships.borrow_and_update().is_me;
        let state = Arc::clone(&states.borrow_and_update());
        let wanted = wanted(&state);
        let is_done = !is_active || wanted == (false, false) || round(&shared).await;
        let interval_ms = state.settings.broker.balance_interval_ms.unsigned_abs();
        let pause = if is_done { Duration::from_millis(interval_ms) } else { PAUSE };
        tokio::select! {
            biased;
            changed = leaderships.changed() => if changed.is_err() { return },
            () = other_than(&mut states, wanted) => {}
            () = shared.world.clock.sleep(pause) => {}
        }
    }
}

/// Whether somebody has asked for it, and whether it may begin by itself.
fn wanted(state: &State) -> (bool, bool) {
    (state.image.is_balance_asked(), state.settings.broker.balance_enable)
}

/// Completes when something else is wanted.
async fn other_than(states: &mut watch::Receiver<Arc<State>>, before: (bool, bool)) {
    while wanted(&states.borrow_and_update()) == before {
        if states.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Begins what may be begun; says whether nothing is left to do.
async fn round(shared: &Arc<Shared>) -> bool {
    let state = shared.state();
    let controller = Controller { image: &state.image, settings: &state.settings };
    if let Some(hold) = controller.balance_hold() {
        // Nobody is asked for sizes that are not needed yet.
        tracing::debug!(%hold, "the balancer waits");
        return false;
    }
    let moves_max = state.settings.broker.balance_moves_max;
    let moves_max = usize::try_from(moves_max).expect("the setting is at least 2");
    let sizes = partition_sizes(shared).await;
    let decided = shared.control.decide(move |c| c.carry_on_balance(&sizes, moves_max)).await;
    match decided {
        Ok(Round { hold: Some(hold), .. }) => {
            tracing::debug!(%hold, "the balancer waits");
            false
        }
        Ok(Round { hold: None, begun: 0 }) => true,
        Ok(Round { hold: None, begun }) => {
            tracing::info!(partitions = begun, "balancing");
            false
        }
        Err(error) => {
            tracing::debug!(%error, "the balancer waits for the quorum");
            false
        }
    }
}

/// How large partitions are: of each, what that replica says that has most of it. Those of brokers that do
/// not answer are not known.
pub(crate) async fn partition_sizes(shared: &Arc<Shared>) -> Sizes {
    let state = shared.state();
    let others = state.image.live_brokers().map(|(id, _)| id).filter(|id| *id != shared.node);
    let asked = others.map(|id| ask(shared, id));
    let mut sizes: Sizes = BTreeMap::new();
    let mut add = |key, bytes: u64| {
        let size = sizes.entry(key).or_default();
        *size = bytes.max(*size);
    };
    for answer in join_all(asked).await.into_iter().flatten() {
        for topic in answer.results.iter().flat_map(|dir| &dir.topics) {
            let Some(known) = state.image.topic(&topic.name) else { continue };
            for one in &topic.partitions {
                add(
                    (known.id, one.partition_index),
                    u64::try_from(one.partition_size).unwrap_or(0),
                );
            }
        }
    }
    for (id, bytes) in shared.partition_sizes().await {
        add((id.topic, id.index), bytes);
    }
    sizes
}

async fn ask(shared: &Shared, id: BrokerId) -> Option<DescribeLogDirsResponse> {
    let (host, port) = shared.address_of(id)?;
    let name = format!("broker-{}", shared.node);
    let asked = async {
        let connection = Connection::open(&shared.world, &host, port, &name).await?;
        let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
        connection.ask(&request, TIMEOUT).await
    };
    let answer: Result<_, client::Error> = asked.await;
    answer
        .inspect_err(|error| {
            tracing::debug!(broker = id.0, %error, "it does not tell how large its partitions are");
        })
        .ok()
}

/// Gives brokers back what they are preferred to lead, at an interval (`auto.leader.rebalance.enable`). Goes
/// on for ever.
pub(crate) async fn return_leaders(shared: Arc<Shared>) {
    loop {
        let seconds = shared.state().settings.broker.leader_imbalance_check_interval_seconds;
        shared.world.clock.sleep(Duration::from_secs(seconds.unsigned_abs())).await;
        let state = shared.state();
        let percentage = state.settings.broker.leader_imbalance_per_broker_percentage;
        let may = state.settings.broker.auto_leader_rebalance_enable;
        // One decision after the other returns some; the last returns none.
        while may && shared.leadership().is_me {
            match shared.control.decide(move |c| c.return_leaders(percentage)).await {
                Ok(0) => break,
                Ok(returned) => {
                    tracing::info!(partitions = returned, "preferred leaders lead again");
                }
                Err(error) => {
                    tracing::debug!(%error, "leaders return later");
                    break;
                }
            }
        }
    }
}
