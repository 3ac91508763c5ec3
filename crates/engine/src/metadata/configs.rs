//! Decisions about settings: AlterConfigs (replaces) and IncrementalAlterConfigs (patches).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use config::rows::{broker, group, topic};
use config::setting::Kind;
use config::value::list;
use config::{ConfigError, Properties, Scope};

use crate::ids::BrokerId;

use super::controller::{Controller, Decision};
use super::record::{Record, Resource};

/// AlterConfigs on one resource: these become all of its overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// Whose.
    pub resource: Resource,
    /// The overrides.
    pub configs: Vec<(String, Option<String>)>,
}

/// IncrementalAlterConfigs on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncrementalAlterConfigs {
    /// Whose.
    pub resource: Resource,
    /// The changes.
    pub changes: Vec<ConfigChange>,
}

/// One change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The key.
    pub key: String,
    /// What to do.
    pub operation: ConfigOperation,
    /// The value. Only a deletion has none.
    pub value: Option<String>,
}

/// What IncrementalAlterConfigs does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Set the value.
    Set,
    /// Remove the override.
    Delete,
    /// Add elements to a list.
    Append,
    /// Take elements off a list.
    Subtract,
}

impl ConfigOperation {
    /// Reads Kafka's code.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// Why the settings of a resource stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigsError {
    /// Kafka answers INVALID_REQUEST.
    #[error("the request names this resource more than once")]
    DuplicateResource,
    /// Kafka answers INVALID_REQUEST.
    #[error("the request names a setting more than once: {key}")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Kafka answers INVALID_REQUEST.
    #[error("a setting needs a value; hint: IncrementalAlterConfigs deletes one: {key}")]
    NullValue {
        /// The key.
        key: String,
    },
    /// Kafka answers INVALID_CONFIG.
    #[error("only a list can be appended to or subtracted from: {key}")]
    NotAList {
        /// The key.
        key: String,
    },
    /// Kafka answers UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such topic: {topic}")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// Kafka answers BROKER_ID_NOT_REGISTERED.
    #[error("there is no such broker: {id}")]
    UnknownBroker {
        /// The broker.
        id: BrokerId,
    },
    /// Kafka answers INVALID_CONFIG.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// One result per resource, in the order of the request; a resource that it names twice appears once.
pub type AlterConfigsReply = Vec<(Resource, Result<(), AlterConfigsError>)>;

/// The overrides that a resource would have, by key.
type Overrides = Properties;

impl Controller<'_> {
    /// Replaces all overrides of each resource. With `validate_only` the reply is the same and nothing
    /// changes.
    pub fn alter_configs(
        &self,
        requests: Vec<AlterConfigs>,
        validate_only: bool,
    ) -> Decision<AlterConfigsReply> {
        let requests = requests.into_iter().map(|one| (one.resource, one.configs)).collect();
        self.change_configs(requests, replaced).unless(validate_only)
    }

    /// Changes single overrides of each resource; each resource changes wholly or not at all.
    pub fn incremental_alter_configs(
        &self,
        requests: Vec<IncrementalAlterConfigs>,
        validate_only: bool,
    ) -> Decision<AlterConfigsReply> {
        let requests = requests.into_iter().map(|one| (one.resource, one.changes)).collect();
        let patch = |resource: &Resource, changes| self.patched(resource, changes);
        self.change_configs(requests, patch).unless(validate_only)
    }

    /// Decides about every resource; `next` makes its new overrides from its part of the request.
    fn change_configs<T>(
        &self,
        requests: Vec<(Resource, T)>,
        next: impl Fn(&Resource, T) -> Result<Overrides, AlterConfigsError>,
    ) -> Decision<AlterConfigsReply> {
        let mut times: BTreeMap<Resource, usize> = BTreeMap::new();
        for (resource, _) in &requests {
            *times.entry(resource.clone()).or_default() += 1;
        }
        let mut decision = Decision::nothing(Vec::with_capacity(times.len()));
        for (resource, request) in requests {
            let result = match times.remove(&resource) {
                // The second time that it is named.
                None => continue,
                Some(1) => self.check_exists(&resource).and_then(|()| {
                    let overrides = next(&resource, request)?;
                    self.check_overrides(&resource, &overrides)?;
                    decision.records.extend(self.difference(&resource, &overrides));
                    Ok(())
                }),
                Some(_) => Err(AlterConfigsError::DuplicateResource),
            };
            decision.reply.push((resource, result));
        }
        decision
    }

