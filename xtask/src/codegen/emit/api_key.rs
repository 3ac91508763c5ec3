//! Writes the enum of all APIs, and what is known of each.

use std::fmt::Write as _;

use anyhow::Context;

use super::super::layout::Module;
use super::super::spec::{Kind, Spec};
use super::GENERATED;

/// `generated/api_key.rs`.
pub(super) fn api_key(modules: &[Module<'_>]) -> anyhow::Result<String> {
    let mut requests: Vec<&Spec> = modules
        .iter()
        .flat_map(|module| &module.messages)
        .map(|(_, spec)| *spec)
        .filter(|spec| spec.kind == Kind::Request)
        .collect();
    requests.sort_by_key(|spec| spec.key);
    let (mut variants, mut all, mut facts) = (String::new(), String::new(), String::new());
    for spec in requests {
        let name = spec.name.strip_suffix("Request").context("a request's name ends so")?;
        let key = spec.key.context("a request has an API key")?;
        let (first, last) = (spec.valid.first, spec.valid.last);
        let _ =
            writeln!(variants, "/// `{name}`, {}.\n{name} = {key},", super::versions_text(spec));
        let _ = writeln!(all, "Self::{name},");
        let flexible = if spec.flexible.and(spec.valid).is_empty() {
            "i16::MAX".to_owned()
        } else {
            spec.flexible.first.max(first).to_string()
        };
        let unstable = spec.latest_unstable;
        let _ = writeln!(
            facts,
            "Self::{name} => Facts {{ name: \"{name}\", first: {first}, last: {last}, \
             latest_unstable: {unstable}, flexible_from: {flexible} }},"
        );
    }
    Ok(format!(
        "//! Every API: Kafka's, and ours from 10000 up. {GENERATED}\n\n\
         /// What a request asks for. Numbers from 10000 up are Klamm's own.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         #[repr(i16)]\npub enum ApiKey {{\n{variants}}}\n\n\
         /// What the specifications say of one API.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n\
         pub(crate) struct Facts {{\n\
         pub(crate) name: &'static str,\npub(crate) first: i16,\npub(crate) last: i16,\n\
         pub(crate) latest_unstable: bool,\npub(crate) flexible_from: i16,\n}}\n\n\
         impl ApiKey {{\n\
         /// Every API, by number.\npub const ALL: &[Self] = &[\n{all}];\n\n\
         pub(crate) const fn facts(self) -> Facts {{\nmatch self {{\n{facts}}}\n}}\n}}\n"
    ))
}
