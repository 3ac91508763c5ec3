//! Where built and fetched things are kept between runs, and what a suite does that cannot run.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// `$KLAMM_CACHE`, or `~/.cache/klamm`.
///
/// # Errors
/// When neither `KLAMM_CACHE` nor `HOME` is set.
pub fn folder() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("KLAMM_CACHE") {
        return Ok(cache.into());
    }
    let home = std::env::var_os("HOME").context("neither KLAMM_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/klamm"))
}

/// The folder that `build` made from the files in `source`, made now if there is none of these very
/// files yet. `build` gets a copy of `source`, and leaves its results in it.
///
/// # Errors
/// When files cannot be copied, or `build` fails.
pub fn built(
    name: &str,
    source: &Path,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(source)
        .with_context(|| format!("reading {}", source.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in &files {
        hasher.write(file.file_name().context("a file has a name")?.as_encoded_bytes());
        hasher.write(&fs::read(file)?);
    }
    let base = folder()?.join("e2e");
    let done = base.join(format!("{name}-{:016x}", hasher.finish()));
    if done.exists() {
        return Ok(done);
    }
    println!("building {name} into {}", done.display());
    // Beside its final place, then renamed: an interrupted build is never taken for a whole one. Some
    // builds write down where they are, so the final name is what a link points to.
    let scratch = base.join(format!("{name}-{:016x}.{}", hasher.finish(), std::process::id()));
    fs::create_dir_all(&scratch)?;
    for file in &files {
        fs::copy(file, scratch.join(file.file_name().context("a file has a name")?))?;
    }
    build(&scratch)?;
    if std::os::unix::fs::symlink(&scratch, &done).is_err() {
        ensure!(done.exists(), "cannot link {}", done.display());
    }
    Ok(done)
}

/// Runs a command to its end; its output is shown only if it failed.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    Ok(said)
}

/// The tools that are missing on this machine.
pub fn missing<'a>(tools: &[&'a str]) -> Vec<&'a str> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&paths).collect();
    let is_missing = |tool: &&str| !folders.iter().any(|folder| folder.join(tool).is_file());
    tools.iter().copied().filter(is_missing).collect()
}

/// Whether a suite must be skipped because `tools` are not all there; says so.
///
/// # Errors
/// With `CI=true`: a check that did not run proves nothing.
pub fn is_skipped(suite: &str, tools: &[&str]) -> Result<bool> {
    let missing = missing(tools);
    match missing.is_empty() {
        true => Ok(false),
        false => skip(suite, &format!("{} missing", missing.join(", "))),
    }
}

/// Skips a suite, and says why.
///
/// # Errors
/// With `CI=true`: a check that did not run proves nothing.
pub fn skip(suite: &str, reason: &str) -> Result<bool> {
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("{suite} cannot run: {reason}");
    }
    println!("skipped: {suite}: {reason}");
    Ok(true)
}
