//! The logs of a shard: opened at the start, closed at the end, removed, set aside.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::TopicPartition;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use storage::{Checkpoint, FlushJob, FoundPartition, OpenError, PartitionLog, Recovered};
use world::tasks::{Pool, blocking, spawn_local};

use super::Shard;
use crate::metadata::State;
use crate::partition::{
    FLUSHED_TOGETHER_MIN, Missing, Partition, PartitionId, PartitionRef, Settings, jobs_ended,
};
use crate::shared::Shared;

/// A log that could not be opened.
pub(super) struct Offline {
    pub(super) why: String,
    /// Whether its bytes are damaged: other replicas have them.
    is_damaged: bool,
    pub(super) found: FoundPartition,
    checkpoint: Option<Checkpoint>,
}

/// A log that was found at the start.
struct Opened {
    name: TopicPartition,
    id: PartitionId,
    settings: Settings,
    /// The log, and what was looked at; or why there is none, and whether its bytes are damaged.
    log: Result<(PartitionLog, Recovered), (String, bool)>,
}

/// How many logs are opened at a time.
const OPENED_AT_ONCE: usize = 8;

impl Shard {
    /// Opens the logs that this shard owns and that have a folder. Damage takes one partition offline,
    /// never the shard.
    pub(crate) async fn load(self: &Rc<Self>, state: &State) {
        let mine: Vec<(TopicPartition, PartitionId)> = self
            .shared
            .log_dir
            .found()
            .iter()
            .filter_map(|found| {
                let topic = state.image.topic(&found.partition.topic)?;
                topic.partition(found.partition.partition)?;
                let id = PartitionId { topic: topic.id, index: found.partition.partition };
                let owner = id.shard(self.shared.shards());
                (owner == self.index).then(|| (found.partition.clone(), id))
            })
            .collect();
        // A few at a time: opening is a matter of seeks, and the pool is small.
        let mut queue = mine.into_iter();
        let (mut running, mut opened) = (FuturesUnordered::new(), Vec::new());
        loop {
            while running.len() < OPENED_AT_ONCE
                && let Some((name, id)) = queue.next()
            {
                running.push(self.open(state, name, id));
            }
            match running.next().await {
                Some(found) => opened.extend(found),
                None => break,
            }
        }
        self.flush_found(&mut opened).await;
        for found in opened {
            self.take_in(found);
        }
    }

    /// Opens the log, if it is still wanted.
    async fn open(
        self: &Rc<Self>,
        state: &State,
        name: TopicPartition,
        id: PartitionId,
    ) -> Option<Opened> {
        let settings = self.shared.partition_settings(state, id)?;
        assert!(self.shared.take_folder(&name, id.topic), "folders are found once");
        let log_dir = self.shared.log_dir.clone();
        let (config, wall_ms) = (Arc::clone(&settings.log), self.now().wall_ms);
        let asked = name.clone();
        let work = move || log_dir.load(&asked, id.topic, config, wall_ms);
        let log = blocking(&*self.shared.world.tasks, Pool::Files, work).await;
        let log = log.map_err(|error| {
            if matches!(error, OpenError::Io { .. }) {
                // A broker that stayed would be in sync, be elected, and serve nothing.
                self.shared.tell_disk(&error, error.is_full());
            }
            let is_damaged = matches!(error, OpenError::Quarantined { .. });
            (error.to_string(), is_damaged)
        });
        Some(Opened { name, id, settings, log })
    }

    /// What a killed process wrote and did not flush is about to be served: it must not be lost to a power
    /// failure afterwards.
    async fn flush_found(&self, opened: &mut [Opened]) {
        let begun = opened.iter_mut().filter_map(|found| {
            let (log, _) = found.log.as_mut().ok()?;
            log.flush_job().map(|job| (found, job))
        });
        let (found, mut jobs): (Vec<&mut Opened>, Vec<FlushJob>) = begun.unzip();
        let root = self.shared.log_dir.path().to_owned();
        let work = move || match jobs.len() {
            ..FLUSHED_TOGETHER_MIN => jobs.iter_mut().map(FlushJob::run).collect(),
            FLUSHED_TOGETHER_MIN.. => FlushJob::run_all(&mut jobs, &root),
        };
        match blocking(&*self.shared.world.tasks, Pool::Flush, work).await {
            Ok(tickets) => {
                for (found, ticket) in found.into_iter().zip(tickets) {
                    if let Ok((log, _)) = &mut found.log {
                        log.flushed(ticket);
                    }
                }
            }
            Err(error) => {
                self.shared.tell_disk(&error, error.is_full());
                for found in found {
                    found.log = Err((error.to_string(), false));
                }
            }
        }
    }

