//! Says what a person reads about a ConsumerGroup, and whether it is worth writing. Pure.

use std::time::Duration;

use crds::conditions::{self, Condition, ConditionStatus, READY, RECONCILING, STALLED};
use crds::consumer_group::{
    GroupReason, GroupState, LastReset, Reset, ResetMove, ResetPhase, WhenActive,
};
use crds::{ConsumerGroup, ConsumerGroupStatus};

use super::{Failure, Moves, Observed, Outcome, Plan, ResetPlan, lag_of, remembered};
use crate::cluster::ClusterSeen;
use crate::kafka::Partition;
use crate::now::{Now, rfc3339};

/// Moves in a status, at most.
const MAX_MOVES: usize = 64;
/// A group with something to read that stands for this long is stalled, if the resource does not say.
const DEFAULT_STALL_MS: i64 = 600_000;

const ACTIVE: &str = "Active";
const LAG_HEALTHY: &str = "LagHealthy";
const RESET_PENDING: &str = "ResetPending";
const RESET_COMPLETE: &str = "ResetComplete";

/// The status after a pass. `seen` is what was seen after the steps, `moved_ms` when a committed offset
/// last moved (see [`super::Progress`]).
pub fn status(
    group: &ConsumerGroup,
    seen: &Observed,
    plan: &Plan,
    outcome: &Outcome,
    moved_ms: i64,
    now: Now,
) -> ConsumerGroupStatus {
    let old = group.status.clone().unwrap_or_default();
    let mut status = old.clone();
    status.observed_generation = group.metadata.generation;
    if let ClusterSeen::Ready { .. } = seen.cluster {
        figures(&mut status, &old, seen, moved_ms);
    }
    if let Some(reset) = &plan.reset {
        status.last_reset = last_reset(group, &old, seen, reset, outcome, now);
    }
    let (reason, message) = verdict(group, seen, plan, outcome, status.last_reset.as_ref());
    set_conditions(&mut status, group, seen, (reason, message), moved_ms, now);
    status
}

fn figures(
    status: &mut ConsumerGroupStatus,
    old: &ConsumerGroupStatus,
    seen: &Observed,
    moved_ms: i64,
) {
    let facts = seen.group.as_ref();
    status.state = Some(facts.map_or(GroupState::NotFound, |it| it.state));
    status.protocol = facts.map(|it| it.protocol_type.clone()).filter(|it| !it.is_empty());
    status.members = facts.map_or(0, |it| it.members);
    status.coordinator = facts.and_then(|it| it.coordinator);
    let (mut lag, topics) = lag_of(&seen.positions, old.lag.as_ref().map(|it| it.total));
    // It is looked for when the status is written ([`super::behind_since`]).
    let before = old.lag.as_ref().and_then(|it| it.behind_since.clone());
    lag.behind_since = before.filter(|_| lag.total > 0);
    lag.progressed_at = (moved_ms > 0).then(|| rfc3339(moved_ms));
    status.lag = (!seen.positions.is_empty()).then_some(lag);
    status.topics = topics;
}

fn last_reset(
    group: &ConsumerGroup,
    old: &ConsumerGroupStatus,
    seen: &Observed,
    plan: &ResetPlan,
    outcome: &Outcome,
    now: Now,
) -> Option<LastReset> {
    let reset = group.spec.reset.as_ref()?;
    let (phase, message) = phase(reset, seen, plan, outcome);
    if matches!(plan, ResetPlan::Overwritten) {
        // What it did stays what it did.
        return old.last_reset.clone().map(|last| LastReset { phase, message, ..last });
    }
    let moves: Vec<ResetMove> = match (phase, plan) {
        (ResetPhase::Rejected, _) | (_, ResetPlan::Rejected(_) | ResetPlan::Overwritten) => {
            Vec::new()
        }
        (_, ResetPlan::Pending(moves) | ResetPlan::Planned(moves) | ResetPlan::Apply(moves)) => {
            moves.iter().map(|(at, (from, to))| reset_move(at, *from, Some(*to))).collect()
        }
        (_, ResetPlan::Complete(previous)) => {
            previous.iter().map(|(at, from)| reset_move(at, *from, None)).collect()
        }
    };
    let started_at = remembered(old.last_reset.as_ref(), &reset.token)
        .map_or_else(|| now.rfc3339(), |it| it.started_at.clone());
    let is_over = !matches!(phase, ResetPhase::Pending | ResetPhase::Applying);
    Some(LastReset {
        token: reset.token.clone(),
        phase,
        started_at,
        finished_at: is_over.then(|| now.rfc3339()),
        message: message.chars().take(1024).collect(),
        partitions: i32::try_from(moves.len()).unwrap_or(i32::MAX),
        plan: moves.into_iter().take(MAX_MOVES).collect(),
    })
}

fn reset_move(at: &Partition, from: Option<i64>, to: Option<i64>) -> ResetMove {
    ResetMove { topic: at.topic.clone(), partition: at.index, from, to }
}

