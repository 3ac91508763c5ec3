//! Reads message specifications into structs whose versions and types are resolved.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::names::pascal;
use super::versions::Versions;

/// What a specification describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Request,
    Response,
    Header,
    Data,
    CoordinatorKey,
    CoordinatorValue,
}

/// A field's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    I8,
    I16,
    U16,
    I32,
    I64,
    F64,
    Uuid,
    Str,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

/// A field, with all that a specification leaves to defaults filled in.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    pub(super) tagged: Versions,
    pub(super) tag: u32,
    /// `None`: the type's own (zero, empty).
    pub(super) default: Option<String>,
    pub(super) ignorable: bool,
    /// Whether the field keeps the fixed encoding in flexible versions.
    pub(super) never_flexible: bool,
}

/// A struct; `versions` are those of the message in which it can occur.
#[derive(Clone, Debug)]
pub(super) struct Struct {
    pub(super) name: String,
    pub(super) versions: Versions,
    pub(super) fields: Vec<Field>,
}

/// A message; `structs[0]` is the message itself.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) key: Option<i16>,
    pub(super) valid: Versions,
    pub(super) flexible: Versions,
    pub(super) latest_unstable: bool,
    pub(super) structs: Vec<Struct>,
}

impl Spec {
    pub(super) fn find(&self, name: &str) -> &Struct {
        self.structs.iter().find(|s| s.name == name).expect("every struct type was resolved")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSpec {
    #[serde(rename = "type")]
    kind: Kind,
    name: String,
    #[serde(default)]
    api_key: Option<i16>,
    valid_versions: String,
    #[serde(default)]
    flexible_versions: Option<String>,
    #[serde(default)]
    latest_version_unstable: bool,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default)]
    common_structs: Vec<RawStruct>,
    #[serde(default, rename = "listeners")]
    _listeners: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawStruct {
    name: String,
    versions: String,
    fields: Vec<RawField>,
    #[serde(default, rename = "about")]
    _about: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    versions: Option<String>,
    #[serde(default)]
    nullable_versions: Option<String>,
    #[serde(default)]
    tagged_versions: Option<String>,
    #[serde(default)]
    flexible_versions: Option<String>,
    #[serde(default)]
    tag: Option<u32>,
    #[serde(default)]
    default: Option<serde_json::Value>,
    #[serde(default)]
    ignorable: bool,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default, rename = "about")]
    _about: String,
    #[serde(default, rename = "entityType")]
    _entity_type: String,
    #[serde(default, rename = "mapKey")]
    _map_key: bool,
    #[serde(default, rename = "zeroCopy")]
    _zero_copy: bool,
}

/// Reads every specification below `folders` and `ours`, sorted by name. Retired APIs, which have no
/// version left, are left out.
pub(super) fn load(folders: &[PathBuf], ours: &Path) -> anyhow::Result<Vec<Spec>> {
    let mut specs = Vec::new();
    for folder in folders.iter().map(PathBuf::as_path).chain([ours]) {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let raw: RawSpec = serde_json::from_str(&without_comments(&text))
                .with_context(|| path.display().to_string())?;
            let spec = resolve(raw).with_context(|| path.display().to_string())?;
            if !spec.valid.is_empty() {
                specs.push(spec);
            }
        }
    }
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in specs.windows(2) {
        ensure!(pair[0].name != pair[1].name, "two specifications of {}", pair[0].name);
    }
    Ok(specs)
}

/// Specifications hold comments of whole lines, which JSON does not know.
fn without_comments(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    kept.collect::<Vec<_>>().join("\n")
}

fn resolve(raw: RawSpec) -> anyhow::Result<Spec> {
    let valid = Versions::parse(&raw.valid_versions)?;
    let flexible = raw.flexible_versions.as_deref().map_or(Ok(Versions::NONE), Versions::parse)?;
    let mut spec = Spec {
        kind: raw.kind,
        name: raw.name.clone(),
        key: raw.api_key,
        valid,
        flexible,
        latest_unstable: raw.latest_version_unstable,
        structs: Vec::new(),
    };
    if valid.is_empty() {
        return Ok(spec);
    }
    add_struct(&mut spec, &raw.name, raw.fields, valid)?;
    for common in raw.common_structs {
        let versions = Versions::parse(&common.versions)?.and(valid);
        add_struct(&mut spec, &common.name, common.fields, versions)?;
    }
    for field in spec.structs.iter().flat_map(|s| &s.fields) {
        if let Some(name) = struct_name(&field.ty) {
            ensure!(spec.structs.iter().any(|s| s.name == name), "no struct {name}");
        }
    }
    Ok(spec)
}

/// The struct that a type is made of.
pub(super) fn struct_name(ty: &Type) -> Option<&str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Array(element) => struct_name(element),
        _ => None,
    }
}

fn add_struct(
    spec: &mut Spec,
    name: &str,
    raw: Vec<RawField>,
    versions: Versions,
) -> anyhow::Result<()> {
    ensure!(spec.structs.iter().all(|s| s.name != name), "two structs {name}");
    let place = spec.structs.len();
    spec.structs.push(Struct { name: name.to_owned(), versions, fields: Vec::new() });
    for raw in raw {
        let inner = raw.fields.len();
        let (field, nested) = field(raw)?;
        if inner > 0 {
            let of = struct_name(&field.ty).context("fields inside a field that is no struct")?;
            add_struct(spec, of, nested, versions.and(field.versions))?;
        }
        spec.structs[place].fields.push(field);
    }
    Ok(())
}

fn field(raw: RawField) -> anyhow::Result<(Field, Vec<RawField>)> {
    let parse = |text: &Option<String>| text.as_deref().map_or(Ok(Versions::NONE), Versions::parse);
    let tagged = parse(&raw.tagged_versions)?;
    let versions = if raw.versions.is_none() { tagged } else { parse(&raw.versions)? };
    ensure!(raw.tag.is_some() != tagged.is_empty(), "{}: tag without versions", raw.name);
    ensure!(raw.flexible_versions.as_deref().is_none_or(|v| v == "none"), "{}", raw.name);
    let default = match raw.default {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
        Some(other) => Some(other.to_string()),
    };
    let field = Field {
        ty: parse_type(&raw.ty)?,
        name: pascal(&raw.name),
        versions,
        nullable: parse(&raw.nullable_versions)?,
        tagged,
        tag: raw.tag.unwrap_or_default(),
        default,
        ignorable: raw.ignorable,
        never_flexible: raw.flexible_versions.is_some(),
    };
    Ok((field, raw.fields))
}

fn parse_type(text: &str) -> anyhow::Result<Type> {
    Ok(match text {
        "bool" => Type::Bool,
        "int8" => Type::I8,
        "int16" => Type::I16,
        "uint16" => Type::U16,
        "int32" => Type::I32,
        "int64" => Type::I64,
        "float64" => Type::F64,
        "uuid" => Type::Uuid,
        "string" => Type::Str,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        _ => match text.strip_prefix("[]") {
            Some(element) => Type::Array(Box::new(parse_type(element)?)),
            None if text.starts_with(char::is_uppercase) => Type::Struct(text.to_owned()),
            None => bail!("unknown type {text}"),
        },
    })
}
