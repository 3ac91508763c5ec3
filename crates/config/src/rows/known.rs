//! Kafka's broker settings that nothing here reads.
//!
//! Most are accepted: a file written for Kafka starts a broker, and tools that list settings find what
//! they look for. A setting whose absence would be dangerous, because somebody would believe in a lock
//! that is not there, is refused unless it holds its default; whole families of those are [`REFUSED`].

use crate::setting::{Kind, Setting, Valid};

use Kind::{Boolean, Double, Int, List, Long, Short, String};

const MACHINERY: &str = "Klamm is built differently and does not need it";
const REPLICATION: &str = "acts when a cluster may have more than one broker";
const TRANSACTIONS: &str = "acts when transactions arrive";
const CONSUMER_GROUPS: &str = "acts when the consumer group protocol (KIP-848) arrives";
const SHARE_GROUPS: &str = "acts when share groups (KIP-932) arrive";
const STREAMS_GROUPS: &str = "acts when streams groups (KIP-1071) arrive";
const TIERS: &str = "acts when tiered storage arrives";
const COMPACTION: &str = "acts when compaction arrives";
const QUOTAS: &str = "acts when quotas arrive";
const METRICS: &str = "metrics are served for Prometheus at klamm.http.listener";
const PLUGIN: &str = "Java classes cannot be loaded; leave it unset";

/// Keys that begin like this belong to features whose silent absence would be dangerous; none of them is
/// accepted. With what to do.
pub const REFUSED: &[(&str, &str)] = &[
    ("ssl.", "TLS is not part of this version"),
    ("sasl.", "SASL is not part of this version"),
    ("listener.name.", "settings of a single listener are not part of this version"),
    ("delegation.token.", "delegation tokens are not part of this version"),
    ("super.users", "access control is not part of this version"),
    ("allow.everyone.if.no.acl.found", "access control is not part of this version"),
    ("client.quota.callback.", PLUGIN),
    ("security.providers", PLUGIN),
    ("config.providers.", PLUGIN),
    ("rsm.config.", "tiered storage is not part of this version"),
    ("rlmm.config.", "tiered storage is not part of this version"),
    ("zookeeper.", "there is no ZooKeeper, as in Kafka 4; remove it"),
];

const fn known(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(key, kind, Some(default)).doc(doc)
}

const fn unset(key: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting::new(key, kind, None).doc(doc)
}

const ONE: Valid = Valid::AtLeast(1);
const ZERO: Valid = Valid::AtLeast(0);

