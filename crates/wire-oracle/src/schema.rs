//! What a message's values look like: Kafka's specification, one line per field.
//!
//! ```text
//! message FetchRequest
//! struct
//! ClusterId Str 12+ 12+ 12+ 0 null -
//! │         │   │   │   │   │ │    └ "fixed": keeps the fixed encoding for ever
//! │         │   │   │   │   │ └ default, "-" for the type's own
//! │         │   │   │   │   └ tag
//! │         │   │   │   └ versions in which it is tagged
//! │         │   │   └ versions in which it may be null
//! │         │   └ versions in which it exists
//! │         └ type; a number is one of the message's structs
//! └ name
//! ```

/// A range of versions, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    first: i16,
    last: i16,
}

impl Versions {
    /// Whether the range has `version`.
    pub fn has(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    fn parse(text: &str) -> Self {
        let number = |digits: &str| digits.parse().expect("a version is a number");
        match (text.strip_suffix('+'), text.split_once("..")) {
            (Some(first), _) => Self { first: number(first), last: i16::MAX },
            (_, Some((first, last))) => Self { first: number(first), last: number(last) },
            _ => Self { first: 0, last: -1 },
        }
    }
}

/// A field's type.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Type {
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
    /// By its place among the message's structs.
    Struct(usize),
    Array(Box<Self>),
}

impl Type {
    fn parse(text: &str) -> Self {
        match text {
            "Bool" => Self::Bool,
            "I8" => Self::I8,
            "I16" => Self::I16,
            "U16" => Self::U16,
            "I32" => Self::I32,
            "I64" => Self::I64,
            "F64" => Self::F64,
            "Uuid" => Self::Uuid,
            "Str" => Self::Str,
            "Bytes" => Self::Bytes,
            "Records" => Self::Records,
            other => match other.strip_prefix("[]") {
                Some(element) => Self::Array(Box::new(Self::parse(element))),
                None => Self::Struct(other.parse().expect("a struct is a number")),
            },
        }
    }
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Kafka's name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// When it exists.
    pub versions: Versions,
    /// When it may be null.
    pub nullable: Versions,
    /// When it is a tagged field.
    pub tagged: Versions,
    /// Its tag, if it is ever tagged.
    pub tag: u32,
    /// Its default as the specification writes it; empty for the type's own.
    pub default: String,
    /// Whether it keeps the fixed encoding for ever.
    pub never_flexible: bool,
}

/// A struct.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// Its fields, in the order of the specification.
    pub fields: Vec<Field>,
}

/// The messages of a text, each with its structs, of which the first is the message itself.
///
/// # Panics
/// When the text is not what the generator writes.
pub fn parse(text: &str) -> Vec<(String, Vec<Struct>)> {
    let mut messages: Vec<(String, Vec<Struct>)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("message ") {
            messages.push((name.to_owned(), Vec::new()));
            continue;
        }
        let (_, structs) = messages.last_mut().expect("a struct belongs to a message");
        if line == "struct" {
            structs.push(Struct::default());
        } else {
            let fields = &mut structs.last_mut().expect("a field belongs to a struct").fields;
            fields.push(field(line));
        }
    }
    messages
}

fn field(line: &str) -> Field {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, ty, versions, nullable, tagged, tag, default, fixed] = words[..] else {
        panic!("a field has eight words: {line}");
    };
    Field {
        name: name.to_owned(),
        ty: Type::parse(ty),
        versions: Versions::parse(versions),
        nullable: Versions::parse(nullable),
        tagged: Versions::parse(tagged),
        tag: tag.parse().expect("a tag is a number"),
        default: if default == "-" { String::new() } else { default.to_owned() },
        never_flexible: fixed == "fixed",
    }
}
