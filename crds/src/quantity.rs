//! Amounts of bytes as Kubernetes writes them: `10Gi`, `500M`, `1.5Gi`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount of bytes, as text. The text is kept as it was written; [`Quantity::bytes`] reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

/// A text is not a [`Quantity`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an amount of bytes; hint: a number and a unit, for example 10Gi or 500M")]
pub struct QuantityError(String);

const PATTERN: &str = r"^[0-9]{1,15}(\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)?$";

impl Quantity {
    /// The amount in bytes; a fraction of a byte counts as a whole one.
    ///
    /// # Errors
    /// When the text is not an amount, or above `i64::MAX` bytes.
    pub fn bytes(&self) -> Result<i64, QuantityError> {
        parse(&self.0).ok_or_else(|| QuantityError(self.0.clone()))
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 24, "pattern": PATTERN })
    }
}

fn parse(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |s: &str, max: usize| (1..=max).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 15) || !digits(fraction, 3) {
        return None;
    }
    let factor: i128 = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        _ => return None,
    };
    // In thousandths, so that three decimal places are exact; 18 digits times 2^60 fit 128 bits.
    let thousandths = format!("{whole}{fraction:0<3}").parse::<i128>().ok()?;
    let bytes = (thousandths * factor + 999) / 1000;
    i64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("10", 10),
            ("10Gi", 10 << 30),
            ("1.5Gi", 3 << 29),
            ("500M", 500_000_000),
            ("0.001", 1),
            ("1k", 1000),
            ("7Ei", 7 << 60),
        ] {
            assert_eq!(Quantity(text.to_owned()).bytes(), Ok(bytes), "{text}");
        }
        for text in ["", "Gi", "10GB", "-1", "1.Gi", "1e3", "10 Gi", "9Ei", "1.2345", "ten"] {
            assert!(Quantity(text.to_owned()).bytes().is_err(), "{text}");
        }
    }
}
