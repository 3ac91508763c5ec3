//! A room of its own for a run: namespaces for network, mounts and processes. Whatever a run makes there
//! ends with it, also when it is killed: bridges, mounts, brokers.

use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

use crate::cache;

/// Set inside.
const INSIDE: &str = "KLAMM_E2E_ROOM";
/// The shell is the first process, so that the program takes signals as it does elsewhere.
const FIRST: &str = r#""$@"; exit $?"#;

/// Whether this is a run inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether `what` must do without a room, because this is not root or `tools` are missing; says so.
///
/// # Errors
/// With `CI=true`: a check that did not run proves nothing.
pub fn is_closed(what: &str, tools: &[&str]) -> Result<bool> {
    if cache::run(Command::new("id").arg("-u"))?.trim() != "0" {
        return cache::skip(what, "this is not root");
    }
    cache::is_skipped(what, &[&["unshare", "ip", "mount"], tools].concat())
}

/// Runs this program again inside, with the same arguments and these variables.
///
/// # Errors
/// When there can be no such room.
pub fn enter(variables: &[(&str, &str)]) -> Result<ExitStatus> {
    let mut inside = Command::new("unshare");
    inside.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    inside.args(["sh", "-c", FIRST, "sh"]).arg(std::env::current_exe()?);
    inside.args(std::env::args_os().skip(1)).envs(variables.iter().copied()).env(INSIDE, "1");
    inside.status().context("running unshare")
}
