//! The settings of a group (KIP-848, KIP-932, KIP-1071). The classic protocol has none: its members bring
//! their timeouts themselves, so all of these wait for their protocols.

use crate::Properties;
use crate::error::ConfigError;
use crate::setting::{Kind, Setting, Valid};

use Kind::{Boolean, Int, String};

const CONSUMER: &str = "acts when the consumer group protocol (KIP-848) arrives";
const SHARE: &str = "acts when share groups (KIP-932) arrive";
const STREAMS: &str = "acts when streams groups (KIP-1071) arrive";

const fn row(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting::new(key, kind, Some(default)).cluster_wide().doc(doc)
}

/// Every group setting.
#[rustfmt::skip]
pub const ROWS: &[Setting] = &[
    row("consumer.assignment.interval.ms", Int, "1000", "The shortest time between two assignments.").valid(Valid::AtLeast(0)).inert(CONSUMER),
    row("consumer.heartbeat.interval.ms", Int, "5000", "How often members are told to report.").valid(Valid::AtLeast(1)).inert(CONSUMER),
    row("consumer.session.timeout.ms", Int, "45000", "A member that was silent for this long is removed.").valid(Valid::AtLeast(1)).inert(CONSUMER),
    row("errors.deadletterqueue.copy.record.enable", Boolean, "false", "Whether a record that a share group gave up on is copied with its content.").inert(SHARE),
    row("errors.deadletterqueue.topic.name", String, "", "The topic for records that a share group gave up on.").inert(SHARE),
    row("share.assignment.interval.ms", Int, "1000", "The shortest time between two assignments.").valid(Valid::AtLeast(0)).inert(SHARE),
    row("share.auto.offset.reset", String, "latest", "Where a share group begins: `latest`, `earliest`, or `by_duration:` and an ISO 8601 duration.").inert(SHARE),
    row("share.delivery.count.limit", Int, "5", "How often a record is delivered before it is given up.").valid(Valid::AtLeast(2)).inert(SHARE),
    row("share.heartbeat.interval.ms", Int, "5000", "How often members are told to report.").valid(Valid::AtLeast(1)).inert(SHARE),
    row("share.isolation.level", String, "read_uncommitted", "Whether a share group sees records of open and aborted transactions.").valid(Valid::OneOf(&["read_committed", "read_uncommitted"])).inert(SHARE),
    row("share.partition.max.record.locks", Int, "2000", "How many records of a partition may be out for delivery.").valid(Valid::AtLeast(100)).inert(SHARE),
    row("share.record.lock.duration.ms", Int, "30000", "How long a record is out for delivery before it is offered again.").valid(Valid::AtLeast(1000)).inert(SHARE),
    row("share.renew.acknowledge.enable", Boolean, "true", "Whether a member may ask for more time with a record.").inert(SHARE),
    row("share.session.timeout.ms", Int, "45000", "A member that was silent for this long is removed.").valid(Valid::AtLeast(1)).inert(SHARE),
    row("streams.assignment.interval.ms", Int, "1000", "The shortest time between two assignments.").valid(Valid::AtLeast(0)).inert(STREAMS),
    Setting::new("streams.assignor.name", String, None).cluster_wide().doc("How tasks are divided; null is the broker's choice.").inert(STREAMS),
    row("streams.heartbeat.interval.ms", Int, "5000", "How often members are told to report.").valid(Valid::AtLeast(1)).inert(STREAMS),
    row("streams.initial.rebalance.delay.ms", Int, "3000", "How long an empty group waits for more members.").valid(Valid::AtLeast(0)).inert(STREAMS),
    row("streams.num.standby.replicas", Int, "0", "Standby replicas of a task's state.").valid(Valid::AtLeast(0)).inert(STREAMS),
    row("streams.rack.aware.assignment.tags", Kind::List, "", "Tags of clients over which standby replicas are spread.").inert(STREAMS),
    row("streams.session.timeout.ms", Int, "45000", "A member that was silent for this long is removed.").valid(Valid::AtLeast(1)).inert(STREAMS),
];

/// The row of a group setting.
pub fn find(key: &str) -> Result<&'static Setting, ConfigError> {
    ROWS.iter()
        .find(|row| row.key == key)
        .ok_or_else(|| ConfigError::unknown("group", key, ROWS.iter().map(|row| row.key)))
}

/// Checks the overrides of one group.
pub fn validate_group_config(config: &Properties) -> Result<(), ConfigError> {
    config.iter().try_for_each(|(key, value)| find(key)?.check(value))
}
