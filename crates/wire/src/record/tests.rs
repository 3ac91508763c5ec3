//! Batches as wire bytes: what is built reads back, what is broken is named, and nothing panics.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::compress::{Limits, compress, decompress};
use super::*;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn record() -> impl Strategy<Value = NewRecord> {
    let bytes =
        || prop::option::of(prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from));
    let header = (prop::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from), bytes());
    (-1..i64::MAX / 4, bytes(), bytes(), prop::collection::vec(header, 0..4))
        .prop_map(|(timestamp, key, value, headers)| NewRecord { timestamp, key, value, headers })
}

fn read_back(bytes: &[u8]) -> Vec<NewRecord> {
    let batch = Batch::parse(bytes).unwrap();
    batch.verify().unwrap();
    let records = batch.records(Limits::default()).unwrap();
    let own = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    records
        .iter()
        .map(|record| record.unwrap())
        .map(|record| NewRecord {
            timestamp: record.timestamp,
            key: record.key.map(own),
            value: record.value.map(own),
            headers: record.headers().map(|one| (own(one.key), one.value.map(own))).collect(),
        })
        .collect()
}

fn some_batch(codec: Codec) -> BytesMut {
    let mut builder = BatchBuilder::new(codec);
    for index in 0..20 {
        builder.push(&NewRecord::new(format!("key {index}"), "value ".repeat(index), 1000));
    }
    builder.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_reads_back(
        codec in prop::sample::select(&CODECS[..]),
        records in prop::collection::vec(record(), 1..20),
        offset in 0..i64::MAX / 2,
    ) {
        let mut builder = BatchBuilder::new(codec);
        for record in &records {
            builder.push(record);
        }
        let mut bytes = builder.finish();
        batch::stamp(&mut bytes, offset, 7);
        let header = Header::parse(&bytes).unwrap();
        prop_assert_eq!(header.base_offset, offset);
        prop_assert_eq!(header.leader_epoch, 7);
        prop_assert_eq!(header.size, bytes.len());
        prop_assert_eq!(header.next_offset(), offset + records.len() as i64);
        let largest = records.iter().map(|record| record.timestamp).max();
        prop_assert_eq!(Some(header.max_timestamp), largest);
        prop_assert_eq!(read_back(&bytes), records);
    }

    #[test]
    fn mutated_batches_are_refused_or_read_but_never_panic(
        codec in prop::sample::select(&CODECS[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        fix_checksum in any::<bool>(),
    ) {
        let mut bytes = some_batch(codec);
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if fix_checksum {
            batch::seal(&mut bytes);
        } else {
            bytes.truncate(cut.index(bytes.len()));
        }
        for batch in Batches::new(&bytes) {
            let Ok(batch) = batch else { break };
            let _ = batch.verify();
            let Ok(records) = batch.records(Limits::default()) else { continue };
            let count = records.iter().filter(Result::is_ok).count();
            prop_assert!(count <= records.bytes().len() / item::RECORD_LEN_MIN + 1);
            prop_assert!(Outlines::new(batch.header(), records.bytes()).count() <= count + 1 + 20);
        }
    }

    #[test]
    fn the_outline_agrees_with_the_record(records in prop::collection::vec(record(), 1..10)) {
        let mut builder = BatchBuilder::default();
        for record in &records {
            builder.push(record);
        }
        let bytes = builder.finish();
        let batch = Batch::parse(&bytes).unwrap();
        let outlines: Vec<Outline> =
            Outlines::new(batch.header(), batch.payload()).map(Result::unwrap).collect();
        prop_assert_eq!(outlines.len(), records.len());
        for (index, (outline, record)) in (0i32..).zip(outlines.iter().zip(&records)) {
            prop_assert_eq!(outline.offset_delta, index);
            prop_assert_eq!(outline.timestamp, record.timestamp);
            prop_assert_eq!(outline.has_key, record.key.is_some());
        }
        // One byte says how long a short record is, two a longer one.
        let prefix = |size: usize| 1 + usize::from(size > 63) + usize::from(size > 8191);
        let total: usize = outlines.iter().map(|one| one.size + prefix(one.size)).sum();
        prop_assert_eq!(total, batch.payload().len());
    }

    #[test]
    fn a_repacked_batch_holds_the_same(
        from in prop::sample::select(&CODECS[..]),
        to in prop::sample::select(&CODECS[..]),
        level in prop::option::of(-3..30),
        records in prop::collection::vec(record(), 1..10),
    ) {
        let mut builder = BatchBuilder::new(from).producer(7, 3, 11);
        builder.transactional = true;
        for record in &records {
            builder.push(record);
        }
        let bytes = builder.finish();
        let batch = Batch::parse(&bytes).unwrap();
        let packing = Packing { codec: to, level };
        let repacked = batch::repack(&batch, packing, Limits::default()).unwrap();
        prop_assert_eq!(read_back(&repacked), records);
        let header = Header::parse(&repacked).unwrap();
        prop_assert_eq!(header.codec().unwrap(), to);
        let same = Header {
            size: header.size,
            crc: header.crc,
            attributes: header.attributes,
            ..*batch.header()
        };
        prop_assert_eq!(header, same);
        prop_assert!(header.is_transactional());
    }
}

#[test]
fn a_changed_byte_fails_the_checksum_but_offset_and_epoch_are_free() {
    let whole = some_batch(Codec::None);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let verified = Batch::parse(&bytes).and_then(|batch| batch.verify());
        let is_free = at < 8 || (12..16).contains(&at);
        assert_eq!(verified.is_ok(), is_free, "byte {at}");
    }
}

#[test]
fn append_time_is_every_records_time() {
    let mut bytes = some_batch(Codec::Zstd);
    batch::stamp_timestamp(&mut bytes, TimestampType::LogAppendTime, 77);
    assert!(read_back(&bytes).iter().all(|record| record.timestamp == 77));
    batch::stamp_timestamp(&mut bytes, TimestampType::CreateTime, 1000);
    assert_eq!(bytes, some_batch(Codec::Zstd));
}

#[test]
fn a_bomb_costs_its_bound_and_no_more() {
    let plain = vec![0; 3 << 20];
    let limits = Limits { output_max: 2 << 20, ratio_max: 1000 };
    for codec in &CODECS[1..] {
        let packed = compress(*codec, &plain).unwrap();
        let error = decompress(*codec, &packed, limits).unwrap_err();
        assert!(matches!(error, CompressError::TooLarge { .. }), "{codec}: {error}");
    }
    // A raw snappy block that claims 4 GiB.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    assert!(decompress(Codec::Snappy, &lie, Limits::default()).is_err());
}

#[test]
fn raw_snappy_and_gzip_members_are_read() {
    let plain = b"one after the other ".repeat(50);
    let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(*decompress(Codec::Snappy, &raw, Limits::default()).unwrap(), plain);
    let mut members = compress(Codec::Gzip, &plain[..100]).unwrap().into_owned();
    members.extend_from_slice(&compress(Codec::Gzip, &plain[100..]).unwrap());
    assert_eq!(*decompress(Codec::Gzip, &members, Limits::default()).unwrap(), plain);
}

#[test]
fn the_end_marker_reads_back() {
    let marker = EndMarker { kind: ControlType::Abort, coordinator_epoch: 12 };
    let bytes = BatchBuilder::end_marker(5, 1, marker, 99);
    let batch = Batch::parse(&bytes).unwrap();
    assert!(batch.header().is_control() && batch.header().is_transactional());
    let records = batch.records(Limits::default()).unwrap();
    let record = records.iter().next().unwrap().unwrap();
    assert_eq!(EndMarker::from_record(&record), Some(marker));
}

#[test]
fn sequences_wrap_from_the_largest_to_zero() {
    let mut builder = BatchBuilder::default().producer(1, 0, i32::MAX - 1);
    for _ in 0..3 {
        builder.push(&NewRecord::new("k", "v", 0));
    }
    let bytes = builder.finish();
    assert_eq!(Header::parse(&bytes).unwrap().last_sequence(), 0);
}
