//! Reads all that the planner of a ConsumerGroup needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crds::ConsumerGroup;
use crds::consumer_group::{Reset, ResetPhase};

use super::plan::open_reset;
use super::{Observed, Position, ResetSeen, remembered};
use crate::cluster::ClusterSeen;
use crate::kafka::{Admin, AdminError, OffsetAt, Partition};
use crate::now::{Now, millis};

/// How long after a reset it is looked whether a member has overwritten it.
const WATCHED_MS: i64 = 600_000;

/// Looks at the group, its offsets, and what an open reset needs. `admin` is the way to its Cluster, if
/// there is one.
///
/// # Errors
/// When the brokers stop answering half-way; what was seen is not enough to plan with.
pub async fn observe(
    group: &ConsumerGroup,
    cluster: ClusterSeen,
    admin: Option<Rc<dyn Admin>>,
    now: Now,
) -> Result<Observed, AdminError> {
    let mut seen = Observed {
        cluster,
        group: None,
        positions: BTreeMap::new(),
        reset: None,
        is_overwritten: false,
    };
    let Some(admin) = admin else { return Ok(seen) };
    let id = group.group_id();
    seen.group = admin.describe_group(id.clone()).await?;
    let committed = admin.committed_offsets(id).await?;
    let open = open_reset(group);
    let names: BTreeSet<String> = committed
        .keys()
        .map(|partition| partition.topic.clone())
        .chain(open.iter().flat_map(|reset| reset.topics.iter().map(|topic| topic.name.clone())))
        .collect();
    seen.positions = positions(admin.as_ref(), names, &committed).await?;
    if let Some(reset) = open {
        seen.reset = Some(observe_reset(group, reset, &seen, admin.as_ref(), now).await?);
    } else if let Some(token) = watched_reset(group, now) {
        let done = admin.find_group_reset(group.group_id(), token.to_owned()).await?;
        seen.is_overwritten = done.is_some_and(|done| done.is_overwritten);
    }
    Ok(seen)
}

/// The reset that was done a short while ago: a client that did not notice may still commit over it.
fn watched_reset(group: &ConsumerGroup, now: Now) -> Option<&str> {
    let reset = group.spec.reset.as_ref()?;
    let last = group.status.as_ref().and_then(|status| status.last_reset.as_ref());
    let last = remembered(last, &reset.token)?;
    let finished_ms = last.finished_at.as_deref().and_then(millis)?;
    let is_fresh = now.wall_ms.saturating_sub(finished_ms) <= WATCHED_MS;
    (last.phase == ResetPhase::Complete && is_fresh).then_some(&*reset.token)
}

async fn positions(
    admin: &dyn Admin,
    names: BTreeSet<String>,
    committed: &BTreeMap<Partition, i64>,
) -> Result<BTreeMap<Partition, Position>, AdminError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let topics = admin.describe_topics(names).await?;
    let all: BTreeSet<Partition> = topics
        .iter()
        .flat_map(|(name, facts)| (0..facts.partitions).map(move |at| Partition::new(name, at)))
        .collect();
    let starts = admin.offsets(OffsetAt::Start, all.clone()).await?;
    let ends = admin.offsets(OffsetAt::End, all).await?;
    Ok(starts
        .into_iter()
        .filter_map(|(partition, start)| {
            let end = *ends.get(&partition)?;
            let committed = committed.get(&partition).copied();
            Some((partition, Position { start, end, committed }))
        })
        .collect())
}

/// When the oldest record that the group has not read was written, milliseconds since the Unix epoch, if that can be
/// told: brokers of the version before this operator's cannot.
pub async fn behind_since(
    positions: &BTreeMap<Partition, Position>,
    admin: &dyn Admin,
) -> Option<i64> {
    let unread = |(partition, at): (&Partition, &Position)| {
        let first = at.committed?.max(at.start);
        (at.lag()? > 0).then(|| (partition.clone(), first))
    };
    let unread: BTreeMap<Partition, i64> = positions.iter().filter_map(unread).collect();
    if unread.is_empty() {
        return None;
    }
    let written = admin.timestamps(unread).await;
    written
        .inspect_err(
            |error| tracing::debug!(%error, "how far a group is behind in time is not known"),
        )
        .ok()?
        .into_values()
        .min()
}

async fn observe_reset(
    group: &ConsumerGroup,
    reset: &Reset,
    seen: &Observed,
    admin: &dyn Admin,
    now: Now,
) -> Result<ResetSeen, AdminError> {
    let last = group.status.as_ref().and_then(|status| status.last_reset.as_ref());
    let started_ms =
        remembered(last, &reset.token).and_then(|it| millis(&it.started_at)).unwrap_or(now.wall_ms);
    let id = group.group_id();
    let mut open = ResetSeen { started_ms, ..ResetSeen::default() };
    open.done = admin.find_group_reset(id.clone(), reset.token.clone()).await?;
    if open.done.is_some() {
        return Ok(open);
    }
    if let Some(token) = &reset.to.snapshot {
        open.undo = admin.find_group_reset(id, token.clone()).await?;
    }
    // A target that cannot be read was refused by the schema, or is by `resolve`.
    let time = match (&reset.to.timestamp, &reset.to.ago) {
        (Some(timestamp), _) => millis(timestamp),
        (None, Some(ago)) => ago.millis().ok().map(|ms| started_ms.saturating_sub(ms)),
        (None, None) => None,
    };
    if let Some(time) = time {
        let all = seen.positions.keys().cloned().collect();
        open.at_time = admin.offsets(OffsetAt::Time(time), all).await?;
    }
    Ok(open)
}
