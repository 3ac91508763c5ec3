//! A broker: what survives its process, its machine and its disk; and the process.
//!
//! It carries out what [`Progress`] and [`Follow`] say, as `broker/src/partition/replica.rs` does.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use engine::log::{Epochs, LogState};
use engine::metadata::Partition;
use engine::replication::follower::{Answer, Follow, Step};
use engine::replication::leader::{Begin, Fetched, Progress, Proposal};
use engine::{BrokerId, LeaderEpoch, Now, Offset};
use wire::ErrorCode;

use crate::mutant::Mutant;
use crate::scenario::Durability;

/// `min.insync.replicas`.
pub(crate) const MIN_ISR: usize = 2;
/// `replica.lag.time.max.ms`. The model's clock moves by hours, so one tick is too long a silence.
const LAG_MAX: Duration = Duration::from_secs(30);
/// The leader's pause after a refusal, which the model does not wait for.
const PAUSE: Duration = Duration::from_millis(250);

/// A record: the epoch of its leader, and a value that no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u8,
}

/// What is stored. A process that dies leaves all of it but the watermark, a machine what was flushed, a
/// disk nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// Its directory id: another one is another disk.
    pub(crate) directory: u8,
    pub(crate) log: Vec<Entry>,
    epochs: Epochs,
    /// Up to here the log is known to be flushed; what is behind it may be, or not.
    pub(crate) flushed: usize,
    /// The broker epoch under which the log is whole; -1 after the machine has crashed (`proof.rs`).
    pub(crate) whole_under: i64,
    /// Whether the last process has closed the log: then a crash of the machine takes nothing.
    pub(crate) is_closed: bool,
    pub(crate) watermark: Offset,
}

impl Disk {
    pub(crate) fn end(&self) -> Offset {
        Offset::try_from(self.log.len()).expect("a few records")
    }

    pub(crate) fn get(&self, offset: Offset) -> Option<&Entry> {
        self.log.get(index(offset))
    }

    fn append(&mut self, entry: Entry) {
        self.epochs.assign(entry.epoch, self.end());
        self.log.push(entry);
    }

    /// How many records may be left after a power loss.
    pub(crate) fn kept(&self) -> RangeInclusive<usize> {
        let least = if self.is_closed { self.log.len() } else { self.flushed };
        least..=self.log.len()
    }

    pub(crate) fn flush(&mut self) {
        self.flushed = self.log.len();
    }

    pub(crate) fn cut(&mut self, to: usize) {
        self.log.truncate(to);
        let end = self.end();
        self.epochs.truncate_end(end);
        self.flushed = self.flushed.min(to);
        self.watermark = self.watermark.min(end);
    }

    /// The epoch that a Fetch names: that of the last record.
    fn last_epoch(&self, mutant: Option<Mutant>) -> Option<LeaderEpoch> {
        if mutant == Some(Mutant::NamesEmptyEpochs) {
            return self.epochs.latest().map(|latest| latest.epoch);
        }
        self.epochs.epoch_of(self.end() - 1)
    }
}

/// The metadata as far as a broker has followed them, without what does not concern it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    pub(crate) place: Arc<Partition>,
    /// The registration that they have of this broker.
    pub(crate) epoch: i64,
    pub(crate) is_fenced: bool,
}

/// What a process is to the partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Waiting,
    Leader(Progress),
    Follower(LeaderEpoch),
}

/// A running broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its registration.
    pub(crate) epoch: i64,
    /// The place that gives it its role; none before the metadata know its registration.
    pub(crate) place: Option<Arc<Partition>>,
    pub(crate) role: Role,
    /// The records whose producers wait, with `acks=all`.
    waiting: Vec<Offset>,
    /// The leader's watermark, as it told last.
    told: Offset,
    pub(crate) is_stopping: bool,
}

/// A broker, running or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) disk: Disk,
    /// The metadata that it has followed. What its predecessor followed is worth nothing to a process.
    pub(crate) known: Option<Known>,
    pub(crate) process: Option<Process>,
    /// Whether its log may lack records and the controller does not know yet.
    pub(crate) is_suspect: bool,
}

