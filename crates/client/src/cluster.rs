//! Whom to ask: keeps connections, knows leaders and coordinators, asks again within bounds.
//!
//! What it caches may be wrong at any time: a refusal that says so ([`Error::is_retriable`]) makes it
//! forget, and [`Cluster::retry`] asks again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wire::metadata::request::MetadataRequestTopic;
use wire::{ErrorCode, FindCoordinatorRequest, MetadataRequest, MetadataResponse, Request, Str};
use world::World;

use crate::connection::Connection;
use crate::error::Error;
use crate::metadata::{Broker, ClusterMetadata, PartitionMetadata, TopicMetadata};

/// The first wait between two tries; it doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(25);
/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Coordinators remembered; beyond it all are forgotten.
const COORDINATORS_MAX: usize = 10_000;

/// How a cluster is reached.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// `host:port` of brokers to begin with.
    pub bootstrap: Vec<String>,
    /// What we say we are.
    pub client_id: String,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a request is tried again.
    pub retry_for: Duration,
    /// Whether every broker is reached at the first bootstrap address, whatever address it tells its
    /// clients: for a single broker that advertises a name which does not lead here.
    pub only_bootstrap: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            client_id: "klamm".to_owned(),
            request_timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(30),
            only_bootstrap: false,
        }
    }
}

/// A cluster of brokers, as a client sees it. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    inner: Rc<Inner>,
}

struct Inner {
    world: World,
    options: ClusterOptions,
    /// By `host:port`.
    connections: RefCell<BTreeMap<String, Connection>>,
    metadata: RefCell<ClusterMetadata>,
    coordinators: RefCell<BTreeMap<String, i32>>,
    /// Whether anybody ever answered: before that, silence is final.
    was_reached: Cell<bool>,
}

impl Cluster {
    /// A cluster to be reached at `options.bootstrap`; nothing is asked yet.
    pub fn new(world: World, options: ClusterOptions) -> Self {
        let inner = Inner {
            world,
            options,
            connections: RefCell::default(),
            metadata: RefCell::default(),
            coordinators: RefCell::default(),
            was_reached: Cell::new(false),
        };
        Self { inner: Rc::new(inner) }
    }

    /// The world in which it lives.
    pub fn world(&self) -> &World {
        &self.inner.world
    }

    /// How it is reached.
    pub fn options(&self) -> &ClusterOptions {
        &self.inner.options
    }

    /// Asks any broker.
    ///
    /// # Errors
    /// When no broker can be reached, or the connection breaks.
    pub async fn ask_any<R: Request>(&self, body: &R) -> Result<R::Response, Error> {
        self.any().await?.ask(body, self.inner.options.request_timeout).await
    }

    /// Asks the broker `id`, which somebody has named.
    ///
    /// # Errors
    /// [`ErrorCode::BrokerNotAvailable`] if there is none; or it cannot be reached, or the connection breaks.
    pub async fn ask_named_broker<R: Request>(
        &self,
        id: i32,
        body: &R,
    ) -> Result<R::Response, Error> {
        match self.ask_broker(id, body).await {
            Err(Error::Refused { code: ErrorCode::LeaderNotAvailable, about, .. }) => {
                Err(Error::refused(about, ErrorCode::BrokerNotAvailable))
            }
            answer => answer,
        }
    }

    /// Asks the broker `id`, which is remembered as a leader.
    ///
    /// # Errors
    /// As for [`Cluster::broker`], or when the connection breaks.
    pub async fn ask_broker<R: Request>(&self, id: i32, body: &R) -> Result<R::Response, Error> {
        self.broker(id).await?.ask(body, self.inner.options.request_timeout).await
    }

    /// Asks the coordinator of `group`.
    ///
    /// # Errors
    /// When it cannot be found or reached, or the connection breaks.
    pub async fn ask_coordinator<R: Request>(
        &self,
        group: &str,
        body: &R,
        timeout: Duration,
    ) -> Result<R::Response, Error> {
        self.broker(self.coordinator(group).await?).await?.ask(body, timeout).await
    }

    /// Tries until it succeeds, fails for good, or `retry_for` is over; waits longer each time.
    ///
    /// # Errors
    /// What the last try said.
    pub async fn retry<T>(
        &self,
        attempt: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.retry_within(self.inner.options.retry_for, attempt).await
    }

