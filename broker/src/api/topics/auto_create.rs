//! Topics that nobody created and somebody needs: those that a client names (`auto.create.topics.enable`),
//! and those in which brokers keep their own state.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::metadata::{is_internal, new_internal_topic};
use wire::create_topics::request::{CreatableTopic, CreatableTopicConfig};
use wire::{CreateTopicsRequest, ErrorCode, Str};

use super::super::context::Call;
use crate::metadata::State;

/// How long the controller may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Has the controller create topics. Gives those that are still not there, and why.
pub(in crate::api) async fn create(
    call: &Call,
    names: impl IntoIterator<Item = String>,
) -> BTreeMap<String, (ErrorCode, String)> {
    let state = call.state();
    let topics: Vec<CreatableTopic> =
        names.into_iter().map(|name| describe(&state, &name)).collect();
    let request = CreateTopicsRequest {
        topics: topics.clone(),
        timeout_ms: i32::try_from(TIMEOUT.as_millis()).expect("it is seconds"),
        ..Default::default()
    };
    let answer = match call.shard().link.ask(request, TIMEOUT).await {
        Ok(answer) => answer,
        Err(error) => {
            // The client asks again: it was told that they do not exist.
            let failed = (ErrorCode::LeaderNotAvailable, error.to_string());
            return topics.iter().map(|one| (one.name.to_string(), failed.clone())).collect();
        }
    };
    let failed = answer.topics.into_iter().filter_map(|topic| {
        let code = ErrorCode::from_number(topic.error_code)?;
        let why = topic.error_message.map_or_else(String::new, |why| why.to_string());
        let is_there = matches!(code, ErrorCode::None | ErrorCode::TopicAlreadyExists);
        (!is_there).then(|| (topic.name.to_string(), (code, why)))
    });
    failed.collect()
}

/// With everything by default, or as an internal topic has to be.
fn describe(state: &State, name: &str) -> CreatableTopic {
    let mut topic = CreatableTopic {
        name: Str::from(name),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    };
    if is_internal(name) {
        let live = state.image.live_brokers().count();
        let internal = new_internal_topic(name, &state.settings.broker, live, [0; 2]);
        topic.num_partitions = internal.partitions;
        topic.replication_factor = internal.replication_factor;
        let configs = internal.configs.into_iter().map(|(key, value)| CreatableTopicConfig {
            name: Str::from(key),
            value: value.map(Str::from),
            ..Default::default()
        });
        topic.configs = configs.collect();
    }
    topic
}
