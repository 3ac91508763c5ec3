//! The model: a controller that never fails, four brokers, one partition, messages that arrive late or
//! never.

use std::time::Duration;

use config::{Properties, Settings};
use engine::metadata::{
    AlterPartition, Controller, Decision, Election, Heartbeat, Image, NewTopic, Reassignment,
    Record, Registration,
};
use engine::{BrokerId, Now, Offset};

use super::node::{Answered, Disk, Fetch, MIN_ISR, Node, Process, Role};

/// What the model leaves out on purpose, to see that somebody notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// A machine that crashed says that its log is whole.
    ForgetsTheBoot,
    /// A process takes its role from metadata that speak of the one before.
    TrustsOldMetadata,
    /// A lost answer to a proposal is taken for a refusal.
    TakesSilenceForRefusal,
    /// A proposal that was taken and made somebody else the leader is taken for refused.
    TakesAnotherLeaderForRefusal,
    /// A follower names the newest epoch that it knows, which may have no records.
    NamesEmptyEpochs,
    /// A machine crashes before the one that crashed last is back.
    TwoMachines,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// At one that may believe that it leads.
    Produce(usize),
    /// At the leader that the controller knows.
    ProduceAtLeader,
    /// A Fetch and its answer, without delay.
    Copy(usize),
    /// For a moment everything works.
    Work,
    SendFetch(usize),
    AnswerFetch(usize, usize),
    TakeFetched(usize),
    LoseFetch(usize),
    Follow(usize, usize),
    Propose(usize),
    Decide(usize, bool),
    GiveUp(usize),
    Start(usize),
    Register(usize),
    Beat(usize),
    Leave(usize),
    Silence(usize),
    Kill(usize),
    CrashMachine(usize),
    LoseDisk(usize),
    Flush(usize),
    Prefer,
    Move(usize, usize, usize),
    /// The leader's replica is to go, and does when the proposal that is under way is taken; before it hears what
    /// the metadata say, there is another record, which those have that were in sync until then.
    MoveLeader,
    /// While the leader proposes who is in sync, something else changes, of which it hears first: replicas move.
    MoveMeanwhile(usize),
    /// The same, and what changes is that a machine crashes and is back.
    CrashMeanwhile(usize),
    Pass,
}

/// A proposal on its way to the controller.
struct Asked {
    leader: BrokerId,
    incarnation: u64,
    broker_epoch: i64,
    request: AlterPartition,
    /// Whether the leader still waits for an answer.
    is_awaited: bool,
}

pub(crate) struct Cluster {
    settings: Settings,
    pub(crate) image: Image,
    /// The records of each decision: whoever follows applies them together.
    decisions: Vec<Vec<Record>>,
    pub(crate) nodes: Vec<Node>,
    fetches: Vec<Fetch>,
    answers: Vec<Answered>,
    asked: Vec<Asked>,
    pub(crate) acked: Vec<(Offset, u64)>,
    /// The highest watermark that consumers were told.
    pub(crate) told: Offset,
    fault: Fault,
    names: u64,
    now: Now,
}

const QUEUE_MAX: usize = 6;

impl Cluster {
    pub(crate) fn new(fault: Fault) -> Self {
        let fixed = Properties::from([("min.insync.replicas".to_owned(), MIN_ISR.to_string())]);
        let node = |id| Node { id, disk: Disk::default(), process: None, is_suspect: false };
        let mut cluster = Self {
            settings: Settings::resolve(fixed).unwrap(),
            image: Image::default(),
            decisions: Vec::new(),
            nodes: (0..4).map(|id| node(BrokerId(id))).collect(),
            fetches: Vec::new(),
            answers: Vec::new(),
            asked: Vec::new(),
            acked: Vec::new(),
            told: 0,
            fault,
            names: 0,
            now: Now { wall_ms: 0, tick: Duration::ZERO },
        };
        for at in 0..4 {
            cluster.bring_up(at);
        }
        let topic = NewTopic {
            name: "t".to_owned(),
            partitions: 1,
            replication_factor: 3,
            dice: [1, 0],
            ..NewTopic::default()
        };
        let created = cluster.decide(|c| c.create_topics(vec![topic], false));
        assert!(created[0].1.is_ok());
        cluster.happen(Event::Work);
        cluster
    }

