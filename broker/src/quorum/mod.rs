//! The metadata quorum: which decisions happened, in which order, agreed on by a majority of voters.
//!
//! ```text
//! ControlRef::decide ─► Control ─► Quorum::propose ─► openraft ─► log_store   (vote, log: synced)
//!                                                       │   └───► transport ─► the other voters
//!                  Arc<State> ◄── state_machine ◄───────┘  committed
//!                           ◄── observer ◄── FetchMetadata ◄── a node with a vote
//! QuorumMessage ─► QuorumRef ─► serve ─► openraft
//! ```
//!
//! openraft runs on the control thread (ADR 0005); nobody outside of this module sees its types. With one
//! voter it is a local log with a sync per proposal. On a node without a vote it waits to be given one. The rules are told in `docs/internals/quorum.md`.
//!
//! | file | what is there |
//! | --- | --- |
//! | `runtime`, `proposal` | what openraft is given |
//! | `codec`, `format` | bytes of messages and entries; the three files |
//! | `log_store`, `state_machine` | vote and log; state and snapshot |
//! | `transport`, `serve` | messages to voters, and from them |
//! | `formation` | how it begins, once |
//! | `history`, `recover` | how it goes on from a minority, if a person wants that |
//! | `voters` | who votes, changed while the quorum goes on |
//! | `observer` | how a node follows without a vote |
//! | `leadership` | who the active controller is |

mod codec;
mod format;
mod formation;
mod history;
mod leadership;
mod log_store;
mod observer;
mod proposal;
mod recover;
mod runtime;
mod serve;
mod state_machine;
mod transport;
mod voters;

#[cfg(test)]
mod log_store_test;
#[cfg(test)]
mod state_machine_test;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::BrokerConfig;
use engine::BrokerId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardToLeader, RaftError};
use openraft::{AsyncRuntime, Config, Raft, SnapshotPolicy};
use tokio::sync::Notify;
use world::{World, watch};

use crate::hindrance::Hindrance;
use crate::metadata::{CommitError, Publisher};

use self::history::Histories;
use self::log_store::LogStore;
use self::proposal::{Outcome, Proposal, Runtime, Types};
use self::state_machine::StateMachine;
use self::transport::{Way, id_of, node_of};

pub(crate) use self::format::StoreError;
pub(crate) use self::leadership::{Leadership, Progress, VoterProgress};
pub use self::recover::{Found, RecoverError, Recovery};
pub(crate) use self::serve::QuorumRef;
pub(crate) use self::transport::Identity;
pub(crate) use self::voters::{VoterChange, VoterError};

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
/// A leader that was not heard of for so long, or whom no majority has answered, is not one any more, as far as this node knows: by then
/// another one is elected, if there is a majority.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// How long a graceful stop waits for another leader.
const HANDOVER_TIME_MAX: Duration = Duration::from_secs(2);

/// Why there is no quorum.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenQuorumError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Raft(String),
}

/// The quorum's part on this node: a voter, or one who may become it. Lives on the control thread; cheap to clone.
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
    publisher: Publisher,
    histories: Rc<Histories>,
    /// What people are told when the quorum is lost.
    hindrance: Hindrance,
    /// When a leader spoke to this node.
    heard: Rc<Cell<Option<Duration>>>,
    /// Who leads, as others say, while none does.
    observed: Rc<Cell<Option<BrokerId>>>,
    /// Who leads may be known anew.
    stirred: Rc<Notify>,
}

impl Core {
    /// The initial voters, as every one of them must have been told.
    fn voters_text(&self) -> String {
        let voters = self.voters.iter().map(|(id, (host, port))| format!("{id}@{host}:{port}"));
        voters.collect::<Vec<_>>().join(",")
    }

    /// Whether this node leads and a majority answers it, or a leader spoke to it lately.
    fn hears_leader(&self) -> bool {
        let now = self.world.clock.tick();
        leadership::is_answered(self, SILENCE_MAX)
            || self.heard.get().is_some_and(|at| now < at + SILENCE_MAX)
    }

    /// A leader has spoken.
    fn heard(&self) {
        let was_silent = !self.hears_leader();
        self.heard.set(Some(self.world.clock.tick()));
        if was_silent {
            self.stirred.notify_one();
        }
    }

    /// Others say who leads.
    fn observed(&self, leader: Option<BrokerId>) {
        if self.observed.replace(leader) != leader {
            self.stirred.notify_one();
        }
    }

    /// Who leads, as far as this node knows.
    fn leader(&self) -> Option<u64> {
        if self.hears_leader() {
            self.raft.metrics().borrow_watched().current_leader
        } else {
            self.observed.get().map(id_of)
        }
    }

    /// Where a node is reached: as it has registered, or as the settings say.
    fn address_of(&self, id: u64) -> Option<(String, u16)> {
        let state = self.publisher.newest();
        let registered = state.image.broker(node_of(id));
        let registered = registered.and_then(|broker| broker.listeners.first());
        let registered = registered.map(|listener| (listener.host.clone(), listener.port));
        registered.or_else(|| self.voters.get(&id).cloned())
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
        publisher: Publisher,
        hindrance: Hindrance,
    ) -> Result<(Self, QuorumRef), OpenQuorumError> {
        let seed = world.dice.next_u64("quorum");
        let opened = Self::open_seeded(world, identity, folder, publisher, hindrance);
        Box::pin(Runtime::scope(seed, opened)).await
    }

    async fn open_seeded(
        world: World,
        identity: Identity,
        folder: &Path,
        publisher: Publisher,
        hindrance: Hindrance,
    ) -> Result<(Self, QuorumRef), OpenQuorumError> {
        history::prepare(&*world.disk, folder)?;
        let histories = Rc::new(Histories::open(world.clone(), folder)?);
        let (node, id) = (identity.node, identity.id());
        let voters = Rc::new(voters(&publisher.newest().settings.broker, node));
        let is_voter = voters.contains_key(&id);
        let log = LogStore::open(world.clone(), folder)?;
        let state_machine = StateMachine::new(world.clone(), folder, node, publisher.clone());
        let way =
            Way::new(world.clone(), identity.clone(), (*voters).clone(), Rc::clone(&histories));
        let config = config(&identity.cluster_id, is_voter && voters.len() == 1).validate();
        let config = Arc::new(config.map_err(|error| OpenQuorumError::Raft(error.to_string()))?);
        let raft = Raft::new(id, config, way.clone(), log.clone(), state_machine).await;
        let raft = raft.map_err(|error| OpenQuorumError::Raft(error.to_string()))?;
        let core = Core {
            world,
            identity,
            voters,
            way,
            log,
            raft,
            publisher,
            histories,
            hindrance,
            heard: Rc::default(),
            observed: Rc::default(),
            stirred: Rc::default(),
        };
        let leaderships = leadership::watch(&core);
        if is_voter {
            Core::spawn(formation::form(core.clone()));
            Core::spawn(voters::enlist(core.clone()));
            Core::spawn(voters::complete_changes(core.clone()));
        }
        Core::spawn(history::watch(core.clone()));
        Core::spawn(observer::observe(core.clone()));
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
