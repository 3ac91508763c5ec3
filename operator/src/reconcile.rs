//! One pass over resources: who is looked at, in which order, and when again.
//!
//! ```text
//! hold → observe → plan → apply → (observe again, if anything was done) → status → write, if it differs
//! ```
//!
//! The caller owns the clock and the loop: it calls [`Reconciler::reconcile_all`] or [`Reconciler::reconcile_some`]
//! when resources changed, and [`Reconciler::reconcile_due`] after the [`Pass::next`] of the pass before. On
//! Kubernetes each Cluster has a reconciler of its own, so that one whose brokers do not answer holds up no other.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crds::{Cluster, ConsumerGroup, Key, Kind, Resource, Topic};
use futures_util::StreamExt as _;

use crate::cluster::{self, ClusterSeen};
use crate::consumer_group::{self, Progress};
use crate::kafka::Admin;
use crate::now::{Now, millis, rfc3339};
use crate::platform::{Event, Platform, Resources};
use crate::topic;

/// The first wait after a step failed; it doubles with each further failure.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// The longest wait after a step failed.
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// How soon something that is on its way is looked at again.
const SOON: Duration = Duration::from_millis(500);

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// How many resources were looked at.
    pub looked_at: usize,
    /// How many steps were done.
    pub steps: usize,
    /// How many statuses were written.
    pub written: usize,
    /// How long until the next resource is due.
    pub next: Duration,
}

/// Keeps, for each resource, when it is due again.
pub struct Reconciler {
    platform: Rc<dyn Platform>,
    /// Whose resources; `None` for everybody's.
    cluster: Option<Key>,
    /// One entry per resource that was listed in the last pass.
    schedule: BTreeMap<Key, Schedule>,
}

/// When a resource is due again, and what is remembered of it between passes.
#[derive(Default)]
struct Schedule {
    due: Duration,
    failures: u32,
    written: Option<Duration>,
    progress: Option<Progress>,
}

/// How a resource came out of a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// As declared, or refused until something changes.
    Settled,
    /// On its way.
    Soon,
    /// A step failed, or the brokers do not answer.
    Retry,
}

/// What one resource's look came to.
struct Look {
    next: Next,
    steps: usize,
    written: bool,
}

/// A Cluster, as those that name it see it.
type Seen = (ClusterSeen, Option<Rc<dyn Admin>>);

impl Reconciler {
    /// Reconciles all that `platform` lists.
    pub fn new(platform: Rc<dyn Platform>) -> Self {
        Self { platform, cluster: None, schedule: BTreeMap::new() }
    }

    /// Reconciles what belongs to one Cluster, itself among it.
    pub fn of_cluster(platform: Rc<dyn Platform>, cluster: Key) -> Self {
        Self { platform, cluster: Some(cluster), schedule: BTreeMap::new() }
    }

    /// Looks at every resource: Clusters first, then Topics and ConsumerGroups, several side by side.
    pub async fn reconcile_all(&mut self, now: Now) -> Pass {
        self.pass(now, |_, _| true).await
    }

    /// Looks at the resources whose time has come.
    pub async fn reconcile_due(&mut self, now: Now) -> Pass {
        self.pass(now, |_, due| due <= now.tick).await
    }

    /// Looks at these resources, and at those whose time has come.
    pub async fn reconcile_some(&mut self, keys: &BTreeSet<Key>, now: Now) -> Pass {
        self.pass(now, |it, due| due <= now.tick || keys.contains(it)).await
    }

    /// Looks at one resource.
    pub async fn reconcile_one(&mut self, key: &Key, now: Now) -> Pass {
        self.pass(now, |it, _| it == key).await
    }

