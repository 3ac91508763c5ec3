//! Which levels are finalized, and who is refused because of them.

use super::{
    FEATURES, FeatureProblem, FeatureUpdate, LEVEL_OF_THE_FIRST, LEVEL_OF_UPKEEP, METADATA_VERSION,
    SupportedFeature, UpdateFeaturesError, UpdateType,
};
use crate::ids::BrokerId;
use crate::metadata::invariants_test::{Cluster, registration};
use crate::metadata::{
    Decision, Drain, DrainBrokerError, Image, RegisterBrokerError, Registration,
};

const ALL: [UpdateType; 3] =
    [UpdateType::Upgrade, UpdateType::SafeDowngrade, UpdateType::UnsafeDowngrade];

fn update(level: i16, update: UpdateType) -> FeatureUpdate {
    FeatureUpdate { name: METADATA_VERSION.to_owned(), level, update }
}

impl Cluster {
    fn update(&mut self, level: i16, kind: UpdateType) -> Result<(), FeatureProblem> {
        let result = self.run(|c| c.update_features(&[update(level, kind)], false));
        result.map_err(|error: UpdateFeaturesError| error.why)
    }

    fn at_level(mut self, level: i16) -> Self {
        self.update(level, UpdateType::SafeDowngrade).expect("nothing is lost");
        self
    }
}

/// A broker whose build supports other levels.
fn supporting(id: i32, min: i16, max: i16) -> Registration {
    let features = vec![SupportedFeature { name: METADATA_VERSION.into(), min, max }];
    Registration { features, ..registration(id, 1) }
}

#[test]
fn a_cluster_begins_with_its_id_and_the_newest_levels() {
    let mut cluster = Cluster::of(0);
    let id = "one".into();
    let old = supporting(1, 1, 1);
    let refused = cluster.run(|c| c.register_in(&id, old));
    assert!(matches!(refused, Err(RegisterBrokerError::Feature { .. })), "{refused:?}");
    assert_eq!(cluster.image, Image::default(), "who is refused begins nothing");
    assert_eq!(cluster.run(|c| c.register_in(&id, registration(1, 1))), Ok(1));
    assert_eq!(cluster.image.cluster_id().map(AsRef::as_ref), Some("one"));
    let finalized: Vec<_> = cluster.image.features().collect();
    let newest: Vec<_> = FEATURES.iter().map(|it| (it.name, *it.levels.end())).collect();
    assert_eq!(finalized, newest);
    // Neither is given twice.
    let other = "two".into();
    assert_eq!(cluster.run(|c| c.register_in(&other, registration(2, 1))), Ok(2));
    assert_eq!(cluster.image.cluster_id().map(AsRef::as_ref), Some("one"));
    let mut older = cluster;
    older.update(LEVEL_OF_THE_FIRST, UpdateType::SafeDowngrade).unwrap();
    older.run(|c| c.register_in(&id, registration(3, 1))).unwrap();
    assert_eq!(older.image.metadata_version(), LEVEL_OF_THE_FIRST, "it was lowered on purpose");
}

#[test]
fn a_broker_that_supports_less_joins_until_the_level_is_finalized() {
    let mut cluster = Cluster::of(2).at_level(1);
    assert!(cluster.run(|c| c.register_broker(supporting(3, 1, 1))).is_ok());
    let refused = cluster.update(2, UpdateType::Upgrade).unwrap_err();
    let FeatureProblem::Broker { id: BrokerId(3), .. } = refused else { panic!("{refused:?}") };
    assert!(refused.to_string().contains("but levels 1 to 1; hint: "), "{refused}");
    let epoch = cluster.image.broker(BrokerId(3)).unwrap().epoch;
    cluster.run(|c| c.unregister_broker(BrokerId(3), epoch)).unwrap();
    cluster.update(2, UpdateType::Upgrade).unwrap();
    let refused = cluster.run(|c| c.register_broker(supporting(3, 1, 1))).unwrap_err();
    let said =
        "broker 3 does not support level 2 of klamm.metadata.version, which is finalized; hint: ";
    assert!(refused.to_string().starts_with(said), "{refused}");
    let nothing = Registration { features: Vec::new(), ..registration(3, 1) };
    assert!(cluster.run(|c| c.register_broker(nothing)).is_err(), "it does not know the feature");
    // One that has grown beyond it is refused as well.
    assert!(cluster.run(|c| c.register_broker(supporting(3, 3, 4))).is_err());
    assert!(cluster.run(|c| c.register_broker(supporting(3, 2, 4))).is_ok());
}

