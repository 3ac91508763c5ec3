//! The corridors: which crate may use which (ARCHITECTURE.md).

use anyhow::{Result, bail};

use super::{Breach, Source};

/// Crate, and the crates of ours that it may use. An edge that is not here needs an ADR.
const MAY_USE: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("config", &[]),
    ("world", &[]),
    ("crds", &[]),
    ("base2histogram", &[]),
    ("engine", &["wire", "config"]),
    ("storage", &["engine", "wire", "world", "config"]),
    ("client", &["wire", "world"]),
    ("broker", &["engine", "storage", "client", "wire", "config", "world"]),
    ("operator", &["crds", "client", "config", "world"]),
    (
        "klamm",
        &["broker", "operator", "crds", "client", "config", "world", "wire", "storage", "engine"],
    ),
    ("campaign", &[]),
    ("sim", &["broker", "campaign", "client", "engine", "storage", "wire", "config", "world"]),
    ("model", &["engine", "config", "wire"]),
    ("wire-oracle", &["wire"]),
    ("e2e", &["campaign", "client", "crds", "wire", "world", "storage", "engine", "config"]),
    ("bench", &["wire", "e2e"]),
    ("xtask", &["campaign", "crds", "config", "wire"]),
];

pub(super) fn check(sources: &[Source]) -> Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    for manifest in sources.iter().filter(|source| source.path.ends_with("/Cargo.toml")) {
        let Some(name) = value_of(&manifest.text, "name") else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(crate_name, _)| *crate_name == name) else {
            bail!("{}: crate {name} has no row in xtask/src/tidy/layers.rs", manifest.path);
        };
        for used in dependencies(&manifest.text) {
            let ours = MAY_USE.iter().any(|(crate_name, _)| *crate_name == used);
            if ours && !allowed.contains(&used.as_str()) {
                let advice = format!("{name} may not use {used}; it may use {allowed:?}");
                breaches.push(Breach::new(&manifest.path, advice));
            }
        }
    }
    Ok(breaches)
}

fn value_of(manifest: &str, key: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.starts_with(&format!("{key} = ")))?;
    Some(line.split('"').nth(1)?.to_owned())
}

/// The names below `[dependencies]`; tests may use whatever they need.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut within = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = line == "[dependencies]";
        } else if within && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}
