//! Which decisions count, and that a snapshot is the state.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use config::Settings;
use engine::BrokerId;
use engine::metadata::{Record, Resource};
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, RaftSnapshotBuilder};
use tokio::task::LocalSet;
use world::real::RealOptions;
use world::simulated::{Simulation, SimulationOptions};
use world::{World, watch};

use super::proposal::{Entry, Proposal, log_id};
use super::state_machine::StateMachine;
use crate::metadata::{Publisher, State, encode_records};

struct Node {
    machine: StateMachine,
    states: watch::Receiver<Arc<State>>,
}

impl Node {
    fn new(world: &World, folder: &std::path::Path) -> Self {
        Self::with(world, folder, config::Properties::default())
    }

    fn with(world: &World, folder: &std::path::Path, properties: config::Properties) -> Self {
        let settings = Settings::resolve(properties).expect("these settings are good");
        let (publisher, states, _) = Publisher::new(State::new(&settings));
        world.disk.create_dir_all(folder).expect("makes a folder");
        Self { machine: StateMachine::new(world.clone(), folder, BrokerId(1), publisher), states }
    }

    async fn apply(&mut self, index: u64, decided_on: u64, next: i64) {
        let mut records = Vec::new();
        encode_records(&[Record::ProducerIds { next }], &mut records);
        let payload = EntryPayload::Normal(Proposal { decided_on, records: records.into() });
        let entry = Entry { log_id: log_id(1, index), payload };
        let entries = futures_util::stream::iter([Ok((entry, None))]);
        self.machine.apply(entries).await.expect("applies");
    }

    fn seen(&self) -> (u64, i64) {
        let state = self.states.borrow();
        (state.version, state.image.next_producer_id())
    }
}

fn run(test: impl AsyncFnOnce(World, PathBuf)) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    LocalSet::new().block_on(&runtime, async {
        test(World::real(RealOptions::default()), folder.path().to_owned()).await;
    });
}

#[test]
fn a_decision_on_another_state_than_it_meets_is_void() {
    run(async |world, folder| {
        let mut node = Node::new(&world, &folder);
        node.apply(0, 0, 1000).await;
        assert_eq!(node.seen(), (1, 1000));
        // Decided by a leader that did not know the last one, then by one that has seen a future that
        // did not come about.
        node.apply(1, 0, 2000).await;
        node.apply(2, 2, 3000).await;
        assert_eq!(node.seen(), (1, 1000));
        node.apply(3, 1, 4000).await;
        assert_eq!(node.seen(), (2, 4000));
        let (last, _) = node.machine.applied_state().await.expect("knows");
        assert_eq!(last, Some(log_id(1, 3)), "void entries are applied as well");
    });
}

#[test]
fn a_snapshot_is_the_state_with_its_version() {
    run(async |world, folder| {
        let mut node = Node::new(&world, &folder.join("one"));
        node.apply(0, 0, 1000).await;
        node.apply(1, 1, 2000).await;
        assert!(node.machine.try_create_snapshot_builder(false).await.is_none(), "none is due");
        let built = node.machine.get_snapshot_builder().await.build_snapshot().await;
        let built = built.expect("builds");
        let kept = node.machine.get_current_snapshot().await.expect("reads").expect("is there");
        assert_eq!((&kept.meta, &kept.snapshot), (&built.meta, &built.snapshot));

        let mut other = Node::new(&world, &folder.join("two"));
        other.apply(0, 0, 7).await;
        other.machine.install_snapshot(&kept.meta, kept.snapshot).await.expect("installs");
        assert_eq!(other.seen(), (2, 2000));
        other.apply(2, 2, 3000).await;
        assert_eq!(other.seen(), (3, 3000));
        let kept = other.machine.get_current_snapshot().await.expect("reads").expect("is there");
        assert_eq!(kept.meta.last_log_id, Some(log_id(1, 1)));
    });
}

#[test]
fn a_damaged_snapshot_is_refused() {
    run(async |world, folder| {
        let mut node = Node::new(&world, &folder);
        node.apply(0, 0, 1000).await;
        node.machine.get_snapshot_builder().await.build_snapshot().await.expect("builds");
        let path = folder.join("quorum.snapshot");
        let whole = world.disk.read(&path).expect("reads");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            world.disk.write_atomic(&path, &bytes).expect("writes");
            assert!(node.machine.get_current_snapshot().await.is_err(), "byte {at}");
        }
        let cut = Bytes::from(whole).slice(..10);
        world.disk.write_atomic(&path, &cut).expect("writes");
        assert!(node.machine.get_current_snapshot().await.is_err());
    });
}

#[test]
fn a_snapshot_waits_until_there_is_room_for_it() {
    let simulation = Simulation::new(SimulationOptions::new(1));
    simulation.run(async {
        let host = simulation.add_host("voter");
        let disk = simulation.disk(host);
        let (world, folder) = (simulation.world(host), std::path::Path::new("/quorum"));
        let key = "metadata.log.max.record.bytes.between.snapshots".to_owned();
        let mut node = Node::with(&world, folder, [(key, "1".to_owned())].into());
        node.apply(0, 0, 1000).await;
        world.disk.write_atomic(&folder.join("records"), &[7; 1 << 20]).expect("writes");
        let space = world.disk.space(folder).expect("tells");
        disk.set_capacity(space.total - space.available);
        assert!(node.machine.try_create_snapshot_builder(false).await.is_none());
        disk.set_capacity(space.total);
        assert!(node.machine.try_create_snapshot_builder(false).await.is_some());
    });
}

#[test]
fn a_snapshot_that_is_built_takes_no_newer_ones_place() {
    run(async |world, folder| {
        let mut leader = Node::new(&world, &folder.join("leader"));
        let mut node = Node::new(&world, &folder.join("node"));
        for (index, next) in [(0, 1000), (1, 2000)] {
            leader.apply(index, index, next).await;
        }
        node.apply(0, 0, 1000).await;
        let mut builder = node.machine.get_snapshot_builder().await;
        let newer = leader.machine.get_snapshot_builder().await.build_snapshot().await;
        let newer = newer.expect("builds");
        node.machine.install_snapshot(&newer.meta, newer.snapshot).await.expect("installs");
        builder.build_snapshot().await.expect("builds");
        let kept = node.machine.get_current_snapshot().await.expect("reads").expect("is there");
        assert_eq!(kept.meta.last_log_id, Some(log_id(1, 1)));
    });
}

#[test]
fn a_restored_state_has_no_setting_of_the_one_before() {
    let key = "min.insync.replicas";
    let properties = config::Properties::from([(key.to_owned(), "2".to_owned())]);
    let settings = Settings::resolve(properties).expect("these settings are good");
    let none = config::Properties::default();
    let in_sync = |state: &State| state.settings.topic(&none).expect("good").min_insync_replicas;
    let mut state = State::new(&settings);
    let before = state.to_snapshot();
    let (resource, value) = (Resource::AllBrokers, Some("1".into()));
    state.apply(&[Record::Config { resource, key: key.into(), value }], BrokerId(1));
    assert_eq!(in_sync(&state), 1);
    state.restore(before, BrokerId(1)).expect("it is whole");
    assert_eq!(in_sync(&state), 2);
}
