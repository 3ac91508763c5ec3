//! A whole broker with its clients is a function of the seed: run twice, it tells the same story.

use sim::klamm::Klamm;
use sim::panics::Panics;
use sim::storm::{self, Outcome};

/// Enough for a whole run, so that a difference can be named.
const TRACE_LINES_MAX: usize = 500_000;

#[test]
fn a_seed_is_one_story_of_a_whole_broker() {
    let panics = Panics::listen();
    let run = |seed| storm::run(&Klamm::new(1), seed, TRACE_LINES_MAX, &panics);
    for seed in [5, 6] {
        let (one, two): (Outcome, Outcome) = (run(seed), run(seed));
        assert_eq!(one.broken, [], "seed {seed}");
        assert!(one.counts(), "seed {seed}: {:?}, {} acknowledged", one.elapsed, one.acked);
        assert_eq!(one.trace.first_difference(&two.trace), None, "seed {seed}");
    }
    let (one, other) = (run(5), run(6));
    assert!(one.trace.first_difference(&other.trace).is_some(), "two seeds, two stories");
}
