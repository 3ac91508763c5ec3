//! Campaigns: many trials of one program, a line of JSON each with the commit that was tried, so that they can be
//! interrupted, and collected over days.
//!
//! A trial counts while the program that it tried is the same (ADR 0009). What makes a program is in [`Program`]:
//! paths of the repository, and below them the packages of others that it is built from.
//!
//! | file | knows |
//! | --- | --- |
//! | `lib` | lines: read, written, counted or not |
//! | `program` | what is tried, and whether two commits have the same |
//! | `built` | which packages, features and profiles it is built with |

mod built;
mod program;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use program::Program;

/// A line of a campaign's file.
pub trait Trial: Serialize + DeserializeOwned {
    /// What was tried; `None` if it has nothing to do with our code.
    fn commit(&self) -> Option<&str>;
}

/// The trials in a campaign's file that say something about `program` at `commit`, and how many do not. A last line
/// that was cut off is none.
///
/// # Errors
/// When the file is there and cannot be read, or git does not answer.
pub fn resumed<T: Trial>(program: Program, file: &Path, commit: &str) -> Result<(Vec<T>, usize)> {
    if !file.exists() {
        return Ok((Vec::new(), 0));
    }
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let trials: Vec<T> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let all = trials.len();
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut counted = Vec::new();
    for trial in trials {
        let counts = match trial.commit() {
            None => true,
            Some(other) => match known.get(other) {
                Some(same) => *same,
                None => {
                    let same = program.is_same(other, commit)?;
                    known.insert(other.to_owned(), same);
                    same
                }
            },
        };
        counted.extend(counts.then_some(trial));
    }
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
