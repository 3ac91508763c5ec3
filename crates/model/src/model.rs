//! The protocol as stateright sees it: where it begins, what may happen, what must hold.

use std::sync::Arc;

use config::{Properties, Settings};
use engine::metadata::Partition;
use engine::{BrokerId, LeaderEpoch};
use stateright::{Model, Property};

use crate::broker::{Known, MIN_ISR, Node};
use crate::metadata::Metadata;
use crate::mutant::Mutant;
use crate::properties;
use crate::scenario::{Budget, Durability, Scenario};
use crate::state::{Action, BROKERS, Past, State};

/// The protocol in one scenario, whole or with one rule broken.
#[derive(Debug)]
pub struct Replication {
    pub(crate) scenario: Scenario,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) settings: Settings,
}

impl Replication {
    /// The protocol in `scenario`, with a rule broken or none.
    pub fn new(scenario: Scenario, mutant: Option<Mutant>) -> Self {
        let fixed = Properties::from([("min.insync.replicas".to_owned(), MIN_ISR.to_string())]);
        let settings = Settings::resolve(fixed).expect("this setting exists");
        Self { scenario, mutant, settings }
    }

    /// What happens by itself, sooner or later.
    fn work(&self, state: &State, actions: &mut Vec<Action>) {
        let Scenario { durability, .. } = self.scenario;
        for (at, node) in state.nodes.iter().enumerate() {
            let Some(process) = &node.process else {
                actions.push(Action::Start(at));
                if !state.is_fenced(at) {
                    actions.push(Action::Fence(at));
                }
                continue;
            };
            let is_caught_up = state.is_caught_up(at);
            if !is_caught_up {
                actions.push(Action::Follow(at));
            }
            if process.is_stopping || (is_caught_up && state.is_fenced(at)) {
                actions.push(Action::Beat(at));
            }
            if node.fetch(durability, self.mutant).is_some() {
                actions.push(Action::Copy(at));
            }
            let is_asking = state.asked.iter().any(|it| it.is_awaited && it.leader == node.id);
            if node.leads().is_some() && !is_asking {
                actions.push(Action::Propose(at));
            }
            let is_flushed_alone =
                durability == Durability::Replicated && !self.scenario.loses_the_newest();
            let may_flush = !is_flushed_alone || !node.is_in_sync();
            if may_flush && node.disk.flushed < node.disk.log.len() {
                actions.push(Action::Flush(at));
            }
        }
        if !state.metadata.departures(&state.nodes, &self.settings).is_empty() {
            actions.push(Action::LetGo);
        }
        actions.extend((0..state.asked.len()).map(Action::Decide));
        actions.extend((0..state.late.len()).map(Action::Arrive));
    }

    /// What a client, a person or bad luck does, as often as the scenario allows.
    fn luck(&self, state: &State, actions: &mut Vec<Action>) {
        let left = state.left;
        for (at, node) in state.nodes.iter().enumerate() {
            self.storage_luck(state, at, actions);
            let Some(process) = &node.process else { continue };
            if left.records > 0 && node.leads().is_some() {
                actions.push(Action::Produce(at));
            }
            if left.late_fetches > 0 && node.fetch(self.scenario.durability, self.mutant).is_some()
            {
                actions.push(Action::Delay(at));
            }
            if left.kills > 0 {
                actions.push(Action::Kill(at));
            }
            if left.silences > 0 && !state.is_fenced(at) {
                actions.push(Action::Fence(at));
            }
            if left.stops > 0 && !process.is_stopping {
                actions.push(Action::Stop(at));
            }
        }
        if left.give_ups > 0 {
            let awaited = (0..state.asked.len()).filter(|which| state.asked[*which].is_awaited);
            let give_up = |which| [true, false].map(|is_lost| Action::GiveUp { which, is_lost });
            actions.extend(awaited.flat_map(give_up));
        }
        if left.elections > 0 {
            actions.push(Action::Prefer);
        }
        if left.moves > 0 {
            let moves = |at: &usize| state.metadata.moved(state.nodes[*at].id).len() >= MIN_ISR;
            actions.extend((0..BROKERS).filter(moves).map(Action::Move));
        }
        if left.hours > 0 {
            actions.push(Action::Pass);
        }
        if left.outages > 0 {
            let [one, two, three] = state.nodes.each_ref().map(|node| node.disk.kept());
            for (first, second) in one.flat_map(|it| two.clone().map(move |other| (it, other))) {
                actions.extend(
                    three
                        .clone()
                        .map(|third| Action::LosePowerEverywhere { kept: [first, second, third] }),
                );
            }
        }
    }

    /// Machines and disks: no more at once than is promised (`docs/internals/restarts.md`).
    fn storage_luck(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let Budget { power_losses, lost_disks, .. } = state.left;
        let node = &state.nodes[at];
        let all_are_whole = state.nodes.iter().all(|node| !node.is_suspect);
        let may_be_more = self.scenario.durability == Durability::Fsync
            || self.mutant == Some(Mutant::TwoMachinesAtOnce);
        if power_losses > 0 && (all_are_whole || may_be_more) {
            actions.extend(node.disk.kept().map(|kept| Action::LosePower { at, kept }));
        }
        let place = &state.metadata.place;
        let mut holders = place.isr.iter().chain(&place.elr);
        if lost_disks > 0 && all_are_whole && holders.any(|id| *id != node.id) {
            actions.push(Action::LoseDisk(at));
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_at_rest(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.work(state, &mut actions);
        actions.into_iter().all(|action| self.next_state(state, action).is_none())
    }
}

impl Model for Replication {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let ids = [1, 2, 3].map(BrokerId);
        let place = Partition {
            leader: Some(ids[0]),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            replicas: ids.to_vec(),
            isr: ids[..self.scenario.in_sync].to_vec(),
            elr: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
        };
        let nodes = ids.map(|id| {
            let place = Arc::new(place.clone());
            let known = Known { place, epoch: i64::from(id.0), is_fenced: false };
            Arc::new(Node::new(id, known))
        });
        let metadata = Metadata::new(&nodes, &place);
        let (asked, late, past) = (Vec::new(), Vec::new(), Past::default());
        vec![State { metadata, nodes, asked, late, left: self.scenario.budget, hour: 0, past }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.work(state, actions);
        self.luck(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.happen(&mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
