//! Writes one struct: its fields, its defaults, how it is read and written.

use std::fmt::Write as _;

use super::super::names;
use super::super::spec::{Field, Spec, Struct, Type};
use super::super::versions::{Test, Versions};
use super::values::{self, Place};

/// All code of one struct.
pub(super) fn structure(spec: &Spec, of: &Struct) -> String {
    let mut out = String::new();
    definition(&mut out, spec, of);
    defaults(&mut out, of);
    let (read, write) = (read(spec, of), write(spec, of));
    let _ = writeln!(out, "impl {} {{\n{read}\n{write}}}\n", of.name);
    out
}

fn definition(out: &mut String, spec: &Spec, of: &Struct) {
    let derives = if of.fields.iter().any(|f| values::own_default(f).is_some()) {
        "Clone, Debug, PartialEq"
    } else {
        "Clone, Debug, Default, PartialEq"
    };
    if of.name == spec.name {
        let _ = writeln!(out, "/// `{}`, {}.", spec.name, super::versions_text(spec));
    } else {
        let _ = writeln!(out, "/// `{}` of [`{}`].", of.name, spec.name);
    }
    let _ = writeln!(out, "#[derive({derives})]\npub struct {} {{", of.name);
    for field in &of.fields {
        let (name, ty) = (names::field(&field.name), values::rust_type(field));
        let _ = writeln!(out, "/// {}\npub {name}: {ty},", field_text(field, of));
    }
    let _ = writeln!(out, "/// Tagged fields that this build does not know.");
    let _ = writeln!(out, "pub unknown: TaggedFields,\n}}\n");
}

/// "Versions 7 to 18; null allowed; tag 0; default -1."
fn field_text(field: &Field, of: &Struct) -> String {
    let here = field.versions.and(of.versions);
    let mut text = match (here.first == of.versions.first, here.last == of.versions.last) {
        (true, true) => "In every version".to_owned(),
        (false, true) => format!("Since version {}", here.first),
        (true, false) => format!("Until version {}", here.last),
        (false, false) if here.first == here.last => format!("In version {}", here.first),
        (false, false) => format!("Versions {} to {}", here.first, here.last),
    };
    match field.nullable.test(here) {
        Test::Never => {}
        Test::Always => text.push_str("; may be null"),
        Test::When(_) => {
            let _ = write!(text, "; may be null since version {}", field.nullable.first);
        }
    }
    if !field.tagged.is_empty() {
        let _ = write!(text, "; tag {}", field.tag);
    }
    if let Some(default) = field.default.as_deref().filter(|default| *default != "null") {
        let _ = write!(text, "; default `{default}`");
    }
    if field.ignorable && here != of.versions {
        text.push_str("; dropped where absent");
    }
    text + "."
}

fn defaults(out: &mut String, of: &Struct) {
    if of.fields.iter().all(|f| values::own_default(f).is_none()) {
        return;
    }
    let _ = writeln!(out, "impl Default for {} {{\nfn default() -> Self {{\nSelf {{", of.name);
    for field in &of.fields {
        let _ = writeln!(out, "{}: {},", names::field(&field.name), values::default(field));
    }
    let _ = writeln!(out, "unknown: TaggedFields::EMPTY,\n}}\n}}\n}}\n");
}

/// Where the field stands among the others, untagged.
fn regular(field: &Field) -> Versions {
    field.versions.minus(field.tagged)
}

/// "Lengths are compact" as an expression, and the line that makes the variable it may use.
fn flexibility(spec: &Spec, of: &Struct) -> (&'static str, String) {
    match spec.flexible.test(of.versions) {
        Test::Always => ("true", String::new()),
        Test::Never => ("false", String::new()),
        Test::When(when) => ("flex", format!("let flex = {when};\n")),
    }
}

