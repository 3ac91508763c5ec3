//! Many requests on one connection before the first is answered.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::record::{BatchBuilder, Codec, NewRecord};
use wire::{ProduceRequest, ProduceResponse, Records, frame};

use crate::exchange::{text, with_broker};

const REQUESTS: i32 = 300;
/// Half of them lie on another shard: the requests that run at once leave it more than the hundred or so
/// steps that a task may take before it must let others go first.
const PARTITIONS: i32 = 16;
const VERSION: i16 = 9;

#[test]
fn pipelined_batches_enter_a_partition_in_the_order_in_which_they_were_sent() {
    with_broker(async |peer| {
        peer.create("order-placed", PARTITIONS).await;
        let mut sent = Vec::new();
        for number in 0..REQUESTS {
            sent.extend_from_slice(&produce(number));
        }
        let (mut reader, mut writer) = tokio::io::split(&mut peer.stream);
        let writing = async { writer.write_all(&sent).await.expect("the broker listens") };
        let reading = async {
            for number in 0..REQUESTS {
                let length = reader.read_i32().await.expect("the broker answers");
                let mut answer = vec![0; usize::try_from(length).expect("not negative")];
                reader.read_exact(&mut answer).await.expect("the answer is whole");
                let answer = frame::decode_response::<ProduceResponse>(answer.into(), VERSION);
                let (correlation, response) = answer.expect("it decodes");
                assert_eq!(correlation, number, "answers come in order");
                for partition in &response.responses[0].partition_responses {
                    let found = (partition.error_code, partition.base_offset);
                    let index = partition.index;
                    assert_eq!(found, (0, number.into()), "request {number}, partition {index}");
                }
            }
        };
        tokio::join!(writing, reading);
    });
}

/// A Produce of one record to each partition.
fn produce(number: i32) -> Bytes {
    let mut batch = BatchBuilder::new(Codec::None);
    let value = Some(Bytes::from(number.to_string()));
    batch.push(&NewRecord { timestamp: 1, key: None, value, headers: Vec::new() });
    let records = batch.finish().freeze();
    let partition_data = (0..PARTITIONS)
        .map(|index| PartitionProduceData {
            index,
            records: Some(Records::from(records.clone())),
            ..Default::default()
        })
        .collect();
    let name = text("order-placed");
    let topic = TopicProduceData { name, partition_data, ..Default::default() };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    frame::request(&request, VERSION, number, None).expect("it encodes").into_bytes()
}
