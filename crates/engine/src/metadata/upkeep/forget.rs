//! Decision about a broker that is gone for good, with all the care that UnregisterBroker lacks.

use crate::ids::BrokerId;

use super::super::brokers::UnregisterBrokerError;
use super::super::controller::{Controller, Decision};
use super::drain::loads;

/// Why a broker is not forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetBrokerError {
    /// It is not registered, another process than was meant, or running.
    #[error(transparent)]
    Unregister(#[from] UnregisterBrokerError),
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
        let forgotten = self.unregister_broker(id, epoch.unwrap_or(known));
        match forgotten.reply {
            Ok(()) if replicas > 0 => {
                Decision::nothing(Err(ForgetBrokerError::HoldsReplicas { id, replicas }))
            }
            Ok(()) | Err(_) => forgotten.map(|done| Ok(done?)),
        }
    }
}
