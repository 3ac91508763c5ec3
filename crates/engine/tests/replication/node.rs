//! A broker of the model: what survives its process, its machine, its disk; and the process.

use std::time::Duration;

use engine::log::{Epochs, LogState};
use engine::metadata::{Image, Partition};
use engine::replication::follower::{Answer, Follow, Step};
use engine::replication::leader::{Begin, Fetched, Progress, Proposal};
use engine::{BrokerId, LeaderEpoch, Now, Offset};
use wire::ErrorCode;

pub(crate) const MIN_ISR: i32 = 2;
pub(crate) const LAG_MAX: Duration = Duration::from_secs(10);

/// A record: the epoch of its leader, and a value that no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u64,
}

/// What is stored. A process that dies leaves all of it, a machine what was flushed, a disk nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) directory: u8,
    pub(crate) log: Vec<Entry>,
    pub(crate) epochs: Epochs,
    pub(crate) flushed: usize,
    /// The broker epoch under which the log is whole, unless the machine has crashed since.
    pub(crate) whole_under: i64,
    pub(crate) watermark: Offset,
}

impl Disk {
    pub(crate) fn end(&self) -> Offset {
        self.log.len() as Offset
    }

    pub(crate) fn flush(&mut self) {
        self.flushed = self.log.len();
    }

    pub(crate) fn crash(&mut self) {
        self.cut(self.flushed);
        self.whole_under = -1;
    }

    fn append(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.epochs.assign(entry.epoch, self.end());
            self.log.push(*entry);
        }
    }

    fn cut(&mut self, to: usize) {
        self.log.truncate(to);
        self.epochs.truncate_end(to as Offset);
        self.flushed = self.flushed.min(to);
        self.watermark = self.watermark.min(to as Offset);
    }

    /// The epoch of the last record.
    fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.epoch_of(self.end() - 1)
    }
}

/// A Fetch under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    pub(crate) from: BrokerId,
    pub(crate) to: BrokerId,
    pub(crate) incarnation: u64,
    pub(crate) broker_epoch: i64,
    leader_epoch: LeaderEpoch,
    offset: Offset,
    pub(crate) last_epoch: Option<LeaderEpoch>,
}

/// The answer to it.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) fetch: Fetch,
    answer: Answer,
    entries: Vec<Entry>,
    watermark: Offset,
}

pub(crate) enum Role {
    None,
    Leader(Progress),
    Follower(Follow),
}

/// A running broker.
pub(crate) struct Process {
    pub(crate) incarnation: u64,
    /// Its registration, once it has one.
    pub(crate) broker_epoch: Option<i64>,
    /// The metadata as far as it has followed them.
    pub(crate) image: Image,
    pub(crate) applied: usize,
    pub(crate) role: Role,
    pub(crate) place: Option<Partition>,
    /// Records whose producers wait.
    pub(crate) waiting: Vec<(Offset, u64)>,
}

pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) disk: Disk,
    pub(crate) process: Option<Process>,
    /// Whether its log may lack records, and the controller does not know yet.
    pub(crate) is_suspect: bool,
}

impl Node {
    /// Takes the role that the metadata give. Metadata from before its registration give none: they speak
    /// of the process before, which may have had a longer log.
    pub(crate) fn follow_metadata(&mut self, trusts_old_metadata: bool) {
        let Some(process) = &mut self.process else { return };
        let known = process.image.broker(self.id).map(|broker| broker.epoch);
        let is_own = known.is_some() && known == process.broker_epoch;
        let place = process.image.partition("t", 0).filter(|_| is_own || trusts_old_metadata);
        let same = |old: &Partition, new: &Partition| {
            (old.leader, old.leader_epoch) == (new.leader, new.leader_epoch)
        };
        if let (Some(old), Some(new)) = (&process.place, place)
            && same(old, new)
        {
            if let Role::Leader(progress) = &mut process.role {
                progress.configured(new);
            }
            process.place = place.cloned();
            return;
        }
        process.waiting.clear();
        process.role = match place {
            Some(place) if place.leader == Some(self.id) => {
                let (start, high_watermark) = (self.disk.end(), self.disk.watermark);
                self.disk.epochs.assign(place.leader_epoch, start);
                let begin = Begin { me: self.id, place, start, high_watermark };
                Role::Leader(Progress::new(begin))
            }
            Some(place) if place.leader.is_some() => {
                Role::Follower(Follow::new(place.leader_epoch))
            }
            _ => Role::None,
        };
        process.place = place.cloned();
    }

