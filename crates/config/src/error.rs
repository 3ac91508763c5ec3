//! What is wrong with a key or a value, and what to do about it.

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
    /// The key cannot be changed while brokers run.
    #[error(
        "{key} is read at the start of a broker; hint: set it in the file of --config and restart"
    )]
    ReadOnly {
        /// The key.
        key: String,
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

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; hint: did you mean {key}?")).unwrap_or_default()
}
