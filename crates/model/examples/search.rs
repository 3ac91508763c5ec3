//! `cargo run -p model --example search`: searches the deep scenarios, minutes each; or those that are named.

#![allow(clippy::print_stdout, reason = "it is a program")]

use model::{DEEP_SCENARIOS, SCENARIOS, search};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let named: Vec<_> = SCENARIOS
        .iter()
        .chain(DEEP_SCENARIOS)
        .filter(|it| names.iter().any(|name| name == it.name))
        .collect();
    assert_eq!(
        named.len(),
        names.len(),
        "a scenario is not known; see crates/model/src/scenario.rs"
    );
    let chosen = if names.is_empty() { DEEP_SCENARIOS.iter().collect() } else { named };
    for scenario in chosen {
        match search(scenario) {
            Ok(seen) => println!("{}: {seen:?}", scenario.name),
            Err(broken) => panic!("{}: {broken:#?}", scenario.name),
        }
    }
}
