//! What a version lacks is never dropped silently, and what is not known is kept.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;

use wire::fetch::request::{FetchTopic, ForgottenTopic};
use wire::{
    DecodeError, EncodeError, FetchRequest, Message, MetadataRequest, TaggedFields, Writer,
};

#[test]
fn a_field_that_the_version_lacks_is_refused_by_name() {
    let request = FetchRequest {
        forgotten_topics_data: vec![ForgottenTopic::default()],
        ..FetchRequest::default()
    };
    let field = "FetchRequest.forgotten_topics_data";
    assert_eq!(request.to_bytes(6), Err(EncodeError::FieldNotInVersion { field, version: 6 }));
    assert!(request.to_bytes(7).is_ok());
}

#[test]
fn a_field_that_kafka_lets_drop_is_dropped() {
    let request = FetchRequest { rack_id: "a".into(), ..FetchRequest::default() };
    let bytes = request.to_bytes(10).unwrap();
    assert_eq!(FetchRequest::decode_exact(bytes, 10).unwrap(), FetchRequest::default());
}

#[test]
fn null_is_refused_where_the_version_has_none() {
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let field = "MetadataRequest.topics";
    assert_eq!(request.to_bytes(0), Err(EncodeError::NullNotInVersion { field, version: 0 }));
    let bytes = request.to_bytes(1).unwrap();
    assert_eq!(MetadataRequest::decode_exact(bytes, 1).unwrap().topics, None);
    let null = Bytes::from_static(&[0xff; 4]);
    assert_eq!(MetadataRequest::decode_exact(null, 0), Err(DecodeError::UnexpectedNull));
}

#[test]
fn unknown_tagged_fields_survive_and_need_a_version_that_has_them() {
    let mut unknown = TaggedFields::EMPTY;
    unknown.push(77, Bytes::from_static(b"later"));
    let topic = FetchTopic { unknown, ..FetchTopic::default() };
    let request = FetchRequest { topics: vec![topic], ..FetchRequest::default() };
    let bytes = request.to_bytes(12).unwrap();
    assert_eq!(FetchRequest::decode_exact(bytes, 12).as_ref(), Ok(&request));
    let message = "FetchTopic";
    assert_eq!(request.to_bytes(11), Err(EncodeError::TagsNotInVersion { message, version: 11 }));
}

#[test]
fn a_version_that_the_message_lacks_is_refused() {
    let message = "FetchRequest";
    let mut w = Writer::new();
    assert_eq!(
        FetchRequest::default().encode(&mut w, 19),
        Err(EncodeError::UnsupportedVersion { message, version: 19 })
    );
    assert!(w.is_empty());
}