    fn take_in(self: &Rc<Self>, found: Opened) {
        let Opened { name, id, settings, log } = found;
        match log {
            Ok((mut log, recovered)) => {
                if let Some(cut) = &recovered.truncated {
                    tracing::warn!(
                        partition = %name, end = cut.end, bytes = cut.bytes, problem = cut.problem,
                        "cut a torn tail off the log"
                    );
                    if self.shared.log_dir.is_same_boot() {
                        self.shortened.borrow_mut().push(id);
                    }
                }
                if recovered.missing > 0 {
                    tracing::warn!(
                        partition = %name, end = log.state().end(), missing = recovered.missing,
                        "records that were committed are not on this disk any more: they are lost unless \
                         another replica has them"
                    );
                }
                if settings.place.replicas.len() == 1 {
                    // What survived is committed: nobody else has more, or less.
                    log.advance_high_watermark(log.state().end());
                }
                log.set_tail_cap(self.tail_cap());
                self.shared.storage.add(log.size_bytes());
                let partition = Partition::new(id, log, settings, self.now());
                let partition = Rc::new(RefCell::new(partition));
                self.partitions.borrow_mut().insert(id, Rc::clone(&partition));
                self.settle_in(&partition);
            }
            Err((error, is_damaged)) => {
                tracing::error!(partition = %name, %error, "the partition stays offline");
                let checkpoint = self.shared.log_dir.remembered(&name);
                let found = FoundPartition { partition: name, topic_id: Some(id.topic) };
                let offline = Offline { why: error, is_damaged, found, checkpoint };
                self.offline.borrow_mut().insert(id, offline);
            }
        }
    }

    pub(super) fn tail_cap(&self) -> usize {
        (self.shared.tail_budget / 4).max(1 << 20)
    }

    /// What this start has found: logs that lack something that other replicas have.
    pub(crate) fn damaged_at_start(&self) -> Vec<PartitionId> {
        let offline = self.offline.borrow();
        let offline = offline.iter().filter(|(_, offline)| offline.is_damaged);
        let mut damaged: Vec<PartitionId> = offline.map(|(id, _)| *id).collect();
        damaged.extend(self.shortened.take());
        let state = self.shared.state();
        let has_others = |id: &PartitionId| {
            let topic = state.image.topic_by_id(id.topic);
            let partition = topic.and_then(|topic| topic.partition(id.index));
            partition.is_some_and(|partition| partition.replicas.len() > 1)
        };
        damaged.retain(has_others);
        damaged
    }

    /// Sets a damaged log aside, if it could not be opened, and copies the partition anew.
    pub(crate) fn begin_anew(self: &Rc<Self>, id: PartitionId) {
        let Some(offline) = self.offline.borrow_mut().remove(&id) else { return };
        // Nobody opens what is about to go.
        self.shared.close_folder(&offline.found.partition);
        let shard = Rc::clone(self);
        spawn_local(async move {
            shard.set_aside(offline.found).await;
            shard.open_if_followed(&shard.shared.state(), id);
        });
    }

    /// Removes segments in the background, after readers have had time to finish. A log that was given away by then goes
    /// with its folder, or is closed; the folder's name may be another log's.
    pub(crate) fn remove(&self, partition: &PartitionRef, job: storage::RemoveJob) {
        let (shared, partition) = (Arc::clone(&self.shared), Rc::clone(partition));
        let delay = partition.borrow().settings.delete_delay;
        let name = partition.borrow().name().clone();
        spawn_local(async move {
            shared.world.clock.sleep(delay).await;
            if !settled(&shared, &name).await {
                return;
            }
            if !partition.borrow_mut().begins_to_remove() {
                shared.storage.remove(job.bytes());
                return;
            }
            let job = job.sparing(&partition.borrow().log);
            remove(&shared, &name, job).await;
            partition.borrow_mut().removed();
        });
    }

