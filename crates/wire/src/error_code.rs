//! The codes by which a response says what went wrong.

use std::fmt;

/// Declares [`ErrorCode`]: variant, number, Kafka's name, whether a retry can help, and our words.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $retriable:literal, $text:literal;)*) => {
        /// What went wrong, as responses say it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Kafka's name, such as `NOT_LEADER_OR_FOLLOWER`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether the same request may succeed later.
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => $retriable,)* }
            }

            /// One line for people, in our own words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

error_codes! {
    /// The broker failed in a way it did not expect.
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", false, "the broker failed in a way it did not expect";
    /// Success.
    #[default]
    None = 0, "NONE", false, "success";
    /// The offset lies outside the partition's log.
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", false, "the offset lies outside the partition's log";
    /// A batch is damaged: its checksum, size or shape is wrong.
    CorruptMessage = 2, "CORRUPT_MESSAGE", true, "a batch is damaged: its checksum, size or shape is wrong";
    /// This broker has no such topic or partition.
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", true, "this broker has no such topic or partition";
    /// The fetch size makes no sense.
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", false, "the fetch size makes no sense";
    /// The partition has no leader right now.
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", true, "the partition has no leader right now";
    /// This broker is not the leader, or not a replica, of the partition.
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", true, "this broker is not the leader, or not a replica, of the partition";
    /// The time for the request ran out.
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", true, "the time for the request ran out";
    /// The broker is not available.
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", false, "the broker is not available";
    /// The replica is not available.
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", true, "the replica is not available";
    /// A batch is larger than the topic allows.
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", false, "a batch is larger than the topic allows";
    /// The request comes from an older controller.
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", false, "the request comes from an older controller";
    /// The note kept with an offset is too long.
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", false, "the note kept with an offset is too long";
    /// The connection broke before the answer came.
    NetworkException = 13, "NETWORK_EXCEPTION", true, "the connection broke before the answer came";
    /// The coordinator is still loading its state.
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", true, "the coordinator is still loading its state";
    /// There is no coordinator right now.
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", true, "there is no coordinator right now";
    /// This broker is not the coordinator.
    NotCoordinator = 16, "NOT_COORDINATOR", true, "this broker is not the coordinator";
    /// The topic's name is not allowed, or the topic may not be used this way.
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION", false, "the topic's name is not allowed, or the topic may not be used this way";
    /// The batches do not fit into one segment.
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", false, "the batches do not fit into one segment";
    /// Too few replicas are in sync to accept the write.
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", true, "too few replicas are in sync to accept the write";
    /// The write was stored, but by too few replicas in sync.
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, "the write was stored, but by too few replicas in sync";
    /// Acks must be -1, 0 or 1.
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", false, "acks must be -1, 0 or 1";
    /// The group has moved on to another generation.
    IllegalGeneration = 22, "ILLEGAL_GENERATION", false, "the group has moved on to another generation";
    /// The member shares no protocol with the group.
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", false, "the member shares no protocol with the group";
    /// The group id is not allowed.
    InvalidGroupId = 24, "INVALID_GROUP_ID", false, "the group id is not allowed";
    /// The group has no such member.
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", false, "the group has no such member";
    /// The session timeout lies outside the broker's range.
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", false, "the session timeout lies outside the broker's range";
    /// The group is rebalancing: join again.
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", false, "the group is rebalancing: join again";
    /// The offsets to commit are too large to store.
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", false, "the offsets to commit are too large to store";
    /// Access to the topic is denied.
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", false, "access to the topic is denied";
    /// Access to the group is denied.
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", false, "access to the group is denied";
    /// Access to the cluster is denied.
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", false, "access to the cluster is denied";
    /// A timestamp is too far from the broker's clock.
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", false, "a timestamp is too far from the broker's clock";
    /// The SASL mechanism is not offered here.
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", false, "the SASL mechanism is not offered here";
    /// SASL steps came in the wrong order.
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", false, "SASL steps came in the wrong order";
    /// This version of the request is not spoken here.
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", false, "this version of the request is not spoken here";
    /// The topic exists already.
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", false, "the topic exists already";
    /// The number of partitions is not possible.
    InvalidPartitions = 37, "INVALID_PARTITIONS", false, "the number of partitions is not possible";
    /// The replication factor is not possible with these brokers.
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", false, "the replication factor is not possible with these brokers";
    /// The replica assignment is not valid.
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", false, "the replica assignment is not valid";
    /// A setting is not valid.
    InvalidConfig = 40, "INVALID_CONFIG", false, "a setting is not valid";
    /// This node is not the controller.
    NotController = 41, "NOT_CONTROLLER", true, "this node is not the controller";
    /// The request contradicts itself or cannot be read.
    InvalidRequest = 42, "INVALID_REQUEST", false, "the request contradicts itself or cannot be read";
    /// The partition's record format does not allow this.
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false, "the partition's record format does not allow this";
    /// A policy forbids this.
    PolicyViolation = 44, "POLICY_VIOLATION", false, "a policy forbids this";
    /// The producer's sequence number skips ahead.
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false, "the producer's sequence number skips ahead";
    /// The producer's batch was stored before.
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", false, "the producer's batch was stored before";
    /// The producer's epoch is too old.
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", false, "the producer's epoch is too old";
    /// The transaction is not in a state that allows this.
    InvalidTxnState = 48, "INVALID_TXN_STATE", false, "the transaction is not in a state that allows this";
    /// The producer id does not belong to the transactional id.
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", false, "the producer id does not belong to the transactional id";
    /// The transaction timeout is above the broker's limit.
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", false, "the transaction timeout is above the broker's limit";
    /// Another operation on the transaction is under way.
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", true, "another operation on the transaction is under way";
    /// The transaction coordinator has been replaced.
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", false, "the transaction coordinator has been replaced";
    /// Access to the transactional id is denied.
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false, "access to the transactional id is denied";
    /// Security is not set up on this cluster.
    SecurityDisabled = 54, "SECURITY_DISABLED", false, "security is not set up on this cluster";
    /// Not tried, because something before it failed.
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", false, "not tried, because something before it failed";
    /// The disk failed.
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", true, "the disk failed";
    /// There is no such log directory.
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", false, "there is no such log directory";
    /// Authentication failed.
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", false, "authentication failed";
    /// The broker knows nothing of this producer id.
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", false, "the broker knows nothing of this producer id";
    /// The partition is being reassigned.
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", false, "the partition is being reassigned";
    /// Delegation tokens are not enabled.
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", false, "delegation tokens are not enabled";
    /// There is no such delegation token.
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", false, "there is no such delegation token";
    /// The delegation token belongs to somebody else.
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", false, "the delegation token belongs to somebody else";
    /// Delegation tokens cannot be asked for on this connection.
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", false, "delegation tokens cannot be asked for on this connection";
    /// Use of the delegation token is denied.
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", false, "use of the delegation token is denied";
    /// The delegation token has expired.
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", false, "the delegation token has expired";
    /// The kind of principal is not supported.
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", false, "the kind of principal is not supported";
    /// The group still has members.
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", false, "the group still has members";
    /// There is no such group.
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", false, "there is no such group";
    /// The broker has forgotten the fetch session.
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", true, "the broker has forgotten the fetch session";
    /// The fetch session is at another epoch.
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", true, "the fetch session is at another epoch";
    /// The leader has no listener of this name.
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", true, "the leader has no listener of this name";
    /// Topics may not be deleted here.
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", false, "topics may not be deleted here";
    /// The leader epoch is older than the broker's.
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", true, "the leader epoch is older than the broker's";
    /// The leader epoch is newer than the broker's.
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", true, "the leader epoch is newer than the broker's";
    /// The client cannot read the partition's compression.
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", false, "the client cannot read the partition's compression";
    /// The broker has registered anew since.
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", false, "the broker has registered anew since";
    /// The new leader does not know its high watermark yet.
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", true, "the new leader does not know its high watermark yet";
    /// Join again with the member id that this answer holds.
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", false, "join again with the member id that this answer holds";
    /// The preferred leader is not available.
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", true, "the preferred leader is not available";
    /// The group is full.
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", false, "the group is full";
    /// Another client has taken over this group instance id.
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", false, "another client has taken over this group instance id";
    /// No replica may become the leader.
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true, "no replica may become the leader";
    /// The partition has the wanted leader already.
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", true, "the partition has the wanted leader already";
    /// The partition is not being reassigned.
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", false, "the partition is not being reassigned";
    /// The group still reads the topic.
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", false, "the group still reads the topic";
    /// A record is not valid.
    InvalidRecord = 87, "INVALID_RECORD", false, "a record is not valid";
    /// An open transaction still holds offsets of the group.
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", true, "an open transaction still holds offsets of the group";
    /// A quota is used up.
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", true, "a quota is used up";
    /// A newer producer has taken over the transactional id.
    ProducerFenced = 90, "PRODUCER_FENCED", false, "a newer producer has taken over the transactional id";
    /// What the request names does not exist.
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", false, "what the request names does not exist";
    /// The request names the same thing twice.
    DuplicateResource = 92, "DUPLICATE_RESOURCE", false, "the request names the same thing twice";
    /// The credential does not meet the rules.
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", false, "the credential does not meet the rules";
    /// Sender or receiver is not a voter.
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", false, "sender or receiver is not a voter";
    /// The version to update to is not valid.
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", false, "the version to update to is not valid";
    /// The feature could not be updated.
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", false, "the feature could not be updated";
    /// The forwarded principal cannot be read.
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", false, "the forwarded principal cannot be read";
    /// There is no such snapshot.
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", false, "there is no such snapshot";
    /// The position lies outside the snapshot.
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", false, "the position lies outside the snapshot";
    /// This broker has no topic with this id.
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", true, "this broker has no topic with this id";
    /// The broker id is in use.
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", false, "the broker id is in use";
    /// The broker id is not registered.
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", false, "the broker id is not registered";
    /// The topic has another id here.
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", true, "the topic has another id here";
    /// The cluster has another id.
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", false, "the cluster has another id";
    /// There is no such transactional id.
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", false, "there is no such transactional id";
    /// The fetch session mixes topic ids and names.
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", true, "the fetch session mixes topic ids and names";
    /// A replica may not join the in-sync set.
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", false, "a replica may not join the in-sync set";
    /// The change is made, and it chose another leader.
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", false, "the change is made, and it chose another leader";
    /// The offset is in tiered storage only.
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", false, "the offset is in tiered storage only";
    /// The member is fenced: give up all partitions and join again.
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", false, "the member is fenced: give up all partitions and join again";
    /// Another member still uses the group instance id.
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", false, "another member still uses the group instance id";
    /// The assignor is not offered here.
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", false, "the assignor is not offered here";
    /// The member's epoch is old: heartbeat, then try again.
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", false, "the member's epoch is old: heartbeat, then try again";
    /// This kind of node does not answer the request.
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", false, "this kind of node does not answer the request";
    /// This kind of endpoint is not supported.
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", false, "this kind of endpoint is not supported";
    /// There is no such controller.
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", false, "there is no such controller";
    /// The telemetry subscription is out of date.
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", false, "the telemetry subscription is out of date";
    /// The telemetry is larger than allowed.
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", false, "the telemetry is larger than allowed";
    /// The registration was refused.
    InvalidRegistration = 119, "INVALID_REGISTRATION", false, "the registration was refused";
    /// The transaction must be aborted; its producer may go on.
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", false, "the transaction must be aborted; its producer may go on";
    /// The record was not in a state that allows this.
    InvalidRecordState = 121, "INVALID_RECORD_STATE", false, "the record was not in a state that allows this";
    /// The broker has forgotten the share session.
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", true, "the broker has forgotten the share session";
    /// The share session is at another epoch.
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", true, "the share session is at another epoch";
    /// The state has another epoch.
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", false, "the state has another epoch";
    /// The voter has another key.
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", false, "the voter has another key";
    /// The voter is in the set already.
    DuplicateVoter = 126, "DUPLICATE_VOTER", false, "the voter is in the set already";
    /// The voter is not in the set.
    VoterNotFound = 127, "VOTER_NOT_FOUND", false, "the voter is not in the set";
    /// The regular expression is not valid.
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", false, "the regular expression is not valid";
    /// The client's view is too old: start from the bootstrap servers.
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", false, "the client's view is too old: start from the bootstrap servers";
    /// The topology is not valid.
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", false, "the topology is not valid";
    /// The topology's epoch is not valid.
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", false, "the topology's epoch is not valid";
    /// The topology's epoch is out of date.
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", false, "the topology's epoch is out of date";
    /// There are too many share sessions.
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", true, "there are too many share sessions";
    /// The group could not be deleted.
    GroupDeletionFailed = 134, "GROUP_DELETION_FAILED", false, "the group could not be deleted";
    /// The topology's description could not be stored.
    StreamsTopologyDescriptionUpdateFailed = 135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", false, "the topology's description could not be stored";
    /// The controller id is not registered.
    ControllerIdNotRegistered = 136, "CONTROLLER_ID_NOT_REGISTERED", false, "the controller id is not registered";
}

impl ErrorCode {
    /// The code with this number.
    pub fn from_number(number: i16) -> Option<Self> {
        let at = Self::ALL.binary_search_by_key(&number, |code| code.number()).ok()?;
        Some(Self::ALL[at])
    }

    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Whether this says that nothing went wrong.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.number()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.number(), self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn every_number_from_minus_one_to_136_is_a_code() {
        for number in -1..=136 {
            let code = ErrorCode::from_number(number).expect("no gap");
            assert_eq!(code.number(), number);
        }
        assert_eq!(ErrorCode::ALL.len(), 138);
        assert_eq!(ErrorCode::from_number(137), None);
        assert_eq!(ErrorCode::default(), ErrorCode::None);
        assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
        assert!(!ErrorCode::UnsupportedVersion.is_retriable());
        assert_eq!(
            ErrorCode::UnknownTopicId.to_string(),
            "UNKNOWN_TOPIC_ID (100): this broker has no topic with this id"
        );
    }
}
