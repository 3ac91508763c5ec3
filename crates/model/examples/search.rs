//! `cargo run -p model --example search`: searches the deep scenarios, minutes each; or those that are named.

#![allow(clippy::print_stdout, reason = "it is a program")]

use model::{DEEP_SCENARIOS, SCENARIOS, search};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let known = || SCENARIOS.iter().chain(DEEP_SCENARIOS);
    for name in &names {
        assert!(known().any(|it| it.name == name), "{name}: not in crates/model/src/scenario.rs");
    }
    let all_deep = DEEP_SCENARIOS.iter().filter(|_| names.is_empty());
    let named = known().filter(|it| names.iter().any(|name| name == it.name));
    for scenario in all_deep.chain(named) {
        match search(scenario) {
            Ok(seen) => println!("{}: {seen:?}", scenario.name),
            Err(broken) => panic!("{}: {broken:#?}", scenario.name),
        }
    }
}
