//! Once all faults are over and clients are quiet, every replica of every partition gets in sync, and nothing is
//! left of what people did to the cluster.

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for (_, event) in history.events() {
        if let Event::LeftBehind { what } = event {
            verdict.judge(what.is_empty(), || what.join("; "));
        }
        let Event::Placed { partition, replicas, in_sync } = event else { continue };
        let lags = |replica: &&i32| !in_sync.contains(replica);
        verdict.judge(!replicas.iter().any(|replica| lags(&replica)), || {
            let lagging: Vec<&i32> = replicas.iter().filter(lags).collect();
            format!("{partition}: of {replicas:?}, {lagging:?} are not in sync")
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn a_replica_that_stays_behind_is_caught() {
        check(judge, "placed:0,1,2/2,0,1", "placed:0,1,2/0,2");
    }

    #[test]
    fn what_is_left_behind_is_caught() {
        check(judge, "left:", "left:lease,drain");
    }
}
