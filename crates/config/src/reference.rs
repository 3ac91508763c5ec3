//! `docs/reference/settings.md`, from the tables.

use std::fmt::Write;

use crate::rows::{broker, group, topic};
use crate::setting::{Effect, Kind, Setting, Update, Valid};

const HEAD: &str = "\
<!-- Made from the tables in crates/config. `KLAMM_UPDATE=1 cargo test -p config` writes it anew. -->

# Settings

Every key is Kafka's, or begins with `klamm.`. *Default* is the value when no layer names the key; `null`
means that there is none. An unknown key is an error, with the nearest known one as a hint.

## Precedence

The first layer that names a key, from the top, decides.

| Layer | Where it comes from |
| --- | --- |
| topic or group | CreateTopics, AlterConfigs, `klamm topic`, the `Topic` resource |
| this broker, dynamic | AlterConfigs on broker `ID` |
| all brokers, dynamic | AlterConfigs on the broker resource with an empty name |
| command line | `--set key=value` |
| environment | `KLAMM_LOG_DIRS` is `log.dirs`; `KLAMM_SHARDS` is `klamm.shards` |
| file | `klamm broker --config FILE`, in Java's `.properties` syntax; `${env:NAME}` in a value is what that variable holds |
| default | the tables below |

A topic that does not set a key takes the value of its *broker-wide names*, from left to right.
";

/// The reference of all settings, as Markdown.
pub fn reference_markdown() -> String {
    let mut out = HEAD.to_owned();
    let acts = |row: &&Setting| row.effect == Effect::Acts;
    section(&mut out, "Topic settings", topic::rows().filter(acts), false);
    section(&mut out, "Broker settings", broker::rows().filter(acts), true);
    out.push_str(
        "\n# Settings without effect\n\nThey are accepted, so that files and tools made for Kafka work, \
         and shown. The last column says why they change nothing, or that nothing but the default is \
         accepted.\n",
    );
    idle(&mut out, "Topic settings without effect", topic::rows());
    idle(&mut out, "Broker settings without effect", broker::rows());
    idle(&mut out, "Group settings without effect", group::ROWS.iter());
    out
}

fn section(
    out: &mut String,
    title: &str,
    rows: impl Iterator<Item = &'static Setting>,
    with_update: bool,
) {
    let _ = write!(out, "\n## {title}\n");
    for row in sorted(rows) {
        let _ = write!(out, "\n### `{}`\n\n{}\n\n", row.key, row.doc.trim());
        let _ = write!(out, "{}, default {}", type_name(row.kind), default(row));
        if !matches!(row.valid, Valid::Any) {
            let _ = write!(out, "; {}", row.expected());
        }
        if !row.aliases.is_empty() {
            let names: Vec<_> = row.aliases.iter().map(|a| format!("`{}`", a.key)).collect();
            let what = if with_update { "also" } else { "broker-wide" };
            let _ = write!(out, "; {what}: {}", names.join(", "));
        }
        if with_update {
            let update = match row.update {
                Update::ReadOnly => "read at the start",
                Update::PerBroker => "changeable per broker",
                Update::ClusterWide => "changeable for all brokers",
            };
            let _ = write!(out, "; {update}");
        }
        out.push_str(".\n");
    }
}

fn idle(out: &mut String, title: &str, rows: impl Iterator<Item = &'static Setting>) {
    let _ = write!(out, "\n## {title}\n\n| Key | Default | What it is in Kafka | Why |\n");
    out.push_str("| --- | --- | --- | --- |\n");
    for row in sorted(rows) {
        let why = match row.effect {
            Effect::Acts => continue,
            Effect::Inert(why) => why.to_owned(),
            Effect::Refused(why) => format!("default only: {why}"),
        };
        let _ = writeln!(out, "| `{}` | {} | {} | {why} |", row.key, default(row), row.doc.trim());
    }
}

fn sorted(rows: impl Iterator<Item = &'static Setting>) -> Vec<&'static Setting> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| row.key);
    rows
}

fn default(row: &Setting) -> String {
    match row.default {
        None => "null".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("`{text}`"),
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::String => "string",
        Kind::Int => "int",
        Kind::Short => "short",
        Kind::Long => "long",
        Kind::Double => "double",
        Kind::List => "list",
        Kind::Class => "class",
        Kind::Password => "password",
    }
}
