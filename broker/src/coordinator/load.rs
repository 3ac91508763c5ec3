//! Reads the groups of one partition of `__consumer_offsets` back from its log.

use std::rc::Rc;
use std::time::Duration;

use config::BrokerConfig;
use engine::Offset;
use engine::group::{GroupConfig, Groups};
use storage::{Read, ReadError, ReadRequest};
use wire::record::{Batches, Limits};
use world::tasks::{Pool, blocking};

use crate::partition::PartitionId;
use crate::shard::Shard;

/// Bytes of log read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Replays the whole log; says where it ends. A record that does not decode is reported and passed over: losing one is
/// better than losing the coordinator.
pub(super) async fn groups(shard: &Rc<Shard>, id: PartitionId) -> Result<(Groups, Offset), String> {
    let mut groups = Groups::new(group_config(&shard.shared.state().settings.broker));
    let partition = shard.partition(id).map_err(|missing| missing.to_string())?;
    let mut from = partition.borrow().log.state().start();
    let told = |error: ReadError| {
        // Whoever asked tells it, and tries again.
        shard.shared.read_failed(id, &error);
        error.to_string()
    };
    loop {
        let read = {
            let mut partition = partition.borrow_mut();
            let limit = partition.log.state().end();
            if from >= limit {
                return Ok((groups, limit));
            }
            let request = ReadRequest { from, limit, max_bytes: CHUNK_BYTES, at_least_one: true };
            partition.log.read(request).map_err(told)?
        };
        let chunks = match read {
            Read::Memory(chunks) => chunks,
            Read::File(file) => match file.try_now() {
                Err(ReadError::WouldBlock) => {
                    let tasks = &*shard.shared.world.tasks;
                    let read = blocking(tasks, Pool::Read, move || file.run()).await;
                    read.map_err(told)?
                }
                read => read.map_err(told)?,
            },
        };
        let before = from;
        for chunk in chunks {
            from = replay(&mut groups, &chunk)?.max(from);
        }
        if from == before {
            return Err(format!("nothing to read at offset {from}"));
        }
    }
}

/// Applies the records of whole batches; returns the offset behind the last one.
fn replay(groups: &mut Groups, chunk: &[u8]) -> Result<i64, String> {
    let mut next = 0;
    for batch in Batches::new(chunk) {
        let batch = batch.map_err(|error| error.to_string())?;
        next = batch.header().next_offset();
        if batch.header().is_control() {
            continue;
        }
        let records = batch.records(Limits::default()).map_err(|error| error.to_string())?;
        for record in &records {
            let record = record.map_err(|error| error.to_string())?;
            let Some(key) = record.key else { continue };
            if let Err(error) = groups.apply(key, record.value) {
                tracing::warn!(%error, offset = record.offset, "a group record is passed over");
            }
        }
    }
    Ok(next)
}

fn group_config(broker: &BrokerConfig) -> GroupConfig {
    let millis = |value: i32| Duration::from_millis(u64::from(value.unsigned_abs()));
    let minutes = u64::from(broker.offsets_retention_minutes.unsigned_abs());
    GroupConfig {
        min_session_timeout: millis(broker.group_min_session_timeout_ms),
        max_session_timeout: millis(broker.group_max_session_timeout_ms),
        initial_rebalance_delay: millis(broker.group_initial_rebalance_delay_ms),
        max_size: usize::try_from(broker.group_max_size).unwrap_or(usize::MAX),
        offset_metadata_max_bytes: usize::try_from(broker.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention: Duration::from_secs(minutes * 60),
        ..GroupConfig::default()
    }
}
