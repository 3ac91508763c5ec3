//! Which packages, features and profiles a program is built with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;
use toml::{Table, Value};

/// What cargo makes a program from, besides the files of this repository.
#[derive(Debug, PartialEq)]
pub(crate) struct Built {
    /// Packages that are locked: name, version, checksum. Ours have no checksum.
    packages: BTreeSet<(String, String, Option<String>)>,
    /// What the workspace asks of each of them: version and features.
    asked: BTreeMap<String, Value>,
    /// Profiles, and packages that stand in for others.
    settings: Vec<Option<Value>>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    /// `name`, or `name version` where there are several.
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Built {
    /// What `root` is built with, by the texts of `Cargo.toml` and `Cargo.lock`, leaving out what only these
    /// others need.
    pub(crate) fn of(manifest: &str, lock: &str, root: &str, without: &[&str]) -> Result<Self> {
        let manifest: Table = manifest.parse().context("Cargo.toml")?;
        let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
        let mut packages = BTreeSet::new();
        let mut waiting = vec![root.to_owned()];
        while let Some(wanted) = waiting.pop() {
            let (name, version) = match wanted.split_once(' ') {
                Some((name, version)) => (name, Some(version)),
                None => (&*wanted, None),
            };
            if without.contains(&name) {
                continue;
            }
            let is_wanted = |package: &&Package| {
                package.name == name && version.is_none_or(|version| package.version == version)
            };
            let found = lock.package.iter().find(is_wanted);
            let Package { name, version, checksum, dependencies } =
                found.with_context(|| format!("Cargo.lock has no {wanted}"))?;
            if packages.insert((name.clone(), version.clone(), checksum.clone())) {
                waiting.extend(dependencies.iter().cloned());
            }
        }
        let workspace = manifest.get("workspace").and_then(|it| it.get("dependencies"));
        let asked = packages
            .iter()
            .filter_map(|(name, _, _)| Some((name.clone(), workspace?.get(name)?.clone())));
        let settings = ["profile", "patch"].map(|key| manifest.get(key).cloned());
        Ok(Self { asked: asked.collect(), packages, settings: settings.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [workspace.dependencies]
        net = { version = "1", features = ["tcp"] }
        kube = "5"
        [profile.release]
        opt-level = 3
    "#;
    const LOCK: &str = r#"
        version = 4
        [[package]]
        name = "program"
        version = "0.1.0"
        dependencies = ["net 1.2.0", "controller"]
        [[package]]
        name = "controller"
        version = "0.1.0"
        dependencies = ["kube", "net 1.1.0"]
        [[package]]
        name = "kube"
        version = "5.0.0"
        checksum = "a"
        [[package]]
        name = "net"
        version = "1.1.0"
        checksum = "b"
        [[package]]
        name = "net"
        version = "1.2.0"
        checksum = "c"
    "#;

    fn is_same(manifest: (&str, &str), lock: (&str, &str)) -> bool {
        let built = |manifest: &str, lock: &str| {
            Built::of(manifest, lock, "program", &["controller"]).expect("these are good")
        };
        let (changed, relocked) =
            (MANIFEST.replace(manifest.0, manifest.1), LOCK.replace(lock.0, lock.1));
        assert!(changed != MANIFEST || relocked != LOCK, "there is something to replace");
        built(MANIFEST, LOCK) == built(&changed, &relocked)
    }

    #[test]
    fn what_the_program_is_built_with_matters_and_nothing_else() {
        let none = ("", "");
        assert!(is_same(("kube = \"5\"", "kube = \"6\""), ("\"5.0.0\"", "\"6.0.0\"")));
        assert!(is_same(
            none,
            ("\"1.1.0\"\n        checksum = \"b\"", "\"1.1.0\"\n        checksum = \"x\"")
        ));
        assert!(!is_same(none, ("checksum = \"c\"", "checksum = \"x\"")));
        assert!(!is_same(("\"tcp\"", "\"tcp\", \"udp\""), none));
        assert!(!is_same(("opt-level = 3", "opt-level = 2"), none));
    }
}
