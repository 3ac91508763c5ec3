//! Kafka's own tool reads our logs, and we read Kafka's: codecs, idempotent and transactional producers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use e2e::kafka::{Kafka, disk};
use engine::log::LogConfig;
use engine::log::admit::Origin;
use engine::{LeaderEpoch, Now, TopicPartition};
use storage::dump::{Line, dump};
use storage::{LogDir, PartitionLog, Read, ReadRequest};
use wire::record::{BatchBuilder, Codec, ControlType, EndMarker, NewRecord};
use world::{Disk, OpenMode};

const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";
const DUMP_OLD: &str = "kafka.tools.DumpLogSegments";
const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const TOPIC_ID: wire::Uuid = wire::Uuid([9; 16]);

fn now() -> Now {
    Now { wall_ms: 1_700_000_000_000, tick: Duration::ZERO }
}

fn open(root: &Path, partition: &TopicPartition, topic_id: wire::Uuid) -> (LogDir, PartitionLog) {
    let config =
        LogConfig { segment_bytes: 20_000, index_interval_bytes: 1000, ..LogConfig::default() };
    let dir = LogDir::open(Arc::new(disk()), root).unwrap();
    let (log, _) = dir.load(partition, topic_id, Arc::new(config), 0).unwrap();
    (dir, log)
}

fn append(log: &mut PartitionLog, batch: &BatchBuilder) {
    log.admit(batch.finish(), Origin::Client, LeaderEpoch(3), now()).unwrap();
    log.write(now()).unwrap();
    log.advance_high_watermark(log.state().end());
}

/// All codecs, an idempotent producer, an aborted and a committed transaction, over several segments.
fn fill(log: &mut PartitionLog) {
    let mut sequence = 0;
    for round in 0..60i64 {
        for codec in CODECS {
            let mut batch = BatchBuilder::new(codec).producer(1000, 2, sequence);
            for index in 0..7 {
                let value = format!("order {round}/{index} {}", "abc".repeat(20));
                let at = now().wall_ms + round * 100 - index;
                batch.push(&NewRecord::new(format!("key-{index}"), value, at));
                sequence += 1;
            }
            append(log, &batch);
        }
        let mut batch = BatchBuilder::new(Codec::None);
        batch = batch.producer(2000, 0, i32::try_from(round).unwrap());
        batch.transactional = true;
        batch.push(&NewRecord::new("t", "in a transaction", now().wall_ms + round * 100));
        append(log, &batch);
        let kind = if round % 2 == 0 { ControlType::Abort } else { ControlType::Commit };
        let marker = EndMarker { kind, coordinator_epoch: 1 };
        let at = now().wall_ms + round * 100;
        let bytes = BatchBuilder::end_marker(2000, 0, marker, at);
        log.admit(bytes, Origin::Coordinator, LeaderEpoch(3), now()).unwrap();
        log.write(now()).unwrap();
        log.advance_high_watermark(log.state().end());
    }
}

fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = disk().read_dir(folder).unwrap();
    let named = entries.iter().filter(|entry| entry.name.ends_with(suffix));
    named.map(|entry| folder.join(&entry.name)).collect()
}

fn dump_class(kafka: &Kafka) -> &'static str {
    let said = kafka.tool(DUMP, &["--help"]).unwrap();
    if said.contains("ClassNotFound") { DUMP_OLD } else { DUMP }
}

fn dump_with_kafka(kafka: &Kafka, files: &[PathBuf], flags: &[&str]) -> String {
    let list: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let list = list.join(",");
    let mut arguments = vec!["--files", &list];
    arguments.extend_from_slice(flags);
    let said = kafka.tool(dump_class(kafka), &arguments).unwrap();
    assert!(!said.contains("Exception"), "{said}");
    said
}

fn names_a_mismatch(said: &str) -> bool {
    let signs = ["ismatch", "isvalid: false", "orrupt", "not found", "out of order", "does not"];
    signs.iter().any(|sign| said.contains(sign)) || said.contains("Found")
}

#[test]
fn kafkas_tool_finds_no_mismatch_in_our_log_and_names_a_broken_index() {
    let Some(kafka) = Kafka::find().unwrap() else { return };
    let temp = tempfile::tempdir().unwrap();
    let partition = TopicPartition::new("orders", 0);
    let (dir, mut log) = open(temp.path(), &partition, TOPIC_ID);
    fill(&mut log);
    let end = log.state().end();
    assert!(log.segment_count() > 3);
    let checkpoint = log.close().run().unwrap();
    dir.close(&[checkpoint]).unwrap();
    let folder = temp.path().join("orders-0");

    let said = dump_with_kafka(&kafka, &files(&folder, ".log"), &["--deep-iteration"]);
    assert!(!names_a_mismatch(&said), "{said}");
    assert!(said.contains(&format!("lastOffset: {}", end - 1)), "{said}");
    for codec in CODECS {
        assert!(said.contains(&format!("compresscodec: {}", codec.name())), "{codec}");
    }
    assert!(said.contains("endTxnMarker: ABORT"), "{said}");
    let indexes: Vec<PathBuf> =
        [".index", ".timeindex"].iter().flat_map(|kind| files(&folder, kind)).collect();
    for check in ["--index-sanity-check", "--verify-index-only"] {
        let said = dump_with_kafka(&kafka, &indexes, &["--deep-iteration", check]);
        assert!(!names_a_mismatch(&said), "{check}: {said}");
    }
    let said = dump_with_kafka(&kafka, &files(&folder, ".snapshot"), &[]);
    assert!(said.contains("producerId: 1000 producerEpoch: 2"), "{said}");
    let said = dump_with_kafka(&kafka, &files(&folder, ".txnindex"), &[]);
    assert!(said.contains("producerId: 2000"), "{said}");

    let broken = files(&folder, ".index")[0].clone();
    let file = disk().open(&broken, OpenMode::Write).unwrap();
    let mut offset = [0];
    file.read_exact_at(&mut offset, 11).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&[offset[0] ^ 1])], 11).unwrap();
    let mut named = Vec::new();
    dump(&disk(), &folder, &mut |line| {
        if let Line::Problem { path, .. } = line {
            named.push(path);
        }
    })
    .unwrap();
    assert_eq!(named, std::slice::from_ref(&broken));
    let said = dump_with_kafka(&kafka, &[broken], &["--verify-index-only"]);
    assert!(names_a_mismatch(&said), "{said}");
}

