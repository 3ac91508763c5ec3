//! Decision about a broker that is gone for good, with all the care that UnregisterBroker lacks.

use crate::ids::BrokerId;

use super::super::brokers::UnknownBroker;
use super::super::controller::{Controller, Decision};
use super::super::partitions::is_live;
use super::drain::loads;

/// Why a broker is not forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetBrokerError {
    /// It is not registered, or another process than was meant.
    #[error(transparent)]
    Unknown(#[from] UnknownBroker),
    /// It would register again.
    #[error("broker {id} is running; hint: stop it first")]
    Running {
        /// The broker.
        id: BrokerId,
    },
    /// They would have one replica less.
    #[error("broker {id} holds {replicas} replicas; hint: drain it first")]
    HoldsReplicas {
        /// The broker.
        id: BrokerId,
        /// How many.
        replicas: usize,
    },
}

impl Controller<'_> {
    /// Forgets a broker that does not run and holds nothing. `epoch` is its registration that is meant;
    /// `None` for the one that there is.
    pub fn forget_broker(
        &self,
        id: BrokerId,
        epoch: Option<i64>,
    ) -> Decision<Result<(), ForgetBrokerError>> {
        let known = self.image.broker(id).map_or(-1, |broker| broker.epoch);
        let replicas = loads(self.image).get(&id).map_or(0, |load| load.replicas);
        let refused = if let Err(unknown) = self.registered(id, epoch.unwrap_or(known)) {
            unknown.into()
        } else if is_live(self.image, id) {
            ForgetBrokerError::Running { id }
        } else if replicas > 0 {
            ForgetBrokerError::HoldsReplicas { id, replicas }
        } else {
            return self.unregister_broker(id, known).map(|done| Ok(done?));
        };
        Decision::nothing(Err(refused))
    }
}
