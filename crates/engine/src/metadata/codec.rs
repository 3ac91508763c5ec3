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

use super::features::SupportedFeature;
use super::image::{Broker, Drain, Lease, Partition};
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

/// The version of every kind but one.
const VERSION: u8 = 0;
/// The newest of [`REGISTER_BROKER`]: from 1 on with features, from 2 on with what is there for the quorum alone.
const REGISTER_BROKER_VERSION: u8 = 2;

const CLUSTER: u8 = 1;
const FEATURE: u8 = 2;
const REGISTER_BROKER: u8 = 3;
const CHANGE_BROKER: u8 = 4;
const TOPIC: u8 = 5;
const PARTITION: u8 = 6;
const REMOVE_TOPIC: u8 = 7;
const CLAIM_TOPIC: u8 = 8;
const CONFIG: u8 = 9;
const PRODUCER_IDS: u8 = 10;
const UNREGISTER_BROKER: u8 = 11;
const BROKER_EPOCHS: u8 = 12;
const DRAIN: u8 = 13;
const LEASE: u8 = 14;
const BALANCE: u8 = 15;

const RESOURCE_TOPIC: u8 = 0;
const RESOURCE_BROKER: u8 = 1;
const RESOURCE_ALL_BROKERS: u8 = 2;
const RESOURCE_GROUP: u8 = 3;

