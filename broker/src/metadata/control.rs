//! The controller's room: decides about requests one after the other, appends what was decided to the
//! metadata log, publishes the new state, and only then lets the replies go.
//!
//! Requests that have gathered meanwhile are decided together and share one sync. With several nodes
//! the quorum will stand where [`Journal`] stands; nobody else will notice.

use std::path::Path;
use std::sync::Arc;

use config::Settings;
use engine::BrokerId;
use engine::metadata::{Controller, Decision, Image, Record, Resource};
use tokio::sync::{mpsc, oneshot};
use world::{Disk, watch};

use super::journal::{Journal, JournalError};

/// Requests that share one sync.
const BATCH_MAX: usize = 256;

/// The state after some prefix of the metadata log. Everybody reads it, nobody changes it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Topics, brokers, settings.
    pub(crate) image: Image,
    /// This broker's settings, dynamic layers included.
    pub(crate) settings: Settings,
}

/// The metadata log cannot take the change; it is not known whether it is on disk.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the metadata log cannot be written: {0}")]
pub(crate) struct CommitError(String);

type Answer = Box<dyn FnOnce(Result<(), CommitError>) + Send>;
type Ask = Box<dyn FnOnce(&Controller<'_>) -> (Vec<Record>, Answer) + Send>;

/// Asks the controller. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ControlRef {
    asks: mpsc::UnboundedSender<Ask>,
}

impl ControlRef {
    /// Has `decide` look at the newest state; the reply comes back once its records are committed. Asked
    /// without waiting, so that requests of one connection are decided in their order (ADR 0006).
    pub(crate) async fn decide<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&Controller<'_>) -> Decision<R> + Send + 'static,
    ) -> Result<R, CommitError> {
        let (tell, told) = oneshot::channel();
        let ask: Ask = Box::new(move |controller| {
            let Decision { records, reply } = decide(controller);
            let answer: Answer = Box::new(move |committed| {
                // The asker may have gone; the decision stands.
                let _ = tell.send(committed.map(|()| reply));
            });
            (records, answer)
        });
        let stopped = || CommitError("the broker is stopping".to_owned());
        self.asks.send(ask).map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }
}

/// The controller, until it runs.
pub(crate) struct Control {
    node: BrokerId,
    journal: Journal,
    state: Arc<State>,
    states: watch::Sender<Arc<State>>,
    asks: mpsc::UnboundedReceiver<Ask>,
}

impl Control {
    /// Opens the metadata log in `dir` and replays it.
    #[expect(clippy::disallowed_methods, reason = "its bound is what may arrive (ADR 0006)")]
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: &Settings,
        node: BrokerId,
    ) -> Result<(Self, ControlRef, watch::Receiver<Arc<State>>), OpenControlError> {
        let (journal, found) = Journal::open(disk, dir)?;
        if found.torn_bytes > 0 {
            tracing::warn!(bytes = found.torn_bytes, "cut a torn entry off the metadata log");
        }
        let mut image = Image::default();
        for payload in found.snapshot.iter().chain(&found.entries) {
            for record in decode_all(payload)? {
                image.apply(&record);
            }
        }
        let settings = dynamic_settings(settings, &image, node);
        let state = Arc::new(State { image, settings });
        let (states, watcher) = watch::channel(Arc::clone(&state));
        let (ask, asks) = mpsc::unbounded_channel();
        Ok((Self { node, journal, state, states, asks }, ControlRef { asks: ask }, watcher))
    }

    /// Decides until the last [`ControlRef`] is gone.
    pub(crate) async fn run(mut self) {
        let mut asks = Vec::with_capacity(BATCH_MAX);
        while self.asks.recv_many(&mut asks, BATCH_MAX).await > 0 {
            self.decide(asks.drain(..));
        }
    }

    fn decide(&mut self, asks: impl Iterator<Item = Ask>) {
        let mut next = State::clone(&self.state);
        let mut payload = Vec::new();
        let mut resettle = false;
        let mut answers = Vec::new();
        for ask in asks {
            let controller = Controller { image: &next.image, settings: &next.settings };
            let (records, answer) = ask(&controller);
            answers.push(answer);
            for record in &records {
                encode(record, &mut payload);
                next.image.apply(record);
                resettle |= concerns_brokers(record);
            }
            if resettle {
                next.settings = dynamic_settings(&next.settings, &next.image, self.node);
            }
        }
        let committed = self.commit(&payload, next);
        for answer in answers {
            answer(committed.clone());
        }
    }

    fn commit(&mut self, payload: &[u8], next: State) -> Result<(), CommitError> {
        if payload.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.journal.append(payload) {
            tracing::error!(%error, "the metadata log cannot be written: no further changes");
            return Err(CommitError(error.to_string()));
        }
        self.state = Arc::new(next);
        self.states.send(Arc::clone(&self.state));
        if self.journal.snapshot_due() {
            let mut snapshot = Vec::new();
            for record in self.state.image.to_records() {
                encode(&record, &mut snapshot);
            }
            if let Err(error) = self.journal.snapshot(&snapshot) {
                tracing::warn!(%error, "cannot write a snapshot of the metadata");
            }
        }
        Ok(())
    }
}

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenControlError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("a metadata record cannot be read: {0}; hint: run the newer version of klamm")]
    Record(#[from] engine::metadata::DecodeRecordError),
    #[error("a metadata entry is cut short")]
    Cut,
}

/// Records lie in an entry as length and bytes.
fn encode(record: &Record, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    record.encode(out);
    let length = u32::try_from(out.len() - at - 4).expect("a record is far below 4 GiB");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn decode_all(mut payload: &[u8]) -> Result<Vec<Record>, OpenControlError> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk::<4>().ok_or(OpenControlError::Cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (record, rest) = rest.split_at_checked(length).ok_or(OpenControlError::Cut)?;
        records.push(Record::decode(record)?);
        payload = rest;
    }
    Ok(records)
}

fn concerns_brokers(record: &Record) -> bool {
    matches!(record, Record::Config { resource: Resource::Broker(_) | Resource::AllBrokers, .. })
}

/// The static layers below the dynamic ones of the image. Values were checked when they were set; a
/// newer version may refuse one, and then the static layers stand.
fn dynamic_settings(settings: &Settings, image: &Image, node: BrokerId) -> Settings {
    let cluster = image.config(&Resource::AllBrokers);
    let broker = image.config(&Resource::Broker(node));
    match settings.with_dynamic((*cluster).clone(), (*broker).clone()) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(%error, "dynamic broker settings are ignored");
            settings.clone()
        }
    }
}
