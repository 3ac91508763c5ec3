//! The metadata quorum: which decisions happened, in which order, agreed on by a majority of voters.
//!
//! ```text
//! ControlRef::decide ─► Control ─► Quorum::propose ─► openraft ─► log_store   (vote, log: synced)
//!                                                       │   └───► transport ─► the other voters
//!                  Arc<State> ◄── state_machine ◄───────┘  committed
//! QuorumMessage ─► QuorumRef ─► serve ─► openraft
//! ```
//!
//! openraft runs on the control thread (ADR 0005); nobody outside of this module sees its types. With one
//! voter it is a local log with a sync per proposal. The rules are told in `docs/internals/quorum.md`.
//!
//! | file | what is there |
//! | --- | --- |
//! | `runtime`, `proposal` | what openraft is given |
//! | `codec`, `format` | bytes of messages and entries; the three files |
//! | `log_store`, `state_machine` | vote and log; state and snapshot |
//! | `transport`, `serve` | messages to voters, and from them |
//! | `formation` | how it begins, once |
//! | `leadership` | who the active controller is |

mod codec;
mod format;
mod formation;
mod leadership;
mod log_store;
mod proposal;
mod runtime;
mod serve;
mod state_machine;
mod transport;

#[cfg(test)]
mod log_store_test;
#[cfg(test)]
mod state_machine_test;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::BrokerConfig;
use engine::BrokerId;
use openraft::errors::{ClientWriteError, ForwardToLeader, RaftError};
use openraft::{AsyncRuntime, Config, Raft, SnapshotPolicy};
use world::{World, watch};

use crate::metadata::{CommitError, State};

use self::log_store::LogStore;
use self::proposal::{Outcome, Proposal, Runtime, Types};
use self::state_machine::StateMachine;
use self::transport::{Way, id_of, node_of};

pub(crate) use self::format::StoreError;
pub(crate) use self::leadership::{Leadership, Progress, VoterProgress};
pub(crate) use self::serve::QuorumRef;
pub(crate) use self::transport::Identity;

/// How often a leader shows that it is there.
const HEARTBEAT_MS: u64 = 100;
/// After a voter has heard of a leader it elects no other for the longer of these two (the lease), then
/// waits a time between them before it stands for election itself: 600 to 800 ms in all.
const ELECTION_MS: std::ops::Range<u64> = 200..400;
/// The same for a voter that is alone, and need not show itself to anybody.
const ALONE_MS: (u64, std::ops::Range<u64>) = (1000, 3000..6000);
/// When the leader of an earlier connection is tried again: soon, it may just have been restarted.
const BACKOFF: &str = "50ms 100ms 200ms ...400ms";
/// How often it is looked at whether a snapshot is due, in entries.
const SNAPSHOT_CHECK: u64 = 64;
/// Entries that are kept behind a snapshot, for voters that are a little behind.
const KEPT_ENTRIES: u64 = 256;
/// How long a proposal may take before its asker is told that it is not known what becomes of it.
const PROPOSAL_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a graceful stop waits for another leader.
const HANDOVER_TIME_MAX: Duration = Duration::from_secs(2);

/// Why there is no quorum.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenQuorumError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Raft(String),
    #[error(
        "node {0} is not among controller.quorum.voters; hint: brokers that do not vote arrive later, \
         until then name every broker there, or none if it is alone"
    )]
    NotAVoter(BrokerId),
}

/// The voter on this node. Lives on the control thread; cheap to clone.
#[derive(Clone)]
pub(crate) struct Quorum {
    core: Core,
    leaderships: watch::Receiver<Leadership>,
}

/// What the tasks of this module share.
#[derive(Clone)]
struct Core {
    world: World,
    identity: Identity,
    /// The initial voters and where they are, as this node's settings say.
    voters: Rc<BTreeMap<u64, (String, u16)>>,
    way: Way,
    log: LogStore,
    raft: Raft<Types, StateMachine>,
}

impl Core {
    /// The initial voters, as every one of them must have been told.
    fn voters_text(&self) -> String {
        let voters = self.voters.iter().map(|(id, (host, port))| format!("{id}@{host}:{port}"));
        voters.collect::<Vec<_>>().join(",")
    }

    fn spawn(future: impl Future<Output = ()> + 'static) {
        // It ends with the process, or with the quorum.
        drop(Runtime::spawn(future));
    }
}

/// The initial voters: those of the settings, or this node alone.
fn voters(broker: &BrokerConfig, node: BrokerId) -> BTreeMap<u64, (String, u16)> {
    let all = broker.controller_quorum_voters.iter();
    let mut voters: BTreeMap<u64, (String, u16)> =
        all.map(|one| (id_of(BrokerId(one.id)), (one.host.clone(), one.port))).collect();
    if voters.is_empty() {
        voters.insert(id_of(node), (String::new(), 0));
    }
    voters
}

fn config(cluster_id: &str, is_alone: bool) -> Config {
    let (heartbeat, election) = if is_alone { ALONE_MS } else { (HEARTBEAT_MS, ELECTION_MS) };
    Config {
        cluster_name: cluster_id.to_owned(),
        heartbeat_interval: heartbeat,
        election_timeout_min: election.start,
        election_timeout_max: election.end,
        enable_pre_vote: Some(true),
        // A majority may have an entry that the leader itself had yet to sync. If it lost that one and
        // went on in its old term, another entry would get the same id.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_CHECK),
        max_in_snapshot_log_to_keep: KEPT_ENTRIES,
        backoff: BACKOFF.to_owned(),
        ..Config::default()
    }
}

