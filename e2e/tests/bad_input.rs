//! What a person, a disk or a neighbour gets wrong: a clear message with the place and a hint, and
//! nothing lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "real processes run in real time, beside real files"
)]

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::cache;
use e2e::process::{Process, until};
use e2e::server::{free_port, klamm_binary, without_our_settings};

const LIMIT: Duration = Duration::from_secs(30);
/// How long a single command may take, in seconds.
const PATIENCE: &str = "10";
const CLUSTER: &str = "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: shop}\n";
const TOPIC: &str = "---\napiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {name: orders}\n";
const SMALL: &str = "spec: {replicas: 1, storage: {size: 1Gi}}\n";
/// How long the one line of a batch's value is, about.
const VALUE: usize = 500;

/// A person at a terminal, with a folder of their own.
struct Desk {
    folder: tempfile::TempDir,
    klamm: PathBuf,
    port: u16,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("klamm-e2e-").tempdir().unwrap();
        Self { folder, klamm: klamm_binary().unwrap(), port: free_port().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, cluster: &str, topic: &str) {
        let text =
            format!("{CLUSTER}{cluster}{TOPIC}spec: {{clusterRef: {{name: shop}}, {topic}}}\n");
        fs::write(self.path("shop.yaml"), text).unwrap();
    }

    fn command(&self) -> Command {
        self.command_of(&self.klamm)
    }

    fn command_of(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        without_our_settings(&mut command);
        command.current_dir(self.folder.path());
        command
    }

    fn up(&self, data: &str) -> Process {
        let mut command = self.command();
        command.args(["up", "--file", "shop.yaml", "--http", "off", "--data-dir", data]);
        command.arg("--listen").arg(self.address());
        Process::start("klamm up", &mut command, |_| None).unwrap()
    }

