//! What a log is after it was killed, cut, or damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::io::IoSlice;
use std::path::PathBuf;

use bytes::Bytes;
use engine::LeaderEpoch;
use engine::log::LogConfig;
use harness::{House, NOW_MS, now, small};
use storage::OpenError;
use world::OpenMode;

fn filled(config: LogConfig, batches: usize) -> House {
    let mut house = House::new(config);
    for index in 0..batches {
        let sequence = i32::try_from(2 * index).unwrap();
        let builder = House::batch(&["some value", "other"], NOW_MS).producer(4, 0, sequence);
        house.append(&builder);
    }
    house
}

fn last_log(house: &House) -> (PathBuf, u64) {
    let entries = house.disk.read_dir(&house.folder()).unwrap();
    let last = entries.iter().rfind(|entry| entry.name.ends_with(".log")).unwrap();
    (house.folder().join(&last.name), last.len)
}

#[test]
fn a_clean_stop_opens_without_verifying() {
    let mut house = filled(small(), 60);
    let expected = house.records(0);
    let (mut house, recovered) = house.close();
    assert_eq!((recovered.verified_bytes, recovered.truncated), (0, None));
    assert_eq!(recovered.rebuilt, []);
    assert_eq!(house.records(0), expected);
    assert_eq!(house.append(&House::batch(&["x"], NOW_MS)).base_offset, 120);
    // The marker was consumed.
    let (house, _) = house.kill().unwrap();
    assert!(!house.dir.was_clean());
}

#[test]
fn a_kill_keeps_all_that_was_written_and_verifies_only_what_was_not_flushed() {
    let mut house = filled(LogConfig { segment_bytes: 1 << 20, ..small() }, 50);
    house.flush();
    for _ in 0..3 {
        house.append(&House::batch(&["late"], NOW_MS));
    }
    let expected = house.records(0);
    let producers = house.log.producers().clone();
    let (mut house, recovered) = house.kill().unwrap();
    assert!(recovered.verified_bytes > 0 && recovered.verified_bytes < 400, "{recovered:?}");
    assert_eq!(recovered.rebuilt, []);
    assert_eq!(house.records(0), expected);
    assert_eq!(house.log.producers(), &producers);
    assert_eq!(house.log.flushed_offset(), 100);
    house.flush();
    assert_eq!(house.log.flushed_offset(), 103);
}

#[test]
fn a_cut_anywhere_in_the_tail_leaves_whole_batches() {
    let size = {
        let mut house = filled(small(), 4);
        house.flush();
        last_log(&house).1
    };
    let one = size / 4;
    // Every byte around the batches' edges, and some between: each takes a few real syncs.
    let near = |cut: &u64| (cut % one) < 3 || (cut % one) > one - 3 || cut.is_multiple_of(29);
    for cut in (0..=size).filter(near) {
        let mut house = filled(small(), 2);
        house.flush();
        for sequence in [4, 6] {
            let builder = House::batch(&["some value", "other"], NOW_MS).producer(4, 0, sequence);
            house.append(&builder);
        }
        house.log.advance_high_watermark(8);
        house.checkpoint();
        let (path, len) = last_log(&house);
        assert_eq!(len, size);
        house.disk.open(&path, OpenMode::Write).unwrap().set_len(cut).unwrap();
        let whole = i64::try_from(cut / one).unwrap() * 2;
        match house.kill() {
            Ok((mut house, recovered)) => {
                assert!(whole >= 4);
                assert_eq!(house.log.state().end(), whole);
                assert_eq!(recovered.truncated.is_some(), cut % one != 0);
                assert_eq!(recovered.missing, 8 - whole, "what was committed is missed");
                assert_eq!(house.records(0).len(), usize::try_from(whole).unwrap());
                let next =
                    House::batch(&["new"], NOW_MS).producer(4, 0, i32::try_from(whole).unwrap());
                assert_eq!(house.append(&next).base_offset, whole);
            }
            Err(error) => {
                assert!(whole < 4, "{error}");
                assert!(matches!(error, OpenError::Quarantined { recovery_point: 4, .. }));
            }
        }
    }
}

