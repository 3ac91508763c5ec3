//! `cargo xtask codegen`: Kafka's message specifications in, Rust out.
//!
//! The specifications are the JSON files inside Kafka's jars, and our own under `crates/wire/specs`.
//! Kafka's are fetched, never checked in; what is written from them is.
//!
//! ```text
//! jars.rs (fetch) → spec.rs (read) → layout.rs (which file) → emit/ (Rust) → rustfmt → generated/
//! ```

mod emit;
mod jars;
mod layout;
mod names;
mod spec;
mod versions;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Writes the wire messages from Kafka's message specifications.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if what is checked in differs. Skipped when the jars cannot be had, unless
    /// CI=true.
    #[arg(long)]
    check: bool,
}

/// The files of one generated folder, by their path below it.
pub(crate) type Files = BTreeMap<PathBuf, String>;

/// Runs `cargo xtask codegen`.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has a parent")?;
    let specs = match jars::fetch() {
        Ok(jars) => spec::load(&jars, &root.join("crates/wire/specs"))?,
        Err(why) if args.check && std::env::var("CI").as_deref() != Ok("true") => {
            println!("codegen: skipped, Kafka's jars cannot be had: {why:#}");
            return Ok(());
        }
        Err(why) => return Err(why),
    };
    let modules = layout::arrange(&specs)?;
    let mut stale = Vec::new();
    for (folder, files) in [
        ("crates/wire/src/generated", emit::wire(&modules)?),
        ("crates/wire-oracle/src/generated", emit::oracle(&modules)?),
    ] {
        let folder = root.join(folder);
        let files = format(&files)?;
        if args.check {
            stale.extend(differences(&folder, &files)?);
        } else {
            replace(&folder, &files)?;
        }
    }
    ensure!(stale.is_empty(), "run `cargo xtask codegen`; these files are stale: {stale:#?}");
    println!("codegen: {} messages, up to date", specs.len());
    Ok(())
}

/// Runs rustfmt over all files at once, in a scratch folder.
fn format(files: &Files) -> anyhow::Result<Files> {
    let scratch = tempfile::tempdir()?;
    let mut rust = Vec::new();
    for (path, text) in files {
        let path = scratch.path().join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text)?;
        if path.extension().is_some_and(|extension| extension == "rs") {
            rust.push(path);
        }
    }
    let output = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rustfmt.toml"))
        .args(&rust)
        .output()?;
    ensure!(output.status.success(), "rustfmt: {}", String::from_utf8_lossy(&output.stderr));
    files
        .keys()
        .map(|path| Ok((path.clone(), fs::read_to_string(scratch.path().join(path))?)))
        .collect()
}

/// The files below `folder`, relative to it.
fn existing(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Which files below `folder` are not what they should be.
fn differences(folder: &Path, files: &Files) -> anyhow::Result<Vec<PathBuf>> {
    let surplus = existing(folder)?.into_iter().filter(|path| !files.contains_key(path));
    let mut stale: Vec<PathBuf> = surplus.map(|path| folder.join(path)).collect();
    for (path, text) in files {
        let path = folder.join(path);
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            stale.push(path);
        }
    }
    Ok(stale)
}

/// Makes `folder` hold exactly `files`; a file that is right already keeps its time stamp.
fn replace(folder: &Path, files: &Files) -> anyhow::Result<()> {
    for path in differences(folder, files)? {
        match files.get(path.strip_prefix(folder)?) {
            Some(text) => {
                fs::create_dir_all(path.parent().context("a file has a folder")?)?;
                fs::write(&path, text)?;
            }
            None => fs::remove_file(&path)?,
        }
    }
    Ok(())
}
