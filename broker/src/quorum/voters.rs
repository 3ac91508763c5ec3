//! Who votes, changed while the quorum goes on: one voter after the other, and a new one only once it
//! has what the others have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::BrokerId;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use wire::add_raft_voter::request::Listener;
use wire::{AddRaftVoterRequest, ErrorCode, Str, Uuid};
use world::Pool;
use world::tasks::blocking;

use super::Core;
use super::formation::Hello;
use super::proposal::{LogId, StoredMembership, Types, Voter};
use super::transport::{AskError, Kind, id_of, node_of};

/// How long a node may take to say who it is.
const HELLO_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a new voter may take to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);
/// How long a majority may take to agree on a change.
const CHANGE_MAX: Duration = Duration::from_secs(5);
/// How often a node that is to vote asks to.
const ENLIST: Duration = Duration::from_secs(1);
/// There from when a node asks to vote until it does.
const ENLISTING: &str = "quorum.enlisting";

/// Why a change of voters was not made, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VoterError {
    #[error("this node is not the active controller")]
    NotController { leader: Option<BrokerId> },
    #[error("node {0} votes already, with this disk")]
    Duplicate(BrokerId),
    #[error(
        "node {0} votes with another disk; hint: a broker that is registered with the new disk takes its place"
    )]
    OtherDisk(BrokerId),
    #[error("node {0} does not vote, or not with this disk")]
    NotFound(BrokerId),
    #[error("node {0} is the last voter")]
    Last(BrokerId),
    #[error("node {node} cannot be asked: {why}")]
    Unreachable { node: BrokerId, why: String },
    #[error("node {0} uses another disk")]
    NotThatDisk(BrokerId),
    #[error("no answer of a majority in time; it may still come about")]
    TimedOut,
    #[error("{0}")]
    Raft(String),
}

/// A change of who votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VoterChange {
    /// A node that is reached at `host:port`, with the disk `directory`.
    Add { node: BrokerId, directory: Uuid, address: String },
    /// A voter with the disk `directory`.
    Remove { node: BrokerId, directory: Uuid },
}

impl VoterChange {
    /// Whether it takes the vote of `other`.
    pub(super) fn removes(&self, other: BrokerId) -> bool {
        matches!(self, Self::Remove { node, .. } if *node == other)
    }
}

/// Carries a change out, on the leader.
pub(super) async fn change(core: &Core, change: VoterChange) -> Result<(), VoterError> {
    match change {
        VoterChange::Add { node, directory, address } => add(core, node, directory, address).await,
        VoterChange::Remove { node, directory } => {
            if known(core, node).is_none_or(|voter| voter.directory != directory) {
                return Err(VoterError::NotFound(node));
            }
            remove(core, node).await
        }
    }
}

async fn add(
    core: &Core,
    node: BrokerId,
    directory: Uuid,
    address: String,
) -> Result<(), VoterError> {
    let id = id_of(node);
    let known = known(core, node);
    let votes = votes(core, id);
    if votes && known.as_ref().is_some_and(|voter| voter.directory == directory) {
        return Err(VoterError::Duplicate(node));
    }
    let peer = core.way.to(id, directory, &address);
    let hello: Result<Hello, AskError> = peer.ask(Kind::Hello, &(), HELLO_TIME_MAX).await;
    let hello = hello.map_err(|error| VoterError::Unreachable { node, why: error.to_string() })?;
    if hello.directory != directory {
        return Err(VoterError::NotThatDisk(node));
    }
    if known.is_some_and(|voter| voter.directory != directory) {
        // What was on the old disk can only be given up if the broker lives on the new one.
        let state = core.publisher.newest();
        let registered = state.image.broker(node).filter(|broker| !broker.fenced);
        if registered.is_none_or(|broker| broker.directory != directory) {
            return Err(VoterError::OtherDisk(node));
        }
        tracing::info!(%node, "a voter's disk was replaced: it is removed, and added again");
        remove(core, node).await?;
    }
    let voter = Voter { address, directory };
    let caught_up = core.raft.add_learner(id, voter, true);
    within(core, CATCH_UP_MAX, caught_up).await?;
    let promoted =
        core.raft.change_membership(ChangeMembers::AddVoterIds(BTreeSet::from([id])), true);
    within(core, CHANGE_MAX, promoted).await?;
    tracing::info!(%node, %directory, "votes from now on");
    Ok(())
}

