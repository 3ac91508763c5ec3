//! What can go wrong between a client and its brokers: what was expected, and what to do about it.

use std::ops::RangeInclusive;
use std::time::Duration;

use wire::{ApiKey, DecodeError, EncodeError, ErrorCode};

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A bootstrap address is not `host:port`.
    #[error("{0:?} is not host:port")]
    BadAddress(String),
    /// No connection could be made.
    #[error("cannot connect to {address}: {reason}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the network says.
        reason: String,
    },
    /// The connection broke before the answer came.
    #[error("{address} closed the connection: {reason}")]
    Disconnected {
        /// `host:port`.
        address: String,
        /// Whether one of Klamm's own requests was asked, which are not answered everywhere.
        is_private: bool,
        /// What the network says.
        reason: String,
    },
    /// No answer came in time.
    #[error("{address} did not answer {api} within {} ms", after.as_millis())]
    TimedOut {
        /// `host:port`.
        address: String,
        /// What was asked.
        api: ApiKey,
        /// How long was waited.
        after: Duration,
    },
    /// The answer cannot be read.
    #[error("{address} answered {api} with bytes that are not an answer: {source}")]
    BadAnswer {
        /// `host:port`.
        address: String,
        /// What was asked.
        api: ApiKey,
        /// What is wrong with them.
        source: DecodeError,
    },
    /// The question cannot be put at the version that the broker speaks.
    #[error("{api} cannot be asked: {source}")]
    BadQuestion {
        /// What was to be asked.
        api: ApiKey,
        /// What is wrong with it.
        source: EncodeError,
    },
    /// The broker lacks the API, or all versions of it that we have.
    #[error("{address} does not speak {api}{}", versions(ours, theirs.as_ref()))]
    Unsupported {
        /// `host:port`.
        address: String,
        /// What was to be asked.
        api: ApiKey,
        /// The versions that we speak.
        ours: RangeInclusive<i16>,
        /// The versions that it speaks, if any.
        theirs: Option<RangeInclusive<i16>>,
    },
    /// The broker said no.
    #[error("{about}: {}", said(*code, message.as_deref()))]
    Refused {
        /// What it was about: a topic, a partition, a group.
        about: String,
        /// Why, as a code.
        code: ErrorCode,
        /// Why, in the broker's words, if it had any.
        message: Option<String>,
    },
    /// A batch of records is damaged.
    #[error("{partition}: a batch at offset {offset} cannot be read: {reason}")]
    BadBatch {
        /// `topic-partition`.
        partition: String,
        /// Where reading stood.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The producer was told to wait longer than its `delivery_timeout` for an earlier batch.
    #[error("{partition}: not delivered within {} ms: {last}", after.as_millis())]
    NotDelivered {
        /// `topic-partition`.
        partition: String,
        /// How long it was tried.
        after: Duration,
        /// What went wrong last.
        last: String,
    },
}

fn versions(ours: &RangeInclusive<i16>, theirs: Option<&RangeInclusive<i16>>) -> String {
    match theirs {
        Some(theirs) => format!(
            " at a version that we know: we have {} to {}, it has {} to {}",
            ours.start(),
            ours.end(),
            theirs.start(),
            theirs.end()
        ),
        None => String::new(),
    }
}

fn said(code: ErrorCode, message: Option<&str>) -> String {
    match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("{message} ({})", code.name()),
        None => format!("{} ({})", code.text(), code.name()),
    }
}

impl Error {
    /// The broker's no to `number`, or `Ok` if it is 0.
    pub(crate) fn check(
        number: i16,
        about: impl FnOnce() -> String,
        message: Option<&wire::Str>,
    ) -> Result<(), Self> {
        if number == 0 {
            return Ok(());
        }
        let message = message.map(ToString::to_string);
        let (code, message) = match ErrorCode::from_number(number) {
            Some(code) => (code, message),
            None => (
                ErrorCode::UnknownServerError,
                Some(message.unwrap_or_else(|| format!("error code {number}, which is new to us"))),
            ),
        };
        Err(Self::Refused { about: about(), code, message })
    }

