//! Conditions in the standard form, so that `kubectl wait` and GitOps tools (kstatus) understand them.
//!
//! `Ready` says whether the resource is as declared. `Reconciling` is present and true while work is
//! going on, `Stalled` is present and true when only a person can help. Reasons come from the closed
//! set of each kind, never from a format string.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The resource is as declared.
pub const READY: &str = "Ready";
/// Work is going on; Klamm goes on by itself (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// Klamm cannot go on without a person (kstatus).
pub const STALLED: &str = "Stalled";

/// What a condition says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told at present.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One claim about a resource, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is claimed, for example `Ready`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, as one word of the kind's closed set.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// Why, for a person, with the next step.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub message: String,
    /// The generation of the spec that this was said about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status last changed, RFC 3339.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub last_transition_time: String,
}

/// Declares the closed set of reasons of one kind: the enum, its words and what they mean.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($reason:ident: $meaning:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $meaning] $reason,)*
        }

        impl $name {
            /// All reasons, for the reference.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// The word in the condition.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)*
                }
            }

            /// What the word means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$reason => $meaning,)*
                }
            }
        }
    };
}
pub(crate) use reasons;

/// Sets `new` in `conditions`, kept sorted by type. A condition whose status did not change keeps its
/// `lastTransitionTime`.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.binary_search_by(|c| c.type_.cmp(&new.type_)) {
        Ok(at) => {
            if conditions[at].status == new.status {
                new.last_transition_time.clone_from(&conditions[at].last_transition_time);
            }
            conditions[at] = new;
        }
        Err(at) => conditions.insert(at, new),
    }
}

/// Takes the condition `type_` away.
pub fn clear(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

/// The condition `type_`, if it is there.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: ConditionStatus, reason: &str, at: &str) -> Condition {
        Condition {
            type_: READY.to_owned(),
            status,
            reason: reason.to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: at.to_owned(),
        }
    }

    #[test]
    fn a_condition_that_keeps_its_status_keeps_its_transition_time() {
        let mut all = Vec::new();
        set(&mut all, ready(ConditionStatus::False, "Creating", "t1"));
        set(&mut all, ready(ConditionStatus::False, "Conflict", "t2"));
        assert_eq!(all, [ready(ConditionStatus::False, "Conflict", "t1")]);
        set(&mut all, ready(ConditionStatus::True, "InSync", "t3"));
        assert_eq!(get(&all, READY).map(|c| c.last_transition_time.as_str()), Some("t3"));
        clear(&mut all, READY);
        assert!(all.is_empty());
    }
}