    /// As [`Cluster::retry`], for another time.
    ///
    /// # Errors
    /// What the last try said.
    pub async fn retry_within<T>(
        &self,
        retry_for: Duration,
        mut attempt: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let clock = &self.inner.world.clock;
        let until = clock.tick().saturating_add(retry_for);
        let mut backoff = BACKOFF_MIN;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let is_first_contact =
                matches!(error, Error::Unreachable { .. }) && !self.inner.was_reached.get();
            if !error.is_retriable() || is_first_contact || clock.tick() >= until {
                return Err(error);
            }
            tracing::debug!(%error, "asking again in {backoff:?}");
            self.forget();
            // Between half and all of it, so that clients that failed together come back apart.
            let spread = self.inner.world.dice.next_u64("client-backoff") % 512 + 512;
            clock.sleep(backoff.mul_f64(spread as f64 / 1024.0)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Forgets leaders and coordinators: the next question asks for them anew.
    pub fn forget(&self) {
        self.inner.metadata.borrow_mut().topics.clear();
        self.inner.coordinators.borrow_mut().clear();
    }

    /// A connection to any broker: one that is open, else the bootstrap addresses and the brokers that
    /// are known, in this order.
    ///
    /// # Errors
    /// What the last address said.
    pub async fn any(&self) -> Result<Connection, Error> {
        let open = self.inner.connections.borrow().values().find(|c| !c.is_closed()).cloned();
        if let Some(open) = open {
            return Ok(open);
        }
        let mut addresses = self.inner.options.bootstrap.clone();
        if !self.inner.options.only_bootstrap {
            let known = self.inner.metadata.borrow();
            addresses.extend(known.brokers.values().map(address));
        }
        let mut last = Error::BadAddress(String::new());
        for address in addresses {
            match self.connect(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection to the broker `id`.
    ///
    /// # Errors
    /// [`ErrorCode::LeaderNotAvailable`] if there is none: what was remembered of it is of the past. Or it cannot be
    /// reached.
    pub async fn broker(&self, id: i32) -> Result<Connection, Error> {
        if self.inner.options.only_bootstrap {
            return self.any().await;
        }
        let known = self.inner.metadata.borrow().brokers.get(&id).map(address);
        let address = match known {
            Some(address) => address,
            None => {
                let all = self.metadata(Some(&[])).await?;
                all.brokers.get(&id).map(address).ok_or_else(|| {
                    // It has gone, and somebody else leads what was remembered of it.
                    Error::refused(format!("broker {id}"), ErrorCode::LeaderNotAvailable)
                })?
            }
        };
        self.connect(&address).await
    }

    async fn connect(&self, address: &str) -> Result<Connection, Error> {
        let open = self.inner.connections.borrow().get(address).cloned();
        if let Some(open) = open.filter(|connection| !connection.is_closed()) {
            return Ok(open);
        }
        let (host, port) = split_address(address)?;
        let client_id = &self.inner.options.client_id;
        let opened = Connection::open(&self.inner.world, host, port, client_id).await;
        let mut connections = self.inner.connections.borrow_mut();
        connections.retain(|_, connection| !connection.is_closed());
        let opened = opened?;
        self.inner.was_reached.set(true);
        // Two may have connected at the same time; the first stays, so that one broker has one.
        Ok(connections.entry(address.to_owned()).or_insert(opened).clone())
    }

    /// Asks for metadata of `topics` (`None` for all; empty for the brokers only), and remembers it.
    /// Topics that do not exist are left out.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn metadata(&self, topics: Option<&[String]>) -> Result<ClusterMetadata, Error> {
        let answer = self.ask_metadata(topics, false).await?;
        let (metadata, _) = self.remember(&answer)?;
        Ok(metadata)
    }

    async fn ask_metadata(
        &self,
        topics: Option<&[String]>,
        may_create: bool,
    ) -> Result<MetadataResponse, Error> {
        let named = |name: &String| MetadataRequestTopic {
            name: Some(Str::from(name)),
            ..Default::default()
        };
        let body = MetadataRequest {
            topics: topics.map(|topics| topics.iter().map(named).collect()),
            allow_auto_topic_creation: may_create,
            ..Default::default()
        };
        self.ask_any(&body).await
    }

    /// Keeps an answer; gives it back with the codes of the topics that it refused.
    fn remember(
        &self,
        answer: &MetadataResponse,
    ) -> Result<(ClusterMetadata, BTreeMap<String, i16>), Error> {
        Error::check(answer.error_code, || "the cluster".to_owned(), None)?;
        let mut refused = BTreeMap::new();
        let mut metadata = ClusterMetadata {
            cluster_id: answer.cluster_id.as_ref().map(ToString::to_string),
            controller: Some(answer.controller_id).filter(|id| *id >= 0),
            ..Default::default()
        };
        for broker in &answer.brokers {
            let port = u16::try_from(broker.port)
                .map_err(|_| Error::BadAddress(format!("{}:{}", broker.host, broker.port)))?;
            let (id, host) = (broker.node_id, broker.host.to_string());
            let rack = broker.rack.as_ref().map(ToString::to_string);
            metadata.brokers.insert(id, Broker { id, host, port, rack });
        }
        for topic in &answer.topics {
            let Some(name) = topic.name.as_ref().map(ToString::to_string) else { continue };
            if topic.error_code != 0 {
                refused.insert(name, topic.error_code);
                continue;
            }
            let partitions = topic.partitions.iter().map(|p| (p.partition_index, partition(p)));
            let found = TopicMetadata {
                id: topic.topic_id,
                is_internal: topic.is_internal,
                partitions: partitions.collect(),
            };
            metadata.topics.insert(name, found);
        }
        let mut known = self.inner.metadata.borrow_mut();
        known.cluster_id.clone_from(&metadata.cluster_id);
        known.controller = metadata.controller;
        known.brokers.clone_from(&metadata.brokers);
        for (name, topic) in &metadata.topics {
            known.topics.insert(name.clone(), topic.clone());
        }
        Ok((metadata, refused))
    }

    /// One topic, from memory if it is there.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownTopicOrPartition`] if there is none. With `may_create`, the brokers may
    /// create it, and say [`ErrorCode::LeaderNotAvailable`] until that is done: ask again.
    pub async fn topic(&self, name: &str, may_create: bool) -> Result<TopicMetadata, Error> {
        if let Some(known) = self.inner.metadata.borrow().topics.get(name) {
            return Ok(known.clone());
        }
        let answer = self.ask_metadata(Some(&[name.to_owned()]), may_create).await?;
        let (mut metadata, refused) = self.remember(&answer)?;
        if let Some(topic) = metadata.topics.remove(name) {
            return Ok(topic);
        }
        let code = refused.get(name).copied();
        let code = code.unwrap_or(ErrorCode::UnknownTopicOrPartition.number());
        Error::check(code, || format!("topic {name}"), None)?;
        Err(Error::refused(format!("topic {name}"), ErrorCode::UnknownTopicOrPartition))
    }

    /// The coordinator of `group`, from memory if it is there.
    ///
    /// # Errors
    /// When it cannot be told at present.
    pub async fn coordinator(&self, group: &str) -> Result<i32, Error> {
        if let Some(known) = self.inner.coordinators.borrow().get(group) {
            return Ok(*known);
        }
        let connection = self.any().await?;
        let version = connection.version::<FindCoordinatorRequest>(i16::MAX)?;
        let key = Str::from(group);
        let body = if version >= 4 {
            FindCoordinatorRequest { coordinator_keys: vec![key], ..Default::default() }
        } else {
            FindCoordinatorRequest { key, ..Default::default() }
        };
        let answer = connection.ask_at(&body, version, self.inner.options.request_timeout).await?;
        let about = || format!("the coordinator of group {group}");
        let (code, message, id) = match answer.coordinators.first() {
            Some(found) => (found.error_code, found.error_message.as_ref(), found.node_id),
            None => (answer.error_code, answer.error_message.as_ref(), answer.node_id),
        };
        Error::check(code, about, message)?;
        let mut coordinators = self.inner.coordinators.borrow_mut();
        if coordinators.len() >= COORDINATORS_MAX {
            coordinators.clear();
        }
        coordinators.insert(group.to_owned(), id);
        Ok(id)
    }
}

fn partition(from: &wire::metadata::response::MetadataResponsePartition) -> PartitionMetadata {
    PartitionMetadata {
        leader: Some(from.leader_id).filter(|leader| *leader >= 0),
        leader_epoch: from.leader_epoch,
        replicas: from.replica_nodes.clone(),
        isr: from.isr_nodes.clone(),
        offline: from.offline_replicas.clone(),
    }
}

fn address(broker: &Broker) -> String {
    if broker.host.contains(':') {
        format!("[{}]:{}", broker.host, broker.port)
    } else {
        format!("{}:{}", broker.host, broker.port)
    }
}

/// `host:port`, where an IPv6 host may stand in brackets.
///
/// # Errors
/// [`Error::BadAddress`] if it is something else.
pub fn split_address(address: &str) -> Result<(&str, u16), Error> {
    let bad = || Error::BadAddress(address.to_owned());
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(bad)?,
        None => host,
    };
    let port = port.parse().map_err(|_| bad())?;
    if host.is_empty() || port == 0 { Err(bad()) } else { Ok((host, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        assert_eq!(split_address("localhost:9092"), Ok(("localhost", 9092)));
        assert_eq!(split_address("[::1]:9092"), Ok(("::1", 9092)));
        for bad in ["localhost", ":9092", "localhost:", "localhost:0", "localhost:99999", "[::1:1"]
        {
            assert!(split_address(bad).is_err(), "{bad}");
        }
    }
}
