//! Within a generation of a group a partition is given to one member only.

use std::collections::BTreeMap;

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let mut owners = BTreeMap::new();
    for (_, event) in history.events() {
        let Event::Assigned { group, generation, member, partitions } = event else { continue };
        for partition in partitions {
            let owner = *owners.entry((group, *generation, partition)).or_insert(member);
            verdict.judge(owner == member, || {
                format!("{group} generation {generation}: {partition} is {owner}'s and {member}'s")
            });
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn two_owners_in_one_generation_are_caught() {
        check(judge, "assigned:1=a assigned:1=a assigned:2=b", "assigned:1=a assigned:1=b");
    }
}
