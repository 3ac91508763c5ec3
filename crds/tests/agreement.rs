//! One table of good and bad objects (`objects.yaml`), two judges: `validate`, which a laptop asks, and
//! the CRD's own schema and CEL, which the API server asks. They must agree on every object, and on the
//! field that is to blame.

use std::collections::BTreeSet;

use crds::rules::Declared;
use crds::{Cluster, ConsumerGroup, Topic, schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    kind: String,
    #[serde(default)]
    was: Option<Value>,
    spec: Value,
    #[serde(default)]
    blames: Vec<String>,
}

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": crds::API_VERSION,
        "kind": kind,
        "metadata": { "name": "orders" },
        "spec": spec,
    })
}

/// What the API server says, by the CRD alone.
fn by_the_crd<T: Declared>(old: Option<&Value>, new: &Value) -> Vec<String> {
    let schema = schema::of::<T>();
    let structural = schema::check(&schema, new);
    if !structural.is_empty() {
        return structural.into_iter().map(|it| it.path).collect();
    }
    match kube_cel::Validator::new().validate(&schema, new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .iter()
            .map(|error| {
                let rule = T::rules().iter().find(|it| it.cel == error.rule);
                let rule = rule.unwrap_or_else(|| panic!("a rule does not evaluate: {error:?}"));
                assert_eq!(rule.message, error.message, "a rule does not evaluate");
                format!("spec{}", rule.field)
            })
            .collect(),
    }
}

/// What a laptop says: the walk over the document, then the typed rules.
fn by_validate<T>(old: Option<&Value>, new: &Value) -> Vec<String>
where
    T: Declared + DeserializeOwned,
{
    let structural = schema::check(&schema::of::<T>(), new);
    if !structural.is_empty() {
        return structural.into_iter().map(|it| it.path).collect();
    }
    let text = serde_json::to_string(new).expect("a value is JSON");
    let errors: Vec<String> = crds::parse(&text, "it")
        .into_iter()
        .filter_map(|it| it.err().map(|error| error.error.path.clone()))
        .collect();
    let typed = |value: &Value| {
        let mut value = value.clone();
        let spec = value["spec"].as_object_mut().expect("a spec has fields");
        spec.retain(|_, it| !it.is_null());
        serde_json::from_value::<T>(value).expect("the schema holds")
    };
    let again = crds::validate(old.map(typed).as_ref(), &typed(new));
    let again: Vec<String> = again.into_iter().map(|error| error.path).collect();
    // The parser knows no older version; what it blames, `validate` must blame as well.
    assert!(errors.iter().all(|it| again.contains(it)), "{errors:?} but {again:?}");
    again
}

fn check<T>(case: &Case)
where
    T: Declared + DeserializeOwned,
{
    let old = case.was.as_ref().map(|spec| object(&case.kind, spec));
    let new = object(&case.kind, &case.spec);
    let expected: BTreeSet<String> = case.blames.iter().cloned().collect();
    let by_the_crd: BTreeSet<String> = by_the_crd::<T>(old.as_ref(), &new).into_iter().collect();
    let by_validate: BTreeSet<String> = by_validate::<T>(old.as_ref(), &new).into_iter().collect();
    assert_eq!(by_the_crd, expected, "by the CRD, {}: {}", case.kind, case.case);
    assert_eq!(by_validate, expected, "by validate, {}: {}", case.kind, case.case);
}

fn cases() -> Vec<Case> {
    serde_saphyr::from_str(include_str!("objects.yaml")).expect("the table reads")
}

#[test]
fn the_laptop_and_the_crd_agree_on_every_object() {
    for case in cases() {
        match case.kind.as_str() {
            "Cluster" => check::<Cluster>(&case),
            "Topic" => check::<Topic>(&case),
            "ConsumerGroup" => check::<ConsumerGroup>(&case),
            other => panic!("{}: unknown kind {other}", case.case),
        }
    }
}

#[test]
fn every_rule_is_broken_by_some_object() {
    let mut broken: BTreeSet<(String, &str)> = BTreeSet::new();
    for case in cases() {
        let old = case.was.as_ref().map(|spec| object(&case.kind, spec));
        let new = object(&case.kind, &case.spec);
        if !case.blames.is_empty() {
            broken.extend(match case.kind.as_str() {
                "Cluster" => broken_rules::<Cluster>(old.as_ref(), &new),
                "Topic" => broken_rules::<Topic>(old.as_ref(), &new),
                _ => broken_rules::<ConsumerGroup>(old.as_ref(), &new),
            });
        }
    }
    let all = names::<Cluster>().chain(names::<Topic>()).chain(names::<ConsumerGroup>());
    let missing: Vec<_> = all.filter(|rule| !broken.contains(rule)).collect();
    assert!(missing.is_empty(), "no object breaks {missing:?}");
}

fn names<T: Declared>() -> impl Iterator<Item = (String, &'static str)> {
    let kind = T::crd().spec.names.kind;
    T::rules().iter().map(move |rule| (kind.clone(), rule.cel))
}

fn broken_rules<T: Declared>(old: Option<&Value>, new: &Value) -> Vec<(String, &'static str)> {
    match kube_cel::Validator::new().validate(&schema::of::<T>(), new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => {
            names::<T>().filter(|(_, cel)| errors.iter().any(|error| error.rule == *cel)).collect()
        }
    }
}

/// The API server refuses a CRD whose rules might cost too much; the bounds in the schema keep them
/// cheap.
#[test]
fn no_rule_costs_more_than_the_api_server_allows() {
    check_costs::<Cluster>();
    check_costs::<Topic>();
    check_costs::<ConsumerGroup>();
}

fn check_costs<T: Declared>() {
    let schema = kube_cel::compile_schema(&schema::of::<T>()["properties"]["spec"]);
    assert!(!schema.has_errors(), "{:?}", schema.compilation_errors());
    for rule in T::rules() {
        let warnings = kube_cel::estimate_rule_cost(rule.cel, &schema);
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}