fn place<'a>(of: &'a Struct, field: &Field, flex: &'a str) -> Place<'a> {
    Place {
        of: &of.name,
        versions: of.versions.and(regular(field)),
        flex: if field.never_flexible { "false" } else { flex },
        in_tag: false,
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|each| each == word)
}

/// A function with its parameters named `_v` or `v`, as its body needs.
fn function(head: &str, tail: &str, body: &str) -> String {
    let v = if has_word(body, "v") { "v" } else { "_v" };
    format!("{head}, {v}: i16) -> {tail} {{\n{body}}}\n")
}

fn read(spec: &Spec, of: &Struct) -> String {
    let (flex, flex_line) = flexibility(spec, of);
    let tagged = of.fields.iter().any(|field| !field.tagged.and(of.versions).is_empty());
    let mut fields = String::new();
    for field in &of.fields {
        let at = place(of, field, flex);
        let value = values::read(field, at, element_min(spec, field, of.versions));
        let value = match regular(field).test(of.versions) {
            Test::Always => value,
            Test::Never => values::default(field),
            Test::When(when) => {
                format!("if {when} {{ {value} }} else {{ {} }}", values::default(field))
            }
        };
        let _ = writeln!(fields, "{}: {value},", names::field(&field.name));
    }
    let mut body = String::new();
    if tagged {
        let _ =
            writeln!(body, "let mut this = Self {{\n{fields}unknown: TaggedFields::EMPTY,\n}};");
        let loops = format!("for _ in 0..r.tag_count()? {{\n{}}}\n", read_tags(spec, of));
        match flex {
            "true" => body.push_str(&loops),
            _ => {
                let _ = writeln!(body, "if flex {{\n{loops}}}");
            }
        }
        body.push_str("Ok(this)\n");
    } else {
        let _ = writeln!(body, "Ok(Self {{\n{fields}unknown: r.tags({flex})?,\n}})");
    }
    let body = if has_word(&body, "flex") { flex_line + &body } else { body };
    function("fn read(r: &mut Reader", "Result<Self, DecodeError>", &body)
}

fn read_tags(spec: &Spec, of: &Struct) -> String {
    let mut out = String::from("let (tag, mut field) = r.tag()?;\nmatch tag {\n");
    for field in of.fields.iter().filter(|field| !field.tagged.and(of.versions).is_empty()) {
        let versions = of.versions.and(field.tagged);
        let at = Place { of: &of.name, versions, flex: "true", in_tag: true };
        let value = values::read(field, at, element_min(spec, field, versions));
        let guard = match field.tagged.test(of.versions.and(spec.flexible)) {
            Test::When(when) => format!(" if {when}"),
            Test::Always | Test::Never => String::new(),
        };
        let _ = writeln!(
            out,
            "{}{guard} => {{\nlet r = &mut field;\nthis.{} = {value};\nr.finish()?;\n}}",
            field.tag,
            names::field(&field.name),
        );
    }
    out + "_ => this.unknown.push(tag, field.take_rest()),\n}\n"
}

fn write(spec: &Spec, of: &Struct) -> String {
    let (flex, flex_line) = flexibility(spec, of);
    let mut body = String::new();
    for field in &of.fields {
        write_field(&mut body, of, field, flex);
    }
    let mut tagged: Vec<_> =
        of.fields.iter().filter(|field| !field.tagged.and(of.versions).is_empty()).collect();
    tagged.sort_by_key(|field| field.tag);
    if tagged.is_empty() {
        let _ = writeln!(body, "w.tags({flex}, &self.unknown, \"{}\", v)", of.name);
    } else {
        let tags = write_tags(spec, of, &tagged);
        if flex == "true" {
            body.push_str(&tags);
        } else {
            let otherwise = format!("w.tags(false, &self.unknown, \"{}\", v)", of.name);
            let _ = writeln!(body, "if flex {{\n{tags}}} else {{ {otherwise} }}");
        }
    }
    let body = if has_word(&body, "flex") { flex_line + &body } else { body };
    function("fn write(&self, w: &mut Writer", "Result<(), EncodeError>", &body)
}

