//! How records are written: kcat's format strings, or JSON lines.
//!
//! | in a format | is written |
//! | --- | --- |
//! | `%s` `%S` | value; its length, -1 for null |
//! | `%k` `%K` | key; its length, -1 for null |
//! | `%t` `%p` `%o` `%T` | topic, partition, offset, timestamp in milliseconds |
//! | `%h` | headers as `name=value,…` |
//! | `%%` `\n` `\t` `\r` `\0` `\\` `\xHH` | a percent sign, a byte |

use std::io::{self, Write};

use bytes::Bytes;
use client::ConsumedRecord;
use serde::Serialize;

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Value,
    ValueLength,
    Key,
    KeyLength,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Headers,
}

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordFormat(Vec<Part>);

/// Reads a format.
pub(crate) fn parse(text: &str) -> Result<RecordFormat, String> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let part = match byte {
            b'%' => match bytes.next() {
                Some(b'%') => {
                    literal.push(b'%');
                    continue;
                }
                Some(letter) => by_letter(letter)?,
                None => return Err("the format ends within a %".to_owned()),
            },
            b'\\' => {
                literal.push(escaped(&mut bytes)?);
                continue;
            }
            other => {
                literal.push(other);
                continue;
            }
        };
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(part);
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(RecordFormat(parts))
}

fn by_letter(letter: u8) -> Result<Part, String> {
    Ok(match letter {
        b's' => Part::Value,
        b'S' => Part::ValueLength,
        b'k' => Part::Key,
        b'K' => Part::KeyLength,
        b't' => Part::Topic,
        b'p' => Part::Partition,
        b'o' => Part::Offset,
        b'T' => Part::Timestamp,
        b'h' => Part::Headers,
        other => {
            let other = char::from(other);
            return Err(format!("%{other} is unknown: %s %S %k %K %t %p %o %T %h and %%"));
        }
    })
}

/// The byte after a backslash; also used for delimiters on the command line.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, String> {
    match bytes.next() {
        Some(b'n') => Ok(b'\n'),
        Some(b't') => Ok(b'\t'),
        Some(b'r') => Ok(b'\r'),
        Some(b'0') => Ok(0),
        Some(b'\\') => Ok(b'\\'),
        Some(b'x') => {
            let digits = [bytes.next().unwrap_or(b' '), bytes.next().unwrap_or(b' ')];
            let digits = std::str::from_utf8(&digits).unwrap_or_default().to_owned();
            u8::from_str_radix(&digits, 16)
                .map_err(|_| "\\x needs two hexadecimal digits".to_owned())
        }
        Some(other) => {
            Err(format!("\\{} is unknown: \\n \\t \\r \\0 \\\\ \\xHH", char::from(other)))
        }
        None => Err("the text ends within a \\".to_owned()),
    }
}

/// Reads a delimiter, in which a byte may be escaped.
pub(crate) fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut delimiter = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        delimiter.push(if byte == b'\\' { escaped(&mut bytes)? } else { byte });
    }
    if delimiter.is_empty() { Err("a delimiter is not empty".to_owned()) } else { Ok(delimiter) }
}

impl RecordFormat {
    /// Writes one record.
    pub(super) fn write(&self, record: &ConsumedRecord, out: &mut impl Write) -> io::Result<()> {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(-1, |part| part.len() as i64);
        for part in &self.0 {
            match part {
                Part::Text(text) => out.write_all(text)?,
                Part::Value => out.write_all(record.value.as_deref().unwrap_or_default())?,
                Part::Key => out.write_all(record.key.as_deref().unwrap_or_default())?,
                Part::ValueLength => write!(out, "{}", length(&record.value))?,
                Part::KeyLength => write!(out, "{}", length(&record.key))?,
                Part::Topic => out.write_all(record.topic.as_bytes())?,
                Part::Partition => write!(out, "{}", record.partition)?,
                Part::Offset => write!(out, "{}", record.offset)?,
                Part::Timestamp => write!(out, "{}", record.timestamp)?,
                Part::Headers => write_headers(record, out)?,
            }
        }
        Ok(())
    }
}

fn write_headers(record: &ConsumedRecord, out: &mut impl Write) -> io::Result<()> {
    for (at, (name, value)) in record.headers.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        out.write_all(name)?;
        out.write_all(b"=")?;
        out.write_all(value.as_deref().unwrap_or(b"NULL"))?;
    }
    Ok(())
}

/// A record as a JSON object. Bytes that are not UTF-8 stand as base64 in a field of their own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    headers: Vec<JsonHeader<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonHeader<'a> {
    name: std::borrow::Cow<'a, str>,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// Writes one record as a line of JSON.
pub(super) fn write_json(record: &ConsumedRecord, out: &mut impl Write) -> io::Result<()> {
    let (key, key_base64) = text_or_base64(record.key.as_deref());
    let (value, value_base64) = text_or_base64(record.value.as_deref());
    let headers = record.headers.iter().map(|(name, value)| {
        let (value, value_base64) = text_or_base64(value.as_deref());
        JsonHeader { name: String::from_utf8_lossy(name), value, value_base64 }
    });
    let json = JsonRecord {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key,
        key_base64,
        value,
        value_base64,
        headers: headers.collect(),
    };
    serde_json::to_writer(&mut *out, &json)?;
    out.write_all(b"\n")
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text), None),
        Some((Err(_), bytes)) => (None, Some(base64(bytes))),
    }
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let is_padding = digit > group.len();
            let value = DIGITS[(bits >> (18 - 6 * digit) & 63) as usize];
            text.push(if is_padding { '=' } else { char::from(value) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ConsumedRecord {
        ConsumedRecord {
            topic: "orders".to_owned(),
            partition: 3,
            offset: 42,
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from_static(b"k1")),
            value: Some(Bytes::from_static(b"v1")),
            headers: vec![("a".into(), Some("b".into())), ("n".into(), None)],
        }
    }

    fn written(format: &str, record: &ConsumedRecord) -> String {
        let mut out = Vec::new();
        parse(format).unwrap().write(record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn kcats_formats_are_understood() {
        assert_eq!(written("%k\\t%s\\n", &record()), "k1\tv1\n");
        assert_eq!(
            written("%t[%p]@%o %T %K/%S %h 100%%\\x21", &record()),
            "orders[3]@42 1700000000000 2/2 a=b,n=NULL 100%!"
        );
        let tombstone = ConsumedRecord { value: None, ..record() };
        assert_eq!(written("%s|%S", &tombstone), "|-1");
        for bad in ["%", "%q", "\\", "\\q", "\\x1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_keeps_null_text_and_bytes_apart() {
        let mut all = record();
        all.key = None;
        all.value = Some(Bytes::from_static(&[0xff, 0xfe]));
        let mut out = Vec::new();
        write_json(&all, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"timestamp\":1700000000000,\
             \"key\":null,\"value\":null,\"valueBase64\":\"//4=\",\"headers\":[{\"name\":\"a\",\
             \"value\":\"b\"},{\"name\":\"n\",\"value\":null}]}\n"
        );
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
