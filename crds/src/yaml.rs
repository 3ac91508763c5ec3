//! The CRDs, and their reference page, as text: what `manifests/crds` and `docs/reference` hold.

use std::fmt::Write;

use kube::CustomResourceExt;
use serde_json::{Map, Number, Value};

use crate::cluster::ClusterReason;
use crate::consumer_group::GroupReason;
use crate::topic::TopicReason;
use crate::{API_VERSION, Cluster, ConsumerGroup, Topic};

/// Kubernetes' client-side apply keeps a copy of the object in an annotation of at most 256 KiB; half of
/// that is our limit for one CRD.
pub const MAX_BYTES: usize = 128 * 1024;

/// Every CRD, as a JSON value.
pub fn definitions() -> Vec<Value> {
    [Cluster::crd(), Topic::crd(), ConsumerGroup::crd()]
        .into_iter()
        .map(|crd| {
            let mut crd =
                serde_json::to_value(crd).expect("a CRD is made of strings, numbers and maps");
            whole_numbers(&mut crd);
            crd
        })
        .collect()
}

/// Bounds are floats in Kubernetes' types; ours are all whole, and read better so.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|it| it.fract() == 0.0 && it.abs() < 9e15);
            if let Some(whole) = whole {
                *number = Number::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(object) => object.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Every CRD: its file name under `manifests/crds/` and its YAML.
pub fn yaml() -> Vec<(String, String)> {
    let head =
        "# Generated from crds/src; hint: KLAMM_UPDATE=1 cargo test -p crds --test generated\n";
    definitions()
        .into_iter()
        .map(|crd| {
            let name = crd["spec"]["names"]["plural"].as_str().unwrap_or_default();
            let text = serde_saphyr::to_string(&crd).expect("a CRD is strings, numbers and maps");
            (format!("{name}.yaml"), format!("{head}{text}"))
        })
        .collect()
}

/// The reference of all fields and reasons, as Markdown: `docs/reference/resources.md`.
pub fn reference() -> String {
    let mut page = format!(
        "# Resources\n\n\
         Every field of `Cluster`, `Topic` and `ConsumerGroup` (`{API_VERSION}`). Generated from \
         `crds/src`;\nrefresh with `KLAMM_UPDATE=1 cargo test -p crds --test generated`.\n\n\
         Amounts of bytes are texts such as `10Gi` or `500M`; spans of time are texts such as `7d` or \
         `1h30m`.\n"
    );
    let reasons = [
        ClusterReason::ALL.iter().map(|it| (it.as_str(), it.meaning())).collect::<Vec<_>>(),
        TopicReason::ALL.iter().map(|it| (it.as_str(), it.meaning())).collect(),
        GroupReason::ALL.iter().map(|it| (it.as_str(), it.meaning())).collect(),
    ];
    for (crd, reasons) in definitions().iter().zip(reasons) {
        kind(&mut page, crd, &reasons);
    }
    page
}

fn kind(page: &mut String, crd: &Value, reasons: &[(&str, &str)]) {
    let names = &crd["spec"]["names"];
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let word = |key: &str| names[key].as_str().unwrap_or_default();
    let short = names["shortNames"][0].as_str().unwrap_or_default();
    let about = schema["description"].as_str().unwrap_or_default();
    section(page, format_args!("\n## {}\n\n{about}\n", word("kind")));
    section(page, format_args!("`kubectl get {}`, or `{short}` for short.\n", word("plural")));
    for part in ["spec", "status"] {
        section(page, format_args!("\n### {} {part}\n\n", word("kind")));
        section(
            page,
            format_args!("| Field | Type | Default | What it is |\n| --- | --- | --- | --- |\n"),
        );
        fields(page, &schema["properties"][part], "");
    }
    if let Some(rules) = schema["properties"]["spec"]["x-kubernetes-validations"].as_array() {
        section(page, format_args!("\n### {} rules\n\n", word("kind")));
        for rule in rules {
            let text = |key: &str| rule[key].as_str().unwrap_or_default();
            section(page, format_args!("- `spec{}` {}\n", text("fieldPath"), text("message")));
        }
    }
    section(
        page,
        format_args!("\n### {} reasons\n\n| Reason | Meaning |\n| --- | --- |\n", word("kind")),
    );
    for (reason, meaning) in reasons {
        section(page, format_args!("| `{reason}` | {meaning} |\n"));
    }
}

fn fields(page: &mut String, schema: &Value, path: &str) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in properties {
        let Some(field) = field.as_object() else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = match field.get("default") {
            Some(default) => format!("`{default}`"),
            None if required.contains(&name.as_str()) => "required".to_owned(),
            None => String::new(),
        };
        let about = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = about.replace('\n', " ").replace('|', "\\|");
        section(page, format_args!("| `{path}` | {} | {default} | {about} |\n", type_of(field)));
        if let Some(items) = field.get("items") {
            fields(page, items, &format!("{path}[]"));
        }
        fields(page, &Value::Object(field.clone()), &path);
    }
}

fn type_of(field: &Map<String, Value>) -> String {
    let number = |key: &str| field.get(key).and_then(Value::as_f64).map(|it| format!("{it}"));
    if let Some(values) = field.get("enum").and_then(Value::as_array) {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return values.join(", ");
    }
    match field.get("type").and_then(Value::as_str).unwrap_or_default() {
        "integer" => match (number("minimum"), number("maximum")) {
            (Some(min), Some(max)) => format!("whole number, {min} to {max}"),
            (Some(min), None) => format!("whole number from {min}"),
            (None, Some(max)) => format!("whole number up to {max}"),
            (None, None) => "whole number".to_owned(),
        },
        "string" => match number("maxLength") {
            Some(max) => format!("text up to {max}"),
            None => "text".to_owned(),
        },
        "boolean" => "true or false".to_owned(),
        "array" => format!("list up to {}", number("maxItems").unwrap_or_default()),
        "object" if field.contains_key("additionalProperties") => {
            format!("map up to {}", number("maxProperties").unwrap_or_default())
        }
        _ => "fields".to_owned(),
    }
}

fn section(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a String takes any text");
}
