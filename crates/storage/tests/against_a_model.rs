//! Whatever happens to a log, it holds what a list of batches would: on a disk that tears and forgets
//! what was not synced, under kills, power losses, failed writes and a full volume.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::path::PathBuf;
use std::sync::Arc;

use engine::Offset;
use engine::log::LogConfig;
use harness::{House, NOW_MS, now, small};
use proptest::prelude::*;
use storage::FlushJob;
use world::simulated::{HostId, Simulation, SimulationOptions};

#[derive(Clone, Debug)]
enum Op {
    /// Queue batches of so many records of such a size, then write.
    Append {
        batches: Vec<(usize, usize)>,
    },
    Flush {
        /// As one of many.
        together: bool,
    },
    /// The volume fails at the first sync, then the machine loses power, or the process ends.
    FailedFlush {
        together: bool,
        power_loss: bool,
    },
    Read {
        from: u8,
        max_bytes: usize,
    },
    ForgetTail,
    Truncate {
        to: u8,
    },
    AdvanceStart {
        to: u8,
    },
    Kill,
    PowerLoss,
    Close,
    FailedWrite {
        batches: Vec<(usize, usize)>,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let batches = || prop::collection::vec((1..4usize, 1..400usize), 1..5);
    prop_oneof![
        8 => batches().prop_map(|batches| Op::Append { batches }),
        3 => any::<bool>().prop_map(|together| Op::Flush { together }),
        1 => any::<(bool, bool)>()
            .prop_map(|(together, power_loss)| Op::FailedFlush { together, power_loss }),
        4 => (any::<u8>(), 1..2000usize).prop_map(|(from, max_bytes)| Op::Read { from, max_bytes }),
        1 => Just(Op::ForgetTail),
        1 => any::<u8>().prop_map(|to| Op::Truncate { to }),
        1 => any::<u8>().prop_map(|to| Op::AdvanceStart { to }),
        1 => Just(Op::Kill),
        2 => Just(Op::PowerLoss),
        1 => Just(Op::Close),
        1 => batches().prop_map(|batches| Op::FailedWrite { batches }),
    ]
}

/// What the log must hold.
#[derive(Default)]
struct Model {
    /// Base offset and values.
    batches: Vec<(Offset, Vec<String>)>,
    start: Offset,
    end: Offset,
    /// Everything below survives a power loss.
    safe: Offset,
    count: usize,
}

impl Model {
    fn records(&self, from: Offset) -> Vec<(Offset, String)> {
        let all =
            self.batches.iter().flat_map(|(base, values)| (*base..).zip(values.iter().cloned()));
        all.filter(|(offset, _)| *offset >= from).collect()
    }

    /// The log ends here now: between batches.
    fn cut(&mut self, end: Offset) {
        self.batches.retain(|(base, values)| base + values.len() as i64 <= end);
        let last = self.batches.last().map(|(base, values)| base + values.len() as i64);
        self.end = last.unwrap_or(self.start).max(self.start);
        self.safe = self.safe.min(self.end);
    }

    fn at(&self, percent: u8) -> Offset {
        self.start + (self.end - self.start) * i64::from(percent) / 255
    }
}

struct Run {
    simulation: Simulation,
    host: HostId,
    house: House,
    model: Model,
    sequence: i32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let simulation = Simulation::new(SimulationOptions::new(seed));
        let host = simulation.add_host("broker");
        let disk = simulation.world(host).disk;
        let config = LogConfig { segment_bytes: 3000, ..small() };
        let house = House::on(disk, PathBuf::from("/data"), config);
        Self { simulation, host, house, model: Model::default(), sequence: 0 }
    }

