//! Answers ApiKey 10010, WatchMetadata: what has changed since a version, by name, for whoever wants to
//! look again only at that. It waits until something has.
//!
//! Any broker may answer: all that it has was decided for good. Versions are the same on all of them.

use std::collections::BTreeSet;

use engine::metadata::{Image, Resource, Subject};
use wire::watch_metadata::response::ChangedResource;
use wire::{Str, WatchMetadataRequest, WatchMetadataResponse};

use super::super::cluster::fetch_metadata::newer_than;
use super::super::context::Call;
use crate::metadata::decode_records;

/// Bytes of records that one answer looks through; the next one goes on behind them.
const BYTES_MAX: usize = 1 << 20;

/// The type of the cluster itself, which has no settings of its own.
const CLUSTER: i8 = 0;

pub(crate) async fn handle(call: Call, request: WatchMetadataRequest) -> WatchMetadataResponse {
    let shared = call.shared();
    let known = u64::try_from(request.version).unwrap_or(0);
    newer_than(shared, known, request.max_wait_ms).await;
    let state = shared.state();
    let answer = |version: u64| WatchMetadataResponse {
        version: i64::try_from(version).unwrap_or(i64::MAX),
        ..Default::default()
    };
    if state.version <= known {
        return answer(known);
    }
    let whole = || WatchMetadataResponse { is_whole: true, ..answer(state.version) };
    let Some(entries) = shared.recent.behind(known, BYTES_MAX).filter(|_| known > 0) else {
        return whole();
    };
    let mut subjects = BTreeSet::new();
    let mut last = known;
    for (version, records) in entries {
        let Ok(records) = decode_records(&records) else { return whole() };
        subjects.extend(records.iter().filter_map(engine::metadata::Record::subject));
        last = version;
    }
    let changed = subjects.into_iter().map(|subject| told(&state.image, subject));
    WatchMetadataResponse { changed: changed.collect(), ..answer(last) }
}

fn told(image: &Image, subject: Subject) -> ChangedResource {
    match subject {
        Subject::Cluster => ChangedResource { r#type: CLUSTER, ..Default::default() },
        Subject::Broker(id) => {
            let name = Str::from(id.to_string());
            ChangedResource { r#type: Resource::BROKER, name, ..Default::default() }
        }
        Subject::Topic(topic_id) => {
            let topic = image.topic_by_id(topic_id);
            let name = topic.map(|topic| Str::from(&*topic.name)).unwrap_or_default();
            ChangedResource { r#type: Resource::TOPIC, name, topic_id, ..Default::default() }
        }
        Subject::Settings(resource) => {
            let (r#type, name) = (resource.code(), Str::from(resource.name()));
            ChangedResource { r#type, name, ..Default::default() }
        }
    }
}
