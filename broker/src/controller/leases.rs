//! The disruption lease on the active controller: asked for, renewed, given back, and ended when its time
//! has run out. The rules are those of [`engine::metadata::LeaseClock`] and the decisions beside it; here
//! is the clock.

use std::sync::Arc;
use std::time::Duration;

use engine::BrokerId;
use engine::metadata::{AcquireLeaseError, Controller, Decision, Lease, LeaseClock, NotHeld};
use wire::{DisruptionLeaseRequest, DisruptionLeaseResponse, ErrorCode, Str};

use super::farewell;
use super::link::Ask;
use crate::api::{KafkaCode, voters};
use crate::shared::Shared;

/// What a request is for, as its number says.
pub(super) const ACQUIRE: i8 = 0;
pub(super) const RENEW: i8 = 1;
pub(super) const RELEASE: i8 = 2;
const TELL: i8 = 3;

/// Why a request was refused, as its number says.
const HELD: i8 = 1;
const UNSAFE: i8 = 2;
const NOT_HELD: i8 = 3;

/// Pause after the end of a lease could not be decided.
const PAUSE: Duration = Duration::from_millis(100);

/// What a decision about the lease sees of the time.
struct At<'a> {
    shared: &'a Shared,
    clock: std::sync::MutexGuard<'a, LeaseClock>,
}

impl<'a> At<'a> {
    fn now(shared: &'a Shared) -> Self {
        Self { shared, clock: shared.lease_clock.lock().expect("no panic while it is held") }
    }

    fn term(&self) -> u64 {
        self.shared.leadership().term
    }

    fn is_over(&mut self, controller: &Controller<'_>) -> bool {
        let (term, now) = (self.term(), self.shared.now());
        self.clock.is_over(controller.image, term, now)
    }

    fn begin(&mut self, ttl_ms: i64) {
        let (term, now) = (self.term(), self.shared.now());
        self.clock.begin(ttl_ms, term, now);
    }
}

impl Ask for DisruptionLeaseRequest {
    async fn answer(self, shared: &Arc<Shared>) -> DisruptionLeaseResponse {
        let (broker, holder) = (BrokerId(self.broker_id), Arc::from(&*self.holder));
        if self.operation == ACQUIRE && *self.holder == *farewell::holder(broker) {
            farewell::note(shared, broker);
        }
        let lease = Lease { broker, holder, ttl_ms: self.ttl_ms };
        let refused = match self.operation {
            ACQUIRE => acquire(shared, lease).await,
            RENEW => renew(shared, lease).await,
            RELEASE => release(shared, lease).await,
            TELL => confirm(shared).await,
            other => Some((ErrorCode::InvalidRequest, 0, format!("there is no operation {other}"))),
        };
        let (code, refusal, why) = match refused {
            None => (ErrorCode::None, 0, None),
            Some((code, refusal, why)) => (code, refusal, Some(Str::from(why))),
        };
        let answer = DisruptionLeaseResponse {
            error_code: code.number(),
            error_message: why,
            refusal,
            everybody_stops: farewell::everybody_stops(shared),
            ..Default::default()
        };
        tell(shared, answer)
    }
}

/// Adds who has the lease, and for how long.
fn tell(shared: &Shared, answer: DisruptionLeaseResponse) -> DisruptionLeaseResponse {
    let (state, now, term) = (shared.state(), shared.now(), shared.leadership().term);
    let ends_at = At::now(shared).clock.ends_at(&state.image, term, now);
    match (state.image.lease(), ends_at) {
        (Some(lease), Some(ends_at)) => DisruptionLeaseResponse {
            broker_id: lease.broker.0,
            holder: Str::from(&*lease.holder),
            ttl_ms: lease.ttl_ms,
            remaining_ms: i64::try_from(ends_at.saturating_sub(now.tick).as_millis())
                .unwrap_or(i64::MAX),
            ..answer
        },
        _ => answer,
    }
}