    fn queue(&mut self, batches: &[(usize, usize)]) -> Vec<(Offset, Vec<String>)> {
        let mut queued = Vec::new();
        for (records, size) in batches {
            self.model.count += 1;
            let tag = self.model.count;
            let values: Vec<String> =
                (0..*records).map(|index| format!("{tag}.{index}.{}", "x".repeat(*size))).collect();
            let values_ref: Vec<&str> = values.iter().map(String::as_str).collect();
            let batch = House::batch(&values_ref, NOW_MS).producer(1, 0, self.sequence);
            let admitted = self.house.admit(&batch).unwrap();
            assert!(!admitted.is_duplicate);
            self.sequence += i32::try_from(*records).unwrap();
            queued.push((admitted.base_offset, values));
        }
        queued
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Append { batches } => {
                let queued = self.queue(&batches);
                let written = self.house.log.write(now()).unwrap();
                self.house.log.advance_high_watermark(written.end);
                self.model.end = written.end;
                self.model.batches.extend(queued);
            }
            Op::FailedWrite { batches } => self.failed_write(&batches),
            Op::FailedFlush { together, power_loss } => self.failed_flush(together, power_loss),
            Op::Flush { together } => {
                if together {
                    self.house.flush_together();
                } else {
                    self.house.flush();
                }
                self.model.safe = self.house.log.flushed_offset();
                assert_eq!(self.model.safe, self.model.end);
            }
            Op::Read { from, max_bytes } => {
                let from = self.model.at(from);
                let got = harness::records_of(&self.house.read(from, max_bytes).unwrap());
                let expected = self.model.records(from);
                assert_eq!(got.is_empty(), expected.is_empty());
                let got: Vec<_> = got.into_iter().filter(|(offset, _)| *offset >= from).collect();
                assert_eq!(got[..], expected[..got.len()]);
            }
            Op::ForgetTail => {
                self.house.log.trim_tail(0);
                self.house.log.release_files();
            }
            Op::Truncate { to } => {
                let to = self.model.at(to);
                let end = self.house.log.truncate_to(to).unwrap();
                self.house.checkpoint();
                self.model.cut(to);
                assert_eq!(end, self.model.end);
                self.resume_sequence();
            }
            Op::AdvanceStart { to } => {
                self.model.start = self.model.at(to);
                let job = self.house.log.advance_start(self.model.start);
                self.house.checkpoint();
                if let Some(job) = job {
                    job.run().unwrap();
                }
            }
            Op::Kill => self.restart(false),
            Op::PowerLoss => self.restart(true),
            Op::Close => self.close(),
        }
        self.check();
    }

    /// After a clean stop every index agrees with its log.
    fn check_files(&self) {
        if self.house.log.segment_count() == 0 {
            return;
        }
        storage::dump::dump(&*self.house.disk, &self.house.folder(), &mut |line| {
            if let storage::dump::Line::Problem { path, problem } = line {
                panic!("{}: {problem}", path.display());
            }
        })
        .unwrap();
    }

    fn failed_write(&mut self, batches: &[(usize, usize)]) {
        self.queue(batches);
        self.simulation.disk(self.host).fail_writes(1);
        assert!(self.house.log.write(now()).is_err());
        self.simulation.disk(self.host).fail_writes(0);
        // A write error takes the log out of service; nothing of the round is in it.
        assert!(self.house.log.failure().is_some());
        assert_eq!(self.house.log.state().end(), self.model.end);
        self.restart(false);
    }

    fn failed_flush(&mut self, together: bool, power_loss: bool) {
        if self.house.log.segment_count() == 0 {
            // Whether such a log has anything to sync, its folder for one, is not promised.
            return;
        }
        let Some(mut job) = self.house.log.flush_job() else { return };
        self.simulation.disk(self.host).fail_syncs(1);
        let root = self.house.root.clone();
        let failed = if together {
            FlushJob::run_all(&mut [job], &root).is_err()
        } else {
            job.run().is_err()
        };
        assert!(failed, "a sync has failed");
        self.house.dir.distrust();
        self.restart_with(power_loss, true);
    }

    fn restart(&mut self, power_loss: bool) {
        self.restart_with(power_loss, power_loss);
    }

    fn restart_with(&mut self, power_loss: bool, loses: bool) {
        if power_loss {
            self.simulation.power_loss(self.host);
        } else {
            self.simulation.kill(self.host);
        }
        let disk = self.simulation.world(self.host).disk;
        self.replace(|house| house.restart_on(disk).unwrap().0);
        let end = self.house.log.state().end();
        assert!(end >= self.model.safe, "flushed to {}, found {end}", self.model.safe);
        if loses {
            self.model.cut(end);
            self.model.start = self.house.log.state().start();
            self.model.end = end;
        }
        self.resume_sequence();
    }

    fn close(&mut self) {
        self.replace(|house| {
            let (house, recovered) = house.close();
            assert_eq!((recovered.verified_bytes, recovered.truncated), (0, None));
            house
        });
        self.model.safe = self.model.end;
        self.check_files();
    }

    fn replace(&mut self, with: impl FnOnce(House) -> House) {
        // A house that is not used: the disk of another host.
        let spare = Simulation::new(SimulationOptions::new(0));
        let disk = spare.world(spare.add_host("spare")).disk;
        let spare = House::on(disk, PathBuf::from("/spare"), small());
        let house = std::mem::replace(&mut self.house, spare);
        self.house = with(house);
        self.house.log.advance_high_watermark(self.house.log.state().end());
    }

    /// The next sequence is what the log says, and what the model says if it has any batch.
    fn resume_sequence(&mut self) {
        let known = self.house.log.producers().get(1);
        self.sequence = known.map_or(0, |producer| producer.last_sequence() + 1);
    }

    fn check(&mut self) {
        let state = *self.house.log.state();
        assert_eq!((state.start(), state.end()), (self.model.start, self.model.end));
        let found = self.house.records(state.start());
        assert_eq!(found, self.model.records(state.start()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
     })]

    #[test]
    fn a_log_holds_what_a_list_would(
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        run(seed, ops);
    }
}