    async fn pass(&mut self, now: Now, is_wanted: impl Fn(&Key, Duration) -> bool) -> Pass {
        let all = self.platform.resources();
        let listed: Vec<(&Key, &Rc<Resource>)> = match &self.cluster {
            Some(cluster) => all.of_cluster(cluster).collect(),
            None => all.iter().collect(),
        };
        let mut before = std::mem::take(&mut self.schedule);
        let (mut clusters, mut others) = (Vec::new(), Vec::new());
        for (key, resource) in listed {
            let schedule = before.remove(key).unwrap_or_default();
            if !is_wanted(key, schedule.due) {
                self.schedule.insert(key.clone(), schedule);
            } else if key.kind == Kind::Cluster {
                clusters.push((key, resource, schedule));
            } else {
                others.push((key, resource, schedule));
            }
        }
        let mut pass = Pass::default();
        let limits = self.platform.limits();
        for (key, resource, mut schedule) in clusters {
            let look = self.look(resource, &all, None, &mut schedule, now).await;
            self.note(key, schedule, &look, now, &mut pass);
        }
        // Each Cluster is asked once, after its own look.
        let named: BTreeSet<Key> =
            others.iter().map(|(_, resource, _)| crate::platform::cluster_of(resource)).collect();
        let mut seen: BTreeMap<Key, Seen> = BTreeMap::new();
        for cluster in named {
            let looked = cluster::see(&cluster, &all, self.platform.as_ref()).await;
            seen.insert(cluster, looked);
        }
        let looks = others.into_iter().map(|(key, resource, mut schedule)| {
            let seen = seen.get(&crate::platform::cluster_of(resource));
            let (this, all) = (&*self, &all);
            async move {
                let look = this.look(resource, all, seen, &mut schedule, now).await;
                (key, schedule, look)
            }
        });
        let looked: Vec<(&Key, Schedule, Look)> =
            futures_util::stream::iter(looks).buffer_unordered(limits.side_by_side).collect().await;
        for (key, schedule, look) in looked {
            self.note(key, schedule, &look, now, &mut pass);
        }
        let due = self.schedule.values().map(|it| it.due.saturating_sub(now.tick)).min();
        pass.next = due.unwrap_or(limits.resync_every).min(limits.resync_every);
        pass
    }

    fn note(&mut self, key: &Key, mut schedule: Schedule, look: &Look, now: Now, pass: &mut Pass) {
        pass.looked_at += 1;
        pass.steps += look.steps;
        pass.written += usize::from(look.written);
        schedule.failures = if look.next == Next::Retry { schedule.failures + 1 } else { 0 };
        let resync = self.platform.limits().resync_every;
        schedule.due = now.tick + wait(look.next, schedule.failures, resync);
        self.schedule.insert(key.clone(), schedule);
    }

    async fn look(
        &self,
        resource: &Rc<Resource>,
        all: &Resources,
        seen: Option<&Seen>,
        schedule: &mut Schedule,
        now: Now,
    ) -> Look {
        if resource.meta().deletion_timestamp.is_none()
            && let Err(error) = self.platform.hold(resource).await
        {
            tracing::warn!(resource = %resource.key(), %error, "could not be held");
            return Look::RETRY;
        }
        let seen = || match cluster::not_allowed(resource, all) {
            Some(why) => (ClusterSeen::NotAllowed(why), None),
            None => seen.cloned().unwrap_or((ClusterSeen::NotFound, None)),
        };
        match resource.as_ref() {
            Resource::Cluster(it) => self.look_at_cluster(it, schedule, now).await,
            Resource::Topic(it) => self.look_at_topic(it, all, seen(), schedule, now).await,
            Resource::ConsumerGroup(it) => self.look_at_group(it, seen(), schedule, now).await,
        }
    }
    async fn look_at_cluster(&self, cluster: &Cluster, schedule: &mut Schedule, now: Now) -> Look {
        let platform = self.platform.as_ref();
        let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
        let mut seen = cluster::observe(cluster, platform).await;
        let plan = cluster::plan(cluster, &seen);
        let outcome = cluster::apply(cluster, &plan, platform).await;
        if outcome.done.contains(&cluster::Step::Release) {
            return Look { next: Next::Settled, steps: outcome.done.len(), written: false };
        }
        if !outcome.done.is_empty() {
            seen = cluster::observe(cluster, platform).await;
        }
        let status = cluster::status(cluster, &seen, &plan, &outcome, now);
        let ready = status.ready_replicas >= status.replicas && status.replicas > 0;
        let next = if outcome.failure.is_some() {
            Next::Retry
        } else if ready || cluster.spec.paused {
            Next::Settled
        } else {
            Next::Soon
        };
        let mut written = false;
        if cluster.status.as_ref() != Some(&status) {
            let old = cluster.status.as_ref().map(|it| it.conditions.as_slice());
            self.tell(&key, old.unwrap_or_default(), &status.conditions);
            let mut new = cluster.clone();
            new.status = Some(status);
            written = self.write(Resource::Cluster(Box::new(new)), schedule, now).await;
        }
        Look { next, steps: outcome.done.len(), written }
    }

