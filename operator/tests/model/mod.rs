//! A model of the brokers and of a platform, in memory: small enough to be obviously right, and able to
//! lose an answer, refuse a call or forget a status at any chosen call.

// Each test binary uses its own part of the model.
#![allow(dead_code, reason = "shared by several test binaries")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crds::cluster::ListenerStatus;
use crds::consumer_group::GroupState;
use crds::{Cluster, Key, Kind, Resource};
use operator::kafka::{
    Admin, AdminError, Asked, ClusterFacts, GroupFacts, GroupReset, NewTopic, OffsetAt, Partition,
    Refusal, ResetDone, Setting, TopicFacts,
};
use operator::platform::{Event, Limits, Platform, PlatformError, Resources, Running, Working};
use operator::{Now, Reconciler};

/// One topic of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelTopic {
    pub(crate) id: String,
    pub(crate) partitions: i32,
    pub(crate) replicas: i32,
    /// Looks until its replicas have moved.
    pub(crate) moving: i32,
    pub(crate) config: BTreeMap<String, String>,
    /// Start and end of every partition's log.
    pub(crate) log: (i64, i64),
}

/// One group of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelGroup {
    pub(crate) members: i32,
    pub(crate) committed: BTreeMap<Partition, i64>,
    pub(crate) journal: BTreeMap<String, ResetDone>,
    /// How many resets were carried out, whatever their token.
    pub(crate) resets: usize,
}

/// The brokers.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) topics: BTreeMap<String, ModelTopic>,
    pub(crate) groups: BTreeMap<String, ModelGroup>,
    pub(crate) created: usize,
    pub(crate) deleted: Vec<String>,
}

/// What goes wrong at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is lost.
    Request,
    /// It is carried out, and the answer is lost.
    Answer,
}

/// The port to the model.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) state: RefCell<State>,
    pub(crate) calls: Cell<usize>,
    pub(crate) fault: Cell<Option<(usize, Fault)>>,
}

impl Model {
    fn call<T: 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, AdminError>,
    ) -> Asked<'_, T> {
        let at = self.calls.get();
        self.calls.set(at + 1);
        let fault = self.fault.get().filter(|(when, _)| *when == at).map(|(_, fault)| fault);
        let lost = || AdminError::Unreachable("the model lost it".to_owned());
        let result = match fault {
            Some(Fault::Request) => Err(lost()),
            Some(Fault::Answer) => {
                let _ = work(&mut self.state.borrow_mut());
                Err(lost())
            }
            None => work(&mut self.state.borrow_mut()),
        };
        Box::pin(std::future::ready(result))
    }
}

fn unknown_topic<T>() -> Result<T, AdminError> {
    Err(AdminError::refused(Refusal::UnknownTopic, "no such topic"))
}