/// How far the reset came, and what to say of it.
fn phase(
    reset: &Reset,
    seen: &Observed,
    plan: &ResetPlan,
    outcome: &Outcome,
) -> (ResetPhase, String) {
    let moves = match plan {
        ResetPlan::Pending(_) => return (ResetPhase::Pending, waits(seen)),
        ResetPlan::Planned(_) => {
            return (ResetPhase::Planned, "dry run: nothing was moved".to_owned());
        }
        ResetPlan::Complete(_) => return (ResetPhase::Complete, String::new()),
        ResetPlan::Overwritten => {
            let phase = ResetPhase::Overwritten;
            return (phase, overwritten_hint(phase));
        }
        ResetPlan::Rejected(why) => return (ResetPhase::Rejected, why.clone()),
        ResetPlan::Apply(moves) => moves,
    };
    if let Some(done) = &outcome.reset {
        let phase = verify(moves, done.already_done, seen);
        return (phase, overwritten_hint(phase));
    }
    match (&outcome.failure, reset.when_active) {
        (Some(Failure::GroupNotEmpty), WhenActive::Wait) => (ResetPhase::Pending, waits(seen)),
        (Some(Failure::GroupNotEmpty), WhenActive::Fail | WhenActive::Fence) => {
            (ResetPhase::Rejected, "the group has members".to_owned())
        }
        (Some(Failure::Rejected(why)), _) => (ResetPhase::Rejected, why.clone()),
        (Some(Failure::Retry(refused)), _) => (ResetPhase::Applying, refused.message.clone()),
        (None, _) => (ResetPhase::Applying, String::new()),
    }
}

/// Reads back what a reset of this pass did: a partition that stands where it stood before was committed
/// again by a member that does not know of the reset.
fn verify(moves: &Moves, already_done: bool, seen: &Observed) -> ResetPhase {
    let is_back = |(partition, (from, to)): (&_, &(Option<i64>, i64))| {
        let committed = seen.positions.get(partition).and_then(|at| at.committed);
        from.is_some() && *from != Some(*to) && committed == *from
    };
    // Of a reset of long ago a member may by now have come back to where it stood, by reading.
    if !already_done && moves.iter().any(is_back) {
        ResetPhase::Overwritten
    } else {
        ResetPhase::Complete
    }
}

fn overwritten_hint(phase: ResetPhase) -> String {
    match phase {
        ResetPhase::Overwritten => {
            "a member committed its old position again; hint: stop the members, \
                                    then reset with a new token"
                .to_owned()
        }
        ResetPhase::Pending
        | ResetPhase::Planned
        | ResetPhase::Applying
        | ResetPhase::Complete
        | ResetPhase::Rejected => String::new(),
    }
}

fn waits(seen: &Observed) -> String {
    let members = seen.group.as_ref().map_or(0, |it| it.members);
    format!("waits until the group's {members} members have left; hint: stop them")
}

fn verdict(
    group: &ConsumerGroup,
    seen: &Observed,
    plan: &Plan,
    outcome: &Outcome,
    last: Option<&LastReset>,
) -> (GroupReason, String) {
    if group.spec.paused {
        return (GroupReason::Paused, "spec.paused is true".to_owned());
    }
    if let Some(refused) = plan.refusals.first() {
        return (refused.reason, refused.message.clone());
    }
    match &outcome.failure {
        Some(Failure::Retry(refused)) => return (refused.reason, refused.message.clone()),
        Some(Failure::GroupNotEmpty | Failure::Rejected(_)) | None => {}
    }
    if group.metadata.deletion_timestamp.is_some() {
        return (GroupReason::Deleting, String::new());
    }
    let token = group.spec.reset.as_ref().map(|it| it.token.as_str()).unwrap_or_default();
    if let Some(last) = remembered(last, token) {
        let message = || last.message.clone();
        match last.phase {
            ResetPhase::Pending => return (GroupReason::ResetPending, message()),
            ResetPhase::Applying => return (GroupReason::ResetApplying, message()),
            ResetPhase::Rejected => return (GroupReason::ResetRejected, message()),
            ResetPhase::Overwritten => return (GroupReason::ResetOverwritten, message()),
            ResetPhase::Planned | ResetPhase::Complete => {}
        }
    }
    match &seen.group {
        Some(_) => (GroupReason::Observed, String::new()),
        None => (
            GroupReason::GroupNotFound,
            format!("{} comes into being when its first member joins", group.group_id()),
        ),
    }
}

