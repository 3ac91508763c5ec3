//! `cargo xtask mutants`: breaks the broker on purpose, one patch at a time, and asks the storm to notice.
//!
//! A mutant is a patch in `crates/sim/mutants/` that names the property it breaks. It is caught if that
//! property fails within so many seeds, on all of which the tree without it passes. Patches are applied
//! in a work tree outside of the repository, at the commit that is checked out here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::suite::command;

/// Where the patches are, from the root.
const PATCHES: &str = "crates/sim/mutants";
/// How a patch names the property that it breaks.
const PROPERTY: &str = "Property: ";

/// Break the broker on purpose, one patch at a time; the storm must notice each.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these, by their files' names without the ending; all of them if none is named.
    mutants: Vec<String>,
    /// Seeds in which a mutant must be caught.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
}

struct Mutant {
    name: String,
    patch: PathBuf,
    property: String,
}

/// Tries all mutants, then the tree as it is with as many seeds as the slowest of them took.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let mutants = find(root, &args.mutants)?;
    let scratch = Scratch::make(root)?;
    let mut failures = Vec::new();
    let mut needed = 0;
    for mutant in &mutants {
        println!("── {}: must break {}", mutant.name, mutant.property);
        match scratch.catch(mutant, args.seeds) {
            Ok(seed) => {
                println!("{}: caught by {} in seed {seed}", mutant.name, mutant.property);
                needed = needed.max(seed + 1);
            }
            Err(error) => {
                println!("{}: {error:#}", mutant.name);
                failures.push(mutant.name.as_str());
            }
        }
    }
    println!("── no mutant: must break nothing in {needed} seeds");
    scratch.reset()?;
    scratch.build()?;
    let seeds = format!("0..{needed}");
    command(&scratch.tree, &scratch.storm(), &["--seeds", &seeds, "--fail-fast"])?;
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
        let property = text.lines().find_map(|line| line.strip_prefix(PROPERTY));
        let property = property
            .with_context(|| format!("{}: no line begins with `{PROPERTY}`", patch.display()))?;
        mutants.push(Mutant { name, property: property.trim().to_owned(), patch });
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
        let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output()?;
        let commit = String::from_utf8(head.stdout)?.trim().to_owned();
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

    /// The first seed in which the mutant's property fails.
    fn catch(&self, mutant: &Mutant, seeds: u64) -> Result<u64> {
        self.reset()?;
        let patch = mutant.patch.to_str().context("the patch's path is not text")?;
        command(&self.tree, "git", &["apply", patch]).context("the patch no longer applies")?;
        self.build().context("the mutant does not compile")?;
        let output = Command::new(self.storm())
            .args(["--seeds", &format!("0..{seeds}"), "--until", &mutant.property])
            .current_dir(&self.tree)
            .output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("not caught in {seeds} seeds");
        }
        let sentence = format!("{} is broken in seed ", mutant.property);
        let seed = told.lines().find_map(|line| line.strip_prefix(&sentence));
        seed.context("the storm does not say which seed")?.parse().context("the seed is no number")
    }
}

/// Whether `tree` is a work tree of the repository at `root`.
fn belongs_to(tree: &Path, root: &Path) -> bool {
    let common = |folder: &Path| {
        let arguments = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        let output = Command::new("git").args(arguments).current_dir(folder).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    tree.join(".git").is_file() && common(tree).is_some() && common(tree) == common(root)
}
