//! Answers ApiKey 10003, RestartCheck: what would follow if brokers were restarted now.

use engine::metadata::{Decision, Harm, RestartCheck};
use engine::{BrokerId, TopicPartition};
use wire::restart_check::response::{Harm as HarmTold, HarmedTopic};
use wire::{ErrorCode, RestartCheckRequest, RestartCheckResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::topics::by_topic;
use super::super::{number, text};

pub(crate) async fn handle(call: Call, request: RestartCheckRequest) -> RestartCheckResponse {
    let voters = super::voters(call.shared()).await;
    let asked = request.broker_ids.iter().copied().map(BrokerId).collect();
    let decided = call.shared().control.decide(move |controller| Decision {
        records: Vec::new(),
        reply: controller.restart_check(&asked, &voters),
    });
    let refused = |code: ErrorCode, why: &dyn std::fmt::Display| RestartCheckResponse {
        error_code: number(code),
        error_message: text(&why),
        ..Default::default()
    };
    match decided.await {
        Ok(Ok(check)) => answer(check),
        Ok(Err(unknown)) => {
            refused(unknown.code(), &format_args!("broker {} is not registered", unknown.id))
        }
        Err(error) => refused(error.code(), &error),
    }
}

fn answer(check: RestartCheck) -> RestartCheckResponse {
    let is_ok = check.is_ok();
    let mut harms = told(check.harm, false);
    harms.extend(told(check.accepted, true));
    RestartCheckResponse { error_message: None, is_ok, harms, ..Default::default() }
}

fn told(harm: Harm, is_accepted: bool) -> Vec<HarmTold> {
    let Harm { data_loss, unavailable, under_min_isr, loses_quorum } = harm;
    let lists = [(0, data_loss), (1, unavailable), (2, under_min_isr)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut told: Vec<HarmTold> = lists
        .map(|(kind, list)| HarmTold {
            kind,
            is_accepted,
            topics: topics(list),
            ..Default::default()
        })
        .collect();
    if loses_quorum {
        told.push(HarmTold { kind: 3, is_accepted, ..Default::default() });
    }
    told
}

fn topics(partitions: Vec<TopicPartition>) -> Vec<HarmedTopic> {
    let named = partitions.into_iter().map(|it| ((it.topic.to_string(), it.partition), ()));
    let topics = by_topic(named).into_iter().map(|(name, partitions)| HarmedTopic {
        name,
        partitions: partitions.into_iter().map(|(index, ())| index).collect(),
        ..Default::default()
    });
    topics.collect()
}
