//! What a log does while it is in use.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use bytes::Bytes;
use engine::log::{AdmitError, LogConfig, SequenceError};
use engine::{LeaderEpoch, Now};
use harness::{House, NOW_MS, now, partition, records_of, small};
use storage::{AppendError, ReadError, TimestampQuery};
use wire::record::{BatchBuilder, Codec, ControlType, EndMarker, NewRecord, TimestampType};
use world::{Disk, OpenMode};

#[test]
fn an_idle_partition_has_no_file() {
    let house = House::new(small());
    let log = house.dir.create(&partition(), harness::TOPIC_ID, house.config.clone());
    assert_eq!(log.open_files(), 0);
    assert!(!house.disk.exists(&house.folder()));
}

#[test]
fn a_round_is_one_write_and_its_records_come_back_from_memory_and_from_disk() {
    let mut house = House::new(LogConfig::default());
    let large = "x".repeat(40_000);
    for values in [&["a", "b"][..], &["c"], &[&large], &["d", "e"]] {
        house.admit(&House::batch(values, NOW_MS)).unwrap();
    }
    assert_eq!(house.log.state().end(), 0);
    let written = house.log.write(now()).unwrap();
    assert_eq!((written.end, written.rolled), (6, 1));
    house.log.advance_high_watermark(6);
    let expected = house.records(0);
    assert_eq!(expected.len(), 6);
    assert_eq!(expected[5], (5, "e".to_owned()));
    house.log.trim_tail(0);
    assert_eq!(house.records(0), expected);
    house.log.release_files();
    assert_eq!(house.records(2), expected[2..]);
}

#[test]
fn a_fetch_inside_a_batch_gives_the_whole_batch_and_at_least_one() {
    let mut house = House::new(LogConfig::default());
    house.append(&House::batch(&["a", "b", "c"], NOW_MS));
    house.append(&House::batch(&["d"], NOW_MS));
    for trimmed in [false, true] {
        if trimmed {
            house.log.trim_tail(0);
        }
        assert_eq!(records_of(&house.read(1, 1).unwrap()).len(), 3);
        assert_eq!(records_of(&house.read(1, 10_000).unwrap()).len(), 4);
        assert!(house.read(4, 10_000).unwrap().is_empty());
        assert!(matches!(house.read(5, 1), Err(ReadError::OutOfRange { start: 0, end: 4, .. })));
    }
}

#[test]
fn nothing_beyond_the_limit_is_given() {
    let mut house = House::new(LogConfig::default());
    for value in ["a", "b", "c"] {
        house.append(&House::batch(&[value], NOW_MS));
    }
    for trimmed in [false, true] {
        if trimmed {
            house.log.trim_tail(0);
        }
        let request =
            storage::ReadRequest { from: 0, limit: 2, max_bytes: 10_000, at_least_one: true };
        let pieces = match house.log.read(request).unwrap() {
            storage::Read::Memory(pieces) => pieces,
            storage::Read::File(job) => job.run().unwrap(),
        };
        assert_eq!(records_of(&pieces).len(), 2);
    }
}

#[test]
fn a_duplicate_gives_the_first_offset_and_a_gap_is_refused() {
    let mut house = House::new(LogConfig::default());
    let batch = |sequence| House::batch(&["a", "b"], NOW_MS).producer(9, 0, sequence);
    assert_eq!(house.append(&batch(0)).base_offset, 0);
    assert_eq!(house.append(&batch(2)).base_offset, 2);
    let again = house.append(&batch(0));
    assert!(again.is_duplicate);
    assert_eq!((again.base_offset, again.last_offset), (0, 1));
    let gap = house.admit(&batch(6)).unwrap_err();
    let expected = SequenceError::OutOfOrder { producer_id: 9, expected: 4, found: 6 };
    assert!(matches!(gap, AppendError::Sequence(found) if found == expected));
    // Two of one round: the second is checked against the first, which is not written yet.
    house.admit(&batch(4)).unwrap();
    assert!(house.admit(&batch(4)).unwrap().is_duplicate);
    house.log.write(now()).unwrap();
    assert_eq!(house.log.state().end(), 6);
}

