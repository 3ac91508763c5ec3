//! Whom to ask, and the connection to it. One per thread: connections stay where they were made.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Duration;

use client::connection::Connection;
use engine::BrokerId;
use wire::Request;
use world::watch;

use crate::quorum::Leadership;
use crate::shared::Shared;

/// What brokers ask of the active controller.
pub(crate) trait Ask: Request + Sized {
    /// Answers it on the node that is the active controller.
    fn answer(self, shared: &Arc<Shared>) -> impl Future<Output = Self::Response>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// An election is under way, or there is no majority.
    #[error("no active controller is known")]
    NoController,
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("the broker is stopping")]
    Stopping,
}

/// The way to the active controller.
pub(crate) struct Link {
    shared: Weak<Shared>,
    open: RefCell<Option<(BrokerId, Connection)>>,
}

impl Link {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::downgrade(shared), open: RefCell::default() }
    }

    /// Asks the active controller, once. An error code in the answer is the caller's to read: it may
    /// have ceased to be the controller meanwhile.
    pub(crate) async fn ask<R: Ask>(
        &self,
        request: R,
        timeout: Duration,
    ) -> Result<R::Response, AskError> {
        let shared = self.shared.upgrade().ok_or(AskError::Stopping)?;
        if shared.leadership().is_me {
            return Ok(request.answer(&shared).await);
        }
        self.ask_there(&shared, &request, timeout).await
    }

    /// Asks the active controller what only a connection can carry.
    pub(crate) async fn pass_on<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, AskError> {
        let shared = self.shared.upgrade().ok_or(AskError::Stopping)?;
        self.ask_there(&shared, request, timeout).await
    }

    async fn ask_there<R: Request>(
        &self,
        shared: &Arc<Shared>,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, AskError> {
        let mut leaderships = shared.leaderships();
        let leader = leaderships.borrow_and_update().leader.ok_or(AskError::NoController)?;
        // What brokers ask each other is advertised to nobody.
        let newest = *R::API_KEY.versions().end();
        let answer = async {
            Ok(self.connection(shared, leader).await?.ask_at(request, newest, timeout).await?)
        };
        // One that is cut off may never answer: once there is another, nobody waits for it.
        tokio::select! {
            biased;
            answer = answer => answer,
            () = another(&mut leaderships, leader) => {
                self.open.borrow_mut().take();
                Err(AskError::NoController)
            }
        }
    }

    /// A connection to the active controller, which is another node.
    async fn connection(
        &self,
        shared: &Arc<Shared>,
        leader: BrokerId,
    ) -> Result<Connection, AskError> {
        if let Some((to, connection)) = &*self.open.borrow()
            && *to == leader
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        let (host, port) = shared.address_of(leader).ok_or(AskError::NoController)?;
        let name = format!("broker-{}", shared.node);
        let connection = Connection::open(&shared.world, &host, port, &name).await?;
        *self.open.borrow_mut() = Some((leader, connection.clone()));
        Ok(connection)
    }
}

/// Completes when somebody else than `leader` leads, or nobody.
async fn another(leaderships: &mut watch::Receiver<Leadership>, leader: BrokerId) {
    while leaderships.borrow_and_update().leader == Some(leader) {
        if leaderships.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