/// Threads, buffers, sockets and the quorum of Kafka's own construction.
#[rustfmt::skip]
pub const CONSTRUCTION: &[Setting] = &[
    unset("broker.id", Int, "An older name of `node.id`.").valid(ZERO),
    unset("log.dir", List, "An older name of `log.dirs`.").valid(Valid::NonEmpty),
    known("background.threads", Int, "10", "Threads for background work.").valid(ONE).cluster_wide().inert(MACHINERY),
    known("num.io.threads", Int, "8", "Threads that answer requests; see `klamm.shards`.").valid(ONE).cluster_wide().inert(MACHINERY),
    known("num.network.threads", Int, "3", "Threads that read and write sockets; see `klamm.shards`.").valid(ONE).cluster_wide().inert(MACHINERY),
    known("num.recovery.threads.per.data.dir", Int, "2", "Threads that open logs at the start.").valid(ONE).cluster_wide().inert(MACHINERY),
    unset("num.replica.alter.log.dirs.threads", Int, "Threads that move replicas between directories.").inert(MACHINERY),
    known("queued.max.requests", Int, "500", "How many requests may wait; here bytes are counted instead, see `queued.max.request.bytes`.").valid(ONE).inert(MACHINERY),
    known("socket.receive.buffer.bytes", Int, "102400", "The receive buffer of a socket; the system's choice is kept.").inert(MACHINERY),
    known("socket.send.buffer.bytes", Int, "102400", "The send buffer of a socket; the system's choice is kept.").inert(MACHINERY),
    known("socket.connection.setup.timeout.ms", Long, "10000", "How long a broker waits for a connection that it opens.").inert(REPLICATION),
    known("socket.connection.setup.timeout.max.ms", Long, "30000", "The longest such wait after repeated failures.").inert(REPLICATION),
    known("request.timeout.ms", Int, "30000", "How long a broker waits for the answer of another.").inert(REPLICATION),
    known("delete.records.purgatory.purge.interval.requests", Int, "1", "How often finished DeleteRecords are forgotten.").inert(MACHINERY),
    known("fetch.purgatory.purge.interval.requests", Int, "1000", "How often finished Fetches are forgotten.").inert(MACHINERY),
    known("producer.purgatory.purge.interval.requests", Int, "1000", "How often finished Produces are forgotten.").inert(MACHINERY),
    known("share.fetch.purgatory.purge.interval.requests", Int, "1000", "How often finished ShareFetches are forgotten.").inert(MACHINERY),
    known("log.cleaner.backoff.ms", Long, "15000", "How long the cleaner sleeps when nothing needs it.").valid(ZERO).cluster_wide().inert(COMPACTION),
    known("log.cleaner.dedupe.buffer.size", Long, "134217728", "Memory of the cleaner for its table of keys.").cluster_wide().inert(COMPACTION),
    known("log.cleaner.enable", Boolean, "true", "Whether compacted topics are compacted.").inert(COMPACTION),
    known("log.cleaner.io.buffer.load.factor", Double, "0.9", "How full the cleaner's table may get.").cluster_wide().inert(COMPACTION),
    known("log.cleaner.io.buffer.size", Int, "524288", "Memory of the cleaner for reading and writing.").valid(ZERO).cluster_wide().inert(COMPACTION),
    known("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", "How fast the cleaner may read and write.").cluster_wide().inert(COMPACTION),
    known("log.cleaner.threads", Int, "1", "Threads of the cleaner.").valid(ZERO).cluster_wide().inert(COMPACTION),
    known("log.dir.failure.timeout.ms", Long, "30000", "How long a broker may be unable to report a failed directory before it stops.").valid(ONE).inert(MACHINERY),
    known("log.flush.offset.checkpoint.interval.ms", Int, "60000", "How often recovery points are saved.").valid(ZERO).inert(MACHINERY),
    known("log.flush.start.offset.checkpoint.interval.ms", Int, "60000", "How often log start offsets are saved.").valid(ZERO).inert(MACHINERY),
    known("log.flush.scheduler.interval.ms", Long, "9223372036854775807", "How often Kafka looks for logs to sync; see `klamm.flush.interval.ms`. It is the default of `flush.ms` if `log.flush.interval.ms` is unset."),
    known("cordoned.log.dirs", List, "", "Directories that take no new replicas.").per_broker().inert("there is one directory"),
    known("early.start.listeners", List, "", "Listeners that open before the broker is ready.").inert(MACHINERY),
    known("controller.quorum.append.linger.ms", Int, "25", "How long the quorum gathers records into one write.").valid(ZERO).inert(MACHINERY),
    known("controller.quorum.auto.join.enable", Boolean, "false", "Whether a new controller joins the quorum by itself.").inert(MACHINERY),
    known("controller.quorum.bootstrap.servers", List, "", "Where the quorum is found.").inert(REPLICATION),
    known("controller.quorum.election.backoff.max.ms", Int, "1000", "The longest wait before the next election.").valid(ZERO).inert(REPLICATION),
    known("controller.quorum.election.timeout.ms", Int, "1000", "How long a controller waits for votes.").valid(ZERO).inert(REPLICATION),
    known("controller.quorum.fetch.timeout.ms", Int, "2000", "How long a follower waits for the quorum's leader.").valid(ZERO).inert(REPLICATION),
    known("controller.quorum.request.timeout.ms", Int, "2000", "How long a controller waits for an answer.").valid(ZERO).inert(REPLICATION),
    known("controller.quorum.retry.backoff.ms", Int, "20", "How long a controller waits before it asks again.").valid(ZERO).inert(REPLICATION),
    known("controller.socket.timeout.ms", Int, "30000", "How long a broker waits for the controller.").inert(REPLICATION),
    unset("metadata.log.dir", String, "A directory of its own for the metadata log.").inert("it lies beside the partitions"),
    known("metadata.log.max.snapshot.interval.ms", Long, "3600000", "After what time a snapshot of the metadata is written.").valid(ZERO).inert(MACHINERY),
    known("metadata.log.segment.bytes", Int, "1073741824", "The segment size of the metadata log.").valid(Valid::AtLeast(8 << 20)).inert(MACHINERY),
    known("metadata.log.segment.ms", Long, "604800000", "The age at which a segment of the metadata log is closed.").inert(MACHINERY),
    known("metadata.max.idle.interval.ms", Int, "500", "How often an idle controller writes a record that says nothing.").valid(ZERO).inert(MACHINERY),
    known("metadata.max.retention.bytes", Long, "104857600", "How much of the metadata log is kept behind a snapshot.").inert(MACHINERY),
    known("metadata.max.retention.ms", Long, "604800000", "How long the metadata log is kept behind a snapshot.").inert(MACHINERY),
    known("group.coordinator.append.linger.ms", Int, "-1", "How long the coordinator gathers records into one write; `-1` writes when it has nothing else to do.").valid(Valid::AtLeast(-1)).inert(MACHINERY),
    known("group.coordinator.background.threads", Int, "2", "Threads for the coordinator's background work.").valid(ONE).inert(MACHINERY),
    known("group.coordinator.cached.buffer.max.bytes", Int, "1048588", "The largest buffer that the coordinator keeps for its next write.").valid(Valid::AtLeast(512 << 10)).cluster_wide().inert(MACHINERY),
    known("group.coordinator.threads", Int, "4", "Threads of the coordinator; here it runs on the shards.").valid(ONE).inert(MACHINERY),
    known("offsets.load.buffer.size", Int, "5242880", "How much of `__consumer_offsets` is read at once when it is loaded.").valid(ONE).inert(MACHINERY),
    known("offsets.topic.compression.codec", Int, "0", "The codec of `__consumer_offsets`; 0 is none.").inert("it is not compressed"),
    known("max.request.partition.size.limit", Int, "2000", "How many partitions one DescribeTopicPartitions answers.").valid(ONE).inert("acts when DescribeTopicPartitions arrives"),
    known("telemetry.max.bytes", Int, "1048576", "The largest push of client metrics.").valid(ONE).inert("acts when client metrics (KIP-714) arrive"),
    known("metric.reporters", List, "", "Classes that report metrics.").cluster_wide().inert(METRICS),
    known("kafka.metrics.reporters", List, "", "Classes that report metrics, in the old form.").inert(METRICS),
    known("kafka.metrics.polling.interval.secs", Int, "10", "How often they are asked.").valid(ONE).inert(METRICS),
    known("metrics.num.samples", Int, "2", "How many samples a rate is made of.").valid(ONE).inert(METRICS),
    known("metrics.recording.level", String, "INFO", "How much is measured.").inert(METRICS),
    known("metrics.sample.window.ms", Long, "30000", "How long one sample is.").valid(ONE).inert(METRICS),
];

