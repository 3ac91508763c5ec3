//! Ranges of versions, as specifications write them: `none`, `3`, `0-4`, `7+`.

use anyhow::Context;

/// A range of versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) first: i16,
    pub(super) last: i16,
}

impl Versions {
    /// No version.
    pub(super) const NONE: Self = Self { first: 0, last: -1 };

    /// Parses a specification's text.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let number = |digits: &str| {
            digits.parse::<i16>().with_context(|| format!("not a range of versions: {text}"))
        };
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Self { first: number(first)?, last: i16::MAX });
        }
        match text.split_once('-') {
            Some((first, last)) => Ok(Self { first: number(first)?, last: number(last)? }),
            None => Ok(Self { first: number(text)?, last: number(text)? }),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub(super) fn contains(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    /// Versions in both.
    pub(super) fn and(self, other: Self) -> Self {
        let both = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        if both.is_empty() { Self::NONE } else { both }
    }

    /// Versions that are not in `other`, which must cover one end.
    pub(super) fn minus(self, other: Self) -> Self {
        let cut = self.and(other);
        if cut.is_empty() {
            return self;
        }
        let left = if cut.first == self.first {
            if cut.last == self.last {
                return Self::NONE;
            }
            Self { first: cut.last + 1, last: self.last }
        } else {
            assert!(cut.last == self.last, "{other:?} would tear {self:?} in two");
            Self { first: self.first, last: cut.first - 1 }
        };
        if left.is_empty() { Self::NONE } else { left }
    }

    /// How often the condition `v in self` holds when `v` is known to be in `known`.
    pub(super) fn test(self, known: Self) -> Test {
        let here = self.and(known);
        if here.is_empty() {
            return Test::Never;
        }
        match (here.first > known.first, here.last < known.last) {
            (false, false) => Test::Always,
            (true, true) if here.first == here.last => Test::When(format!("v == {}", here.first)),
            (true, true) => Test::When(format!("({}..={}).contains(&v)", here.first, here.last)),
            (true, false) => Test::When(format!("v >= {}", here.first)),
            (false, true) => Test::When(format!("v <= {}", here.last)),
        }
    }
}

/// A condition on the version, as far as it is known when code is generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Always,
    Never,
    When(String),
}

#[cfg(test)]
mod tests {
    use super::{Test, Versions};

    #[test]
    fn ranges_parse_as_specifications_write_them() {
        let parse = |text| Versions::parse(text).unwrap();
        assert_eq!(parse("none"), Versions::NONE);
        assert_eq!(parse("3"), Versions { first: 3, last: 3 });
        assert_eq!(parse("0-4"), Versions { first: 0, last: 4 });
        assert_eq!(parse("7+"), Versions { first: 7, last: i16::MAX });
        assert!(Versions::parse("x").is_err());
    }

    #[test]
    fn a_condition_says_no_more_than_needed() {
        let known = Versions { first: 4, last: 18 };
        let test = |text| Versions::parse(text).unwrap().test(known);
        assert_eq!(test("0+"), Test::Always);
        assert_eq!(test("0-3"), Test::Never);
        assert_eq!(test("13+"), Test::When("v >= 13".to_owned()));
        assert_eq!(test("0-12"), Test::When("v <= 12".to_owned()));
        assert_eq!(test("7"), Test::When("v == 7".to_owned()));
        assert_eq!(test("7-9"), Test::When("(7..=9).contains(&v)".to_owned()));
    }
}