    fn check_exists(&self, resource: &Resource) -> Result<(), AlterConfigsError> {
        match resource {
            Resource::Topic(name) if self.image.topic(name).is_none() => {
                Err(AlterConfigsError::UnknownTopic { topic: name.to_string() })
            }
            Resource::Broker(id) if self.image.broker(*id).is_none() => {
                Err(AlterConfigsError::UnknownBroker { id: *id })
            }
            Resource::Topic(_)
            | Resource::Broker(_)
            | Resource::AllBrokers
            | Resource::Group(_) => Ok(()),
        }
    }

    /// Checks a resource's overrides as a whole, and with what they inherit.
    fn check_overrides(
        &self,
        resource: &Resource,
        overrides: &Overrides,
    ) -> Result<(), AlterConfigsError> {
        match resource {
            Resource::Topic(_) => self.settings.validate_topic(overrides)?,
            Resource::Group(_) => config::validate_group_config(overrides)?,
            Resource::AllBrokers => {
                config::validate_broker_config(overrides, Scope::AllBrokers)?;
                self.settings.with_dynamic(overrides.clone(), Properties::new())?;
            }
            Resource::Broker(_) => {
                config::validate_broker_config(overrides, Scope::OneBroker)?;
                let all = self.image.config(&Resource::AllBrokers);
                self.settings.with_dynamic((*all).clone(), overrides.clone())?;
            }
        }
        Ok(())
    }

    /// The overrides of a resource with these changes.
    fn patched(
        &self,
        resource: &Resource,
        changes: Vec<ConfigChange>,
    ) -> Result<Overrides, AlterConfigsError> {
        let mut overrides = (*self.image.config(resource)).clone();
        let mut seen = BTreeSet::new();
        for ConfigChange { key, operation, value } in changes {
            if !seen.insert(key.clone()) {
                return Err(AlterConfigsError::DuplicateKey { key });
            }
            let value = match (operation, value) {
                (ConfigOperation::Delete, _) => {
                    overrides.remove(&key);
                    continue;
                }
                (_, None) => return Err(AlterConfigsError::NullValue { key }),
                (ConfigOperation::Set, Some(value)) => value,
                (ConfigOperation::Append, Some(value)) => {
                    let mut elements = self.elements(resource, &overrides, &key)?;
                    let new = list(&value).filter(|new| !elements.iter().any(|old| old == new));
                    let new: Vec<String> = new.map(str::to_owned).collect();
                    elements.extend(new);
                    elements.join(",")
                }
                (ConfigOperation::Subtract, Some(value)) => {
                    let mut elements = self.elements(resource, &overrides, &key)?;
                    elements.retain(|old| list(&value).all(|gone| gone != old));
                    elements.join(",")
                }
            };
            overrides.insert(key, value);
        }
        Ok(overrides)
    }

    /// The elements that a list setting has now, its own or inherited.
    fn elements(
        &self,
        resource: &Resource,
        overrides: &Overrides,
        key: &str,
    ) -> Result<Vec<String>, AlterConfigsError> {
        let row = match resource {
            Resource::Topic(_) => topic::find(key)?,
            Resource::Broker(_) | Resource::AllBrokers => broker::find(key)?,
            Resource::Group(_) => group::find(key)?,
        };
        if row.kind != Kind::List {
            return Err(AlterConfigsError::NotAList { key: key.to_owned() });
        }
        let text = match resource {
            Resource::Topic(_) => self.settings.topic_value(row, overrides),
            Resource::Broker(_) | Resource::AllBrokers | Resource::Group(_) => {
                overrides.get(key).cloned().or_else(|| row.default.map(str::to_owned))
            }
        };
        Ok(list(text.as_deref().unwrap_or_default()).map(str::to_owned).collect())
    }

    /// The records that make a resource's overrides these.
    fn difference(&self, resource: &Resource, overrides: &Overrides) -> Vec<Record> {
        let now = self.image.config(resource);
        let record = |key: &str, value: Option<&str>| Record::Config {
            resource: resource.clone(),
            key: key.into(),
            value: value.map(Arc::from),
        };
        let gone = now.keys().filter(|key| !overrides.contains_key(*key));
        let set = overrides.iter().filter(|(key, value)| now.get(*key) != Some(value));
        gone.map(|key| record(key, None))
            .chain(set.map(|(key, value)| record(key, Some(value))))
            .collect()
    }
}

