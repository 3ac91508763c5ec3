//! What failed, as Kafka's error code: one arm per failure, so that the compiler finds a missing one.

use engine::group::GroupError;
use engine::log::{AdmitError, SequenceError};
use engine::metadata::{
    AlterConfigsError, CreatePartitionsError, CreateTopicError, DeleteTopicError, DrainBrokerError,
    ElectLeaderError, LevelTooLow, ReassignError, UnknownBroker,
};
use storage::{AppendError, ReadError};
use wire::ErrorCode;

use crate::coordinator::Unavailable;
use crate::metadata::CommitError;
use crate::partition::{Missing, Refused};
use crate::quorum::VoterError;

/// The code by which a client is told of this failure.
pub(crate) trait KafkaCode {
    fn code(&self) -> ErrorCode;
}

impl KafkaCode for Refused {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Append(error) => error.code(),
            Self::Missing(missing) => missing.code(),
            // Retriable: the client tries again, and finds room once retention has made some.
            Self::StorageLimit => ErrorCode::KafkaStorageError,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        }
    }
}

impl KafkaCode for Missing {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::UnknownTopicOrPartition,
            Self::Offline(_) => ErrorCode::KafkaStorageError,
            // These pass: the client looks for the leader again.
            Self::BeingRemoved | Self::NotLeader | Self::Stopping => ErrorCode::NotLeaderOrFollower,
        }
    }
}

impl KafkaCode for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(error) => error.code(),
            Self::Sequence(error) => error.code(),
            Self::NotContiguous { .. }
            | Self::EpochWentBack { .. }
            | Self::DiskFull { .. }
            | Self::Failed(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaCode for AdmitError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Damaged(_) | Self::Packed(_) => ErrorCode::CorruptMessage,
            Self::Magic(_) => ErrorCode::UnsupportedForMessageFormat,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::ExceedsSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::InvalidRecord { .. } | Self::Records(_) => ErrorCode::InvalidRecord,
            Self::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        }
    }
}

impl KafkaCode for SequenceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::StaleCoordinator { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl KafkaCode for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            // The segment went away between look-up and read: the client asks again.
            Self::Gone(_) | Self::WouldBlock => ErrorCode::NotLeaderOrFollower,
            // Told to whoever reads, where a storage error is tried again in silence.
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
            Self::Io { .. } => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaCode for Unavailable {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Loading => ErrorCode::CoordinatorLoadInProgress,
            Self::NotCoordinator => ErrorCode::NotCoordinator,
            // Not REQUEST_TIMED_OUT, as in Kafka: clients look for the coordinator again.
            Self::Slow => ErrorCode::CoordinatorNotAvailable,
        }
    }
}

impl KafkaCode for GroupError {
    fn code(&self) -> ErrorCode {
        // The engine's enum carries Kafka's numbers.
        ErrorCode::from_number(*self as i16).unwrap_or(ErrorCode::UnknownServerError)
    }
}

impl KafkaCode for CommitError {
    fn code(&self) -> ErrorCode {
        match self {
            // As in Kafka, also for what may still come about: a client asks the next one.
            Self::NotController { .. } => ErrorCode::NotController,
            Self::Log(_) | Self::Stopping => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaCode for VoterError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotController { .. } => ErrorCode::NotController,
            Self::Duplicate(_) | Self::OtherDisk(_) => ErrorCode::DuplicateVoter,
            Self::NotFound(_) => ErrorCode::VoterNotFound,
            Self::NotThatDisk(_) => ErrorCode::InvalidVoterKey,
            Self::Last(_) => ErrorCode::InvalidRequest,
            Self::Unreachable { .. } | Self::TimedOut => ErrorCode::RequestTimedOut,
            Self::Raft(_) => ErrorCode::UnknownServerError,
        }
    }
}

impl KafkaCode for CreateTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate | Self::Request(_) => ErrorCode::InvalidRequest,
            Self::Name(_) => ErrorCode::InvalidTopic,
            Self::Exists { .. } => ErrorCode::TopicAlreadyExists,
            Self::Partitions { .. } => ErrorCode::InvalidPartitions,
            Self::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::TooManyPartitions { .. } => ErrorCode::PolicyViolation,
            Self::NullConfig { .. } | Self::Config(_) => ErrorCode::InvalidConfig,
        }
    }
}

impl KafkaCode for DeleteTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownName => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownId => ErrorCode::UnknownTopicId,
            Self::Duplicate => ErrorCode::InvalidRequest,
            Self::Disabled => ErrorCode::TopicDeletionDisabled,
        }
    }
}

impl KafkaCode for CreatePartitionsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate => ErrorCode::InvalidRequest,
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::NotMore { .. } => ErrorCode::InvalidPartitions,
            Self::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::TooManyPartitions { .. } => ErrorCode::PolicyViolation,
        }
    }
}

impl KafkaCode for ElectLeaderError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::NotNeeded => ErrorCode::ElectionNotNeeded,
            Self::PreferredNotAvailable { .. } => ErrorCode::PreferredLeaderNotAvailable,
            Self::NoneAvailable => ErrorCode::EligibleLeadersNotAvailable,
        }
    }
}

impl KafkaCode for ReassignError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::Duplicate => ErrorCode::InvalidRequest,
            Self::NotInProgress => ErrorCode::NoReassignmentInProgress,
            Self::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
        }
    }
}

impl KafkaCode for UnknownBroker {
    fn code(&self) -> ErrorCode {
        ErrorCode::BrokerIdNotRegistered
    }
}

impl KafkaCode for LevelTooLow {
    fn code(&self) -> ErrorCode {
        ErrorCode::UnsupportedVersion
    }
}

impl KafkaCode for DrainBrokerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown(unknown) => unknown.code(),
            Self::LevelTooLow(too_low) => too_low.code(),
        }
    }
}

impl KafkaCode for AlterConfigsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::DuplicateResource | Self::DuplicateKey { .. } | Self::NullValue { .. } => {
                ErrorCode::InvalidRequest
            }
            Self::NotAList { .. } | Self::Config(_) => ErrorCode::InvalidConfig,
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownBroker { .. } => ErrorCode::BrokerIdNotRegistered,
        }
    }
}