    /// Starts, and waits until the topic is there.
    fn up_and_ready(&self, data: &str) -> Process {
        let process = self.up(data);
        let ready = until("the topic is there", LIMIT, || {
            Ok(self.run(&["topic", "describe", "orders"], "").0.then_some(()))
        });
        ready.unwrap_or_else(|error| panic!("{error:#}\n{}", process.notes()));
        process
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command against the broker: whether it succeeded, and all that it said.
    fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        // A producer tries for two minutes; nobody here waits for that long.
        let mut command = self.command_of("timeout");
        command.args(["--signal=KILL", PATIENCE]).arg(&self.klamm);
        command.args(arguments).args(["--bootstrap", &self.address(), "--timeout", "3s"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without having read all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Sends `count` numbered records to partition 1; whether all were acknowledged.
    fn produce(&self, from: usize, count: usize) -> (bool, String) {
        let filler = "x".repeat(VALUE);
        let lines: String = (from..from + count).map(|n| format!("{n:06} {filler}\n")).collect();
        self.run(&["produce", "orders", "--partition", "1"], &lines)
    }

    /// The numbers of the records in partition 1, in their order.
    fn consume(&self) -> (bool, Vec<usize>, String) {
        let all = ["consume", "orders", "--partition", "1", "--from", "beginning", "--exit-at-end"];
        let (is_whole, said) = self.run(&all, "");
        let number = |line: &str| line.split(' ').next()?.parse().ok();
        (is_whole, said.lines().filter_map(number).collect(), said)
    }

    /// What `klamm up` says before it ends by itself, with a failure.
    fn refused(&self, data: &str) -> String {
        let mut process = self.up(data);
        let status = process.wait(LIMIT).unwrap();
        assert_eq!(status.code(), Some(1), "{}", process.notes());
        process.notes()
    }
}

/// Waits until a running `klamm up` says all of this.
fn says(process: &Process, expected: &[&str]) {
    let heard = until("it says so", LIMIT, || {
        let notes = process.notes();
        Ok(expected.iter().all(|text| notes.contains(text)).then_some(()))
    });
    heard.unwrap_or_else(|_| panic!("expected {expected:?} in\n{}", process.notes()));
}

fn contains(said: &str, expected: &[&str]) {
    for text in expected {
        assert!(said.contains(text), "expected {text:?} in\n{said}");
    }
}

#[test]
fn wrong_yaml_is_refused_with_its_place() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4");
    let text = fs::read_to_string(desk.path("shop.yaml")).unwrap();
    fs::write(desk.path("shop.yaml"), text.trim_end().trim_end_matches('}')).unwrap();
    contains(&desk.refused("data"), &["error: shop.yaml:9:7: not YAML"]);
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_name() {
    let desk = Desk::new();
    desk.write(SMALL, "partitons: 4");
    let said = desk.refused("data");
    contains(
        &said,
        &["shop.yaml:9:", "spec.partitons: unknown field", "hint: did you mean partitions?"],
    );
}

#[test]
fn unknown_settings_are_refused_with_the_nearest_name() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4, config: {retention.mss: \"5\"}");
    let mut up = desk.up("data");
    says(
        &up,
        &["Topic default/orders InvalidConfig", "retention.mss", "did you mean retention.ms?"],
    );
    up.stop().unwrap();
    let wrong = "spec: {replicas: 1, storage: {size: 1Gi}, config: {log.retention.hurs: \"5\"}}\n";
    desk.write(wrong, "partitions: 4");
    let mut up = desk.up("data");
    says(&up, &["Cluster default/shop InvalidConfig", "did you mean log.retention.hours?"]);
    up.stop().unwrap();
    fs::write(desk.path("broker.properties"), "log.dirs=b\nlog.retention.hurs=5\n").unwrap();
    let output = desk.command().args(["broker", "--config", "broker.properties"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    contains(&said, &["error: broker.properties:", "hint: did you mean log.retention.hours?"]);
}

#[test]
fn a_topic_never_shrinks_and_loses_nothing() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4");
    let mut up = desk.up_and_ready("data");
    assert!(desk.produce(0, 100).0);
    desk.write(SMALL, "partitions: 1");
    says(&up, &["Topic default/orders", "cannot shrink"]);
    assert_eq!(desk.consume().1, (0..100).collect::<Vec<_>>());
    up.stop().unwrap();
}

#[test]
fn a_port_in_use_and_a_folder_in_use_are_named() {
    let mut desk = Desk::new();
    desk.write(SMALL, "partitions: 4");
    let taken = TcpListener::bind(("127.0.0.1", desk.port)).unwrap();
    contains(&desk.refused("data"), &["error: cannot listen on", &desk.address(), "hint: "]);
    drop(taken);
    let mut first = desk.up_and_ready("data");
    desk.port = free_port().unwrap();
    contains(&desk.refused("data"), &["error: data is in use by another klamm", "hint: "]);
    first.stop().unwrap();
}

#[test]
fn a_damaged_index_is_made_anew_and_loses_nothing() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4");
    let mut up = desk.up_and_ready("data");
    for from in (0..2000).step_by(100) {
        assert!(desk.produce(from, 100).0);
    }
    up.stop().unwrap();
    let index = desk.path("data/orders-1/00000000000000000000.index");
    let size = fs::metadata(&index).unwrap().len();
    assert!(size > 0, "nothing to damage");
    fs::write(&index, vec![0xa5; usize::try_from(size).unwrap() + 3]).unwrap();
    contains(&doctor(&desk, "data/orders-1"), &["PROBLEM", ".index"]);
    let mut up = desk.up_and_ready("data");
    assert_eq!(desk.consume().1, (0..2000).collect::<Vec<_>>());
    up.kill().unwrap();
    // And after a crash.
    fs::write(&index, b"half").unwrap();
    let mut up = desk.up_and_ready("data");
    assert_eq!(desk.consume().1, (0..2000).collect::<Vec<_>>());
    up.stop().unwrap();
}

#[test]
fn a_rotten_batch_is_named_and_never_served() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4");
    let mut up = desk.up_and_ready("data");
    for from in (0..2000).step_by(100) {
        assert!(desk.produce(from, 100).0);
    }
    up.stop().unwrap();
    let log = desk.path("data/orders-1/00000000000000000000.log");
    let before = fs::metadata(&log).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(&log).unwrap();
    // Within the value of a record, far from any header.
    file.seek(SeekFrom::Start(before / 2 + 1000)).unwrap();
    file.write_all(b"rotten").unwrap();
    contains(&doctor(&desk, "data/orders-1"), &["isvalid: false"]);
    let mut up = desk.up_and_ready("data");
    let (is_whole, read, _) = desk.consume();
    assert!(!is_whole, "a reader is told");
    assert_eq!(read, (0..read.len()).collect::<Vec<_>>());
    assert!(read.len() < 2000, "a rotten batch was served");
    says(&up, &["corrupt batch", "orders-1/00000000000000000000.log", "checksum"]);
    assert!(!desk.consume().0, "it is told again");
    assert_eq!(up.notes().matches("corrupt batch").count(), 1, "told once: {}", up.notes());
    up.stop().unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), before, "the rest is kept for whoever mends it");
}

