//! Follows the metadata on a node to which no leader speaks: one that has no vote, or not yet, or not any
//! more. It asks whoever leads, or anybody who may know who does, for what was decided (`FetchMetadata`).
//!
//! What it learns is what a state machine would make of the log, so both may publish; the newer counts.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use client::connection::Connection;
use engine::BrokerId;
use wire::{ErrorCode, FetchMetadataRequest, FetchMetadataResponse, Request, Str};

use super::Core;
use super::transport::{AskError, id_of, node_of};
use crate::metadata::{RecordsError, decode_records};

/// How often it is looked at whether a leader speaks again.
const LOOK: Duration = Duration::from_millis(250);
/// A node that the settings call a voter expects a leader to speak to it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the other side may wait for a decision before it says that there is none.
const WAIT_MS: i32 = 500;
/// And how long it may take in all.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause after somebody did not answer.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of decisions in one answer.
const BYTES_MAX: i32 = 1 << 20;

#[derive(Debug, thiserror::Error)]
enum ObserveError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("refused: {0}")]
    Refused(&'static str),
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl From<client::Error> for ObserveError {
    fn from(error: client::Error) -> Self {
        Self::Ask(error.into())
    }
}

/// Whom this node follows.
#[derive(Default)]
struct Source {
    /// Who led when it was last told.
    leader: Option<u64>,
    /// Counts the questions that led to no leader: others are asked in turn.
    turn: usize,
    connection: RefCell<Option<(u64, Connection)>>,
}

/// Follows for ever, whenever no leader speaks to this node.
pub(super) async fn observe(core: Core) {
    let clock = &core.world.clock;
    if core.voters.contains_key(&core.identity.id()) {
        clock.sleep(PATIENCE).await;
    }
    let mut source = Source::default();
    loop {
        if core.hears_leader() {
            source = Source::default();
            core.observed(None);
            clock.sleep(LOOK).await;
            continue;
        }
        match source.ask(&core).await {
            Ok(leader) => {
                source.leader = leader;
                // Who knows nobody may be waiting for this node to know somebody.
                source.turn += usize::from(leader.is_none());
                core.observed(leader.map(node_of));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot follow the metadata yet");
                source.leader = None;
                source.turn += 1;
                source.connection.take();
                core.observed(None);
                clock.sleep(PAUSE).await;
            }
        }
    }
}

impl Source {
    /// Learns what was decided, and who leads.
    async fn ask(&self, core: &Core) -> Result<Option<u64>, ObserveError> {
        let target = self.target(core).ok_or(AskError::NoAddress(core.identity.id()))?;
        let connection = self.connection(core, target).await?;
        let known = core.publisher.newest().version;
        let request = FetchMetadataRequest {
            cluster_id: Str::from(&*core.identity.cluster_id),
            broker_id: core.identity.node.0,
            version: i64::try_from(known).unwrap_or(i64::MAX),
            max_wait_ms: WAIT_MS,
            max_bytes: BYTES_MAX,
            ..Default::default()
        };
        let newest = *FetchMetadataRequest::API_KEY.versions().end();
        let answer = connection.ask_at(&request, newest, ANSWER_TIME_MAX).await?;
        if answer.error_code != 0 {
            let code = ErrorCode::from_number(answer.error_code);
            return Err(ObserveError::Refused(code.map_or("an unknown error", ErrorCode::name)));
        }
        let leader = (answer.leader_id >= 0).then(|| id_of(BrokerId(answer.leader_id)));
        take(core, answer)?;
        Ok(leader)
    }

    /// The leader, else any other node that is known, in turn.
    fn target(&self, core: &Core) -> Option<u64> {
        let me = core.identity.id();
        if let Some(leader) = self.leader.filter(|leader| *leader != me) {
            return Some(leader);
        }
        let state = core.publisher.newest();
        let registered = state.image.live_brokers().map(|(id, _)| id_of(id));
        let mut known: Vec<u64> = core.voters.keys().copied().chain(registered).collect();
        known.sort_unstable();
        known.dedup();
        known.retain(|id| *id != me);
        (!known.is_empty()).then(|| known[self.turn % known.len()])
    }

    async fn connection(&self, core: &Core, target: u64) -> Result<Connection, AskError> {
        if let Some((to, connection)) = &*self.connection.borrow()
            && *to == target
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        let (host, port) = core.address_of(target).ok_or(AskError::NoAddress(target))?;
        let name = format!("klamm-observer-{}", core.identity.node);
        let connection = Connection::open(&core.world, &host, port, &name).await?;
        *self.connection.borrow_mut() = Some((target, connection.clone()));
        Ok(connection)
    }
}

/// Makes known what was decided.
fn take(core: &Core, answer: FetchMetadataResponse) -> Result<(), RecordsError> {
    let node = core.identity.node;
    let mut state = core.publisher.newest();
    if let Some(snapshot) = answer.snapshot {
        Arc::make_mut(&mut state).restore(snapshot, node)?;
    }
    for entry in answer.entries {
        if u64::try_from(entry.version).ok() != Some(state.version + 1) {
            // Somebody else has published meanwhile.
            continue;
        }
        Arc::make_mut(&mut state).apply(&decode_records(&entry.records)?, node);
        core.publisher.keep(state.version, &entry.records);
    }
    core.publisher.publish(&state);
    Ok(())
}
