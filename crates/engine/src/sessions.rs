//! Which brokers the controller hears of, and when one that is silent is fenced. (What clients fetch is the
//! matter of `session.rs`.)
//!
//! Heartbeats extend a session, from when they are answered: the broker waits for that, and how long the
//! controller takes is no silence. That nobody listens at its address any more shortens it: the process is gone, unless
//! it is just starting again. Nothing else does. A connection that has ended is no proof: a broker whom no answer reaches
//! ends it itself, and leads until its lease ends. Only the monotonic clock counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{BrokerId, Now};

/// How long silence is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// `broker.session.timeout.ms`: without any other sign.
    pub timeout: Duration,
    /// After nobody listened at its address.
    pub refused_grace: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), refused_grace: Duration::from_millis(200) }
    }
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node has become the active controller; these brokers are not fenced. It has heard of none of
    /// them, and gives each a full session from now on.
    BecameController(Vec<(BrokerId, i64)>),
    /// A heartbeat has arrived, and waits for its answer.
    Asked {
        /// Who.
        id: BrokerId,
        /// Its epoch.
        epoch: i64,
    },
    /// A heartbeat or a registration was answered.
    Heartbeat {
        /// Who.
        id: BrokerId,
        /// Its epoch.
        epoch: i64,
    },
    /// Nobody listens at a broker's address.
    ConnectionRefused {
        /// Whose.
        id: BrokerId,
    },
    /// A silent broker is fenced, or not registered any more.
    Fenced {
        /// Who.
        id: BrokerId,
        /// The epoch that was silent.
        epoch: i64,
    },
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Fence a broker. Said again with every event, until it is done or the broker is heard of: the
    /// controller may not be able to decide now.
    Fence {
        /// Who.
        id: BrokerId,
        /// The epoch that was silent.
        epoch: i64,
    },
}

/// The sessions of all brokers that are heard of.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    brokers: BTreeMap<BrokerId, Session>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    epoch: i64,
    ends_at: Duration,
}

impl Sessions {
    /// Nobody was heard of.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event; names all brokers whose sessions have ended and who are not known to be fenced.
    pub fn step(&mut self, event: Event, config: &SessionConfig, now: Now) -> Vec<Effect> {
        match event {
            Event::BecameController(brokers) => {
                let ends_at = now.after(config.timeout);
                let begun = |(id, epoch)| (id, Session { epoch, ends_at });
                self.brokers = brokers.into_iter().map(begun).collect();
            }
            Event::Asked { id, epoch } => self.extend(id, epoch, Duration::MAX),
            Event::Heartbeat { id, epoch } => self.extend(id, epoch, now.after(config.timeout)),
            Event::ConnectionRefused { id } => self.shorten(id, now.after(config.refused_grace)),
            // One that was heard of again meanwhile may be let in before it is said that it was fenced.
            Event::Fenced { id, epoch } => self.brokers.retain(|known, session| {
                *known != id || session.epoch > epoch || session.ends_at > now.tick
            }),
            Event::Tick => {}
        }
        let silent = self.brokers.iter().filter(|(_, session)| session.ends_at <= now.tick);
        silent.map(|(id, session)| Effect::Fence { id: *id, epoch: session.epoch }).collect()
    }

    fn extend(&mut self, id: BrokerId, epoch: i64, ends_at: Duration) {
        // A delayed heartbeat of an older process says nothing of the one that there is.
        if self.brokers.get(&id).is_none_or(|known| known.epoch <= epoch) {
            self.brokers.insert(id, Session { epoch, ends_at });
        }
    }

    fn shorten(&mut self, id: BrokerId, ends_at: Duration) {
        if let Some(session) = self.brokers.get_mut(&id) {
            session.ends_at = session.ends_at.min(ends_at);
        }
    }

    /// Whether a broker was heard of within its session: looked at again when its fence is decided.
    pub fn is_alive(&self, id: BrokerId, now: Now) -> bool {
        self.brokers.get(&id).is_some_and(|session| session.ends_at > now.tick)
    }

    /// When the next session ends, if nothing is heard.
    pub fn next_deadline(&self) -> Option<Duration> {
        let deadlines = self.brokers.values().map(|session| session.ends_at);
        deadlines.filter(|ends_at| *ends_at < Duration::MAX).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Event, SessionConfig, Sessions};
    use crate::{BrokerId, Now};

    fn at(ms: u64) -> Now {
        Now { wall_ms: 0, tick: Duration::from_millis(ms) }
    }