#[test]
fn a_full_volume_refuses_appends_and_takes_them_again_when_there_is_room() {
    let simulation = Simulation::new(SimulationOptions::new(1));
    let host = simulation.add_host("broker");
    let inner = simulation.clone();
    simulation.run(async move {
        let disk: Arc<dyn world::Disk> = inner.world(host).disk;
        let mut house = House::on(disk, PathBuf::from("/data"), LogConfig::default());
        house.append(&House::batch(&["a"], NOW_MS).producer(1, 0, 0));
        inner.disk(host).set_capacity(1000);
        let large = "x".repeat(3000);
        house.admit(&House::batch(&[large.as_str()], NOW_MS).producer(1, 0, 1)).unwrap();
        let error = house.log.write(now()).unwrap_err();
        assert!(matches!(error, storage::AppendError::DiskFull { .. }), "{error}");
        assert_eq!(house.log.failure(), None);
        inner.disk(host).set_capacity(1 << 20);
        // The sequence was taken back with the batch.
        let again = house.append(&House::batch(&["b"], NOW_MS).producer(1, 0, 1));
        assert_eq!((again.base_offset, again.is_duplicate), (1, false));
        assert_eq!(house.records(0).len(), 2);
    });
}

fn run(seed: u64, ops: Vec<Op>) {
    let mut run = Run::new(seed);
    let simulation = run.simulation.clone();
    simulation.run(async move { ops.into_iter().for_each(|op| run.step(op)) });
}

fn append(batches: &[(usize, usize)]) -> Op {
    Op::Append { batches: batches.to_vec() }
}

/// A snapshot was left of a producer whose later batches are gone with the log; it named sequences that the
/// next log uses again.
#[test]
fn a_log_that_begins_again_knows_no_producer_of_the_lost_one() {
    let ops = vec![
        append(&[(3, 37), (3, 354), (3, 272)]),
        append(&[(3, 194), (2, 1), (3, 1)]),
        append(&[(2, 1), (2, 1), (3, 1), (1, 1)]),
        Op::Flush { together: false },
        append(&[(2, 1)]),
        Op::AdvanceStart { to: 76 },
        append(&[(1, 1)]),
        append(&[(1, 1), (3, 1)]),
        Op::FailedWrite { batches: vec![(1, 1)] },
        Op::AdvanceStart { to: 192 },
        Op::PowerLoss,
        Op::Kill,
        append(&[(2, 1), (1, 1)]),
        Op::FailedWrite { batches: vec![(1, 1)] },
        append(&[(3, 1), (3, 1)]),
    ];
    run(3_833_179_910_079_733_231, ops);
}

/// The snapshot of the last roll was not on disk yet when the log was cut.
#[test]
fn a_cut_forgets_no_producer_of_what_stays() {
    let ops = vec![
        append(&[(1, 1), (3, 86), (2, 355), (2, 375)]),
        append(&[(1, 373), (1, 385), (3, 43), (3, 255)]),
        Op::Flush { together: false },
        append(&[(1, 64), (3, 184), (3, 172)]),
        append(&[(2, 1)]),
        Op::AdvanceStart { to: 204 },
        Op::Truncate { to: 51 },
        Op::Close,
        append(&[(1, 1)]),
    ];
    run(0, ops);
}

/// All of it was flushed before the segment was sealed, so its index was not; its beginning was on disk.
#[test]
fn an_index_that_was_never_synced_is_not_believed() {
    let ops = vec![
        append(&[(3, 274), (3, 218), (2, 142)]),
        append(&[(1, 16), (3, 60)]),
        Op::Flush { together: false },
        append(&[(2, 229)]),
        Op::PowerLoss,
        Op::Close,
        Op::PowerLoss,
        Op::Close,
    ];
    run(13_654_319_241_435_725_199, ops);
}
