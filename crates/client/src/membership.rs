//! A member of a consumer group: joins, gets partitions, reads them, commits, leaves.
//!
//! The classic protocol with the range assignor and eager rebalancing: when the group rebalances, a
//! member commits, gives all its partitions up and joins again. A task sends heartbeats while the caller
//! is busy with records; everything else happens within [`GroupConsumer::poll`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use wire::embedded::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use wire::embedded::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use wire::join_group::request::JoinGroupRequestProtocol;
use wire::leave_group::request::MemberIdentity;
use wire::sync_group::request::SyncGroupRequestAssignment;
use wire::{
    ErrorCode, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, Message,
    OffsetCommitRequest, Reader, Str, SyncGroupRequest,
};

use crate::admin::offsets::commit_topics;
use crate::admin::{Admin, Committed, OffsetAt, groups};
use crate::cluster::Cluster;
use crate::consumer::{ConsumedRecord, Consumer, ConsumerOptions};
use crate::error::Error;
use crate::{TopicPartition, assignor};

/// The newest version of LeaveGroup that names one member.
const LEAVE_ONE: i16 = 2;
const PROTOCOL_TYPE: &str = "consumer";
const RANGE: &str = "range";

/// How a member behaves.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The group's id.
    pub group: String,
    /// The topics to read.
    pub topics: Vec<String>,
    /// Makes it a static member: its partitions wait for it while it restarts (KIP-345).
    pub instance_id: Option<String>,
    /// A member that was silent for this long is removed.
    pub session_timeout: Duration,
    /// How long the members get to join again.
    pub rebalance_timeout: Duration,
    /// How often the member says that it lives.
    pub heartbeat_interval: Duration,
    /// How often offsets are committed by [`GroupConsumer::poll`]; never if `None`.
    pub commit_interval: Option<Duration>,
    /// Where a partition begins that has no committed offset.
    pub start: OffsetAt,
}

impl GroupOptions {
    /// Kafka's defaults for `group` reading `topics`.
    pub fn new(group: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            group: group.into(),
            topics,
            instance_id: None,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            commit_interval: Some(Duration::from_secs(5)),
            start: OffsetAt::Latest,
        }
    }
}

/// What heartbeats and the member share.
#[derive(Default)]
struct Standing {
    /// The coordinator wants the members to join again, or has forgotten this one.
    must_rejoin: Cell<bool>,
    member_id: RefCell<Str>,
    generation: Cell<i32>,
}

/// A member of a consumer group.
pub struct GroupConsumer {
    cluster: Cluster,
    options: GroupOptions,
    consumer: Consumer,
    standing: Rc<Standing>,
    is_joined: bool,
    heartbeats: Option<tokio::task::JoinHandle<()>>,
    committed: BTreeMap<TopicPartition, i64>,
    commit_at: Duration,
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.stop_heartbeats();
    }
}

impl GroupConsumer {
    /// A member that has not joined yet; the first [`GroupConsumer::poll`] does.
    pub fn new(cluster: Cluster, options: GroupOptions, reading: ConsumerOptions) -> Self {
        let consumer = Consumer::new(cluster.clone(), reading);
        Self {
            cluster,
            options,
            consumer,
            standing: Rc::default(),
            is_joined: false,
            heartbeats: None,
            committed: BTreeMap::new(),
            commit_at: Duration::ZERO,
        }
    }