#[test]
fn the_last_five_batches_are_known_after_a_roll_and_a_restart() {
    let mut house = House::new(LogConfig { segment_bytes: 700, ..small() });
    for sequence in 0..40 {
        house.append(&House::batch(&["a"], NOW_MS).producer(9, 0, sequence));
    }
    assert!(house.log.segment_count() > 3);
    for clean in [true, false] {
        house = if clean { house.close().0 } else { house.kill().unwrap().0 };
        for sequence in 35..40 {
            let again = house.admit(&House::batch(&["a"], NOW_MS).producer(9, 0, sequence));
            let again = again.unwrap();
            assert!(again.is_duplicate, "sequence {sequence}");
            assert_eq!(again.base_offset, i64::from(sequence));
        }
    }
}

#[test]
fn a_log_append_time_topic_stamps_the_brokers_clock() {
    let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    let mut house = House::new(config);
    let admitted = house.append(&House::batch(&["a"], 5));
    assert_eq!(admitted.append_time_ms, Some(NOW_MS));
    let pieces = house.read(0, 1000).unwrap();
    let batch = wire::record::Batch::parse(&pieces[0]).unwrap();
    batch.verify().unwrap();
    assert_eq!(batch.header().max_timestamp, NOW_MS);
    let found = house.log.search_timestamp(TimestampQuery::AtOrAfter(6)).run().unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (0, NOW_MS));
}

#[test]
fn a_record_is_found_by_time_inside_packed_batches_and_out_of_order() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut house = House::new(small());
        let mut offset = 0;
        for round in 0..40i64 {
            let mut builder = BatchBuilder::new(codec);
            for at in [round * 10 + 5, round * 10, round * 10 + 9] {
                builder.push(&NewRecord::new("k", format!("{offset}"), 1000 + at));
                offset += 1;
            }
            house.append(&builder);
        }
        assert!(house.log.segment_count() > 1);
        let find = |house: &House, at| {
            let query = TimestampQuery::AtOrAfter(at);
            let found = house.log.search_timestamp(query).run().unwrap();
            found.map(|found| (found.offset, found.timestamp))
        };
        for clean in [true, false] {
            assert_eq!(find(&house, 0), Some((0, 1005)));
            assert_eq!(find(&house, 1006), Some((2, 1009)));
            assert_eq!(find(&house, 1010), Some((3, 1015)));
            assert_eq!(find(&house, 1216), Some((65, 1219)));
            assert_eq!(find(&house, 1399), Some((119, 1399)));
            assert_eq!(find(&house, 1400), None);
            let newest = house.log.search_timestamp(TimestampQuery::Max).run().unwrap().unwrap();
            assert_eq!((newest.offset, newest.timestamp), (119, 1399));
            house.flush();
            house = if clean { house.close().0 } else { house.kill().unwrap().0 };
        }
        assert_eq!(find(&house, 1216), Some((65, 1219)));
    }
}

#[test]
fn a_record_is_found_by_time_behind_many_that_are_too_early() {
    let mut house = House::new(LogConfig::default());
    house.append(&House::batch(&["first"], 100));
    let early = "e".repeat(100);
    for _ in 0..3000 {
        house.append(&House::batch(&[&early], 50));
    }
    let late = house.append(&House::batch(&["late"], 200)).base_offset;
    // The search begins at the log's start, which the index does not name.
    for start in [0, 10, 17, 1500] {
        house.log.advance_start(start);
        let found = house.log.search_timestamp(TimestampQuery::AtOrAfter(150)).run();
        assert_eq!(found.unwrap().map(|found| found.offset), Some(late), "from {start}");
    }
}