/// Replication, quotas, tiers and the group protocols to come.
#[rustfmt::skip]
pub const LATER: &[Setting] = &[
    known("controlled.shutdown.enable", Boolean, "true", "Whether a stopping broker hands its partitions over first.").inert(REPLICATION),
    known("initial.broker.registration.timeout.ms", Int, "60000", "How long a starting broker tries to register.").inert(REPLICATION),
    known("num.replica.fetchers", Int, "1", "Connections from a follower to one leader.").valid(ONE).cluster_wide().inert(REPLICATION),
    known("replica.fetch.backoff.ms", Int, "1000", "How long a follower waits after a failed Fetch.").valid(ZERO).inert(REPLICATION),
    known("replica.fetch.min.bytes", Int, "1", "How little a follower waits for.").inert(REPLICATION),
    known("replica.high.watermark.checkpoint.interval.ms", Long, "5000", "How often high watermarks are saved.").inert(REPLICATION),
    known("replica.socket.receive.buffer.bytes", Int, "65536", "The receive buffer of a follower's socket.").inert(REPLICATION),
    known("replica.socket.timeout.ms", Int, "30000", "How long a follower waits for its leader.").inert(REPLICATION),
    known("alter.log.dirs.replication.quota.window.num", Int, "11", "How many samples this quota is made of.").valid(ONE).inert(QUOTAS),
    known("alter.log.dirs.replication.quota.window.size.seconds", Int, "1", "How long one sample of this quota is.").valid(ONE).inert(QUOTAS),
    known("controller.quota.window.num", Int, "11", "How many samples this quota is made of.").valid(ONE).inert(QUOTAS),
    known("controller.quota.window.size.seconds", Int, "1", "How long one sample of this quota is.").valid(ONE).inert(QUOTAS),
    known("quota.window.num", Int, "11", "How many samples a client quota is made of.").valid(ONE).inert(QUOTAS),
    known("quota.window.size.seconds", Int, "1", "How long one sample of a client quota is.").valid(ONE).inert(QUOTAS),
    known("replication.quota.window.num", Int, "11", "How many samples this quota is made of.").valid(ONE).inert(QUOTAS),
    known("replication.quota.window.size.seconds", Int, "1", "How long one sample of this quota is.").valid(ONE).inert(QUOTAS),
    unset("replica.alter.log.dirs.io.max.bytes.per.second", Long, "Bytes per second for moving replicas between directories.").valid(ZERO).per_broker().inert(QUOTAS),
    known("max.connection.creation.rate", Int, "2147483647", "How many connections per second are accepted.").valid(ZERO).cluster_wide().inert(QUOTAS),
    known("max.connections.per.ip.overrides", String, "", "Other limits for single addresses, as `address:number`.").cluster_wide().inert(QUOTAS),
    known("add.partitions.to.txn.retry.backoff.max.ms", Int, "100", "The longest wait of a producer's broker for the transaction coordinator.").valid(ZERO).inert(TRANSACTIONS),
    known("add.partitions.to.txn.retry.backoff.ms", Int, "20", "The first wait of a producer's broker for the transaction coordinator.").valid(ONE).inert(TRANSACTIONS),
    known("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", "How often transactions that took too long are looked for.").valid(ONE).inert(TRANSACTIONS),
    known("transaction.max.timeout.ms", Int, "900000", "The longest timeout that a transaction may ask for.").valid(ONE).inert(TRANSACTIONS),
    known("transaction.partition.verification.enable", Boolean, "true", "Whether a partition asks if a transaction includes it before it appends.").cluster_wide().inert(TRANSACTIONS),
    known("transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", "How often expired transactional ids are looked for.").valid(ONE).inert(TRANSACTIONS),
    known("transaction.state.log.load.buffer.size", Int, "5242880", "How much of `__transaction_state` is read at once when it is loaded.").valid(ONE).inert(TRANSACTIONS),
    known("transaction.state.log.min.isr", Int, "2", "The `min.insync.replicas` of `__transaction_state`.").valid(ONE).inert(TRANSACTIONS),
    known("transaction.two.phase.commit.enable", Boolean, "false", "Whether transactions may wait for a commit for ever (KIP-939).").inert(TRANSACTIONS),
    known("transactional.id.expiration.ms", Int, "604800000", "How long an unused transactional id is kept.").valid(ONE).inert(TRANSACTIONS),
    known("follower.fetch.last.tiered.offset.enable", Boolean, "false", "Whether a new follower begins behind the tiered part of a log.").cluster_wide().inert(TIERS),
    known("remote.fetch.max.wait.ms", Int, "500", "How long a Fetch waits for the bucket.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.list.offsets.request.timeout.ms", Long, "30000", "How long a ListOffsets waits for the bucket.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.index.file.cache.total.size.bytes", Long, "1073741824", "Disk for cached indexes of tiered segments.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.manager.copier.thread.pool.size", Int, "10", "Threads that upload segments.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.manager.copy.max.bytes.per.second", Long, "9223372036854775807", "How fast segments may be uploaded.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.manager.expiration.thread.pool.size", Int, "10", "Threads that delete expired tiered segments.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.manager.fetch.max.bytes.per.second", Long, "9223372036854775807", "How fast the bucket may be read.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.manager.follower.thread.pool.size", Int, "2", "Threads that follow the tiers of other brokers.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.manager.task.interval.ms", Long, "30000", "How often segments to upload are looked for.").valid(ONE).inert(TIERS),
    known("remote.log.manager.thread.pool.size", Int, "2", "Threads for the tiers.").valid(ONE).inert(TIERS),
    known("remote.log.metadata.custom.metadata.max.bytes", Int, "128", "The largest note that a storage plugin may keep per segment.").valid(ZERO).inert(TIERS),
    known("remote.log.reader.max.pending.tasks", Int, "100", "How many reads of the bucket may wait.").valid(ONE).inert(TIERS),
    known("remote.log.reader.threads", Int, "10", "Threads that read the bucket.").valid(ONE).cluster_wide().inert(TIERS),
    known("remote.log.storage.system.enable", Boolean, "false", "Whether the broker tiers at all.").refused("tiered storage is not part of this version; leave it false"),
    unset("remote.log.storage.manager.class.name", String, "The Java class that stores segments.").refused(PLUGIN),
    unset("remote.log.storage.manager.class.path", String, "Where that class is found.").refused(PLUGIN),
    known("group.coordinator.rebalance.protocols", List, "classic,consumer,streams", "Which group protocols are offered; here `classic` only, so far.").valid(Valid::ListOf(&["classic", "consumer", "share", "streams"])).inert(CONSUMER_GROUPS),
    known("group.consumer.assignment.interval.ms", Int, "1000", "The shortest time between two assignments of a group.").valid(ZERO).cluster_wide().inert(CONSUMER_GROUPS),
    known("group.consumer.assignors", List, "uniform,range", "How the coordinator divides partitions; the first is the default.").inert(CONSUMER_GROUPS),
    known("group.consumer.heartbeat.interval.ms", Int, "5000", "How often members are told to report.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.max.heartbeat.interval.ms", Int, "15000", "The longest such interval that a group may set.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.min.heartbeat.interval.ms", Int, "5000", "The shortest such interval that a group may set.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.session.timeout.ms", Int, "45000", "A member that was silent for this long is removed.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.max.session.timeout.ms", Int, "60000", "The longest such timeout that a group may set.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.min.session.timeout.ms", Int, "45000", "The shortest such timeout that a group may set.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.max.size", Int, "2147483647", "How many members a group may have.").valid(ONE).inert(CONSUMER_GROUPS),
    known("group.consumer.migration.policy", String, "bidirectional", "Whether groups may change between the classic and the consumer protocol.").inert(CONSUMER_GROUPS),
    known("group.share.assignors", List, "simple", "How the coordinator divides partitions.").inert(SHARE_GROUPS),
    known("group.share.delivery.count.limit", Int, "5", "How often a record is delivered before it is given up.").valid(Valid::Between(2, 10)).inert(SHARE_GROUPS),
    known("group.share.heartbeat.interval.ms", Int, "5000", "How often members are told to report.").valid(ONE).inert(SHARE_GROUPS),
    known("group.share.max.share.sessions", Int, "2000", "How many share sessions a broker remembers.").valid(ONE).inert(SHARE_GROUPS),
    known("group.share.max.size", Int, "200", "How many members a share group may have.").valid(Valid::Between(1, 1000)).inert(SHARE_GROUPS),
    known("group.share.partition.max.record.locks", Int, "2000", "How many records of a partition may be out for delivery.").valid(Valid::Between(100, 10_000)).inert(SHARE_GROUPS),
    known("group.share.record.lock.duration.ms", Int, "30000", "How long a record is out for delivery before it is offered again.").valid(Valid::Between(1000, 3_600_000)).inert(SHARE_GROUPS),
    known("group.share.session.timeout.ms", Int, "45000", "A member that was silent for this long is removed.").valid(ONE).inert(SHARE_GROUPS),
    known("share.coordinator.state.topic.min.isr", Short, "2", "The `min.insync.replicas` of `__share_group_state`.").valid(ONE).inert(SHARE_GROUPS),
    known("share.coordinator.state.topic.num.partitions", Int, "50", "How many partitions `__share_group_state` gets.").valid(ONE).inert(SHARE_GROUPS),
    known("share.coordinator.state.topic.replication.factor", Short, "3", "How many replicas `__share_group_state` gets.").valid(ONE).inert(SHARE_GROUPS),
    known("share.coordinator.state.topic.segment.bytes", Int, "104857600", "The segment size of `__share_group_state`.").valid(ONE).inert(SHARE_GROUPS),
    known("group.streams.heartbeat.interval.ms", Int, "5000", "How often members are told to report.").valid(ONE).inert(STREAMS_GROUPS),
    known("group.streams.initial.rebalance.delay.ms", Int, "3000", "How long an empty group waits for more members.").valid(ZERO).inert(STREAMS_GROUPS),
    known("group.streams.max.size", Int, "2147483647", "How many members a streams group may have.").valid(ONE).inert(STREAMS_GROUPS),
    known("group.streams.max.standby.replicas", Int, "2", "The most standby replicas that a group may ask for.").valid(ZERO).inert(STREAMS_GROUPS),
    known("group.streams.num.standby.replicas", Int, "0", "Standby replicas of a task's state.").valid(ZERO).inert(STREAMS_GROUPS),
    known("group.streams.session.timeout.ms", Int, "45000", "A member that was silent for this long is removed.").valid(ONE).inert(STREAMS_GROUPS),
    known("authorizer.class.name", String, "", "The Java class that allows or denies requests.").refused("access control is not part of this version; leave it unset"),
    known("security.inter.broker.protocol", String, "PLAINTEXT", "The protocol between brokers.").refused("only PLAINTEXT exists in this version"),
    known("connection.failed.authentication.delay.ms", Int, "100", "How long a failed login waits for its answer.").valid(ZERO).inert("acts when SASL arrives"),
    known("connections.max.reauth.ms", Long, "0", "How long a login is good for.").refused("SASL is not part of this version"),
    unset("alter.config.policy.class.name", Kind::Class, "The Java class that allows or denies changes of settings.").refused(PLUGIN),
    unset("create.topic.policy.class.name", Kind::Class, "The Java class that allows or denies new topics.").refused(PLUGIN),
    unset("principal.builder.class", Kind::Class, "The Java class that names the user of a connection.").per_broker().refused(PLUGIN),
    known("config.providers", List, "", "Names of Java classes that look values up elsewhere.").cluster_wide().refused(PLUGIN),
];

