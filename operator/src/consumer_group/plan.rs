//! Decides what happens to a group: the gate of a reset, and deletion. Pure.

use crds::ConsumerGroup;
use crds::consumer_group::WhenActive;
use crds::consumer_group::{GroupDeletionPolicy, GroupReason, GroupState, Reset, ResetPhase};

use super::{Moves, Observed, Plan, Refused, ResetPlan, ResetSeen, Step, remembered, resolve};
use crate::cluster::ClusterSeen;
use crate::kafka::GroupReset;
use crate::now::Now;

/// How long `whenActive: Wait` waits if the resource does not say.
const DEFAULT_DEADLINE_MS: i64 = 3_600_000;

/// Whether the group's reset, if it has one, has not reached its end yet.
pub(super) fn open_reset(group: &ConsumerGroup) -> Option<&Reset> {
    let reset = group.spec.reset.as_ref()?;
    let last = group.status.as_ref().and_then(|status| status.last_reset.as_ref());
    match remembered(last, &reset.token).map(|it| it.phase) {
        None | Some(ResetPhase::Pending | ResetPhase::Applying) => Some(reset),
        Some(
            ResetPhase::Planned
            | ResetPhase::Complete
            | ResetPhase::Rejected
            | ResetPhase::Overwritten,
        ) => None,
    }
}

/// What to do so that the group's offsets are as declared.
pub fn plan(group: &ConsumerGroup, seen: &Observed, now: Now) -> Plan {
    let is_going = group.metadata.deletion_timestamp.is_some();
    if group.spec.paused {
        // Whoever is paused and goes leaves the group as it is.
        let steps = if is_going { vec![Step::Release] } else { Vec::new() };
        return Plan { steps, ..Plan::default() };
    }
    if is_going {
        return plan_deletion(group, seen);
    }
    match &seen.cluster {
        ClusterSeen::NotFound => {
            return refuse(
                GroupReason::ClusterNotFound,
                format!("there is no Cluster {}", group.spec.cluster_ref.name),
            );
        }
        ClusterSeen::NotAllowed(why) => {
            return refuse(GroupReason::NamespaceNotAllowed, why.clone());
        }
        ClusterSeen::NotReady(why) => return refuse(GroupReason::ClusterNotReady, why.clone()),
        ClusterSeen::Ready { .. } => {}
    }
    let (Some(reset), Some(open)) = (open_reset(group), &seen.reset) else {
        return match seen.is_overwritten {
            true => of_reset(ResetPlan::Overwritten),
            false => Plan::default(),
        };
    };
    plan_reset(group, reset, seen, open, now)
}

fn plan_reset(
    group: &ConsumerGroup,
    reset: &Reset,
    seen: &Observed,
    open: &ResetSeen,
    now: Now,
) -> Plan {
    if let Some(done) = &open.done {
        return of_reset(ResetPlan::Complete(done.previous.clone()));
    }
    if reset.must_exist && !exists(seen) {
        return rejected(format!(
            "there is no group {}; hint: mustExist: false with topics makes one",
            group.group_id()
        ));
    }
    let moves = match resolve(reset, seen, open) {
        Ok(moves) => moves,
        Err(why) => return rejected(why),
    };
    if reset.dry_run {
        return of_reset(ResetPlan::Planned(moves));
    }
    let members = seen.group.as_ref().map_or(0, |it| it.members);
    match reset.when_active {
        WhenActive::Fence => apply(group, reset, true, moves),
        WhenActive::Wait | WhenActive::Fail if members == 0 => apply(group, reset, false, moves),
        WhenActive::Fail => rejected(format!(
            "the group has {members} member{}; hint: stop them, or use whenActive: Wait or Fence",
            if members == 1 { "" } else { "s" }
        )),
        WhenActive::Wait => match waited_too_long(reset, open, now) {
            Some(why) => rejected(why),
            None => of_reset(ResetPlan::Pending(moves)),
        },
    }
}

fn waited_too_long(reset: &Reset, open: &ResetSeen, now: Now) -> Option<String> {
    let deadline_ms = match &reset.deadline {
        Some(span) => match span.millis() {
            Ok(ms) => ms,
            Err(error) => return Some(format!("spec.reset.deadline: {error}")),
        },
        None => DEFAULT_DEADLINE_MS,
    };
    (now.wall_ms.saturating_sub(open.started_ms) >= deadline_ms).then(|| {
        "the members did not leave before the deadline; hint: stop them and give a new token, or use \
         whenActive: Fence"
            .to_owned()
    })
}

fn apply(group: &ConsumerGroup, reset: &Reset, fence: bool, moves: Moves) -> Plan {
    let step = Step::Reset(GroupReset {
        group: group.group_id(),
        token: reset.token.clone(),
        fence,
        to: moves.iter().map(|(partition, (_, to))| (partition.clone(), *to)).collect(),
    });
    let reset = Some(ResetPlan::Apply(moves));
    Plan { steps: vec![step], refusals: Vec::new(), reset }
}

fn plan_deletion(group: &ConsumerGroup, seen: &Observed) -> Plan {
    let release = |first: Option<Step>| Plan {
        steps: first.into_iter().chain([Step::Release]).collect(),
        ..Plan::default()
    };
    match group.spec.deletion_policy {
        GroupDeletionPolicy::Retain => return release(None),
        GroupDeletionPolicy::DeleteGroup => {}
    }
    match &seen.cluster {
        ClusterSeen::NotFound | ClusterSeen::NotAllowed(_) => release(None),
        ClusterSeen::NotReady(why) => refuse(GroupReason::ClusterNotReady, why.clone()),
        ClusterSeen::Ready { .. } => match &seen.group {
            None => release(None),
            Some(facts) if facts.members > 0 => refuse(
                GroupReason::NotEmpty,
                format!("the group has {} members; hint: stop them", facts.members),
            ),
            Some(_) => release(Some(Step::DeleteGroup)),
        },
    }
}

/// A group that only stores offsets exists, too.
fn exists(seen: &Observed) -> bool {
    let is_there = |state: GroupState| match state {
        GroupState::Dead | GroupState::NotFound => false,
        GroupState::Empty
        | GroupState::PreparingRebalance
        | GroupState::CompletingRebalance
        | GroupState::Stable => true,
    };
    seen.group.as_ref().is_some_and(|it| is_there(it.state))
        || seen.positions.values().any(|at| at.committed.is_some())
}

fn of_reset(reset: ResetPlan) -> Plan {
    Plan { reset: Some(reset), ..Plan::default() }
}

fn rejected(why: String) -> Plan {
    of_reset(ResetPlan::Rejected(why))
}

fn refuse(reason: GroupReason, message: String) -> Plan {
    Plan { refusals: vec![Refused { reason, message }], ..Plan::default() }
}
