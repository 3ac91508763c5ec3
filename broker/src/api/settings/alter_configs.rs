//! Answers ApiKey 33, AlterConfigs: replaces all settings of a resource.

use engine::metadata::{AlterConfigs, Resource};
use wire::alter_configs::request::AlterConfigsResource;
use wire::alter_configs::response::AlterConfigsResourceResponse;
use wire::{AlterConfigsRequest, AlterConfigsResponse, Str};

use super::super::context::Call;
use super::super::number;
use super::resource::{self, Refusal};
use crate::controller::settle;

pub(crate) async fn handle(call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut asked = Vec::new();
    let mut responses = Vec::new();
    for one in &request.resources {
        match resource::read(one.resource_type, &one.resource_name) {
            Ok(resource) => asked.push(read(resource, one)),
            Err(refusal) => {
                responses.push(answer(one.resource_type, &one.resource_name, Some(refusal)));
            }
        }
    }
    let resources: Vec<Resource> = asked.iter().map(|one| one.resource.clone()).collect();
    let validate_only = request.validate_only;
    let decided = call.shared().control.decide(move |c| c.alter_configs(asked, validate_only));
    match decided.await {
        Ok(results) => {
            if !validate_only {
                // What is not named goes back to its default, so any request may change the setting.
                settle(call.shared()).await;
            }
            responses.extend(results.iter().map(|(resource, result)| {
                let refusal = result.as_ref().err().map(resource::refusal);
                answer(resource.code(), &resource.name(), refusal)
            }));
        }
        Err(error) => responses.extend(resources.iter().map(|resource| {
            answer(resource.code(), &resource.name(), Some(resource::not_committed(&error)))
        })),
    }
    AlterConfigsResponse { responses, ..Default::default() }
}

fn read(resource: Resource, asked: &AlterConfigsResource) -> AlterConfigs {
    let configs = asked.configs.iter();
    let configs =
        configs.map(|one| (one.name.to_string(), one.value.as_ref().map(ToString::to_string)));
    AlterConfigs { resource, configs: configs.collect() }
}

fn answer(resource_type: i8, name: &str, refusal: Option<Refusal>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = match refusal {
        None => (0, None),
        Some((code, message)) => (number(code), Some(Str::from(message))),
    };
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type,
        resource_name: Str::from(name),
        ..Default::default()
    }
}