#[test]
fn garbage_and_zeros_after_the_end_are_cut_off() {
    let tails: [&[u8]; 4] = [&[0; 500], &[0xff; 61], b"x", &[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 49]];
    for tail in tails {
        let mut house = filled(small(), 5);
        house.flush();
        let expected = house.records(0);
        let (path, len) = last_log(&house);
        let file = house.disk.open(&path, OpenMode::Write).unwrap();
        file.write_all_at(&[IoSlice::new(tail)], len).unwrap();
        let (mut house, recovered) = house.kill().unwrap();
        let truncated = recovered.truncated.unwrap();
        assert_eq!((truncated.end, truncated.position), (10, len));
        assert_eq!(truncated.bytes, tail.len() as u64);
        assert_eq!(house.records(0), expected);
        assert_eq!(last_log(&house).1, len);
    }
}

#[test]
fn damage_below_the_recovery_point_is_quarantined_not_cut() {
    let mut house = filled(small(), 60);
    house.flush();
    let (path, len) = last_log(&house);
    // A header near the end of what was flushed.
    let file = house.disk.open(&path, OpenMode::Write).unwrap();
    file.set_len(len - 20).unwrap();
    let error = house.kill().err().unwrap();
    assert!(matches!(error, OpenError::Quarantined { recovery_point: 120, .. }), "{error}");
}

#[test]
fn a_lost_segment_below_the_recovery_point_is_quarantined() {
    let mut house = filled(small(), 60);
    house.flush();
    assert!(house.log.segment_count() > 2);
    let entries = house.disk.read_dir(&house.folder()).unwrap();
    let logs: Vec<_> = entries.iter().filter(|entry| entry.name.ends_with(".log")).collect();
    house.disk.remove_file(&house.folder().join(&logs[1].name)).unwrap();
    assert!(matches!(house.kill().err(), Some(OpenError::Quarantined { .. })));
}

#[test]
fn a_missing_or_wrong_index_is_built_again() {
    for damage in ["missing", "cut", "wrong"] {
        let mut house = filled(small(), 60);
        let expected = house.records(0);
        house.flush();
        let entries = house.disk.read_dir(&house.folder()).unwrap();
        let index = entries.iter().find(|entry| entry.name.ends_with(".index")).unwrap();
        assert!(index.len >= 16);
        let path = house.folder().join(&index.name);
        let whole = house.disk.read(&path).unwrap();
        let file = house.disk.open(&path, OpenMode::Write).unwrap();
        match damage {
            "missing" => house.disk.remove_file(&path).unwrap(),
            "cut" => file.set_len(index.len - 3).unwrap(),
            _ => file.write_all_at(&[IoSlice::new(&[0, 0, 0, 1])], index.len - 4).unwrap(),
        }
        let (mut house, recovered) = house.kill().unwrap();
        assert_eq!(recovered.rebuilt.len(), usize::from(damage != "cut"), "{damage}");
        assert_eq!(house.records(0), expected);
        house.append(&House::batch(&["x"], NOW_MS));
        house.flush();
        let (mut house, recovered) = house.close();
        assert_eq!(recovered.rebuilt, []);
        assert_eq!(house.disk.read(&path).unwrap(), whole, "{damage}");
        assert_eq!(house.records(0)[..120], expected);
    }
}

#[test]
fn a_damaged_producer_snapshot_is_passed_over() {
    let mut house = filled(small(), 60);
    house.flush();
    let producers = house.log.producers().clone();
    let entries = house.disk.read_dir(&house.folder()).unwrap();
    let newest = entries.iter().rfind(|entry| entry.name.ends_with(".snapshot")).unwrap();
    let path = house.folder().join(&newest.name);
    let file = house.disk.open(&path, OpenMode::Write).unwrap();
    file.write_all_at(&[IoSlice::new(&[0xaa])], newest.len - 1).unwrap();
    let (house, _) = house.kill().unwrap();
    assert_eq!(house.log.producers(), &producers);
}

#[test]
fn leftovers_of_interrupted_removals_go() {
    let mut house = filled(small(), 10);
    house.flush();
    let folder = house.folder();
    for name in ["00000000000000000000.log.deleted", "00000000000000009999.index", "x.tmp"] {
        house.disk.open(&folder.join(name), OpenMode::Create).unwrap();
    }
    house.disk.create_dir_all(&house.root.join("gone-0.abc-delete")).unwrap();
    let (house, recovered) = house.kill().unwrap();
    assert_eq!(recovered.removed.len(), 3);
    assert!(!house.disk.exists(&house.root.join("gone-0.abc-delete")));
}

