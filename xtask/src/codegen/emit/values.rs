//! How one field's value is typed, defaulted, read and written.

use super::super::names;
use super::super::spec::{Field, Type};
use super::super::versions::{Test, Versions};

/// What is known where a field's code stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The struct's name.
    pub(super) of: &'a str,
    /// Versions that can get here.
    pub(super) versions: Versions,
    /// An expression for "lengths are compact".
    pub(super) flex: &'a str,
    /// Whether this is the content of a tagged field.
    pub(super) in_tag: bool,
}

/// The Rust type, without the `Option` of a nullable field.
fn plain_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::I8 => "i8".into(),
        Type::I16 => "i16".into(),
        Type::U16 => "u16".into(),
        Type::I32 => "i32".into(),
        Type::I64 => "i64".into(),
        Type::F64 => "f64".into(),
        Type::Uuid => "Uuid".into(),
        Type::Str => "Str".into(),
        Type::Bytes => "Bytes".into(),
        Type::Records => "Records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", plain_type(element)),
    }
}

/// Whether the field is an `Option`.
fn is_option(field: &Field) -> bool {
    !field.nullable.is_empty()
}

/// The field's Rust type.
pub(super) fn rust_type(field: &Field) -> String {
    let plain = plain_type(&field.ty);
    if is_option(field) { format!("Option<{plain}>") } else { plain }
}

/// A number as Rust writes it.
fn number(text: &str, ty: &str) -> String {
    let digits = text.strip_prefix("0x");
    let value = digits
        .map_or_else(|| text.parse::<i64>(), |digits| i64::from_str_radix(digits, 16))
        .expect("a specification's default is a number");
    match (ty, value) {
        ("i64", i64::MAX) => "i64::MAX".into(),
        ("i32", 2_147_483_647) => "i32::MAX".into(),
        ("i32", -2_147_483_648) => "i32::MIN".into(),
        _ => value.to_string(),
    }
}

/// The default, when it is not the one that Rust's type has anyway.
pub(super) fn own_default(field: &Field) -> Option<String> {
    let text = field.default.as_deref();
    if is_option(field) {
        return match text {
            Some("null") => None,
            None => Some("Some(Default::default())".into()),
            Some(text) => Some(format!("Some(Str::from_static({text:?}))")),
        };
    }
    let text = text?;
    let value = match &field.ty {
        Type::Bool => text.to_lowercase(),
        Type::Str => format!("Str::from_static({text:?})"),
        numeric => number(text, &plain_type(numeric)),
    };
    (value != "0" && value != "false").then_some(value)
}

/// The default as an expression.
pub(super) fn default(field: &Field) -> String {
    if let Some(own) = own_default(field) {
        return own;
    }
    if is_option(field) {
        return "None".into();
    }
    match &field.ty {
        Type::Bool => "false".into(),
        Type::F64 => "0.0".into(),
        Type::Uuid => "Uuid::ZERO".into(),
        Type::Str => "Str::EMPTY".into(),
        Type::Bytes => "Bytes::new()".into(),
        Type::Records => "Records::EMPTY".into(),
        Type::Struct(name) => format!("{name}::default()"),
        Type::Array(_) => "Vec::new()".into(),
        Type::I8 | Type::I16 | Type::U16 | Type::I32 | Type::I64 => "0".into(),
    }
}

/// An expression for "the field holds its default".
pub(super) fn is_default(field: &Field) -> String {
    let this = format!("self.{}", names::field(&field.name));
    match (&field.ty, own_default(field)) {
        (_, None) if is_option(field) => format!("{this}.is_none()"),
        (Type::Str | Type::Bytes | Type::Array(_), Some(_))
            if is_option(field) && field.default.is_none() =>
        {
            let empty = match field.ty {
                Type::Array(_) => "Vec::is_empty",
                Type::Bytes => "Bytes::is_empty",
                _ => "|x| x.is_empty()",
            };
            format!("{this}.as_ref().is_some_and({empty})")
        }
        (Type::Bool, None) => format!("!{this}"),
        (Type::Bool, Some(_)) => this,
        (Type::Str | Type::Bytes | Type::Records | Type::Array(_), None) => {
            format!("{this}.is_empty()")
        }
        _ => format!("{this} == {}", default(field)),
    }
}

