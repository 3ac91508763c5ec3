//! The house rules that a machine can check: who may use whom, how large a room may grow, one handler
//! per API key, no unfinished work without an issue number, no name that says nothing.
//!
//! `cargo xtask tidy` prints every breach; `cargo xtask test` runs it. It reads, it never writes.

mod dependencies;
mod handlers;
mod layers;
mod rooms;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A rule that was broken: where, and what to do.
pub(crate) struct Breach {
    place: String,
    advice: String,
}

impl Breach {
    fn new(place: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { place: place.into(), advice: advice.into() }
    }
}

/// One file of the repository that git tracks or would track.
struct Source {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// Runs all rules.
pub(crate) fn run(root: &Path) -> Result<()> {
    let sources = sources(root)?;
    let rules: [(&str, Vec<Breach>); 5] = [
        ("layers", layers::check(&sources)?),
        ("rooms", rooms::check(&sources)),
        ("handlers", handlers::check(&sources)),
        ("words", words::check(&sources)),
        ("dependencies", dependencies::check(&sources)?),
    ];
    let mut count = 0;
    for (rule, breaches) in rules {
        for breach in breaches {
            eprintln!("tidy {rule}: {}: {}", breach.place, breach.advice);
            count += 1;
        }
    }
    if count > 0 {
        bail!("{count} breaches of the house rules (ARCHITECTURE.md, CONTRIBUTING.md)");
    }
    println!("tidy: {} files, no breach", sources.len());
    Ok(())
}

fn sources(root: &Path) -> Result<Vec<Source>> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    let mut sources = Vec::new();
    for path in String::from_utf8(listed.stdout)?.lines() {
        let full: PathBuf = root.join(path);
        // A tracked file may have been deleted in the working tree; a binary one has no words.
        if let Ok(text) = std::fs::read_to_string(&full) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_house_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
        super::run(root).expect("no breach");
    }
}
