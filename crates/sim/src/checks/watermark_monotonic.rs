//! The high watermark never goes back: who asks after somebody was told sees no lower one.

use std::collections::BTreeMap;

use crate::history::{Event, History, Moment, Partition};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let lossy = history.lossy();
    // Per partition: when somebody was told the highest watermark so far, rising in both.
    let mut told: BTreeMap<&Partition, Vec<(Moment, i64)>> = BTreeMap::new();
    for (at, event) in history.events() {
        let Event::Watermark { partition, asked, offset } = event else { continue };
        if lossy.contains(partition.topic.as_str()) {
            continue;
        }
        let highest = told.entry(partition).or_default();
        let before = highest.partition_point(|(told, _)| told < asked);
        let known = before.checked_sub(1).map(|last| highest[last].1);
        verdict.judge(known.is_none_or(|known| known <= *offset), || {
            let known = known.unwrap_or(-1);
            format!("{partition}: the high watermark was {known}, and {offset} later")
        });
        if highest.last().is_none_or(|(_, highest)| highest < offset) {
            highest.push((at, *offset));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::{check, partition};
    use super::judge;
    use crate::history::{Event, History};

    #[test]
    fn a_watermark_that_falls_is_caught() {
        check(judge, "watermark:1 watermark:1 watermark:3", "watermark:3 watermark:1");
    }

    #[test]
    fn answers_that_overtake_each_other_are_fine() {
        let mut history = History::new();
        let asked = history.now();
        for offset in [3, 1] {
            history.record(Event::Watermark { partition: partition(), asked, offset });
        }
        assert_eq!(judge(&history).broken, [""; 0]);
    }
}
