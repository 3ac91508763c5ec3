//! What generated code uses, and nothing else does.

pub(crate) use bytes::Bytes;

pub(crate) use super::{
    DecodeError, EncodeError, Reader, Records, Str, TaggedFields, Writer, absent, required,
};
pub(crate) use crate::Uuid;
pub(crate) use crate::message::{message, request, response};
