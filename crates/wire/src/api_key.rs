//! The APIs: number, name, versions, and which headers they use.
//!
//! The list itself is generated, from Kafka's specifications and ours.

use std::fmt;
use std::ops::RangeInclusive;

pub use crate::generated::api_key::ApiKey;

/// The first number of Klamm's own APIs. They are answered on internal listeners only.
pub const FIRST_PRIVATE: i16 = 10_000;

impl ApiKey {
    /// The API with this number. Kafka retired 4 to 7: they are none.
    pub fn from_number(number: i16) -> Option<Self> {
        let at = Self::ALL.binary_search_by_key(&number, |key| key.number()).ok()?;
        Some(Self::ALL[at])
    }

    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Kafka's name, such as `Fetch`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether this is one of Klamm's own.
    pub const fn is_private(self) -> bool {
        self.number() >= FIRST_PRIVATE
    }

    /// The stable versions of Kafka 4.4: what may be advertised once all of it works.
    pub const fn versions(self) -> RangeInclusive<i16> {
        let facts = self.facts();
        facts.first..=(facts.last - facts.latest_unstable as i16)
    }

    /// The versions that can be read and written, including one that Kafka still calls unstable.
    pub const fn all_versions(self) -> RangeInclusive<i16> {
        let facts = self.facts();
        facts.first..=facts.last
    }

    /// Whether bodies of this version have compact lengths and tagged fields (KIP-482).
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.facts().flexible_from
    }

    /// The version of the header before a request of this version.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header before a response of this version. ApiVersions always answers with
    /// header 0: the client does not know yet what we speak (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && !matches!(self, Self::ApiVersions) { 1 } else { 0 }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_find_their_api() {
        for &key in ApiKey::ALL {
            assert_eq!(ApiKey::from_number(key.number()), Some(key));
        }
        assert_eq!(ApiKey::from_number(0), Some(ApiKey::Produce));
        assert_eq!(ApiKey::from_number(10_000), Some(ApiKey::ResetGroupOffsets));
        assert!(ApiKey::ResetGroupOffsets.is_private());
        for retired in [-1, 4, 5, 6, 7, 95, i16::MAX] {
            assert_eq!(ApiKey::from_number(retired), None);
        }
        assert_eq!(ApiKey::ALL.iter().filter(|key| !key.is_private()).count(), 91);
    }

    #[test]
    fn an_unstable_version_is_not_among_the_versions() {
        assert_eq!(ApiKey::InitProducerId.versions(), 0..=5);
        assert_eq!(ApiKey::InitProducerId.all_versions(), 0..=6);
        assert_eq!(ApiKey::Fetch.versions(), 4..=18);
    }

    #[test]
    fn the_response_to_api_versions_always_has_header_0() {
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::Fetch.response_header_version(11), 0);
        assert_eq!(ApiKey::Fetch.response_header_version(12), 1);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    }
}
