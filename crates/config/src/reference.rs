//! `docs/reference/settings.md`, from the tables.

/// The reference of all settings, as Markdown.
pub fn reference_markdown() -> String {
    todo!()
}
