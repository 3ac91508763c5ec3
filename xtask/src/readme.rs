//! `cargo xtask readme`: does what README says, in a fresh clone, and believes only what comes out.
//!
//! On a laptop: the first block starts the system and goes on running; each later `sh` block of the same section is run
//! beside it. On Kubernetes: the blocks one after the other, on the testbed of `e2e/kube`, to which the images are loaded.
//! Each succeeds if every order arrived in all three groups.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long the system may take to listen, once it is built.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The section whose blocks are run on a laptop.
const LAPTOP: &str = "## Try it";
/// The section whose blocks are run on Kubernetes.
const KUBERNETES: &str = "## On Kubernetes";
/// The block that goes on running beside those that follow.
const FORWARD: &str = "kubectl klamm forward";
/// Three services read every order.
const GROUPS: [&str; 3] = ["inventory-service", "notification-service", "analytics-service"];

/// What to try.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// On the testbed's Kubernetes, and not on this machine alone.
    #[arg(long)]
    kubernetes: bool,
}

/// Clones the commit that is checked out, and tries its README.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("klamm");
    let source = root.to_str().context("the path is text")?;
    let target = clone.to_str().context("the path is text")?;
    crate::suite::command(root, "git", &["clone", "--quiet", "--no-hardlinks", source, target])?;
    let readme = std::fs::read_to_string(clone.join("README.md"))?;
    // As the first command would, which is then held to a start within seconds.
    crate::suite::command(&clone, "cargo", &["build", "--release"])?;
    if args.kubernetes {
        return on_kubernetes(&clone, &shell_blocks(&readme, KUBERNETES));
    }
    let blocks = shell_blocks(&readme, LAPTOP);
    let (first, others) = blocks.split_first().context("README has no command to begin with")?;
    ensure!(
        std::net::TcpStream::connect("127.0.0.1:9092").is_err(),
        "something listens on port 9092 already: it would be taken for the README's broker"
    );
    println!("$ {first}");
    let mut system = Running(shell(&clone, first).spawn().context("cannot run a shell")?);
    wait_for_port(&mut system)?;
    let mut seen = String::new();
    for block in others {
        println!("$ {block}");
        seen.push_str(&said(shell(&clone, block))?);
    }
    system.interrupt()?;
    every_order_arrived(&seen, 1)
}

/// On the testbed, from where names of the cluster are known: what a laptop with kind has is a kubectl that reaches it, Helm,
/// the images on the nodes, and the plugin.
fn on_kubernetes(clone: &Path, blocks: &[String]) -> Result<()> {
    let testbed = clone.join("e2e/kube/testbed");
    let testbed = testbed.to_str().context("the path is text")?;
    let ask = |arguments: &[&str]| crate::suite::command(clone, testbed, arguments);
    let images = [crate::image::build_default(clone)?, crate::image::build_example(clone)?];
    let plugins = clone.join("target/plugins");
    std::fs::create_dir_all(&plugins)?;
    let klamm = crate::bench::target(clone).join("release/klamm");
    std::os::unix::fs::symlink(&klamm, plugins.join("kubectl-klamm"))?;
    ask(&["build"])?;
    ask(&["up"])?;
    let tried = || -> Result<String> {
        for image in &images {
            ask(&["load", image.to_str().context("the path is text")?])?;
        }
        let (mut seen, mut forward) = (String::new(), None);
        for block in blocks {
            println!("$ {block}");
            let goes_on = block == FORWARD;
            // `exec`, so that the process we interrupt is the one that runs.
            let exec = if goes_on { "exec " } else { "" };
            let script = format!("export PATH={}:$PATH\n{exec}{block}", plugins.display());
            let mut command = Command::new(testbed);
            command.args(["enter", "bash", "-ec", &script]).current_dir(clone).stdin(Stdio::null());
            match goes_on {
                true => forward = Some(Running::until_it_speaks(command)?),
                false => seen.push_str(&said(command)?),
            }
        }
        forward.as_mut().map_or(Ok(()), Running::interrupt)?;
        Ok(seen)
    };
    let seen = tried();
    ask(&["down"])?;
    every_order_arrived(&seen?, 2)
}

/// What a block says, which is shown as well.
fn said(mut block: Command) -> Result<String> {
    let output = block.stdout(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    ensure!(output.status.success(), "the block failed: {}", output.status);
    Ok(text.into_owned())
}

/// Each group was told to have seen all orders, so many times.
fn every_order_arrived(seen: &str, times: usize) -> Result<()> {
    for group in GROUPS {
        let told =
            seen.lines().filter(|line| line.contains(group) && line.contains("saw 1000 orders"));
        let count = told.count();
        ensure!(count == times, "{group} saw all orders {count} times, and not {times}");
    }
    println!("README: every order arrived in three groups");
    Ok(())
}

fn shell(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    // `exec`, so that the process we interrupt is the one that runs.
    let script = if script.contains('\n') || script.starts_with('(') {
        script.to_owned()
    } else {
        format!("exec {script}")
    };
    command.args(["-ec", &script]).current_dir(folder).stdin(Stdio::null());
    command
}

/// The `sh` blocks of one section.
fn shell_blocks(readme: &str, section: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let (mut within, mut block) = (false, None::<String>);
    for line in readme.lines() {
        if line.starts_with("## ") {
            within = line == section;
        }
        match &mut block {
            Some(text) if line == "```" => {
                blocks.push(text.trim_end().to_owned());
                block = None;
            }
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if within && line == "```sh" => block = Some(String::new()),
            None => {}
        }
    }
    blocks
}

/// The system of the first block; ended with us.
struct Running(Child);

impl Running {
    /// Starts it, and waits for its first line.
    fn until_it_speaks(mut command: Command) -> Result<Self> {
        let mut running = Self(command.stdout(Stdio::piped()).spawn()?);
        let mut line = String::new();
        let stdout = running.0.stdout.take().context("it is piped")?;
        std::io::BufReader::new(stdout).read_line(&mut line)?;
        ensure!(!line.is_empty(), "it ended");
        print!("{line}");
        Ok(running)
    }

    /// As Ctrl-C would: a clean stop is part of what README promises.
    fn interrupt(&mut self) -> Result<()> {
        let id = self.0.id().to_string();
        crate::suite::command(Path::new("."), "kill", &["-INT", &id])?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "the system ended with {status} after an interrupt");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the system did not end within a minute of an interrupt")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or something failed and it must not stay behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for_port(system: &mut Running) -> Result<()> {
    let begun = Instant::now();
    while std::net::TcpStream::connect("127.0.0.1:9092").is_err() {
        if let Some(status) = system.0.try_wait()? {
            bail!("the first command ended with {status}");
        }
        ensure!(begun.elapsed() < START_PATIENCE, "nothing listens on port 9092");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::shell_blocks;

    #[test]
    fn blocks_of_one_section_are_found_in_order() {
        let readme = "## A\n```sh\none\n```\ntext\n```yaml\nno: 1\n```\n```sh\ntwo\nthree\n```\n## B\n```sh\nfour\n```\n";
        assert_eq!(shell_blocks(readme, "## A"), ["one", "two\nthree"]);
    }
}
