//! From rounds to ratios: the median of per-pair ratios with an interval, or a refusal.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use super::Round;

/// What others take at most of a machine that is quiet.
pub(crate) const FOREIGN_MAX: f64 = 0.05;
/// Fewer pairs say nothing.
pub(crate) const PAIRS_MIN: usize = 5;
const RESAMPLES: usize = 10_000;

/// What is compared: less is better in each.
struct Figure {
    name: &'static str,
    unit: &'static str,
    of: fn(&Round) -> f64,
    /// The ratio to Kafka that must be held, and the one that is aimed at.
    gate: Option<f64>,
    aim: Option<f64>,
}

const FIGURES: &[Figure] = &[
    Figure {
        name: "produce, broker CPU",
        unit: "s/GB",
        of: |round| per_gb(round.produce.cost.server_cpu(), round.produce.bytes),
        gate: Some(1.0),
        aim: Some(0.5),
    },
    Figure {
        name: "… of it user",
        unit: "s/GB",
        of: |round| per_gb(round.produce.cost.server_user, round.produce.bytes),
        gate: None,
        aim: None,
    },
    Figure {
        name: "produce, wall clock",
        unit: "s/GB",
        of: |round| per_gb(round.produce.cost.seconds, round.produce.bytes),
        gate: None,
        aim: None,
    },
    Figure {
        name: "fetch, broker CPU",
        unit: "s/GB",
        of: |round| per_gb(round.fetch.cost.server_cpu(), round.fetch.bytes),
        gate: None,
        aim: Some(1.0),
    },
    Figure {
        name: "small record, broker CPU",
        unit: "µs",
        of: |round| round.small.cost.server_cpu() * 1e6 / round.small.records as f64,
        gate: Some(0.5),
        aim: Some(0.25),
    },
    Figure {
        name: "end to end p50",
        unit: "ms",
        of: |round| round.latency.p50_ms,
        gate: None,
        aim: None,
    },
    Figure {
        name: "end to end p99",
        unit: "ms",
        of: |round| round.latency.p99_ms,
        gate: None,
        aim: None,
    },
    Figure {
        name: "end to end p99.9",
        unit: "ms",
        of: |round| round.latency.p99_9_ms,
        gate: None,
        aim: None,
    },
    Figure {
        name: "RSS under load",
        unit: "MiB",
        of: |round| {
            let resident = round.costs().map(|cost| cost.server_resident).max().unwrap_or(0);
            resident as f64 / f64::from(1 << 20)
        },
        gate: None,
        aim: None,
    },
];

fn per_gb(seconds: f64, bytes: u64) -> f64 {
    seconds * 1e9 / bytes as f64
}

/// The table of one mode, as Markdown.
///
/// # Errors
/// When too few pairs count: then there is no ratio.
pub(crate) fn table(pairs: &[(Round, Round)]) -> Result<String> {
    ensure!(
        pairs.len() >= PAIRS_MIN,
        "{} pairs count, {PAIRS_MIN} are needed: no ratio",
        pairs.len()
    );
    let mut text = String::from(
        "| figure | klamm | kafka | ratio [95 %] | gate | aim |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for figure in FIGURES {
        let ours = median(pairs.iter().map(|(klamm, _)| (figure.of)(klamm)));
        let theirs = median(pairs.iter().map(|(_, kafka)| (figure.of)(kafka)));
        let ratios: Vec<f64> =
            pairs.iter().map(|(klamm, kafka)| (figure.of)(klamm) / (figure.of)(kafka)).collect();
        let (low, high) = interval(&ratios);
        let ratio = median(ratios.iter().copied());
        writeln!(
            text,
            "| {} | {ours:.3} {unit} | {theirs:.3} {unit} | {ratio:.2} [{low:.2}, {high:.2}] | {} | {} |",
            figure.name,
            judge(ratio, figure.gate),
            judge(ratio, figure.aim),
            unit = figure.unit,
        )?;
    }
    Ok(text)
}

fn judge(ratio: f64, limit: Option<f64>) -> String {
    match limit {
        None => String::new(),
        Some(limit) if ratio <= limit => format!("≤ {limit} met"),
        Some(limit) => format!("≤ {limit} NOT met"),
    }
}

/// The middle value; of an even number, the mean of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Between what the median lies in 95 of 100 resamplings (a bootstrap; its dice are always the same).
fn interval(values: &[f64]) -> (f64, f64) {
    let mut state = 1_u64;
    let mut pick = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = (state >> 33) % values.len() as u64;
        values[usize::try_from(index).unwrap_or(0)]
    };
    let mut medians: Vec<f64> =
        (0..RESAMPLES).map(|_| median(values.iter().map(|_| pick()))).collect();
    medians.sort_by(f64::total_cmp);
    (medians[RESAMPLES / 40], medians[RESAMPLES - 1 - RESAMPLES / 40])
}

#[cfg(test)]
mod tests {
    use super::{interval, median};

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_agreement() {
        let (low, high) = interval(&[0.4, 0.5, 0.6, 0.5, 0.5]);
        assert!(low <= 0.5 && (0.5..=0.6).contains(&high));
        let (low, high) = interval(&[0.5; 5]);
        assert!((high - low).abs() < f64::EPSILON);
    }
}
