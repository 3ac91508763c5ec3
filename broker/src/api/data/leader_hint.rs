//! Tells a client that asked the wrong broker who leads instead (KIP-951), so that it need not ask for the
//! metadata first.

use std::collections::BTreeMap;

use engine::BrokerId;
use wire::{ErrorCode, Str, Uuid};

use super::super::context::{Call, topic_by};
use super::super::number;

/// Who leads, and under which epoch.
pub(super) struct Hint {
    pub(super) leader: i32,
    pub(super) epoch: i32,
}

/// The leaders that one answer names, each with its address.
#[derive(Default)]
pub(super) struct Leaders(BTreeMap<i32, (Str, i32)>);

impl Leaders {
    /// Who leads a partition that was refused with `error_code`, if it was for that and somebody else is
    /// known to lead.
    pub(super) fn hint(
        &mut self,
        call: &Call,
        (name, id, index): (&str, Uuid, i32),
        error_code: i16,
    ) -> Option<Hint> {
        let is_about_leaders = [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch]
            .into_iter()
            .any(|code| number(code) == error_code);
        if !is_about_leaders {
            return None;
        }
        let state = call.state();
        let partition = topic_by(&state, name, id)?.partition(index)?;
        let BrokerId(leader) = partition.leader.filter(|id| *id != call.shared().node)?;
        let address = call.address_of(state.image.broker(BrokerId(leader))?);
        self.0.insert(leader, address);
        Some(Hint { leader, epoch: partition.leader_epoch.0 })
    }

    /// Their addresses: id, host, port.
    pub(super) fn endpoints(self) -> impl Iterator<Item = (i32, Str, i32)> {
        self.0.into_iter().map(|(id, (host, port))| (id, host, port))
    }
}
