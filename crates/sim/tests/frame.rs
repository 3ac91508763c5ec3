//! The storm's frame around the smallest system that makes a promise: one host that keeps records in
//! one file. The right one passes; one that acknowledges before it syncs is caught, by name.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sim::faults::Fault;
use sim::history::{Event, Partition, RecordId};
use sim::panics::Panics;
use sim::storm::{self, Outcome, SharedHistory, System};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::clock::LocalFuture;
use world::simulated::{HostId, Simulation};
use world::tasks::{blocking, spawn_local};
use world::{File, OpenMode, Pool, Stream, World};

const PORT: u16 = 7;

/// Asks for all records, where a record would be.
const LIST: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    AckBeforeSync,
}

/// One host with one file, and one client.
struct Keeper {
    bug: Bug,
}

fn partition() -> Partition {
    Partition { topic: "kept".to_owned(), index: 0 }
}

/// A record on the disk: itself, and itself turned around as a check.
fn framed(record: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&record.to_le_bytes());
    bytes[8..].copy_from_slice(&(!record).to_le_bytes());
    bytes
}

/// Opens the file and drops what is not whole.
fn recover(world: &World) -> io::Result<(Arc<dyn File>, Vec<u64>)> {
    let file = world.disk.open(Path::new("/kept"), OpenMode::Create)?;
    world.disk.sync_dir(Path::new("/"))?;
    let bytes = world.disk.read(Path::new("/kept"))?;
    let record = |chunk: &[u8]| {
        let record = u64::from_le_bytes(chunk.get(..8)?.try_into().ok()?);
        (framed(record) == chunk).then_some(record)
    };
    let records: Vec<u64> = bytes.chunks(16).map_while(record).collect();
    file.set_len(records.len() as u64 * 16)?;
    file.sync_data()?;
    Ok((file, records))
}

async fn keep(world: World, bug: Bug) {
    // Whoever repairs the disk starts it again.
    let Ok((file, records)) = recover(&world) else { return };
    let records = Rc::new(RefCell::new(records));
    let mut listener = world.net.listen(([0, 0, 0, 0], PORT).into(), 16).unwrap();
    loop {
        let stream = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().open().unwrap();
        let (world, file, records) = (world.clone(), Arc::clone(&file), Rc::clone(&records));
        spawn_local(async move {
            // A connection that breaks is the client's to make again.
            let _ = serve(&world, &file, &records, stream, bug).await;
        });
    }
}

async fn serve(
    world: &World,
    file: &Arc<dyn File>,
    records: &RefCell<Vec<u64>>,
    mut stream: Box<dyn Stream>,
    bug: Bug,
) -> io::Result<()> {
    loop {
        let record = stream.read_u64_le().await?;
        if record == LIST {
            let all = records.borrow().clone();
            stream.write_u64_le(all.len() as u64).await?;
            for record in all {
                stream.write_u64_le(record).await?;
            }
            continue;
        }
        let known = records.borrow().iter().position(|kept| *kept == record);
        let offset = known.unwrap_or_else(|| records.borrow().len()) as u64;
        if known.is_none() {
            file.write_all_at(&[IoSlice::new(&framed(record))], offset * 16)?;
            records.borrow_mut().push(record);
        }
        if bug == Bug::None {
            let file = Arc::clone(file);
            blocking(&*world.tasks, Pool::Flush, move || file.sync_data()).await?;
        }
        stream.write_u64_le(offset).await?;
    }
}

fn number(record: RecordId) -> u64 {
    u64::from(record.producer) << 32 | u64::from(record.sequence)
}

fn named(number: u64) -> RecordId {
    let half = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap();
    RecordId { producer: half(number >> 32), sequence: half(number) }
}

async fn ask(stream: &mut Option<Box<dyn Stream>>, world: &World, record: u64) -> io::Result<u64> {
    let mut open = match stream.take() {
        Some(stream) => stream,
        None => world.net.connect("keeper", PORT).await?,
    };
    open.write_u64_le(record).await?;
    let offset = open.read_u64_le().await?;
    *stream = Some(open);
    Ok(offset)
}