/// A follower asks for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fetch {
    from: BrokerId,
    pub(crate) to: BrokerId,
    broker_epoch: i64,
    pub(crate) leader_epoch: LeaderEpoch,
    offset: Offset,
    last_epoch: Option<LeaderEpoch>,
}

/// The answer, with at most one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetchable {
    answer: Answer,
    entry: Option<Entry>,
    pub(crate) watermark: Offset,
}

impl Node {
    /// A broker that runs, with an empty log.
    pub(crate) fn new(id: BrokerId, known: Known) -> Self {
        let mut node =
            Self { id, disk: Disk::default(), known: None, process: None, is_suspect: false };
        node.start(known.epoch);
        node.follow(known, None);
        node
    }

    /// A process starts, has flushed what it found (`broker/src/shard/logs.rs`), and has registered.
    pub(crate) fn start(&mut self, epoch: i64) {
        self.disk.flush();
        self.disk.whole_under = epoch;
        self.disk.is_closed = false;
        self.process = Some(Process {
            epoch,
            place: None,
            role: Role::Waiting,
            waiting: Vec::new(),
            told: 0,
            is_stopping: false,
        });
    }

    /// What it knows of its followers, if it believes that it leads.
    pub(crate) fn leads(&self) -> Option<&Progress> {
        match &self.process.as_ref()?.role {
            Role::Leader(progress) => Some(progress),
            Role::Waiting | Role::Follower(_) => None,
        }
    }

    /// The process is gone, and with it what nobody has written down: the checkpoint of the watermark may be
    /// as old as it likes.
    pub(crate) fn die(&mut self, mutant: Option<Mutant>) {
        self.process = None;
        self.disk.watermark = 0;
        if mutant != Some(Mutant::TrustsOldMetadata) {
            self.known = None;
        }
    }

    /// In which epoch it believes that it leads.
    pub(crate) fn leads_in(&self) -> Option<LeaderEpoch> {
        self.leads()?;
        Some(self.process.as_ref()?.place.as_ref()?.leader_epoch)
    }

    /// The process stops in order.
    pub(crate) fn close(&mut self, mutant: Option<Mutant>) {
        let watermark = self.disk.watermark;
        self.disk.flush();
        self.disk.is_closed = true;
        self.die(mutant);
        self.disk.watermark = watermark;
    }

    /// The machine loses power, with this many records on its disk.
    pub(crate) fn lose_power(&mut self, kept: usize, mutant: Option<Mutant>) {
        if !self.disk.is_closed {
            self.is_suspect = true;
            self.disk.cut(kept);
            if mutant != Some(Mutant::ForgetsTheBoot) {
                self.disk.whole_under = -1;
            }
        }
        self.die(mutant);
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn lose_disk(&mut self, mutant: Option<Mutant>) {
        self.is_suspect = true;
        self.disk = Disk { directory: self.disk.directory + 1, whole_under: -1, ..Disk::default() };
        self.die(mutant);
    }

    /// Whether consumers may read here.
    pub(crate) fn is_serving(&self) -> bool {
        self.leads().is_some_and(Progress::is_serving)
    }

    /// Whether a producer waits for its acknowledgement.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.waiting.is_empty())
    }

