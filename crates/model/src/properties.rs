//! What holds in every state, and what must have been seen so that this says something.

use std::collections::BTreeMap;

use engine::{LeaderEpoch, Offset};
use stateright::Property;

use crate::broker::{Entry, MIN_ISR, Node, index};
use crate::model::Replication;
use crate::scenario::Budget;
use crate::state::{BROKERS, State};

/// Whoever may be elected, and the leader, have all that was acknowledged.
pub const SURVIVES: &str = "what was acknowledged survives";
/// Whoever may be elected, and the leader, have all that was acknowledged and on the disks.
pub const FLUSHED_SURVIVES: &str = "what was acknowledged and flushed survives";
/// What is acknowledged has `min.insync.replicas` copies.
pub const COPIED: &str = "what is acknowledged has enough copies";
/// One offset and epoch is one record, and so are all before it.
pub const LOGS_MATCH: &str = "logs match";
/// Replicas agree on what both know to be committed.
pub const PREFIXES_AGREE: &str = "committed prefixes agree";
/// No follower cuts what it knew to be committed.
pub const UNCUT: &str = "nothing committed is cut";
/// The watermark that consumers were told does not go back.
pub const WATERMARK: &str = "the watermark does not go back";
/// One process acknowledges in a leader epoch.
pub const ONE_LEADER: &str = "one leader acknowledges in an epoch";
/// When nothing is left to do, somebody leads, all are in sync, and all producers were answered.
pub const HEALS: &str = "everything heals";

pub(crate) fn all() -> Vec<Property<Replication>> {
    vec![
        Property::always(SURVIVES, |model: &Replication, state: &State| {
            model.scenario.loses_the_newest() || survives(state, &state.past.acked)
        }),
        Property::always(FLUSHED_SURVIVES, |_, state: &State| survives(state, &state.past.flushed)),
        // Which copies there were before a machine or a disk was lost, nobody can see.
        Property::always(COPIED, |model, state: &State| {
            let Budget { power_losses, lost_disks, .. } = model.scenario.budget;
            power_losses + lost_disks > 0 || !state.past.was_thin
        }),
        Property::always(LOGS_MATCH, |_, state| logs_match(state)),
        Property::always(PREFIXES_AGREE, |model: &Replication, state| {
            model.scenario.loses_the_newest() || prefixes_agree(state)
        }),
        Property::always(UNCUT, |model: &Replication, state: &State| {
            model.scenario.loses_the_newest() || !state.past.was_committed_cut
        }),
        // Whoever is fenced may go on for what is left of its lease, which has no clock here.
        Property::always(WATERMARK, |model, state: &State| {
            let tells =
                |at: &usize| !state.is_fenced(*at) && model.tells_watermark(&state.nodes[*at]);
            let leaders = (0..BROKERS).filter(|at| state.nodes[*at].leads().is_some());
            let told = leaders.filter(tells).map(|at| state.nodes[at].disk.watermark);
            model.scenario.loses_the_newest()
                || told.min().is_none_or(|lowest| lowest >= state.past.told)
        }),
        Property::always(ONE_LEADER, |_, state: &State| {
            state.past.ackers.windows(2).all(|pair| pair[0].0 != pair[1].0)
        }),
        Property::always(HEALS, |model, state| is_whole(state) || !model.is_at_rest(state)),
        Property::sometimes("somebody else leads, after an acknowledgement", |_, state: &State| {
            let leads = |node: &Node| node.id != state.nodes[0].id;
            state.leader().is_some_and(leads) && !state.past.acked.is_empty()
        }),
        Property::sometimes("the in-sync replicas shrink and go on", |_, state: &State| {
            let place = &state.metadata.place;
            place.isr.len() == MIN_ISR
                && place.leader_epoch.0 == 0
                && place.partition_epoch > 0
                && !state.past.acked.is_empty()
        }),
        Property::sometimes("somebody eligible leads, and all heals", |_, state: &State| {
            state.past.was_eligible_elected && is_whole(state)
        }),
        Property::sometimes("a machine loses records, and all heals", |_, state: &State| {
            state.past.was_lost && !state.past.acked.is_empty() && is_whole(state)
        }),
        Property::sometimes("a log is cut where it diverges, and all heals", |_, state: &State| {
            state.past.was_cut && !state.past.acked.is_empty() && is_whole(state)
        }),
        Property::sometimes("two epochs are acknowledged", |_, state: &State| {
            let epochs = |pair: &[(LeaderEpoch, _, _)]| pair[0].0 != pair[1].0;
            state.past.ackers.windows(2).any(epochs)
        }),
        Property::sometimes("a record is acknowledged in a later epoch", |_, state: &State| {
            let Some((first, _, _)) = state.past.ackers.first() else { return false };
            state.past.acked.iter().any(|(_, entry)| entry.epoch < *first)
        }),
    ]
}

/// Of a machine that lost power the controller hears only when it is back.
fn survives(state: &State, records: &[(Offset, Entry)]) -> bool {
    let place = &state.metadata.place;
    let standing = place.isr.iter().chain(&place.elr).map(|id| state.node(*id));
    let leader = state.leader().filter(|node| node.is_serving());
    let mut who = standing.filter(|node| !node.is_suspect).chain(leader);
    who.all(|node| records.iter().all(|(offset, entry)| node.disk.get(*offset) == Some(entry)))
}

fn logs_match(state: &State) -> bool {
    let mut seen: BTreeMap<(usize, LeaderEpoch), (u8, Option<Entry>)> = BTreeMap::new();
    state.nodes.iter().all(|node| {
        let log = &node.disk.log;
        (0..log.len()).all(|at| {
            let this = (log[at].value, at.checked_sub(1).map(|before| log[before]));
            *seen.entry((at, log[at].epoch)).or_insert(this) == this
        })
    })
}

fn prefixes_agree(state: &State) -> bool {
    let nodes = &state.nodes;
    nodes.iter().flat_map(|one| nodes.iter().map(move |other| (one, other))).all(|(one, other)| {
        let to = index(one.disk.watermark.min(other.disk.watermark));
        one.disk.log[..to] == other.disk.log[..to]
    })
}

fn is_whole(state: &State) -> bool {
    let place = &state.metadata.place;
    let logs: Vec<_> = place.replicas.iter().map(|id| &state.node(*id).disk.log).collect();
    state.leader().is_some_and(|node| !node.is_waited_for())
        && place.isr.len() == place.replicas.len()
        && logs[1..].iter().all(|log| *log == logs[0])
}
