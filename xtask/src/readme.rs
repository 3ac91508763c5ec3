//! `cargo xtask readme`: does what README says, in a fresh clone, and believes only what comes out.
//!
//! The first block starts the system and goes on running; each later `sh` block of the same section is
//! run beside it. It succeeds if every order arrived in all three groups.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long the system may take to listen, once it is built.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The section whose blocks are run.
const SECTION: &str = "## Try it";

/// Clones the commit that is checked out, and tries its README.
pub(crate) fn run(root: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("klamm");
    let source = root.to_str().context("the path is text")?;
    let target = clone.to_str().context("the path is text")?;
    crate::suite::command(root, "git", &["clone", "--quiet", "--no-hardlinks", source, target])?;
    let readme = std::fs::read_to_string(clone.join("README.md"))?;
    let blocks = shell_blocks(&readme, SECTION);
    let (first, others) = blocks.split_first().context("README has no command to begin with")?;
    ensure!(
        std::net::TcpStream::connect("127.0.0.1:9092").is_err(),
        "something listens on port 9092 already: it would be taken for the README's broker"
    );
    // As the first command would, which is then held to a start within seconds.
    crate::suite::command(&clone, "cargo", &["build", "--release"])?;
    println!("$ {first}");
    let mut system = Running(shell(&clone, first).spawn().context("cannot run a shell")?);
    wait_for_port(&mut system)?;
    let mut seen = String::new();
    for block in others {
        println!("$ {block}");
        let output = shell(&clone, block).stdout(Stdio::piped()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        print!("{text}");
        ensure!(output.status.success(), "the block failed: {}", output.status);
        seen.push_str(&text);
    }
    system.interrupt()?;
    for group in ["inventory-service", "notification-service", "analytics-service"] {
        let told =
            seen.lines().any(|line| line.contains(group) && line.contains("saw 1000 orders"));
        ensure!(told, "{group} did not see all orders");
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
