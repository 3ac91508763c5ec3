//! Answers ApiKey 1, Fetch: reads what a session names, waits for more if there is too little, reads
//! again. What may be read is decided by the partition; which partitions an answer names, by
//! [`engine::session`].
//!
//! ```text
//! session.begin ─► read round ─► enough, an error, or out of time? ─► session.finish ─► answer
//!                      ▲                     │ no
//!                      └── woken by ◄── watch every partition named
//! ```
//!
//! The session of a follower may name thousands of partitions, asked for again and again. Those that had
//! nothing to tell are quiet from then on, until they themselves have news ([`News`]).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::ReplicaSelector;
use engine::session::{
    FetchPlan, FetchSessions, Outcome, PartitionKey, SessionRequest, TopicKey, Wanted,
};
use engine::{BrokerId, LeaderEpoch, TopicId};
use storage::{AbortedSearch, FileRead, Read, ReadError};
use wire::fetch::response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, NodeEndpoint, PartitionData,
};
use wire::visit::TopicRef;
use wire::visit::fetch::Fetch;
use wire::{ApiKey, ErrorCode, FetchResponse, Records, Str, Uuid};
use world::tasks::{Pool, blocking};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{Body, encode, number};
use super::leader_hint::Leaders;
use super::reader::{Reader, far_refusal, nearest, refusal};
use crate::memory::Held;
use crate::metadata::State;
use crate::net::Reply;
use crate::partition::{FetchWait, News, PartitionId, View};
use crate::shard::Shard;
use crate::shared::Shared;

/// Answers name leaders, with their addresses, from here on (KIP-951).
const HINTS_SINCE: i16 = 16;

/// From here on consumers say where they are, and may be sent to followers (KIP-392).
const RACKS_SINCE: i16 = 11;

/// The request without its partitions.
struct Terms {
    max_wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    reader: Reader,
}

/// One partition to read, sent to its owner.
#[derive(Clone)]
struct Ask {
    /// Its place in the plan.
    slot: usize,
    id: PartitionId,
    wanted: Wanted,
}

/// What a partition's owner found.
struct Found {
    slot: usize,
    error: i16,
    high_watermark: i64,
    last_stable: i64,
    log_start: i64,
    /// The end of what the reader may see: when that moves, there is more.
    visible: i64,
    records: Records,
    bytes: usize,
    cold: Option<FileRead>,
    diverging: Option<(LeaderEpoch, i64)>,
    /// Who should rather be asked.
    nearest: Option<BrokerId>,
    aborted: Option<AbortedSearch>,
    /// What the follower gets is throttled, and when it may get more, if nothing now.
    slowly: Option<Result<(), Duration>>,
    /// The follower has everything, and is in sync: it need not be looked at before there is more.
    is_quiet: bool,
    /// The error passes by itself soon.
    passes: bool,
}

impl Found {
    /// Whether there is something to tell that waiting does not change.
    fn is_final(&self) -> bool {
        self.diverging.is_some() || self.nearest.is_some() || (self.error != 0 && !self.passes)
    }

    fn refused(slot: usize, code: ErrorCode) -> Self {
        Self {
            slot,
            error: number(code),
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
            visible: -1,
            records: Records::EMPTY,
            bytes: 0,
            cold: None,
            diverging: None,
            nearest: None,
            aborted: None,
            slowly: None,
            is_quiet: false,
            passes: false,
        }
    }
}

pub(crate) async fn handle(call: Call, body: Body) -> Reply {
    let (terms, session) = match read_request(&call, &body) {
        Ok(read) => read,
        Err(reason) => return Reply::Close(reason),
    };
    call.shared().metrics.decoded(ApiKey::Fetch);
    let begun = {
        let mut sessions = call.shard().sessions.borrow_mut();
        if let Some(news) = terms.reader.news() {
            look_at(&mut sessions, session.session_id, news);
        }
        sessions.begin(session, call.now())
    };
    let (response, held) = match begun {
        Ok(plan) => fetch(&call, plan, &terms).await,
        Err(error) => (FetchResponse { error_code: error.code(), ..Default::default() }, None),
    };
    let mut reply = encode(&response, call.version, call.correlation_id);
    if let (Reply::Send(pieces), Some(held)) = (&mut reply, held)
        && let Some(last) = pieces.last_mut()
    {
        *last = Bytes::from_owner(Last { bytes: std::mem::take(last), _held: held });
    }
    reply
}