#[test]
fn a_full_disk_refuses_records_and_loses_none() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4");
    let Some(disk) = SmallDisk::mount(&desk.path("disk"), "6m") else { return };
    let mut up = desk.up_and_ready("disk/data");
    let mut acked = 0;
    while desk.produce(acked, 500).0 {
        acked += 500;
        assert!(acked < 20_000, "6 MiB do not hold this");
    }
    says(&up, &["no space left"]);
    let is_prefix = |read: &[usize]| read.len() >= acked && read.iter().copied().eq(0..read.len());
    let (_, read, said) = desk.consume();
    assert!(is_prefix(&read), "{acked} were acknowledged, {} read: {said}", read.len());
    up.kill().unwrap();
    let mut up = desk.up_and_ready("disk/data");
    let (_, read, said) = desk.consume();
    assert!(is_prefix(&read), "after a kill: {acked}, {} read: {said}", read.len());
    // Room again: it goes on by itself.
    disk.remount("size=64m");
    let again = until("records are taken again", LIMIT, || Ok(desk.produce(0, 1).0.then_some(())));
    again.unwrap_or_else(|error| panic!("{error:#}\n{}", up.notes()));
    up.stop().unwrap();
    disk.remount("ro");
    contains(&desk.refused("disk/data"), &["error: ", "read-only", "hint: "]);
}

#[test]
fn a_log_that_cannot_be_written_any_more_ends_klamm_up_which_says_why() {
    let desk = Desk::new();
    desk.write(SMALL, "partitions: 4, config: {segment.bytes: '1048576'}");
    let mut up = desk.up_and_ready("data");
    assert!(desk.produce(0, 500).0);
    // The next segment has no folder.
    fs::remove_dir_all(desk.path("data/orders-1")).unwrap();
    let refused = (0..20).any(|_| !desk.produce(0, 500).0);
    assert!(refused, "5 MB were written to nowhere");
    let status = up.wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(1), "{}", up.notes());
    contains(&up.notes(), &["error: this broker's disk has failed", "orders-1", "hint: "]);
}

/// What `klamm doctor log` says of a folder with something wrong in it.
fn doctor(desk: &Desk, folder: &str) -> String {
    let output = desk.command().args(["doctor", "log", folder, "--problems"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "doctor finds nothing");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file system of its own, as small as we want it. Needs to be root, or sudo without a password.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None`, with a message, where that may not be done.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let at = at.to_owned();
        let options = format!("size={size},mode=0777");
        if privileged(&["mount", "-t", "tmpfs", "-o", &options, "none"], &at) {
            return Some(Self { at });
        }
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "cannot mount a small disk");
        println!("skipped: a full disk: mounting one needs root");
        None
    }

    fn remount(&self, options: &str) {
        assert!(privileged(&["mount", "-o", &format!("remount,{options}")], &self.at));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        privileged(&["umount", "-l"], &self.at);
    }
}

fn privileged(command: &[&str], at: &Path) -> bool {
    let is_root = cache::run(Command::new("id").arg("-u")).unwrap().trim() == "0";
    let prefix: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
    let words = [prefix, command].concat();
    let done = Command::new(words[0]).args(&words[1..]).arg(at).output();
    done.is_ok_and(|done| done.status.success())
}