#[test]
fn levels_go_up_and_down_only_as_was_asked_for() {
    for kind in ALL {
        let mut cluster = Cluster::of(1);
        assert_eq!(cluster.update(2, kind), Ok(()), "it has it already");
        let supported = FeatureProblem::Controller(1..=2);
        for level in [i16::MIN, -1, 0, 3, i16::MAX] {
            assert_eq!(cluster.update(level, kind), Err(supported.clone()), "{level} {kind:?}");
        }
        let down = cluster.update(1, kind);
        let up = Cluster::of(1).at_level(1).update(2, kind);
        match kind {
            UpdateType::Upgrade => {
                assert_eq!((down, up), (Err(FeatureProblem::Downgrade(2)), Ok(())));
            }
            UpdateType::SafeDowngrade | UpdateType::UnsafeDowngrade => {
                assert_eq!((down, up), (Ok(()), Err(FeatureProblem::Upgrade(1))));
            }
        }
    }
}

#[test]
fn all_features_change_or_none_and_a_dry_run_changes_nothing() {
    let cluster = Cluster::of(1);
    let controller = super::Controller { image: &cluster.image, settings: &cluster.settings };
    let known = update(1, UpdateType::SafeDowngrade);
    let unknown = FeatureUpdate { name: "group.version".to_owned(), ..known.clone() };
    for (updates, why) in [
        (vec![known.clone(), unknown], FeatureProblem::Unknown),
        (vec![known.clone(), known.clone()], FeatureProblem::Duplicate),
    ] {
        let Decision { records, reply } = controller.update_features(&updates, false);
        assert_eq!((records.len(), reply.unwrap_err().why), (0, why));
    }
    let Decision { records, reply } =
        controller.update_features(std::slice::from_ref(&known), true);
    assert_eq!((records.len(), reply), (0, Ok(())));
    assert_eq!(controller.update_features(&[known], false).records.len(), 1);
}

#[test]
fn what_needs_a_level_is_refused_below_it_and_ends_with_it() {
    let (id, drain) = (BrokerId(1), Some(Drain::All));
    let mut cluster = Cluster::of(2).at_level(1);
    let refused = cluster.run(|c| c.drain_broker(id, drain)).unwrap_err();
    assert!(matches!(&refused, DrainBrokerError::LevelTooLow(it) if it.needed == LEVEL_OF_UPKEEP));
    assert!(refused.to_string().contains("hint: `klamm cluster finalize`"), "{refused}");
    assert_eq!(cluster.run(|c| c.drain_broker(id, None)), Ok(()), "there is none to end");
    let refused = cluster.run(|c| c.ask_for_balance(true)).unwrap_err();
    assert_eq!(refused.needed, LEVEL_OF_UPKEEP);
    assert_eq!(cluster.run(|c| c.ask_for_balance(false)), Ok(()), "there is none to end");
    cluster.update(2, UpdateType::Upgrade).unwrap();
    cluster.run(|c| c.drain_broker(id, drain)).unwrap();
    let lost = cluster.update(1, UpdateType::SafeDowngrade).unwrap_err();
    assert!(lost.to_string().starts_with("broker 1 is being drained; hint: "), "{lost}");
    cluster.update(1, UpdateType::UnsafeDowngrade).unwrap();
    assert_eq!((cluster.image.metadata_version(), cluster.image.drain(id)), (1, None));
    cluster.update(2, UpdateType::Upgrade).unwrap();
    cluster.run(|c| c.ask_for_balance(true)).unwrap();
    let lost = cluster.update(1, UpdateType::SafeDowngrade).unwrap_err();
    assert!(lost.to_string().starts_with("the brokers are being balanced; hint: "), "{lost}");
    cluster.update(1, UpdateType::UnsafeDowngrade).unwrap();
    assert!(!cluster.image.is_balance_asked());
}
