//! Answers ApiKey 57, UpdateFeatures: finalizes other levels of features (KIP-584), all that are asked for or
//! none.

use engine::metadata::{FeatureProblem, FeatureUpdate, UpdateFeaturesError, UpdateType};
use wire::update_features::request::FeatureUpdateKey;
use wire::update_features::response::UpdatableFeatureResult;
use wire::{ErrorCode, Str, UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};

/// From here on it is said how a level may change; before, only whether it may go down.
const TYPES_SINCE: i16 = 1;
/// From here on there are no results per feature.
const NO_RESULTS_SINCE: i16 = 2;

pub(crate) async fn handle(call: Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let refused = |code: ErrorCode, why: &dyn std::fmt::Display| UpdateFeaturesResponse {
        error_code: number(code),
        error_message: text(&why),
        ..Default::default()
    };
    let mut updates = Vec::new();
    for asked in &request.feature_updates {
        let Some(update) = update_type(asked, call.version) else {
            let why = format!("there is no upgrade type {}", asked.upgrade_type);
            return refused(ErrorCode::InvalidUpdateVersion, &why);
        };
        let (name, level) = (asked.feature.to_string(), asked.max_version_level);
        updates.push(FeatureUpdate { name, level, update });
    }
    let validate_only = request.validate_only;
    let update =
        move |c: &engine::metadata::Controller<'_>| c.update_features(&updates, validate_only);
    match call.shared().control.decide(update).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return refused(error.code(), &error),
        Err(error) => return refused(error.code(), &error),
    }
    let results = request.feature_updates.into_iter().filter(|_| call.version < NO_RESULTS_SINCE);
    let results = results.map(|asked| UpdatableFeatureResult {
        feature: asked.feature,
        error_message: None,
        ..Default::default()
    });
    let results = results.collect();
    UpdateFeaturesResponse { error_message: None::<Str>, results, ..Default::default() }
}

fn update_type(asked: &FeatureUpdateKey, version: i16) -> Option<UpdateType> {
    match (version < TYPES_SINCE, asked.allow_downgrade, asked.upgrade_type) {
        (true, false, _) | (false, _, 1) => Some(UpdateType::Upgrade),
        (true, true, _) | (false, _, 2) => Some(UpdateType::SafeDowngrade),
        (false, _, 3) => Some(UpdateType::UnsafeDowngrade),
        (false, _, _) => None,
    }
}

impl KafkaCode for UpdateFeaturesError {
    fn code(&self) -> ErrorCode {
        match self.why {
            FeatureProblem::Duplicate => ErrorCode::InvalidRequest,
            FeatureProblem::Unknown
            | FeatureProblem::Controller(_)
            | FeatureProblem::Broker { .. }
            | FeatureProblem::Downgrade(_)
            | FeatureProblem::Upgrade(_)
            | FeatureProblem::Lost(_) => ErrorCode::InvalidUpdateVersion,
        }
    }
}
