//! What a handler may touch.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use engine::metadata::{Broker, Topic};
use engine::{BrokerId, Now};
use wire::{Str, Uuid};

use crate::metadata::State;
use crate::shard::Shard;
use crate::shared::Shared;

/// One client connection, as its handlers see it.
pub(crate) struct Context {
    /// The shard that serves the connection.
    pub(crate) shard: Rc<Shard>,
    /// The listener that it came in by: addresses are told as this listener advertises them.
    pub(crate) listener: Arc<str>,
    /// Where the client is.
    pub(crate) peer: SocketAddr,
    /// The broker whose heartbeats come by this connection.
    pub(crate) heartbeats_of: Cell<Option<BrokerId>>,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) context: Rc<Context>,
    /// The version of request and response.
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// Who the client says it is.
    pub(crate) client_id: Option<Str>,
}

impl Call {
    pub(crate) fn shard(&self) -> &Rc<Shard> {
        &self.context.shard
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.context.shard.shared
    }

    /// The newest state of the cluster.
    pub(crate) fn state(&self) -> Arc<State> {
        self.shared().state()
    }

    pub(crate) fn now(&self) -> Now {
        self.shared().now()
    }

    /// Where this client reaches a broker: as the listener that it came in by advertises it.
    pub(crate) fn address_of(&self, broker: &Broker) -> (Str, i32) {
        let by_name = broker.listeners.iter().find(|one| *one.name == *self.context.listener);
        match by_name.or(broker.listeners.first()) {
            Some(listener) => (Str::from(listener.host.as_str()), i32::from(listener.port)),
            None => (Str::from(""), -1),
        }
    }
}

/// Finds a topic by whichever of name and id the request's version has.
pub(crate) fn topic_by<'s>(state: &'s State, name: &str, id: Uuid) -> Option<&'s Arc<Topic>> {
    if id.is_zero() { state.image.topic(name) } else { state.image.topic_by_id(id) }
}
