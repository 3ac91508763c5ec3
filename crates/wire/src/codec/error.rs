//! Why bytes are not a message, and why a message cannot be written at a version.

/// Why bytes are not the message that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("{needed} bytes expected, {remaining} left")]
    UnexpectedEnd {
        /// Bytes that the value takes at least.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// The message ends before the bytes do.
    #[error("{0} bytes left after the end")]
    TrailingBytes(usize),
    /// A length that no value has.
    #[error("invalid length: {0}")]
    InvalidLength(i64),
    /// More elements, tags or bytes than allowed.
    #[error("{found} is above the limit of {limit}")]
    TooMany {
        /// What the bytes claim.
        found: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Null where the version allows none.
    #[error("null where a value is required")]
    UnexpectedNull,
    /// A variable-length number that does not fit its type.
    #[error("variable-length number does not fit")]
    VarintOverflow,
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    InvalidUtf8,
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message's name.
        message: &'static str,
        /// The version that was asked for.
        version: i16,
    },
}

/// Why a message cannot be written at a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field that this version lacks holds something that may not be dropped silently.
    #[error("{field} is set, but version {version} has no such field")]
    FieldNotInVersion {
        /// `Struct.field`.
        field: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// Null in a field that may not be null at this version.
    #[error("{field} must not be null at version {version}")]
    NullNotInVersion {
        /// `Struct.field`.
        field: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// Unknown tagged fields are set, but the version is from before tagged fields.
    #[error("{message} holds tagged fields, which version {version} cannot carry")]
    TagsNotInVersion {
        /// The struct's name.
        message: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A string, array, or frame longer than its length field can say.
    #[error("length {0} does not fit")]
    TooLong(usize),
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message's name.
        message: &'static str,
        /// The version that was asked for.
        version: i16,
    },
}
