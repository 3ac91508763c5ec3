//! Where a node makes states known. Two speak here, and what they say is the same: the state machine of
//! the quorum, and on a node without a vote whoever follows those that have one.

use std::rc::Rc;
use std::sync::Arc;

use world::watch;

use super::{Recent, State};

/// Makes newer states known, and none that is older than what was.
#[derive(Clone)]
pub(crate) struct Publisher {
    states: Rc<watch::Sender<Arc<State>>>,
    recent: Arc<Recent>,
}

impl Publisher {
    /// Begins with `state`.
    pub(crate) fn new(state: State) -> (Self, watch::Receiver<Arc<State>>, Arc<Recent>) {
        let (states, receiver) = watch::channel(Arc::new(state));
        let recent = Arc::new(Recent::default());
        (Self { states: Rc::new(states), recent: Arc::clone(&recent) }, receiver, recent)
    }

    /// The newest that was made known.
    pub(crate) fn newest(&self) -> Arc<State> {
        Arc::clone(&self.states.borrow())
    }

    /// Keeps the records that made `version`, for those who follow this node.
    pub(crate) fn keep(&self, version: u64, records: &[u8]) {
        self.recent.push(version, records);
    }

    /// Makes a state known, if it is newer.
    pub(crate) fn publish(&self, state: &Arc<State>) {
        self.states.send_if_modified(|newest| {
            let is_newer = state.version > newest.version;
            if is_newer {
                *newest = Arc::clone(state);
            }
            is_newer
        });
    }
}
