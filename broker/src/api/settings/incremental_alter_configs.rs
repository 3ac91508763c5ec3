//! Answers ApiKey 44, IncrementalAlterConfigs: changes single settings of a resource (KIP-339).

use engine::metadata::{ConfigChange, ConfigOperation, IncrementalAlterConfigs, Resource};
use wire::incremental_alter_configs::request::AlterConfigsResource;
use wire::incremental_alter_configs::response::AlterConfigsResourceResponse;
use wire::{ErrorCode, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, Str};

use super::super::context::Call;
use super::super::number;
use super::resource::{self, Refusal};
use crate::controller::settle;

pub(crate) async fn handle(
    call: Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut asked = Vec::new();
    let mut responses = Vec::new();
    for one in &request.resources {
        let read = resource::read(one.resource_type, &one.resource_name)
            .and_then(|resource| read(resource, one));
        match read {
            Ok(change) => asked.push(change),
            Err(refusal) => {
                responses.push(answer(one.resource_type, &one.resource_name, Some(refusal)));
            }
        }
    }
    let resources: Vec<Resource> = asked.iter().map(|one| one.resource.clone()).collect();
    let mut changes = asked.iter().flat_map(|one| &one.changes);
    let changes_min_isr = changes.any(|change| change.key == resource::MIN_ISR);
    let validate_only = request.validate_only;
    let decided =
        call.shared().control.decide(move |c| c.incremental_alter_configs(asked, validate_only));
    match decided.await {
        Ok(results) => {
            if changes_min_isr && !validate_only {
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
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

fn read(
    resource: Resource,
    asked: &AlterConfigsResource,
) -> Result<IncrementalAlterConfigs, Refusal> {
    let changes = asked.configs.iter().map(|one| {
        let operation = ConfigOperation::from_code(one.config_operation).ok_or_else(|| {
            let why = format!("{}: there is no operation {}", one.name, one.config_operation);
            (ErrorCode::InvalidRequest, why)
        })?;
        let value = one.value.as_ref().map(ToString::to_string);
        Ok(ConfigChange { key: one.name.to_string(), operation, value })
    });
    Ok(IncrementalAlterConfigs { resource, changes: changes.collect::<Result<_, _>>()? })
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
