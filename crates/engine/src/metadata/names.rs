//! What a topic may be called.

/// Why a name is refused. Kafka answers INVALID_TOPIC_EXCEPTION.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// No name at all.
    #[error("a topic needs a name")]
    Empty,
    /// `.` and `..` are directories.
    #[error("a topic cannot be called . or ..")]
    Dots,
    /// More than 249 characters.
    #[error("a topic's name has at most 249 characters, found {found}")]
    Long {
        /// How many.
        found: usize,
    },
    /// A character outside of `[a-zA-Z0-9._-]`.
    #[error("a topic's name holds ASCII letters, digits, '.', '_' and '-' only: {name:?}")]
    Characters {
        /// The name.
        name: String,
    },
    /// Differs from an existing name in `.` and `_` only, which metrics cannot tell apart.
    #[error("the name {name} collides with the topic {existing}: '.' and '_' count as the same")]
    Collision {
        /// The name.
        name: String,
        /// The topic that exists.
        existing: String,
    },
}

/// Checks length and characters.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    let _ = name;
    todo!()
}

/// Whether two different names differ in `.` and `_` only.
pub fn topic_names_collide(a: &str, b: &str) -> bool {
    let _ = (a, b);
    todo!()
}