impl Admin for Model {
    fn describe_cluster(&self) -> Asked<'_, ClusterFacts> {
        self.call(|_| Ok(ClusterFacts { cluster_id: "model".to_owned(), brokers: vec![0] }))
    }

    fn describe_topics(&self, names: BTreeSet<String>) -> Asked<'_, BTreeMap<String, TopicFacts>> {
        self.call(|state| {
            Ok(state
                .topics
                .iter()
                .filter(|(name, _)| names.contains(*name))
                .map(|(name, it)| {
                    let (partitions, replicas) = (it.partitions, it.replicas);
                    let replicas_max = replicas + i32::from(it.moving > 0);
                    let id = it.id.clone();
                    (name.clone(), TopicFacts { id, partitions, replicas, replicas_max })
                })
                .collect())
        })
    }

    fn topic_config(&self, topic: String) -> Asked<'_, BTreeMap<String, Setting>> {
        self.call(move |state| match state.topics.get(&topic) {
            None => unknown_topic(),
            Some(it) => {
                let mut all = BTreeMap::from([(
                    "retention.ms".to_owned(),
                    Setting { value: "604800000".to_owned(), is_own: false },
                )]);
                all.extend(it.config.iter().map(|(key, value)| {
                    (key.clone(), Setting { value: value.clone(), is_own: true })
                }));
                Ok(all)
            }
        })
    }

    fn create_topic(&self, new: NewTopic) -> Asked<'_, ()> {
        self.call(move |state| {
            if state.topics.contains_key(&new.name) {
                return Err(AdminError::refused(Refusal::TopicExists, "it exists"));
            }
            state.created += 1;
            let topic = ModelTopic {
                id: format!("id-{}", state.created),
                partitions: new.partitions.unwrap_or(1),
                replicas: new.replicas.unwrap_or(1),
                moving: 0,
                config: new.config,
                log: (0, 0),
            };
            state.topics.insert(new.name, topic);
            Ok(())
        })
    }

    fn create_partitions(&self, topic: String, to: i32) -> Asked<'_, ()> {
        self.call(move |state| match state.topics.get_mut(&topic) {
            None => unknown_topic(),
            Some(it) if to <= it.partitions => {
                Err(AdminError::refused(Refusal::InvalidPartitions, "not more than before"))
            }
            Some(it) => {
                it.partitions = to;
                Ok(())
            }
        })
    }

    fn moving_partitions(&self, topic: String) -> Asked<'_, i32> {
        self.call(move |state| match state.topics.get_mut(&topic) {
            None => unknown_topic(),
            Some(it) if it.moving > 0 => {
                it.moving -= 1;
                Ok(it.partitions)
            }
            Some(_) => Ok(0),
        })
    }

    fn set_replicas(&self, topic: String, to: i32) -> Asked<'_, ()> {
        self.call(move |state| match state.topics.get_mut(&topic) {
            None => unknown_topic(),
            Some(it) if it.replicas == to => Ok(()),
            Some(it) => {
                (it.replicas, it.moving) = (to, 2);
                Ok(())
            }
        })
    }

    fn alter_topic_config(
        &self,
        topic: String,
        changes: BTreeMap<String, Option<String>>,
    ) -> Asked<'_, ()> {
        self.call(move |state| match state.topics.get_mut(&topic) {
            None => unknown_topic(),
            Some(it) => {
                for (key, value) in changes {
                    match value {
                        Some(value) => it.config.insert(key, value),
                        None => it.config.remove(&key),
                    };
                }
                Ok(())
            }
        })
    }

    fn delete_topic(&self, topic_id: String) -> Asked<'_, ()> {
        self.call(move |state| {
            state.topics.retain(|_, it| it.id != topic_id);
            state.deleted.push(topic_id);
            Ok(())
        })
    }

    fn describe_group(&self, group: String) -> Asked<'_, Option<GroupFacts>> {
        self.call(move |state| {
            Ok(state.groups.get(&group).map(|it| GroupFacts {
                state: if it.members > 0 { GroupState::Stable } else { GroupState::Empty },
                protocol_type: "consumer".to_owned(),
                members: it.members,
                coordinator: Some(0),
            }))
        })
    }

    fn committed_offsets(&self, group: String) -> Asked<'_, BTreeMap<Partition, i64>> {
        self.call(move |state| {
            Ok(state.groups.get(&group).map(|it| it.committed.clone()).unwrap_or_default())
        })
    }

    fn offsets(
        &self,
        at: OffsetAt,
        of: BTreeSet<Partition>,
    ) -> Asked<'_, BTreeMap<Partition, i64>> {
        self.call(move |state| {
            let offset = |partition: &Partition| {
                let topic = state.topics.get(&partition.topic)?;
                Some(match at {
                    OffsetAt::Start => topic.log.0,
                    OffsetAt::End => topic.log.1,
                    // In the model a record is written each second.
                    OffsetAt::Time(ms) => (ms / 1000).clamp(topic.log.0, topic.log.1),
                })
            };
            Ok(of.into_iter().filter_map(|it| offset(&it).map(|at| (it, at))).collect())
        })
    }

    fn timestamps(&self, of: BTreeMap<Partition, i64>) -> Asked<'_, BTreeMap<Partition, i64>> {
        self.call(move |state| {
            let written = |(partition, offset): &(Partition, i64)| {
                let (start, end) = state.topics.get(&partition.topic)?.log;
                let first = *offset.max(&start);
                (first < end).then_some(first * 1000)
            };
            let all = of.into_iter().filter_map(|it| written(&it).map(|at| (it.0, at)));
            Ok(all.collect())
        })
    }

    fn reset_group_offsets(&self, reset: GroupReset) -> Asked<'_, ResetDone> {
        self.call(move |state| {
            let group = state.groups.entry(reset.group).or_default();
            if let Some(done) = group.journal.get(&reset.token) {
                return Ok(ResetDone { already_done: true, ..done.clone() });
            }
            if group.members > 0 && !reset.fence {
                return Err(AdminError::refused(Refusal::GroupNotEmpty, "it has members"));
            }
            let mut done = ResetDone::default();
            for (partition, to) in reset.to {
                let from = group.committed.insert(partition.clone(), to);
                done.previous.insert(partition, from);
            }
            group.members = 0;
            group.resets += 1;
            group.journal.insert(reset.token, done.clone());
            Ok(done)
        })
    }

    fn find_group_reset(&self, group: String, token: String) -> Asked<'_, Option<ResetDone>> {
        self.call(move |state| {
            let done = state.groups.get(&group).and_then(|it| it.journal.get(&token));
            Ok(done.map(|it| ResetDone { already_done: true, ..it.clone() }))
        })
    }

    fn delete_group(&self, group: String) -> Asked<'_, ()> {
        self.call(move |state| match state.groups.get(&group) {
            Some(it) if it.members > 0 => {
                Err(AdminError::refused(Refusal::GroupNotEmpty, "it has members"))
            }
            Some(_) | None => {
                state.groups.remove(&group);
                Ok(())
            }
        })
    }
}