fn set_conditions(
    status: &mut ConsumerGroupStatus,
    group: &ConsumerGroup,
    seen: &Observed,
    (reason, message): (GroupReason, String),
    moved_ms: i64,
    now: Now,
) {
    use GroupReason as R;
    let speaker = Speaker { generation: group.metadata.generation, at: now.rfc3339() };
    // A group that does not exist yet is as declared: this resource never makes one.
    let ready = matches!(reason, R::Observed | R::GroupNotFound | R::Paused);
    let stalled = matches!(
        reason,
        R::ClusterNotFound
            | R::NamespaceNotAllowed
            | R::ResetRejected
            | R::ResetOverwritten
            | R::InvalidSpec
    );
    let all = &mut status.conditions;
    speaker.say(all, READY, ready.into(), reason, &message);
    for (type_, holds) in [(RECONCILING, !ready && !stalled), (STALLED, stalled)] {
        if holds {
            speaker.say(all, type_, ConditionStatus::True, reason, &message);
        } else {
            conditions::clear(all, type_);
        }
    }
    let token = group.spec.reset.as_ref().map(|it| it.token.as_str()).unwrap_or_default();
    let phase = remembered(status.last_reset.as_ref(), token).map(|last| last.phase);
    reset_conditions(&speaker, all, phase, &message);
    if let ClusterSeen::Ready { .. } = seen.cluster {
        let why = if status.members > 0 { R::HasMembers } else { R::NoMembers };
        speaker.say(all, ACTIVE, (status.members > 0).into(), why, "");
        let (health, why, text) = lag_health(group, status, moved_ms, now);
        speaker.say(&mut status.conditions, LAG_HEALTHY, health, why, &text);
    }
}

/// `ResetPending` while a reset is open, `ResetComplete` when it has come to an end, good or bad.
fn reset_conditions(
    speaker: &Speaker,
    all: &mut Vec<Condition>,
    phase: Option<ResetPhase>,
    message: &str,
) {
    use ConditionStatus::{False, True};
    use GroupReason as R;
    let is_open = matches!(phase, Some(ResetPhase::Pending | ResetPhase::Applying));
    if is_open {
        speaker.say(all, RESET_PENDING, True, R::ResetPending, message);
    } else {
        conditions::clear(all, RESET_PENDING);
    }
    match phase {
        Some(ResetPhase::Complete) => speaker.say(all, RESET_COMPLETE, True, R::ResetComplete, ""),
        Some(ResetPhase::Planned) => {
            speaker.say(all, RESET_COMPLETE, False, R::ResetPlanned, "dry run");
        }
        Some(ResetPhase::Rejected) => {
            speaker.say(all, RESET_COMPLETE, False, R::ResetRejected, message);
        }
        Some(ResetPhase::Overwritten) => {
            speaker.say(all, RESET_COMPLETE, False, R::ResetOverwritten, message);
        }
        Some(ResetPhase::Pending | ResetPhase::Applying) | None => {
            conditions::clear(all, RESET_COMPLETE);
        }
    }
}

/// Sets conditions of one pass: all about the same generation, at the same time.
struct Speaker {
    generation: Option<i64>,
    at: String,
}

impl Speaker {
    fn say(
        &self,
        all: &mut Vec<Condition>,
        type_: &str,
        status: ConditionStatus,
        reason: GroupReason,
        message: &str,
    ) {
        let condition = Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.as_str().to_owned(),
            message: message.chars().take(1024).collect(),
            observed_generation: self.generation,
            last_transition_time: self.at.clone(),
        };
        conditions::set(all, condition);
    }
}

fn lag_health(
    group: &ConsumerGroup,
    status: &ConsumerGroupStatus,
    moved_ms: i64,
    now: Now,
) -> (ConditionStatus, GroupReason, String) {
    let limits = group.spec.lag.clone().unwrap_or_default();
    let Some(lag) = &status.lag else {
        return (ConditionStatus::Unknown, GroupReason::GroupNotFound, String::new());
    };
    let stall_ms = limits.stall_after.and_then(|it| it.millis().ok()).unwrap_or(DEFAULT_STALL_MS);
    if lag.total > 0 && moved_ms > 0 && now.wall_ms.saturating_sub(moved_ms) >= stall_ms {
        let message = format!("no offset was committed since {}", rfc3339(moved_ms));
        return (ConditionStatus::False, GroupReason::NoProgress, message);
    }
    // The figures stand in status.lag: in a message they would make every pass a write.
    match (limits.warn, limits.critical) {
        (_, Some(critical)) if lag.total >= critical => {
            let message = format!("{critical} records behind, or more");
            (ConditionStatus::False, GroupReason::Critical, message)
        }
        (Some(warn), _) if lag.total >= warn => {
            let message = format!("{warn} records behind, or more");
            (ConditionStatus::True, GroupReason::Warning, message)
        }
        (Some(_) | None, _) => (ConditionStatus::True, GroupReason::WithinLimits, String::new()),
    }
}

/// Whether `new` should be written over `old`: at once if anything but a figure differs, and the figures
/// when the last write is `every` ago.
pub fn worth_writing(
    old: &ConsumerGroupStatus,
    new: &ConsumerGroupStatus,
    since_written: Option<Duration>,
    every: Duration,
) -> bool {
    let without_figures = |status: &ConsumerGroupStatus| ConsumerGroupStatus {
        lag: None,
        topics: Vec::new(),
        ..status.clone()
    };
    // How long nothing moved is the clock's, not the group's: it alone is not worth a write.
    let figures = |status: &ConsumerGroupStatus| {
        let lag =
            status.lag.clone().map(|lag| (lag.total, lag.max, lag.max_partition, lag.uncommitted));
        (lag, status.topics.clone())
    };
    without_figures(old) != without_figures(new)
        || (figures(old) != figures(new) && since_written.is_none_or(|it| it >= every))
}
