//! What must hold, whatever happens.

use std::collections::BTreeMap;

use engine::{BrokerId, LeaderEpoch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::cluster::{Cluster, Event, Fault};
use super::node::{Node, Role};

impl Cluster {
    fn node(&self, id: BrokerId) -> &Node {
        &self.nodes[usize::try_from(id.0).unwrap()]
    }

    fn has_all_acked(&self, node: &Node) -> Result<(), String> {
        for (offset, value) in &self.acked {
            let entry = node.disk.log.get(usize::try_from(*offset).unwrap());
            if entry.is_none_or(|entry| entry.value != *value) {
                let place = self.image.partition("t", 0);
                return Err(format!("broker {} lacks {offset}: {place:?}", node.id));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        // Whoever may be elected has what was acknowledged; but of a machine that crashed, the controller
        // hears only when it is back.
        let place = self.image.partition("t", 0).unwrap();
        for id in place.isr.iter().chain(&place.elr) {
            let node = self.node(*id);
            if !node.is_suspect {
                self.has_all_acked(node)?;
            }
        }
        self.check_logs_match()?;
        for at in 0..self.nodes.len() {
            if let Some(watermark) = self.watermark_at(at)
                && watermark < self.told
            {
                return Err(format!("broker {at} tells {watermark} after {}", self.told));
            }
        }
        if let Some(leader) = place.leader
            && let Some(process) = &self.node(leader).process
            && let Role::Leader(progress) = &process.role
            && process.place.as_ref().is_some_and(|it| it.leader_epoch == place.leader_epoch)
            && progress.is_serving()
        {
            self.has_all_acked(self.node(leader))?;
        }
        Ok(())
    }

    /// One offset and epoch is one record, and so are all before it.
    fn check_logs_match(&self) -> Result<(), String> {
        let mut seen: BTreeMap<(usize, LeaderEpoch), (u64, Option<LeaderEpoch>)> = BTreeMap::new();
        for node in &self.nodes {
            let mut before = None;
            for (offset, entry) in node.disk.log.iter().enumerate() {
                let this = (entry.value, before);
                if *seen.entry((offset, entry.epoch)).or_insert(this) != this {
                    return Err(format!("two records at {offset} in epoch {}", entry.epoch));
                }
                before = Some(entry.epoch);
            }
        }
        Ok(())
    }

    /// After everything has healed: all replicas are in sync and have all that was acknowledged.
    fn check_healed(&mut self) -> Result<(), String> {
        self.heal();
        self.check()?;
        let place = self.image.partition("t", 0).unwrap().clone();
        if place.leader.is_none() || place.isr.len() != place.replicas.len() {
            return Err(format!("it does not heal: {place:?}"));
        }
        place.replicas.iter().try_for_each(|id| self.has_all_acked(self.node(*id)))
    }
}

fn event() -> impl Strategy<Value = Event> {
    let at = || 0..4usize;
    prop_oneof![
        2 => at().prop_map(Event::Produce),
        10 => Just(Event::ProduceAtLeader),
        30 => at().prop_map(Event::Copy),
        5 => Just(Event::Work),
        5 => at().prop_map(Event::SendFetch),
        5 => (at(), 1..4usize).prop_map(|(which, max)| Event::AnswerFetch(which, max)),
        5 => at().prop_map(Event::TakeFetched),
        1 => at().prop_map(Event::LoseFetch),
        20 => (at(), 1..9usize).prop_map(|(at, decisions)| Event::Follow(at, decisions)),
        5 => at().prop_map(Event::Propose),
        5 => (at(), any::<bool>()).prop_map(|(which, heard)| Event::Decide(which, heard)),
        2 => at().prop_map(Event::GiveUp),
        4 => at().prop_map(Event::Start),
        4 => at().prop_map(Event::Register),
        8 => at().prop_map(Event::Beat),
        1 => at().prop_map(Event::Leave),
        2 => at().prop_map(Event::Silence),
        2 => at().prop_map(Event::Kill),
        1 => at().prop_map(Event::CrashMachine),
        1 => at().prop_map(Event::LoseDisk),
        1 => at().prop_map(Event::Flush),
        1 => Just(Event::Prefer),
        1 => (at(), 1..4usize, 0..3usize).prop_map(|(at, to, len)| Event::Move(at, to, len)),
        1 => Just(Event::MoveLeader),
        2 => (1..4usize).prop_map(Event::MoveMeanwhile),
        1 => at().prop_map(Event::CrashMeanwhile),
        3 => Just(Event::Pass),
    ]
}

/// How many histories must hold.
const CASES: u32 = 3_000;

/// Runs many histories; the first that breaks a property, made short, or what all of them did.
fn run(fault: Fault, cases: u32) -> Result<Totals, String> {
    let mut runner = TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let totals = std::cell::RefCell::new(Totals::default());
    let histories = prop::collection::vec(event(), 0..250);
    let result = runner.run(&histories, |events| {
        let mut cluster = Cluster::new(fault);
        let mut leaders = 0;
        for event in events {
            let before = cluster.image.partition("t", 0).unwrap().leader;
            cluster.happen(event);
            leaders += usize::from(cluster.image.partition("t", 0).unwrap().leader != before);
            cluster.check().map_err(TestCaseError::fail)?;
        }
        cluster.check_healed().map_err(TestCaseError::fail)?;
        let mut totals = totals.borrow_mut();
        totals.acked += cluster.acked.len();
        totals.leaders += leaders;
        Ok(())
    });
    result.map_err(|error| error.to_string())?;
    Ok(totals.into_inner())
}

#[derive(Debug, Default)]
struct Totals {
    acked: usize,
    leaders: usize,
}

#[test]
fn what_was_acknowledged_is_never_lost() {
    let totals = run(Fault::None, CASES).unwrap_or_else(|error| panic!("{error}"));
    assert!(totals.acked > 20_000 && totals.leaders > 1000, "too little happened: {totals:?}");
}

#[test]
fn a_model_with_a_fault_is_caught() {
    for fault in [
        Fault::ForgetsTheBoot,
        Fault::TrustsOldMetadata,
        Fault::TakesSilenceForRefusal,
        Fault::TakesAnotherLeaderForRefusal,
        Fault::NamesEmptyEpochs,
        Fault::TwoMachines,
    ] {
        let found = run(fault, 5_000).expect_err("a fault goes unnoticed");
        let losses = ["lacks", "committed is cut", "does not heal"];
        let is_loss = losses.iter().any(|loss| found.contains(loss));
        assert!(is_loss, "{fault:?}: {found}");
    }
}
