//! Three brokers of one product as a contestant, in one memory group.

use std::path::Path;

use anyhow::{Context, Result};
use e2e::cluster::{Cluster, Product, Spec};

use super::Contestant;
use super::cgroup::MemoryGroup;
use crate::load::Target;

/// Brokers, all of them controllers, and as many replicas.
const BROKERS: i32 = 3;
/// Each broker gets what a contestant of one broker gets.
const SHARES: u64 = 3;

/// Three brokers.
pub(crate) struct Trio {
    name: &'static str,
    cluster: Cluster,
    // After the processes: a group is removed once it is empty.
    _group: MemoryGroup,
}

impl Trio {
    pub(crate) fn klamm(binary: &Path, memory: u64) -> Result<Self> {
        Self::start("klamm", Product::Klamm(binary.to_owned()), memory)
    }

    pub(crate) fn kafka(memory: u64) -> Result<Self> {
        Self::start("kafka", Product::kafka()?, memory)
    }

    fn start(name: &'static str, product: Product, memory: u64) -> Result<Self> {
        let group = MemoryGroup::new(&format!("{name}-cluster"), memory.saturating_mul(SHARES))?;
        let cluster = Cluster::launch(Spec {
            count: BROKERS,
            product,
            network: None,
            settings: vec!["min.insync.replicas=2".to_owned()],
            prefix: group.prefix(),
            machines: None,
        })?;
        Ok(Self { name, cluster, _group: group })
    }
}

impl Contestant for Trio {
    fn name(&self) -> &'static str {
        self.name
    }

    fn target(&self, topic: &str, partitions: i32) -> Result<Target> {
        let bootstrap = self.cluster.bootstrap();
        let broker = bootstrap.split(',').next().context("there is a broker")?.to_owned();
        let pids = self.cluster.processes();
        let replicas = i16::try_from(BROKERS)?;
        Ok(Target { broker, topic: topic.to_owned(), partitions, replicas, pids })
    }
}
