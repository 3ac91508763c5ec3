//! Who votes about the metadata.

use wire::describe_quorum::request::{PartitionData, TopicData};
use wire::{DescribeQuorumRequest, RemoveRaftVoterRequest, Str, Uuid};

use super::Admin;
use crate::error::Error;

/// The partition that stands for the quorum's log.
const METADATA_TOPIC: &str = "__cluster_metadata";

impl Admin {
    /// Takes the vote of the broker `id`, if it has one.
    ///
    /// # Errors
    /// When it is the last one, or nobody answers.
    pub async fn remove_voter(&self, id: i32) -> Result<(), Error> {
        let about = || format!("the vote of broker {id}");
        self.cluster
            .retry(async || {
                let Some(directory) = self.disk_of_voter(id).await? else { return Ok(()) };
                let body = RemoveRaftVoterRequest {
                    cluster_id: None,
                    voter_id: id,
                    voter_directory_id: directory,
                    ..Default::default()
                };
                let answer = self.cluster.ask_any(&body).await?;
                Error::check(answer.error_code, about, answer.error_message.as_ref())
            })
            .await
    }

    /// The disk by which a broker votes, if it does.
    async fn disk_of_voter(&self, id: i32) -> Result<Option<Uuid>, Error> {
        let topic = TopicData {
            topic_name: Str::from_static(METADATA_TOPIC),
            partitions: vec![PartitionData::default()],
            ..Default::default()
        };
        let body = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
        let answer = self.cluster.ask_any(&body).await?;
        let about = || "the quorum".to_owned();
        Error::check(answer.error_code, about, answer.error_message.as_ref())?;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let mut voters = partitions.flat_map(|partition| &partition.current_voters);
        let found = voters.find(|voter| voter.replica_id == id);
        Ok(found.map(|voter| voter.replica_directory_id))
    }
}
