//! Everything about a failure, in one folder: objects, events, logs, also of what ran before.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Site;

/// The namespace of the operator.
pub const OPERATOR: &str = "klamm-system";

/// Collects what is known; what cannot be had is told in its place.
///
/// # Errors
/// When the folder cannot be written.
pub fn collect(site: &Site, namespace: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let keep = |name: &str, arguments: &[&str]| -> Result<()> {
        let said = site.kubectl(arguments).unwrap_or_else(|error| format!("{error:#}"));
        Ok(fs::write(folder.join(name), said)?)
    };
    keep("klamm.yaml", &["-n", namespace, "get", "klamm", "-o", "yaml"])?;
    let objects =
        "statefulsets,pods,persistentvolumeclaims,services,configmaps,poddisruptionbudgets";
    keep("objects.yaml", &["-n", namespace, "get", objects, "-o", "yaml"])?;
    keep("events.txt", &["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"])?;
    keep("nodes.txt", &["get", "nodes,pods", "-A", "-o", "wide"])?;
    for space in [namespace, OPERATOR] {
        let pods = site.kubectl(&["-n", space, "get", "pods", "-o", "name"]).unwrap_or_default();
        for pod in pods.lines() {
            let name = pod.trim_start_matches("pod/");
            keep(&format!("{name}.log"), &["-n", space, "logs", pod, "--tail=5000"])?;
            keep(
                &format!("{name}.before.log"),
                &["-n", space, "logs", pod, "--previous", "--tail=5000"],
            )?;
        }
    }
    Ok(())
}
