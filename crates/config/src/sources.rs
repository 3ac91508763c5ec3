//! The static layers: file, environment, command line.

use crate::Properties;
use crate::error::ConfigError;

/// Merges the text of a properties file, the process environment and `--set key=value` arguments; the
/// later wins. Variables that do not begin with `KLAMM_` are skipped; keys are checked by
/// [`crate::Settings::resolve`].
pub fn merge(
    file: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    set: &[String],
) -> Result<Properties, ConfigError> {
    let _ = (file, environment.into_iter().count(), set);
    todo!()
}