fn produce(kafka: &Kafka, address: &str, codec: Codec) {
    let lines: String = (0..200).map(|line| format!("{codec} line {line}\n")).collect();
    let said = kafka
        .tool_with_input(
            "org.apache.kafka.tools.ConsoleProducer",
            &[
                "--bootstrap-server",
                address,
                "--topic",
                "orders",
                "--compression-codec",
                codec.name(),
            ],
            &lines,
        )
        .unwrap();
    assert!(!said.contains("xception"), "{said}");
}

/// Everything in the log: how many records there are, and how many are user records.
fn count(log: &mut PartitionLog) -> usize {
    let (mut at, end) = (log.state().start(), log.state().end());
    let mut total = 0;
    while at < end {
        let request = ReadRequest { from: at, limit: end, max_bytes: 4096, at_least_one: true };
        let pieces = match log.read(request).unwrap() {
            Read::Memory(pieces) => pieces,
            Read::File(job) => job.run().unwrap(),
        };
        for batch in pieces.iter().flat_map(|piece| wire::record::Batches::new(piece)) {
            let batch = batch.unwrap();
            at = batch.header().next_offset();
            let records = batch.records(wire::record::Limits::default()).unwrap();
            for record in &records {
                record.unwrap();
                total += usize::from(!batch.header().is_control());
            }
        }
    }
    total
}

#[test]
fn we_open_what_kafka_wrote_and_kafka_starts_on_what_we_added() {
    let Some(kafka) = Kafka::find().unwrap() else { return };
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().join("kafka");
    let extra = "num.partitions=1\nlog.index.interval.bytes=500\nlog.segment.bytes=1048576";
    let broker = kafka.start(&base, extra).unwrap();
    let address = broker.address.to_string();
    for codec in CODECS {
        produce(&kafka, &address, codec);
    }
    let said = kafka
        .tool(
            "org.apache.kafka.tools.ProducerPerformance",
            &[
                "--topic",
                "orders",
                "--num-records",
                "500",
                "--record-size",
                "100",
                "--throughput",
                "-1",
                "--transaction-duration-ms",
                "20",
                "--bootstrap-server",
                &address,
            ],
        )
        .unwrap();
    assert!(said.contains("500 records sent"), "{said}");
    let data = broker.data.clone();
    broker.stop().unwrap();

    let folder = data.join("orders-0");
    let (mut batches, mut producers, mut topic_id) = (0, 0, None);
    let mut codecs = std::collections::BTreeSet::new();
    dump(&disk(), &folder, &mut |line| match line {
        Line::Batch { header, is_valid, .. } => {
            assert!(is_valid);
            codecs.insert(header.codec().unwrap());
            batches += 1;
        }
        Line::Producer { .. } => producers += 1,
        Line::TopicId(id) => topic_id = Some(id),
        Line::Problem { path, problem } => panic!("{}: {problem}", path.display()),
        Line::Epochs(_) | Line::Segment { .. } | Line::Aborted { .. } => {}
    })
    .unwrap();
    assert!(batches > 5 && producers > 5, "{batches} batches, {producers} producers");
    assert_eq!(codecs.len(), 5);

    let partition = TopicPartition::new("orders", 0);
    let dir = LogDir::open(Arc::new(disk()), &data).unwrap();
    assert!(dir.was_clean());
    let mut checkpoints = Vec::new();
    for found in dir.found() {
        let config = LogConfig {
            index_interval_bytes: 500,
            compact: found.partition.topic.starts_with("__"),
            ..LogConfig::default()
        };
        let (mut log, recovered) =
            dir.load(&found.partition, found.topic_id.unwrap(), Arc::new(config), 0).unwrap();
        assert_eq!((recovered.truncated, recovered.rebuilt), (None, vec![]));
        if found.partition == partition {
            assert_eq!(count(&mut log), 1500);
            assert_eq!(log.last_stable_offset(), log.state().end());
            let mut batch = BatchBuilder::new(Codec::Lz4);
            batch.push(&NewRecord::new("klamm", "was here", now().wall_ms));
            append(&mut log, &batch);
        }
        checkpoints.push(log.close().run().unwrap());
    }
    dir.close(&checkpoints).unwrap();

    let broker = kafka.start(&base, extra).unwrap();
    let address = broker.address.to_string();
    let said = kafka
        .tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            &[
                "--bootstrap-server",
                &address,
                "--topic",
                "orders",
                "--from-beginning",
                "--max-messages",
                "1501",
                "--timeout-ms",
                "30000",
                "--command-property",
                "isolation.level=read_committed",
            ],
        )
        .unwrap();
    assert!(said.contains("was here") && said.contains("1501 messages"), "{said}");
    broker.kill().unwrap();

    // After a crash Kafka leaves space set aside in its indexes, and no marker.
    let (_, mut log) = open(&data, &partition, topic_id.unwrap());
    assert_eq!(count(&mut log), 1501);
}
