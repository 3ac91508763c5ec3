//! Who the active controller is, as far as this node knows.

use std::sync::Arc;
use std::time::Duration;

use engine::BrokerId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{Instant, RaftMetrics};
use wire::Uuid;
use world::watch;

use super::proposal::Types;
use super::transport::node_of;
use super::{Core, ELECTION_MS};

/// How often it is looked at whether the leader is still heard of.
const LOOK: Duration = Duration::from_millis(250);

/// Who the active controller is, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// Who leads; nobody is known during an election.
    pub(crate) leader: Option<BrokerId>,
    /// Counts the elections.
    pub(crate) term: u64,
    /// Whether this node leads and knows all that was decided before it did: it is the active controller.
    pub(crate) is_me: bool,
    /// Since when this holds: monotonic time.
    pub(crate) since: Duration,
    /// Why this node takes part no more: its disk has failed. It does not recover from that by itself.
    pub(crate) failure: Option<Arc<str>>,
}

impl Leadership {
    /// The term in which this node is the active controller, if it is.
    pub(crate) fn active_term(&self) -> Option<u64> {
        self.is_me.then_some(self.term)
    }

    fn read(core: &Core, metrics: &RaftMetrics<Types>) -> Self {
        let is_running = metrics.running_state.is_ok();
        let failure = metrics.running_state.as_ref().err();
        let failure = failure.filter(|fatal| !matches!(fatal, Fatal::Stopped));
        let failure = failure.map(|fatal| fatal.to_string().into());
        let failure = core.histories.why_over().or(failure);
        let leader = if core.hears_leader() {
            metrics.current_leader.filter(|_| is_running).map(node_of)
        } else {
            // Others may not know yet that this node leads no more.
            core.observed.get().filter(|id| *id != core.identity.node)
        };
        let applied = metrics.last_applied.map(|last| last.leader_id.term);
        // What began the term is applied, so all that was decided before is.
        let is_caught_up = applied == Some(metrics.current_term);
        let is_me = is_caught_up && leader == Some(core.identity.node);
        let since = core.world.clock.tick();
        Self { leader, term: metrics.current_term, is_me, since, failure }
    }

    fn is_same(&self, other: &Self) -> bool {
        let since = self.since;
        *self == Self { since, ..other.clone() }
    }
}

/// Follows what openraft says of itself.
pub(super) fn watch(core: &Core) -> watch::Receiver<Leadership> {
    let mut metrics = core.raft.metrics();
    let first = Leadership::read(core, &metrics.borrow_watched());
    let (sender, receiver) = watch::channel(first);
    let core = core.clone();
    Core::spawn(async move {
        loop {
            tokio::select! {
                biased;
                changed = metrics.changed() => if changed.is_err() { break },
                () = core.stirred.notified() => {}
                () = core.world.clock.sleep(LOOK) => {}
            }
            let next = Leadership::read(&core, &metrics.borrow_and_update());
            let last = sender.borrow().clone();
            if next.is_same(&last) {
                continue;
            }
            if next.leader != last.leader {
                tracing::info!(leader = ?next.leader.map(|id| id.0), term = next.term, "leader of the quorum");
            }
            sender.send(next);
        }
        // It was stopped, or its disk has failed: whoever leads by now, it is not known here.
        let last = Leadership::read(&core, &metrics.borrow_watched());
        sender.send(Leadership { leader: None, is_me: false, ..last });
    });
    receiver
}

/// Whether somebody leads whom a majority hears, as far as this node can know.
pub(super) fn is_led(core: &Core) -> bool {
    let leads = core.raft.metrics().borrow_watched().current_leader == Some(core.identity.id());
    if leads { has_lease(core) } else { core.hears_leader() }
}

/// Whether a majority has heard of this leader so lately that nobody else was elected.
pub(super) fn has_lease(core: &Core) -> bool {
    is_answered(core, Duration::from_millis(ELECTION_MS.end))
}

/// Whether this node leads, and a majority has answered what it said within `time`.
pub(super) fn is_answered(core: &Core, time: Duration) -> bool {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    let is_alone = metrics.membership_config.voter_ids().count() == 1;
    metrics.current_leader == Some(core.identity.id())
        && (is_alone || metrics.last_quorum_acked.is_some_and(|at| at.elapsed() < time))
}

/// The voter that knows most, if this node leads and is not alone.
pub(super) fn heir(core: &Core) -> Option<u64> {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    let me = core.identity.id();
    if metrics.current_leader != Some(me) || metrics.running_state.is_err() {
        return None;
    }
    let voters = metrics.membership_config.voter_ids().filter(|id| *id != me);
    let known = |id: &u64| metrics.replication.as_ref().and_then(|all| *all.get(id)?);
    voters.max_by_key(|id| (known(id), std::cmp::Reverse(*id)))
}

/// How far the voters are, as one of them knows. Positions are those of the log, behind the last entry.
pub(crate) struct Progress {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) term: u64,
    /// What a majority has ends here.
    pub(crate) high_watermark: u64,
    pub(crate) voters: Vec<VoterProgress>,
}

pub(crate) struct VoterProgress {
    pub(crate) id: BrokerId,
    /// The disk that makes it this voter.
    pub(crate) directory: Uuid,
    /// Where its log ends; of others only the leader knows.
    pub(crate) log_end: Option<u64>,
    /// How long ago the leader said what it has answered; only the leader knows.
    pub(crate) answered: Option<Duration>,
}

pub(super) fn progress(core: &Core) -> Progress {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let log_end = |id: u64| {
        let stored = if id == core.identity.id() {
            metrics.last_log_index
        } else {
            let stored = metrics.replication.as_ref()?.get(&id)?.as_ref();
            stored.map(|last| last.index)
        };
        Some(stored.map_or(0, |last| last + 1))
    };
    let answered = |id: u64| {
        let heartbeats = metrics.heartbeat.as_ref()?;
        if id == core.identity.id() {
            return Some(Duration::ZERO);
        }
        heartbeats.get(&id)?.as_ref().map(|at| at.elapsed())
    };
    let voters = membership.voter_ids().map(|id| VoterProgress {
        id: node_of(id),
        directory: membership.get_node(&id).map_or(Uuid::ZERO, |voter| voter.directory),
        log_end: log_end(id),
        answered: answered(id),
    });
    Progress {
        leader: metrics.current_leader.map(node_of),
        term: metrics.current_term,
        high_watermark: metrics.local_committed.map_or(0, |last| last.index + 1),
        voters: voters.collect(),
    }
}
