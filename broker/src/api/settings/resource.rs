//! Whose settings a request means, and whether this broker is the one to ask.

use engine::BrokerId;
use engine::metadata::{AlterConfigsError, Resource};
use wire::ErrorCode;

use super::super::errors::KafkaCode;
use crate::metadata::CommitError;

/// Kafka's codes of resources that have no settings here.
pub(super) const CLIENT_METRICS: i8 = 16;
/// Loggers, by the broker that they are on.
pub(super) const BROKER_LOGGER: i8 = 8;

/// A code and what to say with it.
pub(super) type Refusal = (ErrorCode, String);

/// Reads type and name of what is to be changed: the controller answers for all brokers.
pub(super) fn read(code: i8, name: &str) -> Result<Resource, Refusal> {
    Resource::parse(code, name).map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))
}

/// Reads type and name of what is asked about; a broker knows its own settings, and those of all.
pub(super) fn read_known(code: i8, name: &str, node: BrokerId) -> Result<Resource, Refusal> {
    match read(code, name)? {
        Resource::Broker(id) if id != node => {
            let why = format!("this is broker {node}, and it does not answer for broker {id}");
            Err((ErrorCode::InvalidRequest, why))
        }
        resource => Ok(resource),
    }
}

/// What became of a resource in AlterConfigs.
pub(super) fn refusal(error: &AlterConfigsError) -> Refusal {
    (error.code(), error.to_string())
}

/// What became of all resources.
pub(super) fn not_committed(error: &CommitError) -> Refusal {
    (error.code(), error.to_string())
}

/// The setting on which it depends how many replicas partitions wait for.
pub(super) const MIN_ISR: &str = "min.insync.replicas";

#[cfg(test)]
mod tests {
    use engine::BrokerId;
    use engine::metadata::Resource;

    use super::{BROKER_LOGGER, CLIENT_METRICS, read, read_known};

    #[test]
    fn a_broker_answers_for_itself_and_for_all_and_the_controller_for_every_broker() {
        let node = BrokerId(3);
        let broker = Resource::BROKER;
        assert_eq!(read_known(broker, "3", node), Ok(Resource::Broker(node)));
        assert_eq!(read_known(broker, "", node), Ok(Resource::AllBrokers));
        for name in ["4", "-1", "three"] {
            assert!(read_known(broker, name, node).is_err(), "{name}");
        }
        assert_eq!(read(broker, "4"), Ok(Resource::Broker(BrokerId(4))));
        assert!(read(broker, "-1").is_err());
    }

    #[test]
    fn resources_without_settings_and_without_names_are_refused() {
        for (code, name) in [
            (0, "x"),
            (1, "x"),
            (BROKER_LOGGER, "0"),
            (CLIENT_METRICS, "x"),
            (Resource::TOPIC, ""),
            (Resource::GROUP, ""),
            (99, "x"),
        ] {
            assert!(read(code, name).is_err(), "{code} {name:?}");
        }
    }
}
