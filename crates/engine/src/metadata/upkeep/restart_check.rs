//! What would follow if brokers were restarted now: an answer, no change.
//!
//! A restart takes a broker away for a while and leaves its disk. What waiting cannot improve is told
//! apart, as accepted: a partition with one replica is away whenever that is.

use std::collections::BTreeSet;
use std::fmt;

use crate::ids::{BrokerId, TopicPartition};

use super::super::brokers::UnknownBroker;
use super::super::controller::Controller;
use super::super::image::{Broker, Partition, Topic};
use super::super::partitions::{is_active, is_live};

/// Who votes in the quorum, or is to, as its leader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// The node.
    pub id: BrokerId,
    /// The disk that makes it this voter.
    pub directory: wire::Uuid,
    /// Whether it votes; else the settings say that it shall, and it will once its broker is there.
    pub is_member: bool,
    /// Whether it has what is committed, but for what is under way.
    pub is_current: bool,
}

impl Voter {
    /// Whether the broker that is registered now is this voter: on another disk it has no vote yet.
    pub fn is(&self, id: BrokerId, broker: &Broker) -> bool {
        self.id == id && self.directory == broker.directory
    }
}

/// What would follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartCheck {
    /// What waiting may improve.
    pub harm: Harm,
    /// What happens with every restart of such a broker, also when all is well.
    pub accepted: Harm,
}

/// What brokers would take away by being away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Nobody else has all committed records of these: without the disks of these brokers they are lost.
    /// A restart keeps the disks.
    pub data_loss: Vec<TopicPartition>,
    /// Nobody would lead these any more.
    pub unavailable: Vec<TopicPartition>,
    /// These would be led, and could not commit any more.
    pub under_min_isr: Vec<TopicPartition>,
    /// The voters would have no majority.
    pub loses_quorum: bool,
}

impl fmt::Display for Harm {
    /// For people: `nobody would lead 3 partitions, as orders-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data_loss, unavailable, under_min_isr, loses_quorum } = self;
        let lists = [
            (unavailable, "nobody would lead"),
            (under_min_isr, "too few replicas would be in sync of"),
            (data_loss, "nobody else has all records of"),
        ];
        let said = lists.into_iter().filter_map(|(list, what)| {
            let (first, count) = (list.first()?, list.len());
            Some(match count {
                1 => format!("{what} {first}"),
                _ => format!("{what} {count} partitions, as {first}"),
            })
        });
        let quorum = loses_quorum.then(|| "the quorum would have no majority".to_owned());
        f.write_str(&said.chain(quorum).collect::<Vec<_>>().join("; "))
    }
}

impl RestartCheck {
    /// Whether the brokers may be restarted now.
    pub fn is_ok(&self) -> bool {
        // What only a lost disk would take is no reason against a restart: it is the way back of a broker
        // that is down, and of one that leads it is among the unavailable as well.
        let Harm { unavailable, under_min_isr, loses_quorum, .. } = &self.harm;
        unavailable.is_empty() && under_min_isr.is_empty() && !loses_quorum
    }
}

impl Controller<'_> {
    /// What would follow if the brokers `asked` were restarted together. Of the quorum's `voters`, whoever is
    /// fenced, behind, or has another disk by now, counts as silent.
    pub fn restart_check(
        &self,
        asked: &BTreeSet<BrokerId>,
        voters: &[Voter],
    ) -> Result<RestartCheck, UnknownBroker> {
        if let Some(id) = asked.iter().find(|id| self.image.broker(**id).is_none()) {
            return Err(UnknownBroker { id: *id, epoch: -1 });
        }
        let mut check = RestartCheck::default();
        for topic in self.image.topics() {
            let is_concerned = |it: &Partition| it.replicas.iter().any(|id| asked.contains(id));
            if !topic.partitions.iter().any(is_concerned) {
                continue;
            }
            let min_isr = self.min_isr(topic);
            for (index, partition) in (0..).zip(&topic.partitions) {
                if is_concerned(partition) {
                    self.check_partition((topic, index, partition), min_isr, asked, &mut check);
                }
            }
        }
        let is_asked = |voter: &Voter| asked.contains(&voter.id);
        let votes = |voter: &Voter| {
            let broker = self.image.broker(voter.id).filter(|broker| !broker.fenced);
            voter.is_current && broker.is_some_and(|broker| voter.is(voter.id, broker))
        };
        // Who is about to vote, with a new disk for one, is not given up.
        let counts = |voter: &&Voter| voter.is_member || is_live(self.image, voter.id);
        let voters: Vec<&Voter> = voters.iter().filter(counts).collect();
        let majority = voters.len() / 2 + 1;
        let stay = voters.iter().filter(|voter| !is_asked(voter) && votes(voter)).count();
        if voters.iter().any(|voter| is_asked(voter)) && stay < majority {
            let always = voters.len() - 1 < majority;
            if always { &mut check.accepted } else { &mut check.harm }.loses_quorum = true;
        }
        Ok(check)
    }

    fn check_partition(
        &self,
        (topic, index, partition): (&Topic, i32, &Partition),
        min_isr: usize,
        asked: &BTreeSet<BrokerId>,
        check: &mut RestartCheck,
    ) {
        let Partition { leader, replicas, isr, elr, removing, .. } = partition;
        // Who is about to be moved away stands in for nobody.
        let moves = partition.may_let_go(min_isr, |id| is_active(self.image, id));
        let stays = |id: &BrokerId| {
            !asked.contains(id) && is_active(self.image, *id) && !(moves && removing.contains(id))
        };
        let name = || TopicPartition::new(topic.name.clone(), index);
        let (is_alone, enough) = (replicas.len() == 1, min_isr.min(replicas.len()));
        let holders = || isr.iter().chain(elr);
        let needs_all = enough == replicas.len();
        if !isr.is_empty() && holders().all(|id| asked.contains(id)) {
            if is_alone { &mut check.accepted } else { &mut check.harm }.data_loss.push(name());
        }
        if leader.is_none() {
            return;
        }
        if !holders().any(stays) {
            if is_alone { &mut check.accepted } else { &mut check.harm }.unavailable.push(name());
        } else if isr.len() >= enough
            && isr.iter().any(|id| asked.contains(id))
            && isr.iter().filter(|id| stays(id)).count() < enough
        {
            let harm = if needs_all { &mut check.accepted } else { &mut check.harm };
            harm.under_min_isr.push(name());
        }
    }
}

#[cfg(test)]
#[path = "restart_check_test.rs"]
pub(super) mod tests;
