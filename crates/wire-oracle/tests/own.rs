//! Every message and version by itself, Klamm's own among them: what an encoder that shares nothing
//! with ours wrote is read, and written again with the same bytes.

use bytes::Bytes;

use wire_oracle::messages;
use wire_oracle::random::{self, Style};

#[test]
fn every_message_is_written_as_it_was_read() {
    for entry in &messages() {
        for version in entry.versions() {
            for n in 0..24 {
                let bytes = Bytes::from(random::value(entry, version, Style::of(n), n));
                let again = entry.again(bytes.clone(), version);
                assert_eq!(again, Ok(Ok(bytes)), "{} v{version} value {n}", entry.name());
            }
        }
    }
}
