//! A broker to talk to, and a client that knows frames and nothing else.

use bytes::Bytes;
use config::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use wire::alter_configs::request::{AlterConfigsResource, AlterableConfig};
use wire::create_topics::request::CreatableTopic;
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
use wire::metadata::request::MetadataRequestTopic;
use wire::metadata::response::MetadataResponseTopic;
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::produce::response::PartitionProduceResponse;
use wire::record::{BatchBuilder, Codec, NewRecord};
use wire::{
    AlterConfigsRequest, ApiKey, CreateTopicsRequest, FetchRequest, ListOffsetsRequest,
    MetadataRequest, ProduceRequest, Records, Request, Str, Uuid, frame,
};
use world::real::RealOptions;
use world::{Stream, World};

/// One connection.
pub(crate) struct Peer {
    pub(crate) stream: Box<dyn Stream>,
    next_correlation: i32,
    /// The broker's cluster.
    pub(crate) cluster_id: String,
    /// The port that the broker listens on.
    pub(crate) port: u16,
}

/// Runs `test` against a broker of its own.
pub(crate) fn with_broker(test: impl AsyncFnOnce(&mut Peer)) {
    with_settings(&[], test);
}

/// Runs `test` against a broker with these settings.
pub(crate) fn with_settings(more: &[(&str, &str)], test: impl AsyncFnOnce(&mut Peer)) {
    let temporary = tempfile::tempdir().expect("there is room for a folder");
    let dir = temporary.path().join("data");
    let mut settings: config::Properties = [
        ("log.dirs", dir.to_str().expect("its name is text")),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("klamm.http.listener", ""),
        ("node.id", "0"),
        ("klamm.shards", "2"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "3"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    settings.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let settings = Settings::resolve(settings).expect("the settings are good");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    LocalSet::new().block_on(&runtime, async {
        let world = World::real(RealOptions::default());
        let running = broker::Broker::start(world.clone(), settings).await.expect("it starts");
        let port = running.addresses()[0].1.port();
        let stream = world.net.connect("127.0.0.1", port).await.expect("it listens");
        let cluster_id = running.cluster_id().to_owned();
        let mut peer = Peer { stream, next_correlation: 7, cluster_id, port };
        test(&mut peer).await;
        drop(peer);
        running.stop().await.expect("it stops cleanly");
    });
}

/// The versions of an API that are answered.
pub(crate) fn versions<R: Request>() -> std::ops::RangeInclusive<i16> {
    R::API_KEY.versions()
}

/// A text for a message.
pub(crate) fn text(text: &str) -> Str {
    Str::from(text)
}

impl Peer {
    /// Sends a request and reads its answer, both at `version`.
    pub(crate) async fn ask<R: Request>(&mut self, request: R, version: i16) -> R::Response {
        self.next_correlation += 1;
        let id = self.next_correlation;
        let client_id = Str::from_static("tester");
        let sent = frame::request(&request, version, id, Some(&client_id))
            .unwrap_or_else(|error| panic!("{} v{version}: {error}", R::NAME));
        let answer = self.exchange(&sent.into_bytes()).await;
        let (correlation, response) = frame::decode_response::<R::Response>(answer, version)
            .unwrap_or_else(|error| panic!("{} v{version}: {error}", R::NAME));
        assert_eq!(correlation, id, "answers come in order");
        response
    }

    /// As [`Peer::ask`], at the newest version.
    pub(crate) async fn ask_newest<R: Request>(&mut self, request: R) -> R::Response {
        self.ask(request, *R::API_KEY.versions().end()).await
    }

    /// Sends a frame, length prefix included, and reads the next one, without it.
    pub(crate) async fn exchange(&mut self, sent: &[u8]) -> Bytes {
        self.stream.write_all(sent).await.expect("the broker listens");
        let length = self.stream.read_i32().await.expect("the broker answers");
        let mut answer = vec![0; usize::try_from(length).expect("a length is not negative")];
        self.stream.read_exact(&mut answer).await.expect("the answer is whole");
        answer.into()
    }

    /// Creates a topic.
    pub(crate) async fn create(&mut self, name: &str, partitions: i32) -> Uuid {
        let topic = CreatableTopic {
            name: text(name),
            num_partitions: partitions,
            replication_factor: -1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let created = self.ask_newest(request).await.topics.remove(0);
        assert_eq!(created.error_code, 0, "{:?}", created.error_message);
        created.topic_id
    }

    /// What Metadata says of one topic, without creating it.
    pub(crate) async fn describe(&mut self, name: &str) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic { name: Some(text(name)), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        self.ask_newest(request).await.topics.remove(0)
    }

    /// Appends records with these timestamps as one batch; returns the first one's offset.
    pub(crate) async fn produce(&mut self, topic: &str, index: i32, timestamps: &[i64]) -> i64 {
        let mut batch = BatchBuilder::new(Codec::None);
        for &timestamp in timestamps {
            batch.push(&NewRecord {
                timestamp,
                key: None,
                value: Some(Bytes::from_static(b"value")),
                headers: Vec::new(),
            });
        }
        let appended = self.append(topic, index, &batch).await;
        assert_eq!(appended.error_code, 0, "{:?}", appended.error_message);
        appended.base_offset
    }

    /// Appends a batch.
    pub(crate) async fn append(
        &mut self,
        topic: &str,
        index: i32,
        batch: &BatchBuilder,
    ) -> PartitionProduceResponse {
        let records = Some(Records::from(batch.finish().freeze()));
        let partition = PartitionProduceData { index, records, ..Default::default() };
        let topic = TopicProduceData {
            name: text(topic),
            partition_data: vec![partition],
            ..Default::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        self.ask(request, 12).await.responses.remove(0).partition_responses.remove(0)
    }

    /// Error and batches that a Fetch from the first partition of a topic gives.
    pub(crate) async fn fetch(&mut self, topic: &str, fetch_offset: i64) -> (i16, Bytes) {
        let partition =
            FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
        let topic =
            FetchTopic { topic: text(topic), partitions: vec![partition], ..Default::default() };
        let request = FetchRequest { max_wait_ms: 1, topics: vec![topic], ..Default::default() };
        let partition = self.ask(request, 12).await.responses.remove(0).partitions.remove(0);
        let bytes = partition.records.map(Records::into_bytes).unwrap_or_default();
        (partition.error_code, bytes)
    }

    /// Gives a topic these settings, and no others.
    pub(crate) async fn set(&mut self, topic: &str, settings: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| AlterableConfig {
            name: text(name),
            value: Some(text(value)),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: text(topic),
            configs: settings.iter().map(config).collect(),
            ..Default::default()
        };
        let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let answer = self.ask_newest(request).await.responses.remove(0);
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    }

    /// What ListOffsets says of one partition: error, timestamp, offset, leader epoch.
    pub(crate) async fn offset(
        &mut self,
        (topic, index): (&str, i32),
        timestamp: i64,
        version: i16,
    ) -> (i16, i64, i64, i32) {
        let partition =
            ListOffsetsPartition { partition_index: index, timestamp, ..Default::default() };
        let topic = ListOffsetsTopic {
            name: text(topic),
            partitions: vec![partition],
            ..Default::default()
        };
        let request =
            ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let answer = self.ask(request, version).await.topics.remove(0).partitions.remove(0);
        (answer.error_code, answer.timestamp, answer.offset, answer.leader_epoch)
    }
}

/// Every public API.
pub(crate) fn public_keys() -> impl Iterator<Item = ApiKey> {
    ApiKey::ALL.iter().copied().filter(|key| !key.is_private())
}
