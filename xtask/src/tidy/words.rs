//! Words that do not belong into the repository.

use super::{Breach, Source};

pub(super) fn check(sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    // Spelled apart, so that this file does not find itself.
    let unfinished = ["TO", "DO"].concat();
    let banned = [["FIX", "ME"].concat(), ["XX", "X:"].concat(), ["#[ign", "ore"].concat()];
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        for (number, line) in source.text.lines().enumerate() {
            let place = || format!("{}:{}", source.path, number + 1);
            if line.contains(&format!("{unfinished}:")) || line.contains(&format!("{unfinished} "))
            {
                breaches.push(Breach::new(place(), "give it an issue number, as (#12), or do it"));
            }
            if banned.iter().any(|word| line.contains(word.as_str())) {
                breaches.push(Breach::new(place(), "do it, or write an issue"));
            }
            if line.contains(&format!("{}!", "select")) && !line.trim_start().starts_with("//") {
                let body = source.text.lines().nth(number + 1).unwrap_or_default();
                if !line.contains("biased") && !body.contains("biased") {
                    breaches.push(Breach::new(place(), "begin select! with `biased;` (the storm)"));
                }
            }
        }
    }
    breaches
}
