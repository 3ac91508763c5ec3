//! What a topic that does not wait for the disk may lose: only what was acknowledged shortly before a
//! power loss.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{Event, History, Moment};

use super::Verdict;

/// `klamm.flush.interval.ms`, one second, and as much again for a flush that runs already or is slow.
const BOUND: Duration = Duration::from_millis(3_000);

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let lossy = history.lossy();
    let mut sent: BTreeMap<_, Moment> = BTreeMap::new();
    let mut powerless: Vec<(Moment, Duration)> = Vec::new();
    for (moment, event) in history.events() {
        match event {
            Event::Sent { partition, record, .. } => {
                sent.insert((partition, *record), moment);
            }
            Event::PowerLost { at } => powerless.push((moment, *at)),
            _ => {}
        }
    }
    let logs: BTreeMap<_, BTreeMap<_, _>> = history
        .final_logs()
        .into_iter()
        .map(|(partition, log)| (partition, log.records.iter().copied().collect()))
        .collect();
    for (_, event) in history.events() {
        let Event::Acked { partition, record, offset, at } = event else { continue };
        if !lossy.contains(partition.topic.as_str()) {
            continue;
        }
        let Some(records) = logs.get(partition) else { continue };
        // The acknowledgement may have been on its way for long: only the sending is known to come
        // before it was promised.
        let sent = sent.get(&(partition, *record));
        let is_exposed = powerless
            .iter()
            .any(|(moment, lost)| sent.is_none_or(|sent| sent < moment) && *lost <= *at + BOUND);
        verdict.judge(is_exposed || records.get(offset) == Some(record), || {
            format!("{partition}@{offset}: {record}, acknowledged at {at:?}, is lost; power was lost at {powerless:?}")
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::{check, history};
    use super::judge;

    #[test]
    fn what_was_lost_long_after_its_acknowledgement_is_caught() {
        check(
            judge,
            "lossy sent:1 acked:1@0 power:900 final:0=",
            "lossy power:5 sent:1 acked:1@0 power:9000 final:0=",
        );
    }

    #[test]
    fn without_a_power_loss_the_stricter_property_judges() {
        assert_eq!(judge(&history("lossy acked:1@0 final:0=")).evaluated, 0);
    }
}
