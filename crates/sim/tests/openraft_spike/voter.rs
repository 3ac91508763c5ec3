//! A voter as a process, the client as another, and the lobby where the test looks at both.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{AsyncRuntime, Config, Raft, SnapshotPolicy};
use world::simulated::{HostId, Simulation};
use world::{Stream, World};

use super::log_store::LogStore;
use super::state_machine::StateMachine;
use super::transport::{PORT, Peer, Peers, Request, Response, receive, send};
use super::{NodeId, Runtime, Types, VOTERS};

type Voter = Raft<Types, StateMachine>;

pub(crate) fn host_name(id: NodeId) -> String {
    format!("voter-{id}")
}

#[derive(Default)]
struct Seen {
    running: BTreeMap<NodeId, Voter>,
    applied: BTreeMap<NodeId, Vec<String>>,
    acked: Vec<String>,
}

/// What can be seen from outside of the processes.
#[derive(Clone, Default)]
pub(crate) struct Lobby(Rc<RefCell<Seen>>);

impl Lobby {
    /// Who leads, as its own metrics have it; the highest term if several believe so.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let seen = self.0.borrow();
        let leads = |(id, voter): (&NodeId, &Voter)| {
            let metrics = voter.metrics();
            let metrics = metrics.borrow_watched();
            (metrics.current_leader == Some(*id)).then_some((metrics.current_term, *id))
        };
        seen.running.iter().filter_map(leads).max().map(|(_, id)| id)
    }

    pub(crate) fn acked(&self) -> Vec<String> {
        self.0.borrow().acked.clone()
    }

    pub(crate) fn applied(&self, id: NodeId) -> Vec<String> {
        self.0.borrow().applied.get(&id).cloned().unwrap_or_default()
    }

    pub(crate) fn forget_applied(&self, id: NodeId) {
        self.0.borrow_mut().applied.remove(&id);
    }

    pub(crate) fn apply(&self, id: NodeId, value: String) {
        self.0.borrow_mut().applied.entry(id).or_default().push(value);
    }
}

/// Starts voters, at first and again.
pub(crate) struct Voters {
    simulation: Simulation,
    hosts: Vec<HostId>,
    lobby: Lobby,
}

impl Voters {
    pub(crate) fn new(simulation: &Simulation, hosts: &[HostId], lobby: &Lobby) -> Self {
        let (simulation, hosts, lobby) = (simulation.clone(), hosts.to_vec(), lobby.clone());
        Self { simulation, hosts, lobby }
    }

    /// Starts those that do not run.
    pub(crate) fn start_all(&self) {
        for (id, host) in (0..VOTERS).zip(&self.hosts) {
            if !self.simulation.is_running(*host) {
                let lobby = self.lobby.clone();
                self.simulation.start(*host, move |world| {
                    let seed = world.dice.next_u64("quorum");
                    Box::pin(Runtime::scope(seed, vote(world, id, lobby)))
                });
            }
        }
    }
}

/// A voter's main task.
async fn vote(world: World, id: NodeId, lobby: Lobby) {
    let config = Config {
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    let config = Arc::new(config.validate().unwrap());
    let log = LogStore::open(world.clone(), PathBuf::from("/quorum")).unwrap();
    let state_machine = StateMachine::new(id, lobby.clone());
    let voter = Voter::new(id, config, Peers(world.clone()), log, state_machine).await.unwrap();
    lobby.0.borrow_mut().running.insert(id, voter.clone());
    if id == 0 && !voter.is_initialized().await.unwrap() {
        voter.initialize((0..VOTERS).collect::<BTreeSet<_>>()).await.unwrap();
    }
    let mut listener = world.net.listen(([0, 0, 0, 0], PORT).into(), 16).unwrap();
    loop {
        let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        // The task's handle is not needed: it ends with its connection, or with the process.
        drop(Runtime::spawn(serve(voter.clone(), incoming.open().unwrap())));
    }
}

/// Answers one connection's requests in order, until it breaks.
async fn serve(voter: Voter, mut stream: Box<dyn Stream>) {
    while let Ok(request) = receive(&mut stream).await {
        let response = match request {
            Request::Append(rpc) => voter
                .append_entries(rpc)
                .await
                .map_or_else(|error| Response::Refused(error.to_string()), Response::Append),
            Request::Vote(rpc) => voter
                .vote(rpc)
                .await
                .map_or_else(|error| Response::Refused(error.to_string()), Response::Vote),
            Request::Write(value) => match voter.client_write(value).await {
                Ok(_) => Response::Written,
                Err(error) => Response::Refused(error.to_string()),
            },
        };
        if send(&mut stream, &response).await.is_err() {
            break;
        }
    }
}

/// The client: writes values one after the other, each until somebody acknowledges it.
pub(crate) async fn write_values(world: World, lobby: Lobby, values: usize) {
    let mut peers: Vec<Peer> = (0..VOTERS).map(|id| Peer::new(world.clone(), id)).collect();
    let mut target = 0;
    for number in 0..values {
        let value = format!("value-{number}");
        loop {
            let request = Request::Write(value.clone());
            let asked = Runtime::timeout(Duration::from_secs(1), peers[target].ask(&request)).await;
            if matches!(asked, Ok(Ok(Response::Written))) {
                break;
            }
            target = (target + 1) % peers.len();
            world.clock.sleep(Duration::from_millis(50)).await;
        }
        lobby.0.borrow_mut().acked.push(value);
    }
}
