//! Apache Kafka's own tools against three brokers: topics, reassignments, elections, the quorum.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "real processes run beside real files; a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::kafka::Kafka;
use e2e::process::until;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const ELECT: &str = "org.apache.kafka.tools.LeaderElectionCommand";
const QUORUM: &str = "org.apache.kafka.tools.MetadataQuorumCommand";
const TOPIC: &str = "order-placed";
const LIMIT: Duration = Duration::from_secs(60);

/// Kafka's tools and who they talk to.
struct Tools {
    kafka: Kafka,
    cluster: Cluster,
    scratch: tempfile::TempDir,
}

impl Tools {
    fn start() -> Result<Option<Self>> {
        let Some(kafka) = Kafka::find()? else { return Ok(None) };
        let cluster = Cluster::start(3, &[])?;
        Ok(Some(Self { kafka, cluster, scratch: tempfile::tempdir()? }))
    }

    fn run(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let bootstrap = self.cluster.bootstrap();
        let server = ["--bootstrap-server", &bootstrap];
        let said = self.kafka.tool(class, &[&server, arguments].concat())?;
        println!("{class} {arguments:?}\n{said}");
        Ok(said)
    }

    /// A file to be named to a tool.
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.scratch.path().join(name);
        fs::write(&path, text)?;
        path.to_str().map(str::to_owned).context("the folder's path is not UTF-8")
    }

    /// What `kafka-topics --describe` says of each partition: its fields by their names.
    fn described(&self) -> Result<Vec<Described>> {
        let said = self.run(TOPICS, &["--describe", "--topic", TOPIC])?;
        let lines = said.lines().filter(|line| line.contains("\tPartition: "));
        lines.map(|line| Described::read(line).with_context(|| line.to_owned())).collect()
    }
}

/// A line of `kafka-topics --describe`.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    leader: String,
    replicas: Vec<String>,
    isr: BTreeSet<String>,
}

impl Described {
    fn read(line: &str) -> Option<Self> {
        let field = |name: &str| {
            let text = line.split('\t').find_map(|part| part.trim().strip_prefix(name))?;
            Some(text.trim().to_owned())
        };
        let list = |name: &str| Some(field(name)?.split(',').map(str::to_owned).collect());
        let isr: Vec<String> = list("Isr:")?;
        Some(Self {
            leader: field("Leader:")?,
            replicas: list("Replicas:")?,
            isr: isr.into_iter().collect(),
        })
    }
}

#[test]
fn kafka_topics_creates_describes_grows_and_deletes() {
    let Some(tools) = Tools::start().unwrap() else { return };
    topics(&tools).unwrap();
}

fn topics(tools: &Tools) -> Result<()> {
    let shape = ["--partitions", "6", "--replication-factor", "3"];
    let setting = ["--config", "min.insync.replicas=2"];
    let create = ["--create", "--topic", TOPIC];
    let said = tools.run(TOPICS, &[create.as_slice(), &shape, &setting].concat())?;
    ensure!(said.contains(&format!("Created topic {TOPIC}")), "{said}");
    tools.cluster.settle(TOPIC)?;
    let partitions = tools.described()?;
    ensure!(partitions.len() == 6, "{partitions:?}");
    for partition in &partitions {
        ensure!(partition.replicas.len() == 3 && partition.isr.len() == 3, "{partition:?}");
        ensure!(partition.replicas[0] == partition.leader, "{partition:?}");
    }
    let leaders: BTreeSet<&String> = partitions.iter().map(|it| &it.leader).collect();
    ensure!(leaders.len() == 3, "{partitions:?}");
    let said = tools.run(TOPICS, &["--describe", "--topic", TOPIC])?;
    ensure!(said.contains("min.insync.replicas=2"), "{said}");
    let said = tools.run(TOPICS, &["--describe", "--under-replicated-partitions"])?;
    ensure!(!said.contains(TOPIC), "{said}");

    tools.run(TOPICS, &["--alter", "--topic", TOPIC, "--partitions", "9"])?;
    ensure!(tools.described()?.len() == 9);
    let said = tools.run(TOPICS, &["--alter", "--topic", TOPIC, "--partitions", "4"])?;
    ensure!(said.contains("InvalidPartitionsException"), "{said}");
    let said = tools.run(TOPICS, &[create.as_slice(), &shape].concat())?;
    ensure!(said.contains("TopicExistsException"), "{said}");

    tools.run(TOPICS, &["--delete", "--topic", TOPIC])?;
    let said = tools.run(TOPICS, &["--list"])?;
    ensure!(!said.contains(TOPIC), "{said}");
    Ok(())
}

