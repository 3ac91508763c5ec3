//! Everything at one moment, and what may happen next.

use std::sync::Arc;
use std::time::Duration;

use engine::metadata::AlterPartition;
use engine::{BrokerId, LeaderEpoch, Now, Offset};

use crate::broker::{Entry, Fetch, Node};
use crate::metadata::Metadata;
use crate::scenario::Budget;

/// How many brokers there are; each has a replica.
pub(crate) const BROKERS: usize = 3;

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    pub(crate) metadata: Metadata,
    pub(crate) nodes: [Arc<Node>; BROKERS],
    pub(crate) asked: Vec<Asked>,
    /// Fetches that are late.
    pub(crate) late: Vec<Fetch>,
    /// What may still happen.
    pub(crate) left: Budget,
    pub(crate) hour: u8,
    pub(crate) past: Past,
}

/// A proposal on its way to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) leader: BrokerId,
    pub(crate) broker_epoch: i64,
    pub(crate) request: AlterPartition,
    /// Whether the process that asks waits for the answer.
    pub(crate) is_awaited: bool,
}

/// What has happened that the present does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// What producers were told to be stored, ascending.
    pub(crate) acked: Vec<(Offset, Entry)>,
    /// Those of them that were on the disks of all who could be elected, at one time; ascending. Noted where more is
    /// not promised.
    pub(crate) flushed: Vec<(Offset, Entry)>,
    /// Who told them so in which leader epoch, under which registration; ascending.
    pub(crate) ackers: Vec<(LeaderEpoch, BrokerId, i64)>,
    /// Whether something had fewer than `min.insync.replicas` copies then.
    pub(crate) was_thin: bool,
    /// The highest watermark that consumers were told.
    pub(crate) told: Offset,
    /// Whether a follower cut what its leader does not have.
    pub(crate) was_cut: bool,
    /// Whether that was committed, as far as the follower knew.
    pub(crate) was_committed_cut: bool,
    /// Whether a machine lost records with its power.
    pub(crate) was_lost: bool,
    /// Whether somebody was elected who was eligible, and not in sync.
    pub(crate) was_eligible_elected: bool,
}

/// What may happen; brokers by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A producer sends a record with `acks=all` to one that believes that it leads.
    Produce(usize),
    /// A follower asks for a record, gets it and writes it.
    Copy(usize),
    /// A follower's Fetch is late.
    Delay(usize),
    /// It arrives.
    Arrive(usize),
    /// All that is written is on the disk.
    Flush(usize),
    /// A broker applies the newest metadata, as a shard does (`broker/src/shard/follow.rs`).
    Follow(usize),
    /// A leader proposes who is in sync.
    Propose(usize),
    /// A proposal reaches the controller, and the answer the leader if it still waits.
    Decide(usize),
    /// A leader waits no longer for an answer. The proposal is lost, or comes later.
    GiveUp {
        /// Which proposal.
        which: usize,
        /// Whether it is lost.
        is_lost: bool,
    },
    /// A process starts and registers.
    Start(usize),
    /// A heartbeat: a broker wants in, or stops.
    Beat(usize),
    /// The controller fences a broker that it has not heard of.
    Fence(usize),
    /// A process is told to stop.
    Stop(usize),
    /// A process dies.
    Kill(usize),
    /// A machine loses power.
    LosePower {
        /// Whose.
        at: usize,
        /// How many records were on the disk.
        kept: usize,
    },
    /// All machines lose power.
    LosePowerEverywhere {
        /// How many records were on each one's disk.
        kept: [usize; BROKERS],
    },
    /// A disk is replaced by an empty one.
    LoseDisk(usize),
    /// The preferred leader is asked for.
    Prefer,
    /// A broker is to have a replica no more, or again.
    Move(usize),
    /// Brokers have said by heartbeats that they have obeyed that somebody else leads, and are let go.
    LetGo,
    /// An hour passes.
    Pass,
}

impl State {
    pub(crate) fn node(&self, id: BrokerId) -> &Node {
        &self.nodes[at(id)]
    }

    pub(crate) fn node_mut(&mut self, at: usize) -> &mut Node {
        Arc::make_mut(&mut self.nodes[at])
    }

    /// Whom the controller has made the leader, if it knows.
    pub(crate) fn leader(&self) -> Option<&Node> {
        let place = &self.metadata.place;
        let node = self.node(place.leader?);
        (node.leads_in()? == place.leader_epoch).then_some(node)
    }

    pub(crate) fn is_fenced(&self, at: usize) -> bool {
        self.metadata.broker(self.nodes[at].id).fenced
    }

    /// Whether a broker has followed all that concerns it.
    pub(crate) fn is_caught_up(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.known.as_ref().is_some_and(|known| *known == self.metadata.known(node.id))
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall_ms: 0, tick: Duration::from_secs(3600) * (u32::from(self.hour) + 1) }
    }
}

/// Where a broker is among the nodes.
pub(crate) fn at(id: BrokerId) -> usize {
    usize::try_from(id.0 - 1).expect("ids count from 1")
}
