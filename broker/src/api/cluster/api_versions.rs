//! Answers ApiKey 18, ApiVersions: what this broker speaks. It is the one request that must be answered
//! even at a version that nobody knows ([`unsupported`], KIP-511).

use engine::metadata::{FEATURES, Feature};
use wire::api_versions::response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use wire::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::{SERVED, advertised, encode, number};
use crate::net::Reply;

/// From here on, clients read a feature whose least level is 0 (KAFKA-17011).
const LEVEL_ZERO_SINCE: i16 = 4;

pub(crate) async fn handle(call: Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let refused = |code| ApiVersionsResponse { error_code: number(code), ..Default::default() };
    let is_named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if call.version >= 3 && !is_named {
        return refused(ErrorCode::InvalidRequest);
    }
    let shared = call.shared();
    // An address may have passed on to another cluster or broker (KIP-1242).
    let is_other_cluster = request.cluster_id.is_some_and(|id| *id != *shared.cluster_id);
    let is_other_node = request.node_id != -1 && request.node_id != shared.node.0;
    if is_other_cluster || is_other_node {
        return refused(ErrorCode::RebootstrapRequired);
    }
    let state = call.state();
    let finalized: Vec<(&str, i16)> = state.image.features().collect();
    let (supported_features, finalized_features) = features(FEATURES, &finalized, call.version);
    ApiVersionsResponse {
        api_keys: public_keys(),
        supported_features,
        finalized_features,
        // Which state of the cluster they are read from: a client keeps the newest that it was told.
        finalized_features_epoch: i64::try_from(state.version).unwrap_or(i64::MAX),
        ..Default::default()
    }
}

/// What a client is told that asks at a version from the future: which versions it may ask at, in the
/// encoding of version 0.
pub(crate) fn unsupported(call: &Call) -> Reply {
    let response = ApiVersionsResponse {
        error_code: number(ErrorCode::UnsupportedVersion),
        api_keys: vec![told(ApiKey::ApiVersions)],
        ..Default::default()
    };
    encode(&response, 0, call.correlation_id)
}

/// Everything that is served, but for what is Klamm's own.
fn public_keys() -> Vec<ApiVersion> {
    let mut keys: Vec<ApiKey> = SERVED.iter().copied().filter(|key| !key.is_private()).collect();
    keys.sort_unstable();
    keys.into_iter().map(told).collect()
}

fn told(key: ApiKey) -> ApiVersion {
    let (min_version, max_version) = advertised(key).into_inner();
    ApiVersion { api_key: key.number(), min_version, max_version, ..Default::default() }
}

/// Letters and digits, and between them also dots and dashes.
fn is_software_name(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte))
}

fn features(
    known: &[Feature],
    finalized: &[(&str, i16)],
    version: i16,
) -> (Vec<SupportedFeatureKey>, Vec<FinalizedFeatureKey>) {
    let is_told = |feature: &&Feature| version >= LEVEL_ZERO_SINCE || *feature.levels.start() > 0;
    let supported = known.iter().filter(is_told).map(|feature| SupportedFeatureKey {
        name: Str::from(feature.name),
        min_version: *feature.levels.start(),
        max_version: *feature.levels.end(),
        ..Default::default()
    });
    let finalized = finalized.iter().map(|(name, level)| FinalizedFeatureKey {
        name: Str::from(*name),
        max_version_level: *level,
        min_version_level: *level,
        ..Default::default()
    });
    (supported.collect(), finalized.collect())
}

#[cfg(test)]
mod tests {
    use super::{Feature, features, is_software_name, public_keys};

    #[test]
    fn names_of_software_are_checked_as_kafka_checks_them() {
        for good in ["apache-kafka-java", "4.4.0", "a", "v1.2-rc.3", "a--b"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b", "ä", "a\n"] {
            assert!(!is_software_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_feature_with_level_zero_is_told_from_version_4_on() {
        let known =
            [Feature { name: "zero", levels: 0..=2 }, Feature { name: "one", levels: 1..=3 }];
        let names = |version| -> Vec<String> {
            let (supported, _) = features(&known, &[], version);
            supported.iter().map(|feature| feature.name.to_string()).collect()
        };
        assert_eq!(names(3), ["one"]);
        assert_eq!(names(4), ["zero", "one"]);
    }

    #[test]
    fn private_keys_are_not_advertised_and_keys_ascend() {
        let keys = public_keys();
        assert!(keys.iter().all(|key| key.api_key < 10_000));
        assert!(keys.is_sorted_by(|a, b| a.api_key < b.api_key));
    }
}