type Refused = Option<(ErrorCode, i8, String)>;

async fn acquire(shared: &Arc<Shared>, lease: Lease) -> Refused {
    let voters = voters(shared).await;
    let at = Arc::clone(shared);
    let decided = shared.control.decide(move |controller| {
        let mut at = At::now(&at);
        let (is_over, ttl_ms) = (at.is_over(controller), lease.ttl_ms);
        let decision = controller.acquire_lease(lease, is_over, &voters);
        if decision.reply.is_ok() {
            at.begin(ttl_ms);
        }
        decision
    });
    match decided.await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let refusal = match error {
                AcquireLeaseError::Held(_) => HELD,
                AcquireLeaseError::Unsafe { .. } => UNSAFE,
                AcquireLeaseError::UnknownBroker(_) | AcquireLeaseError::Request(_) => 0,
            };
            Some((error.code(), refusal, error.to_string()))
        }
        Err(error) => Some((error.code(), 0, error.to_string())),
    }
}

async fn renew(shared: &Arc<Shared>, asked: Lease) -> Refused {
    let at = Arc::clone(shared);
    let decided = shared.control.decide(move |controller| {
        let mut at = At::now(&at);
        let is_over = at.is_over(controller);
        let decision = controller.renew_lease(asked.broker, &asked.holder, is_over);
        if let (Ok(()), Some(lease)) = (&decision.reply, controller.image.lease()) {
            at.begin(lease.ttl_ms);
        }
        decision
    });
    kept(decided.await)
}

async fn release(shared: &Arc<Shared>, asked: Lease) -> Refused {
    let release = move |c: &Controller<'_>| c.release_lease(asked.broker, &asked.holder);
    kept(shared.control.decide(release).await)
}

/// Makes sure that what this node knows of the lease is what holds.
async fn confirm(shared: &Arc<Shared>) -> Refused {
    let nothing = |_: &Controller<'_>| Decision { records: Vec::new(), reply: () };
    let error = shared.control.decide(nothing).await.err()?;
    Some((error.code(), 0, error.to_string()))
}

fn kept(decided: Result<Result<(), NotHeld>, crate::metadata::CommitError>) -> Refused {
    match decided {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some((ErrorCode::InvalidRequest, NOT_HELD, error.to_string())),
        Err(error) => Some((error.code(), 0, error.to_string())),
    }
}

impl KafkaCode for AcquireLeaseError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Held(_) | Self::Unsafe { .. } => ErrorCode::PolicyViolation,
            Self::UnknownBroker(unknown) => unknown.code(),
            Self::Request(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// Ends the lease when its time has run out, for ever. Only the active controller counts.
pub(crate) async fn watch_lease(shared: Arc<Shared>) {
    let clock = Arc::clone(&shared.world.clock);
    let (mut leaderships, mut states) = (shared.leaderships(), shared.states());
    loop {
        let term = leaderships.borrow_and_update().active_term();
        let state = Arc::clone(&states.borrow_and_update());
        let ends_at =
            term.and_then(|term| At::now(&shared).clock.ends_at(&state.image, term, shared.now()));
        tokio::select! {
            biased;
            changed = leaderships.changed() => if changed.is_err() { return },
            changed = states.changed() => if changed.is_err() { return },
            () = clock.sleep_until(ends_at.unwrap_or(Duration::MAX)), if ends_at.is_some() => {
                end(&shared).await;
            }
        }
    }
}

async fn end(shared: &Arc<Shared>) {
    let at = Arc::clone(shared);
    let decided = shared.control.decide(move |controller| {
        // It may have been renewed meanwhile.
        let is_over = At::now(&at).is_over(controller);
        let nothing = Decision { records: Vec::new(), reply: () };
        if is_over { controller.end_lease() } else { nothing }
    });
    if let Err(error) = decided.await {
        tracing::debug!(%error, "the lease has run out, and cannot be ended yet");
        shared.world.clock.sleep(PAUSE).await;
    }
}
