//! Once all faults are over, each partition that clients write to, or would if they were able to, is written
//! again, and can be read to its end.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, History, Partition};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let Some(healed) =
        history.events().find(|(_, event)| **event == Event::Healed).map(|(healed, _)| healed)
    else {
        return verdict;
    };
    // Whether something was acknowledged after the healing, for each that clients want to write to.
    let mut serves: BTreeMap<&Partition, bool> = BTreeMap::new();
    for (at, event) in history.events() {
        if let Event::Wanted { partition } | Event::Sent { partition, .. } = event {
            serves.entry(partition).or_default();
        }
        if let Event::Acked { partition, .. } = event {
            *serves.entry(partition).or_default() |= at > healed;
        }
    }
    let finals: BTreeSet<&Partition> = history.final_logs().into_keys().collect();
    for (partition, serves) in serves {
        verdict.judge(serves, || format!("{partition}: nothing is acknowledged after the healing"));
        verdict.judge(finals.contains(partition), || format!("{partition}: cannot be read"));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn a_partition_that_stays_silent_is_caught() {
        check(
            judge,
            "sent:1 healed sent:2 acked:2@0 final:0=2",
            "sent:1 acked:1@0 healed sent:2 final:0=1",
        );
    }

    #[test]
    fn a_partition_that_never_came_about_is_caught() {
        check(judge, "wanted:1 sent:1 healed acked:1@0 final:0=1", "wanted:1 healed");
    }

    #[test]
    fn a_partition_that_cannot_be_read_is_caught() {
        check(judge, "sent:1 healed acked:1@0 final:0=1", "sent:1 healed acked:1@0");
    }
}