#[test]
fn kafka_reassign_partitions_moves_replicas_and_changes_their_number() {
    let Some(tools) = Tools::start().unwrap() else { return };
    reassignments(&tools).unwrap();
}

fn reassignments(tools: &Tools) -> Result<()> {
    let assign = ["--replica-assignment", "1:2,2:1,1:2"];
    tools.run(TOPICS, &[&["--create", "--topic", TOPIC], assign.as_slice()].concat())?;
    let topics = format!(r#"{{"version":1,"topics":[{{"topic":"{TOPIC}"}}]}}"#);
    let topics = tools.file("topics.json", &topics)?;
    let generate = ["--generate", "--topics-to-move-json-file", &topics, "--broker-list", "1,2,3"];
    let said = tools.run(REASSIGN, &generate)?;
    ensure!(said.contains("Proposed partition reassignment configuration"), "{said}");

    let moves = [[3, 1].as_slice(), &[2, 3], &[1, 2, 3]];
    let moves: Vec<String> = (0..)
        .zip(moves)
        .map(|(id, to): (i32, &[i32])| {
            format!(r#"{{"topic":"{TOPIC}","partition":{id},"replicas":{to:?}}}"#)
        })
        .collect();
    let plan = format!(r#"{{"version":1,"partitions":[{}]}}"#, moves.join(","));
    let plan = tools.file("plan.json", &plan)?;
    let said = tools.run(REASSIGN, &["--execute", "--reassignment-json-file", &plan])?;
    ensure!(said.contains("Successfully started partition reassignments"), "{said}");
    until("the moves are complete", LIMIT, || {
        let verify = ["--verify", "--reassignment-json-file", &plan];
        let said = tools.run(REASSIGN, &verify)?;
        Ok((said.matches("is completed").count() == 3).then_some(()))
    })?;
    let said = tools.run(REASSIGN, &["--list"])?;
    ensure!(said.contains("No partition reassignments found"), "{said}");
    let found: Vec<Vec<String>> = tools.described()?.into_iter().map(|it| it.replicas).collect();
    ensure!(found == [vec!["3", "1"], vec!["2", "3"], vec!["1", "2", "3"]], "{found:?}");
    Ok(())
}

#[test]
fn kafka_leader_election_gives_preferred_replicas_their_partitions_back() {
    let Some(mut tools) = Tools::start().unwrap() else { return };
    elections(&mut tools).unwrap();
}

fn elections(tools: &mut Tools) -> Result<()> {
    tools.cluster.create_topic(TOPIC, 6)?;
    tools.cluster.settle(TOPIC)?;
    tools.cluster.kill(2)?;
    let elsewhere = |partition: &Described| partition.leader != partition.replicas[0];
    until("others lead", LIMIT, || {
        let partitions = tools.described()?;
        Ok(partitions.iter().all(|it| it.leader != "2" && it.isr.len() == 2).then_some(()))
    })?;
    let said = tools.run(TOPICS, &["--describe", "--under-replicated-partitions"])?;
    ensure!(said.matches("\tPartition: ").count() == 6, "{said}");
    tools.cluster.start_broker(2)?;
    tools.cluster.wait_until_ready(2)?;
    tools.cluster.settle(TOPIC)?;
    ensure!(tools.described()?.iter().any(elsewhere), "nothing is to be given back");

    let all = ["--election-type", "preferred", "--all-topic-partitions"];
    let said = tools.run(ELECT, &all)?;
    ensure!(said.contains("Successfully completed leader election (PREFERRED)"), "{said}");
    ensure!(!tools.described()?.iter().any(elsewhere), "{:?}", tools.described()?);
    let one = ["--election-type", "preferred", "--topic", TOPIC, "--partition", "0"];
    let said = tools.run(ELECT, &one)?;
    ensure!(said.contains("Valid replica already elected"), "{said}");
    Ok(())
}

#[test]
fn kafka_metadata_quorum_tells_who_leads_and_who_follows() {
    let Some(tools) = Tools::start().unwrap() else { return };
    quorum(&tools).unwrap();
}

fn quorum(tools: &Tools) -> Result<()> {
    let leader = tools.cluster.controller()?;
    let said = tools.run(QUORUM, &["describe", "--status"])?;
    let status = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    ensure!(status("LeaderId:") == Some(leader.to_string()), "{said}");
    for id in tools.cluster.ids() {
        let voters = status("CurrentVoters:").with_context(|| said.clone())?;
        ensure!(voters.contains(&format!("\"id\": {id}")), "{said}");
    }
    let said = tools.run(QUORUM, &["describe", "--replication"])?;
    let roles = |role: &str| said.lines().filter(|line| line.contains(role)).count();
    ensure!(roles("Leader") == 1 && roles("Follower") == 2, "{said}");
    Ok(())
}
