//! Asks and changes what is around the records: topics, settings, groups, offsets, brokers; and
//! what operating a cluster takes.
//!
//! Each call finds out whom to ask, tries again within the cluster's `retry_for` while the refusal says
//! that it may help, and gives back plain data.

use crate::cluster::Cluster;
use crate::error::Error;

pub mod brokers;
pub mod configs;
pub mod features;
pub mod groups;
pub mod offsets;
pub mod placement;
mod quorum;
pub mod replicas;
pub mod topics;
pub mod upkeep;

pub use brokers::{BrokerFacts, ClusterFacts, LogDirFacts};
pub use configs::{ConfigEntry, ConfigResource, ConfigSource};
pub use features::{FeatureFacts, LevelChange};
pub use groups::{GroupDescription, GroupListing, GroupReset, MemberDescription, ResetDone};
pub use offsets::{Committed, FoundOffset, OffsetAt};
pub use replicas::{PerPartition, ReplicaMove};
pub use topics::{CreatedTopic, NewTopic};
pub use upkeep::{
    BalancePlan, BrokerStanding, ConfigProblem, DrainMode, HarmFacts, HarmKind, LeaseFacts,
    PlannedChange, PlannedShare, RestartVerdict,
};

/// Asks and changes what is around the records. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// An admin of `cluster`.
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// The cluster that is asked.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// As [`Cluster::retry`], for what must not be done twice: only a refusal is a reason to ask again.
    /// When an answer was lost, nobody knows whether it was done.
    async fn retry_refused<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.cluster
            .retry(async || match attempt().await {
                Err(error @ (Error::Disconnected { .. } | Error::TimedOut { .. })) => {
                    Ok(Err(error))
                }
                other => other.map(Ok),
            })
            .await?
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.options().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