    /// The events at these milliseconds; then who is fenced when, as `id@ms`.
    fn check(events: &[(u64, Event)], expected: &str) {
        let config = SessionConfig::default();
        let mut sessions = Sessions::new();
        let mut fenced = Vec::new();
        let mut events = events.iter().peekable();
        for ms in (0..6000).step_by(50) {
            let mut due = vec![Event::Tick];
            while let Some((_, event)) = events.next_if(|(when, _)| *when <= ms) {
                due.push(event.clone());
            }
            for event in due {
                for Effect::Fence { id, epoch } in sessions.step(event, &config, at(ms)) {
                    assert!(!sessions.is_alive(id, at(ms)));
                    fenced.push(format!("{id}:{epoch}@{ms}"));
                    sessions.step(Event::Fenced { id, epoch }, &config, at(ms));
                }
            }
            let next = sessions.next_deadline();
            assert!(next.is_none_or(|next| next > at(ms).tick), "nobody is forgotten");
        }
        assert_eq!(fenced.join(" "), expected);
    }

    fn beat(id: i32, epoch: i64) -> Event {
        Event::Heartbeat { id: BrokerId(id), epoch }
    }

    fn refused(id: i32) -> Event {
        Event::ConnectionRefused { id: BrokerId(id) }
    }

    #[test]
    fn silence_ends_a_session_and_a_heartbeat_extends_it() {
        check(&[(0, beat(1, 1))], "1:1@2000");
        check(&[(0, beat(1, 1)), (1500, beat(1, 1))], "1:1@3500");
        check(&[(0, beat(1, 1)), (3000, beat(1, 1))], "1:1@2000 1:1@5000");
        check(&[(0, beat(1, 1)), (0, beat(2, 2)), (1000, beat(2, 2))], "1:1@2000 2:2@3000");
    }

    #[test]
    fn a_refused_connection_is_a_proof() {
        check(&[(0, beat(1, 1)), (100, refused(1))], "1:1@300");
        check(&[(0, beat(1, 1)), (100, refused(1)), (200, refused(1))], "1:1@300");
        check(&[(0, beat(1, 1)), (100, refused(1)), (200, beat(1, 1))], "1:1@2200");
        check(&[(0, beat(1, 1)), (1900, refused(1))], "1:1@2000");
        check(&[(0, refused(7))], "");
    }

    #[test]
    fn a_new_controller_gives_everybody_a_full_session() {
        let known = vec![(BrokerId(1), 1), (BrokerId(2), 2)];
        let became = Event::BecameController(known);
        check(&[(1000, became), (2000, beat(2, 2))], "1:1@3000 2:2@4000");
    }

    #[test]
    fn a_broker_is_to_be_fenced_until_it_is_or_is_heard_of() {
        let config = SessionConfig::default();
        let mut sessions = Sessions::new();
        let mut step = |event, ms| sessions.step(event, &config, at(ms));
        let fence = |id, epoch| vec![Effect::Fence { id: BrokerId(id), epoch }];
        let fenced = |id, epoch| Event::Fenced { id: BrokerId(id), epoch };
        step(beat(1, 1), 0);
        step(beat(2, 2), 100);
        assert_eq!(step(Event::Tick, 2000), fence(1, 1));
        // It could not be decided.
        assert_eq!(step(Event::Tick, 2050), fence(1, 1));
        assert_eq!(step(beat(1, 1), 2060), []);
        // Whoever is heard of stays, although an earlier silence was decided on.
        assert_eq!(step(fenced(1, 1), 2070), []);
        assert_eq!(step(fenced(2, 1), 2100), fence(2, 2), "another process was fenced");
        assert_eq!(step(fenced(2, 2), 2110), []);
        assert_eq!(step(Event::Tick, 4060), fence(1, 1));
    }

    #[test]
    fn a_heartbeat_that_waits_for_the_controller_is_no_silence() {
        let asked = |id, epoch| Event::Asked { id: BrokerId(id), epoch };
        check(&[(0, beat(1, 1)), (1000, asked(1, 1)), (3500, beat(1, 1))], "1:1@5500");
        check(&[(0, asked(1, 1)), (3000, refused(1))], "1:1@3200");
        check(&[(0, beat(1, 5)), (1000, asked(1, 4))], "1:5@2000");
    }

    #[test]
    fn a_late_heartbeat_of_an_older_process_means_nothing() {
        check(&[(0, beat(1, 5)), (1000, beat(1, 4))], "1:5@2000");
        check(&[(0, beat(1, 4)), (1000, beat(1, 5))], "1:5@3000");
    }
}
