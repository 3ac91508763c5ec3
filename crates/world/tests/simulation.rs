//! What the simulated twins promise, seen through the same traits as the real ones.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::bucket::{BucketError, Condition};
use world::simulated::{
    BucketFaults, HostId, NetFaults, PoolLatency, Simulation, SimulationOptions, Trace,
};
use world::tasks::{blocking, spawn_local};
use world::{Disk, OpenMode, Pool, Stream, World};

const SECOND: Duration = Duration::from_secs(1);

fn simulation(seed: u64) -> Simulation {
    Simulation::new(SimulationOptions { trace_lines_max: 100_000, ..SimulationOptions::new(seed) })
}

fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    let file = disk.open(Path::new(path), OpenMode::Create).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
}

/// Accepts connections on `port` for ever and answers every byte with itself.
async fn echo(world: World, port: u16) {
    let mut listener = world.net.listen(([0, 0, 0, 0], port).into(), 16).unwrap();
    loop {
        let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        spawn_local(async move {
            let mut stream = incoming.open().unwrap();
            let mut bytes = vec![0; 4096];
            while let Ok(read) = stream.read(&mut bytes).await {
                if read == 0 || stream.write_all(&bytes[..read]).await.is_err() {
                    break;
                }
            }
        });
    }
}

fn start_echo(simulation: &Simulation, host: HostId) {
    simulation.start(host, |world| Box::pin(echo(world, 9092)));
}

