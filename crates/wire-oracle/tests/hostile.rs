//! No input makes a decoder panic, hang or take memory that it did not bring.

use bytes::Bytes;
use proptest::prelude::*;

use wire_oracle::messages;
use wire_oracle::random::{self, Style};

/// Reads, and if that works, writes: neither may panic.
fn feed(entry: &wire_oracle::Entry, version: i16, bytes: Bytes) -> bool {
    entry.again(bytes, version).is_ok()
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_an_error_in_every_message() {
    let counts: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xfe],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0x00, 0x0f, 0x42, 0x40],
    ];
    for entry in &messages() {
        for version in entry.versions() {
            let valid = random::value(entry, version, Style::Maximum, 1);
            // Wherever a count may stand in the first bytes of the message.
            for at in 0..valid.len().min(64) {
                for count in counts {
                    let bytes = [&valid[..at], count, &valid[at..]].concat();
                    feed(entry, version, bytes.into());
                    feed(entry, version, [&valid[..at], count].concat().into());
                }
            }
        }
    }
}

#[test]
fn a_message_that_is_cut_off_or_goes_on_is_an_error() {
    for entry in &messages() {
        for version in entry.versions() {
            let valid = random::value(entry, version, Style::Minimum, 1);
            for len in 0..valid.len() {
                let cut = Bytes::copy_from_slice(&valid[..len]);
                assert!(!feed(entry, version, cut), "{} v{version}", entry.name());
            }
            let longer = [&valid[..], &[0]].concat();
            assert!(!feed(entry, version, longer.into()), "{} v{version}", entry.name());
        }
    }
}

#[test]
fn a_version_that_does_not_exist_is_an_error() {
    for entry in &messages() {
        for version in [-1, entry.versions().start() - 1, entry.versions().end() + 1] {
            assert!(!feed(entry, version, Bytes::new()), "{} v{version}", entry.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        for entry in &messages() {
            for version in entry.versions() {
                feed(entry, version, bytes.clone());
            }
        }
    }

    #[test]
    fn damaged_messages_never_panic(
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        for entry in &messages() {
            for version in entry.versions() {
                let mut bytes = random::value(entry, version, Style::Random, seed);
                for (at, byte) in &changes {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = *byte;
                    }
                }
                feed(entry, version, bytes.into());
            }
        }
    }
}
