//! In which codec a log keeps batches, and how large records may be behind it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use engine::log::{AdmitError, LogConfig};
use harness::{House, NOW_MS};
use storage::AppendError;
use wire::record::{BatchBuilder, Batches, Codec, NewRecord, Packing};

fn packed(codec: Codec, values: &[&str]) -> BatchBuilder {
    let mut builder = House::batch(values, NOW_MS);
    builder.codec = codec;
    builder
}

#[test]
fn a_log_packs_in_its_own_codec_what_was_sent_in_another() {
    for (sent, kept) in [
        (Codec::None, Codec::Zstd),
        (Codec::Gzip, Codec::Lz4),
        (Codec::Snappy, Codec::None),
        (Codec::Lz4, Codec::Gzip),
        (Codec::Zstd, Codec::Snappy),
    ] {
        let packing = Some(Packing { codec: kept, level: None });
        let mut house = House::new(LogConfig { packing, ..LogConfig::default() });
        let mut values = Vec::new();
        for round in 0..3 {
            let mut builder = BatchBuilder::new(sent).producer(7, 0, round * 2);
            for n in 0..2 {
                values.push((i64::from(round * 2 + n), format!("{round} {n} {}", "x".repeat(99))));
                builder.push(&NewRecord::new("key", values.last().unwrap().1.clone(), NOW_MS));
            }
            let first = house.append(&builder);
            let again = house.append(&builder);
            assert!(!first.is_duplicate && again.is_duplicate);
        }
        let as_kept = packed(kept, &["as it is kept"]);
        values.push((6, "as it is kept".to_owned()));
        house.append(&as_kept);
        for _ in 0..2 {
            assert_eq!(house.records(0), values);
            let pieces = house.read(0, 1 << 20).unwrap().concat();
            let codecs =
                Batches::new(&pieces).map(|batch| batch.unwrap().header().codec().unwrap());
            assert!(codecs.eq([kept; 4]), "{sent} to {kept}");
            // What needs no packing is kept byte by byte, but for offset and epoch.
            assert!(pieces.ends_with(&as_kept.finish()[16..]));
            house = house.close().0;
        }
    }
}

#[test]
fn what_is_too_large_in_the_logs_codec_is_refused() {
    let packing = Some(Codec::None.into());
    let config = LogConfig { packing, max_message_bytes: 1000, ..LogConfig::default() };
    let mut house = House::new(config);
    let zeros = "0".repeat(2000);
    let builder = packed(Codec::Gzip, &[&zeros]);
    assert!(builder.finish().len() < 1000);
    let error = house.admit(&builder).unwrap_err();
    assert!(matches!(error, AppendError::Refused(AdmitError::TooLarge { max: 1000, .. })));
    assert_eq!(house.log.queued_bytes(), 0);
}

#[test]
fn a_record_that_unpacks_to_more_than_allowed_is_refused_and_named() {
    let config = LogConfig { record_bytes_max: 1000, ..LogConfig::default() };
    let mut house = House::new(config);
    let (small, large) = ("s".repeat(900), "l".repeat(1000));
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        house.append(&packed(codec, &[&small, &small]));
        let error = house.admit(&packed(codec, &[&small, &large])).unwrap_err();
        let AppendError::Refused(refused) = &error else { panic!("{error}") };
        assert_eq!(refused.faults()[0].index, 1);
        assert!(error.to_string().contains("max.decompressed.message.bytes: 1000"), "{error}");
    }
    // Only what unpacks is bound: the rest is as large as it looks.
    house.append(&House::batch(&[&large], NOW_MS));
}