    /// The metadata are another: takes the role that they give. Metadata from before its registration give
    /// none: they speak of the process before, which may have had a longer log.
    pub(crate) fn follow(&mut self, known: Known, mutant: Option<Mutant>) {
        let Some(process) = &mut self.process else { return };
        let is_own = known.epoch == process.epoch || mutant == Some(Mutant::TrustsOldMetadata);
        let mut place = is_own.then(|| Arc::clone(&known.place));
        if !known.place.replicas.contains(&self.id) {
            // Its folder is deleted.
            self.disk.cut(0);
        }
        self.known = Some(known);
        if let Some(place) = &mut place
            && matches!(mutant, Some(Mutant::CommitsBelowMin | Mutant::KeepsEligible))
        {
            Arc::make_mut(place).elr.clear();
        }
        let role = |place: &Arc<Partition>| {
            (place.leader, place.leader_epoch, place.replicas.contains(&self.id))
        };
        let same = |old: &Arc<Partition>, new: &Arc<Partition>| role(old) == role(new);
        if let (Some(old), Some(new)) = (&process.place, &place)
            && same(old, new)
        {
            if let Role::Leader(progress) = &mut process.role {
                progress.configured(new);
            }
            process.place = place;
            return;
        }
        process.role = match &place {
            Some(place) if place.leader == Some(self.id) => {
                let (start, high_watermark) = (self.disk.end(), self.disk.watermark);
                self.disk.epochs.assign(place.leader_epoch, start);
                Role::Leader(Progress::new(Begin { me: self.id, place, start, high_watermark }))
            }
            Some(place) if place.leader.is_some() && place.replicas.contains(&self.id) => {
                Role::Follower(place.leader_epoch)
            }
            _ => Role::Waiting,
        };
        if !matches!(process.role, Role::Leader(_)) {
            process.waiting.clear();
            if mutant == Some(Mutant::CutsToWatermark) {
                self.disk.cut(index(self.disk.watermark));
            }
        }
        process.place = place;
    }

    /// Takes a record of a producer with `acks=all`, if it leads and enough are in sync; says whether it did.
    pub(crate) fn produce(&mut self, value: u8, mutant: Option<Mutant>) -> bool {
        let Some(Process { role: Role::Leader(_), place: Some(place), waiting, .. }) =
            &mut self.process
        else {
            return false;
        };
        if place.isr.len() < MIN_ISR && mutant != Some(Mutant::CommitsBelowMin) {
            return false;
        }
        waiting.push(self.disk.end());
        self.disk.append(Entry { epoch: place.leader_epoch, value });
        true
    }

    /// Moves the watermark of a leader; the records that are acknowledged now.
    pub(crate) fn advance(
        &mut self,
        durability: Durability,
        mutant: Option<Mutant>,
    ) -> Vec<Offset> {
        let vouched = match durability {
            Durability::Replicated => self.disk.end(),
            Durability::Fsync => Offset::try_from(self.disk.flushed).expect("a few records"),
        };
        let Some(Process { role: Role::Leader(progress), place: Some(place), waiting, .. }) =
            &mut self.process
        else {
            return Vec::new();
        };
        let min_isr = if mutant == Some(Mutant::CommitsBelowMin) { 1 } else { MIN_ISR };
        let mut watermark =
            progress.high_watermark(vouched, i32::try_from(min_isr).expect("a few replicas"));
        if mutant == Some(Mutant::ForgetsTheProposed) {
            let have = progress.holders().map(|holder| holder.end).chain([vouched]);
            let all_have_told = progress.holders().count() + 1 == place.isr.len();
            if all_have_told && place.isr.len() >= MIN_ISR && place.elr.is_empty() {
                watermark = have.min().unwrap_or(watermark).max(watermark);
            }
        }
        self.disk.watermark = self.disk.watermark.max(watermark);
        let is_acknowledged =
            |offset: &Offset| *offset < watermark || mutant == Some(Mutant::AcksAlone);
        let (done, left) = waiting.iter().copied().partition(is_acknowledged);
        *waiting = left;
        done
    }

    /// Whether it is in sync, as far as it knows.
    pub(crate) fn is_in_sync(&self) -> bool {
        let place = self.process.as_ref().and_then(|process| process.place.as_ref());
        place.is_some_and(|place| place.isr.contains(&self.id))
    }

    /// Asks its leader for what comes next.
    pub(crate) fn fetch(&self, durability: Durability, mutant: Option<Mutant>) -> Option<Fetch> {
        let process = self.process.as_ref()?;
        let Role::Follower(leader_epoch) = process.role else { return None };
        let may_be_unflushed = match durability {
            _ if !self.is_in_sync() && mutant != Some(Mutant::JoinsUnflushed) => {
                self.disk.end() < process.told
            }
            Durability::Replicated => true,
            Durability::Fsync => false,
        };
        let is_vouched = may_be_unflushed || self.disk.flushed == self.disk.log.len();
        is_vouched.then_some(Fetch {
            from: self.id,
            to: process.place.as_ref()?.leader?,
            broker_epoch: process.epoch,
            leader_epoch,
            offset: self.disk.end(),
            last_epoch: self.disk.last_epoch(mutant),
        })
    }

