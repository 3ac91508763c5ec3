//! What is tried, and whether two commits have the same.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::built::Built;

/// What is not committed says so behind the commit that it was made from, and is the same as nothing.
const CHANGED: &str = "-changed";

/// A program that campaigns try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `klamm broker`, as a process.
    Broker,
    /// The storm: the brokers in it, its faults and its checks.
    Storm,
    /// All of klamm, as it runs on Kubernetes.
    Klamm,
}

impl Program {
    /// The commit that is checked out, marked if what makes the program is not as it was committed.
    ///
    /// # Errors
    /// When this is no clone.
    pub fn commit(self) -> Result<String> {
        let head = git(&["rev-parse", "--short", "HEAD"])?;
        let differ = self.differ(&["HEAD"])?;
        let is_same = differ.is_empty() && self.built(Some("HEAD"))? == self.built(None)?;
        Ok(if is_same { head } else { head + CHANGED })
    }

    /// Whether it is the same at two commits. What is not known is the same as nothing.
    ///
    /// # Errors
    /// When this is no clone.
    pub fn is_same(self, one: &str, other: &str) -> Result<bool> {
        let is_known = |commit: &str| {
            let commit = format!("{commit}^{{commit}}");
            !commit.contains(CHANGED) && git(&["cat-file", "-e", &commit]).is_ok()
        };
        if !is_known(one) || !is_known(other) {
            return Ok(false);
        }
        let differ = self.differ(&[one, other])?;
        Ok(differ.is_empty() && self.built(Some(one))? == self.built(Some(other))?)
    }

    /// The files that make it and differ between two commits, or between one and what is there.
    fn differ(self, commits: &[&str]) -> Result<String> {
        let diff = ["diff", "--name-only"].into_iter().chain(commits.iter().copied());
        let paths = EVERYWHERE.iter().chain(self.paths()).copied();
        git(&diff.chain(["--"]).chain(paths).collect::<Vec<_>>())
    }

    /// What it is made of besides [`EVERYWHERE`], a pathspec each.
    fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Broker => &[
                "cli/build.rs",
                "cli/src/main.rs",
                "cli/src/logging.rs",
                "cli/src/commands/broker.rs",
                ":!crates/sim",
            ],
            Self::Storm => &[],
            Self::Klamm => &[
                "charts",
                "cli",
                "Containerfile",
                "crds",
                "manifests",
                "operator",
                "xtask/src/image.rs",
                ":!crates/sim",
            ],
        }
    }

    /// The packages that it is built from at a commit, or as they are now.
    fn built(self, commit: Option<&str>) -> Result<Built> {
        let text = |file: &str| match commit {
            Some(commit) => git(&["show", &format!("{commit}:{file}")]),
            None => {
                let path = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?).join(file);
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())
            }
        };
        let (root, without): (_, &[&str]) = match self {
            // It shares its binary with a controller, which no campaign runs.
            Self::Broker => ("klamm", &["operator", "crds"]),
            Self::Storm => ("sim", &["campaign"]),
            Self::Klamm => ("klamm", &[]),
        };
        Built::of(&text("Cargo.toml")?, &text("Cargo.lock")?, root, without)
    }
}

/// What makes every program, and what makes none: tests, documents, tools of the project.
const EVERYWHERE: &[&str] = &[
    "rust-toolchain.toml",
    "broker",
    "crates",
    ":!*.md",
    ":!**/tests/**",
    ":!**/*_test.rs",
    ":!**/examples/**",
    ":!crates/campaign",
    ":!crates/model",
    // What counts the storm's runs, and does not run.
    ":!crates/sim/Cargo.toml",
    ":!crates/sim/mutants",
    ":!crates/sim/src/bin",
    ":!crates/sim/src/campaign.rs",
    ":!crates/wire-oracle",
];

/// Asks git about the clone that this runs in, from its root.
fn git(arguments: &[&str]) -> Result<String> {
    let ask = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git").args(arguments).output().context("cannot run git")?;
        ensure!(
            output.status.success(),
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let root = ask(&["rev-parse", "--show-toplevel"])?;
    ask(&[&["-C", &root], arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_the_same_as_itself_and_what_is_not_known_as_nothing() {
        let head = git(&["rev-parse", "--short", "HEAD"]).expect("this is a clone");
        for program in [Program::Broker, Program::Storm, Program::Klamm] {
            assert!(program.is_same(&head, &head).expect("git answers"));
            assert!(!program.is_same(&head, "0000000").expect("git answers"));
            let changed = head.clone() + CHANGED;
            assert!(!program.is_same(&changed, &changed).expect("git answers"));
        }
    }
}
