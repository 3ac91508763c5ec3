//! The settings of a group.

use crate::Properties;
use crate::error::ConfigError;

/// Checks the overrides of one group.
pub fn validate_group_config(config: &Properties) -> Result<(), ConfigError> {
    let _ = config;
    todo!()
}
