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

/// The longest name, so that `name-partition.log` and its suffixes fit a file system's 255 bytes.
const NAME_LEN_MAX: usize = 249;

/// Checks length and characters.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match name {
        "" => Err(TopicNameError::Empty),
        "." | ".." => Err(TopicNameError::Dots),
        _ if name.len() > NAME_LEN_MAX => Err(TopicNameError::Long { found: name.chars().count() }),
        _ if !name.bytes().all(is_legal) => {
            Err(TopicNameError::Characters { name: name.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Whether two different names differ in `.` and `_` only.
pub fn topic_names_collide(a: &str, b: &str) -> bool {
    a != b && flattened(a) == flattened(b)
}

/// The name as metrics show it. Two names with one such form collide.
pub(super) fn flattened(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::{check_topic_name, topic_names_collide};

    #[test]
    fn names_are_kafkas() {
        for good in ["a", "order-placed", "A.b_c-9", "...", "__consumer_offsets", &"x".repeat(249)]
        {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        for (bad, expected) in [
            ("", "a topic needs a name"),
            (".", "a topic cannot be called . or .."),
            ("..", "a topic cannot be called . or .."),
            ("a b", "a topic's name holds ASCII letters, digits, '.', '_' and '-' only: \"a b\""),
            ("a/b", "a topic's name holds ASCII letters, digits, '.', '_' and '-' only: \"a/b\""),
            ("é", "a topic's name holds ASCII letters, digits, '.', '_' and '-' only: \"é\""),
            ("a\0", "a topic's name holds ASCII letters, digits, '.', '_' and '-' only: \"a\\0\""),
        ] {
            assert_eq!(check_topic_name(bad).unwrap_err().to_string(), expected);
        }
        assert!(check_topic_name(&"x".repeat(250)).is_err());
    }

    #[test]
    fn names_that_metrics_cannot_tell_apart_collide() {
        assert!(topic_names_collide("a.b", "a_b"));
        assert!(topic_names_collide("a.b_c", "a_b.c"));
        assert!(!topic_names_collide("a.b", "a.b"));
        assert!(!topic_names_collide("a.b", "a-b"));
    }
}
