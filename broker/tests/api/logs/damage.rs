//! A log whose bytes have rotted while the broker runs.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::record::Batches;
use wire::{ListOffsetsRequest, Request};

use crate::exchange::{Peer, with_settings};
use crate::offsets::commit;

/// Error and offsets of the batches that a Fetch gives.
async fn fetch(peer: &mut Peer, from: i64) -> (i16, Vec<i64>) {
    let (error, bytes) = peer.fetch("orders", from).await;
    let offsets =
        Batches::new(&bytes).map(|batch| batch.expect("it is whole").header().base_offset);
    (error, offsets.collect())
}

#[test]
fn a_damaged_batch_is_refused_to_every_reader_and_counted() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let data = dir.path().join("data");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let http = free.local_addr().expect("it is bound").port();
    drop(free);
    let settings = [
        ("log.dirs", data.to_str().expect("its name is text")),
        ("klamm.tail.cache.bytes", "0"),
        ("klamm.http.listener", &format!("127.0.0.1:{http}")),
    ];
    with_settings(&settings, async |peer| {
        peer.create("orders", 1).await;
        for timestamp in [1000, 2000, 3000] {
            peer.produce("orders", 0, &[timestamp]).await;
        }
        assert_eq!(fetch(peer, 0).await, (0, vec![0, 1, 2]));
        let path = data.join("orders-0/00000000000000000000.log");
        let mut log = OpenOptions::new().read(true).write(true).open(&path).expect("it is there");
        let size = log.metadata().expect("it is there").len() / 3;
        // Within the second one's record.
        log.seek(SeekFrom::Start(size + 65)).expect("it is that long");
        log.write_all(b"rotten").expect("it can be written");
        for _ in 0..5 {
            assert_eq!(fetch(peer, 0).await, (0, vec![0]));
            assert_eq!(fetch(peer, 1).await, (2, vec![]));
            assert_eq!(fetch(peer, 2).await, (0, vec![2]));
        }
        let newest = *ListOffsetsRequest::API_KEY.versions().end();
        assert_eq!(peer.offset(("orders", 0), 1500, newest).await, (2, -1, -1, -1));
        let metrics = metrics(http).await;
        assert!(metrics.contains("\nklamm_corrupt_reads 6\n"), "{metrics}");
    });
}

#[test]
fn a_broker_whose_groups_cannot_be_read_serves_all_else() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let data = dir.path().join("data");
    let settings = [
        ("log.dirs", data.to_str().expect("its name is text")),
        ("offsets.topic.num.partitions", "1"),
    ];
    with_settings(&settings, async |peer| {
        peer.create("orders", 1).await;
        commit(peer, "inventory", "orders", 0).await;
    });
    let path = data.join("__consumer_offsets-0/00000000000000000000.log");
    let mut log = OpenOptions::new().write(true).open(&path).expect("it is there");
    log.seek(SeekFrom::Start(65)).expect("it is that long");
    log.write_all(b"rotten").expect("it can be written");
    with_settings(&settings, async |peer| {
        peer.produce("orders", 0, &[1000]).await;
        assert_eq!(fetch(peer, 0).await, (0, vec![0]));
    });
}

/// What `/metrics` says.
async fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it is answered");
    answer
}
