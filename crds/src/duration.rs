//! Spans of time as people write them: `7d`, `1h30m`, `500ms`.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A span of time, as text. The text is kept as it was written; [`Span::millis`] reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub String);

/// A text is not a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a span of time; hint: numbers with w, d, h, m, s or ms, for example 7d or 1h30m"
)]
pub struct SpanError(String);

const PATTERN: &str = r"^([0-9]{1,9}(ms|s|m|h|d|w))+$";

impl Span {
    /// The span in milliseconds.
    ///
    /// # Errors
    /// When the text is not a span. At most 32 characters of nine-digit numbers fit 64 bits, so there
    /// is no overflow.
    pub fn millis(&self) -> Result<i64, SpanError> {
        parse(&self.0).ok_or_else(|| SpanError(self.0.clone()))
    }

    /// The span as a [`Duration`].
    ///
    /// # Errors
    /// As [`Span::millis`].
    pub fn duration(&self) -> Result<Duration, SpanError> {
        self.millis().map(|ms| Duration::from_millis(ms.unsigned_abs()))
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 32, "pattern": PATTERN })
    }
}

fn parse(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let mut total = 0i64;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(unit_at);
        if !(1..=9).contains(&number.len()) {
            return None;
        }
        let next_at = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(next_at);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit_ms)?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_add_up_and_nonsense_is_refused() {
        for (text, ms) in [
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1w2d", 777_600_000),
            ("0s", 0),
            ("1m1ms", 60_001),
        ] {
            assert_eq!(Span(text.to_owned()).millis(), Ok(ms), "{text}");
        }
        for text in ["", "7", "d", "7 d", "1.5h", "-1h", "7D", "1h30", "9999999999s", "7й"] {
            assert!(Span(text.to_owned()).millis().is_err(), "{text}");
        }
    }
}
