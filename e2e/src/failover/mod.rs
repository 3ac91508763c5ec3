//! Failover trials: a broker goes while a producer sends to twelve partitions without a pause, and the
//! longest pause in the acknowledgements of the partitions that it led is measured. Then it comes back,
//! and leadership moves to it again, which is measured too.

mod gap;
mod report;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use campaign::{Program, Trial};
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Product, Spec};
use crate::history::{Historian, Said, Sending, now};
use crate::network::{Cut, Network};
use crate::process::{Process, until};

pub use gap::Pulse;
pub use report::report;

const TOPIC: &str = "order-placed";
const PARTITIONS: i32 = 12;
/// Two hundred records per second and partition: an acknowledgement every 5 ms.
const SENDING: Sending = Sending { producer: 1, rate: 200 * 12, is_safe: true };
/// How long all must be well before a broker goes, and after it came back.
const CALM: Duration = Duration::from_secs(2);
/// How long the gap may be.
const LIMIT: Duration = Duration::from_secs(90);

/// How a broker goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// kill -9.
    Kill,
    /// SIGSTOP, and SIGCONT later.
    StopCont,
    /// Cut off from everybody.
    Cut,
    /// Asked to stop (SIGTERM).
    Move,
}

/// Whose brokers, and how they are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// Klamm as it comes.
    Klamm,
    /// Apache Kafka as it comes.
    Kafka,
    /// Apache Kafka with a session of three seconds.
    #[serde(rename = "kafka-3s")]
    Kafka3s,
}

/// What one trial showed. Times are milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// What was tried.
    pub commit: String,
    /// Whose brokers.
    pub against: Against,
    /// How one went.
    pub kind: Kind,
    /// Which one.
    pub victim: i32,
    /// Whether it was the active controller.
    pub was_controller: bool,
    /// How many partitions it led.
    pub led: usize,
    /// The longest pause of these partitions.
    pub gap_ms: f64,
    /// Whose it was.
    pub worst: i32,
    /// The longest pause of any partition while the broker came back.
    pub return_gap_ms: f64,
    /// How long it took from its return until all replicas were in sync.
    pub settled_ms: f64,
    /// The longest pause of the partitions that were given back to it by ElectLeaders.
    pub elect_gap_ms: Option<f64>,
    /// How the client was set.
    pub client: String,
}

impl Trial for Shown {
    fn commit(&self) -> Option<&str> {
        (self.against == Against::Klamm).then_some(&self.commit)
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kill, Self::StopCont, Self::Cut, Self::Move];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::StopCont => "stop-cont",
            Self::Cut => "cut",
            Self::Move => "move",
        }
    }
}

impl Against {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Klamm, Self::Kafka, Self::Kafka3s];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Klamm => "klamm",
            Self::Kafka => "kafka",
            Self::Kafka3s => "kafka-3s",
        }
    }

    fn product(self) -> Result<Product> {
        match self {
            Self::Klamm => Product::klamm(),
            Self::Kafka | Self::Kafka3s => Product::kafka(),
        }
    }

    fn settings(self) -> Vec<String> {
        let settings: &[&str] = match self {
            Self::Klamm | Self::Kafka => &[],
            Self::Kafka3s => {
                &["broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=1000"]
            }
        };
        settings.iter().map(ToString::to_string).collect()
    }
}

/// A cluster under load.
pub struct Stage {
    against: Against,
    cluster: Cluster,
    producer: Process<Said>,
    pulse: Pulse,
    commit: String,
}

impl Stage {
    /// Starts cluster and load.
    ///
    /// # Errors
    /// When something cannot be started.
    pub fn set(against: Against, network: Option<Network>) -> Result<Self> {
        let (product, settings) = (against.product()?, against.settings());
        let cluster = Cluster::launch(Spec {
            count: 3,
            product,
            network,
            settings,
            prefix: Vec::new(),
            machines: None,
        })?;
        cluster.create_topic(TOPIC, PARTITIONS)?;
        cluster.settle(TOPIC)?;
        let historian = Historian::new(cluster.bootstrap(), TOPIC, PARTITIONS)?;
        let producer = historian.send(SENDING)?;
        let commit = Program::Broker.commit()?;
        Ok(Self { against, cluster, producer, pulse: Pulse::default(), commit })
    }

    /// One trial; every second time the active controller goes, else one of the others in turn.
    ///
    /// # Errors
    /// When acknowledgements do not come back, or not all is well again.
    pub fn trial(&mut self, kind: Kind, number: usize) -> Result<Shown> {
        let tried = self.go_and_come(kind, number);
        tried.with_context(|| format!("{}{}", self.producer.notes(), self.cluster.notes()))
    }

