//! A shard follows the cluster's state: roles and settings of its partitions, partitions that come and go.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::metadata::{CONSUMER_OFFSETS, Image, TopicChange};
use world::tasks::spawn_local;

use super::Shard;
use super::logs::{remove, settled};
use crate::metadata::State;
use crate::partition::{Missing, PartitionId, PartitionRef, jobs_ended};

/// How long a replica that is back waits before it asks again for the folder of the one that was here.
const FOLDER_PAUSE: Duration = Duration::from_millis(100);
impl Shard {
    /// Follows the cluster's state: new settings, deleted topics.
    pub(crate) async fn follow(self: Rc<Self>, mut last: Arc<State>) {
        let mut states = self.shared.states();
        // Partitions that have no log yet are followed as well.
        let before = State { image: Image::default(), ..State::clone(&last) };
        self.reconfigure(&last, &before);
        self.shared.followed.set(self.index, last.version);
        while states.changed().await.is_ok() {
            let next = Arc::clone(&states.borrow_and_update());
            let mut deleted = Vec::new();
            for change in next.image.changed_topics(&last.image) {
                match change {
                    TopicChange::Set(_) => {}
                    TopicChange::Removed(topic) => {
                        for index in 0..topic.partitions.len() {
                            let index = i32::try_from(index).expect("partition indexes are i32");
                            let id = PartitionId { topic: topic.id, index };
                            self.delete(id, &Missing::Unknown);
                        }
                        deleted.push(Arc::clone(&topic.name));
                    }
                }
            }
            self.reconfigure(&next, &last);
            if !deleted.is_empty() {
                self.coordinator.topics_deleted(&deleted);
            }
            self.shared.followed.set(self.index, next.version);
            last = next;
        }
    }

    /// Gives every partition of this shard the role and the settings of the new state.
    fn reconfigure(self: &Rc<Self>, state: &State, last: &State) {
        let broker_settings_changed = state.settings != last.settings;
        if broker_settings_changed {
            for partition in self.open_partitions() {
                self.configure(state, &partition);
            }
        }
        for change in state.image.changed_topics(&last.image) {
            let TopicChange::Set(topic) = change else { continue };
            for index in 0..topic.partitions.len() {
                let index = i32::try_from(index).expect("partition indexes are i32");
                let id = PartitionId { topic: topic.id, index };
                if id.shard(self.shared.shards()) != self.index {
                    continue;
                }
                let open = self.partitions.borrow().get(&id).cloned();
                match open {
                    Some(partition) => self.configure(state, &partition),
                    None => self.open_if_followed(state, id),
                }
            }
        }
    }

    fn configure(self: &Rc<Self>, state: &State, partition: &PartitionRef) {
        let id = partition.borrow().id;
        let Some(settings) = self.shared.partition_settings(state, id) else {
            // The controller has moved the replica: others have what is committed.
            tracing::info!(partition = %partition.borrow().name(), "moved away from this broker");
            self.delete(id, &Missing::NotLeader);
            return;
        };
        if settings != partition.borrow().settings {
            partition.borrow_mut().configure(settings);
            self.settle_in(partition);
        }
    }

    /// A partition that somebody else leads is copied from the start; one that is led here costs nothing
    /// until it is used.
    pub(super) fn open_if_followed(self: &Rc<Self>, state: &State, id: PartitionId) {
        let Some(settings) = self.shared.partition_settings(state, id) else { return };
        if settings.place.leader.is_none_or(|leader| leader == self.shared.node) {
            return;
        }
        match self.partition(id) {
            Ok(_) => {}
            Err(Missing::BeingRemoved) => {
                // It was here before, and is back while its old files still go.
                let shard = Rc::clone(self);
                spawn_local(async move {
                    shard.shared.world.clock.sleep(FOLDER_PAUSE).await;
                    shard.open_if_followed(&shard.shared.state(), id);
                });
            }
            Err(missing) => tracing::error!(?id, %missing, "a partition cannot be followed"),
        }
    }

    /// Has the partition copied, or coordinated, as its role asks for.
    pub(super) fn settle_in(self: &Rc<Self>, partition: &PartitionRef) {
        let (id, lane, is_leader, is_offsets) = {
            let partition = partition.borrow();
            let is_offsets = &*partition.name().topic == CONSUMER_OFFSETS;
            (partition.id, partition.lane(), partition.is_leader(), is_offsets)
        };
        self.replication.assign(self, partition, lane);
        if is_offsets {
            self.coordinator.follow_leadership(self, id, is_leader);
        }
    }

    /// The partition's topic is gone, or its replica was moved: so are its log, and its name for a folder.
    /// Whoever waits is told `why`.
    fn delete(self: &Rc<Self>, id: PartitionId, why: &Missing) {
        if let Some(offline) = self.offline.borrow_mut().remove(&id) {
            let shard = Rc::clone(self);
            spawn_local(async move { shard.set_aside(offline.found).await });
        }
        let Some(partition) = self.partitions.borrow_mut().remove(&id) else { return };
        self.replication.assign(self, &partition, None);
        self.coordinator.follow_leadership(self, id, false);
        self.unflushed.borrow_mut().retain(|other| !Rc::ptr_eq(other, &partition));
        let unique = self.shared.world.dice.next_u64("deleted-folder");
        let (job, name) = {
            let mut partition = partition.borrow_mut();
            let name = partition.name().clone();
            let empty = self.empty_log(&partition);
            let log = partition.give_up(empty, why);
            (log.delete(u128::from(unique)), name)
        };
        let shared = Arc::clone(&self.shared);
        if *why == Missing::NotLeader {
            // The topic lives on, and the replica may come back to this broker.
            shared.close_folder(&name);
        }
        spawn_local(async move {
            // They work in the folder: a flush takes one that is gone for a failed disk, and a removal must not meet the
            // files of who takes the name next.
            jobs_ended(&partition).await;
            if settled(&shared, &name).await && remove(&shared, &name, job).await {
                shared.release_folder(&name);
            }
        });
    }
}
