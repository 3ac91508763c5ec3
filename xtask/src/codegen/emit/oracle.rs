//! Writes what the wire oracle needs to know of every message.

use super::super::Files;
use super::super::layout::Module;

/// The files of `crates/wire-oracle/src/generated`.
pub(crate) fn oracle(_modules: &[Module<'_>]) -> anyhow::Result<Files> {
    Ok(Files::new())
}
