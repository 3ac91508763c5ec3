//! The bytes of metadata records.
//!
//! ```text
//! kind u8 │ version u8 │ fields, big-endian; texts and lists prefixed with their length as u32
//! ```
//!
//! A field that a later version adds is read only from that version on. Lengths are checked against the
//! bytes that are left before anything is allocated.

use std::sync::Arc;

use config::Listener;

use crate::ids::{BrokerId, LeaderEpoch};

use super::image::{Broker, Partition};
use super::record::{Record, Resource};

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The bytes end inside a field.
    #[error("the record ends inside a field: {field}")]
    Short {
        /// The field.
        field: &'static str,
    },
    /// Bytes are left over.
    #[error("{0} bytes follow the record's last field")]
    Trailing(usize),
    /// Written by a newer build.
    #[error(
        "unknown metadata record: kind {kind} version {version}; hint: a newer klamm wrote it, run that one"
    )]
    Unknown {
        /// The kind found.
        kind: u8,
        /// The version found.
        version: u8,
    },
    /// A field holds what it cannot hold.
    #[error("the field {field} cannot hold what was found")]
    Invalid {
        /// The field.
        field: &'static str,
    },
}

/// The one version of every kind so far.
const VERSION: u8 = 0;

const CLUSTER: u8 = 1;
const FEATURE: u8 = 2;
const REGISTER_BROKER: u8 = 3;
const FENCE_BROKER: u8 = 4;
const TOPIC: u8 = 5;
const PARTITION: u8 = 6;
const REMOVE_TOPIC: u8 = 7;
const CLAIM_TOPIC: u8 = 8;
const CONFIG: u8 = 9;
const PRODUCER_IDS: u8 = 10;

const RESOURCE_TOPIC: u8 = 0;
const RESOURCE_BROKER: u8 = 1;
const RESOURCE_ALL_BROKERS: u8 = 2;
const RESOURCE_GROUP: u8 = 3;