const DRAIN_NOTHING: u8 = 0;
const DRAIN_LEADERSHIP: u8 = 1;
const DRAIN_ALL: u8 = 2;

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
                // What older builds can express they can read.
                let version = REGISTER_BROKER_VERSION - u8::from(!broker.is_controller_only);
                w.bytes(&[REGISTER_BROKER, version]);
                w.i32(id.0);
                w.broker(broker);
            }
            Self::ChangeBroker { id, epoch, fenced, in_controlled_shutdown, cordoned } => {
                w.head(CHANGE_BROKER);
                w.i32(id.0);
                w.i64(*epoch);
                w.bool(*fenced);
                w.bool(*in_controlled_shutdown);
                w.bool(*cordoned);
            }
            Self::UnregisterBroker { id, epoch } => {
                w.head(UNREGISTER_BROKER);
                w.i32(id.0);
                w.i64(*epoch);
            }
            Self::Drain { id, drain } => {
                w.head(DRAIN);
                w.i32(id.0);
                w.drain(*drain);
            }
            Self::Lease { lease } => {
                w.head(LEASE);
                w.lease(lease.as_ref());
            }
            Self::Balance { is_asked } => {
                w.head(BALANCE);
                w.bool(*is_asked);
            }
            Self::BrokerEpochs { last } => {
                w.head(BROKER_EPOCHS);
                w.i64(*last);
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
        let newest = if kind == REGISTER_BROKER { REGISTER_BROKER_VERSION } else { VERSION };
        if version > newest {
            return Err(DecodeRecordError::Unknown { kind, version });
        }
        let record = match kind {
            CLUSTER => Self::Cluster { cluster_id: r.text("cluster id")? },
            FEATURE => Self::Feature { name: r.text("feature")?, level: r.i16("level")? },
            REGISTER_BROKER => {
                Self::RegisterBroker { id: r.broker_id("broker")?, broker: r.broker(version)? }
            }
            CHANGE_BROKER => Self::ChangeBroker {
                id: r.broker_id("broker")?,
                epoch: r.i64("epoch")?,
                fenced: r.bool("fenced")?,
                in_controlled_shutdown: r.bool("in controlled shutdown")?,
                cordoned: r.bool("cordoned")?,
            },
            UNREGISTER_BROKER => {
                Self::UnregisterBroker { id: r.broker_id("broker")?, epoch: r.i64("epoch")? }
            }
            DRAIN => Self::Drain { id: r.broker_id("broker")?, drain: r.drain()? },
            LEASE => Self::Lease { lease: r.lease()? },
            BALANCE => Self::Balance { is_asked: r.bool("balance")? },
            BROKER_EPOCHS => Self::BrokerEpochs { last: r.i64("last")? },
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

    fn bool(&mut self, is: bool) {
        self.u8(u8::from(is));
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
        self.bool(text.is_some());
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
        self.bytes(&broker.directory.0);
        self.len(broker.listeners.len());
        for listener in &broker.listeners {
            self.text(&listener.name);
            self.text(&listener.host);
            self.bytes(&listener.port.to_be_bytes());
        }
        self.optional(broker.rack.as_deref());
        self.bool(broker.fenced);
        self.bool(broker.in_controlled_shutdown);
        self.bool(broker.cordoned);
        self.len(broker.features.len());
        for SupportedFeature { name, min, max } in &broker.features {
            self.text(name);
            self.bytes(&min.to_be_bytes());
            self.bytes(&max.to_be_bytes());
        }
        if broker.is_controller_only {
            self.bool(true);
        }
    }

    fn partition(&mut self, partition: &Partition) {
        self.i32(partition.leader.map_or(NOBODY, |leader| leader.0));
        self.i32(partition.leader_epoch.0);
        self.i32(partition.partition_epoch);
        self.broker_ids(&partition.replicas);
        self.broker_ids(&partition.isr);
        self.broker_ids(&partition.elr);
        self.broker_ids(&partition.adding);
        self.broker_ids(&partition.removing);
    }

    fn drain(&mut self, drain: Option<Drain>) {
        self.u8(match drain {
            None => DRAIN_NOTHING,
            Some(Drain::Leadership) => DRAIN_LEADERSHIP,
            Some(Drain::All) => DRAIN_ALL,
        });
    }

    fn lease(&mut self, lease: Option<&Lease>) {
        self.bool(lease.is_some());
        if let Some(Lease { broker, holder, ttl_ms }) = lease {
            self.i32(broker.0);
            self.text(holder);
            self.i64(*ttl_ms);
        }
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

    fn broker(&mut self, version: u8) -> Result<Broker, DecodeRecordError> {
        let epoch = self.i64("epoch")?;
        let incarnation = self.uuid("incarnation")?;
        let directory = self.uuid("directory")?;
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
        Ok(Broker {
            epoch,
            incarnation,
            directory,
            listeners,
            rack,
            fenced: self.bool("fenced")?,
            in_controlled_shutdown: self.bool("in controlled shutdown")?,
            cordoned: self.bool("cordoned")?,
            features: if version > 0 { self.features()? } else { Vec::new() },
            is_controller_only: version > 1 && self.bool("is a controller only")?,
        })
    }

    fn features(&mut self) -> Result<Vec<SupportedFeature>, DecodeRecordError> {
        // An empty name and two levels.
        let features = self.len(8, "features")?;
        let features = (0..features).map(|_| {
            Ok(SupportedFeature {
                name: self.text("feature")?,
                min: self.i16("least level")?,
                max: self.i16("newest level")?,
            })
        });
        features.collect()
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
            elr: self.broker_ids("elr")?,
            adding: self.broker_ids("adding")?,
            removing: self.broker_ids("removing")?,
        })
    }

    fn drain(&mut self) -> Result<Option<Drain>, DecodeRecordError> {
        match self.u8("drain")? {
            DRAIN_NOTHING => Ok(None),
            DRAIN_LEADERSHIP => Ok(Some(Drain::Leadership)),
            DRAIN_ALL => Ok(Some(Drain::All)),
            _ => Err(DecodeRecordError::Invalid { field: "drain" }),
        }
    }

    fn lease(&mut self) -> Result<Option<Lease>, DecodeRecordError> {
        if !self.bool("lease")? {
            return Ok(None);
        }
        let (broker, holder) = (self.broker_id("broker")?, self.text("holder")?);
        Ok(Some(Lease { broker, holder, ttl_ms: self.i64("time to live")? }))
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
#[path = "codec_test.rs"]
mod tests;