/// Sends one record after the other, each until it is acknowledged.
async fn produce(world: World, history: SharedHistory) {
    let mut stream = None;
    for sequence in 0.. {
        let record = RecordId { producer: 0, sequence };
        let sent = Event::Sent { partition: partition(), record, idempotent: true };
        history.borrow_mut().record(sent);
        loop {
            let timeout = world.clock.sleep(Duration::from_secs(1));
            let asked = tokio::select! {
                biased;
                asked = ask(&mut stream, &world, number(record)) => asked.ok(),
                () = timeout => None,
            };
            if let Some(offset) = asked {
                let offset = i64::try_from(offset).unwrap();
                history.borrow_mut().record(Event::Acked {
                    partition: partition(),
                    record,
                    offset,
                    at: world.clock.tick(),
                });
                break;
            }
            world.clock.sleep(Duration::from_millis(20)).await;
        }
        world.clock.sleep(Duration::from_millis(20)).await;
    }
}

async fn list(world: World, history: SharedHistory) -> io::Result<()> {
    let mut stream = world.net.connect("keeper", PORT).await?;
    stream.write_u64_le(LIST).await?;
    let mut records = Vec::new();
    for offset in 0..i64::try_from(stream.read_u64_le().await?).unwrap() {
        records.push((offset, named(stream.read_u64_le().await?)));
    }
    history.borrow_mut().record(Event::Final { partition: partition(), start: 0, records });
    Ok(())
}

impl System for Keeper {
    fn build(&self, simulation: &Simulation) -> Vec<HostId> {
        vec![simulation.add_host("keeper")]
    }

    fn start(&self, simulation: &Simulation, host: HostId) {
        let bug = self.bug;
        simulation.start(host, move |world| Box::pin(keep(world, bug)));
    }

    fn stop(&self, simulation: &Simulation, host: HostId) {
        // It has nothing to tidy up.
        simulation.kill(host);
    }

    fn start_clients(&self, simulation: &Simulation, history: &SharedHistory) {
        let (client, history) = (simulation.add_host("client"), Rc::clone(history));
        simulation.start(client, |world| Box::pin(produce(world, history)));
    }

    fn disk_fails(&self, _host: HostId, _fails: bool) {}

    fn rot(&self, _simulation: &Simulation, _host: HostId, _draw: u64) -> bool {
        false
    }

    fn can_lose_disk(&self, _simulation: &Simulation, _host: HostId) -> LocalFuture<bool> {
        Box::pin(async { false })
    }

    fn has_all(&self, _simulation: &Simulation, _host: HostId) -> LocalFuture<bool> {
        Box::pin(async { true })
    }

    fn upkeep(&self, _: &Simulation, _host: HostId, _fault: &Fault) -> LocalFuture<bool> {
        Box::pin(async { false })
    }

    fn lossy(&self, _power_losses: usize) -> Vec<String> {
        Vec::new()
    }

    fn collect(&self, simulation: &Simulation, history: &SharedHistory) -> LocalFuture<()> {
        let client = simulation.hosts()[1];
        simulation.kill(client);
        let (world, history) = (simulation.world(client), Rc::clone(history));
        Box::pin(async move { list(world, history).await.unwrap() })
    }
}

fn run(bug: Bug, seed: u64, panics: &Panics) -> Outcome {
    storm::run(&Keeper { bug }, seed, 100_000, panics)
}

#[test]
fn a_system_that_keeps_its_promise_passes_and_counts() {
    let panics = Panics::listen();
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    // A fault that hits a host which is down already does not strike: a few seeds have too little in
    // them to count, as in a campaign.
    let mut counted = 0;
    for seed in 0..30 {
        let outcome = run(Bug::None, seed, &panics);
        assert_eq!(outcome.broken, [], "seed {seed}");
        counted += u32::from(outcome.counts());
        assert!(outcome.evaluated["no_acked_loss"] >= 200);
        for (kind, count) in outcome.faults {
            *faults.entry(kind).or_default() += count;
        }
    }
    assert!(counted >= 25, "{counted} of 30 seeds count");
    assert_eq!(faults.len(), sim::faults::FaultKind::of(1).count(), "{faults:?}");
}

#[test]
fn one_that_acknowledges_before_it_syncs_is_caught_by_the_property_of_that_name() {
    let panics = Panics::listen();
    let caught = (0..100).find(|seed| {
        let outcome = run(Bug::AckBeforeSync, *seed, &panics);
        outcome.broken.iter().any(|(name, _)| *name == "no_acked_loss")
    });
    assert!(caught.is_some(), "not in 100 seeds");
}

#[test]
fn a_seed_is_one_story() {
    let panics = Panics::listen();
    for seed in [3, 4] {
        let (one, two) = (run(Bug::None, seed, &panics), run(Bug::None, seed, &panics));
        assert_eq!(one.trace.first_difference(&two.trace), None, "seed {seed}");
    }
}