    /// A record of a producer with `acks=all`.
    pub(crate) fn produce(&mut self, value: u64) {
        let Some(Process { role: Role::Leader(_), place: Some(place), waiting, .. }) =
            &mut self.process
        else {
            return;
        };
        if place.isr.len() >= MIN_ISR as usize {
            waiting.push((self.disk.end(), value));
            self.disk.append(&[Entry { epoch: place.leader_epoch, value }]);
        }
    }

    /// What is acknowledged now.
    pub(crate) fn acknowledge(&mut self) -> Vec<(Offset, u64)> {
        let end = self.disk.end();
        let Some(Process { role: Role::Leader(progress), waiting, .. }) = &mut self.process else {
            return Vec::new();
        };
        let watermark = progress.high_watermark(end, MIN_ISR);
        assert!(watermark >= self.disk.watermark.min(end), "a watermark never goes back");
        self.disk.watermark = watermark;
        let (done, left) = waiting.iter().partition(|(offset, _)| *offset < watermark);
        *waiting = left;
        done
    }

    pub(crate) fn fetch(&self, now: Now) -> Option<Fetch> {
        let process = self.process.as_ref()?;
        let Role::Follower(follow) = &process.role else { return None };
        follow.may_fetch(now).then_some(Fetch {
            from: self.id,
            to: process.place.as_ref()?.leader?,
            incarnation: process.incarnation,
            broker_epoch: process.broker_epoch?,
            leader_epoch: follow.leader_epoch(),
            offset: self.disk.end(),
            last_epoch: self.disk.last_epoch(),
        })
    }

    /// Answers a Fetch with at most `max` records.
    pub(crate) fn answer(&mut self, fetch: Fetch, max: usize, now: Now) -> Option<Answered> {
        let end = self.disk.end();
        let process = self.process.as_mut()?;
        let mut answer = Answer { error: ErrorCode::None, diverging: None, log_start: 0 };
        let mut entries = Vec::new();
        match (&mut process.role, &process.place) {
            (Role::Leader(progress), Some(place)) if place.leader_epoch == fetch.leader_epoch => {
                let last = fetch.last_epoch;
                let found = last.and_then(|last| self.disk.epochs.end_offset_for(last, end));
                answer.diverging =
                    found.filter(|(epoch, end)| Some(*epoch) < last || *end < fetch.offset);
                if answer.diverging.is_none() && fetch.offset > end {
                    answer.error = ErrorCode::OffsetOutOfRange;
                } else if answer.diverging.is_none() {
                    progress.fetched(Fetched {
                        follower: fetch.from,
                        broker_epoch: fetch.broker_epoch,
                        offset: fetch.offset,
                        start: 0,
                        end,
                        may_join: process.image.is_active(fetch.from),
                        now,
                    });
                    let rest = &self.disk.log[usize::try_from(fetch.offset).unwrap()..];
                    entries = rest[..rest.len().min(max)].to_vec();
                }
            }
            _ => answer.error = ErrorCode::FencedLeaderEpoch,
        }
        Some(Answered { fetch, answer, entries, watermark: self.disk.watermark })
    }

    /// Takes the answer, if this is still who asked and nothing has changed since.
    pub(crate) fn take(&mut self, fetched: Answered, now: Now) {
        let Answered { fetch, answer, entries, watermark } = fetched;
        let (end, known) = (self.disk.end(), self.disk.watermark);
        let Some(process) = &mut self.process else { return };
        let Role::Follower(follow) = &mut process.role else { return };
        let asked = (fetch.incarnation, fetch.leader_epoch, fetch.offset);
        if asked != (process.incarnation, follow.leader_epoch(), end) {
            return;
        }
        match follow.answered(&answer, &LogState::new(0, end, known), &self.disk.epochs, now) {
            Step::Nothing => {}
            Step::Append => {
                self.disk.append(&entries);
                self.disk.watermark = known.max(watermark.min(self.disk.end()));
            }
            Step::Cut { to, is_committed } => {
                assert!(!is_committed, "nothing that was committed is cut");
                self.disk.cut(usize::try_from(to).unwrap());
            }
            Step::StartAgain { .. } => panic!("all logs begin at 0"),
        }
    }

    pub(crate) fn propose(&mut self, now: Now) -> Option<Proposal> {
        let end = self.disk.end();
        let process = self.process.as_mut()?;
        let Role::Leader(progress) = &mut process.role else { return None };
        let may_join = |id| process.image.is_active(id);
        progress.proposal(end, now, LAG_MAX, &may_join)
    }
}
