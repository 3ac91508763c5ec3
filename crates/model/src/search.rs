//! Goes through all histories of a scenario.

use std::collections::BTreeSet;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::model::Replication;
use crate::mutant::Mutant;
use crate::scenario::Scenario;
use crate::state::Action;

/// What there was in a scenario that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many states.
    pub states: usize,
    /// How many ways from one to another.
    pub transitions: usize,
    /// How long the longest history is that goes nowhere twice.
    pub depth: usize,
    /// Which of the things happened that should be seen.
    pub sometimes: BTreeSet<&'static str>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which property.
    pub property: &'static str,
    /// How it comes to that.
    pub history: Vec<Action>,
}

/// Goes through all histories of the whole protocol in `scenario`.
///
/// # Errors
/// When a property does not hold.
pub fn search(scenario: &Scenario) -> Result<Seen, Broken> {
    let model = Replication::new(*scenario, None);
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut sometimes = BTreeSet::new();
    for (property, path) in checker.discoveries() {
        if checker.model().property(property).expectation != Expectation::Sometimes {
            return Err(Broken { property, history: path.into_actions() });
        }
        sometimes.insert(property);
    }
    assert!(checker.is_done(), "nothing broke, so all was searched");
    let (states, transitions) = (checker.unique_state_count(), checker.state_count());
    Ok(Seen { states, transitions, depth: checker.max_depth(), sometimes })
}

/// A history in which a mutant breaks `property`.
pub fn counter_example(
    scenario: &Scenario,
    mutant: Mutant,
    property: &'static str,
) -> Option<Vec<Action>> {
    let model = Replication::new(*scenario, Some(mutant));
    let found = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(found).spawn_bfs().join();
    Some(checker.discovery(property)?.into_actions())
}