/// Bounds and internals of the features to come, which few files set.
#[rustfmt::skip]
pub const BOUNDS: &[Setting] = &[
    known("group.consumer.max.assignment.interval.ms", Int, "15000", "The longest assignment interval that a group may set.").valid(ZERO).inert(CONSUMER_GROUPS),
    known("group.consumer.min.assignment.interval.ms", Int, "0", "The shortest assignment interval that a group may set.").valid(ZERO).inert(CONSUMER_GROUPS),
    known("group.share.assignment.interval.ms", Int, "1000", "The shortest time between two assignments of a group.").valid(ZERO).cluster_wide().inert(SHARE_GROUPS),
    known("group.share.max.assignment.interval.ms", Int, "15000", "The longest assignment interval that a group may set.").valid(ZERO).inert(SHARE_GROUPS),
    known("group.share.min.assignment.interval.ms", Int, "0", "The shortest assignment interval that a group may set.").valid(ZERO).inert(SHARE_GROUPS),
    known("group.share.max.heartbeat.interval.ms", Int, "15000", "The longest heartbeat interval that a group may set.").valid(ONE).inert(SHARE_GROUPS),
    known("group.share.min.heartbeat.interval.ms", Int, "5000", "The shortest heartbeat interval that a group may set.").valid(ONE).inert(SHARE_GROUPS),
    known("group.share.max.session.timeout.ms", Int, "60000", "The longest session timeout that a group may set.").valid(ONE).inert(SHARE_GROUPS),
    known("group.share.min.session.timeout.ms", Int, "45000", "The shortest session timeout that a group may set.").valid(ONE).inert(SHARE_GROUPS),
    known("group.share.max.delivery.count.limit", Int, "10", "The highest delivery limit that a group may set.").valid(Valid::Between(5, 25)).inert(SHARE_GROUPS),
    known("group.share.min.delivery.count.limit", Int, "2", "The lowest delivery limit that a group may set.").valid(Valid::Between(2, 5)).inert(SHARE_GROUPS),
    known("group.share.max.partition.max.record.locks", Int, "4000", "The highest limit of records out for delivery that a group may set.").valid(Valid::Between(2000, 10_000)).inert(SHARE_GROUPS),
    known("group.share.min.partition.max.record.locks", Int, "100", "The lowest limit of records out for delivery that a group may set.").valid(Valid::Between(100, 2000)).inert(SHARE_GROUPS),
    known("group.share.max.record.lock.duration.ms", Int, "60000", "The longest lock that a group may set.").valid(Valid::Between(30_000, 3_600_000)).inert(SHARE_GROUPS),
    known("group.share.min.record.lock.duration.ms", Int, "15000", "The shortest lock that a group may set.").valid(Valid::Between(1000, 30_000)).inert(SHARE_GROUPS),
    known("errors.deadletterqueue.auto.create.topics.enable", Boolean, "false", "Whether topics for records that a share group gave up on are created by themselves.").inert(SHARE_GROUPS),
    known("errors.deadletterqueue.topic.name.prefix", String, "dlq.", "How the names of such topics begin.").inert(SHARE_GROUPS),
    known("share.coordinator.append.linger.ms", Int, "-1", "How long the share coordinator gathers records into one write.").valid(Valid::AtLeast(-1)).inert(SHARE_GROUPS),
    known("share.coordinator.cached.buffer.max.bytes", Int, "1048588", "The largest buffer that the share coordinator keeps for its next write.").valid(Valid::AtLeast(512 << 10)).cluster_wide().inert(SHARE_GROUPS),
    known("share.coordinator.load.buffer.size", Int, "5242880", "How much of `__share_group_state` is read at once when it is loaded.").valid(ONE).inert(SHARE_GROUPS),
    known("share.coordinator.snapshot.update.records.per.snapshot", Int, "500", "After how many changes the state of a share partition is written whole.").valid(Valid::Between(0, 500)).inert(SHARE_GROUPS),
    known("share.coordinator.state.topic.compression.codec", Int, "0", "The codec of `__share_group_state`; 0 is none.").inert(SHARE_GROUPS),
    known("share.coordinator.threads", Int, "1", "Threads of the share coordinator.").valid(ONE).inert(SHARE_GROUPS),
    known("share.coordinator.write.timeout.ms", Int, "5000", "How long a write of the share coordinator may wait to be stored.").valid(ONE).inert(SHARE_GROUPS),
    known("group.streams.assignment.interval.ms", Int, "1000", "The shortest time between two assignments of a group.").valid(ZERO).cluster_wide().inert(STREAMS_GROUPS),
    known("group.streams.max.assignment.interval.ms", Int, "15000", "The longest assignment interval that a group may set.").valid(ZERO).inert(STREAMS_GROUPS),
    known("group.streams.min.assignment.interval.ms", Int, "0", "The shortest assignment interval that a group may set.").valid(ZERO).inert(STREAMS_GROUPS),
    known("group.streams.max.heartbeat.interval.ms", Int, "15000", "The longest heartbeat interval that a group may set.").valid(ONE).inert(STREAMS_GROUPS),
    known("group.streams.min.heartbeat.interval.ms", Int, "5000", "The shortest heartbeat interval that a group may set.").valid(ONE).inert(STREAMS_GROUPS),
    known("group.streams.max.session.timeout.ms", Int, "60000", "The longest session timeout that a group may set.").valid(ONE).inert(STREAMS_GROUPS),
    known("group.streams.min.session.timeout.ms", Int, "45000", "The shortest session timeout that a group may set.").valid(ONE).inert(STREAMS_GROUPS),
    known("group.streams.assignors", List, "sticky", "How the coordinator divides tasks.").inert(STREAMS_GROUPS),
    known("group.streams.rack.aware.assignment.tags", List, "", "Tags of clients over which standby replicas are spread.").inert(STREAMS_GROUPS),
    unset("group.streams.topology.description.plugin.class", Kind::Class, "The Java class that describes topologies.").refused(PLUGIN),
    known("remote.log.manager.copy.quota.window.num", Int, "11", "How many samples this quota is made of.").valid(ONE).inert(TIERS),
    known("remote.log.manager.copy.quota.window.size.seconds", Int, "1", "How long one sample of this quota is.").valid(ONE).inert(TIERS),
    known("remote.log.manager.fetch.quota.window.num", Int, "11", "How many samples this quota is made of.").valid(ONE).inert(TIERS),
    known("remote.log.manager.fetch.quota.window.size.seconds", Int, "1", "How long one sample of this quota is.").valid(ONE).inert(TIERS),
    unset("remote.log.metadata.manager.class.name", String, "The Java class that keeps track of tiered segments.").refused(PLUGIN),
    unset("remote.log.metadata.manager.class.path", String, "Where that class is found.").refused(PLUGIN),
    unset("remote.log.metadata.manager.listener.name", String, "The listener on which that class connects.").refused(PLUGIN),
    known("controller.quorum.fetch.max.bytes", Int, "1048576", "How much of the metadata log a follower asks for at once.").valid(ONE).inert(REPLICATION),
    known("controller.quorum.fetch.snapshot.max.bytes", Int, "1048576", "How much of a metadata snapshot a follower asks for at once.").valid(ONE).inert(REPLICATION),
];