    /// Has a follower's log begin where the leader's does; says whether that was news. Write the checkpoints before the
    /// leader is told.
    pub(crate) fn follow_start(&self, partition: &PartitionRef) -> bool {
        let (moved, removal) = {
            let mut partition = partition.borrow_mut();
            let before = partition.log.state().start();
            let removal = partition.follow_start();
            (partition.log.state().start() > before, removal)
        };
        if let Some(job) = removal {
            self.remove(partition, job);
        }
        moved
    }

    /// A log that could not be opened is kept when its topic is deleted, or another replica copied, but not
    /// under its name.
    pub(super) async fn set_aside(&self, found: FoundPartition) {
        let shared = &self.shared;
        let (log_dir, name) = (shared.log_dir.clone(), found.partition.clone());
        let work = move || log_dir.set_aside(&found);
        match blocking(&*shared.world.tasks, Pool::Files, work).await {
            Ok(path) => {
                tracing::warn!(path = %path.display(), "set a damaged log aside");
                shared.release_folder(&name);
            }
            Err(error) => tracing::error!(partition = %name, %error, "cannot set a log aside"),
        }
    }

    /// Stands in for a log that was given away. Touches no disk.
    pub(super) fn empty_log(&self, partition: &Partition) -> PartitionLog {
        let config = Arc::clone(&partition.settings.log);
        self.shared.log_dir.create(partition.name(), partition.id.topic, config)
    }

    /// What the checkpoint files are to say of this shard's logs.
    pub(crate) fn checkpoints(&self) -> Vec<Checkpoint> {
        let open = self.partitions.borrow();
        let mut checkpoints: Vec<Checkpoint> =
            open.values().map(|one| one.borrow().checkpoint()).collect();
        checkpoints.extend(self.offline_checkpoints());
        checkpoints
    }

    /// What was known of logs that could not be opened, so that it stays known.
    fn offline_checkpoints(&self) -> Vec<Checkpoint> {
        self.offline.borrow().values().filter_map(|one| one.checkpoint.clone()).collect()
    }

    /// Ends all logs cleanly: after this, they open without a scan.
    pub(crate) async fn close(&self) -> Vec<Checkpoint> {
        self.closing.set(true);
        self.coordinator.close();
        self.replication.close();
        let partitions = std::mem::take(&mut *self.partitions.borrow_mut());
        let mut checkpoints = self.offline_checkpoints();
        for partition in partitions.into_values() {
            // What it has synced, or that it failed, is the log's to know when it is closed.
            jobs_ended(&partition).await;
            let (job, had_failed) = {
                let mut partition = partition.borrow_mut();
                let empty = self.empty_log(&partition);
                let log = partition.give_up(empty, &Missing::Stopping);
                let had_failed = log.failure().is_some();
                (log.close(), had_failed)
            };
            match blocking(&*self.shared.world.tasks, Pool::Flush, move || job.run()).await {
                Ok(checkpoint) => checkpoints.push(checkpoint),
                Err(error) => {
                    tracing::error!(%error, "a log could not be closed cleanly");
                    // That it had failed was told before, and why.
                    if !had_failed {
                        self.shared.tell_disk(&error, error.is_full());
                    }
                }
            }
        }
        checkpoints
    }
}

/// How long to wait before a checkpoint that could not be written is tried again.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// Completes when the checkpoints are written; says whether they are. A recovery point below the first segment left
/// would make its absence look like damage. What a full disk refuses now it may take later.
pub(super) async fn settled(shared: &Shared, name: &TopicPartition) -> bool {
    let mut is_told = false;
    while let Err(error) = shared.write_checkpoints().await {
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(partition = %name, %error, "old files stay until there is a checkpoint");
        }
        if shared.is_stopping() {
            return false;
        }
        shared.world.clock.sleep(CHECKPOINT_PAUSE).await;
    }
    true
}

/// Removes files; says whether it worked.
pub(super) async fn remove(
    shared: &Shared,
    name: &TopicPartition,
    job: storage::RemoveJob,
) -> bool {
    match blocking(&*shared.world.tasks, Pool::Files, move || job.run()).await {
        Ok(removed) => {
            shared.storage.remove(removed.bytes);
            if removed.segments > 0 {
                tracing::info!(
                    partition = %name, segments = removed.segments, bytes = removed.bytes,
                    "removed old segments"
                );
            }
            true
        }
        Err(error) => {
            tracing::warn!(partition = %name, %error, "cannot remove files");
            false
        }
    }
}
