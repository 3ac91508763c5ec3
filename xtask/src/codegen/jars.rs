//! Fetches Kafka's jars with Maven into the cache, and unpacks their message specifications.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// The release whose messages we speak.
const KAFKA: &str = "4.4.0";

/// What is fetched: the jars that hold specifications, and what their classes need to run, because the
/// wire oracle uses the same folder as its class path.
const ARTIFACTS: [&str; 7] = [
    "org.apache.kafka:kafka-clients:4.4.0",
    "org.apache.kafka:kafka-group-coordinator:4.4.0",
    "org.apache.kafka:kafka-transaction-coordinator:4.4.0",
    "org.slf4j:slf4j-api:1.7.36",
    "com.fasterxml.jackson.core:jackson-core:2.20.0",
    "com.fasterxml.jackson.core:jackson-databind:2.20.0",
    "com.fasterxml.jackson.core:jackson-annotations:2.20",
];

/// The folders with the unpacked `common/message/*.json`, one per jar. Fetches what is missing.
pub(super) fn fetch() -> anyhow::Result<Vec<PathBuf>> {
    let folder = cache()?.join(format!("kafka-{KAFKA}"));
    fs::create_dir_all(&folder)?;
    let mut unpacked = Vec::new();
    for artifact in ARTIFACTS {
        let jar = fetch_one(artifact, &folder)?;
        if artifact.starts_with("org.apache.kafka:") {
            unpacked.push(unpack(&jar)?);
        }
    }
    Ok(unpacked)
}

/// Where fetched things live: `$KLAMM_CACHE`, or `~/.cache/klamm`.
fn cache() -> anyhow::Result<PathBuf> {
    if let Some(cache) = std::env::var_os("KLAMM_CACHE") {
        return Ok(cache.into());
    }
    let home = std::env::var_os("HOME").context("neither KLAMM_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/klamm"))
}

fn fetch_one(artifact: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let [_, name, version] = artifact.split(':').collect::<Vec<_>>()[..] else {
        bail!("not a coordinate: {artifact}");
    };
    let jar = folder.join(format!("{name}-{version}.jar"));
    if !jar.exists() {
        let output = Command::new("mvn")
            .args(["-q", "-B", "dependency:copy"])
            .arg(format!("-Dartifact={artifact}"))
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .output()
            .context("running mvn; hint: install Maven and a JDK")?;
        ensure!(output.status.success(), "mvn: {}", String::from_utf8_lossy(&output.stdout));
        ensure!(jar.exists(), "mvn did not write {}", jar.display());
    }
    Ok(jar)
}

/// Unpacks a jar's specifications beside it.
fn unpack(jar: &Path) -> anyhow::Result<PathBuf> {
    let folder = jar.with_extension("specs");
    let messages = folder.join("common/message");
    if !messages.exists() {
        fs::create_dir_all(&folder)?;
        let output = Command::new("jar")
            .arg("xf")
            .arg(jar)
            .arg("common/message")
            .current_dir(&folder)
            .output()
            .context("running jar; hint: install a JDK")?;
        ensure!(output.status.success(), "jar: {}", String::from_utf8_lossy(&output.stderr));
    }
    ensure!(messages.exists(), "{} has no common/message", jar.display());
    Ok(messages)
}
