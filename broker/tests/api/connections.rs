//! What becomes of a connection whose client has left, and of what it had begun.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::{ApiVersionsRequest, DeleteRecordsRequest, FetchRequest, Request, frame};

use crate::exchange::{text, with_broker, with_settings};

const HOUR_MS: i32 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a request on a connection of its own.
async fn send<R: Request>(port: u16, request: &R, version: i16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let frame = frame::request(request, version, 1, None).expect("it can be written");
    stream.write_all(&frame.into_bytes()).await.expect("it is read");
    stream
}

#[test]
fn a_long_poll_does_not_outlive_its_client() {
    with_settings(&[("max.connections.per.ip", "2")], async |peer| {
        peer.create("orders", 1).await;
        let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
        let poll = FetchRequest {
            max_wait_ms: HOUR_MS,
            min_bytes: 1,
            topics: vec![FetchTopic {
                topic: text("orders"),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut waiting = send(peer.port, &poll, 4).await;
        // The two are all that there may be.
        let hello = ApiVersionsRequest::default();
        let mut refused = send(peer.port, &hello, 0).await;
        assert_eq!(refused.read(&mut [0]).await.unwrap_or(0), 0, "a third one was let in");
        waiting.shutdown().await.expect("it is open");
        drop(waiting);
        let let_in = async {
            while send(peer.port, &hello, 0).await.read_i32().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "a client waits in real time")]
        let in_time = tokio::time::timeout(PATIENCE, let_in).await;
        assert!(in_time.is_ok(), "the connection of a client that has left is still there");
    });
}

#[test]
fn a_client_that_leaves_while_records_are_deleted_disturbs_nobody() {
    const ROUNDS: i64 = 100;
    let delete = |offset| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: text("orders"),
            partitions: vec![DeleteRecordsPartition { offset, ..Default::default() }],
            ..Default::default()
        }],
        timeout_ms: 10_000,
        ..Default::default()
    };
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        peer.produce("orders", 0, &[1; 2 * ROUNDS as usize]).await;
        for round in 0..ROUNDS {
            let mut leaving = send(peer.port, &delete(2 * round), 2).await;
            // It has begun, and is not done.
            #[expect(clippy::disallowed_methods, reason = "a client waits in real time")]
            tokio::time::sleep(Duration::from_millis(1)).await;
            // What is no frame ends a connection, with all that it waits for.
            leaving.write_all(&[0; 4]).await.expect("it is open");
            let answer = peer.ask(delete(2 * round + 1), 2).await;
            let deleted = &answer.topics[0].partitions[0];
            assert_eq!((deleted.error_code, deleted.low_watermark), (0, 2 * round + 1));
        }
    });
}