/// The last piece of an answer: with it goes what the answer had of the memory.
struct Last {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn read_request(call: &Call, body: &Body) -> Result<(Terms, SessionRequest), String> {
    let request = Fetch::parse(&body.frame, body.at, call.version)
        .map_err(|error| format!("cannot read FetchRequest v{}: {error}", call.version))?;
    let unsigned = |value: i32| usize::try_from(value).unwrap_or(0);
    let fetch_max = call.state().settings.broker.fetch_max_bytes;
    let terms = Terms {
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        min_bytes: unsigned(request.min_bytes.min(request.max_bytes)),
        max_bytes: unsigned(request.max_bytes.min(fetch_max)),
        reader: match request.replica_id {
            0.. => Reader::Replica {
                id: BrokerId(request.replica_id),
                epoch: request.replica_epoch,
                news: call
                    .shard()
                    .news
                    .borrow()
                    .get(&request.session_id)
                    .map_or_else(Arc::default, Arc::clone),
            },
            _ => Reader::Consumer {
                committed: request.isolation_level == 1,
                rack: (call.version >= RACKS_SINCE).then(|| request.rack_id.into()),
            },
        },
    };
    let mut names = Names::default();
    let session = SessionRequest {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_topic_ids: call.version >= 13,
        replica: terms.reader.replica(),
        partitions: request
            .partitions()
            .map(|partition| {
                let wanted = Wanted {
                    fetch_offset: partition.fetch_offset,
                    max_bytes: partition.max_bytes,
                    current_leader_epoch: partition.current_leader_epoch,
                    last_fetched_epoch: partition.last_fetched_epoch,
                    log_start_offset: partition.log_start_offset,
                };
                ((names.key(partition.topic), partition.index), wanted)
            })
            .collect(),
        forgotten: request
            .forgotten()
            .map(|partition| (names.key(partition.topic), partition.index))
            .collect(),
    };
    Ok((terms, session))
}

/// Shares one allocation among the partitions of a topic, which follow each other in a request.
#[derive(Default)]
struct Names {
    last: Option<Arc<str>>,
}

impl Names {
    fn key(&mut self, topic: TopicRef<'_>) -> TopicKey {
        match topic {
            TopicRef::Id(id) => TopicKey::Id(id),
            TopicRef::Name(name) => match &self.last {
                Some(last) if **last == *name => TopicKey::Name(Arc::clone(last)),
                _ => {
                    let name: Arc<str> = name.into();
                    self.last = Some(Arc::clone(&name));
                    TopicKey::Name(name)
                }
            },
        }
    }
}

/// The partitions that have news are read.
fn look_at(sessions: &mut FetchSessions, session_id: i32, news: &News) {
    for PartitionId { topic, index } in news.take() {
        sessions.mark(session_id, &(TopicKey::Id(topic), index));
    }
}

async fn fetch(call: &Call, mut plan: FetchPlan, terms: &Terms) -> (FetchResponse, Option<Held>) {
    let clock = Arc::clone(&call.shared().world.clock);
    let deadline = clock.tick() + terms.max_wait;
    loop {
        let (asks, mut found) = resolve(&call.state(), &plan);
        let mut held =
            (!terms.reader.is_replica()).then(|| call.shared().answers.hold(terms.max_bytes));
        let max_bytes = held.as_ref().map_or(terms.max_bytes, Held::bytes);
        read_round(call, &asks, &mut found, terms, max_bytes).await;
        let bytes: usize = found.iter().map(|one| one.bytes).sum();
        let is_final =
            found.iter().any(Found::is_final) || has_later_marks(call, &plan, &found, terms);
        // Where the memory is spent, a little is enough.
        let is_little = bytes > 0 && max_bytes < terms.min_bytes;
        if bytes >= terms.min_bytes || is_final || is_little || clock.tick() >= deadline {
            if let Some(held) = &mut held {
                held.keep(bytes);
            }
            let held = held.filter(|held| held.bytes() > 0);
            return (finish(call, plan, found, terms).await, held);
        }
        // What was read is read again then.
        drop(held);
        let wait = FetchWait::new(terms.min_bytes - bytes);
        let held_until = found.iter().filter_map(|one| one.slowly?.err()).min();
        let look_again_at = held_until.map_or(deadline, |until| until.min(deadline));
        let news = terms.reader.news().filter(|_| plan.is_incremental());
        match news {
            Some(news) => news.wake(&wait),
            None => watch(call, &asks, &found, terms.reader.is_replica(), &wait).await,
        }
        tokio::select! {
            biased;
            () = wait.ready() => {}
            () = clock.sleep_until(look_again_at) => {}
        }
        if let Some(news) = news {
            let mut sessions = call.shard().sessions.borrow_mut();
            look_at(&mut sessions, plan.session_id(), news);
            sessions.refresh(&mut plan);
        }
    }
}

/// Whether a follower does not know yet what consumers wait for that read from it.
fn has_later_marks(call: &Call, plan: &FetchPlan, found: &[Found], terms: &Terms) -> bool {
    let has_far_readers =
        || call.state().settings.broker.replica_selector == ReplicaSelector::RackAware;
    if !terms.reader.is_replica() || !has_far_readers() {
        return false;
    }
    let sessions = call.shard().sessions.borrow();
    let is_news = |one: &Found| sessions.is_news(plan, one.slot, &one.outcome());
    found.iter().any(|one| one.error == 0 && is_news(one))
}

/// Names to ids. What does not exist is answered without asking anybody.
fn resolve(state: &State, plan: &FetchPlan) -> (Vec<Ask>, Vec<Found>) {
    let mut asks = Vec::with_capacity(plan.partitions.len());
    let mut found = Vec::new();
    for (slot, ((topic, index), wanted)) in plan.partitions.iter().enumerate() {
        let (topic, unknown) = match topic {
            TopicKey::Id(id) => (state.image.topic_by_id(*id), ErrorCode::UnknownTopicId),
            TopicKey::Name(name) => (state.image.topic(name), ErrorCode::UnknownTopicOrPartition),
        };
        match topic {
            None => found.push(Found::refused(slot, unknown)),
            Some(topic) if topic.partition(*index).is_none() => {
                found.push(Found::refused(slot, ErrorCode::UnknownTopicOrPartition));
            }
            Some(topic) => {
                let id = PartitionId { topic: topic.id, index: *index };
                asks.push(Ask { slot, id, wanted: *wanted });
            }
        }
    }
    (asks, found)
}

/// Reads every partition once, each on its owner, within the request's bytes.
async fn read_round(
    call: &Call,
    asks: &[Ask],
    found: &mut Vec<Found>,
    terms: &Terms,
    max_bytes: usize,
) {
    let shards = call.shared().shards();
    let (mut budget, mut nothing_yet) = (max_bytes, true);
    // The owner of the partition that waited longest goes first.
    let first = asks.first().map_or(0, |ask| ask.id.shard(shards));
    for owner in (0..shards).map(|step| (first + step) % shards) {
        let mine: Vec<Ask> =
            asks.iter().filter(|ask| ask.id.shard(shards) == owner).cloned().collect();
        let Some(id) = mine.first().map(|ask| ask.id) else { continue };
        let reader = terms.reader.clone();
        let work = move |shard: &Rc<Shard>| read_here(shard, &mine, budget, nothing_yet, &reader);
        let Some(read) = call.shared().on_owner(call.shard(), id, work).await else { continue };
        for mut one in read {
            if let Some(cold) = one.cold.take() {
                let ask = asks.iter().find(|ask| ask.slot == one.slot);
                let id = ask.expect("only what was asked for is found").id;
                read_cold(call, id, &mut one, cold).await;
            }
            budget = budget.saturating_sub(one.bytes);
            nothing_yet &= one.bytes == 0;
            found.push(one);
        }
    }
}

/// Runs on the owner. What needs the disk is left to the asker.
fn read_here(
    shard: &Rc<Shard>,
    asks: &[Ask],
    mut budget: usize,
    mut nothing_yet: bool,
    reader: &Reader,
) -> Vec<Found> {
    asks.iter()
        .map(|ask| {
            let one = read_one(shard, ask, budget, nothing_yet, reader);
            let taken = if one.cold.is_some() {
                budget.min(usize::try_from(ask.wanted.max_bytes).unwrap_or(0))
            } else {
                one.bytes
            };
            nothing_yet &= one.bytes == 0 && one.cold.is_none();
            budget = budget.saturating_sub(taken);
            one
        })
        .collect()
}

fn read_one(
    shard: &Rc<Shard>,
    ask: &Ask,
    budget: usize,
    at_least_one: bool,
    reader: &Reader,
) -> Found {
    let Ask { slot, id, wanted } = ask;
    let partition = match shard.partition(*id) {
        Ok(partition) => partition,
        Err(missing) => return Found::refused(*slot, missing.code()),
    };
    let mut partition = partition.borrow_mut();
    let is_far = reader.rack().is_some() && partition.serves_far_readers();
    let refusal = if is_far { far_refusal } else { refusal };
    if let Some(code) = refusal(shard, &partition, wanted.current_leader_epoch) {
        return Found::refused(*slot, code);
    }
    if let Reader::Replica { id, news, .. } = reader {
        if !partition.settings.place.replicas.contains(id) {
            // It will hear from the metadata that it is none.
            return Found::refused(*slot, ErrorCode::NotLeaderOrFollower);
        }
        // Before anything is read: what comes later is news.
        partition.followers.add(news);
    }
    if !reader.is_replica() && !is_far && !partition.is_serving() {
        // An earlier leader may have told a later watermark: what consumers were told never goes back
        // (KIP-207 says so of ListOffsets). It takes until the followers have asked once. Every client asks
        // again after this error; kafka-go gives up at OFFSET_NOT_AVAILABLE.
        let visible = partition.log.state().high_watermark();
        let refused = Found::refused(*slot, ErrorCode::NotLeaderOrFollower);
        return Found { visible, passes: true, ..refused };
    }
    if let Some(nearest) = nearest(shard, &partition, wanted, reader) {
        let (log, last_stable) = (partition.log.state(), partition.log.last_stable_offset());
        return Found {
            high_watermark: log.high_watermark(),
            log_start: log.start(),
            last_stable,
            nearest: Some(nearest),
            ..Found::refused(*slot, ErrorCode::None)
        };
    }
    let max_bytes = budget.min(usize::try_from(wanted.max_bytes).unwrap_or(0));
    let slowly = match reader {
        Reader::Replica { id, .. } if partition.sends_slowly_to(*id) => {
            Some(shard.shared.throttles.leader.ask(&shard.shared))
        }
        Reader::Replica { .. } | Reader::Consumer { .. } => None,
    };
    let (max_bytes, at_least_one) = match slowly {
        None => (max_bytes, at_least_one),
        Some(Ok(bytes)) => {
            (usize::try_from(bytes).map_or(max_bytes, |it| it.min(max_bytes)), at_least_one)
        }
        Some(Err(_)) => (0, false),
    };
    let outcome =
        partition.read(wanted.fetch_offset, max_bytes, at_least_one, reader.view(), shard.now());
    let mut found = Found {
        high_watermark: outcome.high_watermark,
        last_stable: outcome.last_stable,
        log_start: outcome.log_start,
        visible: outcome.visible,
        aborted: outcome.aborted,
        slowly: slowly.map(|asked| asked.map(|_| ())),
        ..Found::refused(*slot, ErrorCode::None)
    };
    if is_far && outcome.result.is_ok() && wanted.fetch_offset > outcome.high_watermark {
        // The leader may have told that it is committed; here that is not known yet.
        found.error = number(ErrorCode::OffsetNotAvailable);
        found.passes = true;
        return found;
    }
    // What a follower lacks, it may just not have yet.
    if wanted.last_fetched_epoch >= 0 && !is_far {
        let asked = LeaderEpoch(wanted.last_fetched_epoch);
        found.diverging = match partition.log.end_offset_for_epoch(asked) {
            Some((epoch, end)) if epoch < asked || end < wanted.fetch_offset => Some((epoch, end)),
            Some(_) | None => None,
        };
        if found.diverging.is_some() {
            return found;
        }
    }
    if let Reader::Replica { id, epoch, .. } = reader
        && outcome.result.is_ok()
    {
        let may_join = partition.is_in_sync(*id) || shard.shared.state().image.is_active(*id);
        partition.fetched_by((*id, *epoch), wanted, may_join, shard.now());
        // What this very request has let move: the follower learns it one round earlier.
        found.high_watermark = partition.log.state().high_watermark();
        let has_all = wanted.fetch_offset == partition.log.state().end();
        found.is_quiet = has_all && partition.is_in_sync(*id);
    }
    match outcome.result {
        Ok(Read::Memory(pieces)) => take(&shard.shared, *id, &mut found, Ok(pieces)),
        Ok(Read::File(file)) => match file.try_now() {
            Err(ReadError::WouldBlock) => found.cold = Some(file),
            read => take(&shard.shared, *id, &mut found, read),
        },
        Err(error) => take(&shard.shared, *id, &mut found, Err(error)),
    }
    found
}

fn take(shared: &Shared, id: PartitionId, found: &mut Found, read: Result<Vec<Bytes>, ReadError>) {
    match read {
        Ok(pieces) => {
            for piece in pieces {
                found.bytes += piece.len();
                found.records.push(piece);
            }
            if found.slowly.is_some() {
                shared.throttles.leader.spend(shared, found.bytes);
            }
        }
        Err(error) => {
            found.error = number(error.code());
            if shared.read_failed(id, &error) {
                tracing::error!(%error, "cannot read a partition");
            }
            // Kafka tells offsets with OFFSET_OUT_OF_RANGE as well; clients look at log_start only.
            (found.high_watermark, found.last_stable) = (-1, -1);
        }
    }
}

async fn read_cold(call: &Call, id: PartitionId, found: &mut Found, file: FileRead) {
    let tasks = Arc::clone(&call.shared().world.tasks);
    let read = blocking(&*tasks, Pool::Read, move || file.run()).await;
    take(call.shared(), id, found, read);
}

/// Has every partition wake `wait` when it grows. A partition that has grown since it was read does at
/// once.
async fn watch(
    call: &Call,
    asks: &[Ask],
    found: &[Found],
    is_replica: bool,
    wait: &Arc<FetchWait>,
) {
    let shards = call.shared().shards();
    let mut seen = vec![-1; asks.last().map_or(0, |ask| ask.slot + 1)];
    for one in found {
        if let Some(seen) = seen.get_mut(one.slot) {
            *seen = one.visible;
        }
    }
    for owner in 0..shards {
        let mine: Vec<(PartitionId, i64)> = asks
            .iter()
            .filter(|ask| ask.id.shard(shards) == owner)
            .map(|ask| (ask.id, seen[ask.slot]))
            .collect();
        let Some((id, _)) = mine.first().copied() else { continue };
        let wait = Arc::clone(wait);
        let work = move |shard: &Rc<Shard>| {
            for (id, seen) in mine {
                let Ok(partition) = shard.partition(id) else {
                    wait.wake();
                    continue;
                };
                let mut partition = partition.borrow_mut();
                let log = partition.log.state();
                let (visible, waiting) = if is_replica {
                    (log.end(), &mut partition.copiers)
                } else {
                    (log.high_watermark(), &mut partition.readers)
                };
                if visible > seen {
                    wait.wake();
                } else {
                    waiting.watch(&wait);
                }
            }
        };
        let _ = call.shared().on_owner(call.shard(), id, work).await;
    }
}

async fn finish(
    call: &Call,
    plan: FetchPlan,
    mut found: Vec<Found>,
    terms: &Terms,
) -> FetchResponse {
    found.sort_unstable_by_key(|one| one.slot);
    let outcomes: Vec<(usize, Outcome)> =
        found.iter().map(|one| (one.slot, one.outcome())).collect();
    let keys: Vec<PartitionKey> = plan.partitions.iter().map(|(key, _)| key.clone()).collect();
    let dice = call.shared().world.dice.next_u64("fetch-session");
    let fresh_id = i32::try_from(dice >> 33).expect("31 bits");
    let answer = call.shard().sessions.borrow_mut().finish(plan, &outcomes, fresh_id, call.now());
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return FetchResponse { error_code: error.code(), ..Default::default() },
    };
    if let Some(news) = terms.reader.news() {
        let quiet = found.iter().filter(|one| one.is_quiet).map(|one| &keys[one.slot]);
        rest(call.shard(), answer.session_id, news, quiet);
    }
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut leaders = Leaders::default();
    for (one, include) in found.into_iter().zip(answer.include) {
        if !include {
            continue;
        }
        let (topic, index) = &keys[one.slot];
        let (name, id) = match topic {
            TopicKey::Id(id) => (Str::default(), *id),
            TopicKey::Name(name) => (Str::from(&**name), Uuid::ZERO),
        };
        let committed = terms.reader.view() == View::Stable;
        let mut partition = describe(call, one, *index, committed).await;
        if call.version >= HINTS_SINCE
            && let Some(hint) = leaders.hint(call, (&name, id, *index), partition.error_code)
        {
            partition.current_leader.leader_id = hint.leader;
            partition.current_leader.leader_epoch = hint.epoch;
        }
        push(&mut responses, name, id, partition);
    }
    let node_endpoints = leaders.endpoints().map(|(node_id, host, port)| NodeEndpoint {
        node_id,
        host,
        port,
        ..Default::default()
    });
    let node_endpoints = node_endpoints.collect();
    FetchResponse { session_id: answer.session_id, responses, node_endpoints, ..Default::default() }
}