async fn remove(core: &Core, node: BrokerId) -> Result<(), VoterError> {
    let id = id_of(node);
    if !votes(core, id) {
        // A learner that never became one.
        let gone =
            core.raft.change_membership(ChangeMembers::RemoveNodes(BTreeSet::from([id])), false);
        return within(core, CHANGE_MAX, gone).await;
    }
    if core.raft.metrics().borrow_watched().membership_config.voter_ids().count() == 1 {
        return Err(VoterError::Last(node));
    }
    let gone =
        core.raft.change_membership(ChangeMembers::RemoveVoters(BTreeSet::from([id])), false);
    within(core, CHANGE_MAX, gone).await?;
    tracing::info!(%node, "votes no more");
    Ok(())
}

async fn within<T>(
    core: &Core,
    time: Duration,
    change: impl Future<Output = Result<T, RaftError<Types, ClientWriteError<Types>>>>,
) -> Result<(), VoterError> {
    let changed = tokio::select! {
        biased;
        changed = change => changed,
        () = core.world.clock.sleep(time) => return Err(VoterError::TimedOut),
    };
    match changed {
        Ok(_) => Ok(()),
        Err(RaftError::APIError(
            ClientWriteError::ForwardToLeader(elsewhere)
            | ClientWriteError::LogEntryDiscarded(elsewhere),
        )) => Err(VoterError::NotController { leader: elsewhere.leader_id.map(node_of) }),
        Err(error) => Err(VoterError::Raft(error.to_string())),
    }
}

/// A change of voters takes two steps: first majorities of the old voters and of the new ones have to agree, then the new
/// ones alone. A leader that dies between them leaves the first for good, and with it voters that are missed although
/// they were replaced. Whoever leads and finds that takes the second step; for ever.
pub(super) async fn complete_changes(core: Core) {
    let mut before = None;
    loop {
        // Longer than whoever began it may be at it.
        core.world.clock.sleep(CHANGE_MAX * 2).await;
        let left = half_done(&core);
        if left.is_some() && left == before {
            let nothing = ChangeMembers::AddVoterIds(BTreeSet::new());
            match within(&core, CHANGE_MAX, core.raft.change_membership(nothing, false)).await {
                Ok(()) => tracing::info!("completed a change of voters that was left half done"),
                Err(error) => tracing::warn!(%error, "a change of voters stays half done"),
            }
        }
        before = left;
    }
}

/// The change of voters that is half done, if this node leads.
fn half_done(core: &Core) -> Option<LogId> {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    let leads = metrics.current_leader == Some(core.identity.id());
    let membership = &metrics.committed_membership_config;
    let is_joint = membership.membership().get_joint_config().len() > 1;
    if leads && is_joint { *membership.log_id() } else { None }
}

/// A member, whether it votes or is about to.
fn known(core: &Core, node: BrokerId) -> Option<Voter> {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.membership().get_node(&id_of(node)).cloned()
}

fn votes(core: &Core, id: u64) -> bool {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.voter_ids().any(|voter| voter == id)
}

/// Whether this node votes with this disk as far as it knows, and if it does, whether a majority has agreed.
fn own_vote(core: &Core) -> Option<bool> {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    let me = core.identity.id();
    let is_it = |voter: &Voter| voter.directory == core.identity.directory;
    let votes = |told: &StoredMembership| {
        told.voter_ids().any(|id| id == me) && told.membership().get_node(&me).is_some_and(is_it)
    };
    // What a majority has not agreed on another leader may take back.
    votes(&metrics.membership_config).then(|| votes(&metrics.committed_membership_config))
}

/// How a node stands that its settings call a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enlistment {
    /// A majority has agreed to its vote.
    Votes,
    /// It votes if a majority agrees.
    Decided,
    /// Its vote was taken.
    Taken,
    /// It has no vote yet.
    Asks,
}

