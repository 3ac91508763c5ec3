//! `docs/reference/settings.md` says what the tables say.

#![expect(
    clippy::disallowed_methods,
    reason = "the test reads and writes a file of the repository"
)]

use std::path::Path;

#[test]
fn the_reference_of_settings_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/settings.md");
    let made = config::reference::reference_markdown();
    if std::env::var_os("KLAMM_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("the path has a folder"))
            .expect("docs can be written");
        std::fs::write(&path, &made).expect("docs can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "stale; hint: KLAMM_UPDATE=1 cargo test -p config --test reference");
}
