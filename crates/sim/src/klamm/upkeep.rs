//! What people do to a cluster: votes, drains, the disruption lease, equal shares, a broker that comes and goes. At
//! the end, what is left of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use client::admin::{BrokerStanding, DrainMode, HarmKind};
use client::{Admin, Error};
use wire::add_raft_voter::request::Listener;
use wire::{AddRaftVoterRequest, Uuid};
use world::World;
use world::simulated::{HostId, Simulation};

use super::{Klamm, ORDERS, PAUSE, PORT, Stage, VIEWS, moves, partitions};
use crate::faults::{Fault, FaultKind};
use crate::storm::{SharedHistory, System};

/// Whose machine it is done from.
pub(super) const OPERATOR: &str = "operator";
/// How long a vote may take to be taken, and a broker to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long leases, moves and what is being undone may last once nothing fails any more.
const OVER_WITHIN: Duration = Duration::from_secs(30);

/// Somebody who operates the cluster.
pub(super) struct Operator {
    system: Klamm,
    simulation: Simulation,
    world: World,
    stage: Stage,
}

impl Klamm {
    pub(super) fn operator(&self, simulation: &Simulation) -> Operator {
        let mut hosts = simulation.hosts().into_iter();
        let host = hosts.find(|host| *simulation.name(*host) == *OPERATOR).expect("it was built");
        let stage = Stage::new(self.brokers, SharedHistory::default());
        let (system, world) = (self.clone(), simulation.world(host));
        Operator { system, simulation: simulation.clone(), world, stage }
    }
}

impl Operator {
    /// Somebody else each time, in case that one does not learn of it.
    fn admin(&self) -> Admin {
        Admin::new(self.stage.cluster(&self.world, Duration::ZERO))
    }

    /// Asks until there is an answer.
    async fn until<T>(&self, mut ask: impl AsyncFnMut(Admin) -> Option<T>) -> T {
        loop {
            if let Some(answer) = ask(self.admin()).await {
                return answer;
            }
            self.simulation.sleep(PAUSE).await;
        }
    }

    async fn standings(&self) -> Vec<BrokerStanding> {
        self.until(async |admin| admin.describe_brokers().await.ok()).await
    }

    fn host(&self, id: i32) -> HostId {
        self.system.hosts.borrow()[usize::try_from(id).expect("ids begin with 0")]
    }

    /// Whether nothing would be missed with the disk of a broker, and it may go.
    pub(super) async fn can_lose_disk(&self, id: i32) -> bool {
        let Ok(verdict) = self.admin().restart_check(&[id]).await else { return false };
        let is_lost = |kind| matches!(kind, HarmKind::DataLoss | HarmKind::Quorum);
        verdict.is_ok && !verdict.harms.iter().any(|harm| is_lost(harm.kind))
    }

    /// Whether a broker is in sync everywhere.
    pub(super) async fn has_all(&self, id: i32) -> bool {
        let standings = self.standings().await;
        let its = standings.iter().find(|broker| broker.id == id);
        its.is_some_and(|its| !its.is_fenced && its.in_sync == its.replicas)
    }

    /// Does it, and undoes it; whether it came about.
    pub(super) async fn carry_out(&self, id: i32, fault: &Fault) -> bool {
        match fault.kind {
            FaultKind::Vote => self.take_vote(id, fault).await,
            FaultKind::Drain => self.drain(id, fault).await,
            FaultKind::Lease => self.lease(id, fault).await,
            FaultKind::Balance => self.balance(fault).await,
            FaultKind::Join => self.join(fault).await,
            other => unreachable!("{other:?} is not done by people"),
        }
    }

    async fn take_vote(&self, id: i32, fault: &Fault) -> bool {
        // Without a majority of those that are left, it could not be given back either.
        if !self.can_lose_disk(id).await {
            return false;
        }
        let taken = self.until(async |admin| admin.remove_voter(id).await.ok());
        let is_taken = self.simulation.within(PATIENCE, taken).await.is_some();
        self.simulation.sleep(fault.lasts).await;
        self.give_vote(id).await;
        is_taken
    }

    /// Gives a broker its vote, unless it has it.
    async fn give_vote(&self, id: i32) {
        let has_vote = |brokers: Vec<BrokerStanding>| {
            brokers.iter().any(|broker| broker.id == id && broker.is_voter)
        };
        while !has_vote(self.standings().await) {
            let Some(directory) = directory(&self.simulation, self.host(id)) else { return };
            let request = AddRaftVoterRequest {
                cluster_id: None,
                voter_id: id,
                voter_directory_id: directory,
                listeners: vec![Listener {
                    name: "PLAINTEXT".into(),
                    host: self.host(id).address().to_string().as_str().into(),
                    port: PORT,
                    ..Default::default()
                }],
                ..Default::default()
            };
            // Whether it worked is seen the next time.
            let _ = self.admin().cluster().ask_any(&request).await;
            self.simulation.sleep(PAUSE).await;
        }
    }

    async fn drain(&self, id: i32, fault: &Fault) -> bool {
        let all = fault.detail.is_multiple_of(2);
        let mode = if all { DrainMode::All } else { DrainMode::Leadership };
        let is_begun = self.admin().drain_broker(id, mode).await.is_ok();
        self.simulation.sleep(fault.lasts).await;
        self.cancel_drain(id).await;
        is_begun
    }

    async fn cancel_drain(&self, id: i32) {
        self.until(async |admin| admin.drain_broker(id, DrainMode::Nothing).await.ok()).await;
    }

