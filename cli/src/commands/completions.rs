//! `klamm completions`: a script that completes our command line in a shell.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::Failure;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell; for bash: source <(klamm completions bash)
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut command = crate::args::Args::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "klamm", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}
