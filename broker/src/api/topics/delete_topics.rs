//! Answers ApiKey 20, DeleteTopics: by name, and from version 6 on also by id (KIP-516).

use std::time::Duration;

use engine::TopicId;
use engine::metadata::{DeletedTopic, TopicRef};
use wire::delete_topics::request::DeleteTopicState;
use wire::delete_topics::response::DeletableTopicResult;
use wire::{DeleteTopicsRequest, DeleteTopicsResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};

/// Topics are named by name or id, from here on.
const IDS_SINCE: i16 = 6;

pub(crate) async fn handle(call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let asked: Vec<DeleteTopicState> = if call.version >= IDS_SINCE {
        request.topics
    } else {
        let names = request.topic_names.into_iter();
        names.map(|name| DeleteTopicState { name: Some(name), ..Default::default() }).collect()
    };
    let mut refs = Vec::with_capacity(asked.len());
    let mut responses = Vec::with_capacity(asked.len());
    for topic in &asked {
        match read(topic) {
            Ok(topic) => refs.push(topic),
            Err(why) => responses.push(refuse(topic, ErrorCode::InvalidRequest, why)),
        }
    }
    match call.shared().control.decide(move |c| c.delete_topics(refs)).await {
        Ok(deleted) => {
            let gone: Vec<_> = deleted.iter().filter(|topic| topic.result.is_ok()).collect();
            let ids: Vec<TopicId> = gone.iter().map(|topic| topic.id).collect();
            let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
            // A client that creates the topic again at once finds its folders free.
            call.shared().folders_released(&ids, patience).await;
            responses.extend(deleted.into_iter().map(describe));
        }
        Err(error) => {
            let named = asked.iter().filter(|topic| read(topic).is_ok());
            responses.extend(named.map(|topic| refuse(topic, error.code(), &error.to_string())));
        }
    }
    DeleteTopicsResponse { responses, ..Default::default() }
}

fn read(topic: &DeleteTopicState) -> Result<TopicRef, &'static str> {
    match (&topic.name, topic.topic_id.is_zero()) {
        (Some(name), true) => Ok(TopicRef::Name(name.to_string())),
        (None, false) => Ok(TopicRef::Id(topic.topic_id)),
        (Some(_), false) => Err("a topic is named by its name or by its id, not by both"),
        (None, true) => Err("a topic has neither a name nor an id"),
    }
}

fn refuse(topic: &DeleteTopicState, code: ErrorCode, why: &str) -> DeletableTopicResult {
    DeletableTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        error_code: number(code),
        error_message: Some(Str::from(why)),
        ..Default::default()
    }
}

fn describe(deleted: DeletedTopic) -> DeletableTopicResult {
    let DeletedTopic { name, id, result } = deleted;
    let name = name.as_deref().map(Str::from);
    match result {
        Ok(()) => {
            DeletableTopicResult { name, topic_id: id, error_message: None, ..Default::default() }
        }
        Err(error) => DeletableTopicResult {
            name,
            topic_id: id,
            error_code: number(error.code()),
            error_message: text(&error),
            ..Default::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use wire::delete_topics::request::DeleteTopicState;
    use wire::{Str, Uuid};

    use super::read;

    #[test]
    fn a_topic_is_named_in_exactly_one_way() {
        let named = |name: Option<&'static str>, id| DeleteTopicState {
            name: name.map(Str::from_static),
            topic_id: Uuid([id; 16]),
            ..Default::default()
        };
        assert!(read(&named(Some("a"), 0)).is_ok());
        assert!(read(&named(None, 1)).is_ok());
        assert!(read(&named(Some("a"), 1)).is_err());
        assert!(read(&named(None, 0)).is_err());
    }
}
