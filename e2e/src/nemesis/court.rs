//! The clients of a run, and who listens to them: producers that never pause, one that asks for too much, a
//! reader of everything, a group that commits.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::checker::{Breach, Checker, Speaker, Verdict};
use crate::cluster::Cluster;
use crate::history::{Historian, Said, Sending};
use crate::process::{Process, until};

const GROUP: &str = "auditors";
const PRODUCERS: u8 = 2;
/// The number of the producer whose records are too large.
const REFUSED: u8 = PRODUCERS + 1;
/// Records per second and producer.
const RATE: u32 = 1500;
const MEMBERS: usize = 2;
/// How long clients may take to finish once all is healed.
const LIMIT: Duration = Duration::from_secs(90);
/// How often lines are looked at.
const LISTEN_EVERY: Duration = Duration::from_millis(20);

/// All who speak, and who listens.
pub(crate) struct Court {
    historian: Historian,
    partitions: i32,
    checker: Checker,
    speakers: Vec<(Speaker, Process<Said>)>,
    /// Where each partition ends, once it was asked.
    ends: BTreeMap<i32, i64>,
}

impl Court {
    /// Starts the clients; producers wait for all in sync if that `is_safe`, else for the leader alone.
    pub(crate) fn convene(
        brokers: String,
        topic: &str,
        partitions: i32,
        is_safe: bool,
    ) -> Result<Self> {
        let historian = Historian::new(brokers, topic, partitions)?;
        let mut speakers = Vec::new();
        for producer in 1..=PRODUCERS {
            let sending = Sending { producer, rate: RATE, is_safe };
            speakers.push((Speaker::Producer(producer), historian.send(sending)?));
        }
        speakers.push((Speaker::Refused(REFUSED), historian.send_too_large(REFUSED)?));
        speakers.push((Speaker::Reader(0), historian.read()?));
        for member in 0..MEMBERS {
            speakers.push((Speaker::Member(member), historian.join(GROUP, member)?));
        }
        let (mut checker, ends) = (Checker::default(), BTreeMap::new());
        speakers.iter().for_each(|(speaker, _)| checker.admit(*speaker));
        Ok(Self { historian, partitions, checker, speakers, ends })
    }

    /// Listens for a moment.
    pub(crate) fn listen(&mut self) {
        std::thread::sleep(LISTEN_EVERY);
        for (speaker, process) in &self.speakers {
            for heard in process.take() {
                if let Said::End { partition, offset } = heard.event {
                    self.ends.insert(partition, offset);
                }
                if let Said::Failed { partition, number, error } = &heard.event {
                    println!("a client gave up on {number} of partition {partition}: {error}");
                }
                self.checker.hear(*speaker, &heard.event);
            }
        }
    }

    /// How many records were acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.checker.acked()
    }

    /// Whether something is wrong already.
    pub(crate) fn is_broken(&self) -> bool {
        self.checker.is_broken()
    }

    /// Something that only the run itself can see.
    pub(crate) fn tell(&mut self, breach: Breach, detail: impl fmt::Display) {
        self.checker.tell(breach, detail);
    }

    /// Lets the clients finish, reads everything, and judges.
    pub(crate) fn adjourn(mut self, cluster: &Cluster) -> Verdict {
        if let Err(error) = self.finish() {
            let notes: String = self.speakers.iter().map(|(_, process)| process.notes()).collect();
            self.tell(Breach::Stuck, format!("{error:#}\n{notes}{}", cluster.notes()));
        }
        self.checker.end()
    }

    fn finish(&mut self) -> Result<()> {
        self.dismiss(|speaker| matches!(speaker, Speaker::Producer(_) | Speaker::Refused(_)))?;
        self.speakers.push((Speaker::LastReader, self.historian.read_to_end()?));
        self.wait_for(|speaker| speaker == Speaker::LastReader)?;
        let known = self.ends.len();
        ensure!(
            known == usize::try_from(self.partitions)?,
            "the ends of {known} partitions are known"
        );
        until("the group has read everything", LIMIT, || {
            self.listen();
            let reached = self.checker.group_reached();
            let all = self.ends.iter().all(|(partition, end)| {
                *end == 0 || reached.get(partition).is_some_and(|reached| reached >= end)
            });
            Ok(all.then_some(()))
        })?;
        self.dismiss(|speaker| matches!(speaker, Speaker::Reader(_)))
    }

    /// Closes the input of those whom this names, and waits until they have ended.
    fn dismiss(&mut self, whom: impl Fn(Speaker) -> bool) -> Result<()> {
        for (speaker, process) in &mut self.speakers {
            if whom(*speaker) {
                process.close_input();
            }
        }
        self.wait_for(whom)
    }

    fn wait_for(&mut self, whom: impl Fn(Speaker) -> bool) -> Result<()> {
        until("clients have finished", LIMIT, || {
            self.listen();
            let mut named = self.speakers.iter_mut().filter(|(speaker, _)| whom(*speaker));
            let ended = named.try_fold(true, |all, (_, process)| {
                process.is_running().map(|is_running| all && !is_running)
            })?;
            Ok(ended.then_some(()))
        })?;
        for (speaker, process) in &mut self.speakers {
            if whom(*speaker) {
                let status = process.wait(LIMIT)?;
                let name = process.name();
                ensure!(status.success(), "{name} ended with {status}\n{}", process.notes());
            }
        }
        self.listen();
        Ok(())
    }
}
