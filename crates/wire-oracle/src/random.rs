//! Values of a message as bytes, made from its schema and a seed: an encoder that shares nothing with
//! the generated one.

use crate::registry::Entry;
use crate::schema::{Field, Struct, Type};

/// What a value is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Null wherever allowed, else empty; numbers are zero.
    Null,
    /// Empty wherever allowed; numbers are one.
    Empty,
    /// The largest numbers, long strings, unknown tags.
    Maximum,
    /// The smallest numbers, unknown tags.
    Minimum,
    /// Anything.
    Random,
}

impl Style {
    /// The style of the value with number `n`: one of each, then random ones.
    pub fn of(n: u64) -> Self {
        match n {
            0 => Self::Null,
            1 => Self::Empty,
            2 => Self::Maximum,
            3 => Self::Minimum,
            _ => Self::Random,
        }
    }
}

/// Splitmix64: small, and the same on every machine.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The bytes of a value of `entry` at `version`; the same for the same `seed`.
pub fn value(entry: &Entry, version: i16, style: Style, seed: u64) -> Vec<u8> {
    let flexible = version >= entry.twins.ours.flexible_from;
    let salt = entry.name().bytes().fold(seed, |h, b| h.wrapping_mul(31) ^ u64::from(b));
    let mut maker = Maker {
        structs: &entry.structs,
        version,
        flexible,
        style,
        dice: Dice(salt.wrapping_add(version.cast_unsigned().into())),
        depth: 0,
    };
    let mut out = Vec::new();
    maker.structure(&entry.structs[0], &mut out);
    out
}

struct Maker<'a> {
    structs: &'a [Struct],
    version: i16,
    flexible: bool,
    style: Style,
    dice: Dice,
    /// How many structs we are inside of: arrays get shorter.
    depth: u64,
}