    /// The broker's no, in our words.
    pub(crate) fn refused(about: impl Into<String>, code: ErrorCode) -> Self {
        Self::Refused { about: about.into(), code, message: None }
    }

    /// The code that a broker gave, if one did.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::BadAddress(_)
            | Self::Unreachable { .. }
            | Self::Disconnected { .. }
            | Self::TimedOut { .. }
            | Self::BadAnswer { .. }
            | Self::BadQuestion { .. }
            | Self::Unsupported { .. }
            | Self::BadBatch { .. }
            | Self::NotDelivered { .. } => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Disconnected { .. } | Self::TimedOut { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::BadAddress(_)
            | Self::BadAnswer { .. }
            | Self::BadQuestion { .. }
            | Self::Unsupported { .. }
            | Self::BadBatch { .. }
            | Self::NotDelivered { .. } => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::BadAddress(_) => {
                Some("write it as 127.0.0.1:9092; several are separated by commas")
            }
            Self::Unreachable { .. } => {
                Some("is a broker running there? `klamm up` starts one; -b names another address")
            }
            Self::Disconnected { is_private: true, .. } => Some(
                "only an internal listener of a Klamm answers this request: the one that \
                 inter.broker.listener.name names, or one named forward; -b names its address",
            ),
            Self::Disconnected { .. } => {
                Some("something listens there, but it may not speak Kafka without TLS; see its log")
            }
            Self::TimedOut { .. } | Self::NotDelivered { .. } => {
                Some("the broker may be overloaded or still starting; see its log")
            }
            Self::BadAnswer { .. } => Some("does this port speak the Kafka protocol, without TLS?"),
            Self::Unsupported { .. } => Some("the broker is too old, or lacks this feature"),
            Self::BadBatch { .. } => {
                Some("the data was damaged on the way or on disk; `klamm doctor log` shows more")
            }
            Self::BadQuestion { .. } => Some("the broker is too old for one of the options"),
            Self::Refused { code, .. } => hint_for(*code),
        }
    }
}

fn hint_for(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
            Some("`klamm topic list` shows what there is; `klamm topic create` makes one")
        }
        ErrorCode::TopicAlreadyExists => {
            Some("`klamm topic alter` changes its settings, `klamm topic add-partitions` grows it")
        }
        ErrorCode::InvalidTopic => {
            Some("a name has 1 to 249 letters, digits, dots, underscores and hyphens")
        }
        ErrorCode::InvalidPartitions => Some("partitions can be added, never removed"),
        ErrorCode::InvalidReplicationFactor => {
            Some("ask for no more replicas than there are brokers")
        }
        ErrorCode::OffsetOutOfRange => {
            Some("`klamm topic describe` shows the offsets that there are")
        }
        ErrorCode::NonEmptyGroup => {
            Some("stop the group's members first, or pass --fence to a reset")
        }
        ErrorCode::GroupIdNotFound => Some("`klamm group list` shows what there is"),
        ErrorCode::MessageTooLarge => {
            Some("raise the topic's max.message.bytes, or send less at once")
        }
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            Some("wait for brokers to come back, or lower min.insync.replicas")
        }
        ErrorCode::UnsupportedCompressionType => Some("choose another codec with -z"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_new_to_us_is_named_and_not_lost() {
        let error = Error::check(9999, || "topic x".to_owned(), None).unwrap_err();
        assert!(error.to_string().contains("9999"), "{error}");
        assert_eq!(Error::check(0, || unreachable!(), None), Ok(()));
    }

    #[test]
    fn a_refusal_says_the_brokers_words_and_the_code() {
        let message = wire::Str::from("no such key");
        let error = Error::check(40, || "topic x".to_owned(), Some(&message)).unwrap_err();
        assert_eq!(error.to_string(), "topic x: no such key (INVALID_CONFIG)");
    }
}
