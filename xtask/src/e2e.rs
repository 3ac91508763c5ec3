//! `cargo xtask e2e`: what is promised on Kubernetes, tried on a real one. The scenarios are in `e2e/src/kube`; here
//! the image is built, for `--smoke` of the binary that other tests use, and what they need is looked for.

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
    let klamm = crate::bench::target(root).join("debug/klamm");
    if ONLY_TELLS.iter().any(|name| given(name)) {
        return crate::failover::harm_with(root, &klamm, "kube", &arguments);
    }
    if !given("--current-context") {
        let testbed = root.join("e2e/kube/testbed");
        let testbed = testbed.to_str().context("the clone's path is not text")?;
        crate::suite::command(root, testbed, &["build"])?;
    }
    let is_smoke = given("--smoke");
    if !given("--image") {
        // What every change is tried with waits for no build for release.
        let build = if is_smoke { crate::image::build_dev } else { crate::image::build_default };
        arguments.push(format!("--image={}", build(root)?.display()));
    }
    if is_smoke && std::env::var_os("KLAMM_BIN").is_none() {
        crate::suite::build_binaries(root)?;
        return crate::failover::harm_with(root, &klamm, "kube", &arguments);
    }
    crate::failover::harm(root, "kube", &arguments)
}
