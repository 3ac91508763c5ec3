//! The settings of one broker that the code reads.

use std::fmt;

use crate::error::ConfigError;
use crate::setting::{Alias, Kind, Setting, Valid};
use crate::table::settings;
use crate::value::{Listener, QuorumVoter, ReplicaSelector, list};

use super::{defaults, known};

const fn row(key: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting::new(key, kind, Some(default))
}

const fn unset(key: &'static str, kind: Kind) -> Setting {
    Setting::new(key, kind, None)
}

/// Why settings of transactions do nothing yet.
const TRANSACTIONS: &str = "acts when transactions arrive";

settings! {
    /// What a broker reads, resolved from all its layers.
    pub struct BrokerConfig {
        /// This broker's id, unique in its cluster.
        node_id: i32 = row("node.id", Kind::Int, "1")
            .valid(Valid::AtLeast(0))
            .aliases(&[Alias { key: "broker.id", scale: 1 }]);
        /// The cluster's id, 22 characters of URL-safe base64. Unset, a new data directory gets a new id
        /// and an old one keeps its own.
        cluster_id: Option<String> = unset("klamm.cluster.id", Kind::String);
        /// Whether voters with empty disks may form a new cluster: `initial`, or `join` if there was one with this
        /// `klamm.cluster.id`, which is then gone on with or not at all. Who has data does not read it.
        formation: String = row("klamm.formation", Kind::String, "initial")
            .valid(Valid::OneOf(&["initial", "join"]));
        /// What this node is: a `broker` that holds partitions, a `controller` that may vote on the metadata, or
        /// both. A controller only listens on `controller.listener.names` alone, and clients do not hear of it.
        process_roles: String = row("process.roles", Kind::List, "broker,controller")
            .valid(Valid::ListOf(&["broker", "controller"]));
        /// The voters that a new cluster begins with, as `id@host:port`, divided by commas; the address is
        /// an internal listener of theirs. All of them must be told the same list and the same `klamm.cluster.id`.
        /// Empty, this broker is alone.
        controller_quorum_voters: Vec<QuorumVoter> =
            row("controller.quorum.voters", Kind::List, "").valid(Valid::Voters);
        /// After how many bytes of decisions the metadata are written as a snapshot. Until then the
        /// quorum keeps them in memory.
        metadata_log_max_record_bytes_between_snapshots: i64 =
            row("metadata.log.max.record.bytes.between.snapshots", Kind::Long, "4194304")
                .valid(Valid::AtLeast(1));
        /// Where this broker runs, for placing replicas apart.
        broker_rack: Option<String> = unset("broker.rack", Kind::String);
        /// Where clients connect: `PLAINTEXT://host:port`, divided by commas. An empty host is every
        /// interface, port 0 is any free one.
        listeners: Vec<Listener> =
            row("listeners", Kind::List, "PLAINTEXT://:9092").valid(Valid::Listeners);
        /// The addresses that clients are told, if they differ from `listeners`.
        advertised_listeners: Option<Vec<Listener>> = unset("advertised.listeners", Kind::List).valid(Valid::Listeners);
        /// The listener on which brokers talk to each other. It is an internal one: what only brokers and
        /// who operates them may ask is answered there, on those of `controller.listener.names`, and on
        /// one named `forward`; on no other. Unset, it is the listener named `PLAINTEXT`, or else the
        /// first that is advertised.
        inter_broker_listener_name: Option<String> = unset("inter.broker.listener.name", Kind::String);
        /// More internal listeners. In Kafka they are those of the controllers.
        controller_listener_names: String = row("controller.listener.names", Kind::List, "");
        /// The security protocol of each listener name, as `NAME:PROTOCOL`. Only `PLAINTEXT` exists in
        /// this version; a listener with another protocol is refused.
        listener_security_protocol_map: String = row(
            "listener.security.protocol.map",
            Kind::String,
            "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        );
        /// The directory of the data. One, for now: more than one is refused.
        log_dir: String = row("log.dirs", Kind::List, "klamm-data")
            .valid(Valid::NonEmpty)
            .aliases(&[Alias { key: "log.dir", scale: 1 }]);
        /// How many partitions a topic gets whose creator did not say.
        num_partitions: i32 = row("num.partitions", Kind::Int, "1").valid(Valid::AtLeast(1));
        /// How many replicas a topic gets whose creator did not say.
        default_replication_factor: i16 =
            row("default.replication.factor", Kind::Int, "1").valid(Valid::Between(1, 32_767));
        /// Whether asking for the metadata of a topic that does not exist creates it.
        auto_create_topics_enable: bool =
            row("auto.create.topics.enable", Kind::Boolean, "true");
        /// Whether topics may be deleted.
        delete_topic_enable: bool = row("delete.topic.enable", Kind::Boolean, "true");
        /// How many partitions one cluster may have, and one request may create.
        max_partitions: i32 =
            row("klamm.max.partitions", Kind::Int, "200000").valid(Valid::AtLeast(1)).cluster_wide();

        /// The largest request that a broker reads. A larger one closes its connection before any of it
        /// is stored.
        socket_request_max_bytes: i32 =
            row("socket.request.max.bytes", Kind::Int, "104857600").valid(Valid::AtLeast(1));
        /// How many connections a broker keeps at once.
        max_connections: i32 = row("max.connections", Kind::Int, "2147483647")
            .valid(Valid::AtLeast(0))
            .cluster_wide();
        /// How many connections a broker keeps from one address.
        max_connections_per_ip: i32 = row("max.connections.per.ip", Kind::Int, "2147483647")
            .valid(Valid::AtLeast(0))
            .cluster_wide();
        /// A connection that was silent for this long is closed.
        connections_max_idle_ms: i64 = row("connections.max.idle.ms", Kind::Long, "600000");
        /// How many bytes of requests may be held at once; beyond it, sockets are not read. `-1` takes a
        /// share of `klamm.memory.bytes`.
        queued_max_request_bytes: i64 =
            row("queued.max.request.bytes", Kind::Long, "-1").valid(Valid::AtLeast(-1));
        /// How many connections the system may queue before they are accepted: a restarted broker is
        /// met by all its clients at once. The system lowers it to `net.core.somaxconn`.
        socket_listen_backlog_size: i32 =
            row("socket.listen.backlog.size", Kind::Int, "4096").valid(Valid::AtLeast(1));

        /// The most that one Fetch answers, however much was asked for.
        fetch_max_bytes: i32 =
            row("fetch.max.bytes", Kind::Int, "57671680").valid(Valid::AtLeast(1024));
        /// How many incremental fetch sessions a broker remembers.
        max_incremental_fetch_session_cache_slots: i32 =
            row("max.incremental.fetch.session.cache.slots", Kind::Int, "1000")
                .valid(Valid::AtLeast(0));
        /// How long the state of an idempotent producer is kept after its last batch.
        producer_id_expiration_ms: i32 = row("producer.id.expiration.ms", Kind::Int, "86400000")
            .valid(Valid::AtLeast(1))
            .cluster_wide();
        /// How often retention looks for segments to drop.
        log_retention_check_interval_ms: i64 =
            row("log.retention.check.interval.ms", Kind::Long, "300000").valid(Valid::AtLeast(1));

        /// The shortest session timeout that a member of a classic group may ask for.
        group_min_session_timeout_ms: i32 = row("group.min.session.timeout.ms", Kind::Int, "6000");
        /// The longest session timeout that a member of a classic group may ask for.
        group_max_session_timeout_ms: i32 =
            row("group.max.session.timeout.ms", Kind::Int, "1800000");
        /// How long an empty group waits for more members before its first rebalance.
        group_initial_rebalance_delay_ms: i32 =
            row("group.initial.rebalance.delay.ms", Kind::Int, "3000");
        /// How many members a classic group may have.
        group_max_size: i32 =
            row("group.max.size", Kind::Int, "2147483647").valid(Valid::AtLeast(1));
        /// The longest metadata text that may be stored with an offset.
        offset_metadata_max_bytes: i32 = row("offset.metadata.max.bytes", Kind::Int, "4096");
        /// How long a commit may wait to be stored before it fails.
        offsets_commit_timeout_ms: i32 =
            row("offsets.commit.timeout.ms", Kind::Int, "5000").valid(Valid::AtLeast(1));
        /// How long the offsets of a group without members are kept.
        offsets_retention_minutes: i32 =
            row("offsets.retention.minutes", Kind::Int, "10080").valid(Valid::AtLeast(1));
        /// How often expired offsets are looked for.
        offsets_retention_check_interval_ms: i64 =
            row("offsets.retention.check.interval.ms", Kind::Long, "600000")
                .valid(Valid::AtLeast(1));
        /// How many partitions `__consumer_offsets` gets. Later changes have no effect.
        offsets_topic_num_partitions: i32 =
            row("offsets.topic.num.partitions", Kind::Int, "50").valid(Valid::AtLeast(1));
        /// How many replicas `__consumer_offsets` gets; a cluster with fewer brokers takes them all.
        offsets_topic_replication_factor: i16 =
            row("offsets.topic.replication.factor", Kind::Short, "3").valid(Valid::AtLeast(1));
        /// The segment size of `__consumer_offsets`.
        offsets_topic_segment_bytes: i32 =
            row("offsets.topic.segment.bytes", Kind::Int, "104857600")
                .valid(Valid::AtLeast(1 << 20));

        /// How many partitions `__transaction_state` gets. Later changes have no effect.
        transaction_topic_num_partitions: i32 =
            row("transaction.state.log.num.partitions", Kind::Int, "50")
                .valid(Valid::AtLeast(1))
                .inert(TRANSACTIONS);
        /// How many replicas `__transaction_state` gets; a cluster with fewer brokers takes them all.
        transaction_topic_replication_factor: i16 =
            row("transaction.state.log.replication.factor", Kind::Short, "3")
                .valid(Valid::AtLeast(1))
                .inert(TRANSACTIONS);
        /// The segment size of `__transaction_state`.
        transaction_topic_segment_bytes: i32 =
            row("transaction.state.log.segment.bytes", Kind::Int, "104857600")
                .valid(Valid::AtLeast(1 << 20))
                .inert(TRANSACTIONS);

        /// How often a broker reports to the controller.
        broker_heartbeat_interval_ms: i32 =
            row("broker.heartbeat.interval.ms", Kind::Int, "250").valid(Valid::Between(10, 60_000));
        /// A broker that was silent for this long is fenced: its partitions get other leaders. Sooner, if
        /// its connection ends.
        broker_session_timeout_ms: i32 = row("broker.session.timeout.ms", Kind::Int, "2000")
            .valid(Valid::Between(100, 600_000));
        /// A follower that has not caught up with its leader for this long is out of sync.
        replica_lag_time_max_ms: i64 =
            row("replica.lag.time.max.ms", Kind::Long, "10000").valid(Valid::AtLeast(1)).cluster_wide();
        /// How much a follower asks for per partition, in bytes.
        replica_fetch_max_bytes: i32 =
            row("replica.fetch.max.bytes", Kind::Int, "1048576").valid(Valid::AtLeast(0));
        /// How much a follower asks for at once, in bytes.
        replica_fetch_response_max_bytes: i32 =
            row("replica.fetch.response.max.bytes", Kind::Int, "10485760").valid(Valid::AtLeast(0));
        /// How long a leader may keep a follower's Fetch that it has nothing for.
        replica_fetch_wait_max_ms: i32 =
            row("replica.fetch.wait.max.ms", Kind::Int, "500").valid(Valid::Between(1, 10_000));

        /// Which replica a consumer that says where it runs (`client.rack`) is sent to: unset, or with
        /// `org.apache.kafka.common.replica.LeaderSelector`, the leader; with
        /// `org.apache.kafka.common.replica.RackAwareReplicaSelector` one in its rack that is in sync.
        replica_selector: ReplicaSelector = unset("replica.selector.class", Kind::String)
            .valid(Valid::OneOf(&ReplicaSelector::CLASSES));
        /// How many bytes per second a broker sends, in all, to followers that are not in sync, of the
        /// partitions that `leader.replication.throttled.replicas` names. Unset is no limit.
        leader_throttled_rate: Option<i64> =
            unset("leader.replication.throttled.rate", Kind::Long)
                .valid(Valid::AtLeast(0))
                .per_broker();
        /// How many bytes per second a broker copies, in all, of the partitions that
        /// `follower.replication.throttled.replicas` names and with which it is not in sync. Unset is no
        /// limit.
        follower_throttled_rate: Option<i64> =
            unset("follower.replication.throttled.rate", Kind::Long)
                .valid(Valid::AtLeast(0))
                .per_broker();

        /// Whether brokers get back what they are preferred to lead, once they are in sync.
        auto_leader_rebalance_enable: bool =
            row("auto.leader.rebalance.enable", Kind::Boolean, "true");
        /// How often the controller looks for it.
        leader_imbalance_check_interval_seconds: i64 =
            row("leader.imbalance.check.interval.seconds", Kind::Long, "300")
                .valid(Valid::AtLeast(1));
        /// A broker gets it back when others lead more than so many percent of it.
        leader_imbalance_per_broker_percentage: i32 =
            row("leader.imbalance.per.broker.percentage", Kind::Int, "10")
                .valid(Valid::Between(0, 100));
        /// Whether the balancer moves replicas by itself. It can be asked to at any time
        /// (`klamm cluster balance --apply`). By default it waits for that: a move costs disk and network
        /// when it is made, and takes replicas from where somebody may have put them.
        balance_enable: bool =
            row("klamm.balance.enable", Kind::Boolean, "false").cluster_wide();
        /// How often the balancer looks for something to do.
        balance_interval_ms: i64 = row("klamm.balance.interval.ms", Kind::Long, "300000")
            .valid(Valid::Between(1000, 86_400_000))
            .cluster_wide();
        /// How many replicas the balancer moves at once. Two may have to change places.
        balance_moves_max: i32 = row("klamm.balance.moves.max", Kind::Int, "10")
            .valid(Valid::AtLeast(2))
            .cluster_wide();
        /// How many partitions at once are moved away from brokers that are drained.
        drain_partitions_max: i32 =
            row("klamm.drain.partitions.max", Kind::Int, "10").valid(Valid::AtLeast(1)).cluster_wide();
        /// How long a broker of several that is told to stop waits until it can be missed: until it has
        /// the disruption lease, and no partition would be without a leader or enough replicas in sync.
        /// Then it stops anyway. Keep it below the time after which it would be killed.
        stop_wait_ms: i64 = row("klamm.stop.wait.ms", Kind::Long, "240000")
            .valid(Valid::AtLeast(0))
            .cluster_wide();
        /// How long a broker that has stopped keeps the disruption lease if it does not come back. One
        /// that does gives it back when it is in sync.
        stop_lease_ms: i64 = row("klamm.stop.lease.ms", Kind::Long, "120000")
            .valid(Valid::Between(1000, 86_400_000))
            .cluster_wide();

        /// How many threads carry partitions and connections; 0 is one per two cores.
        num_shards: i32 = row("klamm.shards", Kind::Int, "0").valid(Valid::Between(0, 1024));
        /// The memory that requests, answers, caches and queues share; 0 takes half of what the process may use by its
        /// cgroup, 512 MiB at most.
        memory_bytes: i64 = row("klamm.memory.bytes", Kind::Long, "0").valid(Valid::AtLeast(0));
        /// How much of each shard's newest data is served from memory.
        tail_cache_bytes: i64 =
            row("klamm.tail.cache.bytes", Kind::Long, "67108864").valid(Valid::AtLeast(0));
        /// A written record is on disk at the latest after this time.
        flush_interval_ms: i64 = row("klamm.flush.interval.ms", Kind::Long, "1000")
            .valid(Valid::Between(1, 60_000))
            .cluster_wide();
        /// How many bytes of disk the logs may take before producers are refused; 0 is no limit.
        storage_limit_bytes: i64 = row("klamm.storage.limit.bytes", Kind::Long, "0")
            .valid(Valid::AtLeast(0))
            .per_broker();
        /// The file whose content changes with every start of the machine.
        boot_id_path: String =
            row("klamm.boot.id.path", Kind::String, "/proc/sys/kernel/random/boot_id")
                .valid(Valid::NonEmpty);
        /// Where `/livez`, `/readyz`, `/startupz` and `/metrics` are served, `host:port`; empty is
        /// nowhere.
        http_listener: String = row("klamm.http.listener", Kind::String, "127.0.0.1:9644");
        /// How long a stopping broker lets requests finish before it closes their connections.
        shutdown_timeout_ms: i64 =
            row("klamm.shutdown.timeout.ms", Kind::Long, "30000").valid(Valid::AtLeast(0));
    }
}

impl BrokerConfig {
    /// The listeners that clients are told.
    pub fn advertised(&self) -> &[Listener] {
        self.advertised_listeners.as_deref().unwrap_or(&self.listeners)
    }

    /// The listener on which brokers talk to each other.
    pub fn inter_broker_listener(&self) -> &Listener {
        let name = self.inter_broker_listener_name.as_deref().unwrap_or("PLAINTEXT");
        let all = self.advertised();
        let named = all.iter().find(|listener| listener.name.eq_ignore_ascii_case(name));
        named.or(all.first()).expect("an empty list is refused")
    }

    /// Whether this node is there for the quorum alone.
    pub fn is_controller_only(&self) -> bool {
        !list(&self.process_roles).any(|role| role == "broker")
    }

    /// Whether a listener is one of the controllers', on which no client reaches a broker.
    pub fn is_controllers(&self, listener: &str) -> bool {
        list(&self.controller_listener_names).any(|name| name.eq_ignore_ascii_case(listener))
    }

    /// Whether a listener answers what only brokers and who operates them may ask.
    pub fn is_internal(&self, listener: &str) -> bool {
        let is_it = |name: &str| name.eq_ignore_ascii_case(listener);
        is_it(&self.inter_broker_listener().name)
            || is_it("forward")
            || self.is_controllers(listener)
    }

    /// Checks what no single row can.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.check_listeners()?;
        self.check_advertised()?;
        self.check_roles()?;
        if list(&self.log_dir).count() != 1 {
            return Err(conflict("log.dirs", &self.log_dir, "this version", "name one directory"));
        }
        if self.broker_session_timeout_ms < self.broker_heartbeat_interval_ms.saturating_mul(2) {
            return Err(conflict(
                "broker.session.timeout.ms",
                self.broker_session_timeout_ms,
                format_args!(
                    "broker.heartbeat.interval.ms = {}",
                    self.broker_heartbeat_interval_ms
                ),
                "a session holds at least two heartbeats",
            ));
        }
        let (least, most) = (self.group_min_session_timeout_ms, self.group_max_session_timeout_ms);
        if least > most {
            return Err(conflict(
                "group.min.session.timeout.ms",
                least,
                format_args!("group.max.session.timeout.ms = {most}"),
                "the minimum must not exceed the maximum",
            ));
        }
        Ok(())
    }

    fn check_roles(&self) -> Result<(), ConfigError> {
        let roles = &self.process_roles;
        let votes = self.controller_quorum_voters.iter().any(|voter| voter.id == self.node_id);
        if votes && !list(roles).any(|role| role == "controller") {
            return Err(conflict(
                "process.roles",
                roles,
                "controller.quorum.voters, which name this node",
                "a voter is a controller",
            ));
        }
        let mut clients = self.advertised().iter().filter(|one| !self.is_controllers(&one.name));
        match (self.is_controller_only(), clients.next()) {
            (true, Some(listener)) => Err(conflict(
                "process.roles",
                roles,
                format_args!("the listener {listener}"),
                "a controller only listens on controller.listener.names alone",
            )),
            (false, None) => Err(conflict(
                "controller.listener.names",
                &self.controller_listener_names,
                format_args!("process.roles = {roles}"),
                "clients need a listener of the broker's own",
            )),
            (true, None) | (false, Some(_)) => Ok(()),
        }
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        for (at, listener) in self.listeners.iter().enumerate() {
            let before = &self.listeners[..at];
            let same_port = |other: &Listener| {
                other.port == listener.port && other.port != 0 && other.host == listener.host
            };
            if before.iter().any(|other| other.name == listener.name || same_port(other)) {
                return Err(conflict(
                    "listeners",
                    listener,
                    "a listener before it",
                    "each needs its own name and port",
                ));
            }
            match self.security_protocol(&listener.name) {
                Some("PLAINTEXT") => {}
                Some(protocol) => {
                    return Err(conflict(
                        "listeners",
                        listener,
                        format_args!("its security protocol {protocol}"),
                        "only PLAINTEXT exists in this version",
                    ));
                }
                None => {
                    return Err(conflict(
                        "listeners",
                        listener,
                        "listener.security.protocol.map",
                        "add NAME:PLAINTEXT for it there",
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_advertised(&self) -> Result<(), ConfigError> {
        for listener in self.advertised_listeners.iter().flatten() {
            if !self.listeners.iter().any(|bound| bound.name == listener.name) {
                return Err(conflict(
                    "advertised.listeners",
                    listener,
                    "listeners",
                    "advertise only names that stand in listeners",
                ));
            }
            if matches!(listener.host.as_str(), "" | "0.0.0.0" | "::") {
                return Err(conflict(
                    "advertised.listeners",
                    listener,
                    "clients, who cannot connect to it",
                    "advertise an address or a name that leads here",
                ));
            }
        }
        match &self.inter_broker_listener_name {
            Some(name) if !self.inter_broker_listener().name.eq_ignore_ascii_case(name) => {
                Err(conflict(
                    "inter.broker.listener.name",
                    name,
                    "what is advertised",
                    "name one of advertised.listeners, or of listeners if those are unset",
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The security protocol of a listener name.
    fn security_protocol(&self, name: &str) -> Option<&str> {
        list(&self.listener_security_protocol_map)
            .filter_map(|entry| entry.split_once(':'))
            .find(|(listener, _)| listener.trim().eq_ignore_ascii_case(name))
            .map(|(_, protocol)| protocol.trim())
    }
}

fn conflict(
    key: &str,
    value: impl fmt::Display,
    other: impl fmt::Display,
    hint: &str,
) -> ConfigError {
    ConfigError::Conflict {
        key: key.to_owned(),
        value: value.to_string(),
        other: other.to_string(),
        hint: hint.to_owned(),
    }
}

/// Every broker setting.
pub fn rows() -> impl Iterator<Item = &'static Setting> {
    BrokerConfig::ROWS
        .iter()
        .chain(defaults::ROWS)
        .chain(known::CONSTRUCTION)
        .chain(known::LATER)
        .chain(known::BOUNDS)
}

/// The row of a broker setting.
pub fn find(key: &str) -> Result<&'static Setting, ConfigError> {
    if let Some(row) = rows().find(|row| row.key == key) {
        return Ok(row);
    }
    match known::REFUSED.iter().find(|(prefix, _)| key.starts_with(prefix)) {
        Some((_, hint)) => {
            Err(ConfigError::Unsupported { key: key.to_owned(), hint: (*hint).to_owned() })
        }
        None => Err(ConfigError::unknown("broker", key, rows().map(|row| row.key))),
    }
}

#[cfg(test)]
#[path = "broker_test.rs"]
mod tests;
