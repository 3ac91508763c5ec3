//! YAML text → resources, for a laptop: what `kubectl apply` and the API server would say, with file,
//! line and column.
//!
//! ```text
//! text → documents (value + place of each field) → kind → schema → struct (defaults) → rules
//! ```
//!
//! A text that is not YAML yields one error and no resource. What replaces an older version of itself is
//! checked with [`crate::validate`] once more, by the caller, who knows the older version.

use std::collections::BTreeMap;
use std::fmt;

use kube::CustomResourceExt;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::rules::{Declared, FieldError, broken_rules};
use crate::schema::{self, field_path, item_path, nearest};
use crate::{API_VERSION, Cluster, ConsumerGroup, GROUP, Kind, Resource, Topic};

/// Why a document is not a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The file, or whatever the caller named.
    pub source: String,
    /// The line, from 1; 0 if it cannot be told.
    pub line: u64,
    /// The column, from 1; 0 if it cannot be told.
    pub column: u64,
    /// The resource, for example `Topic orders`, if the document came that far.
    pub resource: Option<String>,
    /// What is wrong. The path is empty if the text is not YAML.
    pub error: Box<FieldError>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if let Some(resource) = &self.resource {
            write!(f, ": {resource}")?;
        }
        if !self.error.path.is_empty() {
            write!(f, ": {}", self.error.path)?;
        }
        write!(f, ": {}", self.error.message)?;
        match &self.error.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads all resources of a text of one or more YAML documents. A document with three mistakes yields
/// three errors; empty documents yield nothing. `source` is the file's name, for the errors.
pub fn parse(text: &str, source: &str) -> Vec<Result<Resource, ParseError>> {
    let documents: Vec<Spanned<Node>> = match serde_saphyr::from_multiple(text) {
        Ok(documents) => documents,
        Err(error) => return vec![Err(not_yaml(&error, source))],
    };
    let mut results = Vec::new();
    for document in documents {
        let mut places = BTreeMap::new();
        let value = located(document, "", &mut places);
        if value.is_null() {
            continue;
        }
        match resource(&value) {
            Ok(resource) => results.push(Ok(resource)),
            Err(errors) => {
                let name = name_of(&value);
                results.extend(errors.into_iter().map(|error| {
                    let (line, column) = place(&places, &error.path);
                    let (resource, error) = (name.clone(), Box::new(error));
                    Err(ParseError { source: source.to_owned(), line, column, resource, error })
                }));
            }
        }
    }
    results
}

/// A YAML value with the place of each of its parts.
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: de::Error>(self, it: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(it)))
    }

    fn visit_i64<E: de::Error>(self, it: i64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Number(it.into())))
    }

    fn visit_u64<E: de::Error>(self, it: u64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Number(it.into())))
    }

    fn visit_f64<E: de::Error>(self, it: f64) -> Result<Node, E> {
        // Infinity and NaN have no JSON form; as text they fail wherever a number is expected.
        let value = Number::from_f64(it).map_or(Value::String(it.to_string()), Value::Number);
        Ok(Node::Leaf(value))
    }

    fn visit_str<E: de::Error>(self, it: &str) -> Result<Node, E> {
        Ok(Node::Leaf(Value::String(it.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Node::Fields(fields))
    }
}

type Places = BTreeMap<String, (u64, u64)>;

/// Splits a node into its value and the places of its fields; a field's place is that of its key.
fn located(node: Spanned<Node>, path: &str, places: &mut Places) -> Value {
    let here = (node.referenced.line(), node.referenced.column());
    places.entry(path.to_owned()).or_insert(here);
    match node.value {
        Node::Leaf(value) => value,
        Node::List(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(at, item)| located(item, &item_path(path, at), places))
                .collect(),
        ),
        Node::Fields(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                let path = field_path(path, &key.value);
                places.insert(path.clone(), (key.referenced.line(), key.referenced.column()));
                object.insert(key.value, located(value, &path, places));
            }
            Value::Object(object)
        }
    }
}

/// The place of the field at `path`, or of its nearest parent that is there.
fn place(places: &Places, path: &str) -> (u64, u64) {
    let mut path = path;
    loop {
        if let Some(place) = places.get(path) {
            return *place;
        }
        match path.rfind(['.', '[']) {
            Some(at) => path = &path[..at],
            None => return places.get("").copied().unwrap_or((0, 0)),
        }
    }
}

fn resource(value: &Value) -> Result<Resource, Vec<FieldError>> {
    match kind(value).map_err(|error| vec![error])? {
        Kind::Cluster => typed::<Cluster>(value).map(|it| Resource::Cluster(Box::new(it))),
        Kind::Topic => typed::<Topic>(value).map(|it| Resource::Topic(Box::new(it))),
        Kind::ConsumerGroup => {
            typed::<ConsumerGroup>(value).map(|it| Resource::ConsumerGroup(Box::new(it)))
        }
    }
}

