//! What is generated from the types is fresh, small and bounded.
//!
//! `KLAMM_UPDATE=1 cargo test -p crds` writes the files anew.

use std::path::PathBuf;

use serde_json::Value;

fn check_file(path: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("KLAMM_UPDATE").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a test that keeps generated files fresh")]
        std::fs::write(&path, expected).expect("the repository is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is stale; hint: KLAMM_UPDATE=1 cargo test -p crds --test generated",
        path.display()
    );
}

#[test]
fn manifests_are_fresh_and_below_their_limit() {
    for (name, text) in crds::yaml::yaml() {
        assert!(text.len() < crds::yaml::MAX_BYTES, "{name} has {} bytes", text.len());
        check_file(&format!("manifests/crds/{name}"), &text);
        // A release that goes must not take all Clusters with it.
        let kept = "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n";
        let text = text.replacen("metadata:\n", kept, 1);
        check_file(&format!("charts/klamm-crds/templates/{name}"), &text);
    }
}

/// What protects the kinds goes wherever they go, by Helm or by kubectl.
#[test]
fn plain_manifests_have_what_the_chart_has() {
    let chart = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../charts/klamm-crds/templates");
    let policy = std::fs::read_to_string(chart.join("deletion-protection.yaml"));
    check_file("manifests/crds/deletion-protection.yaml", &policy.expect("it is there"));
    let manifests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    let listed =
        std::fs::read_to_string(manifests.join("kustomization.yaml")).expect("it is there");
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    assert!(listed.len() > 4, "{listed:?}");
    for file in listed {
        assert!(manifests.join(file).is_file(), "manifests/{file} is not there");
    }
}

#[test]
fn the_reference_is_fresh() {
    check_file("docs/reference/resources.md", &crds::yaml::reference());
}

#[test]
fn the_yaml_reads_back_as_the_same_definition() {
    for ((name, text), crd) in crds::yaml::yaml().into_iter().zip(crds::yaml::definitions()) {
        let read: Value = serde_saphyr::from_str(&text).expect("it is YAML");
        assert_eq!(read, crd, "{name}");
    }
}

#[test]
fn every_field_is_described_and_bounded_and_never_null() {
    for crd in crds::yaml::definitions() {
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            let mut schema = schema["properties"][part].clone();
            // The derive makes the status as a whole nullable; it is absent until it is written.
            schema.as_object_mut().and_then(|it| it.remove("nullable"));
            walk(&schema, part);
        }
    }
}

fn walk(schema: &Value, path: &str) {
    let object = schema.as_object().expect("a schema is an object");
    for key in object.keys() {
        assert!(crds::schema::KEYWORDS.contains(&key.as_str()), "{path} has {key}");
    }
    let has = |key: &str| object.contains_key(key);
    match object["type"].as_str().unwrap_or_default() {
        "string" => assert!(has("maxLength") || has("enum"), "{path} is not bounded"),
        "array" => {
            assert!(has("maxItems"), "{path} is not bounded");
            walk(&object["items"], &format!("{path}[]"));
        }
        "object" => match (object.get("properties"), object.get("additionalProperties")) {
            (Some(fields), None) => {
                for (name, field) in fields.as_object().expect("properties is an object") {
                    let path = format!("{path}.{name}");
                    assert!(field.get("description").is_some(), "{path} is not described");
                    walk(field, &path);
                }
            }
            (None, Some(values)) => {
                assert!(has("maxProperties"), "{path} is not bounded");
                walk(values, &format!("{path}{{}}"));
            }
            // A part of a pod, which the API server checks when the pod is made.
            (None, None) if has("x-kubernetes-preserve-unknown-fields") => {}
            _ => panic!("{path} is neither fields nor a map"),
        },
        "integer" | "boolean" => {}
        other => panic!("{path} has the type {other}"),
    }
    if let Some(pattern) = object.get("pattern").and_then(Value::as_str) {
        regex_lite::Regex::new(pattern).expect("a pattern compiles");
    }
}

#[test]
fn the_cel_of_owned_settings_names_exactly_those() {
    let cel = <crds::Cluster as crds::rules::Declared>::rules()
        .iter()
        .find(|rule| rule.field == ".config")
        .expect("there is such a rule")
        .cel;
    let list = cel.split(['[', ']']).nth(1).expect("there is a list");
    let names: Vec<&str> = list.split('\'').skip(1).step_by(2).collect();
    assert_eq!(names, crds::rules::OWNED_SETTINGS);
}

#[test]
fn every_sample_is_accepted() {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples");
    let mut count = 0;
    for entry in std::fs::read_dir(samples).expect("there are samples") {
        let path = entry.expect("the folder can be read").path();
        let text = std::fs::read_to_string(&path).expect("a sample can be read");
        for parsed in crds::parse(&text, &path.display().to_string()) {
            assert!(parsed.is_ok(), "{parsed:?}");
            count += 1;
        }
    }
    assert!(count > 0);
}