/// How a node stands with this vote ([`own_vote`]), if it has the mark of who asks, has stored nothing yet, is named
/// by what it has of the log. Who asks may have a part of the log that does not name it.
fn enlistment(
    own_vote: Option<bool>,
    is_marked: bool,
    is_empty: bool,
    is_named: bool,
) -> Enlistment {
    match own_vote {
        Some(true) => Enlistment::Votes,
        Some(false) => Enlistment::Decided,
        None if is_marked || is_empty || is_named => Enlistment::Asks,
        None => Enlistment::Taken,
    }
}

/// On a node that its settings call a voter, and that has never been one with this disk: asks to become
/// one, until it is. One that was removed has its log still, and does not ask; one that asks has a mark, since
/// it may have some of the log before it is named there.
pub(super) async fn enlist(core: Core) {
    let Some((host, port)) = core.voters.get(&core.identity.id()).cloned() else { return };
    let (disk, mark) = (&core.world.disk, core.histories.folder().join(ENLISTING));
    let mut told = String::new();
    loop {
        core.world.clock.sleep(ENLIST).await;
        let is_marked = disk.exists(&mark);
        let is_named = known(&core, core.identity.node).is_some();
        match enlistment(own_vote(&core), is_marked, core.log.is_empty(), is_named) {
            Enlistment::Votes => break,
            Enlistment::Decided => continue,
            Enlistment::Taken => {
                tracing::info!("its vote was taken: this node follows, and asks for no other");
                return;
            }
            Enlistment::Asks => {}
        }
        let Some(leader) = core.leader() else { continue };
        let asked = async {
            if !is_marked {
                let (disk, mark) = (Arc::clone(disk), mark.clone());
                let write = move || disk.write_atomic(&mark, b"");
                let marked = blocking(&*core.world.tasks, Pool::Flush, write).await;
                marked.map_err(|error| error.to_string())?;
            }
            ask_to_vote(&core, leader, &host, port).await.map_err(|error| error.to_string())
        };
        match asked.await {
            Ok(()) => break,
            Err(why) if why == told => {}
            Err(why) => {
                tracing::warn!(%why, leader, "this node has no vote yet, and asks on for one");
                told = why;
            }
        }
    }
    if disk.exists(&mark)
        && let Err(error) = disk.remove_file(&mark)
    {
        tracing::warn!(%error, "this node votes, and would ask for its vote again if that was taken");
    }
}

async fn ask_to_vote(core: &Core, leader: u64, host: &str, port: u16) -> Result<(), AskError> {
    let (to_host, to_port) = core.address_of(leader).ok_or(AskError::NoAddress(leader))?;
    let name = format!("klamm-quorum-{}", core.identity.node);
    let connection =
        client::connection::Connection::open(&core.world, &to_host, to_port, &name).await?;
    let request = AddRaftVoterRequest {
        cluster_id: Some(Str::from(&*core.identity.cluster_id)),
        timeout_ms: i32::try_from(CATCH_UP_MAX.as_millis()).unwrap_or(i32::MAX),
        voter_id: core.identity.node.0,
        voter_directory_id: core.identity.directory,
        listeners: vec![Listener {
            name: Str::from("PLAINTEXT"),
            host: Str::from(host),
            port,
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = connection.ask(&request, CATCH_UP_MAX + CHANGE_MAX).await?;
    match ErrorCode::from_number(answer.error_code) {
        Some(ErrorCode::None) => Ok(()),
        _ => Err(AskError::Refused(answer.error_message.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Enlistment, enlistment};

    #[test]
    fn who_has_begun_to_ask_asks_on_whatever_it_has_of_the_log() {
        let asks = |is_marked, is_empty, is_named| {
            enlistment(None, is_marked, is_empty, is_named) == Enlistment::Asks
        };
        assert!(asks(false, true, false), "a new disk");
        assert!(asks(true, false, false), "a snapshot from before it was named");
        assert!(asks(false, false, true), "named, with another disk or without a vote");
        assert_eq!(enlistment(None, false, false, false), Enlistment::Taken);
    }

    #[test]
    fn only_a_majority_ends_the_asking() {
        for marked in [false, true] {
            assert_eq!(enlistment(Some(false), marked, false, true), Enlistment::Decided);
            assert_eq!(enlistment(Some(true), marked, false, true), Enlistment::Votes);
        }
    }
}
