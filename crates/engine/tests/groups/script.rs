//! Runs a script of requests against [`Groups`] and prints what comes of it.
//!
//! A line is a verb, a client or group, and words `key=value`:
//!
//! ```text
//! config max_size=2                      before anything else; durations in seconds
//! join a instance=i v=4 session=10 rebalance=60 type=consumer protocols=range:t+u,sticky:t
//! sync a a=x b=y                         the leader's assignment: client=bytes
//! heartbeat a · leave a b · leave instance=i · commit a t-0=5 meta=m · commit - t-0=5
//! delete-offsets t-0 · delete-group · reset tok t-0=5 mode=fence · fetch t-0 · fetch
//! describe · list · wait 3 · expire · topics-deleted t · restart
//! ```
//!
//! A client keeps its member id and generation as real ones do; `id=`, `gen=`, `instance=` override.
//! Member ids print as `client#n`. The group is `g` unless `group=` says otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::group::{
    CommitRequest, DeleteOffsetsRequest, Effects, EncodedRecord, GroupConfig, GroupError, Groups,
    HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, MemberRef, OffsetToCommit,
    OffsetsWanted, Reply, Request, ResetMode, ResetRequest, ResetTarget, SyncRequest, Token,
};
use engine::{Now, TopicId, TopicPartition};
use expect_test::Expect;
use wire::consumer_offsets::{GroupMetadataValue, OffsetCommitValue};
use wire::{DecodeError, Message, Reader};

/// Runs `script` and compares what it prints.
pub(crate) fn check(script: &str, expect: &Expect) {
    expect.assert_eq(&print(script));
}

/// As [`check`], printing `LONG` for a long word.
pub(crate) fn check_short(script: &str, long: &str, expect: &Expect) {
    expect.assert_eq(&print(script).replace(long, "LONG"));
}

fn print(script: &str) -> String {
    let mut run = Run::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        run.line(line);
    }
    run.out
}

#[derive(Default)]
struct Client {
    member_id: Arc<str>,
    generation: i32,
    instance: Option<Arc<str>>,
}

struct Run {
    config: GroupConfig,
    groups: Groups,
    log: Vec<EncodedRecord>,
    now: Now,
    clients: BTreeMap<String, Client>,
    tokens: BTreeMap<Token, (String, &'static str)>,
    names: Vec<(Arc<str>, String)>,
    fresh: u128,
    out: String,
}

struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str, default: i32) -> i32 {
        self.get(key).map_or(default, |value| value.parse().expect("a number"))
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(|word| word.split_once('='))
    }

    /// Words `topic-partition=offset`.
    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let pairs = self.pairs().filter_map(|(key, value)| Some((partition(key)?, value)));
        pairs.map(|(key, value)| (key, value.parse().expect("an offset"))).collect()
    }

    fn partitions(&self) -> Vec<TopicPartition> {
        self.0.iter().filter_map(|word| partition(word)).collect()
    }
}

fn partition(text: &str) -> Option<TopicPartition> {
    let (topic, index) = text.rsplit_once('-')?;
    Some(TopicPartition::new(topic, index.parse().ok()?))
}

/// A consumer's subscription, version 0.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}

fn protocols(words: &Words<'_>, protocol_type: &str) -> Vec<(Arc<str>, Bytes)> {
    let list = words.get("protocols").unwrap_or("range:t");
    let each = list.split(',').filter(|one| !one.is_empty()).map(|one| {
        let (name, topics) = one.split_once(':').unwrap_or((one, ""));
        let metadata = if protocol_type == "consumer" {
            subscription(&topics.split('+').filter(|t| !t.is_empty()).collect::<Vec<_>>())
        } else {
            Bytes::copy_from_slice(topics.as_bytes())
        };
        (Arc::from(name), metadata)
    });
    each.collect()
}

