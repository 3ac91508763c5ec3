//! Every direct dependency has a line in `docs/dependencies.md` that says why it is there.

use anyhow::{Context, Result};

use super::{Breach, Source};

pub(super) fn check(sources: &[Source]) -> Result<Vec<Breach>> {
    let text = |path: &str| {
        let found = sources.iter().find(|source| source.path == path);
        found.map(|source| source.text.as_str()).with_context(|| format!("{path} is missing"))
    };
    let manifest = text("Cargo.toml")?;
    let reasons = text("docs/dependencies.md")?;
    let named: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#') && !line.contains("path ="))
        .filter_map(|line| line.split_once(" =").map(|(name, _)| name))
        .collect();
    let mut breaches = Vec::new();
    for name in &named {
        if !reasons.contains(&format!("| `{name}` |")) {
            breaches.push(Breach::new("docs/dependencies.md", format!("no row for `{name}`")));
        }
    }
    for line in reasons.lines().filter(|line| line.starts_with("| `")) {
        let name = line.trim_start_matches("| `").split('`').next().unwrap_or_default();
        if !named.contains(&name) {
            breaches.push(Breach::new("docs/dependencies.md", format!("`{name}` is not used")));
        }
    }
    Ok(breaches)
}