    async fn lease(&self, id: i32, fault: &Fault) -> bool {
        let ttl = fault.lasts.max(Duration::from_secs(1));
        if self.admin().acquire_lease(id, OPERATOR, ttl).await.is_err() {
            return false;
        }
        self.simulation.sleep(fault.lasts.mul_f32(0.9)).await;
        if fault.detail.is_multiple_of(2) {
            // It may be over, and the answer may be lost.
            let is_told = |error: &Error| error.code().is_some();
            self.until(async |admin| match admin.release_lease(id, OPERATOR).await {
                Err(error) if !is_told(&error) => None,
                _ => Some(()),
            })
            .await;
        }
        true
    }

    async fn balance(&self, fault: &Fault) -> bool {
        let is_begun = self.admin().balance(true).await.is_ok();
        self.simulation.sleep(fault.lasts).await;
        if fault.detail.is_multiple_of(2) {
            self.until(async |admin| admin.balance(false).await.ok()).await;
        }
        is_begun
    }

    /// Another broker comes with an empty disk, gets replicas, perhaps dies and comes back, is emptied, and
    /// forgotten.
    async fn join(&self, fault: &Fault) -> bool {
        let id = i32::try_from(self.stage.brokers).expect("there are few");
        let (host, storm) = (self.host(id), &self.simulation);
        if self.system.joins.replace(true) {
            return false;
        }
        self.system.start(storm, host);
        let standing = |brokers: Vec<BrokerStanding>| brokers.into_iter().find(|it| it.id == id);
        while standing(self.standings().await).is_none_or(|broker| broker.is_fenced) {
            storm.sleep(PAUSE).await;
        }
        let draw = |bound: usize| usize::try_from(fault.detail % 1000).expect("small") % bound;
        let all = [partitions(ORDERS), partitions(VIEWS)].concat();
        let mut replicas: Vec<i32> = (0..id).collect();
        replicas.rotate_left(draw(self.stage.brokers));
        replicas[0] = id;
        let partition = &all[draw(all.len())];
        let moved = self.until(async |admin| {
            moves::reassign(admin.cluster(), partition, &replicas).await.then_some(())
        });
        storm.within(fault.lasts.max(PATIENCE), moved).await;
        storm.sleep(fault.lasts).await;
        if fault.detail.is_multiple_of(3) {
            storm.kill(host);
            storm.sleep(fault.lasts).await;
            self.system.start(storm, host);
        }
        self.until(async |admin| admin.drain_broker(id, DrainMode::All).await.ok()).await;
        let is_empty = |broker: &BrokerStanding| broker.is_drained && broker.replicas == 0;
        while !standing(self.standings().await).as_ref().is_some_and(is_empty) {
            storm.sleep(PAUSE).await;
        }
        self.system.stop(storm, host);
        let stopped = self.until(async |_| (!storm.is_running(host)).then_some(()));
        storm.within(PATIENCE, stopped).await;
        storm.kill(host);
        while let Some(broker) = standing(self.standings().await) {
            // Whether it worked is seen the next time.
            let _ = self.admin().forget_broker(id, Some(broker.epoch)).await;
            storm.sleep(PAUSE).await;
        }
        storm.disk(host).replace();
        self.system.joins.set(false);
        true
    }

    /// What is not as the settings say, once that has had its time. A request that was long on its way may have
    /// undone what was undone: that is undone here.
    pub(super) async fn left_behind(&self) -> Vec<String> {
        let deadline = self.simulation.elapsed() + OVER_WITHIN;
        let ids = 0..i32::try_from(self.stage.brokers).expect("there are few");
        let mended = async {
            for broker in self.standings().await {
                if broker.drain != DrainMode::Nothing {
                    self.cancel_drain(broker.id).await;
                }
            }
            for id in ids.clone() {
                self.give_vote(id).await;
            }
        };
        self.simulation.within(OVER_WITHIN, mended).await;
        loop {
            let left = self.not_as_set(ids.clone().collect()).await;
            let left = left.unwrap_or_else(|error| vec![format!("nobody answers: {error}")]);
            if left.is_empty() || self.simulation.elapsed() >= deadline {
                return left;
            }
            self.simulation.sleep(PAUSE).await;
        }
    }

    async fn not_as_set(&self, ids: BTreeSet<i32>) -> Result<Vec<String>, Error> {
        let admin = self.admin();
        let mut left = Vec::new();
        let brokers = admin.describe_brokers().await?;
        let registered: BTreeSet<i32> = brokers.iter().map(|broker| broker.id).collect();
        if registered != ids {
            left.push(format!("brokers {registered:?} are registered"));
        }
        for broker in brokers {
            let BrokerStanding { is_fenced, is_stopping, is_cordoned, is_voter, drain, .. } =
                broker;
            let is_as_set = !is_fenced && !is_stopping && !is_cordoned && is_voter;
            if !is_as_set || drain != DrainMode::Nothing {
                left.push(format!("{broker:?}"));
            }
        }
        left.extend(admin.lease().await?.map(|lease| format!("{lease:?}")));
        let moves = admin.list_moves().await?;
        left.extend(moves.iter().map(|(partition, one)| format!("{partition}: {one:?}")));
        let plan = admin.balance_plan().await?;
        if plan.is_running {
            left.push(format!("equal shares are still sought: {:?}", plan.hold));
        }
        Ok(left)
    }
}

/// The id of the data directory on a host's disk, if there is one.
fn directory(simulation: &Simulation, host: HostId) -> Option<Uuid> {
    let properties = simulation.disk(host).read(Path::new("/data/meta.properties")).ok()?;
    let properties = String::from_utf8(properties).ok()?;
    properties.lines().find_map(|line| line.strip_prefix("directory.id="))?.parse().ok()
}
