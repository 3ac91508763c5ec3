//! The Kubernetes that is used: the testbed of `e2e/kube`, or whatever a kubeconfig names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::OPERATOR;
use crate::process::around;

/// In the order in which they are installed; the releases are called like them.
const CHARTS: [&str; 2] = ["klamm-crds", OPERATOR_RELEASE];
/// The operator's release, and its Deployment.
pub const OPERATOR_RELEASE: &str = "klamm-operator";

/// A Kubernetes, and the way to it.
pub struct Site {
    /// `testbed enter`, which reaches pods and Services; empty where programs run on the host.
    prefix: Vec<OsString>,
    script: Option<PathBuf>,
}

impl Site {
    /// The testbed, which is up.
    pub fn testbed() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kube/testbed");
        Self { prefix: vec![script.clone().into(), "enter".into()], script: Some(script) }
    }

    /// What kubectl reaches by itself.
    pub fn of_kubeconfig() -> Self {
        Self { prefix: Vec::new(), script: None }
    }

    /// Whether nodes may be harmed.
    pub fn is_testbed(&self) -> bool {
        self.script.is_some()
    }

    /// A command that reaches the API server, and on the testbed pods and Services too.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        let program = Command::new(program.into());
        if self.prefix.is_empty() { program } else { around(&self.prefix, &program) }
    }

    /// The words before a program that shall run where [`Self::command`] runs it.
    pub fn prefix(&self) -> &[OsString] {
        &self.prefix
    }

    /// What kubectl says.
    ///
    /// # Errors
    /// When it fails, with its words.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        said(self.command("kubectl").args(arguments), None)
    }

    /// What kubectl says of `input`.
    ///
    /// # Errors
    /// When it fails, with its words.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        said(self.command("kubectl").args(arguments), Some(input))
    }

    /// What kubectl says, as JSON.
    ///
    /// # Errors
    /// When it fails, or does not answer with JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let said = self.kubectl(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&said).with_context(|| format!("kubectl {arguments:?}"))
    }

    /// What Helm says.
    ///
    /// # Errors
    /// When it fails, with its words.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        match &self.script {
            Some(script) => said(Command::new(script).arg("helm").args(arguments), None),
            None => said(Command::new("helm").args(arguments), None),
        }
    }

    /// Starts the testbed, unless it is up or this is none; says whether it was.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn raise(&self) -> Result<bool> {
        if self.script.is_none() || self.harm(&["status"]).is_ok() {
            return Ok(true);
        }
        self.harm(&["up"]).map(|_| false)
    }

    /// Ends the testbed, and all in it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn lower(&self) -> Result<()> {
        self.harm(&["down"]).map(drop)
    }

    /// Installs CRDs and operator as people do it: with Helm.
    ///
    /// # Errors
    /// When the image cannot be loaded, or the operator is not ready within a minute.
    pub fn install(&self, image: Option<&Path>) -> Result<()> {
        if let Some(image) = image.filter(|_| self.is_testbed()) {
            self.harm(&["load", image.to_str().context("the archive's path is not text")?])?;
        }
        CHARTS.iter().try_for_each(|chart| self.install_chart(chart, &[]))?;
        if image.is_some() {
            // One that ran before runs what the same name stood for then.
            let deployment = format!("deployment/{OPERATOR_RELEASE}");
            self.kubectl(&["-n", OPERATOR, "rollout", "restart", &deployment])?;
            self.kubectl(&["-n", OPERATOR, "rollout", "status", &deployment, "--timeout=60s"])?;
        }
        Ok(())
    }

    /// Installs or upgrades the chart of the operator alone.
    ///
    /// # Errors
    /// When the operator is not ready within a minute.
    pub fn install_operator(&self, settings: &[&str]) -> Result<()> {
        self.install_chart(OPERATOR_RELEASE, settings)
    }

    fn install_chart(&self, chart: &str, settings: &[&str]) -> Result<()> {
        let folder = format!("{}/../charts/{chart}", env!("CARGO_MANIFEST_DIR"));
        // What somebody scaled, or applied with kubectl, is the chart's again.
        let install =
            ["upgrade", "--install", "--force-conflicts", chart, &folder, "--namespace", OPERATOR];
        let wait = ["--create-namespace", "--reset-values", "--wait", "--timeout=60s"];
        self.helm(&[&install[..], &wait, settings].concat()).map(drop)
    }

    /// Uninstalls the operator; the CRDs stay.
    ///
    /// # Errors
    /// When Helm fails.
    pub fn uninstall_operator(&self) -> Result<()> {
        self.helm(&["uninstall", OPERATOR_RELEASE, "--namespace", OPERATOR, "--wait"]).map(drop)
    }

    /// Removes what [`Self::install`] has installed.
    ///
    /// # Errors
    /// When Helm fails.
    pub fn uninstall(&self) -> Result<()> {
        for chart in CHARTS.iter().rev() {
            self.helm(&["uninstall", chart, "--namespace", OPERATOR, "--wait"])?;
        }
        Ok(())
    }

    /// Has the testbed do something to its nodes.
    ///
    /// # Errors
    /// When it fails, or this is no testbed.
    pub fn harm(&self, arguments: &[&str]) -> Result<String> {
        let script = self.script.as_ref().context("only the testbed's nodes are harmed")?;
        said(Command::new(script).args(arguments), None)
    }
}

fn said(command: &mut Command, input: Option<&str>) -> Result<String> {
    use std::io::Write as _;
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("running {command:?}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{text}{complaint}", output.status);
    Ok(text)
}
