//! What the log store finds after a crash, at every length and every damaged byte.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{AsyncRuntime, EntryPayload, RaftLogReader};
use tokio::task::LocalSet;
use world::real::RealOptions;
use world::simulated::{PoolLatency, Simulation, SimulationOptions};
use world::{Disk, OpenMode, World};

use super::format::StoreError;
use super::log_store::LogStore;
use super::proposal::{Entry, Proposal, Runtime, Types, Vote, log_id};

/// Runs `test` with a folder of its own.
fn run(test: impl AsyncFnOnce(World, PathBuf)) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    LocalSet::new().block_on(&runtime, async {
        test(World::real(RealOptions::default()), folder.path().join("quorum")).await;
    });
}

fn entry(term: u64, index: u64) -> Entry {
    let records = Bytes::from(vec![u8::try_from(index).expect("it is small"); 20]);
    let payload = EntryPayload::Normal(Proposal { decided_on: index, records });
    Entry { log_id: log_id(term, index), payload }
}

/// Appends entries with one sync.
async fn append(store: &mut LogStore, entries: impl IntoIterator<Item = Entry>) {
    let (tell, told) =
        <<Runtime as AsyncRuntime>::Oneshot as openraft::async_runtime::Oneshot>::channel();
    let entries: Vec<Entry> = entries.into_iter().collect();
    store.append(entries, IOFlushed::<Types>::signal(tell)).await.expect("appends");
    told.await.expect("is answered").expect("is synced");
}

async fn entries(store: &mut LogStore) -> Vec<Entry> {
    store.try_get_log_entries(0..).await.expect("reads")
}

/// Entries 0, 1 with one sync, then 2, 3, 4 with another.
async fn written(world: &World, folder: &Path) -> LogStore {
    let mut store = LogStore::open(world.clone(), folder).expect("opens");
    assert!(store.is_empty());
    append(&mut store, [entry(1, 0), entry(1, 1)]).await;
    append(&mut store, [entry(1, 2), entry(1, 3), entry(2, 4)]).await;
    store
}

fn all() -> Vec<Entry> {
    vec![entry(1, 0), entry(1, 1), entry(1, 2), entry(1, 3), entry(2, 4)]
}

fn replace(disk: &Arc<dyn Disk>, path: &Path, bytes: &[u8]) {
    disk.write_atomic(path, bytes).expect("writes");
}

#[test]
fn vote_and_entries_come_back() {
    run(async |world, folder| {
        let mut store = written(&world, &folder).await;
        let vote = Vote::new_committed(7, 3);
        store.save_vote(&vote).await.expect("saves");
        let mut store = LogStore::open(world, &folder).expect("opens");
        assert_eq!(store.read_vote().await.expect("reads"), Some(vote));
        assert_eq!(entries(&mut store).await, all());
        let state = store.get_log_state().await.expect("reads");
        assert_eq!((state.last_purged_log_id, state.last_log_id), (None, Some(log_id(2, 4))));
    });
}

#[test]
fn what_was_cut_off_stays_away_and_others_follow() {
    run(async |world, folder| {
        let mut store = written(&world, &folder).await;
        store.truncate_after(Some(log_id(1, 2))).await.expect("cuts");
        append(&mut store, [entry(3, 3)]).await;
        let wanted = [entry(1, 0), entry(1, 1), entry(1, 2), entry(3, 3)];
        assert_eq!(entries(&mut store).await, wanted);
        let mut store = LogStore::open(world.clone(), &folder).expect("opens");
        assert_eq!(entries(&mut store).await, wanted);
        store.truncate_after(None).await.expect("cuts");
        let mut store = LogStore::open(world, &folder).expect("opens");
        assert_eq!(entries(&mut store).await, []);
    });
}

#[test]
fn a_purge_leaves_the_entries_behind_it() {
    run(async |world, folder| {
        let mut store = written(&world, &folder).await;
        store.purge(log_id(1, 2)).await.expect("purges");
        append(&mut store, [entry(2, 5)]).await;
        for _ in 0..2 {
            assert_eq!(entries(&mut store).await, [entry(1, 3), entry(2, 4), entry(2, 5)]);
            let state = store.get_log_state().await.expect("reads");
            assert_eq!(state.last_purged_log_id, Some(log_id(1, 2)));
            store = LogStore::open(world.clone(), &folder).expect("opens");
        }
        // A snapshot may be ahead of the log: what comes next is behind the snapshot.
        store.purge(log_id(3, 40)).await.expect("purges");
        append(&mut store, [entry(3, 41)]).await;
        let mut store = LogStore::open(world, &folder).expect("opens");
        assert_eq!(entries(&mut store).await, [entry(3, 41)]);
    });
}

#[test]
fn a_log_that_is_cut_anywhere_holds_its_sound_beginning() {
    run(async |world, folder| {
        drop(written(&world, &folder).await);
        let path = folder.join("quorum.log");
        let whole = world.disk.read(&path).expect("reads");
        let mut found = 5;
        for len in (41..whole.len()).rev() {
            replace(&world.disk, &path, &whole[..len]);
            let mut store = LogStore::open(world.clone(), &folder).expect("opens");
            let left = entries(&mut store).await;
            assert_eq!(left, all()[..left.len()], "cut to {len}");
            assert!(left.len() == found || left.len() + 1 == found, "cut to {len}");
            found = left.len();
            // What follows is found again.
            let next = entry(9, left.len() as u64);
            append(&mut store, [next.clone()]).await;
            let mut store = LogStore::open(world.clone(), &folder).expect("opens");
            assert_eq!(entries(&mut store).await.last(), Some(&next));
        }
        assert_eq!(found, 0);
    });
}

