//! What many trials showed: percentiles per product and kind, and every single figure below.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Against, Kind, Shown};

/// The figures as a table.
pub fn report(trials: &[Shown]) -> String {
    let mut rows: BTreeMap<(&str, Against), Vec<f64>> = BTreeMap::new();
    let mut controllers: BTreeMap<(&str, Against), usize> = BTreeMap::new();
    for shown in trials {
        let row = (name(shown.kind), shown.against);
        rows.entry(row).or_default().push(shown.gap_ms);
        *controllers.entry(row).or_default() += usize::from(shown.was_controller);
        rows.entry(("it comes back", shown.against)).or_default().push(shown.return_gap_ms);
        if let Some(gap) = shown.elect_gap_ms {
            rows.entry(("ElectLeaders", shown.against)).or_default().push(gap);
        }
    }
    let mut text =
        "| gap, ms | brokers | trials | of them the controller | p50 | p95 | p99 | worst |\n\
                    | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for ((what, against), gaps) in &mut rows {
        gaps.sort_by(f64::total_cmp);
        let controller =
            controllers.get(&(*what, *against)).map_or_else(|| "".to_owned(), ToString::to_string);
        let [p50, p95, p99, worst] = [0.5, 0.95, 0.99, 1.0].map(|share| percentile(gaps, share));
        let _ = writeln!(
            text,
            "| {what} | {} | {} | {controller} | {p50:.0} | {p95:.0} | {p99:.0} | {worst:.0} |",
            against.name(),
            gaps.len(),
        );
    }
    for ((what, against), gaps) in &rows {
        let gaps: Vec<String> = gaps.iter().map(|gap| format!("{gap:.0}")).collect();
        let _ = write!(text, "\n{what}, {}: {}", against.name(), gaps.join(" "));
    }
    text + "\n"
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Kill => "kill -9",
        Kind::StopCont => "SIGSTOP",
        Kind::Cut => "cut off",
        Kind::Move => "asked to stop",
    }
}

/// The smallest of `sorted` that so large a share does not exceed.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let gaps: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(
            [0.5, 0.95, 0.99, 1.0].map(|share| percentile(&gaps, share)),
            [10.0, 19.0, 20.0, 20.0]
        );
        assert_eq!(percentile(&[7.0], 0.5), 7.0);
    }
}
