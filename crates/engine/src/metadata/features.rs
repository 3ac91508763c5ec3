//! Feature levels (KIP-584): what every broker of a cluster can read and do, agreed on apart from the builds
//! that they run. Brokers are upgraded first, and can go back as long as the new level is not finalized:
//! nothing that only the newer build can read is written before.
//!
//! Kafka's own features (`group.version`, `transaction.version` and so on) are not among them: a client that
//! sees one finalized uses what it stands for.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::ids::BrokerId;

use super::controller::{Controller, Decision};
use super::image::{Broker, Image};
use super::record::Record;

/// The feature whose level says which records the metadata log may hold: Klamm's counterpart of Kafka's
/// `metadata.version`, whose levels stand for Kafka's own records.
pub const METADATA_VERSION: &str = "klamm.metadata.version";
/// The records that every build reads.
pub(super) const LEVEL_OF_THE_FIRST: i16 = 1;
/// [`Record::Drain`] and [`Record::Balance`].
pub(super) const LEVEL_OF_UPKEEP: i16 = 2;

/// A feature that this build knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// The levels that it can have.
    pub levels: RangeInclusive<i16>,
}

/// All features that this build knows.
pub const FEATURES: &[Feature] =
    &[Feature { name: METADATA_VERSION, levels: LEVEL_OF_THE_FIRST..=LEVEL_OF_UPKEEP }];

/// The levels of a feature that a broker can go along with, as it says when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    /// The feature.
    pub name: Arc<str>,
    /// The least level.
    pub min: i16,
    /// The newest level.
    pub max: i16,
}

impl SupportedFeature {
    /// What this build says when it registers.
    pub fn of_this_build() -> Vec<Self> {
        let features = FEATURES.iter();
        let supported = features.map(|Feature { name, levels }| Self {
            name: (*name).into(),
            min: *levels.start(),
            max: *levels.end(),
        });
        supported.collect()
    }
}

/// How a feature's level is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateType {
    /// Up, or not at all.
    Upgrade,
    /// Down, if nothing is lost by that.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

/// One feature is to have another level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// The level that it is to have.
    pub level: i16,
    /// How it may change.
    pub update: UpdateType,
}

/// Why no feature was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot have the level {level}: {why}")]
pub struct UpdateFeaturesError {
    /// The first feature in the way.
    pub name: String,
    /// The level that it was to have.
    pub level: i16,
    /// What is in the way.
    pub why: FeatureProblem,
}

/// What is in the way of another level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureProblem {
    /// This build does not know it.
    #[error("there is no such feature here")]
    Unknown,
    /// It is named twice.
    #[error("the feature is named twice")]
    Duplicate,
    /// The active controller runs a build that cannot have it.
    #[error("the active controller supports levels {} to {}", .0.start(), .0.end())]
    Controller(RangeInclusive<i16>),
    /// A registered broker could not read what is written then.
    #[error(
        "broker {id} does not support it{}; hint: run a newer version there, or unregister it if it is gone",
        levels(supported.as_ref())
    )]
    Broker {
        /// The broker.
        id: BrokerId,
        /// The levels that it supports, if it knows the feature at all.
        supported: Option<SupportedFeature>,
    },
    /// Only an upgrade was asked for.
    #[error(
        "it has the level {0} now, and only an upgrade was asked for; hint: ask for a downgrade"
    )]
    Downgrade(i16),
    /// Only a downgrade was asked for.
    #[error("it has the level {0} now, and a downgrade was asked for")]
    Upgrade(i16),
    /// Something is there that the lower level does not have.
    #[error("{0}; hint: end that first, or ask for an unsafe downgrade, which drops it")]
    Lost(String),
}

fn levels(supported: Option<&SupportedFeature>) -> String {
    supported.map_or(String::new(), |it| format!(", but levels {} to {}", it.min, it.max))
}

/// Something needs a level that is not finalized yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this needs level {needed} of {METADATA_VERSION}, and {finalized} is finalized; \
     hint: `klamm cluster finalize` once all brokers run a version that has it"
)]
pub struct LevelTooLow {
    /// The level that it needs.
    pub needed: i16,
    /// The level that is finalized.
    pub finalized: i16,
}

impl Broker {
    /// What it supports of a feature, if it knows it.
    pub fn supported(&self, feature: &str) -> Option<&SupportedFeature> {
        self.features.iter().find(|it| *it.name == *feature)
    }
}

