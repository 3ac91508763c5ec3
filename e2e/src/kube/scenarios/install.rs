//! The CRDs and the charts, as people install them.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::{Scenario, Stage};

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
    let said = site.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &folder])?;
    ensure!(said.lines().count() == 3, "{said}");
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
    site.helm(&["test", "klamm-operator", "--namespace", super::super::evidence::OPERATOR])?;
    Ok(())
}
