//! Reads records from files or standard input, a chunk at a time on a thread that may block.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use serde::Deserialize;
use world::World;
use world::tasks::{Pool, blocking};

use crate::failure::Failure;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// The longest record that is read: above the default of `max.message.bytes` by far.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// How records stand in the input.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// One after the other.
    Lines {
        /// Between records.
        delimiter: Vec<u8>,
        /// Between key and value.
        key_delimiter: Option<Vec<u8>>,
        /// An empty key or value is null.
        null: bool,
    },
    /// A JSON object per line.
    Json,
}

/// A record of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(Bytes, Option<Bytes>)>,
    pub(super) timestamp: Option<i64>,
}

type Source = Box<dyn Read + Send>;

/// Where records come from.
pub(super) struct Input {
    world: World,
    layout: Layout,
    sources: VecDeque<Source>,
    read: Vec<u8>,
    /// Where in `read` the next record begins, and up to where no delimiter was found.
    from: usize,
    searched: usize,
    taken: u64,
    bytes: Option<u64>,
}

impl Input {
    /// Opens `files`; standard input if there are none.
    pub(super) fn open(world: World, files: &[PathBuf], layout: Layout) -> Result<Self, Failure> {
        let mut sources: VecDeque<Source> = VecDeque::new();
        let mut bytes = Some(0);
        for path in files {
            #[expect(
                clippy::disallowed_methods,
                reason = "it may be a pipe: no place for world::Disk"
            )]
            let opened = File::open(path);
            let file = opened.map_err(|error| {
                Failure::new(format!("cannot read {}: {error}", path.display()))
            })?;
            let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|it| it.len());
            bytes = bytes.zip(length).map(|(sum, length)| sum + length);
            sources.push_back(Box::new(file));
        }
        if files.is_empty() {
            sources.push_back(Box::new(io::stdin()));
            bytes = None;
        }
        Ok(Self { world, layout, sources, read: Vec::new(), from: 0, searched: 0, taken: 0, bytes })
    }

    /// Bytes of all files, if that is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Bytes of the records that were given out.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next record; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            if let Some(line) = self.cut() {
                let record = parse(&self.layout, &line)?;
                if let Some(record) = record {
                    return Ok(Some(record));
                }
            } else if self.sources.is_empty() {
                return Ok(None);
            } else {
                self.read_more().await?;
            }
        }
    }

    fn delimiter(&self) -> &[u8] {
        match &self.layout {
            Layout::Lines { delimiter, .. } => delimiter,
            Layout::Json => b"\n",
        }
    }

    /// Cuts the next record off what was read.
    fn cut(&mut self) -> Option<Vec<u8>> {
        let delimiter = self.delimiter().to_vec();
        let rest = &self.read[self.searched..];
        if let Some(at) = find(rest, &delimiter) {
            let line = self.read[self.from..self.searched + at].to_vec();
            self.from = self.searched + at + delimiter.len();
            self.searched = self.from;
            self.taken += (line.len() + delimiter.len()) as u64;
            return Some(line);
        }
        // A delimiter may be cut at the end of what was read.
        self.searched = self.read.len().saturating_sub(delimiter.len() - 1).max(self.from);
        None
    }

    async fn read_more(&mut self) -> Result<(), Failure> {
        self.read.drain(..self.from);
        (self.searched, self.from) = (self.searched - self.from, 0);
        if self.read.len() > RECORD_BYTES_MAX {
            return Err(Failure::new(format!("a record is longer than {RECORD_BYTES_MAX} bytes"))
                .hint("choose the delimiter between records with -D"));
        }
        let Some(mut source) = self.sources.pop_front() else { return Ok(()) };
        let (source, chunk) = blocking(&*self.world.tasks, Pool::Files, move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = loop {
                match source.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            (
                source,
                read.map(|read| {
                    chunk.truncate(read);
                    chunk
                }),
            )
        })
        .await;
        let chunk =
            chunk.map_err(|error| Failure::new(format!("cannot read the input: {error}")))?;
        if chunk.is_empty() {
            // The last record of a file needs no delimiter behind it.
            if self.read.len() > self.from {
                let delimiter = self.delimiter().to_vec();
                self.read.extend_from_slice(&delimiter);
            }
        } else {
            self.read.extend_from_slice(&chunk);
            self.sources.push_front(source);
        }
        Ok(())
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    match what {
        [byte] => within.iter().position(|other| other == byte),
        _ => within.windows(what.len()).position(|window| window == what),
    }
}

