//! Who of several operators writes: a Lease, by the rules of Kubernetes' own controllers.
//!
//! Nobody's clock is trusted but one's own, and only for spans: a lease is over when it was *seen unchanged* for its
//! duration, whatever times it carries. Its holder stops to write some time before others may take it: it counts from
//! before the renewal was sent.
//!
//! ```text
//! look ─▶ decide(seen, me, now) ─▶ Take | Renew | Wait ─▶ write with the version that was seen ─▶ holds_until
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use world::World;

/// How long a lease that nobody renews keeps others away.
pub(super) const DURATION: Duration = Duration::from_secs(15);
/// How long its holder writes without a renewal.
pub(super) const WRITES_FOR: Duration = Duration::from_secs(10);
/// How often its holder renews it, and others look.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// What was seen of a lease, and when that was new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    version: Option<String>,
    pub(super) holder: Option<String>,
    duration: Duration,
    /// By our clock, when this version was first seen.
    since: Duration,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is nobody's, or its holder is gone.
    Take,
    /// It is ours.
    Renew,
    /// It is another's.
    Wait,
}

fn decide(seen: &Seen, me: &str, now: Duration) -> Step {
    match seen.holder.as_deref() {
        None | Some("") => Step::Take,
        Some(holder) if holder == me => Step::Renew,
        Some(_) if now >= seen.since + seen.duration => Step::Take,
        Some(_) => Step::Wait,
    }
}

/// Takes a look into what was seen before.
fn note(seen: &mut Seen, lease: &Lease, now: Duration) {
    let version = lease.metadata.resource_version.clone();
    if seen.version == version && version.is_some() {
        return;
    }
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|it| u64::try_from(it).ok());
    *seen = Seen {
        version,
        holder: spec.holder_identity,
        duration: seconds.map_or(DURATION, Duration::from_secs),
        since: now,
    };
}

/// Whether we may write.
#[derive(Clone)]
pub(super) struct Tenure {
    until: Rc<Cell<Duration>>,
    world: World,
}

impl Tenure {
    pub(super) fn new(world: World) -> Self {
        Self { until: Rc::new(Cell::new(Duration::ZERO)), world }
    }

    /// Whose clock counts.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Whether we hold the lease, for some time still.
    pub(super) fn holds(&self) -> bool {
        self.world.clock.tick() < self.until.get()
    }
}

/// Holds the lease whenever that is possible, for ever.
pub(super) async fn keep(client: Client, namespace: &str, name: &str, me: &str, tenure: &Tenure) {
    let clock = &tenure.world.clock;
    let mut seen = Seen::default();
    let mut told = String::new();
    loop {
        match turn(client.clone(), namespace, name, me, &mut seen, tenure).await {
            Ok(()) => told.clear(),
            Err(error) => {
                let error = error.to_string();
                if error != told {
                    tracing::warn!(error, "the lease could not be had");
                    told = error;
                }
            }
        }
        clock.sleep(EVERY).await;
    }
}

/// Looks once, and takes or renews the lease if it may.
pub(super) async fn turn(
    client: Client,
    namespace: &str,
    name: &str,
    me: &str,
    seen: &mut Seen,
    tenure: &Tenure,
) -> Result<(), kube::Error> {
    let before = tenure.world.clock.tick();
    let api: Api<Lease> = Api::namespaced(client, namespace);
    let found = api.get_opt(name).await?;
    let lease = found.clone().unwrap_or_default();
    note(seen, &lease, tenure.world.clock.tick());
    let step = decide(seen, me, tenure.world.clock.tick());
    if step == Step::Wait {
        return Ok(());
    }
    let now = MicroTime(stamp(tenure));
    let mut spec = lease.spec.unwrap_or_default();
    if step == Step::Take {
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
        spec.acquire_time = Some(now.clone());
    }
    let spec = LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        renew_time: Some(now),
        ..spec
    };
    // With the version that was seen: of two who take it one succeeds.
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        resource_version: lease.metadata.resource_version,
        ..ObjectMeta::default()
    };
    let lease = Lease { metadata, spec: Some(spec) };
    let written = match found {
        Some(_) => api.replace(name, &PostParams::default(), &lease).await?,
        None => api.create(&PostParams::default(), &lease).await?,
    };
    note(seen, &written, tenure.world.clock.tick());
    if !tenure.holds() {
        tracing::info!(name, "this operator leads");
    }
    tenure.until.set(before + WRITES_FOR);
    Ok(())
}

fn stamp(tenure: &Tenure) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(tenure.world.clock.wall_ms()).unwrap_or_default()
}

/// Gives the lease back, so that the next need not wait for its end.
pub(super) async fn give_back(
    client: Client,
    namespace: &str,
    name: &str,
    me: &str,
    tenure: &Tenure,
) {
    if !tenure.holds() {
        return;
    }
    tenure.until.set(Duration::ZERO);
    let api: Api<Lease> = Api::namespaced(client, namespace);
    let Ok(Some(mut lease)) = api.get_opt(name).await else { return };
    let Some(spec) = lease.spec.as_mut().filter(|it| it.holder_identity.as_deref() == Some(me))
    else {
        return;
    };
    spec.holder_identity = None;
    if let Err(error) = api.replace(name, &PostParams::default(), &lease).await {
        tracing::debug!(%error, "the lease ends by itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lease(version: &str, holder: &str) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..Default::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_that_is_renewed_is_never_taken() {
        let mut seen = Seen::default();
        for (at, version) in (0..100).map(|at| (s(10 * at), at.to_string())) {
            note(&mut seen, &lease(&version, "other"), at);
            assert_eq!(decide(&seen, "me", at), Step::Wait);
        }
    }

    #[test]
    fn a_lease_is_over_when_it_was_seen_unchanged_for_its_duration() {
        let mut seen = Seen::default();
        note(&mut seen, &lease("1", "other"), s(100));
        note(&mut seen, &lease("1", "other"), s(110));
        assert_eq!(decide(&seen, "me", s(114)), Step::Wait);
        assert_eq!(decide(&seen, "me", s(115)), Step::Take);
    }

    #[test]
    fn a_lease_of_nobody_is_taken_at_once_and_ones_own_renewed() {
        assert_eq!(decide(&Seen::default(), "me", s(0)), Step::Take);
        let mut seen = Seen::default();
        note(&mut seen, &lease("1", "me"), s(0));
        assert_eq!(decide(&seen, "me", s(1000)), Step::Renew);
        note(&mut seen, &lease("2", ""), s(0));
        assert_eq!(decide(&seen, "me", s(0)), Step::Take);
    }

    /// Whoever holds it has stopped to write before another may take it, however long its renewal took.
    #[test]
    fn its_holder_stops_before_another_takes_it() {
        assert!(WRITES_FOR + EVERY < DURATION);
    }
}
