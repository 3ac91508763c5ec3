//! Answers ApiKey 10002, FetchMetadata: what was decided since a version, for brokers without a vote.
//!
//! Any broker may answer: all that it has was decided for good. One that is behind just waits.

use std::sync::Arc;
use std::time::Duration;

use wire::fetch_metadata::response::MetadataEntry;
use wire::{ErrorCode, FetchMetadataRequest, FetchMetadataResponse};

use super::super::context::Call;
use super::super::number;
use crate::net::until_true;
use crate::shared::Shared;

/// How long an answer may wait for a decision, whatever is asked.
const WAIT_MS_MAX: i32 = 5_000;

pub(crate) async fn handle(call: Call, request: FetchMetadataRequest) -> FetchMetadataResponse {
    let shared = Arc::clone(call.shared());
    if *request.cluster_id != *shared.cluster_id {
        return FetchMetadataResponse {
            error_code: number(ErrorCode::InconsistentClusterId),
            ..Default::default()
        };
    }
    let known = u64::try_from(request.version).unwrap_or(0);
    newer_than(&shared, known, request.max_wait_ms).await;
    let state = shared.state();
    let offset = |version: u64| i64::try_from(version).unwrap_or(i64::MAX);
    let answer = FetchMetadataResponse {
        leader_id: shared.leadership().leader.map_or(-1, |leader| leader.0),
        committed_version: offset(state.version),
        ..Default::default()
    };
    if state.version <= known {
        return answer;
    }
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0);
    let entry = |(version, records)| MetadataEntry {
        version: offset(version),
        records,
        ..Default::default()
    };
    // Version 0 is nobody's: whoever begins takes the whole.
    match shared.recent.behind(known, bytes_max).filter(|_| known > 0) {
        Some(entries) => {
            FetchMetadataResponse { entries: entries.into_iter().map(entry).collect(), ..answer }
        }
        None => FetchMetadataResponse {
            snapshot_version: offset(state.version),
            snapshot: Some(state.to_snapshot()),
            ..answer
        },
    }
}

/// Waits until the state is newer than the version `known`, for `max_wait_ms` at most.
pub(in crate::api) async fn newer_than(shared: &Shared, known: u64, max_wait_ms: i32) {
    let clock = &shared.world.clock;
    let wait_ms = max_wait_ms.clamp(0, WAIT_MS_MAX).unsigned_abs();
    let deadline = clock.tick() + Duration::from_millis(u64::from(wait_ms));
    let mut states = shared.states();
    let mut stopping = shared.stopping();
    while states.borrow_and_update().version <= known {
        tokio::select! {
            biased;
            changed = states.changed() => if changed.is_err() { return },
            () = until_true(&mut stopping) => return,
            () = clock.sleep_until(deadline) => return,
        }
    }
}
