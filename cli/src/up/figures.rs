//! Figures for the live view: sizes, rates, groups. Sampled now and then, kept for one view.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::admin::OffsetAt;
use client::{Admin, Error, Isolation, TopicPartition};

/// How often figures are taken; longer with many partitions.
const EVERY: Duration = Duration::from_secs(1);
/// Groups whose lag is shown; more would be more questions than a view is worth.
const GROUPS_MAX: usize = 32;

/// What was sampled last.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) topics: BTreeMap<String, TopicFigures>,
    pub(super) groups: BTreeMap<String, GroupFigures>,
    /// Why the last sample was not taken.
    pub(super) failure: Option<String>,
    at: Duration,
    due: Duration,
}

/// One topic.
#[derive(Clone, Debug, Default)]
pub(super) struct TopicFigures {
    pub(super) partitions: usize,
    pub(super) bytes: i64,
    /// Records per second since the sample before.
    pub(super) rate: Option<f64>,
    /// Sum of the partitions' ends.
    ends: i64,
}

/// One group.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupFigures {
    pub(super) state: String,
    pub(super) members: usize,
    pub(super) lag: i64,
}

impl Figures {
    /// Takes figures, if it is time.
    pub(super) async fn sample(&mut self, admin: &Admin, now: Duration) {
        if now < self.due {
            return;
        }
        let taken = self.take(admin, now).await;
        self.failure = taken.err().map(|error| error.to_string());
        let partitions: usize = self.topics.values().map(|topic| topic.partitions).sum();
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        self.due = now + EVERY + Duration::from_millis(1).saturating_mul(partitions);
    }

    async fn take(&mut self, admin: &Admin, now: Duration) -> Result<(), Error> {
        let metadata = admin.topics(None).await?;
        let mut topics: BTreeMap<String, TopicFigures> = BTreeMap::new();
        let mut of = BTreeSet::new();
        for (name, topic) in metadata.topics.iter().filter(|(_, topic)| !topic.is_internal) {
            let partitions = topic.partitions.len();
            topics.insert(name.clone(), TopicFigures { partitions, ..Default::default() });
            of.extend(topic.partitions.keys().map(|index| TopicPartition::new(name, *index)));
        }
        for broker in metadata.brokers.keys() {
            for dir in admin.describe_log_dirs(*broker).await? {
                for (partition, bytes) in dir.partitions {
                    if let Some(topic) = topics.get_mut(&partition.topic) {
                        topic.bytes += bytes;
                    }
                }
            }
        }
        let ends = admin.list_offsets(OffsetAt::Latest, &of, Isolation::Uncommitted).await?;
        for (partition, end) in &ends {
            if let Some(topic) = topics.get_mut(&partition.topic) {
                topic.ends += end.offset;
            }
        }
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        for (name, topic) in &mut topics {
            let before = self.topics.get(name).filter(|_| seconds > 0.0);
            topic.rate = before.map(|before| (topic.ends - before.ends).max(0) as f64 / seconds);
        }
        (self.topics, self.at) = (topics, now);
        self.groups = groups(admin).await?;
        Ok(())
    }
}

async fn groups(admin: &Admin) -> Result<BTreeMap<String, GroupFigures>, Error> {
    let mut groups = BTreeMap::new();
    for listed in admin.list_groups().await?.into_iter().take(GROUPS_MAX) {
        let Some(described) = admin.describe_group(&listed.id).await? else { continue };
        let committed = admin.fetch_offsets(&listed.id).await?;
        let of = committed.keys().cloned().collect();
        let ends = admin.list_offsets(OffsetAt::Latest, &of, Isolation::Uncommitted).await?;
        let lag = committed.iter().map(|(partition, committed)| {
            ends.get(partition).map_or(0, |end| (end.offset - committed.offset).max(0))
        });
        let (state, members) = (described.state, described.members.len());
        groups.insert(listed.id, GroupFigures { state, members, lag: lag.sum() });
    }
    Ok(groups)
}