    /// The partitions that are this member's, with the offsets at which they are read next.
    pub fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        self.consumer.positions()
    }

    /// Goes back (or on) to `offset` in a partition that is this member's: the next commit says so.
    /// Another partition is left alone.
    pub fn seek(&mut self, partition: TopicPartition, offset: i64) {
        if self.consumer.positions().contains_key(&partition) {
            self.consumer.seek(partition, offset);
        }
    }

    /// Behind the last record of `partition` that may be read, as of the last answer.
    pub fn end(&self, partition: &TopicPartition) -> Option<i64> {
        self.consumer.end(partition)
    }

    /// Records of this member's partitions; joins and joins again as needed, and commits what earlier
    /// calls gave out when it is time.
    ///
    /// # Errors
    /// When the brokers cannot be reached, or refuse for good.
    pub async fn poll(&mut self) -> Result<Vec<ConsumedRecord>, Error> {
        if self.standing.must_rejoin.get() {
            self.revoke().await;
        }
        if !self.is_joined {
            self.join().await?;
        }
        let now = self.cluster.world().clock.tick();
        if self.options.commit_interval.is_some() && now >= self.commit_at {
            self.commit_or_rejoin().await?;
        }
        self.consumer.poll().await
    }

    /// The generation that this member belongs to, and its id in it; both of the last join.
    pub fn membership(&self) -> (i32, String) {
        (self.standing.generation.get(), self.standing.member_id.borrow().to_string())
    }

    /// What [`GroupConsumer::commit`] would commit.
    pub fn uncommitted(&self) -> BTreeMap<TopicPartition, i64> {
        let positions = self.consumer.positions().into_iter();
        positions.filter(|(partition, at)| self.committed.get(partition) != Some(at)).collect()
    }

    /// Commits the offsets behind the records that were given out.
    ///
    /// # Errors
    /// When the coordinator refuses: this member's partitions may be another's by now.
    pub async fn commit(&mut self) -> Result<(), Error> {
        let changed = self.uncommitted();
        let interval = self.options.commit_interval.unwrap_or_default();
        self.commit_at = self.cluster.world().clock.tick().saturating_add(interval);
        if changed.is_empty() {
            return Ok(());
        }
        let offset = |(partition, at): (&TopicPartition, &i64)| {
            let committed = Committed { offset: *at, leader_epoch: -1, metadata: String::new() };
            (partition.clone(), committed)
        };
        let body = OffsetCommitRequest {
            group_id: (&self.options.group).into(),
            generation_id_or_member_epoch: self.standing.generation.get(),
            member_id: self.standing.member_id.borrow().clone(),
            group_instance_id: self.options.instance_id.as_ref().map(Str::from),
            topics: commit_topics(&changed.iter().map(offset).collect()),
            ..Default::default()
        };
        let admin = Admin::new(self.cluster.clone());
        self.cluster.retry(async || admin.commit_once(&self.options.group, &body).await).await?;
        self.committed.extend(changed);
        Ok(())
    }

    /// Commits and leaves, so that the others get this member's partitions at once. A static member
    /// stays on the group's list.
    ///
    /// # Errors
    /// When the last commit fails; it has left all the same.
    pub async fn leave(mut self) -> Result<(), Error> {
        if self.standing.member_id.borrow().is_empty() {
            return Ok(());
        }
        self.stop_heartbeats();
        // One that is about to join is on the group's list as well, and would be waited for.
        let committed = match self.options.commit_interval {
            Some(_) if self.is_joined => self.commit().await,
            Some(_) | None => Ok(()),
        };
        if self.options.instance_id.is_none()
            && let Err(error) = self.ask_leave().await
        {
            tracing::debug!(%error, "the coordinator did not hear that we left");
        }
        committed
    }

    async fn ask_leave(&self) -> Result<(), Error> {
        let group = &self.options.group;
        let member_id = self.standing.member_id.borrow().clone();
        let coordinator = self.cluster.coordinator(group).await?;
        let connection = self.cluster.broker(coordinator).await?;
        let version = connection.version::<LeaveGroupRequest>(i16::MAX)?;
        let mut body = LeaveGroupRequest { group_id: group.into(), ..Default::default() };
        if version <= LEAVE_ONE {
            body.member_id = member_id;
        } else {
            body.members = vec![MemberIdentity { member_id, ..Default::default() }];
        }
        let answer =
            connection.ask_at(&body, version, self.cluster.options().request_timeout).await?;
        Error::check(answer.error_code, || format!("group {group}"), None)
    }

    async fn commit_or_rejoin(&mut self) -> Result<(), Error> {
        match self.commit().await {
            Err(error) if error.code().is_some_and(is_lost_membership) => {
                tracing::info!(%error, "the group has moved on");
                self.standing.must_rejoin.set(true);
                Ok(())
            }
            other => other,
        }
    }

    /// Gives all partitions up, after one try to commit what was read of them.
    async fn revoke(&mut self) {
        self.stop_heartbeats();
        if self.options.commit_interval.is_some()
            && let Err(error) = self.commit().await
        {
            tracing::debug!(%error, "not committed before the rebalance");
        }
        self.consumer.assign(BTreeMap::new());
        self.committed.clear();
        self.is_joined = false;
        self.standing.must_rejoin.set(false);
    }

    async fn join(&mut self) -> Result<(), Error> {
        let cluster = self.cluster.clone();
        let retry_for = cluster.options().retry_for + self.options.rebalance_timeout;
        let assigned = cluster.retry_within(retry_for, async || self.join_once().await).await?;
        let found = self.starting_offsets(&assigned).await?;
        tracing::info!(
            group = self.options.group,
            generation = self.standing.generation.get(),
            partitions = found.len(),
            "joined"
        );
        self.consumer.assign(found);
        self.is_joined = true;
        let interval = self.options.commit_interval.unwrap_or_default();
        self.commit_at = self.cluster.world().clock.tick().saturating_add(interval);
        Ok(())
    }

    async fn join_once(&mut self) -> Result<Vec<TopicPartition>, Error> {
        let group = self.options.group.clone();
        let joined = self.ask_join().await?;
        *self.standing.member_id.borrow_mut() = joined.member_id.clone();
        self.standing.generation.set(joined.generation_id);
        let assignments = if joined.leader == joined.member_id && !joined.skip_assignment {
            self.assign(&joined).await?
        } else {
            Vec::new()
        };
        let body = SyncGroupRequest {
            group_id: (&group).into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: self.options.instance_id.as_ref().map(Str::from),
            protocol_type: Some(Str::from_static(PROTOCOL_TYPE)),
            protocol_name: Some(Str::from_static(RANGE)),
            assignments,
            ..Default::default()
        };
        let patience = self.patience();
        let answer = self.cluster.ask_coordinator(&group, &body, patience).await?;
        self.check(answer.error_code)?;
        self.standing.must_rejoin.set(false);
        self.start_heartbeats();
        Ok(groups::assignment(answer.assignment).unwrap_or_default())
    }

    async fn ask_join(&mut self) -> Result<JoinGroupResponse, Error> {
        let group = self.options.group.clone();
        let topics = self.options.topics.iter().map(Str::from).collect();
        let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
        let protocol = JoinGroupRequestProtocol {
            name: Str::from_static(RANGE),
            metadata: versioned(&subscription, 1)?,
            ..Default::default()
        };
        let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let mut body = JoinGroupRequest {
            group_id: (&group).into(),
            session_timeout_ms: millis(self.options.session_timeout),
            rebalance_timeout_ms: millis(self.options.rebalance_timeout),
            member_id: self.standing.member_id.borrow().clone(),
            group_instance_id: self.options.instance_id.as_ref().map(Str::from),
            protocol_type: Str::from_static(PROTOCOL_TYPE),
            protocols: vec![protocol],
            ..Default::default()
        };
        let patience = self.patience();
        let mut answer = self.cluster.ask_coordinator(&group, &body, patience).await?;
        if answer.error_code == ErrorCode::MemberIdRequired.number() {
            // The coordinator gave us an id, to be used at once (KIP-394).
            body.member_id = answer.member_id.clone();
            *self.standing.member_id.borrow_mut() = answer.member_id;
            answer = self.cluster.ask_coordinator(&group, &body, patience).await?;
        }
        self.check(answer.error_code)?;
        Ok(answer)
    }

    /// What a joining member waits for: the others have `rebalance_timeout` to come.
    fn patience(&self) -> Duration {
        self.options.rebalance_timeout + self.cluster.options().request_timeout
    }

    /// A refusal, made retriable where joining anew helps: the id is given up if it is not known.
    fn check(&self, number: i16) -> Result<(), Error> {
        let checked = Error::check(number, || format!("group {}", self.options.group), None);
        let Err(error) = &checked else { return checked };
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => *self.standing.member_id.borrow_mut() = Str::EMPTY,
            Some(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress) => {}
            _ => return checked,
        }
        Err(Error::refused(
            format!("group {}", self.options.group),
            ErrorCode::CoordinatorLoadInProgress,
        ))
    }

    /// The leader's part: who gets what.
    async fn assign(
        &self,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, Error> {
        let mut members = BTreeMap::new();
        for member in &joined.members {
            // A member whose subscription cannot be read gets nothing, and does not stop the others.
            let wanted = subscribed(member.metadata.clone()).unwrap_or_default();
            members.insert(member.member_id.to_string(), wanted);
        }
        let wanted: BTreeSet<String> = members.values().flatten().cloned().collect();
        let wanted: Vec<String> = wanted.into_iter().collect();
        let metadata = self.cluster.metadata(Some(&wanted)).await?;
        let topics = metadata.topics.into_iter();
        let partitions = topics.map(|(n, t)| (n, t.partitions.into_keys().collect())).collect();
        assignor::range(&members, &partitions)
            .into_iter()
            .map(|(member, partitions)| {
                let assignment = versioned(&assigned(&partitions), 1)?;
                Ok(SyncGroupRequestAssignment {
                    member_id: member.into(),
                    assignment,
                    ..Default::default()
                })
            })
            .collect()
    }

    async fn starting_offsets(
        &mut self,
        assigned: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let admin = Admin::new(self.cluster.clone());
        let committed = admin.fetch_offsets(&self.options.group).await?;
        let mut found = BTreeMap::new();
        let mut fresh = BTreeSet::new();
        for partition in assigned {
            match committed.get(partition) {
                Some(at) => {
                    found.insert(partition.clone(), at.offset);
                }
                None => {
                    fresh.insert(partition.clone());
                }
            }
        }
        self.committed.clone_from(&found);
        if !fresh.is_empty() {
            let isolation = crate::Isolation::Committed;
            let start = self.options.start;
            found.extend(admin.offsets_or_end(start, &fresh, isolation).await?);
            if !fresh.iter().all(|partition| found.contains_key(partition)) {
                // The one who assigned them knows of partitions that are new to us.
                self.cluster.forget();
                found.extend(admin.offsets_or_end(start, &fresh, isolation).await?);
            }
        }
        Ok(found)
    }

    fn start_heartbeats(&mut self) {
        self.stop_heartbeats();
        let cluster = self.cluster.clone();
        let standing = Rc::clone(&self.standing);
        let interval = self.options.heartbeat_interval;
        let group = self.options.group.clone();
        let body = HeartbeatRequest {
            group_id: (&group).into(),
            generation_id: standing.generation.get(),
            member_id: standing.member_id.borrow().clone(),
            group_instance_id: self.options.instance_id.as_ref().map(Str::from),
            ..Default::default()
        };
        self.heartbeats = Some(world::tasks::spawn_local(async move {
            loop {
                cluster.world().clock.sleep(interval).await;
                let answer = cluster.ask_coordinator(&group, &body, interval * 3).await;
                let code = answer.map(|answer| answer.error_code);
                let refused = code.and_then(|code| Error::check(code, || group.clone(), None));
                let Err(error) = refused else { continue };
                if error.code().is_some_and(is_lost_membership) {
                    standing.must_rejoin.set(true);
                    return;
                }
                tracing::debug!(%error, "heartbeat failed");
                cluster.forget();
            }
        }));
    }

    fn stop_heartbeats(&mut self) {
        if let Some(task) = self.heartbeats.take() {
            task.abort();
        }
    }
}

