//! Decides what happens to a topic. Pure.
//!
//! What is declared and may not be done becomes a refusal, and the rest goes on: a topic that may not
//! shrink still gets its settings.

use std::collections::BTreeMap;

use crds::Topic;
use crds::topic::{ConfigPolicy, ExistingPolicy, TopicDeletionPolicy, TopicReason};

use super::observe::has_other_replicas;
use super::{Observed, Plan, Refused, Step, settings};
use crate::cluster::ClusterSeen;
use crate::kafka::{NewTopic, TopicFacts};

/// What to do so that the topic is as declared.
pub fn plan(topic: &Topic, seen: &Observed) -> Plan {
    let is_going = topic.metadata.deletion_timestamp.is_some();
    if topic.spec.paused {
        // Whoever is paused and goes leaves the topic as it is.
        let steps = if is_going { vec![Step::Release] } else { Vec::new() };
        return Plan { steps, ..Plan::default() };
    }
    if is_going {
        return plan_deletion(topic, seen);
    }
    let brokers = match &seen.cluster {
        ClusterSeen::NotFound => {
            return refuse(
                TopicReason::ClusterNotFound,
                format!("there is no Cluster {}", topic.spec.cluster_ref.name),
            );
        }
        ClusterSeen::NotAllowed(why) => {
            return refuse(TopicReason::NamespaceNotAllowed, why.clone());
        }
        ClusterSeen::NotReady(why) => return refuse(TopicReason::ClusterNotReady, why.clone()),
        ClusterSeen::Ready { brokers } => i32::try_from(brokers.len()).unwrap_or(i32::MAX),
    };
    if let Some(other) = &seen.claimed_by {
        return refuse(
            TopicReason::Conflict,
            format!("the topic belongs to {other}; hint: delete one of the two resources"),
        );
    }
    match &seen.topic {
        // Gone although it was ours: the status forgets its id first, so that a crash between creating
        // it again and recording the new id does not look like somebody else's topic.
        None if recorded_id(topic).is_some() => Plan::default(),
        None => {
            let creation = plan_creation(topic, brokers);
            if is_noted(topic) || !creation.refusals.is_empty() {
                return creation;
            }
            // The status says first that there was none: what is there after a crash is then ours.
            Plan::default()
        }
        Some(facts) => match not_ours(topic, facts) {
            Some(refused) => Plan { steps: Vec::new(), refusals: vec![refused] },
            None => plan_correction(topic, seen, facts, brokers),
        },
    }
}

fn plan_creation(topic: &Topic, brokers: i32) -> Plan {
    let settings = match settings(&topic.spec) {
        Ok(settings) => settings,
        Err(refused) => return Plan { steps: Vec::new(), refusals: vec![refused] },
    };
    if let Some(refused) = too_many_replicas(topic, brokers) {
        return Plan { steps: Vec::new(), refusals: vec![refused] };
    }
    let new = NewTopic {
        name: topic.topic_name(),
        partitions: topic.spec.partitions,
        replicas: topic.spec.replicas,
        config: settings,
    };
    Plan { steps: vec![Step::Create(new)], refusals: Vec::new() }
}

fn plan_correction(topic: &Topic, seen: &Observed, facts: &TopicFacts, brokers: i32) -> Plan {
    let mut plan = Plan::default();
    match topic.spec.partitions {
        Some(wanted) if wanted > facts.partitions => {
            plan.steps.push(Step::AddPartitions { to: wanted });
        }
        Some(wanted) if wanted < facts.partitions => plan.refusals.push(Refused {
            reason: TopicReason::PartitionsLower,
            message: format!(
                "{wanted} partitions are declared and there are {}: fewer would lose records; hint: \
                 declare {} or make a new Topic",
                facts.partitions, facts.partitions
            ),
        }),
        Some(_) | None => {}
    }
    if let Some(to) = topic.spec.replicas
        && has_other_replicas(topic, facts)
        && seen.moving == 0
    {
        match too_many_replicas(topic, brokers) {
            Some(refused) => plan.refusals.push(refused),
            None => plan.steps.push(Step::SetReplicas { to }),
        }
    }
    match settings(&topic.spec) {
        Ok(settings) => {
            let changes = config_changes(topic, seen, &settings);
            if !changes.is_empty() {
                plan.steps.push(Step::SetConfig(changes));
            }
        }
        Err(refused) => plan.refusals.push(refused),
    }
    plan
}

