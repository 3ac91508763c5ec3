//! UpdateFeatures, and what ApiVersions tells of it.

use wire::update_features::request::FeatureUpdateKey;
use wire::{ApiVersionsRequest, DrainBrokerRequest, UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::exchange::{Peer, text, versions, with_broker};

const NAME: &str = "klamm.metadata.version";
const UPGRADE: i8 = 1;
const SAFE: i8 = 2;
const UNSAFE: i8 = 3;
const INVALID_UPDATE_VERSION: i16 = 95;

fn asked(name: &str, level: i16, upgrade_type: i8) -> FeatureUpdateKey {
    let (feature, max_version_level) = (text(name), level);
    FeatureUpdateKey { feature, max_version_level, upgrade_type, ..Default::default() }
}

async fn update(
    peer: &mut Peer,
    feature_updates: Vec<FeatureUpdateKey>,
    version: i16,
) -> UpdateFeaturesResponse {
    peer.ask(UpdateFeaturesRequest { feature_updates, ..Default::default() }, version).await
}

/// The finalized level, and what it was read from.
async fn finalized(peer: &mut Peer) -> (i16, i64) {
    let hello = ApiVersionsRequest {
        client_software_name: text("tester"),
        client_software_version: text("1.0"),
        ..Default::default()
    };
    let answer = peer.ask(hello, 5).await;
    let [supported] = &answer.supported_features[..] else { panic!("one: {answer:?}") };
    assert_eq!((&*supported.name, supported.min_version, supported.max_version), (NAME, 1, 2));
    let [only] = &answer.finalized_features[..] else { panic!("one: {answer:?}") };
    assert_eq!((&*only.name, only.min_version_level), (NAME, only.max_version_level));
    (only.max_version_level, answer.finalized_features_epoch)
}

#[test]
fn every_version_of_update_features_lowers_and_raises_a_level() {
    with_broker(async |peer| {
        assert_eq!(finalized(peer).await.0, 2, "a new cluster has the newest");
        for version in versions::<UpdateFeaturesRequest>() {
            let (_, before) = finalized(peer).await;
            let down = match version {
                0 => FeatureUpdateKey { allow_downgrade: true, ..asked(NAME, 1, UPGRADE) },
                _ => asked(NAME, 1, SAFE),
            };
            for (update_key, level) in [(down, 1), (asked(NAME, 2, UPGRADE), 2)] {
                let answer = update(peer, vec![update_key], version).await;
                assert_eq!(answer.error_code, 0, "v{version}: {:?}", answer.error_message);
                let results = answer.results.iter().map(|it| (&*it.feature, it.error_code));
                let expected = if version < 2 { vec![(NAME, 0)] } else { Vec::new() };
                assert_eq!(results.collect::<Vec<_>>(), expected, "v{version}");
                assert_eq!(finalized(peer).await.0, level, "v{version}");
            }
            assert_eq!(finalized(peer).await.1, before + 2, "v{version}: two decisions");
        }
    });
}

#[test]
fn levels_that_cannot_be_had_are_refused_with_words() {
    with_broker(async |peer| {
        for version in 1..=2 {
            for (refused, says) in [
                (vec![asked(NAME, 1, UPGRADE)], "only an upgrade was asked for"),
                (vec![asked(NAME, 3, UPGRADE)], "supports levels 1 to 2"),
                (vec![asked(NAME, 0, UNSAFE)], "supports levels 1 to 2"),
                (vec![asked(NAME, 1, 7)], "no upgrade type 7"),
                (vec![asked(NAME, 1, SAFE), asked("group.version", 1, UPGRADE)], "no such feature"),
            ] {
                let answer = update(peer, refused, version).await;
                assert_eq!(answer.error_code, INVALID_UPDATE_VERSION, "{says}");
                let message = answer.error_message.expect("it says why");
                assert!(message.contains(says), "{message}");
            }
            let twice = vec![asked(NAME, 1, SAFE), asked(NAME, 1, SAFE)];
            assert_eq!(update(peer, twice, version).await.error_code, 42);
            let dry = UpdateFeaturesRequest {
                feature_updates: vec![asked(NAME, 1, SAFE)],
                validate_only: true,
                ..Default::default()
            };
            assert_eq!(peer.ask(dry, version).await.error_code, 0);
            assert_eq!(finalized(peer).await.0, 2, "nothing has changed");
        }
    });
}

#[test]
fn a_drain_needs_the_level_that_brought_it() {
    with_broker(async |peer| {
        update(peer, vec![asked(NAME, 1, SAFE)], 2).await;
        let drain = DrainBrokerRequest { broker_id: 0, mode: 2, ..Default::default() };
        let refused = peer.ask_newest(drain.clone()).await;
        assert_eq!(refused.error_code, 35, "{:?}", refused.error_message);
        update(peer, vec![asked(NAME, 2, UPGRADE)], 2).await;
        assert_eq!(peer.ask_newest(drain).await.error_code, 0);
        let lost = update(peer, vec![asked(NAME, 1, SAFE)], 2).await;
        assert_eq!(lost.error_code, INVALID_UPDATE_VERSION, "{:?}", lost.error_message);
        assert_eq!(update(peer, vec![asked(NAME, 1, UNSAFE)], 2).await.error_code, 0);
        assert_eq!(finalized(peer).await.0, 1);
    });
}
