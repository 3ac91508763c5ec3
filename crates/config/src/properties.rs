//! Java's `.properties` syntax.

use crate::Properties;
use crate::error::ConfigError;

/// Parses a text. A key that appears twice keeps its last value, as in Java.
pub fn parse(text: &str) -> Result<Properties, ConfigError> {
    let _ = text;
    todo!()
}