impl Maker<'_> {
    fn structure(&mut self, of: &Struct, out: &mut Vec<u8>) {
        self.depth += 1;
        let here = of.fields.iter().filter(|field| field.versions.has(self.version));
        let (mut tagged, regular): (Vec<_>, Vec<_>) =
            here.partition(|field| field.tagged.has(self.version));
        for field in regular {
            self.field(field, out);
        }
        if self.flexible {
            tagged.sort_by_key(|field| field.tag);
            self.tags(&tagged, out);
        }
        self.depth -= 1;
    }

    /// Known tags whose value is not the default (those are never written), then unknown ones.
    fn tags(&mut self, known: &[&Field], out: &mut Vec<u8>) {
        let mut fields = Vec::new();
        for field in known {
            if self.style == Style::Random && self.dice.one_in(3) {
                continue;
            }
            let mut content = Vec::new();
            self.field(field, &mut content);
            if content != self.default(field) {
                fields.push((field.tag, content));
            }
        }
        let unknown = match self.style {
            Style::Null | Style::Empty => 0,
            Style::Maximum | Style::Minimum => 1,
            Style::Random => self.dice.below(6).saturating_sub(3),
        };
        let mut tag = 100;
        for _ in 0..unknown {
            tag += 1 + u32::try_from(self.dice.below(90_000)).expect("fits");
            let len = self.dice.below(20);
            fields.push((tag, (0..len).map(|_| self.byte()).collect()));
        }
        uvarint(out, fields.len() as u64);
        for (tag, content) in fields {
            uvarint(out, tag.into());
            uvarint(out, content.len() as u64);
            out.extend(content);
        }
    }

    fn byte(&mut self) -> u8 {
        self.dice.next().to_le_bytes()[0]
    }

    fn is_null(&mut self, field: &Field) -> bool {
        field.nullable.has(self.version)
            && match self.style {
                Style::Null => true,
                Style::Empty | Style::Maximum => false,
                Style::Minimum => self.dice.one_in(2),
                Style::Random => self.dice.one_in(3),
            }
    }

    fn field(&mut self, field: &Field, out: &mut Vec<u8>) {
        let kept = self.flexible;
        self.flexible = kept && !field.never_flexible;
        if self.is_null(field) {
            self.null(field, out);
        } else {
            if let (Type::Struct(_), true) = (&field.ty, field.nullable.has(self.version)) {
                out.push(1);
            }
            self.value(&field.ty, out);
        }
        self.flexible = kept;
    }

    fn null(&self, field: &Field, out: &mut Vec<u8>) {
        match field.ty {
            // A struct in a tagged field says so by a variable-length number: 0, else 1.
            Type::Struct(_) if field.tagged.has(self.version) => out.push(0),
            Type::Struct(_) => out.push(0xff),
            _ if self.flexible => out.push(0),
            Type::Str => out.extend([0xff; 2]),
            _ => out.extend([0xff; 4]),
        }
    }

    fn number(&mut self, bytes: usize, out: &mut Vec<u8>) {
        let largest = u64::MAX >> 1;
        let bits = match self.style {
            Style::Null => 0,
            Style::Empty => 1,
            Style::Maximum => largest >> (64 - 8 * bytes),
            Style::Minimum => 1 << (8 * bytes - 1),
            Style::Random if self.dice.one_in(3) => self.dice.below(100),
            Style::Random => self.dice.next(),
        };
        out.extend(&bits.to_be_bytes()[8 - bytes..]);
    }

    fn len(&self, len: usize, short: bool, out: &mut Vec<u8>) {
        if self.flexible {
            uvarint(out, len as u64 + 1);
        } else if short {
            out.extend(u16::try_from(len).expect("strings are short").to_be_bytes());
        } else {
            out.extend(u32::try_from(len).expect("values are small").to_be_bytes());
        }
    }

    fn value(&mut self, ty: &Type, out: &mut Vec<u8>) {
        match ty {
            Type::Bool => match self.style {
                Style::Null | Style::Minimum => out.push(0),
                Style::Empty | Style::Maximum => out.push(1),
                Style::Random => out.push(u8::from(self.dice.one_in(2))),
            },
            Type::I8 => self.number(1, out),
            Type::I16 | Type::U16 => self.number(2, out),
            Type::I32 => self.number(4, out),
            Type::I64 => self.number(8, out),
            Type::F64 => self.float(out),
            Type::Uuid => {
                self.number(8, out);
                self.number(8, out);
            }
            Type::Str => {
                let text = self.text();
                self.len(text.len(), true, out);
                out.extend(text.into_bytes());
            }
            Type::Bytes | Type::Records => {
                let len = match self.style {
                    Style::Null | Style::Empty => 0,
                    Style::Maximum => 2000,
                    Style::Minimum => 1,
                    Style::Random => self.dice.below(300),
                };
                let bytes: Vec<u8> = (0..len).map(|_| self.byte()).collect();
                self.len(bytes.len(), false, out);
                out.extend(bytes);
            }
            Type::Struct(at) => {
                let structs = self.structs;
                self.structure(&structs[*at], out);
            }
            Type::Array(element) => {
                let count = match self.style {
                    Style::Null | Style::Empty => 0,
                    Style::Maximum if self.depth == 1 => 3,
                    Style::Maximum => 2,
                    Style::Minimum => 1,
                    Style::Random => self.dice.below(4_u64.saturating_sub(self.depth) + 2),
                };
                self.len(usize::try_from(count).expect("small"), false, out);
                for _ in 0..count {
                    self.value(element, out);
                }
            }
        }
    }

    /// Finite numbers only: JSON has no others.
    fn float(&mut self, out: &mut Vec<u8>) {
        let value = match self.style {
            Style::Null => 0.0,
            Style::Empty => 1.0,
            Style::Maximum => f64::MAX,
            Style::Minimum => f64::MIN,
            Style::Random => {
                f64::from(u32::try_from(self.dice.below(1 << 32)).expect("fits")) / 1024.0
            }
        };
        out.extend(value.to_be_bytes());
    }

    fn text(&mut self) -> String {
        let len = match self.style {
            Style::Null | Style::Empty => 0,
            Style::Minimum => 1,
            // The longest string there is, now and then: a message of such strings takes its time.
            Style::Maximum if self.dice.one_in(60) => return "m".repeat(i16::MAX as usize),
            Style::Maximum => 130,
            Style::Random => self.dice.below(20),
        };
        let alphabet = ['a', 'B', '7', '-', '.', '"', '\\', '\n', '\0', ' ', '\'', 'ß', '字', '🦀'];
        let at = |dice: &mut Dice| usize::try_from(dice.below(alphabet.len() as u64));
        (0..len).map(|_| alphabet[at(&mut self.dice).expect("small")]).collect()
    }

    /// The bytes of a tagged field's default.
    fn default(&self, field: &Field) -> Vec<u8> {
        let mut out = Vec::new();
        if field.default == "null" {
            self.null(field, &mut out);
            return out;
        }
        if let (Type::Struct(_), true) = (&field.ty, field.nullable.has(self.version)) {
            out.push(1);
        }
        match &field.ty {
            Type::Struct(at) => {
                let fields = self.structs[*at].fields.iter();
                let here = fields.filter(|field| {
                    field.versions.has(self.version) && !field.tagged.has(self.version)
                });
                for field in here {
                    out.extend(self.default(field));
                }
                out.push(0);
            }
            Type::Str | Type::Bytes | Type::Records | Type::Array(_) => out.push(1),
            Type::F64 => out.extend([0; 8]),
            Type::Uuid => out.extend([0; 16]),
            Type::Bool => out.push(u8::from(field.default.eq_ignore_ascii_case("true"))),
            number => {
                let bytes = match number {
                    Type::I8 => 1,
                    Type::I16 | Type::U16 => 2,
                    Type::I32 => 4,
                    _ => 8,
                };
                let value = field.default.parse::<i64>().unwrap_or(0);
                out.extend(&value.to_be_bytes()[8 - bytes..]);
            }
        }
        out
    }
}

fn uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