#[test]
fn truncation_goes_back_to_a_batch_and_everything_follows() {
    let mut house = filled(small(), 40);
    house.flush();
    house.epoch = 1;
    house.append(&House::batch(&["x"], NOW_MS));
    assert_eq!(house.log.end_offset_for_epoch(LeaderEpoch(0)), Some((LeaderEpoch(0), 80)));
    assert_eq!(house.log.truncate_to(31).unwrap(), 30);
    house.checkpoint();
    assert_eq!(house.log.end_offset_for_epoch(LeaderEpoch(0)), Some((LeaderEpoch(0), 30)));
    assert_eq!(house.log.producers().get(4).unwrap().last_sequence(), 29);
    assert_eq!(house.records(0).len(), 30);
    house.epoch = 2;
    for sequence in 15..60 {
        let builder = House::batch(&["fork", "fork"], NOW_MS).producer(4, 0, 2 * sequence);
        house.append(&builder);
    }
    let expected = house.records(0);
    house.flush();
    let (mut house, recovered) = house.kill().unwrap();
    assert_eq!((recovered.truncated, recovered.rebuilt), (None, vec![]));
    assert_eq!(house.records(0), expected);
    house.log.truncate_fully_and_start_at(500).unwrap();
    house.checkpoint();
    let (mut house, _) = house.kill().unwrap();
    assert_eq!((house.log.state().start(), house.log.state().end()), (500, 500));
    assert_eq!(house.append(&House::batch(&["y"], NOW_MS)).base_offset, 500);
}

#[test]
fn a_log_that_is_killed_around_a_cut_is_whole_up_to_where_it_ends() {
    // Within a batch, between two, in the segment of the start, below it.
    for to in [171, 170, 60, 51, 45, 0] {
        for cuts in [false, true] {
            let mut house = filled(small(), 120);
            // Nobody has removed what lies below yet.
            assert!(house.log.advance_start(50).is_some());
            house.flush();
            house.dir.write_checkpoints(&[house.log.checkpoint_before_cut(to)]).unwrap();
            if cuts {
                house.log.truncate_to(to).unwrap();
                house.append(&House::batch(&["x", "y", "z"], NOW_MS));
            }
            let expected = house.records(house.log.state().start());
            let (mut house, recovered) = house.kill().unwrap();
            assert_eq!(recovered.truncated, None, "{to} {cuts}");
            let start = house.log.state().start();
            assert_eq!((start, house.records(start)), (50, expected), "{to} {cuts}");
        }
    }
}

#[test]
fn a_log_that_is_killed_within_a_cut_is_whole_up_to_where_it_ends() {
    let count = filled(small(), 120).log.segment_count();
    assert!(count > 3);
    for gone in 0..count {
        let mut house = filled(small(), 120);
        house.flush();
        house.dir.write_checkpoints(&[house.log.checkpoint_before_cut(3)]).unwrap();
        for _ in 0..gone {
            house.disk.remove_file(&last_log(&house).0).unwrap();
        }
        let (house, recovered) = house.kill().unwrap();
        assert_eq!(recovered.truncated, None, "{gone}");
        assert_eq!(house.log.segment_count(), count - gone);
    }
}

#[test]
fn a_log_that_is_killed_around_a_new_beginning_is_the_old_one_or_the_new_one() {
    for at in [1, 60, 500] {
        for steps in 0..3 {
            let mut house = filled(small(), 120);
            assert!(house.log.advance_start(50).is_some());
            house.flush();
            house.dir.write_checkpoints(&[house.log.checkpoint_before_start_at(at)]).unwrap();
            if steps > 0 {
                house.log.truncate_fully_and_start_at(at).unwrap();
            }
            if steps > 1 {
                house.checkpoint();
                house.append(&House::batch(&["x", "y"], NOW_MS));
            }
            let (house, recovered) = house.kill().unwrap();
            let state = house.log.state();
            match steps {
                0 => assert_eq!((state.end(), recovered.truncated), (240, None)),
                1 => assert!(state.end() <= at.max(50), "{at}: {recovered:?}"),
                _ => assert_eq!((state.start(), state.end()), (at, at + 2), "{recovered:?}"),
            }
        }
    }
}

