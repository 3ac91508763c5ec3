//! What follows from each action. The rules are the engine's; this says when they are asked, and by whom.

use std::sync::Arc;

use engine::Offset;
use engine::metadata::{AlterPartition, Controller, Election, Heartbeat, Reassignment};

use crate::broker::{Entry, MIN_ISR, Node, index};
use crate::metadata::{TOPIC, TOPIC_NAME};
use crate::model::Replication;
use crate::mutant::Mutant;
use crate::scenario::Durability;
use crate::state::{Action, Asked, BROKERS, State, at};

impl Replication {
    pub(crate) fn happen(&self, state: &mut State, action: Action) {
        match action {
            Action::Produce(at) => {
                let value = self.scenario.budget.records - state.left.records;
                let is_taken = state.node_mut(at).produce(value, self.mutant);
                state.left.records -= u8::from(is_taken);
            }
            Action::Copy(at) => self.copy(state, at),
            Action::Delay(at) => {
                state.left.late_fetches -= 1;
                state.late.extend(state.nodes[at].fetch(self.scenario.durability, self.mutant));
            }
            Action::Arrive(which) => {
                let (fetch, now) = (state.late.remove(which), state.now());
                state.node_mut(at(fetch.to)).answer(fetch, now, self.mutant);
            }
            Action::Flush(at) => state.node_mut(at).disk.flush(),
            Action::Follow(at) => {
                let known = state.metadata.known(state.nodes[at].id);
                state.node_mut(at).follow(known, self.mutant);
            }
            Action::Propose(at) => self.propose(state, at),
            Action::Decide(which) => self.answer_proposal(state, which),
            Action::GiveUp { which, is_lost } => {
                state.left.give_ups -= 1;
                self.tell_leader(state, which, None);
                if is_lost {
                    state.asked.remove(which);
                }
            }
            Action::Start(at) => self.start(state, at),
            Action::Beat(at) => self.beat(state, at),
            Action::Fence(at) => {
                let id = state.nodes[at].id;
                let is_alive = state.nodes[at].process.is_some();
                state.left.silences -= u8::from(is_alive);
                let epoch = state.metadata.broker(id).epoch;
                let fence = |c: Controller<'_>| c.fence_broker(id, epoch, true);
                let reply = state.metadata.decide(&self.settings, self.mutant, fence);
                reply.expect("it is registered");
            }
            Action::Stop(at) => {
                state.left.stops -= 1;
                state.node_mut(at).process.as_mut().expect("it runs").is_stopping = true;
            }
            Action::Kill(at) => {
                state.left.kills -= 1;
                state.node_mut(at).die(self.mutant);
            }
            Action::LosePower { at, kept } => {
                state.left.power_losses -= 1;
                state.past.was_lost |= kept < state.nodes[at].disk.log.len();
                state.node_mut(at).lose_power(kept, self.mutant);
            }
            Action::LosePowerEverywhere { kept } => {
                state.left.outages -= 1;
                for (at, kept) in kept.into_iter().enumerate() {
                    state.past.was_lost |= kept < state.nodes[at].disk.log.len();
                    state.node_mut(at).lose_power(kept, self.mutant);
                }
            }
            Action::LoseDisk(at) => {
                state.left.lost_disks -= 1;
                state.node_mut(at).lose_disk(self.mutant);
            }
            Action::Prefer => {
                state.left.elections -= 1;
                self.elect(state, Election::Preferred);
            }
            Action::Move(at) => {
                state.left.moves -= 1;
                let target = state.metadata.moved(state.nodes[at].id);
                let replicas = target.iter().map(|id| id.0).collect();
                let (topic, index) = (TOPIC_NAME.to_owned(), 0);
                let asked = Reassignment { topic, index, replicas: Some(replicas) };
                let alter = |c: Controller<'_>| c.alter_reassignments(vec![asked], true);
                state.metadata.decide(&self.settings, self.mutant, alter);
            }
            Action::LetGo => {
                let departures = state.metadata.departures(&state.nodes, &self.settings);
                let let_go = |c: Controller<'_>| c.let_go(&departures);
                state.metadata.decide(&self.settings, self.mutant, let_go);
            }
            Action::Pass => {
                state.left.hours -= 1;
                state.hour += 1;
            }
        }
        if self.mutant == Some(Mutant::ElectsUncleanly) {
            self.elect(state, Election::Unclean);
        }
        self.acknowledge(state);
        self.note_what_is_flushed(state);
        self.follow_at_once(state);
        self.forget_what_has_no_effect(state);
    }

