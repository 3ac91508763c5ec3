//! What is wrong with a key or a value, and what to do about it.

use crate::settings::Scope;

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No table has this key.
    #[error("unknown {what} setting: {key}{}", hint(nearest.as_deref()))]
    Unknown {
        /// `topic`, `broker` or `group`.
        what: &'static str,
        /// The key as written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// The value has the wrong type or is out of range.
    #[error("invalid value for {key}: {value:?}, expected {expected}")]
    Invalid {
        /// The key.
        key: String,
        /// The value as written; `[hidden]` for a password.
        value: String,
        /// What the key takes, in words.
        expected: String,
    },
    /// The feature behind the key does not exist in this version.
    #[error("{key} cannot be set to {value:?} in this version; hint: {hint}")]
    Refused {
        /// The key.
        key: String,
        /// The value as written; `[hidden]` for a password.
        value: String,
        /// What to do.
        hint: String,
    },
    /// The key belongs to a feature that does not exist in this version.
    #[error("{key} is not supported; hint: {hint}")]
    Unsupported {
        /// The key.
        key: String,
        /// What to do.
        hint: String,
    },
    /// The key cannot be changed while brokers run.
    #[error("{key} cannot be changed here; hint: {}", read_only_hint(*scope))]
    ReadOnly {
        /// The key.
        key: String,
        /// Whose settings were to be changed.
        scope: Scope,
    },
    /// Two settings do not go together.
    #[error("{key} = {value} does not go with {other}; hint: {hint}")]
    Conflict {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// The other key and its value.
        other: String,
        /// What to do.
        hint: String,
    },
    /// A line, a variable or an argument that is no setting at all.
    #[error("{place}: {problem}")]
    Syntax {
        /// `line 3`, `--set`, …
        place: String,
        /// What was expected and what was found.
        problem: String,
    },
}

impl ConfigError {
    /// The error for a key that is not among `known`.
    pub(crate) fn unknown(
        what: &'static str,
        key: &str,
        known: impl Iterator<Item = &'static str>,
    ) -> Self {
        Self::Unknown { what, key: key.to_owned(), nearest: nearest(key, known).map(str::to_owned) }
    }
}

fn read_only_hint(scope: Scope) -> &'static str {
    match scope {
        Scope::AllBrokers => "it differs from broker to broker, or is read at the start only",
        Scope::OneBroker => "it is read at the start only: set it in the file of --config",
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; hint: did you mean {key}?")).unwrap_or_default()
}

/// The longest key that is worth comparing: none of ours is half as long.
const COMPARED_MAX: usize = 128;

/// The known key that takes the fewest edits, unless that would be a third of it or more.
fn nearest(key: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if key.len() > COMPARED_MAX {
        return None;
    }
    known
        .map(|candidate| (edits(key, candidate), candidate))
        .min()
        .filter(|(edits, candidate)| edits * 3 < candidate.len())
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed or replaced to make `a` of `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("log.dir", "log.dirs", 1)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
            assert_eq!(edits(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn nothing_is_near_to_nonsense() {
        let known = ["retention.ms", "segment.bytes"];
        assert_eq!(nearest("retension.ms", known.into_iter()), Some("retention.ms"));
        assert_eq!(nearest("retention_ms", known.into_iter()), Some("retention.ms"));
        assert_eq!(nearest("colour", known.into_iter()), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), known.into_iter()), None);
    }
}
