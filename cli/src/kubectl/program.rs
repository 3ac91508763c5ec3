//! kubectl as the way to the API server: it knows contexts, credentials, plugins and proxies as its user set them up.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;

/// kubectl with the flags that choose a cluster and a namespace.
#[derive(Clone, Debug)]
pub(super) struct Kubectl {
    flags: Vec<String>,
}

impl Kubectl {
    pub(super) fn new(
        namespace: Option<String>,
        context: Option<String>,
        kubeconfig: Option<String>,
    ) -> Self {
        let flags =
            [("--namespace", namespace), ("--context", context), ("--kubeconfig", kubeconfig)];
        let flags =
            flags.into_iter().filter_map(|(flag, value)| Some(format!("{flag}={}", value?)));
        Self { flags: flags.collect() }
    }

    /// What `kubectl get ARGUMENTS -o json` lists.
    pub(super) fn get(&self, arguments: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut command = self.command(&["get"]);
        command.args(arguments).args(["-o", "json"]).stdin(Stdio::null());
        let output = command.output().map_err(|error| absent(&error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let hint = if said.contains("the server doesn't have a resource type") {
                "Klamm is not installed there; the chart klamm-crds brings its resources"
            } else {
                "`kubectl get` with the same flags shows the same"
            };
            return Err(Failure::new(said).hint(hint));
        }
        let mut list: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::new(format!("kubectl did not answer with JSON: {error}")))?;
        Ok(match list["items"].take() {
            Value::Array(items) => items,
            _ => vec![list],
        })
    }

    /// Starts `kubectl ARGUMENTS`, which is killed with us.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Child, Failure> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| absent(&error))
    }

    /// The Cluster of that name, or the only one there is.
    pub(super) fn cluster(&self, name: Option<&str>) -> Result<Value, Failure> {
        if let Some(name) = name {
            let found = self.get(&["clusters.klamm.io", name])?;
            return found.into_iter().next().ok_or_else(|| Failure::new("kubectl gave nothing"));
        }
        let mut all = self.get(&["clusters.klamm.io"])?;
        let names: Vec<String> = all.iter().map(name_of).collect();
        match all.len() {
            0 => Err(Failure::new("there is no Cluster in this namespace")
                .hint("--namespace names another")),
            1 => Ok(all.remove(0)),
            _ => Err(Failure::usage(format!("there are several Clusters: {}", names.join(", ")))
                .hint("--cluster names one of them")),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).args(&self.flags);
        command
    }
}

/// The name in an object's metadata.
pub(super) fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn absent(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run kubectl: {error}"))
        .hint("it must be in the PATH; `klamm` itself works with --bootstrap alone")
}