fn write_field(out: &mut String, of: &Struct, field: &Field, flex: &str) {
    let value = values::write(field, place(of, field, flex));
    let absent = format!(
        "absent({}, {}, v)?;",
        values::is_default(field),
        super::field_label(&of.name, &field.name)
    );
    let absent = (!field.ignorable).then_some(absent);
    let _ = match (regular(field).test(of.versions), field.versions.test(of.versions)) {
        (Test::Always, _) => writeln!(out, "{value}"),
        (Test::When(when), here) => {
            let otherwise = match (here, absent) {
                (Test::When(here), Some(absent)) if here == when => {
                    format!("else {{ {absent} }}")
                }
                (Test::When(here), Some(absent)) => {
                    format!("else if !({here}) {{ {absent} }}")
                }
                _ => String::new(),
            };
            writeln!(out, "if {when} {{ {value} }} {otherwise}")
        }
        (Test::Never, Test::When(here)) => match absent {
            Some(absent) => writeln!(out, "if {} {{ {absent} }}", negated(&here)),
            None => Ok(()),
        },
        (Test::Never, _) => Ok(()),
    };
}

fn negated(when: &str) -> String {
    match when {
        when if when.starts_with("v >= ") => when.replacen(">=", "<", 1),
        when if when.starts_with("v <= ") => when.replacen("<=", ">", 1),
        when => format!("!({when})"),
    }
}

fn write_tags(spec: &Spec, of: &Struct, tagged: &[&Field]) -> String {
    let (mut flags, mut count, mut fields) = (String::new(), Vec::new(), String::new());
    for field in tagged {
        let (tag, versions) = (field.tag, of.versions.and(field.tagged));
        let set = values::is_set(field);
        let set = match field.tagged.test(of.versions.and(spec.flexible)) {
            Test::When(when) => format!("{when} && {set}"),
            Test::Always | Test::Never => set,
        };
        let at = Place { of: &of.name, versions, flex: "true", in_tag: true };
        let value = values::write(field, at);
        let _ = writeln!(flags, "let tag_{tag} = {set};");
        count.push(format!("usize::from(tag_{tag})"));
        let _ = writeln!(
            fields,
            "if tag_{tag} {{ w.tag(&mut unknown, {tag}, |w| {{ {value} Ok(()) }})?; }}"
        );
    }
    format!(
        "{flags}let mut unknown = self.unknown.as_slice();\n\
         w.tag_count({}, &self.unknown)?;\n{fields}w.tags_rest(unknown)\n",
        count.join(" + "),
    )
}

/// The fewest bytes that an element of the array `field` takes.
fn element_min(spec: &Spec, field: &Field, versions: Versions) -> usize {
    let Type::Array(element) = &field.ty else { return 0 };
    let versions = versions.and(field.versions);
    (versions.first..=versions.last)
        .map(|version| type_min(spec, element, false, version))
        .min()
        .expect("a field is in some version")
        .max(1)
}

fn type_min(spec: &Spec, ty: &Type, nullable: bool, version: i16) -> usize {
    let flexible = spec.flexible.contains(version);
    match ty {
        Type::Bool | Type::I8 => 1,
        Type::I16 | Type::U16 => 2,
        Type::I32 => 4,
        Type::I64 | Type::F64 => 8,
        Type::Uuid => 16,
        Type::Str | Type::Bytes | Type::Records | Type::Array(_) if flexible => 1,
        Type::Str => 2,
        Type::Bytes | Type::Records | Type::Array(_) => 4,
        Type::Struct(_) if nullable => 1,
        Type::Struct(name) => {
            let fields = &spec.find(name).fields;
            let here = fields.iter().filter(|field| regular(field).contains(version));
            let sum: usize =
                here.map(|f| type_min(spec, &f.ty, f.nullable.contains(version), version)).sum();
            sum + usize::from(flexible)
        }
    }
}
