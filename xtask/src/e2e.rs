//! `cargo xtask e2e`: what is promised on Kubernetes, tried on a real one. The scenarios are in `e2e/src/kube`; here
//! the image is built as it is shipped, and what they need is looked for.

use std::path::Path;

use anyhow::{Context, Result};

/// Try what is promised on a real Kubernetes: the testbed of `e2e/kube`, or the one that kubectl reaches.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Passed on: see `cargo xtask e2e --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// With these nothing is tried, so nothing is built.
const ONLY_TELLS: [&str; 3] = ["--help", "-h", "--list"];

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let mut arguments = args.arguments.clone();
    let given = |name: &str| {
        let is_it = |it: &String| it.split('=').next() == Some(name);
        args.arguments.iter().any(is_it)
    };
    if !ONLY_TELLS.iter().any(|name| given(name)) {
        if !given("--current-context") {
            let testbed = root.join("e2e/kube/testbed");
            let testbed = testbed.to_str().context("the clone's path is not text")?;
            crate::suite::command(root, testbed, &["build"])?;
        }
        if !given("--image") {
            let archive = crate::image::build_default(root)?;
            arguments.push(format!("--image={}", archive.display()));
        }
    }
    crate::failover::harm(root, "kube", &arguments)
}
