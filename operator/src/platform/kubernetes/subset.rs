//! Whether an object that is there holds what was declared. Pure.
//!
//! The API server adds defaults and writes some values in another way: an object holds what is declared if every
//! declared field is there with the same meaning.

use serde_json::Value;

/// Whether `live` has every field of `wanted`.
pub(super) fn holds(wanted: &Value, live: &Value) -> bool {
    at(wanted, live, "")
}

fn at(wanted: &Value, live: &Value, field: &str) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().all(|(key, value)| {
            match live.get(key) {
                Some(live) => at(value, live, key),
                // What is empty is left out.
                None => is_nothing(value),
            }
        }),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len()
                && wanted.iter().zip(live).all(|(wanted, live)| at(wanted, live, field))
        }
        (Value::String(wanted), Value::String(live)) => {
            wanted == live || same_amount(wanted, live, field)
        }
        (wanted, live) => wanted == live,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Object(it) => it.values().all(is_nothing),
        Value::Array(it) => it.is_empty(),
        Value::Number(_) | Value::String(_) => false,
    }
}

/// `1024Mi` is written as `1Gi`, `0.5` of a core as `500m`.
fn same_amount(one: &str, other: &str, field: &str) -> bool {
    let is_amount = matches!(field, "cpu" | "memory" | "storage" | "ephemeral-storage");
    is_amount && millis(one).is_some_and(|one| millis(other) == Some(one))
}

/// An amount in thousandths of its unit.
fn millis(text: &str) -> Option<i128> {
    if let Some(number) = text.strip_suffix('m') {
        return number.parse().ok();
    }
    if text.contains(['.', 'e', 'E']) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let (whole, part) = text.split_once('.')?;
        let part = format!("{part:0<3}");
        return Some(whole.parse::<i128>().ok()? * 1000 + part.get(..3)?.parse::<i128>().ok()?);
    }
    let bytes = crds::Quantity(text.to_owned()).bytes().ok()?;
    Some(i128::from(bytes) * 1000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::holds;

    #[test]
    fn what_the_api_server_adds_is_no_difference() {
        let wanted = json!({ "spec": { "replicas": 3, "template": { "labels": {} } } });
        let live = json!({ "spec": { "replicas": 3, "revision": 1 }, "status": {} });
        assert!(holds(&wanted, &live));
        assert!(!holds(&wanted, &json!({ "spec": { "replicas": 2 } })));
        assert!(!holds(&wanted, &json!({ "spec": {} })));
    }

    #[test]
    fn a_list_is_the_same_or_it_is_not() {
        let wanted = json!({ "ports": [{ "port": 9092 }] });
        assert!(holds(&wanted, &json!({ "ports": [{ "port": 9092, "protocol": "TCP" }] })));
        assert!(!holds(&wanted, &json!({ "ports": [{ "port": 9092 }, { "port": 1 }] })));
    }

    #[test]
    fn amounts_are_compared_as_amounts() {
        for (one, other) in [("1024Mi", "1Gi"), ("0.5", "500m"), ("2", "2000m"), ("1.5", "1500m")] {
            let of = |cpu: &str| json!({ "requests": { "cpu": cpu } });
            assert!(holds(&of(one), &of(other)), "{one} {other}");
        }
        assert!(!holds(&json!({ "name": "1024Mi" }), &json!({ "name": "1Gi" })));
    }
}