#[test]
fn what_may_not_enter_is_refused_and_leaves_nothing() {
    let mut house = House::new(LogConfig { max_message_bytes: 1000, ..LogConfig::default() });
    let mut refused = |bytes: bytes::BytesMut| {
        let origin = engine::log::admit::Origin::Client;
        house.log.admit(bytes, origin, LeaderEpoch(0), now()).unwrap_err()
    };
    let good = House::batch(&["a", "b"], NOW_MS).finish();
    let mut rotten = good.clone();
    rotten[70] ^= 1;
    assert!(matches!(refused(rotten), AppendError::Refused(AdmitError::Damaged(_))));
    let mut old = good.clone();
    old[16] = 1;
    assert!(matches!(refused(old), AppendError::Refused(AdmitError::Magic(1))));
    let large = House::batch(&["x".repeat(1000).as_str()], NOW_MS).finish();
    assert!(matches!(refused(large), AppendError::Refused(AdmitError::TooLarge { .. })));
    let late = House::batch(&["a"], NOW_MS + 4_000_000).finish();
    let late = refused(late);
    let AppendError::Refused(AdmitError::InvalidTimestamp { faults }) = late else {
        panic!("{late:?}")
    };
    assert_eq!(faults[0].index, 0);
    let marker = EndMarker { kind: ControlType::Commit, coordinator_epoch: 0 };
    let control = BatchBuilder::end_marker(1, 0, marker, NOW_MS);
    assert!(matches!(refused(control), AppendError::Refused(AdmitError::InvalidRecord { .. })));
    let mut two = good.clone();
    two.extend_from_slice(&good);
    assert!(matches!(refused(two), AppendError::Refused(AdmitError::InvalidRecord { .. })));
    assert_eq!(house.log.write(now()).unwrap().bytes, 0);
}

#[test]
fn a_compacted_topic_names_each_record_without_a_key() {
    let mut house = House::new(LogConfig { compact: true, ..LogConfig::default() });
    for codec in [Codec::None, Codec::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        builder.push(&NewRecord::new("k", "v", NOW_MS));
        builder.push(&NewRecord { key: None, ..NewRecord::new("", "v", NOW_MS) });
        let Err(AppendError::Refused(error)) = house.admit(&builder) else { panic!() };
        assert_eq!(error.faults().len(), 1);
        assert_eq!(error.faults()[0].index, 1);
    }
}

#[test]
fn an_open_transaction_holds_back_the_last_stable_offset_and_an_abort_is_listed() {
    let mut house = House::new(LogConfig::default());
    house.append(&House::batch(&["a"], NOW_MS));
    let mut batch = House::batch(&["b", "c"], NOW_MS).producer(5, 0, 0);
    batch.transactional = true;
    house.append(&batch);
    house.append(&House::batch(&["d"], NOW_MS));
    assert_eq!(house.log.last_stable_offset(), 1);
    let marker = EndMarker { kind: ControlType::Abort, coordinator_epoch: 3 };
    let bytes = BatchBuilder::end_marker(5, 0, marker, NOW_MS);
    let origin = engine::log::admit::Origin::Coordinator;
    house.log.admit(bytes, origin, LeaderEpoch(0), now()).unwrap();
    house.log.write(now()).unwrap();
    assert_eq!(house.log.last_stable_offset(), 1);
    house.log.advance_high_watermark(5);
    assert_eq!(house.log.last_stable_offset(), 5);
    let aborted = |house: &House, from, to| {
        house.log.search_aborted(from, to).map_or(0, |job| job.run().unwrap().len())
    };
    assert_eq!((aborted(&house, 0, 5), aborted(&house, 0, 1)), (1, 0));
    house.flush();
    for clean in [true, false] {
        house = if clean { house.close().0 } else { house.kill().unwrap().0 };
        assert_eq!((aborted(&house, 0, 5), aborted(&house, 0, 1)), (1, 0));
        assert_eq!(house.log.last_stable_offset(), 5);
    }
}

