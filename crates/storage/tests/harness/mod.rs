//! A log dir with one partition, and a model of what must be in it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test file uses its own part of the harness"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::log::LogConfig;
use engine::log::admit::Origin;
use engine::{LeaderEpoch, Now, Offset, TopicPartition};
use storage::{
    Admitted, AppendError, FlushJob, LogDir, OpenError, PartitionLog, Read, ReadError, ReadRequest,
    Recovered,
};
use wire::record::{BatchBuilder, Batches, Codec, Limits, NewRecord};
use world::Disk;
use world::real::RealDisk;

pub const TOPIC_ID: wire::Uuid = wire::Uuid([7; 16]);
pub const NOW_MS: i64 = 1_700_000_000_000;

pub fn now() -> Now {
    Now { wall_ms: NOW_MS, tick: Duration::ZERO }
}

/// Small segments and a dense index, so that little data shows all.
pub fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2048,
        index_interval_bytes: 200,
        retention_ms: None,
        ..LogConfig::default()
    }
}

pub struct House {
    pub disk: Arc<dyn Disk>,
    pub root: PathBuf,
    pub config: Arc<LogConfig>,
    pub dir: LogDir,
    pub log: PartitionLog,
    pub epoch: i32,
    _temp: Option<tempfile::TempDir>,
}

pub fn partition() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

impl House {
    pub fn new(config: LogConfig) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> =
            Arc::new(RealDisk::new(PathBuf::from("/proc/sys/kernel/random/boot_id")));
        let root = temp.path().join("data");
        let mut house = Self::on(disk, root, config);
        house._temp = Some(temp);
        house
    }

    pub fn on(disk: Arc<dyn Disk>, root: PathBuf, config: LogConfig) -> Self {
        let config = Arc::new(config);
        let dir = LogDir::open(disk.clone(), &root).unwrap();
        let (log, _) = dir.load(&partition(), TOPIC_ID, config.clone(), NOW_MS).unwrap();
        Self { disk, root, config, dir, log, epoch: 0, _temp: None }
    }

    pub fn folder(&self) -> PathBuf {
        self.root.join("orders-0")
    }

    pub fn batch(values: &[&str], at_ms: i64) -> BatchBuilder {
        let mut builder = BatchBuilder::new(Codec::None);
        for value in values {
            builder.push(&NewRecord::new("key", value.to_string(), at_ms));
        }
        builder
    }

    pub fn admit(&mut self, builder: &BatchBuilder) -> Result<Admitted, AppendError> {
        self.log.admit(builder.finish(), Origin::Client, LeaderEpoch(self.epoch), now())
    }

    /// Admits and writes; the watermark follows.
    pub fn append(&mut self, builder: &BatchBuilder) -> Admitted {
        let admitted = self.admit(builder).unwrap();
        self.log.write(now()).unwrap();
        self.log.advance_high_watermark(self.log.state().end());
        admitted
    }

    pub fn flush(&mut self) {
        if let Some(mut job) = self.log.flush_job() {
            let ticket = job.run().unwrap();
            self.log.flushed(ticket);
        }
        self.checkpoint();
    }

    pub fn flush_together(&mut self) {
        let mut jobs: Vec<FlushJob> = self.log.flush_job().into_iter().collect();
        for ticket in FlushJob::run_all(&mut jobs, &self.root).unwrap() {
            self.log.flushed(ticket);
        }
        self.checkpoint();
    }

    pub fn checkpoint(&self) {
        self.dir.write_checkpoints(&[self.log.checkpoint()]).unwrap();
    }

    /// The process is gone without a word; the machine stays up.
    pub fn kill(self) -> Result<(Self, Recovered), OpenError> {
        let Self { disk, root, config, dir, log, epoch, _temp } = self;
        drop((dir, log));
        Self::reopen(disk, root, config, epoch, _temp)
    }

    /// The process is gone; the next one finds `disk`.
    pub fn restart_on(self, disk: Arc<dyn Disk>) -> Result<(Self, Recovered), OpenError> {
        let Self { root, config, dir, log, epoch, _temp, .. } = self;
        drop((dir, log));
        Self::reopen(disk, root, config, epoch, _temp)
    }

    pub fn close(self) -> (Self, Recovered) {
        let Self { disk, root, config, dir, log, epoch, _temp } = self;
        let checkpoint = log.close().run().unwrap();
        dir.close(&[checkpoint]).unwrap();
        Self::reopen(disk, root, config, epoch, _temp).unwrap()
    }

    fn reopen(
        disk: Arc<dyn Disk>,
        root: PathBuf,
        config: Arc<LogConfig>,
        epoch: i32,
        temp: Option<tempfile::TempDir>,
    ) -> Result<(Self, Recovered), OpenError> {
        let dir = LogDir::open(disk.clone(), &root)?;
        let (log, recovered) = dir.load(&partition(), TOPIC_ID, config.clone(), NOW_MS)?;
        Ok((Self { disk, root, config, dir, log, epoch, _temp: temp }, recovered))
    }

    pub fn read(&mut self, from: Offset, max_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
        let limit = self.log.state().end();
        self.log.read(ReadRequest { from, limit, max_bytes, at_least_one: true }).and_then(|read| {
            match read {
                Read::Memory(pieces) => Ok(pieces),
                Read::File(job) => match job.try_now() {
                    Err(ReadError::WouldBlock) => job.run(),
                    other => other,
                },
            }
        })
    }

    /// Offsets and values of all records from `from` on.
    pub fn records(&mut self, from: Offset) -> Vec<(Offset, String)> {
        let mut all = Vec::new();
        let mut at = from;
        while at < self.log.state().end() {
            let pieces = self.read(at, 300).unwrap();
            let got = records_of(&pieces);
            assert!(!got.is_empty(), "a read below the end gives something at {at}");
            at = got.last().unwrap().0 + 1;
            all.extend(got.into_iter().filter(|(offset, _)| *offset >= from));
        }
        all
    }
}

pub fn records_of(pieces: &[Bytes]) -> Vec<(Offset, String)> {
    let mut all = Vec::new();
    for piece in pieces {
        for batch in Batches::new(piece) {
            let batch = batch.unwrap();
            batch.verify().unwrap();
            for record in &batch.records(Limits::default()).unwrap() {
                let record = record.unwrap();
                let value = String::from_utf8(record.value.unwrap_or(b"").to_vec()).unwrap();
                all.push((record.offset, value));
            }
        }
    }
    all
}
