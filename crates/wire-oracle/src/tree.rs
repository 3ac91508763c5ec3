//! Compares Rust's debug text with Kafka's JSON, field by field.
//!
//! Names are compared without case and underscores (`sessionId` is `session_id`). A field that the
//! JSON leaves out is not in the version or holds its default: the bytes tell.

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// A value as `{:?}` prints it.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A number, a bool, a unit variant or an id.
    Atom(String),
    /// A text.
    Text(String),
    /// A byte string.
    Bytes(Vec<u8>),
    /// `None`.
    Null,
    /// `[…]`.
    List(Vec<Self>),
    /// `Name { … }`.
    Struct(Vec<(String, Self)>),
}

impl Tree {
    /// Parses debug text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut parser = Parser { rest: text };
        let tree = parser.value()?;
        ensure!(parser.rest.is_empty(), "left over: {}", parser.rest);
        Ok(tree)
    }

    /// Fails, saying where, unless all that `json` says is what the tree says.
    pub fn agrees_with(&self, json: &Value) -> anyhow::Result<()> {
        match (self, json) {
            (Self::Struct(fields), Value::Object(object)) => {
                for (name, value) in object {
                    // Of records Kafka prints the size, not the bytes.
                    if name.ends_with("SizeInBytes") {
                        continue;
                    }
                    let (_, ours) = fields
                        .iter()
                        .find(|(ours, _)| ours.replace('_', "") == name.to_lowercase())
                        .with_context(|| format!("no field {name}"))?;
                    ours.agrees_with(value).with_context(|| name.clone())?;
                }
                Ok(())
            }
            (Self::List(ours), Value::Array(theirs)) => {
                ensure!(ours.len() == theirs.len(), "{} != {} elements", ours.len(), theirs.len());
                for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                    ours.agrees_with(theirs).with_context(|| format!("[{at}]"))?;
                }
                Ok(())
            }
            (Self::Null, Value::Null) => Ok(()),
            (Self::Text(ours), Value::String(theirs)) if ours == theirs => Ok(()),
            (Self::Atom(ours), Value::String(theirs)) if ours == theirs => Ok(()),
            (Self::Bytes(ours), Value::String(theirs)) if base64(ours) == *theirs => Ok(()),
            (Self::Atom(ours), Value::Bool(theirs)) if *ours == theirs.to_string() => Ok(()),
            (Self::Atom(ours), Value::Number(theirs)) if same_number(ours, theirs) => Ok(()),
            _ => bail!("{self:?} is not {json}"),
        }
    }
}

/// Whether two texts are one number. Fractions only nearly: Java prints some a digit off, and their
/// bytes are compared anyway.
fn same_number(ours: &str, theirs: &serde_json::Number) -> bool {
    if let (Ok(ours), Some(theirs)) = (ours.parse::<i64>(), theirs.as_i64()) {
        return ours == theirs;
    }
    match (ours.parse::<f64>(), theirs.as_f64()) {
        (Ok(ours), Some(theirs)) => (ours - theirs).abs() <= theirs.abs() * 1e-12,
        _ => false,
    }
}

/// Base64 with padding, as Jackson writes binary values.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for at in 0..3 {
            bits = (bits << 8) | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at > chunk.len() { '=' } else { digit.into() });
        }
    }
    out
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> anyhow::Result<()> {
        ensure!(self.eat(token), "{token} expected at: {:.40}", self.rest);
        Ok(())
    }

    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '+' | '#'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn value(&mut self) -> anyhow::Result<Tree> {
        if self.eat("[") {
            return self.list();
        }
        if self.eat("b\"") {
            return Ok(Tree::Bytes(self.quoted(true)?));
        }
        if self.eat("\"") {
            return Ok(Tree::Text(String::from_utf8(self.quoted(false)?)?));
        }
        let word = self.word();
        ensure!(!word.is_empty(), "no value at: {:.40}", self.rest);
        if word == "None" {
            return Ok(Tree::Null);
        }
        if self.eat("(") {
            // `Some(x)`, or a tuple struct with one field.
            let inner = self.value()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.eat(" { ") {
            return self.fields();
        }
        Ok(Tree::Atom(word.to_owned()))
    }

    fn list(&mut self) -> anyhow::Result<Tree> {
        let mut values = Vec::new();
        while !self.eat("]") {
            values.push(self.value()?);
            self.eat(", ");
        }
        Ok(Tree::List(values))
    }

    fn fields(&mut self) -> anyhow::Result<Tree> {
        let mut fields = Vec::new();
        while !self.eat(" }") {
            let name = self.word().trim_start_matches("r#").to_owned();
            self.expect(": ")?;
            fields.push((name, self.value()?));
            self.eat(", ");
        }
        Ok(Tree::Struct(fields))
    }

    /// The rest of a quoted text, its escapes resolved. In a byte string each char is a byte.
    fn quoted(&mut self, bytes: bool) -> anyhow::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            let c = match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(out);
                }
                '\\' => escape(&mut chars)?,
                plain => plain,
            };
            if bytes {
                out.push(u8::try_from(c)?);
            } else {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
        }
        bail!("a quote is not closed")
    }
}

/// The character that an escape stands for.
fn escape(chars: &mut std::str::CharIndices<'_>) -> anyhow::Result<char> {
    let mut next = || chars.next().map(|(_, c)| c).context("an escape is cut off");
    Ok(match next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'x' => {
            let digits: String = [next()?, next()?].into_iter().collect();
            char::from(u8::from_str_radix(&digits, 16)?)
        }
        'u' => {
            ensure!(next()? == '{', "an escape without braces");
            let mut code = 0;
            loop {
                match next()? {
                    '}' => break,
                    digit => code = code * 16 + digit.to_digit(16).context("no digit")?,
                }
            }
            char::from_u32(code).context("no character")?
        }
        plain => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "read through its debug text")]
    struct Sample {
        session_id: i32,
        name: Option<&'static str>,
        nothing: Option<i32>,
        data: bytes::Bytes,
        list: Vec<f64>,
    }

    #[test]
    fn debug_text_agrees_with_the_json_of_the_same_value() {
        let sample = Sample {
            session_id: -7,
            name: Some("a\"ß\0\u{1b}"),
            nothing: None,
            data: bytes::Bytes::from_static(b"\x00\"xyz\xff"),
            list: vec![1e300, 0.5],
        };
        let tree = Tree::parse(&format!("{sample:?}")).unwrap();
        let json = |id| {
            serde_json::json!({
                "sessionId": id, "name": "a\"ß\0\u{1b}", "nothing": null,
                "data": "ACJ4eXr/", "list": [1e300, 0.5]
            })
        };
        tree.agrees_with(&json(-7)).unwrap();
        let why = tree.agrees_with(&json(-8)).unwrap_err();
        assert!(format!("{why:#}").starts_with("sessionId: "), "{why:#}");
    }
}
