//! Which generated file holds which message.
//!
//! Folders are the ones of the broker's handlers, so that a message is found where its handler is.

use anyhow::{Context, bail};

use super::names::snake;
use super::spec::{Kind, Spec};

/// The folder of each API, by key. A key that is missing here stops the generator: choose a folder.
const FOLDERS: [(&str, &[i16]); 13] = [
    ("data", &[0, 1, 2, 21, 23, 10_012]),
    ("group", &[10, 11, 12, 13, 14, 15, 16, 42, 68, 69]),
    ("offsets", &[8, 9, 47, 10_000]),
    ("txn", &[22, 24, 25, 26, 27, 28, 61, 65, 66]),
    ("topics", &[19, 20, 34, 35, 37, 43, 45, 46, 75]),
    ("settings", &[32, 33, 44, 48, 49, 74]),
    ("cluster", &[3, 18, 55, 57, 58, 60, 64, 71, 72]),
    ("security", &[17, 29, 30, 31, 36, 38, 39, 40, 41, 50, 51]),
    ("quorum", &[52, 53, 54, 59, 80, 81, 82, 94, 10_001, 10_002]),
    ("controller", &[56, 62, 63, 67, 70, 73]),
    ("upkeep", &[10_003, 10_004, 10_005, 10_006, 10_007, 10_008, 10_009, 10_010, 10_011]),
    ("share", &[76, 77, 78, 79, 83, 84, 85, 86, 87, 90, 91, 92]),
    ("streams", &[88, 89, 93]),
];

/// The messages that share one file.
pub(super) struct Module<'a> {
    pub(super) folder: &'static str,
    /// The file's name without its ending.
    pub(super) stem: String,
    /// A module inside the file, and its message. A message alone in its file has no inner module.
    pub(super) messages: Vec<(&'static str, &'a Spec)>,
}

/// Sorts messages into files.
pub(super) fn arrange(specs: &[Spec]) -> anyhow::Result<Vec<Module<'_>>> {
    let mut modules: Vec<Module<'_>> = Vec::new();
    for spec in specs {
        let (folder, inner) = place(spec).with_context(|| spec.name.clone())?;
        let ending = match inner {
            "request" => "Request",
            "response" => "Response",
            "key" => "Key",
            "value" => "Value",
            _ => "",
        };
        let stem = snake(spec.name.strip_suffix(ending).unwrap_or(&spec.name));
        match modules.iter_mut().find(|m| m.folder == folder && m.stem == stem) {
            Some(module) => module.messages.push((inner, spec)),
            None => modules.push(Module { folder, stem, messages: vec![(inner, spec)] }),
        }
    }
    modules.sort_by(|a, b| (a.folder, &a.stem).cmp(&(b.folder, &b.stem)));
    Ok(modules)
}

fn place(spec: &Spec) -> anyhow::Result<(&'static str, &'static str)> {
    let transactions = spec.name.starts_with("TransactionLog");
    let log = if transactions { "transaction_state" } else { "consumer_offsets" };
    Ok(match spec.kind {
        Kind::Request => (api_folder(spec)?, "request"),
        Kind::Response => (api_folder(spec)?, "response"),
        Kind::Header => ("header", ""),
        Kind::Data => ("embedded", ""),
        Kind::CoordinatorKey => (log, "key"),
        Kind::CoordinatorValue => (log, "value"),
    })
}

fn api_folder(spec: &Spec) -> anyhow::Result<&'static str> {
    let key = spec.key.context("a request or response without an API key")?;
    match FOLDERS.iter().find(|(_, keys)| keys.contains(&key)) {
        Some((folder, _)) => Ok(folder),
        None => bail!("API key {key} has no folder; hint: add it to FOLDERS in layout.rs"),
    }
}

/// Whether a folder holds requests and responses.
pub(super) fn is_api(folder: &str) -> bool {
    FOLDERS.iter().any(|(name, _)| *name == folder)
}