/// Whether a broker that supports this can go along with a level.
pub(super) fn covers(supported: &[SupportedFeature], name: &str, level: i16) -> bool {
    supported.iter().any(|it| *it.name == *name && (it.min..=it.max).contains(&level))
}

impl Image {
    /// The level of the metadata's records.
    pub fn metadata_version(&self) -> i16 {
        self.feature(METADATA_VERSION).unwrap_or(LEVEL_OF_THE_FIRST)
    }
}

impl Controller<'_> {
    /// What a cluster begins with: its id, and the newest level of every feature.
    pub(super) fn beginning(&self, cluster_id: &Arc<str>) -> Vec<Record> {
        let is_named = self.image.cluster_id().is_some();
        let name = (!is_named).then(|| Record::Cluster { cluster_id: cluster_id.clone() });
        let missing = FEATURES.iter().filter(|it| self.image.feature(it.name).is_none());
        let levels = missing.map(|Feature { name, levels }| Record::Feature {
            name: (*name).into(),
            level: *levels.end(),
        });
        name.into_iter().chain(levels).collect()
    }

    /// Refuses what needs a level that is not finalized.
    pub(super) fn needs_level(&self, needed: i16) -> Result<(), LevelTooLow> {
        let finalized = self.image.metadata_version();
        if finalized >= needed { Ok(()) } else { Err(LevelTooLow { needed, finalized }) }
    }

    /// Finalizes other levels: all of them, or none.
    pub fn update_features(
        &self,
        updates: &[FeatureUpdate],
        validate_only: bool,
    ) -> Decision<Result<(), UpdateFeaturesError>> {
        let mut records = Vec::new();
        for (at, FeatureUpdate { name, level, update }) in updates.iter().enumerate() {
            let is_duplicate = updates[..at].iter().any(|other| other.name == *name);
            let changed = match is_duplicate {
                true => Err(FeatureProblem::Duplicate),
                false => self.update_feature(name, *level, *update),
            };
            match changed {
                Ok(more) => records.extend(more),
                Err(why) => {
                    let (name, level) = (name.clone(), *level);
                    return Decision::nothing(Err(UpdateFeaturesError { name, level, why }));
                }
            }
        }
        Decision { records, reply: Ok(()) }.unless(validate_only)
    }

    fn update_feature(
        &self,
        name: &str,
        level: i16,
        update: UpdateType,
    ) -> Result<Vec<Record>, FeatureProblem> {
        let feature = FEATURES.iter().find(|it| it.name == name).ok_or(FeatureProblem::Unknown)?;
        if !feature.levels.contains(&level) {
            return Err(FeatureProblem::Controller(feature.levels.clone()));
        }
        let unable = self.image.brokers().find(|(_, it)| !covers(&it.features, name, level));
        if let Some((id, broker)) = unable {
            let supported = broker.supported(name).cloned();
            return Err(FeatureProblem::Broker { id, supported });
        }
        let now = self.image.feature(name).unwrap_or(0);
        let change = Record::Feature { name: feature.name.into(), level };
        match update {
            _ if level == now => Ok(Vec::new()),
            UpdateType::Upgrade if level > now => Ok(vec![change]),
            UpdateType::Upgrade => Err(FeatureProblem::Downgrade(now)),
            _ if level > now => Err(FeatureProblem::Upgrade(now)),
            UpdateType::SafeDowngrade => match self.lost_below(level).first() {
                Some((what, _)) => Err(FeatureProblem::Lost(what.clone())),
                None => Ok(vec![change]),
            },
            UpdateType::UnsafeDowngrade => {
                let dropped = self.lost_below(level).into_iter().map(|(_, end)| end);
                Ok(dropped.chain([change]).collect())
            }
        }
    }

    /// What there is that a level of the metadata does not have, and what ends it.
    fn lost_below(&self, level: i16) -> Vec<(String, Record)> {
        if level >= LEVEL_OF_UPKEEP {
            return Vec::new();
        }
        let drains = self.image.drains().map(|(id, _)| {
            (format!("broker {id} is being drained"), Record::Drain { id, drain: None })
        });
        let balance = self.image.is_balance_asked().then(|| {
            ("the brokers are being balanced".to_owned(), Record::Balance { is_asked: false })
        });
        drains.chain(balance).collect()
    }
}

#[cfg(test)]
#[path = "features_test.rs"]
mod tests;
