//! What every message of the protocol can do, and how requests and responses belong together.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Writer};

/// A versioned value: a request, a response, a header, or a record's key or value.
pub trait Message: Sized {
    /// Kafka's name, such as `FetchRequest`.
    const NAME: &'static str;
    /// The API key, or the record type of a coordinator's key and value.
    const KEY: Option<i16>;
    /// The versions that exist.
    const VERSIONS: RangeInclusive<i16>;
    /// The first version with compact lengths and tagged fields (KIP-482); `i16::MAX` if none has.
    const FLEXIBLE_FROM: i16;

    /// Reads one message at `version`, leaving what follows. Fields that the version lacks get their
    /// defaults.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message at `version`. A field that the version lacks must hold its default, unless
    /// Kafka says that it may be ignored.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads a message that takes all of `bytes`.
    fn decode_exact(bytes: Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let message = Self::decode(&mut r, version)?;
        r.finish()?;
        Ok(message)
    }

    /// The message at `version` as bytes, without any header.
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut w = Writer::new();
        self.encode(&mut w, version)?;
        Ok(w.into_bytes())
    }
}

/// A message that asks.
pub trait Request: Message {
    /// Which API it is.
    const API_KEY: ApiKey;
    /// What answers it, at the same version.
    type Response: Response;
}

/// A message that answers.
pub trait Response: Message {
    /// Which API it is.
    const API_KEY: ApiKey;
}

/// Implements [`Message`] by the `read` and `write` of the generated struct.
macro_rules! message {
    ($name:ident, $key:expr, $versions:expr, $flexible:expr) => {
        impl crate::Message for $name {
            const NAME: &'static str = stringify!($name);
            const KEY: Option<i16> = $key;
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
            const FLEXIBLE_FROM: i16 = $flexible;

            fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
                if !Self::VERSIONS.contains(&version) {
                    let message = Self::NAME;
                    return Err(DecodeError::UnsupportedVersion { message, version });
                }
                Self::read(r, version)
            }

            fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
                if !Self::VERSIONS.contains(&version) {
                    let message = Self::NAME;
                    return Err(EncodeError::UnsupportedVersion { message, version });
                }
                self.write(w, version)
            }
        }
    };
}
pub(crate) use message;

/// Implements [`Request`].
macro_rules! request {
    ($name:ident, $api:ident, $response:ty) => {
        impl crate::Request for $name {
            const API_KEY: crate::ApiKey = crate::ApiKey::$api;
            type Response = $response;
        }
    };
}
pub(crate) use request;

/// Implements [`Response`].
macro_rules! response {
    ($name:ident, $api:ident) => {
        impl crate::Response for $name {
            const API_KEY: crate::ApiKey = crate::ApiKey::$api;
        }
    };
}
pub(crate) use response;