/// A declared setting must be the topic's own, even where the default happens to be the same: defaults
/// change.
fn config_changes(
    topic: &Topic,
    seen: &Observed,
    settings: &BTreeMap<String, String>,
) -> BTreeMap<String, Option<String>> {
    let mut changes: BTreeMap<String, Option<String>> = settings
        .iter()
        .filter(|(key, value)| {
            !seen.config.get(*key).is_some_and(|it| it.is_own && it.value == **value)
        })
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    match topic.spec.config_policy {
        ConfigPolicy::Merge => {}
        ConfigPolicy::Strict => {
            let unlisted = seen.config.iter().filter(|(key, setting)| {
                setting.is_own
                    && !settings.contains_key(*key)
                    && !topic.spec.unmanaged_config.contains(*key)
            });
            changes.extend(unlisted.map(|(key, _)| (key.clone(), None)));
        }
    }
    changes
}

/// Why the topic that exists may not be touched, if so.
fn not_ours(topic: &Topic, facts: &TopicFacts) -> Option<Refused> {
    match recorded_id(topic) {
        Some(recorded) if recorded != facts.id => Some(Refused {
            reason: TopicReason::RecreatedExternally,
            message: format!(
                "somebody deleted the topic and created it again: its id was {recorded} and is {}; \
                 hint: delete this resource with deletionPolicy: Retain and apply it again to adopt \
                 the new one",
                facts.id
            ),
        }),
        Some(_) => None,
        None => match topic.spec.existing {
            ExistingPolicy::Adopt => None,
            ExistingPolicy::Fail if is_noted(topic) => None,
            ExistingPolicy::Fail => Some(Refused {
                reason: TopicReason::Conflict,
                message: "the topic exists already; hint: existing: Adopt takes it over".to_owned(),
            }),
        },
    }
}

/// A topic is deleted only if this resource has had it, under the id that it had then.
fn plan_deletion(topic: &Topic, seen: &Observed) -> Plan {
    let release = Plan { steps: vec![Step::Release], refusals: Vec::new() };
    match topic.spec.deletion_policy {
        TopicDeletionPolicy::Retain => return release,
        TopicDeletionPolicy::Delete => {}
    }
    match &seen.cluster {
        ClusterSeen::NotFound | ClusterSeen::NotAllowed(_) => return release,
        ClusterSeen::NotReady(why) => return refuse(TopicReason::ClusterNotReady, why.clone()),
        ClusterSeen::Ready { .. } => {}
    }
    match (&seen.topic, recorded_id(topic), &seen.claimed_by) {
        (Some(facts), Some(recorded), None) if facts.id == recorded => Plan {
            steps: vec![Step::Delete { topic_id: facts.id.clone() }, Step::Release],
            refusals: Vec::new(),
        },
        (Some(_) | None, _, _) => release,
    }
}

fn too_many_replicas(topic: &Topic, brokers: i32) -> Option<Refused> {
    let wanted = topic.spec.replicas.filter(|wanted| *wanted > brokers)?;
    Some(Refused {
        reason: TopicReason::NotEnoughBrokers,
        message: format!(
            "{wanted} replicas are declared and {brokers} broker{} run{}; hint: leave replicas out, or \
             raise the Cluster's",
            if brokers == 1 { "" } else { "s" },
            if brokers == 1 { "s" } else { "" },
        ),
    })
}

/// Whether a topic may be created: where one that exists is not adopted, the status says first that there was none.
fn is_noted(topic: &Topic) -> bool {
    match topic.spec.existing {
        ExistingPolicy::Adopt => true,
        ExistingPolicy::Fail => topic.status.as_ref().is_some_and(|status| status.creating),
    }
}

fn recorded_id(topic: &Topic) -> Option<&str> {
    topic.status.as_ref().and_then(|status| status.topic_id.as_deref())
}

fn refuse(reason: TopicReason, message: String) -> Plan {
    Plan { steps: Vec::new(), refusals: vec![Refused { reason, message }] }
}