    /// A Fetch and its answer without delay (`broker/src/replication/fetcher.rs`, `api/data/fetch.rs`).
    fn copy(&self, state: &mut State, from: usize) {
        let now = state.now();
        let asked = state.nodes[from].fetch(self.scenario.durability, self.mutant);
        let Some(fetch) = asked else { return };
        let leader = fetch.to;
        let answer = state.node_mut(at(leader)).answer(fetch, now, self.mutant);
        let Some(mut answer) = answer else { return };
        // What this very request has let move is in its answer.
        self.acknowledge(state);
        answer.watermark = state.node(leader).disk.watermark;
        let before = state.nodes[from].disk.end();
        state.past.was_committed_cut |= state.node_mut(from).take(answer, now);
        state.past.was_cut |= state.nodes[from].disk.end() < before;
    }

    /// `broker/src/replication/isr.rs`.
    fn propose(&self, state: &mut State, at: usize) {
        let now = state.now();
        let node = state.node_mut(at);
        let Some(proposal) = node.propose(now) else { return };
        let is_in_sync = |id| node.known.as_ref().is_some_and(|it| it.place.isr.contains(id));
        let grows = proposal.isr.iter().any(|(id, _)| !is_in_sync(id));
        if grows && self.mutant == Some(Mutant::NeverGrows) {
            return;
        }
        let broker_epoch = node.process.as_ref().expect("it runs").epoch;
        let leader = node.id;
        let request = AlterPartition {
            topic_id: TOPIC,
            index: 0,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr,
        };
        state.asked.push(Asked { leader, broker_epoch, request, is_awaited: true });
    }

    /// The controller compares and sets; the leader hears of it, if it still waits.
    fn answer_proposal(&self, state: &mut State, which: usize) {
        let Asked { leader, mut broker_epoch, mut request, .. } = state.asked[which].clone();
        if self.mutant == Some(Mutant::IgnoresBrokerEpochs) {
            broker_epoch = state.metadata.broker(leader).epoch;
            let present = |id| state.metadata.broker(id).epoch;
            request.isr.iter_mut().for_each(|(id, epoch)| *epoch = present(*id));
        }
        if self.mutant == Some(Mutant::IgnoresPartitionEpochs) {
            request.partition_epoch = state.metadata.place.partition_epoch;
        }
        let alter = |c: Controller<'_>| c.alter_partitions(leader, broker_epoch, vec![request]);
        let reply = state.metadata.decide(&self.settings, self.mutant, alter);
        let is_taken = reply.is_ok_and(|reply| match &reply[0].1 {
            Ok(_) => true,
            Err(error) => {
                error.is_made() && self.mutant != Some(Mutant::TakesAnotherLeaderForRefusal)
            }
        });
        self.tell_leader(state, which, Some(is_taken));
        state.asked.remove(which);
    }

    fn tell_leader(&self, state: &mut State, which: usize, answer: Option<bool>) {
        let now = state.now();
        let Asked { leader, is_awaited, .. } = &mut state.asked[which];
        let leader = *leader;
        if std::mem::take(is_awaited) {
            state.node_mut(at(leader)).told(answer, now, self.mutant);
        }
    }

    fn start(&self, state: &mut State, at: usize) {
        let node = &state.nodes[at];
        let epoch = state.metadata.register(node, &self.settings, self.mutant);
        if node.is_suspect && !self.scenario.loses_the_newest() {
            // From now on another machine may lose power, as soon as all have flushed.
            (0..BROKERS).for_each(|at| state.node_mut(at).disk.flush());
        }
        let node = state.node_mut(at);
        node.is_suspect = false;
        node.start(epoch);
        if let Some(old) = node.known.take() {
            node.follow(old, self.mutant);
        }
    }

    /// `broker/src/controller/membership.rs` and `requests.rs`.
    fn beat(&self, state: &mut State, at: usize) {
        let is_caught_up = state.is_caught_up(at);
        let node = &state.nodes[at];
        let Some(process) = &node.process else { return };
        let (id, epoch, want_shut_down) = (node.id, process.epoch, process.is_stopping);
        let heartbeat = Heartbeat { id, epoch, want_fence: false, want_shut_down, is_caught_up };
        let before = state.metadata.place.clone();
        let beat = |c: Controller<'_>| c.heartbeat(heartbeat);
        let reply = state.metadata.decide(&self.settings, self.mutant, beat);
        if reply.expect("its registration is the newest").should_shut_down {
            state.node_mut(at).close(self.mutant);
        }
        let leader = state.metadata.place.leader;
        state.past.was_eligible_elected |=
            leader != before.leader && leader.is_some_and(|id| before.elr.contains(&id));
    }

