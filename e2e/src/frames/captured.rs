//! Frames that real clients sent, as they lie in the repository.
//!
//! ```text
//! topic-id 6f72646572732d2d2d2d2d2d2d2d2d2d      the id of the topic that they speak of
//! java Produce 13 000000d2…                      author, API, version, bytes
//! ```

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use wire::Uuid;

use super::Frame;

/// What was captured.
pub struct Captured {
    /// The id that the topic had.
    pub topic_id: Uuid,
    /// The frames.
    pub frames: Vec<Frame>,
}

impl Captured {
    /// The fixture.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn load() -> Result<Self> {
        Self::parse(include_str!("../../fixtures/frames.txt"))
    }

    fn parse(text: &str) -> Result<Self> {
        let (head, rest) = text.split_once('\n').context("the fixture is empty")?;
        let id = unhex(head.strip_prefix("topic-id ").context("no topic-id")?)?;
        let topic_id = Uuid(id.try_into().ok().context("an id has 16 bytes")?);
        let frames = rest.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [author, api, version, bytes] = words[..] else { anyhow::bail!("{line}") };
            let frame = Frame::new(author, unhex(bytes)?).with_context(|| line.to_owned())?;
            ensure!(frame.key.name() == api && frame.version.to_string() == version, "{line}");
            Ok(frame)
        });
        Ok(Self { topic_id, frames: frames.collect::<Result<_>>()? })
    }

    /// As [`Captured::load`] reads it.
    pub fn print(&self) -> String {
        let mut text = format!("topic-id {}\n", hex(&self.topic_id.0));
        for Frame { author, key, version, bytes, .. } in &self.frames {
            let _ = writeln!(text, "{author} {key} {version} {}", hex(bytes));
        }
        text
    }

    /// The frames, speaking of the topic with this id instead.
    pub fn about(self, topic_id: Uuid) -> Vec<Frame> {
        let before = self.topic_id.0;
        let renamed = self.frames.into_iter().map(|mut frame| {
            let found = frame.bytes.windows(before.len()).position(|window| window == before);
            if let Some(at) = found {
                frame.bytes[at..at + before.len()].copy_from_slice(&topic_id.0);
            }
            frame
        });
        renamed.collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let pair = |at| text.get(at..at + 2).context("half a byte");
    let byte = |at| Ok(u8::from_str_radix(pair(at)?, 16)?);
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_captured_is_printed_as_it_was_read() {
        let text = include_str!("../../fixtures/frames.txt");
        assert_eq!(Captured::parse(text).unwrap().print(), text);
    }

    #[test]
    fn frames_speak_of_the_topic_that_there_is() {
        let captured = Captured::load().unwrap();
        let (before, now) = (captured.topic_id, Uuid([7; 16]));
        let frames = captured.about(now);
        let holds = |id: Uuid| {
            let count = |frame: &&Frame| frame.bytes.windows(16).any(|window| window == id.0);
            frames.iter().filter(count).count()
        };
        assert!(holds(now) > 0, "no frame names a topic by its id");
        assert_eq!(holds(before), 0);
    }
}
