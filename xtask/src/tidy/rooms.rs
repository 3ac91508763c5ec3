//! How large a room may grow, and what it may be called.

use std::collections::{BTreeMap, BTreeSet};

use super::{Breach, Source};

/// Lines of a file; a file beyond it has swallowed a neighbour. Aim at 600.
const LINES_MAX: usize = 1_000;
/// Entries of a folder, door plates (`mod.rs`, `lib.rs`, `main.rs`) not counted.
const ENTRIES_MAX: usize = 20;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "misc", "impls", "types", "manager"];

pub(super) fn check(sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| is_written_by_hand(&source.path)) {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            let advice = format!("{lines} lines, at most {LINES_MAX}: split it by noun");
            breaches.push(Breach::new(&source.path, advice));
        }
        if !source.text.starts_with("//!") && !source.text.starts_with("#!") {
            breaches.push(Breach::new(&source.path, "begin with //!: what this is, and what not"));
        }
        let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let stem = file.trim_end_matches(".rs");
        if EMPTY_NAMES.contains(&stem) {
            breaches.push(Breach::new(&source.path, "name it after its noun"));
        }
        if !matches!(stem, "mod" | "lib" | "main") {
            folders.entry(folder).or_default().insert(stem);
        }
    }
    for (folder, entries) in folders {
        if entries.len() > ENTRIES_MAX {
            let advice = format!("{} entries, at most {ENTRIES_MAX}", entries.len());
            breaches.push(Breach::new(folder, advice));
        }
    }
    breaches
}

fn is_written_by_hand(path: &str) -> bool {
    path.ends_with(".rs") && !path.contains("/generated/") && !path.contains("/generated.rs")
}