fn replaced(
    _: &Resource,
    configs: Vec<(String, Option<String>)>,
) -> Result<Overrides, AlterConfigsError> {
    let mut overrides = Overrides::new();
    for (key, value) in configs {
        let Some(value) = value else { return Err(AlterConfigsError::NullValue { key }) };
        if overrides.insert(key.clone(), value).is_some() {
            return Err(AlterConfigsError::DuplicateKey { key });
        }
    }
    Ok(overrides)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::{AlterConfigs, AlterConfigsReply, ConfigChange, ConfigOperation};
    use super::{ConfigOperation as Op, IncrementalAlterConfigs};
    use crate::ids::BrokerId;
    use crate::metadata::Resource;
    use crate::metadata::invariants_test::Cluster;

    fn topic() -> Resource {
        Resource::Topic("t".into())
    }

    fn cluster() -> Cluster {
        let mut cluster = Cluster::of(1);
        cluster.create("t", 1, 1);
        cluster
    }

    /// One line per result, and the overrides that the resource has afterwards.
    fn report(cluster: &Cluster, reply: &AlterConfigsReply, expected: &Expect) {
        let mut lines = Vec::new();
        for (resource, result) in reply {
            let result = result.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
            let overrides = cluster.image.config(resource);
            lines.push(format!("{:?} {result} {overrides:?}", resource.name()));
        }
        expected.assert_eq(&lines.join("\n"));
    }

    type Changes<'a> = &'a [(&'a str, ConfigOperation, Option<&'a str>)];

    fn patch(cluster: &mut Cluster, resource: Resource, changes: Changes<'_>, expected: &Expect) {
        let change =
            |(key, operation, value): &(&str, ConfigOperation, Option<&str>)| ConfigChange {
                key: (*key).to_owned(),
                operation: *operation,
                value: value.map(str::to_owned),
            };
        let changes = changes.iter().map(change).collect();
        let request = vec![IncrementalAlterConfigs { resource, changes }];
        let reply = cluster.run(|c| c.incremental_alter_configs(request, false));
        report(cluster, &reply, expected);
    }

    fn replace(
        cluster: &mut Cluster,
        resource: Resource,
        configs: &[(&str, &str)],
    ) -> AlterConfigsReply {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), Some((*value).to_owned()));
        let request = AlterConfigs { resource, configs: configs.iter().map(pair).collect() };
        cluster.run(|c| c.alter_configs(vec![request], false))
    }

    #[test]
    fn altering_replaces_and_patching_patches() {
        let mut cluster = cluster();
        let reply = replace(&mut cluster, topic(), &[("retention.ms", "1"), ("segment.ms", "2")]);
        report(&cluster, &reply, &expect![[r#""t" ok {"retention.ms": "1", "segment.ms": "2"}"#]]);
        let reply = replace(&mut cluster, topic(), &[("segment.ms", "3")]);
        report(&cluster, &reply, &expect![[r#""t" ok {"segment.ms": "3"}"#]]);
        patch(
            &mut cluster,
            topic(),
            &[("retention.ms", Op::Set, Some("4"))],
            &expect![[r#""t" ok {"retention.ms": "4", "segment.ms": "3"}"#]],
        );
        patch(
            &mut cluster,
            topic(),
            &[("segment.ms", Op::Delete, None)],
            &expect![[r#""t" ok {"retention.ms": "4"}"#]],
        );
    }

    #[test]
    fn lists_are_appended_to_and_subtracted_from() {
        let mut cluster = cluster();
        let key = "cleanup.policy";
        let all = &expect![[r#""t" ok {"cleanup.policy": "delete,compact"}"#]];
        patch(&mut cluster, topic(), &[(key, Op::Append, Some("compact"))], all);
        patch(&mut cluster, topic(), &[(key, Op::Append, Some("compact"))], all);
        patch(
            &mut cluster,
            topic(),
            &[(key, Op::Subtract, Some("delete, x"))],
            &expect![[r#""t" ok {"cleanup.policy": "compact"}"#]],
        );
        patch(
            &mut cluster,
            topic(),
            &[(key, Op::Subtract, Some("compact"))],
            &expect![[r#""t" ok {"cleanup.policy": ""}"#]],
        );
    }

    #[test]
    fn a_resource_changes_wholly_or_not_at_all() {
        let mut cluster = cluster();
        let bad: &[(Changes<'_>, Expect)] = &[
            (
                &[("segment.ms", Op::Set, Some("1")), ("nonsense", Op::Set, Some("1"))],
                expect![[r#""t" unknown topic setting: nonsense {}"#]],
            ),
            (
                &[("segment.ms", Op::Set, Some("1")), ("segment.ms", Op::Delete, None)],
                expect![[r#""t" the request names a setting more than once: segment.ms {}"#]],
            ),
            (
                &[("segment.ms", Op::Set, None)],
                expect![[
                    r#""t" a setting needs a value; hint: IncrementalAlterConfigs deletes one: segment.ms {}"#
                ]],
            ),
            (
                &[("segment.ms", Op::Append, Some("1"))],
                expect![[
                    r#""t" only a list can be appended to or subtracted from: segment.ms {}"#
                ]],
            ),
            (
                &[("segment.ms", Op::Set, Some("0"))],
                expect![[
                    r#""t" invalid value for segment.ms: "0", expected a whole number of 64 bits, at least 1 {}"#
                ]],
            ),
            (&[("nonsense", Op::Delete, None)], expect![[r#""t" ok {}"#]]),
        ];
        for (changes, expected) in bad {
            patch(&mut cluster, topic(), changes, expected);
        }
    }

    #[test]
    fn resources_must_exist_and_appear_once() {
        let mut cluster = cluster();
        let changes = || {
            vec![ConfigChange {
                key: "retention.ms".to_owned(),
                operation: Op::Set,
                value: Some("1".to_owned()),
            }]
        };
        let resources =
            [topic(), Resource::Topic("no".into()), topic(), Resource::Broker(BrokerId(7))];
        let request = resources
            .map(|resource| IncrementalAlterConfigs { resource, changes: changes() })
            .to_vec();
        let reply = cluster.run(|c| c.incremental_alter_configs(request, false));
        report(
            &cluster,
            &reply,
            &expect![[r#"
            "t" the request names this resource more than once {}
            "no" there is no such topic: no {}
            "7" there is no such broker: 7 {}"#]],
        );
    }

    #[test]
    fn brokers_and_groups_have_settings_too() {
        let mut cluster = cluster();
        let one = || Resource::Broker(BrokerId(1));
        let all = || Resource::AllBrokers;
        patch(
            &mut cluster,
            all(),
            &[("log.retention.ms", Op::Set, Some("9"))],
            &expect![[r#""" ok {"log.retention.ms": "9"}"#]],
        );
        patch(
            &mut cluster,
            one(),
            &[("klamm.storage.limit.bytes", Op::Set, Some("9"))],
            &expect![[r#""1" ok {"klamm.storage.limit.bytes": "9"}"#]],
        );
        patch(
            &mut cluster,
            all(),
            &[("klamm.storage.limit.bytes", Op::Set, Some("9"))],
            &expect![[
                r#""" klamm.storage.limit.bytes cannot be changed here; hint: it differs from broker to broker, or is read at the start only {"log.retention.ms": "9"}"#
            ]],
        );
        patch(
            &mut cluster,
            one(),
            &[("num.partitions", Op::Set, Some("9"))],
            &expect![[
                r#""1" num.partitions cannot be changed here; hint: it is read at the start only: set it in the file of --config {"klamm.storage.limit.bytes": "9"}"#
            ]],
        );
        patch(
            &mut cluster,
            all(),
            &[("log.cleanup.policy", Op::Append, Some("compact"))],
            &expect![[
                r#""" ok {"log.cleanup.policy": "delete,compact", "log.retention.ms": "9"}"#
            ]],
        );
        let group = Resource::Group("g".into());
        patch(
            &mut cluster,
            group,
            &[("consumer.session.timeout.ms", Op::Set, Some("50000"))],
            &expect![[r#""g" ok {"consumer.session.timeout.ms": "50000"}"#]],
        );
    }

    #[test]
    fn nothing_changes_when_a_request_only_validates() {
        let mut cluster = cluster();
        let request = AlterConfigs {
            resource: topic(),
            configs: vec![("segment.ms".to_owned(), Some("5".to_owned()))],
        };
        let reply = cluster.run(|c| c.alter_configs(vec![request], true));
        assert_eq!(reply, [(topic(), Ok(()))]);
        assert!(cluster.image.config(&topic()).is_empty());
    }

    #[test]
    fn resources_are_parsed() {
        for (code, name, expected) in [
            (2, "t", Ok(topic())),
            (4, "", Ok(Resource::AllBrokers)),
            (4, "3", Ok(Resource::Broker(BrokerId(3)))),
            (32, "g", Ok(Resource::Group("g".into()))),
        ] {
            let parsed = Resource::parse(code, name);
            assert_eq!(parsed, expected);
            let parsed = parsed.expect("just compared");
            assert_eq!((parsed.code(), parsed.name().as_str()), (code, name));
        }
        for (code, name) in [(2, ""), (32, ""), (4, "-1"), (4, "x"), (8, "1"), (16, "m"), (0, "")] {
            assert!(Resource::parse(code, name).is_err(), "{code} {name}");
        }
    }
}
