//! A scenario's own namespace, and what a person does in it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::evidence::OPERATOR;
use super::site::OPERATOR_RELEASE;
use super::{Scenario, Site};
use crate::process::until_each;

/// The pause between two looks: each is a process or several.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks until `found` gives something, now and then.
///
/// # Errors
/// When it has given nothing after `limit`, or failed.
pub fn until<T>(
    what: &str,
    limit: Duration,
    found: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_each(LOOK_EVERY, what, limit, found)
}

/// Selects the operators' pods.
pub const OPERATORS: &str = "app.kubernetes.io/component=operator";

/// A namespace of one scenario.
pub struct Stage<'a> {
    site: &'a Site,
    namespace: String,
    figures: Vec<(String, f64)>,
}

impl<'a> Stage<'a> {
    /// Makes the namespace, with the strictest of the pod security standards.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn open(site: &'a Site, scenario: &Scenario) -> Result<Self> {
        Self::named(site, format!("scenario-{}", scenario.number))
    }

    /// Another namespace of the same scenario.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn beside(&self, name: &str) -> Result<Self> {
        Self::named(self.site, format!("{}-{name}", self.namespace))
    }

    fn named(site: &'a Site, namespace: String) -> Result<Self> {
        let yaml = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels:\n    \
             pod-security.kubernetes.io/enforce: restricted\n"
        );
        site.kubectl_with(&["apply", "-f", "-"], &yaml)?;
        Ok(Self { site, namespace, figures: Vec::new() })
    }

    /// Deletes the namespace and all that is in it; brokers are not asked to leave in order.
    ///
    /// # Errors
    /// When it is not gone within a minute: something wedges it.
    pub fn close(self) -> Result<()> {
        let namespace = self.namespace.as_str();
        self.site.kubectl(&["delete", "namespace", namespace, "--wait=false"])?;
        let pods = ["-n", namespace, "delete", "pods", "--all", "--force", "--grace-period=0"];
        self.site.kubectl(&pods)?;
        let gone = ["wait", "--for=delete", &format!("namespace/{namespace}"), "--timeout=60s"];
        self.site.kubectl(&gone).map(drop)
    }

    /// Its name.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The Kubernetes.
    pub fn site(&self) -> &'a Site {
        self.site
    }

    /// Keeps a figure, in seconds or bytes as its name says.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.push((name.to_owned(), value));
    }

    /// The figures.
    pub fn figures(&self) -> &[(String, f64)] {
        &self.figures
    }

    /// The figures, for people.
    pub fn told(&self) -> String {
        self.figures
            .iter()
            .map(|(name, value)| format!("{name} {value:.2}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// What kubectl says, in this namespace.
    ///
    /// # Errors
    /// When it fails, with its words.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.site.kubectl(&[&["-n", &self.namespace], arguments].concat())
    }

    /// `kubectl apply` of this YAML.
    ///
    /// # Errors
    /// When the API server refuses, with its words.
    pub fn apply(&self, yaml: &str) -> Result<String> {
        self.site.kubectl_with(&["-n", &self.namespace, "apply", "-f", "-"], yaml)
    }

    /// Why the API server refuses this YAML.
    ///
    /// # Errors
    /// When it does not.
    pub fn refused(&self, yaml: &str) -> Result<String> {
        match self.apply(yaml) {
            Ok(said) => bail!("it was accepted: {said}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// An object.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, kind: &str, name: &str) -> Result<Value> {
        self.site.json(&["-n", &self.namespace, "get", kind, name])
    }

    /// Status and reason of a condition, as `True Available`; nothing if it is not there.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn condition(&self, kind: &str, name: &str, type_: &str) -> Result<String> {
        let object = self.get(kind, name)?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|it| it["type"] == type_);
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        Ok(found
            .map(|it| format!("{} {}", text(it, "status"), text(it, "reason")))
            .unwrap_or_default())
    }

    /// Waits until `Ready` is as wanted, `True` or with a reason; gives how long it took.
    ///
    /// # Errors
    /// When it is not within `limit`, with what it is.
    pub fn until_ready(
        &self,
        kind: &str,
        name: &str,
        wanted: &str,
        limit: Duration,
    ) -> Result<Duration> {
        let begun = Instant::now();
        let mut last = String::new();
        let waited = until(&format!("{kind} {name} is {wanted}"), limit, || {
            last = self.condition(kind, name, "Ready").unwrap_or_default();
            Ok(last.starts_with(wanted).then_some(()))
        });
        waited.with_context(|| format!("{kind} {name} is {last:?}"))?;
        Ok(begun.elapsed())
    }

    /// The uids of the brokers' pods: who was restarted has another.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn pod_uids(&self, cluster: &str) -> Result<Vec<(String, String)>> {
        self.uids(&["-l", &format!("klamm.io/cluster={cluster}")])
    }

    /// The same of all pods of the namespace, unless one is on its way out.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn pods_at_rest(&self) -> Result<Option<Vec<(String, String)>>> {
        let pods = self.site.json(&["-n", &self.namespace, "get", "pods"])?;
        let mut all = pods["items"].as_array().into_iter().flatten();
        let is_at_rest = all.all(|it| it["metadata"]["deletionTimestamp"].is_null());
        is_at_rest.then(|| self.uids(&[])).transpose()
    }

    fn uids(&self, selector: &[&str]) -> Result<Vec<(String, String)>> {
        let get = ["-n", &self.namespace, "get", "pods"];
        let pods = self.site.json(&[&get[..], selector].concat())?;
        let text =
            |it: &Value, key: &str| it["metadata"][key].as_str().unwrap_or_default().to_owned();
        let items = pods["items"].as_array().cloned().unwrap_or_default();
        Ok(items.iter().map(|it| (text(it, "name"), text(it, "uid"))).collect())
    }

    /// The pod that holds the operators' lease; nothing if nobody does.
    ///
    /// # Errors
    /// When there is no lease.
    pub fn holder(&self) -> Result<String> {
        let lease = self.site.json(&["-n", OPERATOR, "get", "lease", "klamm-operator"])?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        Ok(holder.to_owned())
    }

    /// What a script says on the node of a pod, given the id of the pod's process as `$1`.
    ///
    /// # Errors
    /// When there is no such pod or process, or this is no testbed.
    pub fn at_process(&self, namespace: &str, pod: &str, script: &str) -> Result<String> {
        let found = self.site.json(&["-n", namespace, "get", "pod", pod])?;
        let node = found["spec"]["nodeName"].as_str().context("the pod has a node")?;
        let number = node.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        // Containers are told the name of their pod. The pause process is not.
        let at_it = format!(
            "for it in /proc/[0-9]*; do if tr '\\0' '\\n' <$it/environ 2>/dev/null | grep -qx HOSTNAME={pod} && \
             grep -q klamm $it/cmdline; then set -- ${{it#/proc/}}; {script}; exit; fi; done; exit 1"
        );
        let said = self.site.harm(&["node", number, "exec", "sh", "-c", &at_it]);
        said.with_context(|| format!("at the process of {pod} on {node}"))
    }

    /// Kills the operators that run, as `kill -9` does; others come in their place. Without the testbed the kubelet asks
    /// them to end first.
    ///
    /// # Errors
    /// When kubectl fails, or there is none.
    pub fn kill_operator(&self) -> Result<()> {
        if self.site.is_testbed() {
            let pods = self.site.json(&["-n", OPERATOR, "get", "pods", "-l", OPERATORS])?;
            let items = pods["items"].as_array().into_iter().flatten();
            let runs = |pod: &&Value| {
                pod["metadata"]["deletionTimestamp"].is_null()
                    && pod["status"]["phase"] == "Running"
            };
            for pod in items.filter(runs) {
                let name = pod["metadata"]["name"].as_str().context("a pod has a name")?;
                self.at_process(OPERATOR, name, "kill -KILL $1")?;
            }
        }
        let (of, now) = (["-n", OPERATOR, "delete", "pod"], ["--force", "--grace-period=0"]);
        self.site.kubectl(&[&of[..], &["-l", OPERATORS], &now].concat()).map(drop)
    }

    /// Has so many operators run.
    ///
    /// # Errors
    /// When they do not within a minute.
    pub fn scale_operator(&self, count: u8) -> Result<()> {
        let deployment = format!("deployment/{OPERATOR_RELEASE}");
        let replicas = format!("--replicas={count}");
        self.site.kubectl(&["-n", OPERATOR, "scale", &deployment, &replicas])?;
        let status = ["-n", OPERATOR, "rollout", "status", &deployment, "--timeout=60s"];
        self.site.kubectl(&status).map(drop)
    }

    /// `klamm` as a pod's neighbour would run it: where pods and Services are reached.
    pub fn klamm(&self) -> Result<Command> {
        Ok(self.site.command(crate::server::klamm_binary()?))
    }

    /// The addresses of a Cluster's brokers, for clients on the testbed.
    ///
    /// # Errors
    /// When no broker has one.
    pub fn bootstrap(&self, cluster: &str) -> Result<String> {
        self.addresses(cluster, 9092)
    }

    /// The same, of another of their ports.
    ///
    /// # Errors
    /// When no broker has one.
    pub fn addresses(&self, cluster: &str, port: u16) -> Result<String> {
        let selector = format!("klamm.io/cluster={cluster}");
        let pods = self.site.json(&["-n", &self.namespace, "get", "pods", "-l", &selector])?;
        let items = pods["items"].as_array().cloned().unwrap_or_default();
        let hosts: Vec<String> = items
            .iter()
            .filter_map(|it| Some(format!("{}:{port}", it["status"]["podIP"].as_str()?)))
            .collect();
        ensure!(!hosts.is_empty(), "no pod of {cluster} has an address");
        Ok(hosts.join(","))
    }

    /// The Events about an object, as `Reason: message`.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn events(&self, name: &str) -> Result<Vec<String>> {
        let all = self.site.json(&["-n", &self.namespace, "get", "events.events.k8s.io"])?;
        let items = all["items"].as_array().cloned().unwrap_or_default();
        let about = items.iter().filter(|it| it["regarding"]["name"] == name);
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        Ok(about.map(|it| format!("{}: {}", text(it, "reason"), text(it, "note"))).collect())
    }
}