async fn ask(stream: &mut Box<dyn Stream>, text: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A server, a client with a connection to it.
async fn pair(simulation: &Simulation) -> (HostId, HostId, Box<dyn Stream>) {
    let (server, client) = (simulation.add_host("server"), simulation.add_host("client"));
    start_echo(simulation, server);
    simulation.sleep(SECOND).await;
    let stream = simulation.world(client).net.connect("server", 9092).await.unwrap();
    (server, client, stream)
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    let simulation = simulation(1);
    let host = simulation.add_host("a");
    let world = simulation.world(host);
    let boot = world.disk.boot_id(Path::new("/"));
    let guard = world.disk.lock(Path::new("/lock")).unwrap();
    let second = world.disk.lock(Path::new("/lock")).map(|_| ()).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
    write(&*world.disk, "/f", b"unsynced");
    simulation.kill(host);
    assert!(world.disk.read(Path::new("/f")).is_err(), "a dead process has no disk");
    let world = simulation.world(host);
    assert_eq!(world.disk.read(Path::new("/f")).unwrap(), b"unsynced");
    assert_eq!(world.disk.boot_id(Path::new("/")), boot);
    let held = world.disk.lock(Path::new("/lock")).unwrap();
    drop(guard);
    assert!(world.disk.lock(Path::new("/lock")).is_err(), "the dead one's guard frees nothing");
    drop(held);
    world.disk.lock(Path::new("/lock")).unwrap();
}

#[test]
fn a_folder_that_was_made_durably_survives_every_power_loss() {
    for seed in 0..50 {
        let simulation = simulation(seed);
        let host = simulation.add_host("a");
        simulation.run(async {
            let folder = Path::new("/srv/data");
            simulation.world(host).disk.create_dir_all_synced(folder).unwrap();
            simulation.power_loss(host);
            assert!(simulation.world(host).disk.exists(folder), "seed {seed}");
        });
    }
}

#[test]
fn a_power_loss_changes_the_boot_and_may_lose_what_was_not_synced() {
    let lost = |seed| {
        let simulation = simulation(seed);
        let host = simulation.add_host("a");
        let world = simulation.world(host);
        let boot = world.disk.boot_id(Path::new("/"));
        world.disk.write_atomic(Path::new("/safe"), b"safe").unwrap();
        write(&*world.disk, "/f", &[7; 2000]);
        simulation.power_loss(host);
        let world = simulation.world(host);
        assert_ne!(world.disk.boot_id(Path::new("/")), boot);
        assert_eq!(world.disk.read(Path::new("/safe")).unwrap(), b"safe");
        world.disk.read(Path::new("/f")).map_or(true, |bytes| bytes != [7; 2000])
    };
    let lost = (0..50).filter(|seed| lost(*seed)).count();
    assert!((10..50).contains(&lost), "{lost}");
}

#[test]
fn a_disk_fails_when_told_and_recovers() {
    let simulation = simulation(3);
    let host = simulation.add_host("a");
    let (world, disk) = (simulation.world(host), simulation.disk(host));
    let file = world.disk.open(Path::new("/f"), OpenMode::CreateNew).unwrap();
    disk.fail_writes(1);
    disk.fail_syncs(1);
    assert!(file.write_all_at(&[IoSlice::new(&[1; 100])], 0).is_err());
    file.write_all_at(&[IoSlice::new(&[1; 100])], 0).unwrap();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.set_capacity(150);
    let full = file.write_all_at(&[IoSlice::new(&[1; 100])], 100).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    disk.fail_reads(1);
    assert!(world.disk.read(Path::new("/f")).is_err());
    disk.rot(Path::new("/f"), 3, 0).unwrap();
    assert_eq!(world.disk.read(Path::new("/f")).unwrap()[..5], [1, 1, 1, 0, 1]);
    assert_eq!(disk.files(), [("/f".into(), 150)]);
    let colds = (0..100).filter(|_| file.read_at_nowait(&mut [0], 0).is_err()).count();
    assert!((1..50).contains(&colds), "{colds}");
}

#[test]
fn a_file_is_replaced_on_a_full_disk_and_a_power_loss_leaves_the_old_or_the_new() {
    let path = Path::new("/f");
    let found: BTreeSet<Vec<u8>> = (0..20)
        .map(|seed| {
            let simulation = simulation(seed);
            let host = simulation.add_host("a");
            let (world, disk) = (simulation.world(host), simulation.disk(host));
            for text in ["one", "two"] {
                world.disk.replace(path, text.as_bytes()).unwrap();
            }
            let space = world.disk.space(path).unwrap();
            disk.set_capacity(space.total - space.available);
            world.disk.write_atomic(Path::new("/g"), b"three").unwrap_err();
            for _ in 0..3 {
                world.disk.replace(path, &[3; 10_000]).unwrap();
            }
            disk.fail_syncs(2);
            world.disk.replace(path, b"four").unwrap_err();
            disk.fail_syncs(0);
            world.disk.replace(path, b"five").unwrap();
            simulation.power_loss(host);
            simulation.world(host).disk.read(path).unwrap()
        })
        .collect();
    assert_eq!(found, [b"five".to_vec()].into());
}

#[test]
fn a_stream_is_ordered_whatever_the_delays() {
    let simulation = simulation(4);
    simulation.run(async {
        simulation.set_net_faults(NetFaults {
            delay: Duration::from_millis(1)..Duration::from_millis(500),
            short_write: 500,
        });
        let (_, _, stream) = pair(&simulation).await;
        let (mut read, mut write) = tokio::io::split(stream);
        let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let expected = sent.clone();
        // More than all buffers hold, so that writing and reading must go on together.
        let writer = spawn_local(async move {
            for piece in sent.chunks(50_000) {
                write.write_all(piece).await.unwrap();
            }
            write.shutdown().await.unwrap();
        });
        let mut found = Vec::new();
        read.read_to_end(&mut found).await.unwrap();
        assert!(found == expected);
        writer.await.unwrap();
    });
}

#[test]
fn a_cut_link_delays_what_was_sent_until_it_is_healed() {
    let simulation = simulation(5);
    simulation.run(async {
        let (server, client, mut stream) = pair(&simulation).await;
        simulation.cut(server, client);
        let within = simulation.within(10 * SECOND, ask(&mut stream, b"hello")).await;
        assert!(within.is_none(), "one way is cut");
        let connecting = simulation.world(client).net.connect("server", 9092);
        assert!(simulation.within(10 * SECOND, connecting).await.is_none());
        simulation.heal_all();
        let mut answer = [0; 5];
        simulation.within(SECOND, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"hello");
        simulation.cut(client, server);
        assert!(simulation.within(10 * SECOND, ask(&mut stream, b"x")).await.is_none());
    });
}

#[test]
fn the_peers_of_a_killed_process_find_out_and_new_ones_are_refused() {
    let simulation = simulation(6);
    simulation.run(async {
        let (server, client, mut stream) = pair(&simulation).await;
        assert_eq!(ask(&mut stream, b"hello").await.unwrap(), b"hello");
        simulation.kill(server);
        assert!(simulation.within(SECOND, ask(&mut stream, b"x")).await.unwrap().is_err());
        let net = simulation.world(client).net;
        let refused = net.connect("10.0.0.1", 9092).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(net.connect("nobody", 9092).await.is_err());
        start_echo(&simulation, server);
        simulation.sleep(SECOND).await;
        let mut stream = net.connect("10.0.0.1", 9092).await.unwrap();
        assert_eq!(ask(&mut stream, b"again").await.unwrap(), b"again");
    });
}

#[test]
fn a_machine_without_power_is_silent_until_it_is_back() {
    let simulation = simulation(7);
    simulation.run(async {
        let (server, client, mut stream) = pair(&simulation).await;
        simulation.power_loss(server);
        assert!(simulation.within(30 * SECOND, ask(&mut stream, b"x")).await.is_none());
        let net = simulation.world(client).net;
        assert!(simulation.within(SECOND, net.connect("server", 9092)).await.is_none());
        start_echo(&simulation, server);
        let mut byte = [0];
        let reset = simulation.within(SECOND, stream.read(&mut byte)).await.unwrap().unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        net.connect("server", 9092).await.unwrap();
    });
}

#[test]
fn a_paused_process_does_nothing_and_then_goes_on() {
    let simulation = simulation(8);
    simulation.run(async {
        let (server, _, mut stream) = pair(&simulation).await;
        simulation.pause(server, 20 * SECOND);
        let before = simulation.elapsed();
        assert_eq!(ask(&mut stream, b"hello").await.unwrap(), b"hello");
        assert!(simulation.elapsed() - before >= 20 * SECOND);
    });
}

#[test]
fn the_tasks_of_a_killed_process_do_nothing_more() {
    let simulation = simulation(9);
    simulation.run(async {
        let host = simulation.add_host("a");
        let count = Rc::new(RefCell::new(0));
        let counter = Rc::clone(&count);
        simulation.start(host, |world| {
            Box::pin(async move {
                let clock = world.clock.clone();
                spawn_local(async move {
                    loop {
                        clock.sleep(SECOND).await;
                        *counter.borrow_mut() += 1;
                    }
                });
                let shard = world.tasks.start_shard(
                    "s".to_owned(),
                    Box::new(|| Box::pin(async { panic!("on purpose") })),
                );
                assert_eq!(shard.await, Err("panicked".to_owned()));
                assert_eq!(blocking(&*world.tasks, Pool::Flush, || 7).await, 7);
            })
        });
        simulation.sleep(10 * SECOND + SECOND / 2).await;
        assert!(simulation.is_running(host));
        simulation.kill(host);
        assert_eq!(*count.borrow(), 10);
        simulation.sleep(10 * SECOND).await;
        assert_eq!(*count.borrow(), 10);
        assert!(!simulation.is_running(host));
        simulation.start(host, |_| Box::pin(async {}));
        simulation.sleep(SECOND).await;
        assert!(!simulation.is_running(host), "a process without tasks has ended");
    });
}

#[test]
fn a_process_can_end_itself() {
    let simulation = simulation(10);
    simulation.run(async {
        let host = simulation.add_host("a");
        let inside = simulation.clone();
        simulation.start(host, move |world| {
            Box::pin(async move {
                inside.kill(host);
                assert!(world.disk.open(Path::new("/f"), OpenMode::Create).is_err());
                world.clock.sleep(SECOND).await;
                unreachable!("it is dead");
            })
        });
        simulation.sleep(10 * SECOND).await;
        assert!(!simulation.is_running(host));
        assert!(!simulation.world(host).disk.exists(Path::new("/f")));
    });
}

#[test]
fn monotonic_time_starts_with_the_process_and_the_wall_clock_jumps() {
    let simulation = simulation(11);
    simulation.run(async {
        let host = simulation.add_host("a");
        let clock = simulation.world(host).clock;
        let wall = clock.wall_ms();
        clock.sleep(5 * SECOND).await;
        assert_eq!((clock.tick(), clock.wall_ms()), (5 * SECOND, wall + 5000));
        simulation.jump_clock(host, -60_000);
        assert_eq!((clock.tick(), clock.wall_ms()), (5 * SECOND, wall - 55_000));
        simulation.kill(host);
        let clock = simulation.world(host).clock;
        assert_eq!((clock.tick(), clock.wall_ms()), (Duration::ZERO, wall - 55_000));
    });
}

#[test]
fn blocking_work_takes_virtual_time() {
    let simulation = simulation(12);
    simulation.run(async {
        let host = simulation.add_host("a");
        let flush = 3 * SECOND..4 * SECOND;
        simulation.set_pool_latency(host, PoolLatency { flush, ..PoolLatency::default() });
        let world = simulation.world(host);
        blocking(&*world.tasks, Pool::Flush, || ()).await;
        assert!(world.clock.tick() >= 3 * SECOND);
    });
}

#[test]
fn a_bucket_keeps_conditions_and_loses_answers() {
    let simulation = simulation(13);
    simulation.run(async {
        let host = simulation.add_host("a");
        let bucket = simulation.bucket(host);
        let bytes = || Bytes::from_static(b"x");
        let tag = bucket.put("a/1", bytes(), Condition::Absent).await.unwrap();
        let twice = bucket.put("a/1", bytes(), Condition::Absent).await;
        assert_eq!(twice, Err(BucketError::Conflict("a/1".to_owned())));
        bucket.put("a/1", bytes(), Condition::Tag(tag.clone())).await.unwrap();
        assert!(bucket.put("a/1", bytes(), Condition::Tag(tag)).await.is_err());
        bucket.put("a/2", bytes(), Condition::None).await.unwrap();
        assert_eq!(bucket.list("a/", Some("a/1"), 10).await.unwrap(), ["a/2"]);
        simulation.set_bucket_faults(BucketFaults { stale_list: 1000, ..BucketFaults::default() });
        assert_eq!(bucket.list("a/", None, 10).await.unwrap(), ["a/1"]);
        simulation.set_bucket_faults(BucketFaults { answer_lost: 1000, ..BucketFaults::default() });
        let lost = bucket.delete("a/2").await.unwrap_err();
        assert!(matches!(lost, BucketError::Unavailable(_)));
        simulation.set_bucket_faults(BucketFaults::default());
        assert_eq!(bucket.get("a/2").await, Err(BucketError::NotFound("a/2".to_owned())));
        simulation.set_bucket_faults(BucketFaults { refused: 1000, ..BucketFaults::default() });
        assert!(bucket.get("a/1").await.is_err());
    });
}

/// Some of everything, with faults.
fn story(seed: u64) -> Trace {
    let simulation = simulation(seed);
    simulation.run(async {
        let server = simulation.add_host("server");
        let clients: Vec<HostId> =
            (0..3).map(|n| simulation.add_host(&format!("client-{n}"))).collect();
        start_echo(&simulation, server);
        for client in &clients {
            simulation.start(*client, |world| {
                Box::pin(async move {
                    for round in 0..50_u32 {
                        world.clock.sleep(Duration::from_millis(100)).await;
                        let Ok(mut stream) = world.net.connect("server", 9092).await else {
                            continue;
                        };
                        let text = world.dice.next_u64("text").to_le_bytes();
                        if ask(&mut stream, &text).await.is_ok() {
                            let disk = world.disk.clone();
                            blocking(&*world.tasks, Pool::Flush, move || {
                                write(&*disk, &format!("/{round}"), &text);
                            })
                            .await;
                        }
                    }
                })
            });
        }
        let mut random = simulation.random("faults");
        for _ in 0..5 {
            simulation.sleep(random.duration(&(Duration::ZERO..SECOND))).await;
            match random.index(3) {
                0 => simulation.kill(server),
                1 => simulation.power_loss(server),
                _ => simulation.cut(clients[0], server),
            }
            simulation.sleep(random.duration(&(Duration::ZERO..SECOND))).await;
            simulation.heal_all();
            if !simulation.is_running(server) {
                start_echo(&simulation, server);
            }
        }
        simulation.power_loss(clients[1]);
        for (path, len) in simulation.disk(clients[1]).files() {
            simulation.note(format_args!("{} {len}", path.display()));
        }
    });
    simulation.trace()
}

#[test]
fn one_seed_gives_one_trace() {
    for seed in 0..10 {
        let (one, two) = (story(seed), story(seed));
        assert_eq!(one.first_difference(&two), None, "seed {seed}");
        assert!(one.events() > 300, "{}", one.events());
        assert_ne!(one.hash(), story(seed + 100).hash());
    }
}
