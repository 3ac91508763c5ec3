//! One pass over resources: who is looked at, in which order, and when again.
//!
//! ```text
//! observe → plan → apply → (observe again, if anything was done) → status → write, if it differs
//! ```
//!
//! The caller owns the clock and the loop: it calls [`Reconciler::reconcile_all`] when a resource
//! changed, and [`Reconciler::reconcile_due`] after the [`Pass::next`] of the pass before.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crds::{Cluster, ConsumerGroup, Key, Kind, Resource, Topic};

use crate::cluster::{self, ClusterSeen, cluster_key};
use crate::consumer_group::{self, Progress};
use crate::kafka::Admin;
use crate::now::{Now, millis};
use crate::platform::{Event, Platform};
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

/// The clusters of one pass, each asked once.
type Clusters = BTreeMap<Key, (ClusterSeen, Option<Rc<dyn Admin>>)>;

impl Reconciler {
    /// Reconciles what `platform` lists.
    pub fn new(platform: Rc<dyn Platform>) -> Self {
        Self { platform, schedule: BTreeMap::new() }
    }

    /// Looks at every resource: Clusters first, then Topics, then ConsumerGroups.
    pub async fn reconcile_all(&mut self, now: Now) -> Pass {
        self.pass(now, |_, _| true).await
    }

    /// Looks at the resources whose time has come.
    pub async fn reconcile_due(&mut self, now: Now) -> Pass {
        self.pass(now, |_, due| due <= now.tick).await
    }

    /// Looks at one resource.
    pub async fn reconcile_one(&mut self, key: &Key, now: Now) -> Pass {
        self.pass(now, |it, _| it == key).await
    }

    async fn pass(&mut self, now: Now, wanted: impl Fn(&Key, Duration) -> bool) -> Pass {
        let mut all = self.platform.resources();
        all.sort_by_key(Resource::key);
        self.schedule.retain(|key, _| all.iter().any(|it| it.key() == *key));
        let resync = self.platform.limits().resync_every;
        let mut pass = Pass { next: resync, ..Pass::default() };
        let mut clusters = Clusters::new();
        for resource in &all {
            let key = resource.key();
            let mut schedule = self.schedule.remove(&key).unwrap_or_default();
            if wanted(&key, schedule.due) {
                let look = self.look(resource, &all, &mut clusters, &mut schedule, now).await;
                pass.looked_at += 1;
                pass.steps += look.steps;
                pass.written += usize::from(look.written);
                schedule.failures =
                    if look.next == Next::Retry { schedule.failures + 1 } else { 0 };
                schedule.due = now.tick + wait(look.next, schedule.failures, resync);
            }
            pass.next = pass.next.min(schedule.due.saturating_sub(now.tick));
            self.schedule.insert(key, schedule);
        }
        pass
    }

    async fn look(
        &self,
        resource: &Resource,
        all: &[Resource],
        clusters: &mut Clusters,
        schedule: &mut Schedule,
        now: Now,
    ) -> Look {
        match resource {
            Resource::Cluster(it) => self.look_at_cluster(it, schedule, now).await,
            Resource::Topic(it) => {
                let key = cluster_key(&it.spec.cluster_ref, &it.metadata);
                let (seen, admin) = self.cluster(key, all, clusters).await;
                self.look_at_topic(it, all, (seen, admin), schedule, now).await
            }
            Resource::ConsumerGroup(it) => {
                let key = cluster_key(&it.spec.cluster_ref, &it.metadata);
                let (seen, admin) = self.cluster(key, all, clusters).await;
                self.look_at_group(it, (seen, admin), schedule, now).await
            }
        }
    }

    async fn cluster(
        &self,
        key: Key,
        all: &[Resource],
        clusters: &mut Clusters,
    ) -> (ClusterSeen, Option<Rc<dyn Admin>>) {
        if let Some(known) = clusters.get(&key) {
            return known.clone();
        }
        let seen = cluster::see(&key, all, self.platform.as_ref()).await;
        clusters.insert(key, seen.clone());
        seen
    }

    async fn look_at_cluster(&self, cluster: &Cluster, schedule: &mut Schedule, now: Now) -> Look {
        let platform = self.platform.as_ref();
        let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
        let mut seen = cluster::observe(&key, platform).await;
        let plan = cluster::plan(cluster, &seen);
        let outcome = cluster::apply(cluster, &plan, platform).await;
        if outcome.done.contains(&cluster::Step::Release) {
            return Look { next: Next::Settled, steps: outcome.done.len(), written: false };
        }
        if !outcome.done.is_empty() {
            seen = cluster::observe(&key, platform).await;
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
        all: &[Resource],
        (cluster, admin): (ClusterSeen, Option<Rc<dyn Admin>>),
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
            (None, ClusterSeen::NotFound) => Next::Settled,
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
        (cluster, admin): (ClusterSeen, Option<Rc<dyn Admin>>),
        schedule: &mut Schedule,
        now: Now,
    ) -> Look {
        let platform = self.platform.as_ref();
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
            ClusterSeen::NotFound | ClusterSeen::NotReady(_) => progress.moved_ms(),
        };
        let status = consumer_group::status(group, &seen, &plan, &outcome, moved_ms, now);
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

/// Whether the next pass will do what this one could not: create a topic that was seen to be gone, or
/// record the id of one that the brokers did not show yet.
fn is_on_its_way(topic: &Topic, plan: &topic::Plan, status: &crds::TopicStatus) -> bool {
    !topic.spec.paused && plan.refusals.is_empty() && status.topic_id.is_none()
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
