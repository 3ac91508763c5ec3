//! `cargo xtask mutants`: breaks the broker on purpose, one patch at a time, and asks the storm to notice.
//!
//! A mutant is a patch in `crates/sim/mutants/`. The lines above it say in which of its ways the broker is
//! broken, and what must notice:
//!
//! | line | means |
//! | --- | --- |
//! | `Property: no_acked_loss` | this must fail, and nothing else counts |
//! | `Brokers: 3` | with so many brokers in the storm; else with one |
//! | `Tests: engine` | the property is a test of this package: the storm would need too much luck |
//!
//! It is caught if the property fails within so many seeds, on all of which the tree without it passes.
//! Patches are applied in a work tree outside of the repository, at the commit that is checked out here.
//!
//! With `--resume` each that was caught becomes a line of a file and is not tried again while it is the same patch
//! to the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use campaign::{Program, Trial};
use serde::{Deserialize, Serialize};

use crate::suite::command;

/// Where the patches are, from the root.
const PATCHES: &str = "crates/sim/mutants";
/// Break the broker on purpose, one patch at a time; the storm must notice each.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these, by their files' names without the ending; all of them if none is named.
    mutants: Vec<String>,
    /// Seeds in which a mutant must be caught.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// Seeds at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Where those that were caught are written, and those of this code taken from.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

struct Mutant {
    name: String,
    patch: PathBuf,
    property: String,
    judge: Judge,
}

/// What must notice a mutant.
enum Judge {
    /// The storm, with so many brokers.
    Storm { brokers: usize },
    /// A test of a package.
    Tests { package: String },
}

/// A mutant that was caught, as a line of the campaign's file.
#[derive(Serialize, Deserialize)]
struct Caught {
    commit: String,
    mutant: String,
    /// The patch, by git's hash of it.
    patch: String,
    property: String,
    by: By,
}

impl Trial for Caught {
    fn commit(&self) -> Option<&str> {
        Some(&self.commit)
    }
}

/// Where the property failed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    Storm { brokers: usize, seed: u64 },
    Tests { package: String },
}

/// What the tree without a mutant has to pass.
#[derive(Default)]
struct Needed {
    /// How many seeds, by the number of brokers.
    seeds: BTreeMap<usize, u64>,
    /// Tests, by package.
    tests: BTreeSet<(String, String)>,
}

/// Tries all mutants, then the tree as it is with as many seeds as the slowest of them took.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let mutants = find(root, &args.mutants)?;
    let scratch = Scratch::make(root)?;
    let before: Vec<Caught> = match &args.resume {
        Some(file) => campaign::resumed(Program::Storm, file, &scratch.commit)?.0,
        None => Vec::new(),
    };
    let mut failures = Vec::new();
    let mut needed = Needed::default();
    for mutant in &mutants {
        let patch = git(root, &["hash-object", &mutant.patch.display().to_string()])?;
        if let Some(caught) = before.iter().find(|c| c.mutant == mutant.name && c.patch == patch) {
            println!("{}: was caught by {}{}", mutant.name, caught.property, caught.by);
            needed.add(caught);
            continue;
        }
        println!("── {}: must break {}", mutant.name, mutant.property);
        match scratch.catch(mutant, args) {
            Ok(by) => {
                println!("{}: caught by {}{by}", mutant.name, mutant.property);
                let caught = Caught {
                    commit: scratch.commit.clone(),
                    mutant: mutant.name.clone(),
                    patch,
                    property: mutant.property.clone(),
                    by,
                };
                needed.add(&caught);
                if let Some(file) = &args.resume {
                    campaign::write(file, &caught)?;
                }
            }
            Err(error) => {
                println!("{}: {error:#}", mutant.name);
                failures.push(mutant.name.as_str());
            }
        }
    }
    println!("── no mutant: must break nothing");
    scratch.reset()?;
    scratch.pass(args, &needed)?;
    println!("mutants: {} caught, {} not", mutants.len() - failures.len(), failures.len());
    if failures.is_empty() { Ok(()) } else { bail!("not caught: {}", failures.join(", ")) }
}

fn find(root: &Path, wanted: &[String]) -> Result<Vec<Mutant>> {
    let folder = root.join(PATCHES);
    let mut mutants = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let patch = entry?.path();
        if patch.extension().is_none_or(|ending| ending != "patch") {
            continue;
        }
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let text = fs::read_to_string(&patch)?;
        mutants.push(Mutant::read(name, patch, &text)?);
    }
    if let Some(missing) = wanted.iter().find(|name| mutants.iter().all(|m| m.name != **name)) {
        bail!("there is no mutant called {missing}");
    }
    if mutants.is_empty() {
        bail!("{}: no patches", folder.display());
    }
    mutants.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(mutants)
}

