//! ApiVersions byte for byte, in every version: it is what a client and a broker must agree on before
//! they agree on anything else. The wire oracle checks the same encodings against Kafka's classes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use wire::api_versions::response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use wire::{ApiVersionsRequest, ApiVersionsResponse, Message, Str};

fn check<M: Message + PartialEq + std::fmt::Debug>(message: impl Fn(i16) -> M, expected: &Expect) {
    let mut lines = String::new();
    for version in M::VERSIONS {
        let bytes = message(version).to_bytes(version).unwrap();
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        writeln!(lines, "v{version}:{hex}").unwrap();
        assert_eq!(M::decode_exact(bytes, version), Ok(message(version)));
    }
    expected.assert_eq(&lines);
}

#[test]
fn an_api_versions_request_has_these_bytes() {
    let request = |version| ApiVersionsRequest {
        client_software_name: if version >= 3 { "go".into() } else { Str::EMPTY },
        client_software_version: if version >= 3 { "1.0".into() } else { Str::EMPTY },
        cluster_id: (version >= 5).then(|| "c1".into()),
        node_id: if version >= 5 { 7 } else { -1 },
        ..Default::default()
    };
    check(
        request,
        &expect![[r#"
        v0:
        v1:
        v2:
        v3: 03 67 6f 04 31 2e 30 00
        v4: 03 67 6f 04 31 2e 30 00
        v5: 03 67 6f 04 31 2e 30 03 63 31 00 00 00 07 00
    "#]],
    );
}

#[test]
fn an_api_versions_response_has_these_bytes() {
    let response = |version| {
        let mut response = ApiVersionsResponse {
            error_code: 0,
            api_keys: vec![
                ApiVersion { api_key: 0, max_version: 13, ..Default::default() },
                ApiVersion { api_key: 18, max_version: 5, ..Default::default() },
            ],
            throttle_time_ms: if version >= 1 { 256 } else { 0 },
            ..Default::default()
        };
        if version >= 3 {
            response.supported_features = vec![SupportedFeatureKey {
                name: "group.version".into(),
                min_version: 1,
                max_version: 1,
                ..Default::default()
            }];
            response.finalized_features_epoch = 4;
            response.finalized_features = vec![FinalizedFeatureKey {
                name: "group.version".into(),
                max_version_level: 1,
                min_version_level: 1,
                ..Default::default()
            }];
        }
        response
    };
    check(
        response,
        &expect![[r#"
        v0: 00 00 00 00 00 02 00 00 00 00 00 0d 00 12 00 00 00 05
        v1: 00 00 00 00 00 02 00 00 00 00 00 0d 00 12 00 00 00 05 00 00 01 00
        v2: 00 00 00 00 00 02 00 00 00 00 00 0d 00 12 00 00 00 05 00 00 01 00
        v3: 00 00 03 00 00 00 00 00 0d 00 00 12 00 00 00 05 00 00 00 01 00 03 00 14 02 0e 67 72 6f 75 70 2e 76 65 72 73 69 6f 6e 00 01 00 01 00 01 08 00 00 00 00 00 00 00 04 02 14 02 0e 67 72 6f 75 70 2e 76 65 72 73 69 6f 6e 00 01 00 01 00
        v4: 00 00 03 00 00 00 00 00 0d 00 00 12 00 00 00 05 00 00 00 01 00 03 00 14 02 0e 67 72 6f 75 70 2e 76 65 72 73 69 6f 6e 00 01 00 01 00 01 08 00 00 00 00 00 00 00 04 02 14 02 0e 67 72 6f 75 70 2e 76 65 72 73 69 6f 6e 00 01 00 01 00
        v5: 00 00 03 00 00 00 00 00 0d 00 00 12 00 00 00 05 00 00 00 01 00 03 00 14 02 0e 67 72 6f 75 70 2e 76 65 72 73 69 6f 6e 00 01 00 01 00 01 08 00 00 00 00 00 00 00 04 02 14 02 0e 67 72 6f 75 70 2e 76 65 72 73 69 6f 6e 00 01 00 01 00
    "#]],
    );
}

#[test]
fn a_refusal_is_written_in_version_0() {
    let refusal = ApiVersionsResponse {
        error_code: 35,
        api_keys: vec![ApiVersion { api_key: 18, max_version: 5, ..Default::default() }],
        ..Default::default()
    };
    let bytes = refusal.to_bytes(0).unwrap();
    assert_eq!(&bytes[..], [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5]);
}