    fn elect(&self, state: &mut State, election: Election) {
        let elect = |c: Controller<'_>| c.elect_leaders(election, None);
        state.metadata.decide(&self.settings, self.mutant, elect);
    }

    /// Leaders move their watermarks, tell them, and acknowledge what is below.
    fn acknowledge(&self, state: &mut State) {
        for at in 0..BROKERS {
            if state.nodes[at].leads().is_none() {
                continue;
            }
            let done = state.node_mut(at).advance(self.scenario.durability, self.mutant);
            let node = &state.nodes[at];
            if self.tells_watermark(node) {
                state.past.told = state.past.told.max(node.disk.watermark);
            }
            let broker_epoch = node.process.as_ref().expect("it leads").epoch;
            let acker = (node.leads_in().expect("it leads"), node.id, broker_epoch);
            for offset in done {
                let entry = *node.disk.get(offset).expect("it has what it acknowledges");
                let copies = state.nodes.iter().filter(|it| it.disk.get(offset) == Some(&entry));
                state.past.was_thin |= copies.count() < MIN_ISR;
                state.past.acked.push((offset, entry));
                state.past.acked.sort();
                if !state.past.ackers.contains(&acker) {
                    state.past.ackers.push(acker);
                    state.past.ackers.sort();
                }
            }
        }
    }

    /// What was acknowledged and is on the disk of everybody who may be elected.
    fn note_what_is_flushed(&self, state: &mut State) {
        if !self.scenario.loses_the_newest() {
            return;
        }
        let place = &state.metadata.place;
        let standing = || place.isr.iter().chain(&place.elr).map(|id| &state.node(*id).disk);
        let is_flushed = |(offset, entry): &(Offset, Entry)| {
            let mut disks = standing();
            disks.all(|disk| disk.get(*offset) == Some(entry) && index(*offset) < disk.flushed)
        };
        let known = &state.past.flushed;
        let now = state.past.acked.iter().filter(|it| is_flushed(it) && !known.contains(it));
        let now: Vec<_> = now.copied().collect();
        state.past.flushed.extend(now);
        state.past.flushed.sort();
    }

    /// Whether consumers may read at a leader (KIP-207).
    pub(crate) fn tells_watermark(&self, leader: &Node) -> bool {
        leader.is_serving() || self.mutant == Some(Mutant::TellsEarly)
    }

    /// Metadata that can make no difference later than now are followed now: those that leave a follower its
    /// leader and epoch, and those that come when nobody leads in its epoch any more. It could have done
    /// nothing with older ones.
    fn follow_at_once(&self, state: &mut State) {
        for at in 0..BROKERS {
            let node = &state.nodes[at];
            let next = &state.metadata.place;
            let Some(process) = &node.process else { continue };
            if node.leads().is_some() || next.leader == Some(node.id) || state.is_caught_up(at) {
                continue;
            }
            let is_free = process.place.as_ref().is_none_or(|place| {
                let leads = |node: &Arc<Node>| node.leads_in() == Some(place.leader_epoch);
                place.leader_epoch == next.leader_epoch || !state.nodes.iter().any(leads)
            });
            if is_free {
                let known = state.metadata.known(node.id);
                state.node_mut(at).follow(known, self.mutant);
            }
        }
    }

    /// States that differ in nothing that matters are one.
    fn forget_what_has_no_effect(&self, state: &mut State) {
        let State { metadata, nodes, asked, late, left, .. } = state;
        let may_be_late = matches!(
            self.mutant,
            Some(Mutant::IgnoresPartitionEpochs | Mutant::IgnoresBrokerEpochs)
        );
        asked.retain_mut(|it| {
            let process = nodes[at(it.leader)].process.as_ref();
            it.is_awaited &= process.is_some_and(|process| process.epoch == it.broker_epoch);
            // Epochs only grow: it is refused whenever it comes.
            let is_refused = it.request.partition_epoch < metadata.place.partition_epoch
                || it.broker_epoch < metadata.broker(it.leader).epoch;
            it.is_awaited || may_be_late || !is_refused
        });
        late.retain(|fetch| {
            let leads = |node: &Arc<Node>| node.leads_in() == Some(fetch.leader_epoch);
            fetch.leader_epoch == metadata.place.leader_epoch || nodes.iter().any(leads)
        });
        let is_lost_no_more = left.power_losses + left.outages == 0
            && self.scenario.durability == Durability::Replicated;
        if is_lost_no_more && nodes.iter().any(|node| node.disk.flushed < node.disk.log.len()) {
            (0..BROKERS).for_each(|at| state.node_mut(at).disk.flush());
        }
    }
}
