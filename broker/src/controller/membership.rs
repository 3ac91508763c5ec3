//! This broker's place in the cluster: it registers, then says now and then that it is there.
//!
//! What it learns by that is its lease as well: a leader whose heartbeats are not answered may have been
//! replaced, and takes nothing more.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use engine::Now;
use engine::metadata::SupportedFeature;
use tokio::sync::Notify;
use wire::broker_registration::request as registration;
use wire::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, ErrorCode, Str,
    Uuid,
};
use world::watch;

use super::link::{AskError, Link};
use crate::proof;
use crate::shared::Shared;

/// How long the controller may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after it did not.
const PAUSE: Duration = Duration::from_millis(50);

/// What this broker wants of the controller, and what that has answered. Shared by all threads.
pub(crate) struct Membership {
    epoch: AtomicI64,
    /// Until when the last answered heartbeat lets it lead: monotonic milliseconds.
    lease_until_ms: AtomicU64,
    wants_to_serve: AtomicBool,
    wants_to_leave: AtomicBool,
    standing: watch::Sender<Standing>,
    /// The next heartbeat is wanted now.
    stirred: Notify,
}

/// What the controller said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether it may lead and be in sync.
    pub(crate) is_unfenced: bool,
    /// Whether it may stop: nobody needs it to lead any more, and nobody waits for it.
    pub(crate) may_stop: bool,
}

impl Membership {
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicI64::new(-1),
            lease_until_ms: AtomicU64::new(0),
            wants_to_serve: AtomicBool::new(false),
            wants_to_leave: AtomicBool::new(false),
            standing: watch::channel(Standing::default()).0,
            stirred: Notify::new(),
        }
    }

    /// The epoch of the registration; -1 before.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the controller has heard of this broker so lately that it cannot have fenced it.
    pub(crate) fn may_lead(&self, now: Now) -> bool {
        let now_ms = u64::try_from(now.tick.as_millis()).unwrap_or(u64::MAX);
        now_ms < self.lease_until_ms.load(Ordering::Acquire)
    }

    /// The logs are open: the controller may unfence this broker.
    pub(crate) fn serve(&self) {
        self.wants_to_serve.store(true, Ordering::Release);
    }

    /// The broker is about to stop: the controller is to give its leaderships away.
    pub(crate) fn leave(&self) {
        self.wants_to_leave.store(true, Ordering::Release);
        self.stirred.notify_one();
    }

    /// What the controller said last.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    fn renew(&self, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.lease_until_ms.fetch_max(until, Ordering::AcqRel);
    }

    fn answered(&self, answer: &BrokerHeartbeatResponse) {
        let said = Standing { is_unfenced: !answer.is_fenced, may_stop: answer.should_shut_down };
        self.standing.send_if_modified(|standing| std::mem::replace(standing, said) != said);
    }
}

/// What a broker says of itself when it registers.
pub(crate) struct Introduction {
    pub(crate) directory: Uuid,
    pub(crate) listeners: Vec<config::Listener>,
    pub(crate) rack: Option<String>,
    /// The epoch under which its logs were known to be whole; -1 if they may have lost something.
    pub(crate) previous_epoch: i64,
}

/// Registers, trying until it is done; gives the epoch.
pub(crate) async fn join(shared: &Arc<Shared>, link: &Link, who: &Introduction) -> i64 {
    let mut told = None;
    loop {
        match link.ask(registration_of(shared, who), TIMEOUT).await {
            Ok(answer) if answer.error_code == 0 => {
                shared.membership.epoch.store(answer.broker_epoch, Ordering::Release);
                shared.hindrance.clear();
                return answer.broker_epoch;
            }
            Ok(answer) => {
                let code = ErrorCode::from_number(answer.error_code);
                let name = code.map_or("an unknown error", ErrorCode::name);
                if told != Some(answer.error_code) {
                    told = Some(answer.error_code);
                    let why = why_not_registered(shared, code);
                    tracing::warn!(
                        error = name,
                        why,
                        "the controller does not register this broker; trying on"
                    );
                    shared.hindrance.tell(format!("not registered: {why} ({name})"));
                }
            }
            Err(error) => tracing::debug!(%error, "cannot register yet"),
        }
        shared.world.clock.sleep(PAUSE).await;
    }
}

