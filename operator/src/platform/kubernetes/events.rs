//! What happened, for people: Events of the API server, folded by it and by us.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crds::Resource;
use kube::runtime::events::{Event as Kubernetes, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};

use super::Event;

/// Events that wait to be sent; those that are too many are dropped, the oldest first.
const WAITING_MAX: usize = 256;

/// Tells what happened.
pub(super) struct Events {
    recorder: Recorder,
    waiting: RefCell<VecDeque<(Rc<Resource>, Event)>>,
    wake: tokio::sync::Notify,
}

impl Events {
    pub(super) fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter {
            controller: "klamm-operator".to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            waiting: RefCell::default(),
            wake: tokio::sync::Notify::new(),
        }
    }

    /// Tells it, soon.
    pub(super) fn tell(&self, about: &Rc<Resource>, event: Event) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back((about.clone(), event));
        drop(waiting);
        self.wake.notify_one();
    }

    /// Sends what is to be told, for ever. `may_write`: whether we hold the lease.
    pub(super) async fn send(&self, may_write: impl Fn() -> bool) {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some((about, event)) = next else {
                self.wake.notified().await;
                continue;
            };
            if !may_write() {
                continue;
            }
            let reference = match about.as_ref() {
                Resource::Cluster(it) => it.object_ref(&()),
                Resource::Topic(it) => it.object_ref(&()),
                Resource::ConsumerGroup(it) => it.object_ref(&()),
            };
            let sent = Kubernetes {
                type_: if event.is_warning { EventType::Warning } else { EventType::Normal },
                action: event.reason.clone(),
                reason: event.reason,
                // The API server refuses longer ones.
                note: Some(event.message.chars().take(1024).collect()),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&sent, &reference).await {
                tracing::debug!(%error, about = %event.about, "an Event could not be told");
            }
        }
    }
}
