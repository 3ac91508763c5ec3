//! What is deleted stays deleted, and nothing else goes with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::admin::{NewTopic, OffsetAt};
use client::{Admin, Isolation, TopicPartition};

use super::cluster::{Cluster, run};
use super::topics::produce;

const TOPIC: &str = "orders";

async fn create(admin: &Admin, settings: &[(&str, &str)]) {
    let configs = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: Some(1),
        replicas: Some(3),
        configs: configs.collect(),
    };
    admin.create_topic(&topic, false).await.expect("it is created");
}

async fn leader(admin: &Admin) -> i32 {
    let topics = admin.topics(Some(&[TOPIC.to_owned()])).await.expect("it is there");
    topics.topics[TOPIC].partitions[&0].leader.expect("it has one")
}

fn partition() -> TopicPartition {
    TopicPartition::new(TOPIC, 0)
}

async fn delete_below(admin: &Admin, offset: i64) -> i64 {
    let before = BTreeMap::from([(partition(), offset)]);
    admin.delete_records(&before).await.expect("they are deleted")[&partition()]
}

async fn start(admin: &Admin) -> i64 {
    let of = [partition()].into();
    let found = admin.list_offsets(OffsetAt::Earliest, &of, Isolation::Uncommitted).await;
    found.expect("it is led")[&partition()].offset
}

/// Files of the topic's partition that end so, on a broker.
fn files(cluster: &Cluster, id: i32, end: &str) -> Vec<String> {
    let folder = Path::new("/data").join(format!("{TOPIC}-0"));
    let files = cluster.simulation.disk(cluster.host(id)).files();
    let names = files.into_iter().filter(|(path, _)| path.parent() == Some(&*folder));
    let text = |path: &Path| path.file_name().map(|it| it.to_string_lossy().into_owned());
    let names = names.filter_map(|(path, _)| text(&path));
    names.filter(|name| name.ends_with(end)).collect()
}

#[test]
fn records_that_were_deleted_do_not_come_back_with_another_leader() {
    run(170, async |cluster| {
        cluster.settle().await;
        let admin = Admin::new(cluster.clients());
        create(&admin, &[]).await;
        for _ in 0..10 {
            produce(cluster, TOPIC, 1).await;
        }
        assert_eq!(delete_below(&admin, 5).await, 5);
        let before = leader(&admin).await;
        cluster.kill(before);
        cluster.within(Duration::from_secs(10), "others lead", |it| it.leader().is_some()).await;
        while leader(&admin).await == before {
            cluster.simulation.sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(start(&admin).await, 5);
    });
}

#[test]
fn segments_go_from_every_replica() {
    run(171, async |cluster| {
        let any = cluster.settle().await;
        let admin = Admin::new(cluster.clients());
        create(&admin, &[("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")]).await;
        produce(cluster, TOPIC, 200).await;
        assert!(files(cluster, any, ".log").len() > 2);
        delete_below(&admin, -1).await;
        let one_left = |it: &Cluster| (1..=3).all(|id| files(it, id, ".log").len() == 1);
        cluster.within(Duration::from_secs(10), "old segments are gone", one_left).await;
    });
}

#[test]
fn a_topic_that_is_created_anew_keeps_what_is_written_to_it() {
    run(172, async |cluster| {
        cluster.settle().await;
        let admin = Admin::new(cluster.clients());
        create(&admin, &[("segment.bytes", "1048576"), ("file.delete.delay.ms", "20000")]).await;
        produce(cluster, TOPIC, 100).await;
        // The files of old segments stay for a while.
        delete_below(&admin, -1).await;
        admin.delete_topic(TOPIC).await.expect("it is deleted");
        cluster.simulation.sleep(Duration::from_secs(2)).await;
        create(&admin, &[]).await;
        produce(cluster, TOPIC, 1).await;
        cluster.simulation.sleep(Duration::from_secs(30)).await;
        for id in 1..=3 {
            assert_eq!(files(cluster, id, ".log"), ["00000000000000000000.log"], "broker {id}");
        }
    });
}
