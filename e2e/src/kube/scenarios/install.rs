//! The CRDs and the charts, as people install them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::evidence::OPERATOR;
use super::super::{Scenario, Site, Stage};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        number: 1,
        name: "plain manifests are applied by kubectl from the client, again, and by the server",
        limit: Duration::from_secs(60),
        is_smoke: true,
        needs_testbed: false,
        run: manifests,
    },
    Scenario {
        number: 2,
        name: "the chart installs, refuses an unknown value and passes its own test",
        limit: Duration::from_secs(120),
        is_smoke: true,
        needs_testbed: false,
        run: charts,
    },
];

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn manifests(stage: &mut Stage<'_>) -> Result<()> {
    let (site, folder) = (stage.site(), format!("{ROOT}/manifests/crds"));
    for _ in 0..2 {
        site.kubectl(&["apply", "-f", &folder])?;
    }
    site.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &folder])?;
    for kind in ["clusters", "topics", "consumergroups"] {
        let crd = format!("crd/{kind}.klamm.io");
        site.kubectl(&["wait", "--for=condition=Established", &crd, "--timeout=20s"])?;
        let explained = site.kubectl(&["explain", &format!("{kind}.spec")])?;
        ensure!(explained.contains("DESCRIPTION"), "{explained}");
    }
    Ok(())
}

fn charts(stage: &mut Stage<'_>) -> Result<()> {
    let site = stage.site();
    let chart = format!("{ROOT}/charts/klamm-operator");
    let refused = site.helm(&["template", "klamm", &chart, "--set", "replicaz=2"]);
    let why = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(why.contains("replicaz"), "an unknown value was taken: {why}");
    let linted = site.helm(&["lint", &chart])?;
    ensure!(linted.contains("0 chart(s) failed"), "{linted}");
    site.helm(&["test", "klamm-operator", "--namespace", OPERATOR])?;
    plain(site, &chart)
}

/// The manifests of the operator for those who do without Helm are what the chart gives, and no rule of theirs has a
/// wildcard. `KLAMM_UPDATE=1` writes them anew.
fn plain(site: &Site, chart: &str) -> Result<()> {
    let template = ["template", "klamm-operator", chart, "--namespace", OPERATOR];
    let rendered = site.helm(&[&template[..], &["--no-hooks", "--skip-tests"]].concat())?;
    let of_helm = ["# Source:", "helm.sh/chart:", "app.kubernetes.io/managed-by: Helm"];
    let ours = rendered.lines().filter(|line| !of_helm.iter().any(|it| line.contains(it)));
    let rendered: String = ours.flat_map(|line| [line, "\n"]).collect();
    ensure!(!rendered.contains('*'), "there is a wildcard: {rendered}");
    let file = Path::new(ROOT).join("manifests/operator/operator.yaml");
    if std::env::var_os("KLAMM_UPDATE").is_some() {
        std::fs::write(&file, &rendered)?;
    }
    let kept = std::fs::read_to_string(&file)?;
    ensure!(
        kept == rendered,
        "{} is not what the chart gives; hint: KLAMM_UPDATE=1 cargo xtask e2e 2",
        file.display()
    );
    let dry = ["apply", "--dry-run=server", "--force-conflicts", "--server-side", "-k"];
    site.kubectl(&[&dry[..], &[&format!("{ROOT}/manifests")]].concat()).map(drop)
}