impl Quorum {
    /// Opens what a former process left in `folder` and begins to take part. States appear in `states`
    /// as they become known; at first they are old ones.
    pub(crate) async fn open(
        world: World,
        identity: Identity,
        folder: &Path,
        states: watch::Sender<Arc<State>>,
    ) -> Result<(Self, QuorumRef), OpenQuorumError> {
        let seed = world.dice.next_u64("quorum");
        let opened = Self::open_seeded(world, identity, folder, states);
        Box::pin(Runtime::scope(seed, opened)).await
    }

    async fn open_seeded(
        world: World,
        identity: Identity,
        folder: &Path,
        states: watch::Sender<Arc<State>>,
    ) -> Result<(Self, QuorumRef), OpenQuorumError> {
        let (node, id) = (identity.node, identity.id());
        let voters = Rc::new(voters(&states.borrow().settings.broker, node));
        if !voters.contains_key(&id) {
            return Err(OpenQuorumError::NotAVoter(node));
        }
        let log = LogStore::open(world.clone(), folder)?;
        let state_machine = StateMachine::new(world.clone(), folder, node, states);
        let way = Way::new(world.clone(), identity.clone(), (*voters).clone());
        let config = config(&identity.cluster_id, voters.len() == 1).validate();
        let config = Arc::new(config.map_err(|error| OpenQuorumError::Raft(error.to_string()))?);
        let raft = Raft::new(id, config, way.clone(), log.clone(), state_machine).await;
        let raft = raft.map_err(|error| OpenQuorumError::Raft(error.to_string()))?;
        let core = Core { world, identity, voters, way, log, raft };
        let leaderships = leadership::watch(&core);
        Core::spawn(formation::form(core.clone()));
        let quorum = Self { core, leaderships };
        let quorum_ref = serve::start(quorum.clone());
        Ok((quorum, quorum_ref))
    }

    pub(crate) fn node(&self) -> BrokerId {
        self.core.identity.node
    }

    /// To follow who the active controller is.
    pub(crate) fn leaderships(&self) -> watch::Receiver<Leadership> {
        self.leaderships.clone()
    }

    /// Whether this node may decide now: it leads, knows all that was decided, and a majority has heard
    /// of it so lately that there can be no other leader.
    pub(crate) async fn confirm_leadership(&self) -> Result<(), CommitError> {
        let mut leaderships = self.leaderships();
        let deadline = self.core.world.clock.tick() + Duration::from_millis(ELECTION_MS.end);
        loop {
            let leadership = leaderships.borrow_and_update().clone();
            if leadership.leader != Some(self.node()) {
                return Err(CommitError::NotController { leader: leadership.leader });
            }
            if leadership.active_term().is_some() {
                let nobody = Err(CommitError::NotController { leader: None });
                return if leadership::has_lease(&self.core) { Ok(()) } else { nobody };
            }
            tokio::select! {
                biased;
                changed = leaderships.changed() => changed.map_err(|_| CommitError::Stopping)?,
                () = self.core.world.clock.sleep_until(deadline) => {
                    return Err(CommitError::NotController { leader: None });
                }
            }
        }
    }

    /// Has a majority agree on a decision that was made on version `decided_on` of the state.
    pub(crate) async fn propose(&self, decided_on: u64, records: Bytes) -> Result<(), CommitError> {
        let proposed = tokio::select! {
            biased;
            proposed = self.core.raft.client_write(Proposal { decided_on, records }) => proposed,
            () = self.core.world.clock.sleep(PROPOSAL_TIME_MAX) => {
                return Err(CommitError::NotController { leader: None });
            }
        };
        let led_by = |elsewhere: ForwardToLeader<Types>| CommitError::NotController {
            leader: elsewhere.leader_id.map(node_of).filter(|leader| *leader != self.node()),
        };
        match proposed {
            Ok(written) if written.data == Outcome::Applied => Ok(()),
            Ok(_) => Err(CommitError::NotController { leader: self.leaderships.borrow().leader }),
            Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(elsewhere)
                | ClientWriteError::LogEntryDiscarded(elsewhere),
            )) => Err(led_by(elsewhere)),
            Err(error) => Err(CommitError::Log(error.to_string())),
        }
    }

    /// Hands leadership over, if it is here and there is anybody to take it.
    async fn hand_over(&self) {
        let mut leaderships = self.leaderships();
        let deadline = self.core.world.clock.tick() + HANDOVER_TIME_MAX;
        if let Some(heir) = leadership::heir(&self.core) {
            tracing::info!(to = heir, "handing the active controller over");
            // A failed quorum has nothing to hand over.
            let _ = self.core.raft.trigger().transfer_leader(heir).await;
            let me = Some(self.node());
            while leaderships.borrow_and_update().leader == me {
                tokio::select! {
                    biased;
                    changed = leaderships.changed() => if changed.is_err() { break },
                    () = self.core.world.clock.sleep_until(deadline) => break,
                }
            }
        }
    }

    /// Takes part no more.
    async fn stop(&self) {
        if self.core.raft.shutdown().await.is_err() {
            tracing::error!("the quorum has panicked");
        }
    }
}
