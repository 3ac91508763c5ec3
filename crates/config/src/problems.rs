//! All that is wrong with settings at once, for whoever wants to know before setting them.

use std::collections::BTreeMap;

use crate::Properties;
use crate::error::ConfigError;
use crate::settings::Settings;

/// What is wrong with the settings of a broker's file, by key; under the empty key, what is wrong with all
/// of them together.
pub fn problems_of_broker(file: &Properties) -> BTreeMap<String, String> {
    problems(file, |some| Settings::resolve(some.clone()).map(|_| ()))
}

impl Settings {
    /// What is wrong with the overrides of a topic, in the same form.
    pub fn problems_of_topic(&self, overrides: &Properties) -> BTreeMap<String, String> {
        problems(overrides, |some| self.validate_topic(some))
    }
}

fn problems(
    all: &Properties,
    check: impl Fn(&Properties) -> Result<(), ConfigError>,
) -> BTreeMap<String, String> {
    let alone = all.iter().filter_map(|(key, value)| {
        match check(&Properties::from([(key.clone(), value.clone())])) {
            // Another one of them may go with it.
            Ok(()) | Err(ConfigError::Conflict { .. }) => None,
            Err(error) => Some((key.clone(), error.to_string())),
        }
    });
    let mut problems: BTreeMap<String, String> = alone.collect();
    if problems.is_empty()
        && let Err(error) = check(all)
    {
        problems.insert(String::new(), error.to_string());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::problems_of_broker;
    use crate::{Properties, Settings};

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_key_that_is_wrong_is_named_with_what_to_do() {
        let settings = Settings::resolve(Properties::new()).unwrap();
        let asked = properties(&[
            ("retension.ms", "5"),
            ("segment.bytes", "few"),
            ("min.insync.replicas", "2"),
        ]);
        let found = settings.problems_of_topic(&asked);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["retension.ms", "segment.bytes"]);
        assert!(found["retension.ms"].ends_with("hint: did you mean retention.ms?"));
        assert!(settings.problems_of_topic(&properties(&[("retention.ms", "5")])).is_empty());
    }

    #[test]
    fn settings_that_do_not_go_together_are_told_together() {
        let pair = ("broker.heartbeat.interval.ms", "5000");
        let found = problems_of_broker(&properties(&[pair]));
        assert_eq!(found.keys().collect::<Vec<_>>(), [""]);
        let both = properties(&[pair, ("broker.session.timeout.ms", "20000")]);
        assert!(problems_of_broker(&both).is_empty());
        let found = problems_of_broker(&properties(&[pair, ("listeners", "nonsense")]));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["listeners"]);
    }
}
