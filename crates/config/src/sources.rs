//! The static layers: file, environment, command line.
//!
//! `KLAMM_LOG_DIRS` is `log.dirs`: the prefix off, lower case, `_` to `.`. Of our own keys the prefix
//! counts once: `KLAMM_SHARDS` is `klamm.shards`.
//!
//! In a file, `${env:NAME}` within a value is what the variable holds, as with Kafka's `EnvVarConfigProvider` (KIP-887):
//! what only the machine knows, such as the address of a pod's node.

use std::collections::BTreeMap;

use crate::error::ConfigError;
use crate::rows::broker;
use crate::{Properties, properties};

const PREFIX: &str = "KLAMM_";
/// Begins the name of a variable within a file's value.
const VARIABLE: &str = "${env:";

/// Variables with our prefix that are no settings: they belong to the command line and to the tests.
const OTHERS: &[&str] = &["KLAMM_CACHE", "KLAMM_LOG", "KLAMM_UPDATE", "KLAMM_BOOTSTRAP"];

/// Merges the text of a properties file, the process environment and `--set key=value` arguments; the
/// later wins. Variables that do not begin with `KLAMM_` are skipped; keys are checked by
/// [`crate::Settings::resolve`].
pub fn merge(
    file: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    set: &[String],
) -> Result<Properties, ConfigError> {
    let mut merged = properties::parse(file)?;
    let environment: BTreeMap<String, String> = environment.into_iter().collect();
    for (key, value) in &mut merged {
        *value = filled_in(value, &environment)
            .map_err(|problem| ConfigError::Syntax { place: key.clone(), problem })?;
    }
    merged.extend(
        environment.into_iter().filter_map(|(name, value)| Some((variable_key(&name)?, value))),
    );
    for argument in set {
        let (key, value) = argument.split_once('=').ok_or_else(|| ConfigError::Syntax {
            place: "--set".to_owned(),
            problem: format!("expected key=value, found {argument:?}"),
        })?;
        merged.insert(key.trim().to_owned(), value.to_owned());
    }
    Ok(merged)
}

/// The value with its variables replaced by what they hold.
fn filled_in(value: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::with_capacity(value.len()), value);
    while let Some((before, after)) = rest.split_once(VARIABLE) {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("expected a closing brace after {VARIABLE}"))?;
        let held = environment
            .get(name)
            .ok_or_else(|| format!("the environment variable {name} is not set"))?;
        filled.push_str(before);
        filled.push_str(held);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The key that an environment variable sets.
fn variable_key(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    if OTHERS.contains(&name) || is_service_link(rest) {
        return None;
    }
    let key = rest.to_ascii_lowercase().replace('_', ".");
    let ours = format!("klamm.{key}");
    let is_ours = broker::find(&key).is_err() && broker::find(&ours).is_ok();
    Some(if is_ours { ours } else { key })
}

/// Kubernetes describes a Service called `klamm` or `klamm-…` to every pod of its namespace in variables
/// such as `KLAMM_PORT_9092_TCP_ADDR`. They are no settings.
fn is_service_link(rest: &str) -> bool {
    let words: Vec<&str> = rest.split('_').collect();
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let port = |at: usize, word: &str| {
        word == "PORT"
            && match &words[at + 1..] {
                [] => true,
                [number, "TCP" | "UDP" | "SCTP", ..] => is_number(number),
                _ => false,
            }
    };
    let service = |pair: &[&str]| matches!(pair, ["SERVICE", "HOST" | "PORT"]);
    words.windows(2).any(service) || words.iter().enumerate().any(|(at, word)| port(at, word))
}

#[cfg(test)]
mod tests {
    use super::{merge, variable_key};

    #[test]
    fn later_layers_win() {
        let environment = [
            ("KLAMM_LOG_DIRS".to_owned(), "/environment".to_owned()),
            ("KLAMM_NODE_ID".to_owned(), "2".to_owned()),
            ("HOME".to_owned(), "/root".to_owned()),
        ];
        let merged =
            merge("log.dirs=/file\nnum.partitions=3", environment, &["node.id=7".to_owned()]);
        let merged = merged.unwrap();
        assert_eq!(merged["log.dirs"], "/environment");
        assert_eq!(merged["node.id"], "7");
        assert_eq!(merged["num.partitions"], "3");
        assert_eq!(merged.len(), 3);
        assert_eq!(
            merge("", [], &["node.id".to_owned()]).unwrap_err().to_string(),
            "--set: expected key=value, found \"node.id\""
        );
    }

    #[test]
    fn a_value_of_a_file_may_name_variables() {
        let environment = [("HOST_IP".to_owned(), "10.0.0.7".to_owned())];
        let merged = |file| merge(file, environment.clone(), &[]);
        let found =
            merged("advertised.listeners=A://a:1,B://${env:HOST_IP}:2,C://${env:HOST_IP}:3");
        assert_eq!(found.unwrap()["advertised.listeners"], "A://a:1,B://10.0.0.7:2,C://10.0.0.7:3");
        for (file, expected) in [
            ("broker.rack=${env:ZONE}", "broker.rack: the environment variable ZONE is not set"),
            ("broker.rack=a${env:HOST_IP", "broker.rack: expected a closing brace after ${env:"),
        ] {
            assert_eq!(merged(file).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn variables_become_keys() {
        for (name, key) in [
            ("KLAMM_LOG_DIRS", Some("log.dirs")),
            ("KLAMM_SHARDS", Some("klamm.shards")),
            ("KLAMM_KLAMM_SHARDS", Some("klamm.shards")),
            ("KLAMM_HTTP_LISTENER", Some("klamm.http.listener")),
            ("KLAMM_NOT_A_KEY", Some("not.a.key")),
            ("KLAMM_CACHE", None),
            ("PATH", None),
            ("KLAMM_SERVICE_HOST", None),
            ("KLAMM_PORT", None),
            ("KLAMM_OPERATOR_SERVICE_PORT_METRICS", None),
            ("KLAMM_DEMO_PORT_9092_TCP_ADDR", None),
        ] {
            assert_eq!(variable_key(name).as_deref(), key, "{name}");
        }
    }
}