#[test]
fn retention_drops_whole_old_segments_and_their_files() {
    let mut house = House::new(LogConfig { retention_ms: Some(1000), ..small() });
    for index in 0..60 {
        house.append(&House::batch(&["some value or other"], NOW_MS - 3500 + index * 50));
    }
    house.flush();
    let before = house.log.segment_count();
    let job = house.log.retain(now()).unwrap();
    let start = house.log.state().start();
    assert!(start > 0 && house.log.segment_count() < before);
    assert_eq!(job.run().unwrap().segments, before - house.log.segment_count());
    assert!(matches!(house.read(start - 1, 10), Err(ReadError::OutOfRange { .. })));
    assert_eq!(house.records(start).len(), usize::try_from(60 - start).unwrap());
    // All of it is old in a day: an empty segment keeps the end.
    let later = Now { wall_ms: NOW_MS + 86_400_000, ..now() };
    house.log.retain(later).unwrap().run().unwrap();
    assert_eq!((house.log.state().start(), house.log.state().end()), (60, 60));
    house.flush();
    let (mut house, _) = house.kill().unwrap();
    assert_eq!((house.log.state().start(), house.log.state().end()), (60, 60));
    assert_eq!(house.append(&House::batch(&["z"], NOW_MS)).base_offset, 60);
}

#[test]
fn a_moved_start_survives_a_restart() {
    let mut house = House::new(small());
    for _ in 0..30 {
        house.append(&House::batch(&["a", "b"], NOW_MS));
    }
    house.log.advance_start(31).map(|job| job.run().unwrap());
    house.checkpoint();
    let (mut house, _) = house.kill().unwrap();
    assert_eq!(house.log.state().start(), 31);
    assert_eq!(house.records(31).len(), 29);
}

#[test]
fn a_follower_takes_what_its_leader_wrote_and_refuses_a_gap() {
    let mut leader = House::new(small());
    let mut follower = House::new(small());
    for index in 0..30 {
        leader.append(&House::batch(&["a"], NOW_MS).producer(1, 0, index));
    }
    let bytes = |leader: &mut House, from| {
        let pieces = leader.read(from, 700).unwrap();
        Bytes::from(pieces.concat())
    };
    while follower.log.state().end() < 30 {
        let from = follower.log.state().end();
        let bytes = bytes(&mut leader, from);
        follower.log.admit_replica(bytes.slice(..bytes.len() - 1), now()).unwrap();
        let cut = bytes.len();
        follower.log.write(now()).unwrap();
        assert!(cut > 0);
        if follower.log.state().end() == from {
            follower.log.admit_replica(bytes, now()).unwrap();
            follower.log.write(now()).unwrap();
        }
    }
    assert_eq!(follower.records(0), leader.records(0));
    assert_eq!(follower.log.producers(), leader.log.producers());
    let old = bytes(&mut leader, 3);
    let error = follower.log.admit_replica(old, now()).unwrap_err();
    assert!(matches!(error, AppendError::NotContiguous { expected: 30, .. }));
}

#[test]
fn a_leader_that_wrote_nothing_takes_what_others_wrote_under_older_epochs() {
    let mut leader = House::new(small());
    leader.append(&House::batch(&["a"], NOW_MS));
    let bytes = Bytes::from(leader.read(0, 700).unwrap().concat());
    let mut follower = House::new(small());
    follower.log.assign_epoch(LeaderEpoch(9), 0);
    assert_eq!(follower.log.latest_epoch(), None, "it has no records");
    follower.log.admit_replica(bytes, now()).unwrap();
    follower.log.write(now()).unwrap();
    assert_eq!(follower.log.latest_epoch(), leader.log.latest_epoch());
    assert_eq!(follower.log.epochs(), leader.log.epochs());
}

