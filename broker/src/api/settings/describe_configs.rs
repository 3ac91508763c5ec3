//! Answers ApiKey 32, DescribeConfigs: every known setting with its value, and where that comes from.

use config::Described;
use engine::metadata::{Resource, check_topic_name};
use wire::describe_configs::request::DescribeConfigsResource;
use wire::describe_configs::response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use wire::{DescribeConfigsRequest, DescribeConfigsResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::number;
use super::resource::{self, BROKER_LOGGER, CLIENT_METRICS, Refusal};
use crate::metadata::State;

/// What a client wants to see of each setting.
#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
}

pub(crate) async fn handle(call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let state = call.state();
    let detail =
        Detail { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.into_iter().map(|asked| {
        let described = describe(&call, &state, &asked);
        answer(asked, described, detail)
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

fn describe(
    call: &Call,
    state: &State,
    asked: &DescribeConfigsResource,
) -> Result<Vec<Described>, Refusal> {
    let (node, name) = (call.shared().node, &asked.resource_name);
    match asked.resource_type {
        // Neither has anything to show: levels are not set by logger, metrics are not pushed yet.
        BROKER_LOGGER => {
            resource::read_known(Resource::BROKER, name, node)?;
            return Ok(Vec::new());
        }
        CLIENT_METRICS if !name.is_empty() => return Ok(Vec::new()),
        _ => {}
    }
    let resource = resource::read_known(asked.resource_type, name, node)?;
    let overrides = state.image.config(&resource);
    Ok(match resource {
        Resource::Topic(name) => {
            check_topic_name(&name)
                .map_err(|error| (ErrorCode::InvalidTopic, error.to_string()))?;
            if state.image.topic(&name).is_none() {
                let why = format!("there is no topic {name}");
                return Err((ErrorCode::UnknownTopicOrPartition, why));
            }
            state.settings.describe_topic(&overrides)
        }
        Resource::Broker(_) => state.settings.describe_broker(),
        Resource::AllBrokers => state.settings.describe_all_brokers(),
        Resource::Group(_) => state.settings.describe_group(&overrides),
    })
}

fn answer(
    asked: DescribeConfigsResource,
    described: Result<Vec<Described>, Refusal>,
    detail: Detail,
) -> DescribeConfigsResult {
    let (code, error_message, settings) = match described {
        Ok(settings) => (ErrorCode::None, None, settings),
        Err((code, message)) => (code, Some(Str::from(message)), Vec::new()),
    };
    // An empty list of keys asks for all, as no list does.
    let keys = asked.configuration_keys.filter(|keys| !keys.is_empty());
    let is_wanted = |setting: &Described| {
        keys.as_ref().is_none_or(|keys| keys.iter().any(|key| *key == setting.key))
    };
    let configs = settings.into_iter().filter(is_wanted).map(|one| describe_setting(one, detail));
    DescribeConfigsResult {
        error_code: number(code),
        error_message,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name,
        configs: configs.collect(),
        ..Default::default()
    }
}

fn describe_setting(setting: Described, detail: Detail) -> DescribeConfigsResourceResult {
    let synonyms = if detail.synonyms { setting.synonyms } else { Vec::new() };
    let synonyms = synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: Str::from_static(synonym.key),
        value: synonym.value.map(Str::from),
        source: synonym.source.code(),
        ..Default::default()
    });
    DescribeConfigsResourceResult {
        name: Str::from_static(setting.key),
        value: setting.value.map(Str::from),
        read_only: setting.read_only,
        config_source: setting.source.code(),
        is_sensitive: setting.sensitive,
        synonyms: synonyms.collect(),
        config_type: setting.kind.code(),
        documentation: detail.documentation.then(|| Str::from(setting.documentation)),
        ..Default::default()
    }
}