impl Mutant {
    fn read(name: String, patch: PathBuf, text: &str) -> Result<Self> {
        let head = text.lines().take_while(|line| !line.starts_with("diff "));
        let said: BTreeMap<&str, &str> = head.filter_map(|line| line.split_once(": ")).collect();
        let property = said.get("Property");
        let property = property.with_context(|| format!("{name}: no line `Property: …`"))?;
        let judge = match (said.get("Tests"), said.get("Brokers")) {
            (Some(package), None) => Judge::Tests { package: (*package).to_owned() },
            (None, brokers) => Judge::Storm { brokers: brokers.map_or(Ok(1), |n| n.parse())? },
            (Some(_), Some(_)) => bail!("{name}: either tests or the storm must notice"),
        };
        Ok(Self { name, patch, property: (*property).to_owned(), judge })
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Storm { brokers, seed } => write!(f, " in seed {seed} with {brokers} brokers"),
            Self::Tests { package } => write!(f, ", a test of {package}"),
        }
    }
}

impl Needed {
    fn add(&mut self, caught: &Caught) {
        match &caught.by {
            By::Storm { brokers, seed } => {
                let seeds = self.seeds.entry(*brokers).or_default();
                *seeds = (*seeds).max(seed + 1);
            }
            By::Tests { package } => {
                self.tests.insert((package.clone(), caught.property.clone()));
            }
        }
    }
}

/// A work tree of its own, with its own target folder, which stays for the next time.
struct Scratch {
    tree: PathBuf,
    target: PathBuf,
    /// The commit to be mutated.
    commit: String,
}

impl Scratch {
    fn make(root: &Path) -> Result<Self> {
        let cache = match std::env::var_os("KLAMM_CACHE") {
            Some(cache) => PathBuf::from(cache),
            None => {
                let home =
                    std::env::var_os("HOME").context("neither KLAMM_CACHE nor HOME is set")?;
                Path::new(&home).join(".cache/klamm")
            }
        };
        let (tree, target) = (cache.join("mutants/tree"), cache.join("mutants/target"));
        let commit = git(root, &["rev-parse", "HEAD"])?;
        let text = tree.to_str().context("the cache's path is not text")?;
        // Work trees that are gone, and one of another clone at the same place, are forgotten.
        command(root, "git", &["worktree", "prune"])?;
        if !belongs_to(&tree, root) {
            if tree.exists() {
                fs::remove_dir_all(&tree).with_context(|| text.to_owned())?;
                command(root, "git", &["worktree", "prune"])?;
            }
            fs::create_dir_all(&cache)?;
            command(root, "git", &["worktree", "add", "--quiet", "--detach", text, &commit])?;
        }
        Ok(Self { tree, target, commit })
    }

    /// The tree as it was committed. Only files that differ are touched, so that little is built again.
    fn reset(&self) -> Result<()> {
        command(&self.tree, "git", &["reset", "--quiet", "--hard", &self.commit])
    }

    fn storm(&self) -> String {
        self.target.join("debug/storm").display().to_string()
    }

    fn build(&self) -> Result<()> {
        let target = self.target.to_str().context("the cache's path is not text")?;
        let arguments =
            ["build", "--quiet", "--package", "sim", "--bin", "storm", "--target-dir", target];
        command(&self.tree, "cargo", &arguments)
    }

    /// Applies the mutant, and says where its property fails.
    fn catch(&self, mutant: &Mutant, args: &Args) -> Result<By> {
        self.reset()?;
        let patch = mutant.patch.to_str().context("the patch's path is not text")?;
        command(&self.tree, "git", &["apply", patch]).context("the patch no longer applies")?;
        match &mutant.judge {
            Judge::Storm { brokers } => {
                let seed = self.first_broken(&mutant.property, *brokers, args)?;
                Ok(By::Storm { brokers: *brokers, seed })
            }
            Judge::Tests { package } => {
                let verdict = self.test(package, &mutant.property)?;
                if verdict != Verdict::Failed {
                    bail!("not caught: the test has {verdict:?}");
                }
                Ok(By::Tests { package: package.clone() })
            }
        }
    }

