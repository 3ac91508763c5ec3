//! The order story in six clients, each against a server of its own: one broker, and three that are killed
//! one after another.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use e2e::library::Library;
use e2e::{cache, story};

fn tell(library: Library, brokers: u16) {
    let suite = format!("the story of {} with {brokers} brokers", library.name());
    if cache::is_skipped(&suite, library.tools()).unwrap() {
        return;
    }
    let failures = story::tell(library, brokers).unwrap();
    assert!(failures.is_empty(), "{suite}:\n{}", failures.join("\n"));
}

#[test]
fn kafka_go_tells_the_story() {
    tell(Library::KafkaGo, 1);
}

#[test]
fn kafka_go_tells_the_story_while_brokers_are_killed() {
    tell(Library::KafkaGo, 3);
}

#[test]
fn franz_go_tells_the_story() {
    tell(Library::FranzGo, 1);
}

#[test]
fn franz_go_tells_the_story_while_brokers_are_killed() {
    tell(Library::FranzGo, 3);
}

#[test]
fn java_tells_the_story() {
    tell(Library::Java, 1);
}

#[test]
fn java_tells_the_story_while_brokers_are_killed() {
    tell(Library::Java, 3);
}

#[test]
fn python_tells_the_story() {
    tell(Library::Python, 1);
}

#[test]
fn python_tells_the_story_while_brokers_are_killed() {
    tell(Library::Python, 3);
}

#[test]
fn node_tells_the_story() {
    tell(Library::Node, 1);
}

#[test]
fn node_tells_the_story_while_brokers_are_killed() {
    tell(Library::Node, 3);
}

#[test]
fn kcat_tells_the_story() {
    tell(Library::Kcat, 1);
}

#[test]
fn kcat_tells_the_story_while_brokers_are_killed() {
    tell(Library::Kcat, 3);
}
