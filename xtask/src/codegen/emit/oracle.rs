//! Writes what the wire oracle needs to know of every message: how to run it through our codec and
//! through `kafka-protocol`, which Java class is its twin, and what its values look like.

use super::super::Files;
use super::super::layout::Module;
use super::super::spec::{Field, Kind, Spec, Type};
use super::super::versions::Versions;
use super::GENERATED;

/// From this API key on they are ours, which nobody else has.
const FIRST_OWN: i16 = 10_000;

/// Kafka's API keys that `kafka-protocol` lacks: newer ones.
const NOT_IN_KAFKA_PROTOCOL: [i16; 4] = [88, 89, 93, 94];

/// What `kafka-protocol` has beside requests and responses.
const IN_KAFKA_PROTOCOL: [&str; 10] = [
    "ConsumerProtocolAssignment",
    "ConsumerProtocolSubscription",
    "DefaultPrincipalData",
    "EndTxnMarker",
    "KRaftVersionRecord",
    "LeaderChangeMessage",
    "RequestHeader",
    "ResponseHeader",
    "SnapshotFooterRecord",
    "SnapshotHeaderRecord",
];

/// The files of `crates/wire-oracle/src/generated`.
pub(crate) fn oracle(modules: &[Module<'_>]) -> anyhow::Result<Files> {
    let mut schemas = format!(
        "# Shapes of all messages. {GENERATED}\n\
         # message NAME / struct / name type versions nullable tagged tag default fixed\n"
    );
    let mut entries = String::new();
    for module in modules {
        for (_, spec) in &module.messages {
            schemas.push_str(&schema(spec));
            entries.push_str(&entry(module, spec));
        }
    }
    let door = format!(
        "//! Every message, and its twins. {GENERATED}\n\n\
         use crate::registry::{{Twins, ours, theirs}};\n\n\
         /// The shape of every message: see `schema.rs`.\n\
         pub(crate) const SCHEMAS: &str = include_str!(\"schemas.txt\");\n\n\
         /// Every message, in the order of [`SCHEMAS`].\n\
         pub(crate) const TWINS: &[Twins] = &[\n{entries}];\n"
    );
    let files = [("mod.rs", door), ("schemas.txt", schemas)];
    Ok(files.map(|(path, text)| (path.into(), text)).into())
}

fn entry(module: &Module<'_>, spec: &Spec) -> String {
    let path = super::path(module, spec);
    let theirs = if in_kafka_protocol(spec) {
        format!("Some(theirs::<kafka_protocol::messages::{}>())", spec.name)
    } else {
        "None".to_owned()
    };
    let java = match java_class(spec) {
        Some(class) => format!("Some(\"{class}\")"),
        None => "None".to_owned(),
    };
    format!("Twins {{ ours: ours::<{path}>(), theirs: {theirs}, java: {java} }},\n")
}

fn in_kafka_protocol(spec: &Spec) -> bool {
    match spec.kind {
        Kind::Request | Kind::Response => {
            spec.key.is_some_and(|key| key < FIRST_OWN && !NOT_IN_KAFKA_PROTOCOL.contains(&key))
        }
        _ => IN_KAFKA_PROTOCOL.contains(&spec.name.as_str()),
    }
}

fn java_class(spec: &Spec) -> Option<String> {
    if spec.key.is_some_and(|key| key >= FIRST_OWN) {
        return None;
    }
    let name = &spec.name;
    Some(match spec.kind {
        Kind::Request | Kind::Response | Kind::Header => {
            format!("org.apache.kafka.common.message.{name}Data")
        }
        Kind::Data => format!("org.apache.kafka.common.message.{name}"),
        Kind::CoordinatorKey | Kind::CoordinatorValue => {
            let of = if name.starts_with("TransactionLog") { "transaction" } else { "group" };
            format!("org.apache.kafka.coordinator.{of}.generated.{name}")
        }
    })
}

fn schema(spec: &Spec) -> String {
    let mut out = format!("message {}\n", spec.name);
    for each in &spec.structs {
        out.push_str("struct\n");
        for field in &each.fields {
            out.push_str(&line(spec, field));
        }
    }
    out
}

fn line(spec: &Spec, field: &Field) -> String {
    format!(
        "{} {} {} {} {} {} {} {}\n",
        field.name,
        ty(spec, &field.ty),
        range(field.versions),
        range(field.nullable),
        range(field.tagged),
        field.tag,
        field.default.as_deref().unwrap_or("-"),
        if field.never_flexible { "fixed" } else { "-" },
    )
}

fn range(versions: Versions) -> String {
    match (versions.first, versions.last) {
        _ if versions.is_empty() => "-".to_owned(),
        (first, i16::MAX) => format!("{first}+"),
        (first, last) => format!("{first}..{last}"),
    }
}

fn ty(spec: &Spec, of: &Type) -> String {
    match of {
        Type::Array(element) => format!("[]{}", ty(spec, element)),
        Type::Struct(name) => {
            let at = spec.structs.iter().position(|each| each.name == *name);
            at.expect("every struct type was resolved").to_string()
        }
        plain => format!("{plain:?}"),
    }
}
