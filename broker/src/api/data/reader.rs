//! Who reads, and whether from this replica: a follower, or a consumer that may be sent to one (KIP-392).

use std::sync::Arc;

use engine::session::Wanted;
use engine::{BrokerId, LeaderEpoch};
use wire::ErrorCode;

use crate::partition::{News, Partition, View};
use crate::shard::Shard;

/// Who asks.
#[derive(Clone)]
pub(super) enum Reader {
    Consumer {
        committed: bool,
        /// Where it is; empty if it does not say. `None`: its version does not know of followers.
        rack: Option<Arc<str>>,
    },
    /// A follower, and the epoch of its registration.
    Replica {
        id: BrokerId,
        epoch: i64,
        /// What its session has to look at.
        news: Arc<News>,
    },
}

impl Reader {
    pub(super) fn view(&self) -> View {
        match self {
            Self::Consumer { committed: false, .. } => View::Committed,
            Self::Consumer { committed: true, .. } => View::Stable,
            Self::Replica { .. } => View::All,
        }
    }

    pub(super) fn is_replica(&self) -> bool {
        self.replica().is_some()
    }

    pub(super) fn replica(&self) -> Option<BrokerId> {
        match self {
            Self::Consumer { .. } => None,
            Self::Replica { id, .. } => Some(*id),
        }
    }

    pub(super) fn news(&self) -> Option<&Arc<News>> {
        match self {
            Self::Consumer { .. } => None,
            Self::Replica { news, .. } => Some(news),
        }
    }

    /// Where a consumer is that may be sent to followers.
    pub(super) fn rack(&self) -> Option<&str> {
        match self {
            Self::Consumer { rack, .. } => rack.as_deref(),
            Self::Replica { .. } => None,
        }
    }
}

/// Why this broker does not answer for the partition, if it does not.
pub(super) fn refusal(shard: &Shard, partition: &Partition, asked_epoch: i32) -> Option<ErrorCode> {
    let epoch = partition.settings.place.leader_epoch;
    stale_epoch(asked_epoch, epoch).or_else(|| {
        let leads = partition.is_leader() && shard.shared.membership.may_lead(shard.now());
        (!leads).then_some(ErrorCode::NotLeaderOrFollower)
    })
}

/// Why this broker does not answer for a partition that it follows, if it does not.
pub(super) fn far_refusal(
    shard: &Shard,
    partition: &Partition,
    asked_epoch: i32,
) -> Option<ErrorCode> {
    let epoch = partition.settings.place.leader_epoch;
    stale_epoch(asked_epoch, epoch).or_else(|| {
        // One that the controller has not heard lately may be behind, and not know.
        let is_heard = shard.shared.membership.may_lead(shard.now());
        (!is_heard).then_some(ErrorCode::NotLeaderOrFollower)
    })
}

/// The follower that a consumer should rather ask.
pub(super) fn nearest(
    shard: &Shard,
    partition: &Partition,
    wanted: &Wanted,
    reader: &Reader,
) -> Option<BrokerId> {
    let rack = reader.rack().filter(|rack| !rack.is_empty())?;
    let state = shard.shared.state();
    let rack_of = |id: BrokerId| state.image.broker(id)?.rack.as_deref();
    partition.nearest(rack, wanted.fetch_offset, rack_of)
}

/// The client's idea of the leader epoch against ours (KIP-320).
fn stale_epoch(asked: i32, current: LeaderEpoch) -> Option<ErrorCode> {
    match asked {
        ..0 => None,
        asked if asked < current.0 => Some(ErrorCode::FencedLeaderEpoch),
        asked if asked > current.0 => Some(ErrorCode::UnknownLeaderEpoch),
        _ => None,
    }
}
