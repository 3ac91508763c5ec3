//! Checks a document against the generated schema, as the API server would: types, required and unknown
//! fields, bounds, patterns, closed sets.
//!
//! The schema is the one that goes into the CRD, so a bound is written once, at its field. Only the
//! keywords that our schemas use are read; `tests/agreement.rs` fails if another one turns up.

use kube::CustomResourceExt;
use regex_lite::Regex;
use serde_json::{Map, Value, json};

use crate::rules::FieldError;

/// The keywords that [`check`] reads, and those that constrain nothing.
pub const KEYWORDS: [&str; 23] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// The schema of one kind, as the CRD holds it, with the three fields that every kind has.
pub fn of<T: CustomResourceExt>() -> Value {
    let crd = serde_json::to_value(T::crd()).expect("a CRD is made of strings, numbers and maps");
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema");
    let mut schema = schema.cloned().expect("every CRD has a schema");
    for (field, type_) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        schema["properties"][field] = json!({ "type": type_ });
    }
    schema
}

/// What is wrong with `value` by `schema`; empty if nothing is.
pub fn check(schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(schema, value, "", &mut errors);
    errors
}

/// The path of the field `key` of the object at `path`.
pub fn field_path(path: &str, key: &str) -> String {
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match (path.is_empty(), plain && !key.is_empty()) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

/// The path of item `at` of the list at `path`.
pub fn item_path(path: &str, at: usize) -> String {
    format!("{path}[{at}]")
}

fn node(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(schema) = schema.as_object() else { return };
    let expected = schema.get("type").and_then(Value::as_str).unwrap_or("object");
    match (expected, value) {
        ("object", Value::Object(object)) => fields(schema, object, path, errors),
        ("array", Value::Array(items)) => list(schema, items, path, errors),
        ("string", Value::String(text)) => string(schema, text, path, errors),
        ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
            integer(schema, number, path, errors);
        }
        ("boolean", Value::Bool(_)) => {}
        (_, found) => {
            let error = FieldError::new(
                path,
                format!("expected {}, found {}", a(expected), describe(found)),
            );
            errors.push(match (expected, found) {
                ("string", Value::Number(_) | Value::Bool(_)) => {
                    error.hint(format!("put it in quotes: \"{found}\""))
                }
                ("integer", Value::String(text)) if text.parse::<i64>().is_ok() => {
                    error.hint(format!("leave the quotes out: {text}"))
                }
                ("boolean", Value::String(_)) => error.hint("write true or false, without quotes"),
                (_, Value::Null) => error.hint("leave the field out, or give it a value"),
                _ => error,
            });
        }
    }
}

fn fields(
    schema: &Map<String, Value>,
    object: &Map<String, Value>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let no_fields = Map::new();
    let known = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties").filter(|it| it.is_object());
    // Neither fields nor a map: `metadata` and parts of pods, which the API server checks by itself.
    let open = known.is_none() && additional.is_none();
    let known = known.unwrap_or(&no_fields);
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let required = required.as_str().unwrap_or_default();
        if !object.contains_key(required) {
            errors.push(FieldError::new(field_path(path, required), "is required"));
        }
    }
    for (key, value) in object {
        let path = field_path(path, key);
        match (known.get(key), additional) {
            (Some(schema), _) => {
                // A null where the schema has a default means the default, as on Kubernetes.
                if !(value.is_null() && schema.get("default").is_some()) {
                    node(schema, value, &path, errors);
                }
            }
            (None, Some(schema)) => node(schema, value, &path, errors),
            (None, None) if open => {}
            (None, None) => {
                let error = FieldError::new(path, "unknown field");
                errors.push(match nearest(key, known.keys().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint(format!(
                        "known here: {}",
                        known.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
                    )),
                });
            }
        }
    }
    count(schema, ("minProperties", "maxProperties"), object.len(), "fields", path, errors);
}

