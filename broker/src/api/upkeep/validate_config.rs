//! Answers ApiKey 10009, ValidateConfig: whether settings could be set, without setting them.

use std::collections::BTreeMap;

use config::Properties;
use engine::metadata::Resource;
use wire::validate_config::response::ConfigProblem;
use wire::{ErrorCode, Str, ValidateConfigRequest, ValidateConfigResponse};

use super::super::context::Call;
use super::super::number;

pub(crate) async fn handle(call: Call, request: ValidateConfigRequest) -> ValidateConfigResponse {
    let configs = request.configs.iter();
    let configs: Properties =
        configs.map(|one| (one.name.to_string(), one.value.to_string())).collect();
    let problems: BTreeMap<String, String> = match request.resource_type {
        Resource::TOPIC => call.state().settings.problems_of_topic(&configs),
        Resource::BROKER => config::problems_of_broker(&configs),
        other => {
            let why = format!("settings of resources of type {other} cannot be checked");
            return ValidateConfigResponse {
                error_code: number(ErrorCode::InvalidRequest),
                error_message: Some(Str::from(why)),
                ..Default::default()
            };
        }
    };
    let errors = problems.into_iter().map(|(name, problem)| {
        let (message, hint) = match problem.split_once("; hint: ") {
            Some((message, hint)) => (message, Some(Str::from(hint))),
            None => (&*problem, None),
        };
        let message = Str::from(message);
        ConfigProblem { name: Str::from(name), message, hint, ..Default::default() }
    });
    let errors = errors.collect();
    ValidateConfigResponse { error_message: None, errors, ..Default::default() }
}
