//! One row per message: our codec, its twin in `kafka-protocol`, its twin in Java.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message as TheirMessage};
use wire::{DecodeError, EncodeError, Message};

use crate::generated::{SCHEMAS, TWINS};
use crate::schema::{self, Struct};

/// Reads bytes at a version, and writes what was read.
pub type Again = fn(Bytes, i16) -> Result<Result<Bytes, EncodeError>, DecodeError>;

/// A message in our codec.
#[derive(Clone, Debug)]
pub struct Ours {
    /// Kafka's name.
    pub name: &'static str,
    /// Its versions.
    pub versions: RangeInclusive<i16>,
    /// Its first flexible version.
    pub flexible_from: i16,
    /// Reads and writes.
    pub again: Again,
    /// Reads, and prints what was read.
    pub debug: fn(Bytes, i16) -> Result<String, DecodeError>,
}

/// A message in `kafka-protocol`.
#[derive(Clone, Debug)]
pub struct Theirs {
    /// Its versions there.
    pub versions: RangeInclusive<i16>,
    /// Reads and writes.
    pub again: fn(Bytes, i16) -> anyhow::Result<Bytes>,
}

/// A message, wherever it exists.
#[derive(Clone, Debug)]
pub struct Twins {
    /// In our codec.
    pub ours: Ours,
    /// In `kafka-protocol`.
    pub theirs: Option<Theirs>,
    /// The name of its Java class.
    pub java: Option<&'static str>,
}

/// A message, and what its values look like.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The message in each codec.
    pub twins: &'static Twins,
    /// Its structs; the first is the message itself.
    pub structs: Vec<Struct>,
}

impl Entry {
    /// Kafka's name.
    pub fn name(&self) -> &'static str {
        self.twins.ours.name
    }

    /// The versions that we speak.
    pub fn versions(&self) -> RangeInclusive<i16> {
        self.twins.ours.versions.clone()
    }

    /// Reads bytes, and writes what was read.
    pub fn again(
        &self,
        bytes: Bytes,
        version: i16,
    ) -> Result<Result<Bytes, EncodeError>, DecodeError> {
        (self.twins.ours.again)(bytes, version)
    }
}

/// Every message.
pub fn messages() -> Vec<Entry> {
    let schemas = schema::parse(SCHEMAS);
    assert!(schemas.len() == TWINS.len(), "one schema per message");
    let entries = TWINS.iter().zip(schemas).map(|(twins, (name, structs))| {
        assert!(name == twins.ours.name, "schemas and messages have one order");
        Entry { twins, structs }
    });
    entries.collect()
}

pub(crate) const fn ours<M: Message + Debug>() -> Ours {
    fn again<M: Message>(
        bytes: Bytes,
        version: i16,
    ) -> Result<Result<Bytes, EncodeError>, DecodeError> {
        Ok(M::decode_exact(bytes, version)?.to_bytes(version))
    }
    fn debug<M: Message + Debug>(bytes: Bytes, version: i16) -> Result<String, DecodeError> {
        Ok(format!("{:?}", M::decode_exact(bytes, version)?))
    }
    Ours {
        name: M::NAME,
        versions: M::VERSIONS,
        flexible_from: M::FLEXIBLE_FROM,
        again: again::<M>,
        debug: debug::<M>,
    }
}

pub(crate) const fn theirs<M: TheirMessage + Encodable + Decodable>() -> Theirs {
    fn again<M: Encodable + Decodable>(mut bytes: Bytes, version: i16) -> anyhow::Result<Bytes> {
        let message = M::decode(&mut bytes, version)?;
        anyhow::ensure!(bytes.is_empty(), "{} bytes left", bytes.len());
        let mut out = BytesMut::new();
        message.encode(&mut out, version)?;
        Ok(out.freeze())
    }
    let versions = M::VERSIONS;
    Theirs { versions: versions.min..=versions.max, again: again::<M> }
}