/// An expression for "the field holds something else than its default".
pub(super) fn is_set(field: &Field) -> String {
    let same = is_default(field);
    match same.strip_suffix(".is_none()") {
        Some(this) => format!("{this}.is_some()"),
        None if same.contains(" == ") => same.replacen(" == ", " != ", 1),
        None if same.starts_with('!') => same.replacen('!', "", 1),
        None => format!("!{same}"),
    }
}

/// The method of Reader and Writer that handles a type.
fn method(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::I8 => "i8",
        Type::I16 => "i16",
        Type::U16 => "u16",
        Type::I32 => "i32",
        Type::I64 => "i64",
        Type::F64 => "f64",
        Type::Uuid => "uuid",
        Type::Str => "str",
        Type::Bytes => "bytes",
        Type::Records => "records",
        Type::Array(_) => "array",
        Type::Struct(_) => "read",
    }
}

/// Whether the encoding of a type has a length.
fn has_length(ty: &Type) -> bool {
    matches!(ty, Type::Str | Type::Bytes | Type::Records)
}

/// An expression that reads the field.
pub(super) fn read(field: &Field, at: Place<'_>, element_min: usize) -> String {
    let plain = read_plain(&field.ty, at, element_min, false);
    if !is_option(field) {
        return plain;
    }
    let nullable = match &field.ty {
        Type::Struct(_) => {
            let present = if at.in_tag { "tag_present" } else { "present" };
            format!("if r.{present}()? {{ Some({plain}) }} else {{ None }}")
        }
        ty => read_plain(ty, at, element_min, true),
    };
    match field.nullable.test(at.versions) {
        Test::Always => nullable,
        Test::Never => format!("Some({plain})"),
        Test::When(when) => format!("if {when} {{ {nullable} }} else {{ Some({plain}) }}"),
    }
}

fn read_plain(ty: &Type, at: Place<'_>, element_min: usize, nullable: bool) -> String {
    let flex = at.flex;
    let opt = if nullable { "_opt" } else { "" };
    match ty {
        Type::Struct(name) => format!("{name}::read(r, v)?"),
        Type::Array(element) => {
            let each = match &**element {
                Type::Struct(name) => format!("|r| {name}::read(r, v)"),
                ty if has_length(ty) => format!("|r| r.{}({flex})", method(ty)),
                ty => format!("Reader::{}", method(ty)),
            };
            format!("r.array{opt}({flex}, {element_min}, {each})?")
        }
        ty if has_length(ty) => format!("r.{}{opt}({flex})?", method(ty)),
        ty => format!("r.{}()?", method(ty)),
    }
}

/// A statement that writes the field.
pub(super) fn write(field: &Field, at: Place<'_>) -> String {
    let this = format!("self.{}", names::field(&field.name));
    if !is_option(field) {
        return write_plain(&field.ty, at, &this, &format!("&{this}"), "");
    }
    let required =
        format!("required({this}.as_ref(), {}, v)?", super::field_label(at.of, &field.name));
    let plain = write_plain(&field.ty, at, &required, &required, "");
    let nullable = match &field.ty {
        Type::Struct(_) => {
            let present = if at.in_tag { "tag_present" } else { "present" };
            format!("w.{present}({this}.is_some()); if let Some(x) = &{this} {{ x.write(w, v)?; }}")
        }
        ty => write_plain(ty, at, &this, &format!("{this}.as_ref()"), "_opt"),
    };
    match field.nullable.test(at.versions) {
        Test::Always => nullable,
        Test::Never => plain,
        Test::When(when) => format!("if {when} {{ {nullable} }} else {{ {plain} }}"),
    }
}

/// `this` is the value (a place), `borrowed` an expression that borrows it.
fn write_plain(ty: &Type, at: Place<'_>, this: &str, borrowed: &str, opt: &str) -> String {
    let flex = at.flex;
    match ty {
        Type::Struct(_) => format!("{this}.write(w, v)?;"),
        Type::Array(element) => match &**element {
            Type::Struct(_) => format!("w.array{opt}({flex}, {borrowed}, |w, x| x.write(w, v))?;"),
            ty if has_length(ty) => {
                format!("w.array{opt}({flex}, {borrowed}, |w, x| w.{}({flex}, x))?;", method(ty))
            }
            ty => format!("w.plain{opt}({flex}, {borrowed}, Writer::{})?;", method(ty)),
        },
        ty if has_length(ty) => format!("w.{}{opt}({flex}, {borrowed})?;", method(ty)),
        ty => format!("w.{}({this});", method(ty)),
    }
}