/// A laptop without files: resources, statuses and brokers in memory.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) model: Rc<Model>,
    pub(crate) resources: RefCell<BTreeMap<Key, Resource>>,
    pub(crate) running: RefCell<BTreeMap<Key, Running>>,
    pub(crate) events: RefCell<Vec<Event>>,
    pub(crate) writes: Cell<usize>,
    /// The next status is lost, as if the operator died before it wrote it.
    pub(crate) lose_statuses: Cell<bool>,
}

impl Platform for Place {
    fn limits(&self) -> Limits {
        Limits {
            max_brokers: 1,
            side_by_side: 4,
            group_figures_every: Duration::from_secs(2),
            resync_every: Duration::from_secs(5),
        }
    }

    fn resources(&self) -> Rc<Resources> {
        Rc::new(self.resources.borrow().values().cloned().collect())
    }

    fn brokers(&self, cluster: &Cluster) -> Option<Running> {
        self.running.borrow().get(&cluster_key(cluster)).cloned()
    }

    fn run_brokers<'a>(&'a self, cluster: &'a Cluster, count: i32) -> Working<'a, ()> {
        let client = "client".to_owned();
        let bootstrap = "127.0.0.1:9092".to_owned();
        let running = Running {
            count,
            is_as_wanted: true,
            listeners: vec![ListenerStatus { name: client, bootstrap }],
            ..Running::default()
        };
        self.running.borrow_mut().insert(cluster_key(cluster), running);
        Box::pin(std::future::ready(Ok(())))
    }

    fn stop_brokers<'a>(&'a self, cluster: &'a Cluster) -> Working<'a, ()> {
        self.running.borrow_mut().remove(&cluster_key(cluster));
        Box::pin(std::future::ready(Ok(())))
    }

    fn admin(&self, cluster: &Key) -> Result<Rc<dyn Admin>, AdminError> {
        if self.running.borrow().contains_key(cluster) {
            Ok(self.model.clone())
        } else {
            Err(AdminError::Unreachable("no broker runs".to_owned()))
        }
    }