impl Record {
    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer { out };
        match self {
            Self::Cluster { cluster_id } => {
                w.head(CLUSTER);
                w.text(cluster_id);
            }
            Self::Feature { name, level } => {
                w.head(FEATURE);
                w.text(name);
                w.bytes(&level.to_be_bytes());
            }
            Self::RegisterBroker { id, broker } => {
                w.head(REGISTER_BROKER);
                w.i32(id.0);
                w.broker(broker);
            }
            Self::FenceBroker { id, epoch, fenced } => {
                w.head(FENCE_BROKER);
                w.i32(id.0);
                w.i64(*epoch);
                w.u8(u8::from(*fenced));
            }
            Self::Topic { id, name } => {
                w.head(TOPIC);
                w.bytes(&id.0);
                w.text(name);
            }
            Self::Partition { topic_id, index, partition } => {
                w.head(PARTITION);
                w.bytes(&topic_id.0);
                w.i32(*index);
                w.partition(partition);
            }
            Self::RemoveTopic { id } => {
                w.head(REMOVE_TOPIC);
                w.bytes(&id.0);
            }
            Self::ClaimTopic { topic_id, owner } => {
                w.head(CLAIM_TOPIC);
                w.bytes(&topic_id.0);
                w.optional(owner.as_deref());
            }
            Self::Config { resource, key, value } => {
                w.head(CONFIG);
                w.resource(resource);
                w.text(key);
                w.optional(value.as_deref());
            }
            Self::ProducerIds { next } => {
                w.head(PRODUCER_IDS);
                w.i64(*next);
            }
        }
    }

    /// Reads one record, which takes all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRecordError> {
        let mut r = Reader { left: bytes };
        let kind = r.u8("kind")?;
        let version = r.u8("version")?;
        if version != VERSION {
            return Err(DecodeRecordError::Unknown { kind, version });
        }
        let record = match kind {
            CLUSTER => Self::Cluster { cluster_id: r.text("cluster id")? },
            FEATURE => Self::Feature { name: r.text("feature")?, level: r.i16("level")? },
            REGISTER_BROKER => {
                Self::RegisterBroker { id: r.broker_id("broker")?, broker: r.broker()? }
            }
            FENCE_BROKER => Self::FenceBroker {
                id: r.broker_id("broker")?,
                epoch: r.i64("epoch")?,
                fenced: r.bool("fenced")?,
            },
            TOPIC => Self::Topic { id: r.uuid("topic id")?, name: r.text("topic")? },
            PARTITION => Self::Partition {
                topic_id: r.uuid("topic id")?,
                index: r.i32("index")?,
                partition: r.partition()?,
            },
            REMOVE_TOPIC => Self::RemoveTopic { id: r.uuid("topic id")? },
            CLAIM_TOPIC => {
                Self::ClaimTopic { topic_id: r.uuid("topic id")?, owner: r.optional("owner")? }
            }
            CONFIG => Self::Config {
                resource: r.resource()?,
                key: r.text("key")?,
                value: r.optional("value")?,
            },
            PRODUCER_IDS => Self::ProducerIds { next: r.i64("next")? },
            _ => return Err(DecodeRecordError::Unknown { kind, version }),
        };
        match r.left.len() {
            0 => Ok(record),
            left => Err(DecodeRecordError::Trailing(left)),
        }
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn head(&mut self, kind: u8) {
        self.bytes(&[kind, VERSION]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn u8(&mut self, number: u8) {
        self.out.push(number);
    }

    fn i32(&mut self, number: i32) {
        self.bytes(&number.to_be_bytes());
    }

    fn i64(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    fn len(&mut self, len: usize) {
        let len = u32::try_from(len).expect("a request, and so a record, is below 2 GiB");
        self.bytes(&len.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.len(text.len());
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn broker_ids(&mut self, ids: &[BrokerId]) {
        self.len(ids.len());
        for id in ids {
            self.i32(id.0);
        }
    }

    fn broker(&mut self, broker: &Broker) {
        self.i64(broker.epoch);
        self.bytes(&broker.incarnation.0);
        self.len(broker.listeners.len());
        for listener in &broker.listeners {
            self.text(&listener.name);
            self.text(&listener.host);
            self.bytes(&listener.port.to_be_bytes());
        }
        self.optional(broker.rack.as_deref());
        self.u8(u8::from(broker.fenced));
    }

    fn partition(&mut self, partition: &Partition) {
        self.i32(partition.leader.map_or(NOBODY, |leader| leader.0));
        self.i32(partition.leader_epoch.0);
        self.i32(partition.partition_epoch);
        self.broker_ids(&partition.replicas);
        self.broker_ids(&partition.isr);
    }

    fn resource(&mut self, resource: &Resource) {
        match resource {
            Resource::Topic(name) => {
                self.u8(RESOURCE_TOPIC);
                self.text(name);
            }
            Resource::Broker(id) => {
                self.u8(RESOURCE_BROKER);
                self.i32(id.0);
            }
            Resource::AllBrokers => self.u8(RESOURCE_ALL_BROKERS),
            Resource::Group(id) => {
                self.u8(RESOURCE_GROUP);
                self.text(id);
            }
        }
    }
}

/// How "no leader" is written.
const NOBODY: i32 = -1;

struct Reader<'a> {
    left: &'a [u8],
}

type Field = &'static str;

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, field: Field) -> Result<&'a [u8], DecodeRecordError> {
        let (taken, left) =
            self.left.split_at_checked(len).ok_or(DecodeRecordError::Short { field })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeRecordError> {
        let (taken, left) =
            self.left.split_first_chunk().ok_or(DecodeRecordError::Short { field })?;
        self.left = left;
        Ok(*taken)
    }

    fn u8(&mut self, field: Field) -> Result<u8, DecodeRecordError> {
        self.array(field).map(u8::from_be_bytes)
    }

    fn bool(&mut self, field: Field) -> Result<bool, DecodeRecordError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeRecordError::Invalid { field }),
        }
    }

    fn i16(&mut self, field: Field) -> Result<i16, DecodeRecordError> {
        self.array(field).map(i16::from_be_bytes)
    }

    fn i32(&mut self, field: Field) -> Result<i32, DecodeRecordError> {
        self.array(field).map(i32::from_be_bytes)
    }

    fn i64(&mut self, field: Field) -> Result<i64, DecodeRecordError> {
        self.array(field).map(i64::from_be_bytes)
    }

    fn uuid(&mut self, field: Field) -> Result<wire::Uuid, DecodeRecordError> {
        self.array(field).map(wire::Uuid)
    }

    /// A length of things of at least `each` bytes, which therefore are all there.
    fn len(&mut self, each: usize, field: Field) -> Result<usize, DecodeRecordError> {
        let len = self.array(field).map(u32::from_be_bytes)? as usize;
        match len.checked_mul(each) {
            Some(bytes) if bytes <= self.left.len() => Ok(len),
            _ => Err(DecodeRecordError::Short { field }),
        }
    }

    fn text(&mut self, field: Field) -> Result<Arc<str>, DecodeRecordError> {
        let len = self.len(1, field)?;
        let text = std::str::from_utf8(self.take(len, field)?);
        text.map(Arc::from).map_err(|_| DecodeRecordError::Invalid { field })
    }

    fn optional(&mut self, field: Field) -> Result<Option<Arc<str>>, DecodeRecordError> {
        if self.bool(field)? { self.text(field).map(Some) } else { Ok(None) }
    }

    fn broker_id(&mut self, field: Field) -> Result<BrokerId, DecodeRecordError> {
        match self.i32(field)? {
            id if id >= 0 => Ok(BrokerId(id)),
            _ => Err(DecodeRecordError::Invalid { field }),
        }
    }

    fn broker_ids(&mut self, field: Field) -> Result<Vec<BrokerId>, DecodeRecordError> {
        let len = self.len(size_of::<i32>(), field)?;
        (0..len).map(|_| self.broker_id(field)).collect()
    }

    fn broker(&mut self) -> Result<Broker, DecodeRecordError> {
        let epoch = self.i64("epoch")?;
        let incarnation = self.uuid("incarnation")?;
        // Two empty texts and a port.
        let listeners = self.len(10, "listeners")?;
        let listeners = (0..listeners)
            .map(|_| {
                Ok(Listener {
                    name: self.text("listener")?.to_string(),
                    host: self.text("host")?.to_string(),
                    port: self.array("port").map(u16::from_be_bytes)?,
                })
            })
            .collect::<Result<_, _>>()?;
        let rack = self.optional("rack")?;
        Ok(Broker { epoch, incarnation, listeners, rack, fenced: self.bool("fenced")? })
    }

    fn partition(&mut self) -> Result<Partition, DecodeRecordError> {
        let leader = match self.i32("leader")? {
            NOBODY => None,
            id if id >= 0 => Some(BrokerId(id)),
            _ => return Err(DecodeRecordError::Invalid { field: "leader" }),
        };
        Ok(Partition {
            leader,
            leader_epoch: LeaderEpoch(self.i32("leader epoch")?),
            partition_epoch: self.i32("partition epoch")?,
            replicas: self.broker_ids("replicas")?,
            isr: self.broker_ids("isr")?,
        })
    }

    fn resource(&mut self) -> Result<Resource, DecodeRecordError> {
        match self.u8("resource")? {
            RESOURCE_TOPIC => self.text("resource").map(Resource::Topic),
            RESOURCE_BROKER => self.broker_id("resource").map(Resource::Broker),
            RESOURCE_ALL_BROKERS => Ok(Resource::AllBrokers),
            RESOURCE_GROUP => self.text("resource").map(Resource::Group),
            _ => Err(DecodeRecordError::Invalid { field: "resource" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DecodeRecordError, Record};
    use crate::ids::{BrokerId, LeaderEpoch};
    use crate::metadata::{Broker, Partition, Resource};

    fn broker_ids() -> impl Strategy<Value = Vec<BrokerId>> {
        prop::collection::vec((0..=i32::MAX).prop_map(BrokerId), 0..5)
    }

    fn resource() -> impl Strategy<Value = Resource> {
        prop_oneof![
            ".*".prop_map(|name| Resource::Topic(name.into())),
            (0..=i32::MAX).prop_map(|id| Resource::Broker(BrokerId(id))),
            Just(Resource::AllBrokers),
            ".*".prop_map(|name| Resource::Group(name.into())),
        ]
    }

    fn partition() -> impl Strategy<Value = Partition> {
        let leader = prop::option::of((0..=i32::MAX).prop_map(BrokerId));
        (leader, any::<i32>(), any::<i32>(), broker_ids(), broker_ids()).prop_map(
            |(leader, leader_epoch, partition_epoch, replicas, isr)| Partition {
                leader,
                leader_epoch: LeaderEpoch(leader_epoch),
                partition_epoch,
                replicas,
                isr,
            },
        )
    }

    fn broker() -> impl Strategy<Value = Broker> {
        let listener = ("[A-Z]{1,5}", "[a-z.]{0,9}", any::<u16>())
            .prop_map(|(name, host, port)| config::Listener { name, host, port });
        let listeners = prop::collection::vec(listener, 0..3);
        (any::<i64>(), any::<[u8; 16]>(), listeners, prop::option::of(".*"), any::<bool>())
            .prop_map(|(epoch, incarnation, listeners, rack, fenced)| Broker {
                epoch,
                incarnation: wire::Uuid(incarnation),
                listeners,
                rack: rack.map(Into::into),
                fenced,
            })
    }

    fn record() -> impl Strategy<Value = Record> {
        let id = || any::<[u8; 16]>().prop_map(wire::Uuid);
        let broker_id = || (0..=i32::MAX).prop_map(BrokerId);
        prop_oneof![
            ".*".prop_map(|id: String| Record::Cluster { cluster_id: id.into() }),
            (".*", any::<i16>())
                .prop_map(|(name, level)| Record::Feature { name: name.into(), level }),
            (broker_id(), broker()).prop_map(|(id, broker)| Record::RegisterBroker { id, broker }),
            (broker_id(), any::<i64>(), any::<bool>())
                .prop_map(|(id, epoch, fenced)| Record::FenceBroker { id, epoch, fenced }),
            (id(), ".*").prop_map(|(id, name)| Record::Topic { id, name: name.into() }),
            (id(), any::<i32>(), partition()).prop_map(|(topic_id, index, partition)| {
                Record::Partition { topic_id, index, partition }
            }),
            id().prop_map(|id| Record::RemoveTopic { id }),
            (id(), prop::option::of(".*")).prop_map(|(topic_id, owner)| Record::ClaimTopic {
                topic_id,
                owner: owner.map(Into::into)
            }),
            (resource(), ".*", prop::option::of(".*")).prop_map(|(resource, key, value)| {
                Record::Config { resource, key: key.into(), value: value.map(Into::into) }
            }),
            any::<i64>().prop_map(|next| Record::ProducerIds { next }),
        ]
    }

    fn bytes_of(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn a_record_survives_its_bytes(record in record()) {
            prop_assert_eq!(Record::decode(&bytes_of(&record)), Ok(record));
        }

        #[test]
        fn every_shorter_and_longer_record_is_refused(record in record()) {
            let mut bytes = bytes_of(&record);
            for len in 0..bytes.len() {
                prop_assert!(Record::decode(&bytes[..len]).is_err());
            }
            bytes.push(0);
            prop_assert_eq!(Record::decode(&bytes), Err(DecodeRecordError::Trailing(1)));
        }

        #[test]
        fn hostile_bytes_cost_an_error_at_most(
            record in record(),
            at: prop::sample::Index,
            byte: u8,
            noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = bytes_of(&record);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(decoded) = Record::decode(&bytes) {
                prop_assert_eq!(bytes_of(&decoded), bytes);
            }
            let _ = Record::decode(&noise);
        }
    }

    #[test]
    fn a_length_that_is_not_there_allocates_nothing() {
        let claimed = [[super::CLUSTER, 0], [0x7f, 0xff], [0xff, 0xff]].concat();
        assert_eq!(Record::decode(&claimed), Err(DecodeRecordError::Short { field: "cluster id" }));
    }

    #[test]
    fn a_newer_build_is_named() {
        for (bytes, kind, version) in [([11, 0], 11, 0), ([1, 1], 1, 1), ([0, 0], 0, 0)] {
            let error = Record::decode(&bytes).unwrap_err();
            assert_eq!(error, DecodeRecordError::Unknown { kind, version });
        }
    }

    #[test]
    fn the_bytes_of_a_partition_stay_what_they_are() {
        let record = Record::Partition {
            topic_id: wire::Uuid([7; 16]),
            index: 3,
            partition: Partition {
                leader: None,
                leader_epoch: LeaderEpoch(1),
                partition_epoch: 2,
                replicas: vec![BrokerId(1), BrokerId(2)],
                isr: vec![BrokerId(2)],
            },
        };
        let mut expected = vec![6, 0];
        expected.extend([7; 16]);
        for number in [3, -1, 1, 2, 2, 1, 2, 1, 2i32] {
            expected.extend(number.to_be_bytes());
        }
        assert_eq!(bytes_of(&record), expected);
    }
}
