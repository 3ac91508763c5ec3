//! scratch
use model::{Budget, Durability, Replication, Scenario, Mutant};
use stateright::{Checker, Model, HasDiscoveries};

fn run(scenario: Scenario, mutant: Option<Mutant>, max: usize) {
    let begun = std::time::Instant::now();
    let checker = Replication::new(scenario, mutant).checker().finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(max).spawn_bfs().join();
    println!("{mutant:?} {}: {} states, {} transitions, depth {}, done {}, {:?}", scenario.name, checker.unique_state_count(), checker.state_count(), checker.max_depth(), checker.is_done(), begun.elapsed());
    let mut found: Vec<_> = checker.discoveries().into_iter().collect();
    found.sort_by_key(|it| it.0);
    for (name, path) in found {
        let is_bad = checker.model().property(name).expectation.discovery_is_failure();
        if is_bad {
            println!("   BAD {name} in {}", path.clone().into_actions().len());
            if mutant.is_none() {println!("{:?}\n{:?}", path.clone().into_actions(), path.last_state());}
        } else if mutant.is_none() {println!("   {name} in {}", path.clone().into_actions().len());}
    }
}

fn table() -> Vec<Scenario> {
    use Durability::*;
    let b = Budget { records: 1, ..Budget::default() };
    let s = |name, in_sync, durability, budget| Scenario { name, in_sync, durability, budget };
    vec![
    s("kills", 3, Replicated, Budget { records: 2, kills: 1, ..b }),
    s("lag", 2, Replicated, Budget { hours: 1, ..b }),
    s("late proposals", 2, Replicated, Budget { hours: 1, give_ups: 1, ..b }),
    s("late proposals power", 2, Replicated, Budget { power_losses: 1, give_ups: 1, ..b }),
    s("late proposals kill", 2, Replicated, Budget { kills: 1, give_ups: 1, ..b }),
    s("eligible silence", 2, Replicated, Budget { silences: 1, power_losses: 1, ..b }),
    s("power", 3, Replicated, Budget { power_losses: 2, ..b }),
    s("power 1", 3, Replicated, Budget { records: 2, power_losses: 1, ..b }),
    s("fsync 2", 3, Fsync, Budget { power_losses: 2, ..b }),
    s("disk kill", 3, Replicated, Budget { lost_disks: 1, kills: 1, ..b }),
    s("stop kill", 3, Replicated, Budget { stops: 1, kills: 1, ..b }),
    s("stop kill behind", 2, Replicated, Budget { stops: 1, kills: 1, ..b }),
    s("silence elections 1", 2, Replicated, Budget { silences: 1, elections:1, ..b }),
    s("silence kill", 3, Replicated, Budget { silences: 1, kills: 1, ..b }),
    s("lag kill", 2, Replicated, Budget { hours: 1, kills: 1, ..b }),
    ]
}

#[test]
fn sizes() {
    for s in table() { run(s, None, 4_000_000) }
}

#[test]
fn mutants() {
    for (mutant, p, s) in Mutant::ALL {
        println!("---- {p} {s}");
        for s in table() { run(s, Some(mutant), 400_000) }
    }
}