/// Those of a follower's partitions that have nothing more to tell are not looked at until they have.
fn rest<'a>(
    shard: &Shard,
    session_id: i32,
    news: &Arc<News>,
    quiet: impl Iterator<Item = &'a PartitionKey>,
) {
    if session_id == 0 {
        return;
    }
    let mut sessions = shard.sessions.borrow_mut();
    let mut all = shard.news.borrow_mut();
    if !all.contains_key(&session_id) {
        // A new one is when those that have ended are dropped.
        all.retain(|id, _| sessions.contains(*id));
        all.insert(session_id, Arc::clone(news));
    }
    quiet.for_each(|key| sessions.quiet(session_id, key));
}

impl Found {
    fn outcome(&self) -> Outcome {
        Outcome {
            has_records: self.bytes > 0,
            error: self.error,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable,
            log_start_offset: self.log_start,
            preferred_read_replica: self.nearest.map_or(-1, |id| id.0),
            diverging: self.diverging.is_some(),
        }
    }
}

async fn describe(call: &Call, one: Found, index: i32, committed: bool) -> PartitionData {
    let aborted = match one.aborted {
        Some(search) => {
            let tasks = Arc::clone(&call.shared().world.tasks);
            blocking(&*tasks, Pool::Read, move || search.run()).await.unwrap_or_default()
        }
        None => Vec::new(),
    };
    let mut partition = PartitionData {
        partition_index: index,
        error_code: one.error,
        high_watermark: one.high_watermark,
        last_stable_offset: one.last_stable,
        log_start_offset: one.log_start,
        preferred_read_replica: one.nearest.map_or(-1, |id| id.0),
        records: Some(one.records),
        aborted_transactions: committed.then(|| {
            aborted
                .into_iter()
                .map(|transaction| AbortedTransaction {
                    producer_id: transaction.producer_id,
                    first_offset: transaction.first_offset,
                    ..Default::default()
                })
                .collect()
        }),
        ..Default::default()
    };
    if let Some((epoch, end_offset)) = one.diverging {
        partition.diverging_epoch =
            EpochEndOffset { epoch: epoch.0, end_offset, ..Default::default() };
    }
    partition
}

fn push(
    responses: &mut Vec<FetchableTopicResponse>,
    topic: Str,
    topic_id: TopicId,
    partition: PartitionData,
) {
    match responses.last_mut() {
        Some(last) if last.topic == topic && last.topic_id == topic_id => {
            last.partitions.push(partition);
        }
        _ => responses.push(FetchableTopicResponse {
            topic,
            topic_id,
            partitions: vec![partition],
            ..Default::default()
        }),
    }
}