    /// The first seed in which the property fails.
    fn first_broken(&self, property: &str, brokers: usize, args: &Args) -> Result<u64> {
        self.build().context("the mutant does not compile")?;
        let (seeds, brokers) = (format!("0..{}", args.seeds), brokers.to_string());
        let output = Command::new(self.storm())
            .args(["--seeds", &seeds, "--brokers", &brokers, "--jobs", &args.jobs.to_string()])
            .args(["--until", property])
            .current_dir(&self.tree)
            .output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("not caught in {} seeds", args.seeds);
        }
        let sentence = format!("{property} is broken in seed ");
        let seed = told.lines().find_map(|line| line.strip_prefix(&sentence));
        seed.context("the storm does not say which seed")?.parse().context("the seed is no number")
    }

    /// Runs one test.
    fn test(&self, package: &str, name: &str) -> Result<Verdict> {
        let target = self.target.to_str().context("the cache's path is not text")?;
        let arguments = ["test", "--quiet", "--package", package, "--target-dir", target];
        let compiled = Command::new("cargo")
            .args(arguments)
            .arg("--no-run")
            .current_dir(&self.tree)
            .status()?;
        if !compiled.success() {
            bail!("the mutant does not compile");
        }
        let mut test = Command::new("cargo");
        test.args(arguments).args(["--no-fail-fast", "--", name]).current_dir(&self.tree);
        let output = test.output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        let counts = |count: &str| told.lines().any(|line| is_counted(line, count));
        Ok(match (counts("failed"), counts("passed")) {
            (true, _) => Verdict::Failed,
            (false, true) => Verdict::Passed,
            (false, false) => Verdict::NotRun,
        })
    }

    /// The tree as it is passes all that the mutants needed to be caught.
    fn pass(&self, args: &Args, needed: &Needed) -> Result<()> {
        self.build()?;
        for (brokers, seeds) in &needed.seeds {
            let (seeds, brokers) = (format!("0..{seeds}"), brokers.to_string());
            let jobs = args.jobs.to_string();
            let arguments =
                ["--seeds", &seeds, "--brokers", &brokers, "--jobs", &jobs, "--fail-fast"];
            command(&self.tree, &self.storm(), &arguments)?;
        }
        for (package, name) in &needed.tests {
            let verdict = self.test(package, name)?;
            if verdict != Verdict::Passed {
                bail!("{name} of {package} has {verdict:?} without a mutant");
            }
        }
        Ok(())
    }
}

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Failed,
    Passed,
    NotRun,
}

/// Whether a summary such as `test result: ok. 1 passed; 0 failed; …` counts one at least.
fn is_counted(line: &str, what: &str) -> bool {
    let Some(summary) = line.strip_prefix("test result: ") else { return false };
    let words: Vec<&str> = summary.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find(|pair| pair[1] == what).map(|pair| pair[0]);
    number.is_some_and(|number| number.parse::<u32>().is_ok_and(|count| count > 0))
}

/// What git says.
fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(folder).output()?;
    ensure!(output.status.success(), "git {}: {}", arguments.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Whether `tree` is a work tree of the repository at `root`.
fn belongs_to(tree: &Path, root: &Path) -> bool {
    let common = |folder: &Path| {
        git(folder, &["rev-parse", "--path-format=absolute", "--git-common-dir"]).ok()
    };
    tree.join(".git").is_file() && common(tree).is_some() && common(tree) == common(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Mutant> {
        Mutant::read("m".to_owned(), PathBuf::new(), &format!("{head}\ndiff --git a b\nTests: x"))
    }

    #[test]
    fn the_lines_above_a_patch_say_what_must_notice_it() {
        let storm = |head| match read(head).map(|mutant| mutant.judge) {
            Ok(Judge::Storm { brokers }) => Some(brokers),
            _ => None,
        };
        assert_eq!(storm("What.\n\nProperty: a"), Some(1));
        assert_eq!(storm("What.\n\nProperty: a\nBrokers: 3"), Some(3));
        let judge = read("What.\n\nProperty: a\nTests: engine").map(|mutant| mutant.judge);
        assert!(matches!(judge, Ok(Judge::Tests { package }) if package == "engine"));
        assert!(read("What.").is_err());
        assert!(read("Property: a\nBrokers: 3\nTests: engine").is_err());
    }

    #[test]
    fn a_summary_counts_tests() {
        let line = "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured";
        assert!(is_counted(line, "failed") && !is_counted(line, "passed"));
        assert!(!is_counted("running 2 tests", "failed"));
    }
}
