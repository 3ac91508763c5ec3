//! Kafka's names in Rust's spelling.

/// `LogStartOffset` becomes `log_start_offset`; `SessionID` becomes `session_id`.
pub(super) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let starts = c.is_uppercase() && at > 0;
        let after_lower = starts && !chars[at - 1].is_uppercase();
        let before_lower = starts && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if after_lower || (before_lower && chars[at - 1].is_uppercase()) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// A field's name as a Rust identifier.
pub(super) fn field(name: &str) -> String {
    match snake(name).as_str() {
        "type" => "r#type".to_owned(),
        "match" => "r#match".to_owned(),
        plain => plain.to_owned(),
    }
}

/// The first letter upper case: `group` becomes `Group`.
pub(super) fn pascal(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::snake;

    #[test]
    fn names_become_snake_case() {
        for (name, expected) in [
            ("LogStartOffset", "log_start_offset"),
            ("SessionID", "session_id"),
            ("KRaftVersionFeature", "k_raft_version_feature"),
            ("group", "group"),
            ("IsKRaftController", "is_k_raft_controller"),
        ] {
            assert_eq!(snake(name), expected);
        }
    }
}
