//! `compression.type` and `max.decompressed.message.bytes`: what becomes of packed batches.

use wire::record::{Batch, BatchBuilder, Codec, Limits, NewRecord};

use crate::exchange::{Peer, with_broker};

fn batch(codec: Codec, value: &str) -> BatchBuilder {
    let mut batch = BatchBuilder::new(codec);
    batch.push(&NewRecord::new("key", value.to_owned(), 1000));
    batch
}

/// Appends a batch and reads it back: its codec, its size, and its value.
async fn kept(peer: &mut Peer, sent: &BatchBuilder) -> (Codec, usize, String) {
    let appended = peer.append("orders", 0, sent).await;
    assert_eq!(appended.error_code, 0, "{:?}", appended.error_message);
    let (error, bytes) = peer.fetch("orders", appended.base_offset).await;
    assert_eq!(error, 0);
    let batch = Batch::parse(&bytes).expect("it is whole");
    batch.verify().expect("its checksum is right");
    let records = batch.records(Limits::default()).expect("it unpacks");
    let record = records.iter().next().expect("there is one").expect("it is whole");
    let value = String::from_utf8(record.value.expect("it has a value").to_vec());
    let codec = batch.header().codec().expect("it has one");
    (codec, bytes.len(), value.expect("it is text"))
}

#[test]
fn batches_are_kept_in_the_codec_of_the_topic() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        let value = "placed, paid, packed; ".repeat(20);
        let sent = batch(Codec::Snappy, &value);
        assert_eq!(kept(peer, &sent).await, (Codec::Snappy, sent.finish().len(), value.clone()));
        for (name, codec) in [
            ("gzip", Codec::Gzip),
            ("lz4", Codec::Lz4),
            ("zstd", Codec::Zstd),
            ("uncompressed", Codec::None),
            ("snappy", Codec::Snappy),
        ] {
            peer.set("orders", &[("compression.type", name)]).await;
            let (kept, _, read) = kept(peer, &sent).await;
            assert_eq!((kept, read), (codec, value.clone()), "{name}");
        }
    });
}

#[test]
fn a_codecs_level_says_how_hard_it_tries() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        let value: String = (0..2000).map(|n| format!("{} ", n * n)).collect();
        for (name, low, high) in [("gzip", "1", "9"), ("zstd", "-50", "19")] {
            let level = format!("compression.{name}.level");
            let mut sizes = Vec::new();
            for tries in [low, high] {
                peer.set("orders", &[("compression.type", name), (&level, tries)]).await;
                sizes.push(kept(peer, &batch(Codec::None, &value)).await.1);
            }
            assert!(sizes[1] < sizes[0], "{name}: {sizes:?}");
        }
    });
}

#[test]
fn a_record_that_unpacks_to_too_much_is_an_invalid_record() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        peer.set("orders", &[("max.decompressed.message.bytes", "1000")]).await;
        let refused = peer.append("orders", 0, &batch(Codec::Gzip, &"0".repeat(1000))).await;
        assert_eq!((refused.error_code, refused.record_errors[0].batch_index), (87, 0));
        let message = refused.error_message.expect("a reason");
        assert!(message.contains("max.decompressed.message.bytes: 1000"), "{message}");
        kept(peer, &batch(Codec::Gzip, &"0".repeat(900))).await;
    });
}
