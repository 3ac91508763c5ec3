//! Decisions about brokers: registration, fencing, blocks of producer ids.

use std::sync::Arc;

use config::Listener;

use crate::ids::BrokerId;

use super::controller::{Controller, Decision};

/// How many producer ids a broker gets at once.
const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// A broker asks to be part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: BrokerId,
    /// Chosen at the start of its process.
    pub incarnation: wire::Uuid,
    /// Where it is reached.
    pub listeners: Vec<Listener>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Whether it must catch up before it may lead. A single broker need not.
    pub fenced: bool,
    /// Whether another process with the same id was heard of within its session.
    pub predecessor_is_alive: bool,
}

/// Why a broker may not register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterBrokerError {
    /// Two processes with one id.
    #[error("broker {id} is already registered by another process that is alive")]
    Duplicate {
        /// The id.
        id: BrokerId,
    },
    /// Nobody could reach it.
    #[error("broker {id} names no listener")]
    NoListeners {
        /// The id.
        id: BrokerId,
    },
}

/// The broker is not registered, or not under this epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broker {id} is not registered with epoch {epoch}")]
pub struct UnknownBroker {
    /// The id.
    pub id: BrokerId,
    /// The epoch asked for.
    pub epoch: i64,
}

/// Producer ids that one broker may give away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first one.
    pub first: i64,
    /// How many.
    pub len: i64,
}

impl Controller<'_> {
    /// Registers a broker and answers its epoch. A broker that returns under a new incarnation starts a
    /// new leader epoch in every partition that it led: its log may have lost its tail meanwhile.
    pub fn register_broker(
        &self,
        registration: Registration,
    ) -> Decision<Result<i64, RegisterBrokerError>> {
        let _ = registration;
        todo!()
    }

    /// Fences a broker, whose partitions get other leaders, or unfences it.
    pub fn fence_broker(
        &self,
        id: BrokerId,
        epoch: i64,
        fenced: bool,
    ) -> Decision<Result<(), UnknownBroker>> {
        let _ = (id, epoch, fenced);
        todo!()
    }

    /// Gives away the next producer ids.
    pub fn allocate_producer_ids(&self) -> Decision<ProducerIdBlock> {
        let _ = PRODUCER_IDS_PER_BLOCK;
        todo!()
    }
}