impl Run {
    fn new() -> Self {
        let config = GroupConfig::default();
        Self {
            groups: Groups::new(config.clone()),
            config,
            log: Vec::new(),
            now: Now { wall_ms: 0, tick: Duration::ZERO },
            clients: BTreeMap::new(),
            tokens: BTreeMap::new(),
            names: Vec::new(),
            fresh: 0,
            out: String::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let mut words: Vec<_> = line.split_whitespace().collect();
        let verb = words.remove(0);
        let words = Words(words);
        writeln!(self.out, "> {line}").expect("a String takes all");
        let group: Arc<str> = words.get("group").unwrap_or("g").into();
        match verb {
            "config" => self.configure(&words),
            "wait" => self.wait(words.0[0].parse().expect("seconds")),
            "join" => self.join(&words, group),
            "sync" => self.sync(&words, group),
            "heartbeat" => {
                let member = self.member(&words);
                let request = Request::Heartbeat(HeartbeatRequest { group, member });
                self.send(words.0[0], "heartbeat", request);
            }
            "leave" => self.leave(&words, group),
            "commit" => self.commit(&words, group),
            "delete-offsets" => {
                let partitions = words.partitions();
                let request = DeleteOffsetsRequest { group, partitions };
                self.send("-", "delete-offsets", Request::DeleteOffsets(request));
            }
            "delete-group" => self.send("-", "delete-group", Request::DeleteGroup(group)),
            "reset" => self.reset(&words, group),
            "fetch" => self.fetch(&words, &group),
            "describe" => self.describe(&group),
            "list" => {
                for one in self.groups.list() {
                    let line = format!("{} {:?} {}", one.group, &*one.protocol_type, one.state);
                    self.say(&line);
                }
            }
            "expire" => self.tombstones(Groups::expire),
            "topics-deleted" => {
                let topics: Vec<Arc<str>> = words.0.iter().map(|topic| Arc::from(*topic)).collect();
                self.tombstones(|groups, _| groups.topics_deleted(&topics));
            }
            "restart" => self.restart(),
            other => panic!("no verb {other}"),
        }
    }

    fn configure(&mut self, words: &Words<'_>) {
        for (key, value) in words.pairs() {
            let number: u64 = value.parse().expect("a number");
            match key {
                "max_size" => self.config.max_size = number as usize,
                "pending" => self.config.max_pending_members = number as usize,
                "delay" => self.config.initial_rebalance_delay = Duration::from_secs(number),
                "retention" => self.config.offsets_retention = Duration::from_secs(number),
                "batch" => self.config.max_batch_bytes = number as usize,
                "metadata" => self.config.offset_metadata_max_bytes = number as usize,
                "resets" => self.config.max_resets_kept = number as usize,
                other => panic!("no setting {other}"),
            }
        }
        self.groups = Groups::new(self.config.clone());
    }

    fn say(&mut self, text: &str) {
        let mut text = text.to_owned();
        for (id, name) in &self.names {
            text = text.replace(&**id, name);
        }
        writeln!(self.out, "  {text}").expect("a String takes all");
    }

    fn send(&mut self, client: &str, verb: &'static str, request: Request) {
        let token = Token(self.tokens.len() as u64);
        self.tokens.insert(token, (client.to_owned(), verb));
        let effects = self.groups.step(token, request, self.now);
        self.show(effects);
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now.tick + Duration::from_secs(seconds);
        loop {
            let next = self.groups.next_deadline().filter(|next| *next <= until);
            let to = next.unwrap_or(until).max(self.now.tick);
            self.now.wall_ms += (to - self.now.tick).as_millis() as i64;
            self.now.tick = to;
            if next.is_none() {
                return;
            }
            let effects = self.groups.tick(self.now);
            if effects != Effects::default() {
                let at = format!("at {}s", to.as_secs_f32());
                self.say(&at);
            }
            self.show(effects);
        }
    }

    fn client(&mut self, words: &Words<'_>) -> &mut Client {
        let label = words.0.first().copied().unwrap_or("-");
        let client = self.clients.entry(label.to_owned()).or_insert_with(|| Client {
            member_id: Arc::from(""),
            generation: -1,
            instance: None,
        });
        if let Some(instance) = words.get("instance") {
            client.instance = Some(instance).filter(|i| !i.is_empty()).map(Arc::from);
        }
        client
    }

    fn real_id(&self, text: &str) -> Arc<str> {
        let known = self.names.iter().find(|(_, name)| name == text);
        known.map_or_else(|| Arc::from(text), |(id, _)| Arc::clone(id))
    }

    fn member(&mut self, words: &Words<'_>) -> MemberRef {
        let id = words.get("id").map(|id| self.real_id(id));
        let client = self.client(words);
        MemberRef {
            member_id: id.unwrap_or_else(|| Arc::clone(&client.member_id)),
            instance_id: client.instance.clone(),
            generation: words.number("gen", client.generation),
        }
    }

    fn join(&mut self, words: &Words<'_>, group: Arc<str>) {
        let label = words.0[0];
        let member = self.member(words);
        self.fresh += 1;
        let hex = format!("{:032x}", self.fresh);
        let stem = member.instance_id.as_deref().unwrap_or(label);
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let name = format!("{label}#{}", self.fresh);
        self.names.push((Arc::from(format!("{stem}-{uuid}")), name));
        let version = words.number("v", 9);
        let protocol_type = words.get("type").unwrap_or("consumer");
        let request = JoinRequest {
            group,
            member_id: member.member_id,
            instance_id: member.instance_id,
            client_id: label.into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: words.number("session", 10) * 1000,
            rebalance_timeout_ms: words.number("rebalance", 60) * 1000,
            protocol_type: protocol_type.into(),
            protocols: protocols(words, protocol_type),
            require_member_id: version >= 4,
            supports_skip_assignment: version >= 9,
            fresh_id: self.fresh,
        };
        self.send(label, "join", Request::Join(request));
    }

    fn sync(&mut self, words: &Words<'_>, group: Arc<str>) {
        let member = self.member(words);
        let assigned = words.pairs().filter_map(|(key, value)| {
            let id = Arc::clone(&self.clients.get(key)?.member_id);
            Some((id, Bytes::copy_from_slice(value.as_bytes())))
        });
        let assignments = assigned.collect();
        let request = SyncRequest {
            group,
            member,
            protocol_type: words.get("type").map(Arc::from),
            protocol_name: words.get("protocol").map(Arc::from),
            assignments,
        };
        self.send(words.0[0], "sync", Request::Sync(request));
    }

    fn leave(&mut self, words: &Words<'_>, group: Arc<str>) {
        let mut members = Vec::new();
        for word in &words.0 {
            match word.split_once('=') {
                Some(("instance", instance)) => members.push(LeavingMember {
                    member_id: Arc::from(""),
                    instance_id: Some(instance.into()),
                }),
                Some(("id", id)) => {
                    members.push(LeavingMember { member_id: self.real_id(id), instance_id: None });
                }
                Some(_) => {}
                None => {
                    let client = self.client(&Words(vec![word]));
                    members.push(LeavingMember {
                        member_id: Arc::clone(&client.member_id),
                        instance_id: client.instance.clone(),
                    });
                }
            }
        }
        self.send(words.0[0], "leave", Request::Leave(LeaveRequest { group, members }));
    }

    fn commit(&mut self, words: &Words<'_>, group: Arc<str>) {
        let member = self.member(words);
        let metadata: Arc<str> = words.get("meta").unwrap_or("").into();
        let offsets = words.offsets().into_iter().map(|(partition, offset)| OffsetToCommit {
            partition,
            topic_id: words.get("topic").map_or(TopicId::ZERO, topic_id),
            offset,
            leader_epoch: words.number("epoch", -1),
            metadata: Arc::clone(&metadata),
        });
        let retention_ms = words.get("keep").map(|s| s.parse::<i64>().expect("seconds") * 1000);
        let request = CommitRequest { group, member, retention_ms, offsets: offsets.collect() };
        self.send(words.0[0], "commit", Request::Commit(request));
    }

    fn reset(&mut self, words: &Words<'_>, group: Arc<str>) {
        let targets = words.offsets().into_iter().map(|(partition, offset)| ResetTarget {
            partition,
            topic_id: TopicId::ZERO,
            offset,
            leader_epoch: -1,
            metadata: Arc::from(""),
        });
        let request = ResetRequest {
            group,
            token: words.0[0].into(),
            mode: if words.get("mode") == Some("fence") {
                ResetMode::Fence
            } else {
                ResetMode::Fail
            },
            must_exist: words.get("exists") == Some("must"),
            expected_generation: words.get("gen").map(|g| g.parse().expect("a generation")),
            targets: targets.collect(),
        };
        self.send("-", "reset", Request::Reset(request));
    }

    fn fetch(&mut self, words: &Words<'_>, group: &str) {
        let these = words.partitions();
        let id = words.get("topic").map_or(TopicId::ZERO, topic_id);
        let wanted = if these.is_empty() {
            OffsetsWanted::All
        } else {
            OffsetsWanted::These(these.into_iter().map(|partition| (partition, id)).collect())
        };
        for found in self.groups.fetch_offsets(group, &wanted) {
            let line = format!(
                "{} = {} epoch={} meta={:?}",
                found.partition, found.offset, found.leader_epoch, &*found.metadata
            );
            self.say(&line);
        }
    }

    fn describe(&mut self, group: &str) {
        let Some(is) = self.groups.describe(group) else { return self.say("none") };
        let line = format!(
            "{} gen={} type={:?} protocol={:?}",
            is.state, is.generation, &*is.protocol_type, &*is.protocol_name
        );
        self.say(&line);
        for member in is.members {
            let line = format!(
                "{} instance={:?} metadata={}B assignment={:?}",
                member.member_id,
                member.instance_id.as_deref().unwrap_or(""),
                member.metadata.len(),
                member.assignment
            );
            self.say(&line);
        }
        if let Some(reset) = is.last_reset {
            let overwritten: Vec<_> =
                reset.result.overwritten.iter().map(ToString::to_string).collect();
            let line = format!("reset {} overwritten={overwritten:?}", reset.token);
            self.say(&line);
        }
    }

    fn tombstones(&mut self, act: impl Fn(&mut Groups, Now) -> (Effects, bool)) {
        loop {
            let (effects, more) = act(&mut self.groups, self.now);
            self.show(effects);
            if !more {
                return;
            }
            self.say("and more");
        }
    }

    fn restart(&mut self) {
        let before = std::mem::replace(&mut self.groups, Groups::new(self.config.clone()));
        let open: Vec<_> = before.close().iter().map(|t| self.tokens[t].clone()).collect();
        for (client, verb) in open {
            self.say(&format!("{client} {verb}: NOT_COORDINATOR"));
        }
        for record in &self.log {
            self.groups.apply(&record.key, record.value.as_deref()).expect("our own records");
        }
        let effects = self.groups.loaded(self.now);
        self.show(effects);
    }

    fn show(&mut self, effects: Effects) {
        for record in effects.records {
            let line = format!("log: {}", print_record(&record));
            self.say(&line);
            self.log.push(record);
        }
        for (token, reply) in effects.replies {
            let (client, verb) = self.tokens[&token].clone();
            if let Reply::Join(reply) = &reply
                && let Some(client) = self.clients.get_mut(&client)
            {
                if reply.error.is_none() {
                    client.generation = reply.generation;
                }
                if matches!(reply.error, None | Some(GroupError::MemberIdRequired)) {
                    client.member_id = Arc::clone(&reply.member_id);
                }
            }
            let line = format!("{client} {verb}: {}", print_reply(&reply));
            self.say(&line);
        }
    }
}

fn topic_id(text: &str) -> TopicId {
    wire::Uuid(u128::from(text.parse::<u64>().expect("a number")).to_be_bytes())
}

fn error(error: Option<GroupError>) -> String {
    error.map_or("ok".to_owned(), |error| error.to_string())
}

fn per_partition(partitions: &[(TopicPartition, Option<GroupError>)]) -> String {
    let each = partitions.iter().map(|(partition, e)| format!("{partition} {}", error(*e)));
    each.collect::<Vec<_>>().join(", ")
}

fn print_reply(reply: &Reply) -> String {
    match reply {
        Reply::Join(join) => {
            let Some(refused) = join.error else {
                let members: Vec<_> = join.members.iter().map(|m| m.member_id.as_ref()).collect();
                let skip = if join.skip_assignment { " skip" } else { "" };
                return format!(
                    "{} gen={} protocol={} leader={} members={}{skip}",
                    join.member_id,
                    join.generation,
                    join.protocol_name.as_deref().unwrap_or("none"),
                    join.leader,
                    members.join("+"),
                );
            };
            format!("{refused} {}", join.member_id)
        }
        Reply::Sync(Ok(sync)) => format!("{:?}", sync.assignment),
        Reply::Sync(Err(refused)) => refused.to_string(),
        Reply::Heartbeat(done) | Reply::DeleteGroup(done) => error(done.err()),
        Reply::Leave(leave) => {
            let each = leave.members.iter().map(|(member, e)| {
                let name = member.instance_id.as_ref().filter(|_| member.member_id.is_empty());
                format!("{} {}", name.unwrap_or(&member.member_id), error(*e))
            });
            let top = leave.error.map(|e| e.to_string());
            top.unwrap_or_else(|| each.collect::<Vec<_>>().join(", "))
        }
        Reply::Commit(done) => per_partition(&done.partitions),
        Reply::DeleteOffsets(Ok(done)) => per_partition(&done.partitions),
        Reply::DeleteOffsets(Err(refused)) | Reply::Reset(Err(refused)) => refused.to_string(),
        Reply::Reset(Ok(reset)) => {
            let moves = reset.moves.iter().map(|m| format!("{} {}>{}", m.partition, m.from, m.to));
            let already = if reset.already_done { " already" } else { "" };
            let moves = moves.collect::<Vec<_>>().join(", ");
            format!("gen={}{already} {moves}", reset.generation)
        }
    }
}

/// Reads records with the wire's schemas, not with the engine's code.
fn print_record(record: &EncodedRecord) -> String {
    read_record(record).expect("a record of a known kind")
}

fn read_record(record: &EncodedRecord) -> Result<String, DecodeError> {
    let mut key = Reader::new(record.key.clone());
    let kind = key.i16()?;
    let name = key.str(false)?;
    let mut value = record.value.clone().map(Reader::new);
    let version = value.as_mut().map(Reader::i16).transpose()?.unwrap_or(-1);
    let gone = || "gone".to_owned();
    match kind {
        1 => {
            let (topic, partition) = (key.str(false)?, key.i32()?);
            let value = value.map(|mut r| OffsetCommitValue::decode_exact(r.take_rest(), version));
            let value = value.transpose()?.map(|value| format!("{} v{version}", value.offset));
            Ok(format!("{name} {topic}-{partition} = {}", value.unwrap_or_else(gone)))
        }
        2 => {
            let value = value.map(|mut r| GroupMetadataValue::decode_exact(r.take_rest(), version));
            let value = value.transpose()?.map(|value| {
                let members = value.members.iter();
                let members = members.map(|m| format!("{}={:?}", m.member_id, m.assignment));
                format!("gen={} [{}]", value.generation, members.collect::<Vec<_>>().join(" "))
            });
            Ok(format!("{name} {}", value.unwrap_or_else(gone)))
        }
        10_000 => {
            let token = key.str(false)?;
            Ok(format!("{name} reset {token}{}", value.map_or(" gone", |_| "")))
        }
        other => panic!("no key version {other}"),
    }
}