fn kind(value: &Value) -> Result<Kind, FieldError> {
    let Some(object) = value.as_object() else {
        return Err(FieldError::new("", "a resource is expected")
            .hint("begin with apiVersion: klamm.io/v1alpha1 and kind: Topic"));
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let kinds = "Cluster, Topic, ConsumerGroup";
    let Some(name) = text("kind") else {
        return Err(FieldError::new("kind", "is required").hint(format!("one of {kinds}")));
    };
    let Some(version) = text("apiVersion") else {
        return Err(
            FieldError::new("apiVersion", "is required").hint(format!("apiVersion: {API_VERSION}"))
        );
    };
    if version != API_VERSION {
        let ours = version.split('/').next() == Some(GROUP);
        let error = FieldError::new("apiVersion", format!("unknown version: {version:?}"));
        return Err(if ours || nearest(version, [API_VERSION]).is_some() {
            error.hint(format!("did you mean {API_VERSION}?"))
        } else {
            error.hint(format!("Klamm reads {API_VERSION} only; keep other resources elsewhere"))
        });
    }
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let error = FieldError::new("kind", format!("unknown kind: {name:?}"));
        match nearest(name, Kind::ALL.map(Kind::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("one of {kinds}")),
        }
    })
}

fn typed<T>(value: &Value) -> Result<T, Vec<FieldError>>
where
    T: CustomResourceExt + Declared + DeserializeOwned,
{
    let mut errors = metadata(value);
    // The status in a file is somebody's copy; the truth is the reconciler's.
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    errors.extend(schema::check(&schema::of::<T>(), &value));
    if !errors.is_empty() {
        return Err(errors);
    }
    without_null_defaults(&mut value);
    let typed: T = serde_json::from_value(value)
        .map_err(|error| vec![FieldError::new("", error.to_string())])?;
    let broken = broken_rules(None, &typed);
    if broken.is_empty() { Ok(typed) } else { Err(broken) }
}

/// The schema lets a null through only where a default stands for it.
fn without_null_defaults(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, it| !it.is_null());
            object.values_mut().for_each(without_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null_defaults),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the API server checks of `metadata`, which no CRD's schema may describe.
fn metadata(value: &Value) -> Vec<FieldError> {
    const KNOWN: [&str; 14] = [
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "uid",
    ];
    let Some(metadata) = value.get("metadata").and_then(Value::as_object) else {
        return vec![FieldError::new("metadata", "is required").hint("metadata: {name: orders}")];
    };
    let mut errors = Vec::new();
    for key in metadata.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
        let error = FieldError::new(field_path("metadata", key), "unknown field");
        errors.push(match nearest(key, KNOWN) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        });
    }
    let text = |key: &str| metadata.get(key).map(|it| it.as_str().unwrap_or_default());
    match text("name") {
        None => errors.push(FieldError::new("metadata.name", "is required")),
        Some(name) if !is_dns_name(name, 253, true) => errors.push(
            FieldError::new("metadata.name", format!("is not valid: {name:?}")).hint(
                "lower-case letters, digits, - and ., at most 253; a topic or group of another name \
                 is given as spec.topicName or spec.groupId",
            ),
        ),
        Some(_) => {}
    }
    if let Some(namespace) = text("namespace")
        && !is_dns_name(namespace, 63, false)
    {
        errors.push(
            FieldError::new("metadata.namespace", format!("is not valid: {namespace:?}"))
                .hint("lower-case letters, digits and -, at most 63"),
        );
    }
    errors
}

fn is_dns_name(name: &str, max: usize, dots: bool) -> bool {
    let label = |label: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= max && if dots { name.split('.').all(label) } else { label(name) }
}

fn name_of(value: &Value) -> Option<String> {
    let kind = value.get("kind")?.as_str()?;
    let name = value.get("metadata")?.get("name")?.as_str()?;
    Some(format!("{kind} {name}"))
}

fn not_yaml(error: &serde_saphyr::Error, source: &str) -> ParseError {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let text = error.without_snippet().to_string();
    // The place is said already, and the library's options are not the reader's.
    let first = text.lines().next().unwrap_or_default();
    let first = first.split(" at line ").next().unwrap_or_default();
    let first = first.split(", set ").next().unwrap_or_default();
    ParseError {
        source: source.to_owned(),
        line,
        column,
        resource: None,
        error: Box::new(FieldError::new("", format!("not YAML: {first}"))),
    }
}