#[test]
fn a_damaged_entry_is_cut_with_its_write_and_refused_before_a_later_one() {
    run(async |world, folder| {
        drop(written(&world, &folder).await);
        let path = folder.join("quorum.log");
        let whole = world.disk.read(&path).expect("reads");
        let mut store = LogStore::open(world.clone(), &folder).expect("opens");
        store.truncate_after(Some(log_id(1, 1))).await.expect("cuts");
        let first_write = world.disk.read(&path).expect("reads").len();
        for at in 12..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            replace(&world.disk, &path, &bytes);
            match LogStore::open(world.clone(), &folder) {
                // One power loss can tear one write: the second, of which all is gone that follows.
                Ok(mut store) => {
                    assert!(at >= first_write, "byte {at}");
                    let left = entries(&mut store).await;
                    assert!((2..5).contains(&left.len()), "byte {at}");
                    assert_eq!(left, all()[..left.len()], "byte {at}");
                }
                Err(StoreError::DamagedEntry { .. } | StoreError::Damaged { .. }) => {
                    assert!(at < first_write, "byte {at}");
                    assert_eq!(world.disk.read(&path).expect("reads"), bytes, "nothing is changed");
                }
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    });
}

#[test]
fn what_was_written_before_an_earlier_write_was_synced_may_outlive_it() {
    run(async |world, folder| {
        let mut store = LogStore::open(world.clone(), &folder).expect("opens");
        append(&mut store, [entry(1, 0)]).await;
        // Nobody waits in between: both are synced together, and a power loss may tear the first alone.
        for index in 1..3 {
            store.append([entry(1, index)], IOFlushed::noop()).await.expect("appends");
        }
        append(&mut store, [entry(1, 3)]).await;
        append(&mut store, [entry(1, 4)]).await;
        store.truncate_after(Some(log_id(1, 3))).await.expect("cuts");
        let path = folder.join("quorum.log");
        let mut bytes = world.disk.read(&path).expect("reads");
        let entry_bytes = (bytes.len() - 41) / 4;
        bytes[41 + entry_bytes + 30] ^= 0x10;
        replace(&world.disk, &path, &bytes);
        let mut store = LogStore::open(world, &folder).expect("opens");
        assert_eq!(entries(&mut store).await, [entry(1, 0)]);
    });
}

#[test]
fn what_a_killed_process_left_is_stored_once_it_is_found() {
    let path = Path::new("/quorum");
    for seed in 0..20 {
        let simulation = Simulation::new(SimulationOptions::new(seed));
        let found = Rc::new(Cell::new(None));
        simulation.run(async {
            let host = simulation.add_host("voter");
            let hour = Duration::from_secs(3600);
            let slow = PoolLatency { flush: hour..2 * hour, ..PoolLatency::default() };
            simulation.set_pool_latency(host, slow);
            simulation.start(host, |world| {
                Box::pin(async move {
                    let mut store = LogStore::open(world, path).expect("opens");
                    store.append([entry(1, 0)], IOFlushed::noop()).await.expect("appends");
                    std::future::pending::<()>().await;
                })
            });
            simulation.sleep(Duration::from_millis(10)).await;
            simulation.kill(host);
            for _ in 0..2 {
                let found = Rc::clone(&found);
                simulation.start(host, |world| {
                    Box::pin(async move {
                        let mut store = LogStore::open(world, path).expect("opens");
                        found.set(Some(entries(&mut store).await.len()));
                        std::future::pending::<()>().await;
                    })
                });
                simulation.sleep(Duration::from_millis(10)).await;
                simulation.power_loss(host);
            }
        });
        assert_eq!(found.get(), Some(1), "seed {seed}");
    }
}

#[test]
fn a_damaged_vote_is_refused() {
    run(async |world, folder| {
        let mut store = written(&world, &folder).await;
        store.save_vote(&Vote::new(7, 3)).await.expect("saves");
        let path = folder.join("quorum.vote");
        let whole = world.disk.read(&path).expect("reads");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            replace(&world.disk, &path, &bytes);
            assert!(LogStore::open(world.clone(), &folder).is_err(), "byte {at}");
        }
        let file = world.disk.open(&path, OpenMode::Write).expect("opens");
        file.set_len(0).expect("cuts");
        assert!(LogStore::open(world, &folder).is_err());
    });
}

#[test]
fn on_a_full_disk_entries_and_votes_are_stored_all_the_same() {
    let path = Path::new("/quorum");
    let simulation = Simulation::new(SimulationOptions::new(1));
    let found = Rc::new(Cell::new((0, 0)));
    simulation.run(async {
        let host = simulation.add_host("voter");
        let disk = simulation.disk(host);
        simulation.start(host, |world| {
            Box::pin(async move {
                let mut store = written(&world, path).await;
                // The second has blocks of its own, the third takes those of the first.
                for term in 1..3 {
                    store.save_vote(&Vote::new(term, 3)).await.expect("saves");
                }
                let space = world.disk.space(path).expect("tells");
                disk.set_capacity(space.total - space.available);
                store.truncate_after(Some(log_id(1, 3))).await.expect("cuts");
                for index in 4..100 {
                    append(&mut store, [entry(3, index)]).await;
                    store.save_vote(&Vote::new(index, 3)).await.expect("saves");
                }
            })
        });
        simulation.sleep(Duration::from_secs(60)).await;
        simulation.power_loss(host);
        let find = Rc::clone(&found);
        simulation.start(host, |world| {
            Box::pin(async move {
                let mut store = LogStore::open(world, path).expect("opens");
                let term = store.vote().map_or(0, |vote| vote.leader_id.term);
                find.set((term, entries(&mut store).await.len()));
            })
        });
        simulation.sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(found.get(), (99, 100));
}
