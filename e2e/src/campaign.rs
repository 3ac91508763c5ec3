//! Many trials: one line of JSON each with the commit that was tried, so that a campaign can be
//! interrupted and resumed. A trial counts while nothing but tests and documents changed since.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::run;

/// What may differ between the commits of one campaign, a pathspec each. The storm and the mutants go by it too.
const NO_CODE: &str = include_str!("../campaigns/no-code.txt");

/// A line of a campaign's file.
pub trait Trial: Serialize + DeserializeOwned {
    /// What was tried; `None` if it has nothing to do with our code.
    fn commit(&self) -> Option<&str>;
}

/// What is tried: the commit, marked if something is not committed.
///
/// # Errors
/// When this is no clone.
pub fn commit() -> Result<String> {
    let head = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&code(&["diff", "--name-only", "HEAD"]))?;
    Ok(if changed.is_empty() { head } else { format!("{head}-changed") })
}

/// The trials in a campaign's file that say something about `commit`, and how many do not. A last line that was
/// cut off is none.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn resumed<T: Trial>(file: &Path, commit: &str) -> Result<(Vec<T>, usize)> {
    if !file.exists() {
        return Ok((Vec::new(), 0));
    }
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let trials: Vec<T> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let all = trials.len();
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut counts = |other: &str| match known.get(other) {
        Some(same) => *same,
        None => {
            let same = other == commit || is_same_code(other, commit);
            known.insert(other.to_owned(), same);
            same
        }
    };
    let counted: Vec<T> =
        trials.into_iter().filter(|trial| trial.commit().is_none_or(&mut counts)).collect();
    let others = all - counted.len();
    Ok((counted, others))
}

/// Writes a trial down.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, trial: &impl Trial) -> Result<()> {
    let line = serde_json::to_string(trial)? + "\n";
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    Ok(file.write_all(line.as_bytes())?)
}

fn is_same_code(one: &str, other: &str) -> bool {
    git(&code(&["diff", "--quiet", one, other])).is_ok()
}

/// A command of git's that shall look at code alone.
fn code<'a>(command: &[&'a str]) -> Vec<&'a str> {
    command.iter().copied().chain(["--", "."]).chain(NO_CODE.lines()).collect()
}

fn git(arguments: &[&str]) -> Result<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    Ok(run(Command::new("git").args(arguments).current_dir(root))?.trim().to_owned())
}
