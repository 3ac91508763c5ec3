//! The committed metadata, and the controller that decides about them: one reliable register. That a majority
//! of voters makes it one is the matter of `docs/internals/quorum.md`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use config::Settings;
use engine::metadata::{
    Broker, Controller, Decision, Departure, Image, Partition, Record, Registration,
    SupportedFeature,
};
use engine::{BrokerId, TopicId};

use crate::broker::{Known, Node};
use crate::mutant::Mutant;

pub(crate) const TOPIC: TopicId = wire::Uuid([7; 16]);
pub(crate) const TOPIC_NAME: &str = "t";

/// The state that all decisions so far have made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metadata {
    image: Image,
    /// The partition's place in it.
    pub(crate) place: Arc<Partition>,
}

impl Metadata {
    /// The brokers of these nodes are in, and the partition has this place.
    pub(crate) fn new(nodes: &[Arc<Node>], place: &Partition) -> Self {
        let mut image = Image::default();
        for node in nodes {
            let epoch = node.process.as_ref().map_or(-1, |process| process.epoch);
            let Registration { id, incarnation, directory, listeners, rack, features, .. } =
                registration(node, epoch);
            let (fenced, in_controlled_shutdown, cordoned) = (false, false, false);
            let broker = Broker {
                epoch,
                incarnation,
                directory,
                listeners,
                rack,
                features,
                fenced,
                in_controlled_shutdown,
                cordoned,
                is_controller_only: false,
            };
            image.apply(&Record::RegisterBroker { id, broker });
        }
        image.apply(&Record::Topic { id: TOPIC, name: TOPIC_NAME.into() });
        let mut metadata = Self { image, place: Arc::new(place.clone()) };
        metadata.place(place.clone());
        metadata
    }

    /// What a broker learns of them.
    pub(crate) fn known(&self, id: BrokerId) -> Known {
        let broker = self.broker(id);
        Known { place: Arc::clone(&self.place), epoch: broker.epoch, is_fenced: broker.fenced }
    }

    /// Who is to leave, and has obeyed that somebody else leads.
    pub(crate) fn departures(&self, nodes: &[Arc<Node>], settings: &Settings) -> Vec<Departure> {
        let has_obeyed = |it: &Departure| {
            let node = nodes.iter().find(|node| node.id == it.broker);
            let place = node.and_then(|node| node.process.as_ref()?.place.as_ref());
            place.is_some_and(|place| place.leader_epoch >= it.leader_epoch)
        };
        let mut departures = Controller { image: &self.image, settings }.departures();
        departures.retain(has_obeyed);
        departures
    }

    /// The replicas, with a broker more than are to be there, or without it.
    pub(crate) fn moved(&self, id: BrokerId) -> Vec<BrokerId> {
        let Partition { replicas, removing, .. } = &*self.place;
        let stays = |other: &&BrokerId| !removing.contains(other);
        let mut target: Vec<BrokerId> = replicas.iter().filter(stays).copied().collect();
        match target.iter().position(|other| *other == id) {
            Some(at) => {
                target.remove(at);
            }
            None => target.push(id),
        }
        target
    }

    pub(crate) fn broker(&self, id: BrokerId) -> &Broker {
        self.image.broker(id).expect("nobody is forgotten")
    }

    /// Decides, and all of it is committed.
    pub(crate) fn decide<R>(
        &mut self,
        settings: &Settings,
        mutant: Option<Mutant>,
        decide: impl FnOnce(Controller<'_>) -> Decision<R>,
    ) -> R {
        let Decision { records, reply } = decide(Controller { image: &self.image, settings });
        for record in records {
            match record {
                Record::Partition { mut partition, .. } => {
                    if mutant == Some(Mutant::ForgetsTheOldLeader) {
                        forget_old_leader(&self.place, &mut partition);
                    } else if mutant == Some(Mutant::KeepsEligible) {
                        keep_eligible(&self.place, &mut partition);
                    } else if mutant == Some(Mutant::KeepsTheLeaderEpoch) {
                        partition.leader_epoch = self.place.leader_epoch;
                    }
                    self.place(partition);
                }
                record => self.image.apply(&record),
            }
        }
        reply
    }

    /// Registers a process whose log is whole, or not (`broker/src/proof.rs`); its epoch.
    pub(crate) fn register(
        &mut self,
        node: &Node,
        settings: &Settings,
        mutant: Option<Mutant>,
    ) -> i64 {
        let before = Partition::clone(&self.place);
        let registration = registration(node, self.image.last_broker_epoch() + 1);
        let reply = self.decide(settings, mutant, |c| c.register_broker(registration));
        let epoch = reply.expect("its address is known, and nobody else has its id");
        if mutant == Some(Mutant::LeadsOnAfterItsDeath) && before.leader == Some(node.id) {
            self.place(before);
        } else if mutant == Some(Mutant::EligibleAfterPowerLoss) && before.elr.contains(&node.id) {
            let mut place = Partition::clone(&self.place);
            place.elr = before.elr;
            self.place(place);
        }
        epoch
    }

    fn place(&mut self, partition: Partition) {
        self.place = Arc::new(partition.clone());
        self.image.apply(&Record::Partition { topic_id: TOPIC, index: 0, partition });
    }
}

impl Hash for Metadata {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.hash(state);
        for (_, broker) in self.image.brokers() {
            let directory = broker.directory.0[0];
            (broker.epoch, directory, broker.fenced, broker.in_controlled_shutdown).hash(state);
        }
    }
}

/// Whoever is eligible stays so, unless it is in sync.
fn keep_eligible(before: &Partition, next: &mut Partition) {
    let stays = |id: &BrokerId| {
        !next.isr.contains(id) && (before.elr.contains(id) || next.elr.contains(id))
    };
    next.elr = next.replicas.iter().copied().filter(stays).collect();
}

/// Whoever led does not stay in sync until it follows.
fn forget_old_leader(before: &Partition, next: &mut Partition) {
    if before.leader != next.leader && next.leader.is_some() {
        next.isr.retain(|id| Some(*id) != before.leader);
    }
}

/// What a broker says of itself.
fn registration(node: &Node, incarnation: i64) -> Registration {
    Registration {
        id: node.id,
        incarnation: wire::Uuid(i128::from(incarnation).to_be_bytes()),
        directory: wire::Uuid([node.disk.directory; 16]),
        listeners: vec!["PLAINTEXT://broker:9092".parse().expect("it is a listener")],
        rack: None,
        features: SupportedFeature::of_this_build(),
        previous_epoch: node.disk.whole_under,
        predecessor_is_alive: false,
        is_controller_only: false,
    }
}
