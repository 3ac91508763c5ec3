//! Which nodes a Cluster has. Pure.

use crds::ClusterSpec;
use crds::cluster::{NodePool, PoolRoles};

/// From so many nodes on that may vote, three do at first.
const NODES_FOR_THREE: usize = 3;
/// From so many on, five.
const NODES_FOR_FIVE: usize = 9;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id in Kafka's words.
    pub id: i32,
    /// Its place in its StatefulSet.
    pub ordinal: i32,
    /// Its pool; `None` without pools.
    pub pool: Option<String>,
    /// What it is.
    pub roles: PoolRoles,
    /// Whether a new cluster begins with its vote.
    pub is_voter: bool,
}

impl Node {
    /// The name of its StatefulSet.
    pub fn set(&self, cluster: &str) -> String {
        match &self.pool {
            None => cluster.to_owned(),
            Some(pool) => format!("{cluster}-{pool}"),
        }
    }

    /// The name of its pod.
    pub fn pod(&self, cluster: &str) -> String {
        format!("{}-{}", self.set(cluster), self.ordinal)
    }

    /// Whether it holds partitions.
    pub fn is_broker(&self) -> bool {
        self.roles != PoolRoles::Controller
    }
}

/// The nodes that `spec` declares, by id.
pub fn nodes(spec: &ClusterSpec) -> Vec<Node> {
    let of_pool = |pool: Option<&NodePool>, count: i32| -> Vec<Node> {
        let first = pool.map_or(0, |it| it.first_id);
        let roles = pool.map(|it| it.roles).unwrap_or_default();
        let name = pool.map(|it| it.name.clone());
        let node = |ordinal| {
            let pool = name.clone();
            Node { id: first + ordinal, ordinal, pool, roles, is_voter: false }
        };
        (0..count).map(node).collect()
    };
    let mut nodes: Vec<Node> = match spec.node_pools.as_slice() {
        [] => of_pool(None, spec.node_count()),
        pools => pools.iter().flat_map(|pool| of_pool(Some(pool), pool.replicas)).collect(),
    };
    nodes.sort_by_key(|node| node.id);
    // Controllers of their own vote before brokers do.
    let mut may_vote: Vec<&mut Node> =
        nodes.iter_mut().filter(|node| node.roles != PoolRoles::Broker).collect();
    may_vote.sort_by_key(|node| (node.roles != PoolRoles::Controller, node.id));
    let votes = match may_vote.len() {
        0..NODES_FOR_THREE => 1,
        NODES_FOR_THREE..NODES_FOR_FIVE => 3,
        NODES_FOR_FIVE.. => 5,
    };
    may_vote.into_iter().take(votes).for_each(|node| node.is_voter = true);
    nodes
}