    /// Answers a Fetch, as `broker/src/api/data/fetch.rs` does, if it leads in that epoch.
    pub(crate) fn answer(
        &mut self,
        fetch: Fetch,
        now: Now,
        mutant: Option<Mutant>,
    ) -> Option<Fetchable> {
        let end = self.disk.end();
        let Process { role: Role::Leader(progress), place: Some(place), .. } =
            self.process.as_mut()?
        else {
            return None;
        };
        (place.leader_epoch == fetch.leader_epoch).then_some(())?;
        let mut answer = Answer { error: ErrorCode::None, diverging: None, log_start: 0 };
        let found = fetch.last_epoch.and_then(|last| self.disk.epochs.end_offset_for(last, end));
        if mutant != Some(Mutant::IgnoresDivergence) {
            let diverges =
                |(epoch, end): &(_, _)| Some(*epoch) < fetch.last_epoch || *end < fetch.offset;
            answer.diverging = found.filter(diverges);
        }
        let mut entry = None;
        if answer.diverging.is_none() && fetch.offset > end {
            answer.error = ErrorCode::OffsetOutOfRange;
        } else if answer.diverging.is_none() {
            let joins_early =
                mutant == Some(Mutant::JoinsEarly) && !progress.is_in_sync(fetch.from);
            progress.fetched(Fetched {
                follower: fetch.from,
                broker_epoch: fetch.broker_epoch,
                offset: if joins_early { end } else { fetch.offset },
                start: 0,
                end,
                may_join: true,
                now,
            });
            entry = self.disk.get(fetch.offset).copied();
        }
        Some(Fetchable { answer, entry, watermark: self.disk.watermark })
    }

    /// Takes the answer; says whether it has cut what it knew to be committed.
    pub(crate) fn take(&mut self, fetched: Fetchable, now: Now) -> bool {
        let Fetchable { answer, entry, watermark } = fetched;
        let (end, known) = (self.disk.end(), self.disk.watermark);
        let Some(Process { role: Role::Follower(epoch), told, .. }) = &mut self.process else {
            return false;
        };
        let log = LogState::new(0, end, known);
        match Follow::new(*epoch).answered(&answer, &log, &self.disk.epochs, now) {
            Step::Nothing => {}
            Step::Append => {
                *told = watermark;
                entry.into_iter().for_each(|entry| self.disk.append(entry));
                self.disk.watermark = known.max(watermark.min(self.disk.end()));
            }
            Step::Cut { to, is_committed } => {
                self.disk.cut(index(to));
                return is_committed;
            }
            Step::StartAgain { .. } => unreachable!("all logs begin at 0"),
        }
        false
    }

    /// Who should be in sync, if it leads and that is news.
    pub(crate) fn propose(&mut self, now: Now) -> Option<Proposal> {
        let end = self.disk.end();
        match &mut self.process.as_mut()?.role {
            Role::Leader(progress) => progress.proposal(end, now, LAG_MAX, &|_| true),
            Role::Waiting | Role::Follower(_) => None,
        }
    }

    /// The controller's answer to its proposal, or that there is none.
    pub(crate) fn told(&mut self, taken: Option<bool>, now: Now, mutant: Option<Mutant>) {
        let end = self.disk.end();
        let Some(Process { role: Role::Leader(progress), .. }) = &mut self.process else { return };
        let before = progress.clone();
        match taken {
            Some(taken) => progress.answered(taken),
            None if mutant == Some(Mutant::TakesSilenceForRefusal) => progress.answered(false),
            None => progress.unanswered(),
        }
        if *progress != before {
            // Its pause begins with the next look at it: as if that had been so long ago that it is over.
            let begun = Now { tick: now.tick.saturating_sub(PAUSE), ..now };
            progress.proposal(end, begun, LAG_MAX, &|_| true);
        }
    }
}

/// An offset as the index of its record.
pub(crate) fn index(offset: Offset) -> usize {
    usize::try_from(offset).expect("offsets count from 0")
}
