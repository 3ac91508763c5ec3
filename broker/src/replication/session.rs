//! A fetch session as its client keeps it (KIP-227): the leader is told once what is wanted, then only
//! what has changed.

use std::collections::BTreeMap;

use engine::session::Wanted;
use wire::fetch::request::{FetchPartition, FetchTopic, ForgottenTopic};
use wire::{FetchResponse, Uuid};

use crate::partition::PartitionId;

/// No wish names this offset.
const NEVER: i64 = -1;

/// What the leader knows of our wishes.
#[derive(Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    told: BTreeMap<PartitionId, Wanted>,
}

/// The session's part of a request.
pub(super) struct Told {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) topics: Vec<FetchTopic>,
    pub(super) forgotten: Vec<ForgottenTopic>,
}

impl Session {
    /// Whether the leader knows nothing: everything is to be told.
    pub(super) fn is_new(&self) -> bool {
        self.epoch == 0
    }

    /// Whether anything would be wanted if `wishes` were told.
    pub(super) fn would_want(&self, wishes: &BTreeMap<PartitionId, Option<Wanted>>) -> bool {
        wishes.values().any(Option::is_some) || self.told.keys().any(|id| !wishes.contains_key(id))
    }

    /// What to tell, so that the leader knows these wishes; `None` is one that is not wanted any more.
    pub(super) fn tell(&mut self, wishes: BTreeMap<PartitionId, Option<Wanted>>) -> Told {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut forgotten: Vec<ForgottenTopic> = Vec::new();
        for (id, wish) in wishes {
            let Some(want) = wish else {
                if self.told.remove(&id).is_some() {
                    match forgotten.last_mut() {
                        Some(topic) if topic.topic_id == id.topic => {
                            topic.partitions.push(id.index);
                        }
                        _ => forgotten.push(ForgottenTopic {
                            topic_id: id.topic,
                            partitions: vec![id.index],
                            ..Default::default()
                        }),
                    }
                }
                continue;
            };
            if self.told.insert(id, want) == Some(want) {
                continue;
            }
            let partition = FetchPartition {
                partition: id.index,
                current_leader_epoch: want.current_leader_epoch,
                fetch_offset: want.fetch_offset,
                last_fetched_epoch: want.last_fetched_epoch,
                log_start_offset: want.log_start_offset,
                partition_max_bytes: want.max_bytes,
                ..Default::default()
            };
            match topics.last_mut() {
                Some(topic) if topic.topic_id == id.topic => topic.partitions.push(partition),
                _ => topics.push(FetchTopic {
                    topic_id: id.topic,
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        Told { session_id: self.id, session_epoch: self.epoch, topics, forgotten }
    }

    /// What the leader answers of a partition.
    pub(super) fn asked(&self, id: PartitionId) -> Option<&Wanted> {
        self.told.get(&id)
    }

    /// Takes note of an answer; an error in it ends the session, and the next request opens another.
    pub(super) fn answered(&mut self, answer: &FetchResponse) {
        if answer.error_code != 0 || answer.session_id == 0 {
            *self = Self::default();
            return;
        }
        self.id = answer.session_id;
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        // What failed is told again if it is wanted again, and else forgotten.
        for topic in &answer.responses {
            for partition in topic.partitions.iter().filter(|one| one.error_code != 0) {
                let id = id(topic.topic_id, partition.partition_index);
                if let Some(told) = self.told.get_mut(&id) {
                    told.fetch_offset = NEVER;
                }
            }
        }
    }
}

pub(super) fn id(topic: Uuid, index: i32) -> PartitionId {
    PartitionId { topic, index }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine::session::Wanted;
    use wire::fetch::response::{FetchableTopicResponse, PartitionData};
    use wire::{FetchResponse, Uuid};

    use super::{Session, Told, id};
    use crate::partition::PartitionId;

    fn wishes(partitions: &[(i32, Option<i64>)]) -> BTreeMap<PartitionId, Option<Wanted>> {
        let want = |fetch_offset| Wanted {
            fetch_offset,
            max_bytes: 10,
            current_leader_epoch: 1,
            last_fetched_epoch: 1,
            log_start_offset: 0,
        };
        partitions.iter().map(|(index, at)| (id(Uuid([7; 16]), *index), at.map(want))).collect()
    }

    fn named(told: &Told) -> (i32, i32, Vec<i32>, Vec<i32>) {
        let asked = told.topics.iter().flat_map(|topic| &topic.partitions);
        let forgotten = told.forgotten.iter().flat_map(|topic| topic.partitions.clone());
        let asked = asked.map(|partition| partition.partition).collect();
        (told.session_id, told.session_epoch, asked, forgotten.collect())
    }

    fn answer(session_id: i32, failed: &[i32]) -> FetchResponse {
        let partitions = failed.iter().map(|index| PartitionData {
            partition_index: *index,
            error_code: 6,
            ..Default::default()
        });
        FetchResponse {
            session_id,
            responses: vec![FetchableTopicResponse {
                topic_id: Uuid([7; 16]),
                partitions: partitions.collect(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut session = Session::default();
        assert!(session.is_new());
        let first = session.tell(wishes(&[(0, Some(5)), (1, Some(5)), (2, None)]));
        assert_eq!(named(&first), (0, 0, vec![0, 1], vec![]));
        session.answered(&answer(33, &[]));
        assert!(!session.is_new());
        assert_eq!(named(&session.tell(wishes(&[(1, Some(6))]))), (33, 1, vec![1], vec![]));
        session.answered(&answer(33, &[]));
        let other = session.tell(wishes(&[(0, None), (1, Some(6)), (2, Some(0))]));
        assert_eq!(named(&other), (33, 2, vec![2], vec![0]));
        session.answered(&answer(33, &[1]));
        let again = named(&session.tell(wishes(&[(1, Some(6))])));
        assert_eq!(again, (33, 3, vec![1], vec![]), "a partition that failed is told again");
        session.answered(&answer(33, &[1]));
        assert_eq!(named(&session.tell(wishes(&[(1, None)]))), (33, 4, vec![], vec![1]));
    }

    #[test]
    fn a_session_that_wants_nothing_is_not_asked_for() {
        let mut session = Session::default();
        assert!(!session.would_want(&wishes(&[(0, None)])));
        assert!(session.would_want(&wishes(&[(0, None), (1, Some(5))])));
        let _all = session.tell(wishes(&[(0, Some(5)), (1, Some(5))]));
        assert!(session.would_want(&wishes(&[(0, None)])));
        assert!(!session.would_want(&wishes(&[(0, None), (1, None)])));
    }

    #[test]
    fn a_leader_that_lost_the_session_is_told_everything() {
        let mut session = Session::default();
        let _all = session.tell(wishes(&[(0, Some(5))]));
        session.answered(&answer(33, &[]));
        let _nothing = session.tell(wishes(&[]));
        session.answered(&FetchResponse { error_code: 70, ..Default::default() });
        assert!(session.is_new());
        assert_eq!(named(&session.tell(wishes(&[(0, Some(5))]))), (0, 0, vec![0], vec![]));
    }
}