    async fn look_at_topic(
        &self,
        topic: &Topic,
        all: &Resources,
        (cluster, admin): Seen,
        schedule: &mut Schedule,
        now: Now,
    ) -> Look {
        let claimed_by = topic::claimed_by(topic, all);
        let observed =
            topic::observe(topic, cluster.clone(), claimed_by.clone(), admin.clone()).await;
        let mut seen = observed.unwrap_or_else(|error| topic::Observed::unreachable(&error));
        let plan = topic::plan(topic, &seen);
        let outcome = topic::apply(topic, &plan, admin.as_deref(), self.platform.as_ref()).await;
        if outcome.done.contains(&topic::Step::Release) {
            return Look { next: Next::Settled, steps: outcome.done.len(), written: false };
        }
        if !outcome.done.is_empty() {
            match topic::observe(topic, cluster, claimed_by, admin).await {
                Ok(after) => seen = after,
                Err(_) => return Look { steps: outcome.done.len(), ..Look::RETRY },
            }
        }
        let status = topic::status(topic, &seen, &plan, &outcome, now);
        let next = match (&outcome.failure, &seen.cluster) {
            (Some(_), _) | (None, ClusterSeen::NotReady(_)) => Next::Retry,
            (None, ClusterSeen::NotFound | ClusterSeen::NotAllowed(_)) => Next::Settled,
            (None, ClusterSeen::Ready { .. }) if is_on_its_way(topic, &plan, &status) => Next::Soon,
            (None, ClusterSeen::Ready { .. }) => Next::Settled,
        };
        let mut written = false;
        if topic.status.as_ref() != Some(&status) {
            let key = crds::resource::key(Kind::Topic, &topic.metadata);
            let old = topic.status.as_ref().map(|it| it.conditions.as_slice());
            self.tell(&key, old.unwrap_or_default(), &status.conditions);
            let mut new = topic.clone();
            new.status = Some(status);
            written = self.write(Resource::Topic(Box::new(new)), schedule, now).await;
        }
        Look { next, steps: outcome.done.len(), written }
    }

