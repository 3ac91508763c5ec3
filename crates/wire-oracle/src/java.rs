//! Runs Kafka's own classes: `java/Oracle.java`, compiled against the jars that `cargo xtask codegen`
//! fetches into the cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};

/// Kafka's jars, and what their classes need to run.
const ARTIFACTS: [&str; 7] = [
    "org.apache.kafka:kafka-clients:4.4.0",
    "org.apache.kafka:kafka-group-coordinator:4.4.0",
    "org.apache.kafka:kafka-transaction-coordinator:4.4.0",
    "org.slf4j:slf4j-api:1.7.36",
    "com.fasterxml.jackson.core:jackson-core:2.20.0",
    "com.fasterxml.jackson.core:jackson-databind:2.20.0",
    "com.fasterxml.jackson.core:jackson-annotations:2.20",
];

/// A Java that can run the oracle.
#[derive(Clone, Debug)]
pub struct Java {
    class_path: String,
}

impl Java {
    /// Finds Java, fetches what is missing, and compiles the oracle into `scratch`.
    pub fn prepare(scratch: &Path) -> anyhow::Result<Self> {
        run(Command::new("javac").arg("-version"))?;
        let jars = jars()?;
        let class_path = format!("{}/*", jars.display());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/Oracle.java");
        run(Command::new("javac").arg("-cp").arg(&class_path).arg("-d").arg(scratch).arg(source))?;
        Ok(Self { class_path: format!("{class_path}:{}", scratch.display()) })
    }

    /// Runs one of the oracle's commands; gives its output.
    pub fn oracle(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let java = ["-XX:+UseSerialGC", "-Xmx768m", "-cp", &self.class_path, "Oracle"];
        let output = run(Command::new("java").args(java).args(arguments))?;
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// The folder with the jars: the one of `cargo xtask codegen`.
fn jars() -> anyhow::Result<PathBuf> {
    let cache = match std::env::var_os("KLAMM_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => {
            let home = std::env::var_os("HOME").context("neither KLAMM_CACHE nor HOME is set")?;
            Path::new(&home).join(".cache/klamm")
        }
    };
    let folder = cache.join("kafka-4.4.0");
    for artifact in ARTIFACTS {
        let mut parts = artifact.split(':').skip(1);
        let (name, version) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        if !folder.join(format!("{name}-{version}.jar")).exists() {
            run(Command::new("mvn")
                .args(["-q", "-B", "dependency:copy"])
                .arg(format!("-Dartifact={artifact}"))
                .arg(format!("-DoutputDirectory={}", folder.display())))?;
        }
    }
    Ok(folder)
}
