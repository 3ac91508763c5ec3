//! The controller's room: decides about requests one after the other, proposes what was decided to the
//! quorum, and lets the replies go once a majority has it and the new state is published.
//!
//! Only the active controller decides; elsewhere the answer is who that is. Requests that have gathered
//! meanwhile are decided together and share one proposal.

use std::sync::Arc;

use engine::BrokerId;
use engine::metadata::{Controller, Decision, Image, METADATA_VERSION, Record};
use tokio::sync::{mpsc, oneshot};
use world::watch;

use super::state::{State, encode_records};
use crate::quorum::Quorum;

/// Requests that share one proposal.
const BATCH_MAX: usize = 256;

/// Why a change is not committed, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// This node is not the active controller, or ceased to be it meanwhile: then the change may still
    /// come about.
    #[error(
        "this node is not the active controller{}",
        leader.map_or(String::new(), |leader| format!("; node {leader} is"))
    )]
    NotController { leader: Option<BrokerId> },
    /// It is not known whether the change is on disk.
    #[error("the metadata log cannot be written: {0}")]
    Log(String),
    /// Nobody decides any more.
    #[error("the broker is stopping")]
    Stopping,
}

type Answer = Box<dyn FnOnce(Result<(), CommitError>) + Send>;
/// What is to be decided; asked with an error, it passes that on and decides nothing.
type Ask =
    Box<dyn FnOnce(Result<&Controller<'_>, CommitError>) -> Option<(Vec<Record>, Answer)> + Send>;

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
            let controller = match controller {
                Ok(controller) => controller,
                Err(error) => {
                    // The asker may have gone.
                    let _ = tell.send(Err(error));
                    return None;
                }
            };
            let Decision { records, reply } = decide(controller);
            let answer: Answer = Box::new(move |committed| {
                // The asker may have gone; the decision stands.
                let _ = tell.send(committed.map(|()| reply));
            });
            Some((records, answer))
        });
        self.asks.send(ask).map_err(|_| CommitError::Stopping)?;
        told.await.map_err(|_| CommitError::Stopping)?
    }
}

/// The controller, until it runs.
pub(crate) struct Control {
    quorum: Quorum,
    states: watch::Receiver<Arc<State>>,
    asks: mpsc::UnboundedReceiver<Ask>,
    /// The version on which something was decided that may be committed yet.
    in_doubt: Option<u64>,
}

/// What some brokers could not read is not decided: the engine refuses what needs a higher level.
fn assert_readable(records: &[Record], before: &Image) {
    let mut level = before.metadata_version();
    for record in records {
        assert!(record.level() <= level, "level {level} is finalized: {record:?}");
        if let Record::Feature { name, level: finalized } = record
            && **name == *METADATA_VERSION
        {
            level = level.max(*finalized);
        }
    }
}

impl Control {
    /// A controller that reads the quorum's states.
    #[expect(clippy::disallowed_methods, reason = "its bound is what may arrive (ADR 0006)")]
    pub(crate) fn new(quorum: Quorum, states: watch::Receiver<Arc<State>>) -> (Self, ControlRef) {
        let (ask, asks) = mpsc::unbounded_channel();
        (Self { quorum, states, asks, in_doubt: None }, ControlRef { asks: ask })
    }

    /// Decides until the last [`ControlRef`] is gone.
    pub(crate) async fn run(mut self) {
        let mut asks = Vec::with_capacity(BATCH_MAX);
        while self.asks.recv_many(&mut asks, BATCH_MAX).await > 0 {
            match self.quorum.confirm_leadership().await {
                Ok(()) => self.decide(asks.drain(..)).await,
                Err(error) => asks.drain(..).for_each(|ask| {
                    ask(Err(error.clone()));
                }),
            }
        }
    }

    async fn decide(&mut self, asks: impl Iterator<Item = Ask>) {
        let mut next = State::clone(&self.states.borrow());
        let decided_on = next.version;
        let mut all = Vec::new();
        let mut answers = Vec::new();
        for ask in asks {
            let controller = Controller { image: &next.image, settings: &next.settings };
            let Some((records, answer)) = ask(Ok(&controller)) else { continue };
            assert_readable(&records, &next.image);
            encode_records(&records, &mut all);
            next.apply(&records, self.quorum.node());
            answers.push(answer);
        }
        // Where something may be decided yet, an answer that needs no change is true only once that is settled: a
        // broker that is about to be fenced would be told that it is not.
        let committed = match all.is_empty() && self.in_doubt != Some(decided_on) {
            true => Ok(()),
            false => self.quorum.propose(decided_on, all.into()).await,
        };
        self.in_doubt = committed.is_err().then_some(decided_on);
        for answer in answers {
            answer(committed.clone());
        }
    }
}
