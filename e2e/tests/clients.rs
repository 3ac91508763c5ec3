//! The order story in six clients, each against a server of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use e2e::library::Library;
use e2e::{cache, story};

fn tell(library: Library) {
    let suite = format!("the story of {}", library.name());
    if cache::is_skipped(&suite, library.tools()).unwrap() {
        return;
    }
    let failures = story::tell(library).unwrap();
    assert!(failures.is_empty(), "{suite}:\n{}", failures.join("\n"));
}

#[test]
fn kafka_go_tells_the_story() {
    tell(Library::KafkaGo);
}

#[test]
fn franz_go_tells_the_story() {
    tell(Library::FranzGo);
}

#[test]
fn java_tells_the_story() {
    tell(Library::Java);
}

#[test]
fn python_tells_the_story() {
    tell(Library::Python);
}

#[test]
fn node_tells_the_story() {
    tell(Library::Node);
}

#[test]
fn kcat_tells_the_story() {
    tell(Library::Kcat);
}