    fn hold<'a>(&'a self, _: &'a Resource) -> Working<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn write_status<'a>(&'a self, resource: &'a Resource) -> Working<'a, ()> {
        if self.lose_statuses.get() {
            return Box::pin(std::future::ready(Err(PlatformError::Failed("lost".to_owned()))));
        }
        self.writes.set(self.writes.get() + 1);
        self.resources.borrow_mut().insert(resource.key(), resource.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, key: &'a Key) -> Working<'a, ()> {
        self.resources.borrow_mut().remove(key);
        Box::pin(std::future::ready(Ok(())))
    }

    fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

fn cluster_key(cluster: &Cluster) -> Key {
    crds::resource::key(Kind::Cluster, &cluster.metadata)
}

impl Place {
    /// A place with a Cluster `demo` and whatever else `yaml` declares.
    pub(crate) fn with(yaml: &str) -> Rc<Self> {
        let place = Rc::new(Self::default());
        place.apply(
            "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec: {replicas: 1, \
             storage: {size: 1Gi}}\n",
        );
        place.apply(yaml);
        place
    }

    /// What saving a file does: specs are taken over, statuses stay, a changed spec is a new generation.
    pub(crate) fn apply(&self, yaml: &str) {
        for parsed in crds::parse(yaml, "test.yaml") {
            let mut new = parsed.expect("the test's YAML is valid");
            let mut all = self.resources.borrow_mut();
            let old = all.remove(&new.key());
            let generation = old.as_ref().and_then(|it| it.meta().generation).unwrap_or(0);
            let changed = !old.as_ref().is_some_and(|it| it.same_spec(&new));
            new.meta_mut().generation = Some(generation + i64::from(changed));
            match (&mut new, old) {
                (Resource::Cluster(new), Some(Resource::Cluster(old))) => new.status = old.status,
                (Resource::Topic(new), Some(Resource::Topic(old))) => new.status = old.status,
                (Resource::ConsumerGroup(new), Some(Resource::ConsumerGroup(old))) => {
                    new.status = old.status;
                }
                _ => {}
            }
            all.insert(new.key(), new);
        }
    }

    /// What `klamm delete` does.
    pub(crate) fn delete(&self, name: &str) {
        let stamp = serde_json::from_value(serde_json::json!("2026-11-21T09:00:00Z"));
        for resource in self.resources.borrow_mut().values_mut() {
            if resource.key().name == name {
                resource.meta_mut().deletion_timestamp = stamp.as_ref().ok().cloned();
            }
        }
    }

    /// The Topic of this name.
    pub(crate) fn topic(&self, name: &str) -> Option<crds::Topic> {
        self.resources.borrow().values().find_map(|it| match it {
            Resource::Topic(topic) if it.key().name == name => Some(topic.as_ref().clone()),
            _ => None,
        })
    }

    /// The ConsumerGroup of this name.
    pub(crate) fn group(&self, name: &str) -> Option<crds::ConsumerGroup> {
        self.resources.borrow().values().find_map(|it| match it {
            Resource::ConsumerGroup(group) if it.key().name == name => Some(group.as_ref().clone()),
            _ => None,
        })
    }

    /// `Ready` and its reason, of the Topic of this name.
    pub(crate) fn topic_ready(&self, name: &str) -> String {
        let status = self.topic(name).and_then(|it| it.status).unwrap_or_default();
        ready(&status.conditions)
    }
}

/// `Ready` and its reason: `True InSync`.
pub(crate) fn ready(conditions: &[crds::Condition]) -> String {
    match crds::conditions::get(conditions, crds::conditions::READY) {
        Some(it) => format!("{:?} {}", it.status, it.reason),
        None => "nothing".to_owned(),
    }
}

/// Seconds after the epoch of the model.
pub(crate) fn at(seconds: u64) -> Now {
    let tick = Duration::from_secs(seconds);
    Now { wall_ms: 1_000_000_000 + i64::try_from(tick.as_millis()).unwrap_or(0), tick }
}

/// Runs a future that never waits.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing in the model waits"),
    }
}

/// Passes over everything, one per second from `from` on, until two in a row do nothing; at most 20.
pub(crate) fn settle(place: &Rc<Place>, from: u64) -> u64 {
    let mut reconciler = Reconciler::new(place.clone());
    let mut quiet = 0;
    for second in from..from + 20 {
        let pass = run(reconciler.reconcile_all(at(second)));
        quiet = if pass.steps == 0 && pass.written == 0 { quiet + 1 } else { 0 };
        if quiet == 2 {
            return second;
        }
    }
    panic!("it does not settle: {:#?}", place.resources.borrow());
}
