//! Can openraft live in the storm? Three voters over the simulated disk and network, a client that
//! writes through whoever leads, kills, power losses and cuts; and one seed run twice gives one trace.
//!
//! This is the spike of ADR 0005, not the quorum: there are no snapshots, and
//! the state machine is a list.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::time::Duration;

use openraft::RaftTypeConfig;
use world::simulated::{HostId, Simulation, SimulationOptions, Trace};

mod log_store;
mod runtime;
mod state_machine;
mod transport;
mod voter;

use voter::{Lobby, Voters};

/// Values that the client writes.
const VALUES: usize = 200;

const VOTERS: u64 = 3;

openraft::declare_raft_types!(
    /// openraft on tokio's current thread, with dice from a seed that follows each task.
    pub(crate) Types:
        D = String,
        R = (),
        Node = openraft::impls::EmptyNode,
        LeaderId = openraft::impls::leader_id_std::LeaderId<Self::Term, Self::NodeId>,
        AsyncRuntime = Runtime,
);

/// Time and tasks from the runtime that the world drives, dice from the task's seed.
pub(crate) type Runtime = openraft_rt::deterministic_rng::DeterministicRng<runtime::WorldRuntime>;

pub(crate) type NodeId = <Types as RaftTypeConfig>::NodeId;

/// What came of a run.
struct Outcome {
    trace: Trace,
    leaders: usize,
}

/// Lets `condition` become true within a virtual minute.
async fn until(simulation: &Simulation, what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        simulation.sleep(Duration::from_millis(10)).await;
    }
    panic!("seed {}: not within a minute: {what}", simulation.seed());
}

async fn storm(simulation: &Simulation) -> usize {
    let hosts: Vec<HostId> =
        (0..VOTERS).map(|id| simulation.add_host(&voter::host_name(id))).collect();
    let client = simulation.add_host("client");
    let lobby = Lobby::default();
    let voters = Voters::new(simulation, &hosts, &lobby);
    voters.start_all();
    simulation.start(client, {
        let lobby = lobby.clone();
        move |world| Box::pin(voter::write_values(world, lobby, VALUES))
    });

    let mut random = simulation.random("spike");
    let mut leaders = 0;
    for (round, acked) in [30, 60, 90, 120, 150].into_iter().enumerate() {
        until(simulation, "writes go on", || lobby.acked().len() >= acked).await;
        until(simulation, "somebody leads", || lobby.leader().is_some()).await;
        let leader = hosts[usize::try_from(lobby.leader().unwrap()).unwrap()];
        let follower = *hosts.iter().find(|host| **host != leader).unwrap();
        match round {
            0 => simulation.kill(leader),
            1 => simulation.power_loss(follower),
            2 => hosts.iter().for_each(|host| simulation.cut(leader, *host)),
            3 => simulation.power_loss(leader),
            _ => hosts.iter().for_each(|host| simulation.power_loss(*host)),
        }
        // Three are down in the last round: nobody can lead before they are back.
        let down = Duration::from_millis(random.within(500..4000));
        simulation.sleep(down).await;
        leaders += usize::from(lobby.leader().is_some_and(|now| hosts[now as usize] != leader));
        simulation.heal_all();
        voters.start_all();
    }
    until(simulation, "all is written", || lobby.acked().len() == VALUES).await;
    let agree = || {
        let all: Vec<_> = (0..VOTERS).map(|id| lobby.applied(id)).collect();
        all[0].len() >= VALUES && all.iter().all(|applied| *applied == all[0])
    };
    until(simulation, "all voters agree", agree).await;
    let applied = lobby.applied(0);
    for value in lobby.acked() {
        assert!(applied.contains(&value), "seed {}: lost {value}", simulation.seed());
    }
    leaders
}

fn run(seed: u64) -> Outcome {
    let options = SimulationOptions { trace_lines_max: 200_000, ..SimulationOptions::new(seed) };
    let simulation = Simulation::new(options);
    let leaders = simulation.run(storm(&simulation));
    Outcome { trace: simulation.trace(), leaders }
}

#[test]
fn three_voters_lose_nothing_and_one_seed_gives_one_trace() {
    let mut hashes = Vec::new();
    let mut leaders = 0;
    for seed in 0..8 {
        let (one, two) = (run(seed), run(seed));
        assert_eq!(one.trace.first_difference(&two.trace), None, "seed {seed}");
        println!("seed {seed}: {} events, hash {:016x}", one.trace.events(), one.trace.hash());
        hashes.push(one.trace.hash());
        leaders += one.leaders;
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 8, "each seed is a story of its own");
    assert!(leaders >= 8, "leaders changed {leaders} times");
}
