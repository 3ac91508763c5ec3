//! Once everything is quiet, all replicas of a partition hold the same bytes.

use std::collections::BTreeMap;

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let mut first = BTreeMap::new();
    for (_, event) in history.events() {
        let Event::Copy { partition, broker, log } = event else { continue };
        let (one, expected) = *first.entry(partition).or_insert((broker, log));
        verdict.judge(expected == log, || {
            let same = expected.iter().zip(log).take_while(|(one, other)| one == other).count();
            let (here, there) = (log.len(), expected.len());
            format!(
                "{partition}: broker {broker} has {here} bytes, broker {one} {there}; the first {same} agree"
            )
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn a_replica_with_other_bytes_is_caught() {
        check(judge, "copy:0=abc copy:1=abc copy:2=abc", "copy:0=abc copy:1=abc copy:2=abd");
        check(judge, "copy:0=abc copy:1=abc", "copy:0=abc copy:1=ab");
    }
}