/// What a person can do about it.
fn why_not_registered(shared: &Shared, code: Option<ErrorCode>) -> String {
    match code {
        Some(ErrorCode::UnsupportedVersion) => {
            let ours = SupportedFeature::of_this_build();
            let ours = ours.iter().map(|it| format!("{} {} to {}", it.name, it.min, it.max));
            let ours = ours.collect::<Vec<_>>().join(", ");
            let state = shared.state();
            let finalized = state.image.features().map(|(name, level)| format!("{name} {level}"));
            let finalized = finalized.collect::<Vec<_>>().join(", ");
            format!(
                "this build supports {ours}, and the cluster has finalized another level ({finalized}); \
                 hint: run a newer version of klamm"
            )
        }
        Some(ErrorCode::DuplicateBrokerRegistration) => {
            "another process with this node.id is registered, with another data directory"
                .to_owned()
        }
        Some(ErrorCode::InvalidRegistration)
            if shared.state().settings.broker.is_controller_only() =>
        {
            "a controller only holds no replicas; hint: give this node both process.roles, drain it, and try \
             again"
                .to_owned()
        }
        code => code.map_or("an unknown error", ErrorCode::text).to_owned(),
    }
}

fn registration_of(shared: &Shared, who: &Introduction) -> BrokerRegistrationRequest {
    let listeners = who.listeners.iter().map(|listener| registration::Listener {
        name: Str::from(listener.name.as_str()),
        host: Str::from(listener.host.as_str()),
        port: listener.port,
        ..Default::default()
    });
    let features = SupportedFeature::of_this_build();
    let features = features.iter().map(|feature| registration::Feature {
        name: Str::from(&*feature.name),
        min_supported_version: feature.min,
        max_supported_version: feature.max,
        ..Default::default()
    });
    BrokerRegistrationRequest {
        broker_id: shared.node.0,
        cluster_id: Str::from(&*shared.cluster_id),
        incarnation_id: shared.incarnation,
        listeners: listeners.collect(),
        features: features.collect(),
        rack: who.rack.as_deref().map(Str::from),
        log_dirs: vec![who.directory],
        previous_broker_epoch: who.previous_epoch,
        ..Default::default()
    }
}

/// Says that the broker is there, for ever; registers again when the controller has forgotten it.
pub(crate) async fn stay(
    shared: Arc<Shared>,
    link: Link,
    mut who: Introduction,
    data_dir: PathBuf,
) {
    let clock = Arc::clone(&shared.world.clock);
    loop {
        let asked_at = clock.tick();
        match beat(&shared, &link).await {
            Ok(answer) if answer.error_code == 0 => {
                let timeout = shared.state().settings.broker.broker_session_timeout_ms;
                let timeout = Duration::from_millis(u64::from(timeout.unsigned_abs()));
                if !answer.is_fenced {
                    // From when it was asked: the controller's own count began later.
                    shared.membership.renew(asked_at + timeout);
                }
                shared.membership.answered(&answer);
                if answer.is_fenced {
                    clock.sleep(PAUSE).await;
                    continue;
                }
            }
            Ok(answer) if answer.error_code == ErrorCode::StaleBrokerEpoch.number() => {
                // Fenced brokers keep their epoch; only a registration by another process, or a quorum
                // that lost its past, makes it stale.
                tracing::warn!("the registration is not known any more: registering again");
                // Its logs are open: they are what this very process left.
                who.previous_epoch = shared.membership.epoch();
                let epoch = join(&shared, &link, &who).await;
                if let Err(error) = proof::write(&*shared.world.disk, &data_dir, epoch) {
                    tracing::warn!(%error, "the next start will have to catch up first");
                }
                continue;
            }
            Ok(_) | Err(AskError::NoController | AskError::Client(_)) => {
                clock.sleep(PAUSE).await;
                continue;
            }
            Err(AskError::Stopping) => return,
        }
        let interval = shared.state().settings.broker.broker_heartbeat_interval_ms;
        tokio::select! {
            biased;
            () = shared.membership.stirred.notified() => {}
            () = clock.sleep(Duration::from_millis(u64::from(interval.unsigned_abs()))) => {}
        }
    }
}

async fn beat(shared: &Arc<Shared>, link: &Link) -> Result<BrokerHeartbeatResponse, AskError> {
    let state = shared.state();
    // What shards have yet to obey does not count: it may say who leads.
    let version = shared.followed.lowest();
    let epoch = shared.membership.epoch();
    let wants_to_serve = shared.membership.wants_to_serve.load(Ordering::Acquire);
    // Until then it would act on a state in which it is another process.
    let is_known = state.image.broker(shared.node).is_some_and(|broker| broker.epoch == epoch);
    let request = BrokerHeartbeatRequest {
        broker_id: shared.node.0,
        broker_epoch: epoch,
        current_metadata_offset: i64::try_from(version).unwrap_or(i64::MAX),
        want_fence: !(wants_to_serve && is_known),
        want_shut_down: shared.membership.wants_to_leave.load(Ordering::Acquire),
        ..Default::default()
    };
    link.ask(request, TIMEOUT).await
}
