//! Brokers: who they are, and what they store.

use std::collections::BTreeMap;

use wire::{DescribeClusterRequest, DescribeLogDirsRequest};

use super::Admin;
use crate::TopicPartition;
use crate::error::Error;

/// A cluster, as its brokers describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The id that the brokers gave themselves.
    pub cluster_id: String,
    /// The broker that answers for the controller, if one does.
    pub controller: Option<i32>,
    /// The brokers that are registered and not fenced, by node id.
    pub brokers: Vec<BrokerFacts>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFacts {
    /// Its node id.
    pub id: i32,
    /// Where clients connect: `host:port`.
    pub address: String,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// One log directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirFacts {
    /// Where it is on the broker.
    pub path: String,
    /// Bytes of its volume, if known.
    pub total_bytes: Option<i64>,
    /// Bytes of its volume that can still be written, if known.
    pub usable_bytes: Option<i64>,
    /// Bytes of each partition in it.
    pub partitions: BTreeMap<TopicPartition, i64>,
}

impl Admin {
    /// Who serves.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn describe_cluster(&self) -> Result<ClusterFacts, Error> {
        let body = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the cluster".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                let brokers = answer.brokers.iter().filter(|broker| !broker.is_fenced);
                let mut brokers: Vec<_> = brokers
                    .map(|broker| BrokerFacts {
                        id: broker.broker_id,
                        address: format!("{}:{}", broker.host, broker.port),
                        rack: broker.rack.as_ref().map(ToString::to_string),
                    })
                    .collect();
                brokers.sort_by_key(|broker| broker.id);
                Ok(ClusterFacts {
                    cluster_id: answer.cluster_id.to_string(),
                    controller: Some(answer.controller_id).filter(|id| *id >= 0),
                    brokers,
                })
            })
            .await
    }

    /// What the broker `id` stores, and where.
    ///
    /// # Errors
    /// When it does not answer, or one of its directories failed.
    pub async fn describe_log_dirs(&self, id: i32) -> Result<Vec<LogDirFacts>, Error> {
        let body = DescribeLogDirsRequest { topics: None, ..Default::default() };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_named_broker(id, &body).await?;
                Error::check(answer.error_code, || format!("broker {id}"), None)?;
                let mut dirs = Vec::new();
                for dir in &answer.results {
                    let about = || format!("broker {id}, {}", dir.log_dir);
                    Error::check(dir.error_code, about, None)?;
                    let partitions = dir.topics.iter().flat_map(|topic| {
                        let name = topic.name.to_string();
                        topic.partitions.iter().map(move |found| {
                            let partition = TopicPartition::new(&name, found.partition_index);
                            (partition, found.partition_size)
                        })
                    });
                    dirs.push(LogDirFacts {
                        path: dir.log_dir.to_string(),
                        total_bytes: Some(dir.total_bytes).filter(|bytes| *bytes >= 0),
                        usable_bytes: Some(dir.usable_bytes).filter(|bytes| *bytes >= 0),
                        partitions: partitions.collect(),
                    });
                }
                Ok(dirs)
            })
            .await
    }
}
