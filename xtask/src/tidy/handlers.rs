//! One handler file per API key that the broker serves: the switchboard's list and the folders agree.

use std::collections::BTreeSet;

use super::{Breach, Source};

const SWITCHBOARD: &str = "broker/src/api/mod.rs";
/// How a handler begins; one that hands work over before it waits is no `async fn`.
const HANDLES: [&str; 2] = ["pub(crate) async fn handle(", "pub(crate) fn handle("];

pub(super) fn check(sources: &[Source]) -> Vec<Breach> {
    let Some(switchboard) = sources.iter().find(|source| source.path == SWITCHBOARD) else {
        return vec![Breach::new(SWITCHBOARD, "the switchboard is missing")];
    };
    // Rows read `ApiName => room::file,`.
    let listed: BTreeSet<String> = switchboard
        .text
        .lines()
        .filter_map(|line| {
            let (api, place) = line.trim().strip_suffix(',')?.split_once(" => ")?;
            let (room, file) = place.split_once("::")?;
            let is_row = api.chars().all(char::is_alphanumeric) && !file.contains([':', '(', ' ']);
            is_row.then(|| format!("broker/src/api/{room}/{file}.rs"))
        })
        .collect();
    let present: BTreeSet<String> = sources
        .iter()
        .filter(|source| HANDLES.iter().any(|handles| source.text.contains(handles)))
        .map(|source| source.path.clone())
        .filter(|path| path.starts_with("broker/src/api/"))
        .collect();
    let mut breaches = Vec::new();
    if listed.is_empty() {
        breaches.push(Breach::new(SWITCHBOARD, "no row `ApiName => room::file,` was found"));
    }
    for path in listed.difference(&present) {
        breaches.push(Breach::new(path, "listed in the switchboard, but there is no handler"));
    }
    for path in present.difference(&listed) {
        breaches.push(Breach::new(path, "a handler that the switchboard does not list"));
    }
    breaches
}
