//! `flush.messages` and `flush.ms`: when records are on disk for which no producer waits.

use std::path::Path;
use std::time::Duration;

use wire::DeleteRecordsRequest;
use wire::delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};

use crate::exchange::{Peer, text, with_settings};

const TRIES: u32 = 500;

/// Runs `test` against a broker that flushes nothing of itself before the test is over.
fn with_lazy_broker(test: impl AsyncFnOnce(&mut Peer, &Path)) {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let data = dir.path().join("data");
    let settings = [
        ("log.dirs", data.to_str().expect("its name is text")),
        ("klamm.flush.interval.ms", "60000"),
        ("klamm.durability", "replicated"),
    ];
    with_settings(&settings, async |peer| test(peer, &data).await);
}

/// How many records are known to be on disk.
async fn flushed(peer: &mut Peer, data: &Path) -> i64 {
    // It deletes nothing, and writes the checkpoints.
    let partition = DeleteRecordsPartition { offset: 0, ..Default::default() };
    let topic = DeleteRecordsTopic {
        name: text("orders"),
        partitions: vec![partition],
        ..Default::default()
    };
    let request =
        DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    assert_eq!(peer.ask_newest(request).await.topics[0].partitions[0].error_code, 0);
    let checkpoint = data.join("recovery-point-offset-checkpoint");
    let checkpoint = std::fs::read_to_string(checkpoint).expect("it was written");
    let line = checkpoint.lines().find_map(|line| line.strip_prefix("orders 0 "));
    line.expect("it has the partition").parse().expect("an offset is a number")
}

/// Waits until all `count` records are on disk.
async fn all_flushed(peer: &mut Peer, data: &Path, count: i64) {
    for _ in 0..TRIES {
        if flushed(peer, data).await == count {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a client waits in real time")]
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} records are not on disk");
}

#[test]
fn so_many_records_are_flushed_at_once() {
    with_lazy_broker(async |peer, data| {
        peer.create("orders", 1).await;
        peer.set("orders", &[("flush.messages", "3")]).await;
        for n in [0, 2, 4] {
            peer.produce("orders", 0, &[1, 2]).await;
            match n {
                // Less than three wait.
                0 | 4 => assert_eq!(flushed(peer, data).await, n),
                _ => all_flushed(peer, data, n + 2).await,
            }
        }
    });
}

#[test]
fn no_record_waits_longer_for_the_disk_than_the_topic_says() {
    with_lazy_broker(async |peer, data| {
        peer.create("orders", 1).await;
        peer.produce("orders", 0, &[1]).await;
        assert_eq!(flushed(peer, data).await, 0);
        peer.set("orders", &[("flush.ms", "20")]).await;
        for count in [2, 3, 4] {
            peer.produce("orders", 0, &[1]).await;
            all_flushed(peer, data, count).await;
        }
    });
}
