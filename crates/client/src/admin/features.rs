//! Feature levels (KIP-584): which are finalized, and which the brokers can go along with.

use std::collections::BTreeMap;

use wire::update_features::request::FeatureUpdateKey;
use wire::{ApiVersionsRequest, DescribeBrokersRequest, Str, UpdateFeaturesRequest};

use super::Admin;
use crate::error::Error;

/// A feature, as the cluster has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureFacts {
    /// The finalized level; 0 if there is none.
    pub finalized: i16,
    /// The least and the newest level that each registered broker can go along with, if it knows the feature.
    pub brokers: BTreeMap<i32, Option<(i16, i16)>>,
}

impl FeatureFacts {
    /// The newest level that all brokers can go along with, if there is one.
    pub fn newest_of_all(&self) -> Option<i16> {
        let newest = self.brokers.values().map(|it| it.map(|(_, max)| max));
        let newest = newest.collect::<Option<Vec<_>>>()?.into_iter().min()?;
        let all_have_it = |it: &Option<(i16, i16)>| it.is_some_and(|(min, _)| min <= newest);
        self.brokers.values().all(all_have_it).then_some(newest)
    }
}

/// How a level may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelChange {
    /// Up.
    Upgrade,
    /// Down, if nothing is lost by that.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

impl Admin {
    /// The features that some broker knows, by name.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn features(&self) -> Result<BTreeMap<String, FeatureFacts>, Error> {
        let hello = ApiVersionsRequest {
            client_software_name: Str::from_static("klamm"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let brokers = self.cluster.ask_any(&DescribeBrokersRequest::default()).await?;
                let about = || "the brokers".to_owned();
                Error::check(brokers.error_code, about, brokers.error_message.as_ref())?;
                let answer = self.cluster.ask_any(&hello).await?;
                Error::check(answer.error_code, || "the features".to_owned(), None)?;
                let mut all: BTreeMap<String, FeatureFacts> = BTreeMap::new();
                for one in &answer.finalized_features {
                    let facts = all.entry(one.name.to_string()).or_default();
                    facts.finalized = one.max_version_level;
                }
                let supported = brokers.brokers.iter().flat_map(|broker| &broker.features);
                for one in supported {
                    all.entry(one.name.to_string()).or_default();
                }
                for (name, facts) in &mut all {
                    facts.brokers.extend(brokers.brokers.iter().map(|broker| {
                        let found = broker.features.iter().find(|it| *it.name == **name);
                        (broker.broker_id, found.map(|it| (it.min_level, it.max_level)))
                    }));
                }
                Ok(all)
            })
            .await
    }

    /// Finalizes another level of a feature; with `is_dry` only says whether that could be done.
    ///
    /// # Errors
    /// When some broker cannot go along with it, something would be lost, or nobody answers.
    pub async fn update_feature(
        &self,
        feature: &str,
        level: i16,
        change: LevelChange,
        is_dry: bool,
    ) -> Result<(), Error> {
        let update = FeatureUpdateKey {
            feature: feature.into(),
            max_version_level: level,
            upgrade_type: match change {
                LevelChange::Upgrade => 1,
                LevelChange::SafeDowngrade => 2,
                LevelChange::UnsafeDowngrade => 3,
            },
            ..Default::default()
        };
        let body = UpdateFeaturesRequest {
            timeout_ms: self.timeout_ms(),
            feature_updates: vec![update],
            validate_only: is_dry,
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "nothing was finalized".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::FeatureFacts;

    #[test]
    fn the_newest_level_of_all_is_one_that_every_broker_has() {
        let newest = |brokers: &[Option<(i16, i16)>]| {
            let brokers = (1..).zip(brokers.iter().copied()).collect();
            FeatureFacts { finalized: 1, brokers }.newest_of_all()
        };
        assert_eq!(newest(&[]), None);
        assert_eq!(newest(&[Some((1, 2))]), Some(2));
        assert_eq!(newest(&[Some((1, 3)), Some((1, 2)), Some((2, 4))]), Some(2));
        assert_eq!(newest(&[Some((1, 2)), Some((3, 4))]), None, "none is there for both");
        assert_eq!(newest(&[Some((1, 2)), None]), None);
    }
}