fn list(schema: &Map<String, Value>, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    count(schema, ("minItems", "maxItems"), items.len(), "items", path, errors);
    for (at, item) in items.iter().enumerate() {
        node(schema.get("items").unwrap_or(&Value::Null), item, &item_path(path, at), errors);
    }
    let keys: Vec<&str> = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Vec::new(),
        Some("map") => schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
        _ => return,
    };
    let identity = |item: &Value| match keys.as_slice() {
        [] => item.to_string(),
        keys => keys.iter().map(|key| format!("{} ", item[*key])).collect(),
    };
    let mut seen = std::collections::BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        if !seen.insert(identity(item)) {
            let what = identity(item);
            errors.push(FieldError::new(
                item_path(path, at),
                format!("is there twice: {}", what.trim_end()),
            ));
        }
    }
}

fn string(schema: &Map<String, Value>, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    count(schema, ("minLength", "maxLength"), text.chars().count(), "characters", path, errors);
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        if !allowed.contains(&text) {
            let error = FieldError::new(path, format!("unknown value: {text:?}"));
            errors.push(match nearest(text, allowed.iter().copied()) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!("one of {}", allowed.join(", "))),
            });
        }
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let regex = Regex::new(pattern).expect("tests compile every pattern of the schemas");
        if !regex.is_match(text) {
            let example = if pattern.contains("Ki|Mi") {
                "a number and a unit, for example 10Gi or 500M".to_owned()
            } else if pattern.contains("ms|s|m|h|d|w") {
                "numbers with w, d, h, m, s or ms, for example 7d or 1h30m".to_owned()
            } else {
                format!("it must match {pattern}")
            };
            errors.push(FieldError::new(path, format!("is not valid: {text:?}")).hint(example));
            return;
        }
    }
    // The pattern has settled the shape; what is left is whether there is such a day and time.
    if schema.get("format").and_then(Value::as_str) == Some("date-time")
        && text.parse::<jiff::Timestamp>().is_err()
    {
        errors.push(
            FieldError::new(path, format!("is not a time: {text:?}"))
                .hint("RFC 3339, for example 2026-11-21T09:00:00Z"),
        );
    }
}

fn integer(
    schema: &Map<String, Value>,
    number: &serde_json::Number,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64).map(|it| it as i128);
    let (format_min, format_max) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let min = bound("minimum").unwrap_or(format_min);
    let max = bound("maximum").unwrap_or(format_max);
    let value = number.as_i64().map_or_else(|| number.as_u64().map_or(0, i128::from), i128::from);
    if !(min..=max).contains(&value) {
        errors.push(FieldError::new(path, format!("must be {min} to {max}: {value}")));
    }
}

fn count(
    schema: &Map<String, Value>,
    (min, max): (&str, &str),
    found: usize,
    unit: &str,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let (min, max, found) = (bound(min).unwrap_or(0), bound(max), found as u64);
    if found < min || max.is_some_and(|max| found > max) {
        let wanted = match max {
            Some(max) if max == min => format!("exactly {min}"),
            Some(max) => format!("{min} to {max}"),
            None => format!("at least {min}"),
        };
        errors.push(FieldError::new(path, format!("must have {wanted} {unit}: {found}")));
    }
}

fn a(type_: &str) -> &'static str {
    match type_ {
        "object" => "fields",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        _ => "something else",
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(it) => format!("{it}"),
        Value::Number(it) => format!("the number {it}"),
        Value::String(it) => {
            let short: String = it.chars().take(40).collect();
            format!("the text {short:?}")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "fields".to_owned(),
    }
}

/// The candidate that `word` was probably meant to be: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance; words are cut at 64 letters, longer ones are no slips of the pen.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_close_or_none() {
        let known = ["partitions", "replicas", "retention", "config"];
        assert_eq!(nearest("partition", known), Some("partitions"));
        assert_eq!(nearest("Replicas", known), Some("replicas"));
        assert_eq!(nearest("retension", known), Some("retention"));
        assert_eq!(nearest("bootstrapServers", known), None);
    }
}