/// A record, or `None` for a line that holds none.
fn parse(layout: &Layout, line: &[u8]) -> Result<Option<Record>, Failure> {
    match layout {
        Layout::Json => parse_json(line),
        Layout::Lines { key_delimiter, null, delimiter } => {
            // Files from Windows end lines with two bytes.
            let line = match line.strip_suffix(b"\r") {
                Some(line) if delimiter == b"\n" => line,
                _ => line,
            };
            let part = |bytes: &[u8]| {
                let is_null = *null && bytes.is_empty();
                (!is_null).then(|| Bytes::copy_from_slice(bytes))
            };
            let divided = key_delimiter.as_ref().and_then(|delimiter| {
                find(line, delimiter).map(|at| (&line[..at], &line[at + delimiter.len()..]))
            });
            let (key, value) = match divided {
                Some((key, value)) => (part(key), part(value)),
                None => (None, part(line)),
            };
            Ok(Some(Record { key, value, headers: Vec::new(), timestamp: None }))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRecord {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    timestamp: Option<i64>,
    #[serde(default)]
    headers: Vec<JsonHeader>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonHeader {
    name: String,
    value: Option<String>,
    value_base64: Option<String>,
}

fn parse_json(line: &[u8]) -> Result<Option<Record>, Failure> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let wrong = |error: &dyn std::fmt::Display| {
        let shown: String = String::from_utf8_lossy(line).chars().take(80).collect();
        Failure::new(format!("not a record: {error}: {shown}"))
            .hint(r#"with --json a line looks like {"key":"k","value":"v"}"#)
    };
    let record: JsonRecord = serde_json::from_slice(line).map_err(|error| wrong(&error))?;
    let bytes = |text: Option<String>, encoded: Option<String>| match (text, encoded) {
        (Some(text), _) => Ok(Some(Bytes::from(text))),
        (None, Some(encoded)) => match from_base64(&encoded) {
            Some(bytes) => Ok(Some(Bytes::from(bytes))),
            None => Err(wrong(&"not base64")),
        },
        (None, None) => Ok(None),
    };
    let headers = record
        .headers
        .into_iter()
        .map(|header| Ok((Bytes::from(header.name), bytes(header.value, header.value_base64)?)));
    Ok(Some(Record {
        headers: headers.collect::<Result<_, Failure>>()?,
        key: bytes(record.key, record.key_base64)?,
        value: bytes(record.value, record.value_base64)?,
        timestamp: record.timestamp,
    }))
}

/// Base64 with or without padding (RFC 4648).
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(key: Option<&str>, null: bool) -> Layout {
        let key_delimiter = key.map(|key| key.as_bytes().to_vec());
        Layout::Lines { delimiter: b"\n".to_vec(), key_delimiter, null }
    }

    fn parsed(layout: &Layout, line: &str) -> (Option<Bytes>, Option<Bytes>) {
        let record = parse(layout, line.as_bytes()).unwrap().unwrap();
        (record.key, record.value)
    }

    #[test]
    fn a_line_is_divided_at_the_first_key_delimiter() {
        let with_key = lines(Some("::"), false);
        assert_eq!(parsed(&with_key, "k::a::b"), (Some("k".into()), Some("a::b".into())));
        assert_eq!(parsed(&with_key, "only value"), (None, Some("only value".into())));
        assert_eq!(parsed(&with_key, "::v\r"), (Some("".into()), Some("v".into())));
        assert_eq!(parsed(&lines(Some(":"), true), "k:"), (Some("k".into()), None));
    }

    #[test]
    fn json_lines_bring_back_what_consume_wrote() {
        let line = r#"{"topic":"t","partition":0,"offset":1,"timestamp":7,"key":null,"value":null,
            "valueBase64":"//4=","headers":[{"name":"a","value":"b"},{"name":"n","value":null}]}"#;
        let record = parse(&Layout::Json, line.as_bytes()).unwrap().unwrap();
        assert_eq!(
            record,
            Record {
                key: None,
                value: Some(Bytes::from_static(&[0xff, 0xfe])),
                headers: vec![("a".into(), Some("b".into())), ("n".into(), None)],
                timestamp: Some(7),
            }
        );
        assert_eq!(parse(&Layout::Json, b"  ").unwrap(), None);
        assert!(parse(&Layout::Json, b"{").is_err());
    }

    #[test]
    fn a_record_is_cut_however_the_chunks_fall() {
        let mut input = Input {
            world: crate::session::world(),
            layout: Layout::Lines { delimiter: b"--".to_vec(), key_delimiter: None, null: false },
            sources: VecDeque::new(),
            read: Vec::new(),
            from: 0,
            searched: 0,
            taken: 0,
            bytes: None,
        };
        let mut found = Vec::new();
        for byte in b"a--bc-d----e--" {
            input.read.push(*byte);
            found.extend(input.cut());
        }
        assert_eq!(found, [&b"a"[..], b"bc-d", b"", b"e"]);
    }
}