/// Whether the coordinator says that this member must join again.
fn is_lost_membership(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RebalanceInProgress
            | ErrorCode::IllegalGeneration
            | ErrorCode::UnknownMemberId
            | ErrorCode::FencedInstanceId
    )
}

/// A version, then the message at that version.
fn versioned(message: &impl Message, version: i16) -> Result<Bytes, Error> {
    let api = wire::ApiKey::JoinGroup;
    let body = message.to_bytes(version).map_err(|source| Error::BadQuestion { api, source })?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.put_i16(version);
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}

fn subscribed(bytes: Bytes) -> Option<Vec<String>> {
    let mut reader = Reader::new(bytes);
    // A newer version begins like the newest that we know.
    let version = reader.i16().ok()?.min(*ConsumerProtocolSubscription::VERSIONS.end());
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, version).ok()?;
    Some(subscription.topics.iter().map(ToString::to_string).collect())
}

fn assigned(partitions: &[TopicPartition]) -> ConsumerProtocolAssignment {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| AssignedTopic {
        topic: topic.into(),
        partitions,
        ..Default::default()
    });
    ConsumerProtocolAssignment { assigned_partitions: topics.collect(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_back() {
        let partitions = vec![TopicPartition::new("t", 0), TopicPartition::new("t", 2)];
        let bytes = versioned(&assigned(&partitions), 1).unwrap();
        assert_eq!(groups::assignment(bytes), Some(partitions));
        assert_eq!(groups::assignment(Bytes::new()), Some(Vec::new()));
        assert_eq!(groups::assignment(Bytes::from_static(&[0, 1, 0xff])), None);
    }
}
