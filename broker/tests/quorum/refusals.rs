//! Whom a voter does not listen to, and who does not become one.

use std::time::Duration;

use broker::Broker;
use config::Settings;
use tokio::io::AsyncWriteExt;
use tokio::task::LocalSet;
use wire::{ErrorCode, FetchRequest, QuorumMessageRequest, Str, Uuid, frame};
use world::World;
use world::real::RealOptions;

use super::cluster::{CLUSTER_ID, Cluster, PORT, TIMEOUT, run};

const HELLO: i8 = 0;
const VOTE: i8 = 2;
const APPEND: i8 = 3;

/// What node 1 answers to a message.
async fn answer(cluster: &Cluster, cluster_id: &str, kind: i8) -> Option<ErrorCode> {
    let request = QuorumMessageRequest {
        cluster_id: Str::from(cluster_id),
        from: 2,
        to_directory: Uuid([7; 16]),
        kind,
        ..Default::default()
    };
    let connection = cluster.connect(1).await.expect("it listens");
    let answer = connection.ask(&request, TIMEOUT).await.expect("it answers");
    ErrorCode::from_number(answer.error_code)
}

#[test]
fn a_message_for_another_cluster_or_another_disk_is_refused() {
    run(70, async |cluster| {
        cluster.settle().await;
        let other = "AAAAAAAAAAAAAAAAAAAAAg";
        let code = answer(cluster, other, HELLO).await;
        assert_eq!(code, Some(ErrorCode::InconsistentClusterId));
        assert_eq!(answer(cluster, CLUSTER_ID, HELLO).await, Some(ErrorCode::None));
        assert_eq!(answer(cluster, CLUSTER_ID, VOTE).await, Some(ErrorCode::InvalidVoterKey));
        assert_eq!(answer(cluster, CLUSTER_ID, 99).await, Some(ErrorCode::InvalidRequest));
    });
}

/// What node 1 answers to one who says that it is node 2.
async fn answer_to(cluster: &Cluster, request: QuorumMessageRequest) -> Option<ErrorCode> {
    let request = QuorumMessageRequest {
        cluster_id: Str::from(CLUSTER_ID),
        from: 2,
        from_directory: cluster.directory(2),
        to_directory: cluster.directory(1),
        ..request
    };
    let connection = cluster.connect(1).await.expect("it listens");
    let answer = connection.ask(&request, TIMEOUT).await.expect("it answers");
    ErrorCode::from_number(answer.error_code)
}

#[test]
fn a_message_that_no_voter_sends_ends_nothing() {
    run(71, async |cluster| {
        cluster.settle().await;
        cluster.create("topic-000").await;
        let (term, blank) = (9u64.to_be_bytes(), [0]);
        let strange = u64::MAX.to_be_bytes();
        let usual = 2u64.to_be_bytes();
        let append = |voted_for: [u8; 8], entries: &[u64]| {
            let mut body = [&term[..], &voted_for, &[1], &[0]].concat();
            body.extend(u32::try_from(entries.len()).expect("few").to_be_bytes());
            for index in entries {
                body.extend([&term[..], &index.to_be_bytes(), &blank].concat());
            }
            body.push(0);
            QuorumMessageRequest { kind: APPEND, body: body.into(), ..Default::default() }
        };
        let invalid = Some(ErrorCode::InvalidRequest);
        assert_eq!(answer_to(cluster, append(strange, &[])).await, invalid);
        assert_eq!(answer_to(cluster, append(usual, &[0, 7])).await, invalid);
        let message = QuorumMessageRequest {
            kind: VOTE,
            recoveries: 7,
            recovery: Uuid([7; 16]),
            ..Default::default()
        };
        assert_eq!(answer_to(cluster, message).await, Some(ErrorCode::NotController));
        cluster.simulation.sleep(Duration::from_secs(2)).await;
        assert_eq!(cluster.failure(1), None);
        assert!(!cluster.has_file(1, "quorum.over"));
        cluster.settle().await;
        cluster.create("topic-001").await;
    });
}

/// Why a broker with these settings does not start.
fn refused(more: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let dir = folder.path().join("data");
    let mut settings: config::Properties = [
        ("log.dirs", dir.to_str().expect("its name is text")),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("klamm.http.listener", ""),
        ("node.id", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    settings.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let settings = Settings::resolve(settings).expect("the settings are good");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    LocalSet::new().block_on(&runtime, async {
        let started = Broker::start(World::real(RealOptions::default()), settings).await;
        started.err().expect("it does not start").to_string()
    })
}

#[test]
fn voters_on_other_nodes_need_one_cluster_id() {
    for voters in ["1@localhost:1,2@localhost:2", "2@localhost:2"] {
        let why = refused(&[("controller.quorum.voters", voters)]);
        assert!(why.contains("klamm.cluster.id is not set; hint: give all of them"), "{why}");
    }
}

#[test]
fn a_frame_that_does_not_come_is_not_waited_for_whatever_else_runs() {
    run(96, async |cluster| {
        let id = cluster.settle().await;
        let host = cluster.host(id).address().to_string();
        let clients = cluster.clients();
        let mut stream = clients.world().net.connect(&host, PORT).await.expect("it listens");
        let poll = FetchRequest { max_wait_ms: i32::MAX, min_bytes: 1, ..Default::default() };
        let poll = frame::request(&poll, 12, 1, None).expect("it can be written").into_bytes();
        // And the beginning of a Metadata request of 100 MiB.
        let sent = [&poll[..], &[0x06, 0x40, 0x00, 0x00, 0x00, 0x03]].concat();
        stream.write_all(&sent).await.expect("it is read");
        let began = cluster.simulation.elapsed();
        // Whoever connects asks what is spoken, which waits as well.
        while cluster.connect(id).await.is_err() {
            let passed = cluster.simulation.elapsed().saturating_sub(began);
            assert!(
                passed < Duration::from_secs(30),
                "others wait for longer than a frame may take"
            );
        }
    });
}