    /// Ends cluster and load, and leaves the network.
    pub fn clear(self) -> Option<Network> {
        self.cluster.into_network()
    }

    fn go_and_come(&mut self, kind: Kind, number: usize) -> Result<Shown> {
        let all: Vec<i32> = (0..PARTITIONS).collect();
        self.cluster.elect_preferred(TOPIC)?;
        self.wait_for_calm(&all)?;
        let active = self.cluster.controller()?;
        let others: Vec<i32> = self.cluster.ids().into_iter().filter(|id| *id != active).collect();
        let victim =
            if number.is_multiple_of(2) { active } else { others[number / 2 % others.len()] };
        let places = self.cluster.settle(TOPIC)?;
        let led = (0..).zip(&places).filter(|(_, place)| place.leader == victim);
        let led: Vec<i32> = led.map(|(partition, _)| partition).collect();
        ensure!(!led.is_empty(), "broker {victim} leads nothing: {places:?}");

        self.pulse.forget();
        let gone = now();
        self.send_away(victim, kind)?;
        // Later than what may still have been on its way.
        let later = now().max(gone + micros(Duration::from_secs(1)));
        let back = self.wait_for_acks(&led, later)?;
        let (gap, worst) = self.pulse.longest(&led, gone, back).context("there is a gap")?;

        let returns = now();
        self.take_back(victim, kind)?;
        self.cluster.settle(TOPIC)?;
        let settled = now();
        self.wait_for_calm(&all)?;
        let return_gap = self.pulse.longest(&all, returns, now());
        let elect_gap_ms = self.elect(&all)?;
        ensure!(self.pulse.failed().is_empty(), "the client gave up on {:?}", self.pulse.failed());
        Ok(Shown {
            commit: self.commit.clone(),
            against: self.against,
            kind,
            victim,
            was_controller: victim == active,
            led: led.len(),
            gap_ms: millis(gap),
            worst,
            return_gap_ms: return_gap.map_or(0.0, |(gap, _)| millis(gap)),
            settled_ms: millis(settled - returns),
            elect_gap_ms,
            client: crate::history::SETTINGS.to_owned(),
        })
    }

    fn send_away(&mut self, victim: i32, kind: Kind) -> Result<()> {
        match kind {
            Kind::Kill => self.cluster.kill(victim).map(drop),
            Kind::StopCont => self.cluster.halt(victim, true),
            Kind::Cut => {
                let network = self.cluster.network().context("a cut needs a network of its own")?;
                network.cut(victim, Cut::All)
            }
            Kind::Move => {
                self.cluster.ask_to_stop(victim)?;
                self.cluster.wait_for_end(victim)
            }
        }
    }

    fn take_back(&mut self, victim: i32, kind: Kind) -> Result<()> {
        match kind {
            Kind::StopCont => return self.cluster.halt(victim, false),
            Kind::Cut => {
                let network = self.cluster.network().context("a cut needs a network of its own")?;
                return network.heal(victim);
            }
            Kind::Kill | Kind::Move => {}
        }
        self.cluster.start_broker(victim)?;
        self.cluster.wait_until_ready(victim)
    }

    /// Gives leadership back, and the longest pause of those partitions that moved.
    fn elect(&mut self, all: &[i32]) -> Result<Option<f64>> {
        self.pulse.forget();
        let begun = now();
        let moved = self.cluster.elect_preferred(TOPIC)?;
        self.wait_for_calm(all)?;
        let gap = self.pulse.longest(&moved, begun, now());
        Ok(gap.map(|(gap, _)| millis(gap)))
    }

    /// Waits until `partitions` have acknowledged something later than `at`; gives when all had.
    fn wait_for_acks(&mut self, partitions: &[i32], at: i64) -> Result<i64> {
        until("every partition acknowledges", LIMIT, || {
            self.pulse.hear(self.producer.take());
            Ok(self.pulse.last(partitions).filter(|last| *last > at))
        })
    }

    /// Waits until nothing but small pauses was seen for a while.
    fn wait_for_calm(&mut self, partitions: &[i32]) -> Result<()> {
        let mut since = now();
        until("all partitions acknowledge without a pause", LIMIT, || {
            let last = self.wait_for_acks(partitions, since)?;
            let pause = self.pulse.longest(partitions, since, last);
            if pause.is_some_and(|(pause, _)| pause > micros(CALM) / 4) {
                since = last;
            }
            Ok((last - since > micros(CALM)).then_some(()))
        })
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn millis(micros: i64) -> f64 {
    micros as f64 / 1000.0
}
