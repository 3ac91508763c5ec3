//! Three processes of `klamm broker`, as on three machines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::Value;

use crate::process::{Ports, Shell, eventually, klamm};

/// Three processes of `klamm broker`, as on three machines.
pub(crate) struct Processes {
    pub(crate) dir: tempfile::TempDir,
    ports: Ports,
    pub(crate) children: BTreeMap<u16, Child>,
}

impl Processes {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("there is room for a folder");
        let mut all = Self { dir, ports: Ports::take(3), children: BTreeMap::new() };
        (1..=3).for_each(|id| all.start_one(id));
        all.all_serve();
        all
    }

    pub(crate) fn all_serve(&self) {
        eventually("three brokers serve", || {
            let said = self.run("cluster status -o json").out;
            let said: Value = serde_json::from_str(&said).unwrap_or_default();
            said["brokersUp"] == 3
        });
    }

    /// Ends a broker as a crash does.
    pub(crate) fn kill(&mut self, id: u16) {
        let mut child = self.children.remove(&id).expect("it runs");
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }

    /// Where a broker keeps its data.
    pub(crate) fn data(&self, id: u16) -> PathBuf {
        self.dir.path().join(format!("data-{id}"))
    }

    /// Takes the disk of a broker away that does not run.
    pub(crate) fn wipe(&self, id: u16) {
        std::fs::remove_dir_all(self.data(id)).expect("it was there");
    }

    fn address(&self, id: u16) -> String {
        format!("127.0.0.1:{}", self.ports.first + id - 1)
    }

    pub(crate) fn start_one(&mut self, id: u16) {
        let voters: Vec<_> = (1..=3).map(|id| format!("{id}@{}", self.address(id))).collect();
        let mut command = klamm(self.dir.path());
        command.arg("broker").env("KLAMM_LOG", "warn");
        for setting in [
            format!("node.id={id}"),
            format!("log.dirs=data-{id}"),
            format!("listeners=PLAINTEXT://{}", self.address(id)),
            format!("controller.quorum.voters={}", voters.join(",")),
            "klamm.cluster.id=AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
            "klamm.http.listener=".to_owned(),
            "offsets.topic.num.partitions=3".to_owned(),
        ] {
            command.args(["--set", &setting]);
        }
        self.children.insert(id, command.spawn().expect("klamm starts"));
    }
}

impl Shell for Processes {
    fn command(&self, line: &str) -> Command {
        let all: Vec<_> = (1..=3).map(|id| self.address(id)).collect();
        let mut command = klamm(self.dir.path());
        command.args(line.split(' ')).env("KLAMM_BOOTSTRAP", all.join(","));
        command
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
