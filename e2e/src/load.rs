//! A real client that sends without a pause, with idempotence and acks=all, while the brokers are harmed;
//! and the question afterwards whether all that it was told is true.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::event::{Event, Read};
use crate::judge::{self, Place};
use crate::library::{Program, Timeouts};
use crate::order::Order;
use crate::process::{Process, until};

/// How many orders may wait for their acknowledgement.
const WINDOW: usize = 3000;
/// How many orders are sent at once, and the pause after them.
const BURST: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);
/// What the last acknowledgements, and reading all of it, may take.
const LIMIT: Duration = Duration::from_secs(120);
/// A duplicate may come last.
const SILENCE: Duration = Duration::from_millis(500);
/// Of who reads all of it at the end.
const INSPECTION: Timeouts = Timeouts { session_ms: 10_000, heartbeat_ms: 500 };

/// The `n`th of all orders.
type Make = Box<dyn Fn(u64) -> Order + Send>;

/// A producer under way.
pub struct Load {
    program: Program,
    producer: Process,
    bootstrap: String,
    topic: String,
    make: Make,
    sent: Vec<Order>,
}

impl Load {
    /// Starts a producer, which has sent nothing yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(
        program: Program,
        bootstrap: &str,
        topic: &str,
        make: impl Fn(u64) -> Order + Send + 'static,
    ) -> Result<Self> {
        let producer = program.produce(bootstrap, topic, &make(0))?;
        let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
        Ok(Self { program, producer, bootstrap, topic, make: Box::new(make), sent: Vec::new() })
    }

    /// How many orders it was given.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// The producer: what it says is acknowledgements.
    pub fn producer(&self) -> &Process {
        &self.producer
    }

    /// Sends a few more, unless too many wait.
    ///
    /// # Errors
    /// When the producer has ended.
    pub fn go_on(&mut self) -> Result<()> {
        let acked = self.producer.look(<[_]>::len);
        if self.sent.len() - acked <= WINDOW {
            for _ in 0..BURST {
                let order = (self.make)(self.sent.len() as u64);
                self.program.feed(&mut self.producer, &order)?;
                self.sent.push(order);
            }
        }
        thread::sleep(PAUSE);
        Ok(())
    }

    /// Sends for so long.
    ///
    /// # Errors
    /// As [`Load::go_on`].
    pub fn go_on_for(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.go_on()?;
        }
        Ok(())
    }

    /// Goes on by itself while something else is done.
    pub fn in_background(mut self) -> Background {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let feeding = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                self.go_on()?;
            }
            Ok(self)
        });
        Background { is_over, feeding }
    }

    /// Ends it, reads all of it, and judges: every order was acknowledged once, and stands once where it was
    /// acknowledged, in the order of sending. Gives what was counted.
    ///
    /// # Errors
    /// When something of that is not so.
    pub fn end(mut self) -> Result<String> {
        self.producer.close_input();
        let status = self.producer.wait(LIMIT)?;
        ensure!(status.success(), "the producer ended with {status}\n{}", self.producer.notes());
        let acked = self.acked()?;
        ensure!(acked.len() == self.sent.len(), "{} of {}", acked.len(), self.sent.len());
        let read = self.read_all()?;
        judge::exactly(&self.sent, &acked, &read)
            .and_then(|counted| judge::unbroken_partitions(&read).map(|_| counted))
            .map_err(|wrong| anyhow!(wrong))
    }

    /// Where each order was acknowledged. None may have failed.
    fn acked(&self) -> Result<BTreeMap<u64, Place>> {
        self.producer.look(|events| {
            let mut acked = BTreeMap::new();
            for heard in events {
                let Event::Acked { n, partition, offset } = &heard.event else {
                    bail!("{:?}", heard.event)
                };
                let n = n.context("this client does not say which order")?;
                let twice = acked.insert(n, (*partition, *offset));
                ensure!(twice.is_none(), "order {n} was acknowledged twice");
            }
            Ok(acked)
        })
    }

    fn read_all(&self) -> Result<Vec<Read>> {
        let mut reader =
            self.program.consume(&self.bootstrap, &self.topic, "inspection", INSPECTION)?;
        let records = |reader: &Process| {
            reader.look(|events| {
                let records = events.iter().filter_map(|heard| match &heard.event {
                    Event::Record(read) => Some(read.clone()),
                    _ => None,
                });
                records.collect::<Vec<_>>()
            })
        };
        let is_whole = |reader: &Process| {
            // Owns and records; the records are what counts, and there are few others.
            reader.look(<[_]>::len) >= self.sent.len() && records(reader).len() >= self.sent.len()
        };
        let whole = until("all orders are read", LIMIT, || Ok(is_whole(&reader).then_some(())));
        whole.with_context(|| format!("{} of {}", records(&reader).len(), self.sent.len()))?;
        thread::sleep(SILENCE);
        let read = records(&reader);
        reader.stop()?;
        Ok(read)
    }
}

/// A [`Load`] that goes on by itself.
pub struct Background {
    is_over: Arc<AtomicBool>,
    feeding: JoinHandle<Result<Load>>,
}

impl Background {
    /// Stops it from sending more.
    ///
    /// # Errors
    /// When the producer has ended by itself.
    pub fn halt(self) -> Result<Load> {
        self.is_over.store(true, Ordering::Relaxed);
        self.feeding.join().map_err(|_| anyhow!("the load's thread panicked"))?
    }
}