    async fn look_at_group(
        &self,
        group: &ConsumerGroup,
        (cluster, admin): Seen,
        schedule: &mut Schedule,
        now: Now,
    ) -> Look {
        let (platform, asked) = (self.platform.as_ref(), admin.clone());
        let observed = consumer_group::observe(group, cluster.clone(), admin.clone(), now).await;
        let mut seen =
            observed.unwrap_or_else(|error| consumer_group::Observed::unreachable(&error));
        let plan = consumer_group::plan(group, &seen, now);
        let outcome = consumer_group::apply(group, &plan, admin.as_deref(), platform).await;
        if outcome.done.contains(&consumer_group::Step::Release) {
            return Look { next: Next::Settled, steps: outcome.done.len(), written: false };
        }
        if !outcome.done.is_empty() {
            // What the steps did is in the journal: the next pass finds it there.
            match consumer_group::observe(group, cluster, admin, now).await {
                Ok(after) => seen = after,
                Err(_) => return Look { steps: outcome.done.len(), ..Look::RETRY },
            }
        }
        let progress = schedule.progress.get_or_insert_with(|| since_last_status(group));
        let moved_ms = match seen.cluster {
            ClusterSeen::Ready { .. } => progress.update(&seen.positions, now.wall_ms),
            ClusterSeen::NotFound | ClusterSeen::NotAllowed(_) | ClusterSeen::NotReady(_) => {
                progress.moved_ms()
            }
        };
        let mut status = consumer_group::status(group, &seen, &plan, &outcome, moved_ms, now);
        let is_pending = matches!(plan.reset, Some(consumer_group::ResetPlan::Pending(_)));
        let next = match (&outcome.failure, &seen.cluster) {
            (Some(consumer_group::Failure::Retry(_)), _) | (None, ClusterSeen::NotReady(_)) => {
                Next::Retry
            }
            (Some(consumer_group::Failure::GroupNotEmpty), _) => Next::Soon,
            (Some(consumer_group::Failure::Rejected(_)) | None, _) if is_pending => Next::Soon,
            (Some(consumer_group::Failure::Rejected(_)) | None, _) => Next::Settled,
        };
        let old = group.status.clone().unwrap_or_default();
        let since = schedule.written.map(|at| now.tick.saturating_sub(at));
        let every = platform.limits().group_figures_every;
        let mut written = false;
        if group.status.is_none() || consumer_group::worth_writing(&old, &status, since, every) {
            let key = crds::resource::key(Kind::ConsumerGroup, &group.metadata);
            self.tell(&key, &old.conditions, &status.conditions);
            if let (Some(lag), Some(admin)) = (&mut status.lag, &asked) {
                let since = consumer_group::behind_since(&seen.positions, admin.as_ref()).await;
                lag.behind_since = since.map(rfc3339);
            }
            let mut new = group.clone();
            new.status = Some(status);
            written = self.write(Resource::ConsumerGroup(Box::new(new)), schedule, now).await;
        }
        Look { next, steps: outcome.done.len(), written }
    }

    async fn write(&self, resource: Resource, schedule: &mut Schedule, now: Now) -> bool {
        match self.platform.write_status(&resource).await {
            Ok(()) => {
                schedule.written = Some(now.tick);
                true
            }
            Err(error) => {
                // Nothing is lost: the next pass comes to the same status and writes it.
                tracing::warn!(resource = %resource.key(), %error, "could not write a status");
                false
            }
        }
    }

    /// Emits an event when `Ready` changes its reason.
    fn tell(&self, about: &Key, old: &[crds::Condition], new: &[crds::Condition]) {
        use crds::conditions::{ConditionStatus, READY, STALLED, get};
        let Some(ready) = get(new, READY) else { return };
        if get(old, READY).is_some_and(|it| it.reason == ready.reason) {
            return;
        }
        self.platform.emit(Event {
            about: about.clone(),
            is_warning: get(new, STALLED).is_some_and(|it| it.status == ConditionStatus::True),
            reason: ready.reason.clone(),
            message: ready.message.clone(),
        });
    }
}

impl Look {
    const RETRY: Self = Self { next: Next::Retry, steps: 0, written: false };
}

/// Whether the next pass will do what this one could not: create a topic that was seen to be gone,
/// record the id of one that the brokers did not show yet, or see that replicas have moved.
fn is_on_its_way(topic: &Topic, plan: &topic::Plan, status: &crds::TopicStatus) -> bool {
    !topic.spec.paused
        && plan.refusals.is_empty()
        && (status.topic_id.is_none() || status.moving_partitions.is_some())
}

fn since_last_status(group: &ConsumerGroup) -> Progress {
    let last = group.status.as_ref().and_then(|it| it.lag.as_ref());
    let at = last.and_then(|lag| lag.progressed_at.as_deref()).and_then(millis);
    Progress::since(at.unwrap_or(0))
}

fn wait(next: Next, failures: u32, resync: Duration) -> Duration {
    match next {
        Next::Settled => resync,
        Next::Soon => SOON.min(resync),
        Next::Retry => {
            let doublings = failures.saturating_sub(1).min(6);
            (RETRY_FIRST * 2u32.pow(doublings)).min(RETRY_LONGEST)
        }
    }
}