    fn decide<R>(&mut self, decide: impl FnOnce(Controller<'_>) -> Decision<R>) -> R {
        let controller = Controller { image: &self.image, settings: &self.settings };
        let Decision { records, reply } = decide(controller);
        records.iter().for_each(|record| self.image.apply(record));
        if !records.is_empty() {
            self.decisions.push(records);
        }
        reply
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Starts, registers, and catches up.
    fn bring_up(&mut self, at: usize) {
        self.happen(Event::Start(at));
        self.happen(Event::Register(at));
        self.happen(Event::Follow(at, usize::MAX));
        self.happen(Event::Beat(at));
        self.happen(Event::Follow(at, usize::MAX));
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Produce(at) => {
                let value = self.name();
                self.nodes[at].produce(value);
            }
            Event::ProduceAtLeader => {
                let leader = self.image.partition("t", 0).unwrap().leader;
                let at = leader.map(|id| usize::try_from(id.0).unwrap());
                if let Some(at) = at {
                    self.happen(Event::Produce(at));
                }
            }
            Event::Copy(at) => {
                if let Some(fetch) = self.fetch_of(at) {
                    let to = usize::try_from(fetch.to.0).unwrap();
                    if let Some(answer) = self.nodes[to].answer(fetch, 3, self.now) {
                        self.nodes[at].take(answer, self.now);
                    }
                }
            }
            Event::Work => {
                for at in 0..4 {
                    self.happen(Event::Follow(at, usize::MAX));
                    self.happen(Event::ProduceAtLeader);
                }
                for at in (0..4).chain(0..4) {
                    self.happen(Event::Copy(at));
                }
            }
            Event::SendFetch(at) => {
                if self.fetches.len() < QUEUE_MAX {
                    let fetch = self.fetch_of(at);
                    self.fetches.extend(fetch);
                }
            }
            Event::AnswerFetch(which, max) => self.answer_fetch(which, max),
            Event::TakeFetched(which) => {
                if !self.answers.is_empty() {
                    let answer = self.answers.remove(which % self.answers.len());
                    let from = usize::try_from(answer.fetch.from.0).unwrap();
                    self.nodes[from].take(answer, self.now);
                }
            }
            Event::LoseFetch(which) => {
                if !self.fetches.is_empty() {
                    self.fetches.remove(which % self.fetches.len());
                }
            }
            Event::Follow(at, decisions) => self.follow(at, decisions),
            Event::Propose(at) => self.propose(at),
            Event::Decide(which, is_heard) => self.answer_proposal(which, is_heard),
            Event::GiveUp(which) => {
                if !self.asked.is_empty() {
                    let which = which % self.asked.len();
                    self.tell_leader(which, None);
                }
            }
            Event::Start(at) => self.start(at),
            Event::Register(at) => self.register(at),
            Event::Beat(at) => self.beat(at, false),
            Event::Leave(at) => self.beat(at, true),
            Event::Silence(at) => {
                let id = BrokerId(i32::try_from(at).unwrap());
                if let Some(epoch) = self.image.broker(id).map(|broker| broker.epoch) {
                    self.decide(|c| c.fence_broker(id, epoch, true)).unwrap();
                }
            }
            Event::Kill(at) => self.nodes[at].process = None,
            Event::CrashMachine(_) if !self.may_crash() => {}
            Event::CrashMachine(at) => {
                self.nodes[at].disk.crash();
                self.crashed(at);
            }
            Event::LoseDisk(at) if !self.may_lose_disk(at) => {}
            Event::LoseDisk(at) => {
                let directory = self.nodes[at].disk.directory + 1;
                let whole_under = -1;
                self.nodes[at].disk = Disk { directory, whole_under, ..Disk::default() };
                self.crashed(at);
            }
            Event::Flush(at) => self.nodes[at].disk.flush(),
            Event::Prefer => {
                self.decide(|c| c.elect_leaders(Election::Preferred, None));
            }
            Event::Move(at, to, len) => {
                let ids = (0..2 + len).map(|step| (at + step * to) % 4);
                let replicas = ids.map(|id| i32::try_from(id).unwrap()).collect();
                let (topic, index) = ("t".to_owned(), 0);
                let asked = Reassignment { topic, index, replicas: (len < 2).then_some(replicas) };
                self.decide(|c| c.alter_reassignments(vec![asked], true));
            }
            Event::MoveLeader => self.move_leader(),
            Event::MoveMeanwhile(to) => {
                self.overtake(|it, leader| it.happen(Event::Move(leader, to, 1)));
            }
            Event::CrashMeanwhile(at) => self.overtake(|it, _| {
                it.happen(Event::CrashMachine(at));
                it.bring_up(at);
            }),
            Event::Pass => self.now.tick += Duration::from_millis(300),
        }
        for at in 0..self.nodes.len() {
            let acked = self.nodes[at].acknowledge();
            self.acked.extend(acked);
            self.told = self.told.max(self.watermark_at(at).unwrap_or(0));
        }
    }

    /// What consumers are told who ask this broker, if it leads. One that is fenced may go on for what is left of
    /// its lease, which has no clock here.
    pub(crate) fn watermark_at(&self, at: usize) -> Option<Offset> {
        let node = &self.nodes[at];
        let Role::Leader(progress) = &node.process.as_ref()?.role else { return None };
        let is_fenced = self.image.broker(node.id)?.fenced;
        (!is_fenced && progress.is_serving()).then_some(node.disk.watermark)
    }

    fn fetch_of(&self, at: usize) -> Option<Fetch> {
        let mut fetch = self.nodes[at].fetch(self.now)?;
        if self.fault == Fault::NamesEmptyEpochs {
            fetch.last_epoch = self.nodes[at].disk.epochs.latest().map(|latest| latest.epoch);
        }
        Some(fetch)
    }

    fn answer_fetch(&mut self, which: usize, max: usize) {
        if self.fetches.is_empty() || self.answers.len() >= QUEUE_MAX {
            return;
        }
        let fetch = self.fetches.remove(which % self.fetches.len());
        let to = usize::try_from(fetch.to.0).unwrap();
        self.answers.extend(self.nodes[to].answer(fetch, max, self.now));
    }

    fn follow(&mut self, at: usize, decisions: usize) {
        let node = &mut self.nodes[at];
        for _ in 0..decisions {
            let Some(process) = &mut node.process else { return };
            let Some(records) = self.decisions.get(process.applied) else { return };
            records.iter().for_each(|record| process.image.apply(record));
            process.applied += 1;
            node.follow_metadata(self.fault == Fault::TrustsOldMetadata);
        }
    }

    fn propose(&mut self, at: usize) {
        let topic_id = self.image.topic("t").unwrap().id;
        // It asks again when it has an answer, or waits for none any more.
        let node = &self.nodes[at];
        let waits = |asked: &Asked| {
            let incarnation = node.process.as_ref().map(|process| process.incarnation);
            asked.is_awaited && (asked.leader, Some(asked.incarnation)) == (node.id, incarnation)
        };
        if self.asked.iter().any(waits) {
            return;
        }
        let Some(proposal) = self.nodes[at].propose(self.now) else { return };
        let process = self.nodes[at].process.as_ref().unwrap();
        let request = AlterPartition {
            topic_id,
            index: 0,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr,
        };
        self.asked.push(Asked {
            leader: self.nodes[at].id,
            incarnation: process.incarnation,
            broker_epoch: process.broker_epoch.unwrap_or(-1),
            request,
            is_awaited: true,
        });
        if self.asked.len() > QUEUE_MAX {
            self.tell_leader(0, None);
            self.asked.remove(0);
        }
    }

    /// Something happens while a proposal of the leader is under way, and is followed by a record, which those
    /// have that are in sync without the proposal.
    fn overtake(&mut self, by: impl FnOnce(&mut Self, usize)) {
        let Some(leader) = self.image.partition("t", 0).unwrap().leader else { return };
        let at = usize::try_from(leader.0).unwrap();
        self.happen(Event::Propose(at));
        by(self, at);
        self.happen(Event::Follow(at, usize::MAX));
        self.happen(Event::ProduceAtLeader);
        let in_sync = self.image.partition("t", 0).unwrap().isr.clone();
        for id in in_sync.repeat(2) {
            self.happen(Event::Copy(usize::try_from(id.0).unwrap()));
        }
    }

    fn move_leader(&mut self) {
        let place = self.image.partition("t", 0).unwrap().clone();
        let Some(leader) = place.leader else { return };
        // One replica alone may lose what it has not flushed.
        if place.replicas.len() < 3 {
            return;
        }
        let at = usize::try_from(leader.0).unwrap();
        let others = place.replicas.iter().filter(|id| **id != leader).map(|id| id.0).collect();
        let (topic, index) = ("t".to_owned(), 0);
        let asked = Reassignment { topic, index, replicas: Some(others) };
        self.decide(|c| c.alter_reassignments(vec![asked], true));
        self.happen(Event::Follow(at, usize::MAX));
        for id in place.replicas.repeat(2) {
            self.happen(Event::Copy(usize::try_from(id.0).unwrap()));
        }
        self.happen(Event::Propose(at));
        if !self.asked.is_empty() {
            self.answer_proposal(self.asked.len() - 1, true);
        }
        self.happen(Event::Produce(at));
        for id in place.isr.repeat(2) {
            self.happen(Event::Copy(usize::try_from(id.0).unwrap()));
        }
    }

    /// The controller decides about a proposal, that may have come late; its answer is heard or lost.
    fn answer_proposal(&mut self, which: usize, is_heard: bool) {
        if self.asked.is_empty() {
            return;
        }
        let which = which % self.asked.len();
        let (leader, epoch) = (self.asked[which].leader, self.asked[which].broker_epoch);
        let request = self.asked[which].request.clone();
        let reply = self.decide(|c| c.alter_partitions(leader, epoch, vec![request]));
        let ignores = self.fault == Fault::TakesAnotherLeaderForRefusal;
        let taken = reply.is_ok_and(|reply| match &reply[0].1 {
            Ok(_) => true,
            Err(error) => error.is_made() && !ignores,
        });
        self.tell_leader(which, is_heard.then_some(taken));
        self.asked.remove(which);
    }

    fn tell_leader(&mut self, which: usize, answer: Option<bool>) {
        let asked = &mut self.asked[which];
        let leader = usize::try_from(asked.leader.0).unwrap();
        let is_awaited = std::mem::take(&mut asked.is_awaited);
        let Some(process) = &mut self.nodes[leader].process else { return };
        let Role::Leader(progress) = &mut process.role else { return };
        if is_awaited && process.incarnation == asked.incarnation {
            match answer {
                Some(taken) => progress.answered(taken),
                None if self.fault == Fault::TakesSilenceForRefusal => progress.answered(false),
                None => progress.unanswered(),
            }
        }
    }

    fn start(&mut self, at: usize) {
        let incarnation = self.name();
        let process = &mut self.nodes[at].process;
        process.get_or_insert_with(|| Process {
            incarnation,
            broker_epoch: None,
            image: Image::default(),
            applied: 0,
            role: Role::None,
            place: None,
            waiting: Vec::new(),
        });
    }

    fn register(&mut self, at: usize) {
        let forgets = self.fault == Fault::ForgetsTheBoot;
        let node = &self.nodes[at];
        let Some(process) = node.process.as_ref().filter(|it| it.broker_epoch.is_none()) else {
            return;
        };
        let id = node.id;
        let known = self.image.broker(id).map_or(-1, |broker| broker.epoch);
        let registration = Registration {
            id,
            incarnation: wire::Uuid(u128::from(process.incarnation).to_be_bytes()),
            directory: wire::Uuid([node.disk.directory; 16]),
            listeners: vec![format!("PLAINTEXT://host-{id}:9092").parse().unwrap()],
            rack: None,
            features: Vec::new(),
            previous_epoch: if forgets { known } else { node.disk.whole_under },
            predecessor_is_alive: false,
            is_controller_only: false,
        };
        let epoch = self.decide(|c| c.register_broker(registration)).unwrap();
        if std::mem::take(&mut self.nodes[at].is_suspect) {
            self.nodes.iter_mut().for_each(|node| node.disk.flush());
        }
        let node = &mut self.nodes[at];
        node.disk.whole_under = epoch;
        node.process.as_mut().unwrap().broker_epoch = Some(epoch);
    }

    fn beat(&mut self, at: usize, want_shut_down: bool) {
        let node = &self.nodes[at];
        let Some(process) = &node.process else { return };
        let Some(epoch) = process.broker_epoch else { return };
        let is_caught_up = process.applied == self.decisions.len();
        let heartbeat =
            Heartbeat { id: node.id, epoch, want_fence: false, want_shut_down, is_caught_up };
        self.let_go();
        let reply = self.decide(|c| c.heartbeat(heartbeat));
        if reply.is_ok_and(|reply| reply.should_shut_down) {
            self.nodes[at].disk.flush();
            self.nodes[at].process = None;
        }
    }

    /// Those go who have obeyed that somebody else leads.
    fn let_go(&mut self) {
        let (image, settings) = (&self.image, &self.settings);
        let mut departures = Controller { image, settings }.departures();
        let has_obeyed = |node: &Node| {
            node.process.as_ref().is_some_and(|it| it.applied == self.decisions.len())
        };
        let obeyed = |id: BrokerId| self.nodes.iter().any(|it| it.id == id && has_obeyed(it));
        departures.retain(|it| obeyed(it.broker));
        self.decide(|c| c.let_go(&departures));
    }

    /// One machine is down at once: the last one that crashed has registered again, and everybody has
    /// flushed since.
    fn may_crash(&self) -> bool {
        self.fault == Fault::TwoMachines || self.nodes.iter().all(|node| !node.is_suspect)
    }

    /// A disk is lost for good, so somebody else must have what is committed.
    fn may_lose_disk(&self, at: usize) -> bool {
        let place = self.image.partition("t", 0).unwrap();
        let mut holders = place.isr.iter().chain(&place.elr);
        holders.any(|id| *id != self.nodes[at].id) && self.may_crash()
    }

    fn crashed(&mut self, at: usize) {
        self.nodes[at].process = None;
        self.nodes[at].is_suspect = true;
    }

    /// Nothing fails any more; everything that is to be done is done.
    pub(crate) fn heal(&mut self) {
        for at in 0..4 {
            // One that was about to stop does.
            if self.image.broker(self.nodes[at].id).unwrap().in_controlled_shutdown {
                self.happen(Event::Kill(at));
            }
            self.bring_up(at);
        }
        for _ in 0..60 {
            self.happen(Event::Pass);
            for at in 0..4 {
                self.happen(Event::Beat(at));
                self.happen(Event::Follow(at, usize::MAX));
                self.happen(Event::SendFetch(at));
                self.happen(Event::AnswerFetch(0, 100));
                self.happen(Event::TakeFetched(0));
                self.happen(Event::Propose(at));
                self.happen(Event::Decide(0, true));
            }
        }
    }
}