#[test]
fn records_without_timestamps_age_from_when_they_were_written() {
    let mut house = House::new(LogConfig { retention_ms: Some(1000), ..small() });
    house.append(&House::batch(&["a"], -1));
    let at = |wall_ms| Now { wall_ms, ..now() };
    assert!(house.log.retain(at(NOW_MS + 1000)).is_none());
    house.flush();
    let (mut house, _) = house.kill().unwrap();
    let path = house.folder().join("00000000000000000000.log");
    let written_ms = house.disk.open(&path, OpenMode::Read).unwrap().modified_ms().unwrap();
    assert!(written_ms > NOW_MS, "the file was written after the test");
    assert!(house.log.retain(at(written_ms + 1000)).is_none());
    assert!(house.log.retain(at(written_ms + 1001)).is_some());
    assert_eq!(house.log.state().start(), 1);
}

#[test]
fn what_lies_before_a_rotten_batch_is_served() {
    for (at, problem) in [(65, "checksum"), (8, "length"), (16, "format")] {
        let mut house = House::new(small());
        for value in ["a", "b", "c"] {
            house.append(&House::batch(&[value], NOW_MS));
        }
        house.log.trim_tail(0);
        let size = house.log.size_bytes() / 3;
        let path = house.folder().join("00000000000000000000.log");
        let file = house.disk.open(&path, OpenMode::Write).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(&[0xa5])], size + at).unwrap();
        assert_eq!(records_of(&house.read(0, 1 << 20).unwrap()), [(0, "a".to_owned())]);
        let error = house.read(1, 1 << 20).unwrap_err();
        assert!(
            matches!(error, ReadError::Corrupt { position, .. } if position == size),
            "{error}"
        );
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn rotten_bytes_are_never_served() {
    let mut house = House::new(LogConfig::default());
    house.append(&House::batch(&["a"], NOW_MS));
    house.append(&House::batch(&["b"], NOW_MS));
    house.log.trim_tail(0);
    let path = house.folder().join("00000000000000000000.log");
    let file = house.disk.open(&path, OpenMode::Write).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&[0xff])], 65).unwrap();
    assert!(matches!(house.read(0, 1000), Err(ReadError::Corrupt { position: 0, .. })));
    assert_eq!(house.records(1).len(), 1);
}

#[test]
fn no_bit_of_a_log_may_rot_without_notice() {
    let mut house = House::new(small());
    for number in 0..12 {
        house.epoch = number / 5;
        house.append(&House::batch(&["value", &number.to_string()], NOW_MS));
    }
    let expected = house.records(0);
    house.flush();
    house.log.trim_tail(0);
    let path = house.folder().join("00000000000000000000.log");
    let file = house.disk.open(&path, OpenMode::Write).unwrap();
    let good = house.disk.read(&path).unwrap();
    for at in 0..good.len() {
        let rotten = good[at] ^ (1 << (at % 8));
        file.write_all_at(&[std::io::IoSlice::new(&[rotten])], at as u64).unwrap();
        let mut served = Vec::new();
        let found = loop {
            let from = served.last().map_or(0, |(offset, _): &(i64, String)| offset + 1);
            match house.read(from, 300) {
                Ok(pieces) if !pieces.is_empty() => served.extend(records_of(&pieces)),
                Ok(_) => break None,
                Err(error) => break Some(error),
            }
        };
        assert!(matches!(found, Some(ReadError::Corrupt { .. })), "byte {at}: {found:?}");
        assert_eq!(served, expected[..served.len()], "byte {at}");
        file.write_all_at(&[std::io::IoSlice::new(&good[at..=at])], at as u64).unwrap();
    }
    assert_eq!(house.records(0), expected);
}

#[test]
fn a_deleted_partition_leaves_nothing() {
    let mut house = House::new(small());
    house.append(&House::batch(&["a"], NOW_MS));
    let folder = house.folder();
    let House { disk, root, log, .. } = &mut house;
    let _ = (root, log.flush_job());
    let disk: std::sync::Arc<dyn Disk> = disk.clone();
    house.log.delete(77).run().unwrap();
    assert!(!disk.exists(&folder));
}
