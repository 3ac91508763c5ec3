//! The protocol holds in every order of events, and each mutant of it is caught.
//!
//! `cargo test -p model -- --nocapture` tells how much was searched, and how each mutant fails.

use std::collections::BTreeSet;

use model::{Mutant, Replication, SCENARIOS, counter_example, search};
use stateright::{Expectation, Model};

fn names_of(expected: &Expectation) -> BTreeSet<&'static str> {
    let properties = Replication::new(SCENARIOS[0], None).properties();
    let chosen = properties.iter().filter(|property| property.expectation == *expected);
    chosen.map(|property| property.name).collect()
}

#[test]
fn every_order_of_events_is_safe_and_heals() {
    let mut happened = BTreeSet::new();
    for scenario in SCENARIOS {
        let seen = search(scenario).unwrap_or_else(|broken| panic!("{scenario:?}: {broken:#?}"));
        println!("{}: {} states, {} transitions", scenario.name, seen.states, seen.transitions);
        happened.extend(seen.sometimes);
    }
    assert_eq!(happened, names_of(&Expectation::Sometimes), "what is not seen proves nothing");
}

#[test]
fn every_mutant_breaks_the_property_that_is_named() {
    for (mutant, property, name) in Mutant::ALL {
        let scenario = SCENARIOS.iter().find(|it| it.name == name).expect("it is listed");
        let history = counter_example(scenario, mutant, property);
        let history = history.unwrap_or_else(|| panic!("{mutant:?} goes unnoticed: {property}"));
        println!("{mutant:?}: not \"{property}\" after {history:?}");
    }
    let caught: BTreeSet<_> = Mutant::ALL.iter().map(|(_, property, _)| *property).collect();
    assert_eq!(caught, names_of(&Expectation::Always), "what nothing breaks proves nothing");
}
