//! A room of its own for a run: namespaces for network, mounts and processes. Whatever a run makes there
//! ends with it, also when it is killed: bridges, mounts, brokers.

use std::path::PathBuf;
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

/// A room that can be entered.
pub struct Room {
    /// This program's file, as it was named at the start: a build may replace it meanwhile, and then the
    /// process itself knows only that its file was deleted.
    program: PathBuf,
}

impl Room {
    /// Finds out whether there can be one; `None` if `what` must do without, because this is not root or
    /// `tools` are missing, and says so.
    ///
    /// # Errors
    /// With `CI=true`, instead of `None`: a check that did not run proves nothing.
    pub fn find(what: &str, tools: &[&str]) -> Result<Option<Self>> {
        let is_skipped = if cache::run(Command::new("id").arg("-u"))?.trim() == "0" {
            cache::is_skipped(what, &[&["unshare", "ip", "mount"], tools].concat())?
        } else {
            cache::skip(what, "this is not root")?
        };
        let program = std::env::current_exe()?;
        Ok((!is_skipped).then_some(Self { program }))
    }

    /// Runs this program again inside, with the same arguments and these variables.
    ///
    /// # Errors
    /// When there can be no such room.
    pub fn enter(&self, variables: &[(&str, &str)]) -> Result<ExitStatus> {
        let mut inside = Command::new("unshare");
        inside.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        inside.args(["sh", "-c", FIRST, "sh"]).arg(&self.program);
        inside.args(std::env::args_os().skip(1)).envs(variables.iter().copied()).env(INSIDE, "1");
        inside.status().context("running unshare")
    }
}