#[test]
fn a_dir_of_many_partitions_opens_without_holding_files() {
    let mut house = filled(small(), 2);
    let count = 300;
    let mut checkpoints = Vec::new();
    for index in 0..count {
        let partition = engine::TopicPartition::new("many", index);
        let mut log = house.dir.create(&partition, harness::TOPIC_ID, house.config.clone());
        let batch = House::batch(&["a"], NOW_MS).finish();
        let origin = engine::log::admit::Origin::Client;
        log.admit(batch, origin, LeaderEpoch(0), now()).unwrap();
        log.write(now()).unwrap();
        checkpoints.push(log.checkpoint());
    }
    house.flush();
    checkpoints.push(house.log.checkpoint());
    house.dir.write_checkpoints(&checkpoints).unwrap();
    let (house, _) = house.kill().unwrap();
    assert_eq!(house.dir.found().len(), usize::try_from(count).unwrap() + 1);
    for found in house.dir.found() {
        assert_eq!(found.topic_id, Some(harness::TOPIC_ID));
        let (log, _) = house
            .dir
            .load(&found.partition, harness::TOPIC_ID, house.config.clone(), NOW_MS)
            .unwrap();
        assert!(log.state().end() > 0);
        assert_eq!(log.open_files(), 0);
    }
}

#[test]
fn a_folder_of_another_topic_of_the_same_name_is_refused() {
    let house = filled(small(), 2);
    let other = wire::Uuid([8; 16]);
    let refused =
        house.dir.load(&harness::partition(), other, house.config.clone(), NOW_MS).err().unwrap();
    assert!(matches!(refused, OpenError::OtherTopic { found, .. } if found == harness::TOPIC_ID));
}

#[test]
fn a_recovery_that_looks_at_ends_alone_moves_no_epoch() {
    let mut house = House::new(small());
    for number in 0..120 {
        // Epochs begin in the middle of segments.
        house.epoch = (number + 11) / 23;
        house.append(&House::batch(&["value"], NOW_MS));
        if number == 110 {
            house.flush();
        }
    }
    assert!(house.log.segment_count() > 3);
    let epochs = house.log.epochs().clone();
    let (house, _) = house.kill().unwrap();
    assert_eq!(house.log.epochs().starts(), epochs.starts());
}

#[test]
fn an_epoch_that_was_cut_off_does_not_come_back_between_those_that_were_copied() {
    let copied = |epoch: i32, from: i64, count: i64| {
        let mut leader = House::new(small());
        leader.epoch = epoch;
        leader.log.truncate_fully_and_start_at(from).unwrap();
        for _ in 0..count {
            leader.append(&House::batch(&["copied"], NOW_MS));
        }
        Bytes::from(leader.read(from, 1 << 20).unwrap().concat())
    };
    let mut house = House::new(small());
    house.log.admit_replica(copied(5, 0, 10), now()).unwrap();
    house.log.write(now()).unwrap();
    house.epoch = 6;
    house.log.assign_epoch(LeaderEpoch(6), 10);
    house.append(&House::batch(&["mine"], NOW_MS));
    house.flush();
    house.log.truncate_to(10).unwrap();
    house.checkpoint();
    house.log.admit_replica(copied(5, 10, 3), now()).unwrap();
    house.log.admit_replica(copied(7, 13, 2), now()).unwrap();
    house.log.write(now()).unwrap();
    let (mut house, _) = house.kill().unwrap();
    assert_eq!(house.log.state().end(), 15);
    let ends = |epoch| house.log.end_offset_for_epoch(LeaderEpoch(epoch));
    assert_eq!(ends(6), Some((LeaderEpoch(5), 13)));
    assert_eq!(house.records(0).len(), 15);
}

#[test]
fn what_is_queued_can_be_forgotten() {
    let mut house = House::new(small());
    house.append(&House::batch(&["a"], NOW_MS).producer(4, 0, 0));
    let queued = House::batch(&["b"], NOW_MS).producer(4, 0, 1);
    house.admit(&queued).unwrap();
    house.log.forget_queued();
    assert_eq!(house.log.truncate_to(1).unwrap(), 1);
    house.log.write(now()).unwrap();
    assert_eq!(house.records(0).len(), 1);
    let again = house.append(&queued);
    assert!(!again.is_duplicate && again.base_offset == 1, "{again:?}");
}
