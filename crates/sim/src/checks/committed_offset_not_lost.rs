//! A group finds the position that it was promised to find: the last acknowledged one, or one that was
//! being committed meanwhile.

use crate::history::{Event, History};
use crate::oracle::Positions;

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let positions = Positions::promised(history);
    for (told, event) in history.events() {
        let Event::PositionRead { group, partition, asked, offset } = event else { continue };
        let possible = positions.possible(group, partition, *asked, told);
        verdict.judge(possible.contains(offset), || {
            format!("{group} in {partition}: found {offset:?}, possible were {possible:?}")
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn a_position_that_is_gone_or_older_than_promised_is_caught() {
        check(judge, "position:none commit:1=5 committed:1 position:5", "position:5");
        check(judge, "position:none", "commit:1=5 committed:1 position:none");
        check(
            judge,
            "commit:1=5 committed:1 commit:2=9 committed:2 position:9",
            "commit:1=5 committed:1 commit:2=9 committed:2 position:5",
        );
    }

    #[test]
    fn a_commit_without_an_answer_may_be_found_or_not() {
        for found in ["5", "9"] {
            let good = format!("commit:1=5 committed:1 commit:2=9 position:{found}");
            check(judge, &good, "commit:1=5 committed:1 commit:2=9 position:7");
        }
    }

    #[test]
    fn a_refused_commit_is_not_found() {
        check(
            judge,
            "commit:1=5 committed:1 commit:2=9 refused:2 position:5",
            "commit:1=5 committed:1 commit:2=9 refused:2 position:9",
        );
    }
}
