//! Asks the owners of many partitions, one message per shard, and puts the answers in order.

use std::rc::Rc;

use super::super::context::Call;
use crate::partition::PartitionId;
use crate::shard::Shard;

/// Runs `work` for each partition on the shard that owns it. The answers come in the order of `asks`;
/// `None` where the shard has ended.
pub(super) async fn ask_owners<T, R>(
    call: &Call,
    asks: Vec<(PartitionId, T)>,
    work: impl Fn(&Rc<Shard>, PartitionId, T) -> R + Clone + Send + 'static,
) -> Vec<Option<R>>
where
    T: Send + 'static,
    R: Send + 'static,
{
    let shards = call.shared().shards();
    let mut by_owner: Vec<Vec<(usize, PartitionId, T)>> = (0..shards).map(|_| Vec::new()).collect();
    let mut answers: Vec<Option<R>> = Vec::with_capacity(asks.len());
    for (slot, (id, ask)) in asks.into_iter().enumerate() {
        by_owner[id.shard(shards)].push((slot, id, ask));
        answers.push(None);
    }
    for mine in by_owner {
        let Some((_, first, _)) = mine.first() else { continue };
        let (first, work) = (*first, work.clone());
        let answer_all = move |shard: &Rc<Shard>| -> Vec<(usize, R)> {
            mine.into_iter().map(|(slot, id, ask)| (slot, work(shard, id, ask))).collect()
        };
        let answered = call.shared().on_owner(call.shard(), first, answer_all).await;
        for (slot, answer) in answered.into_iter().flatten() {
            answers[slot] = Some(answer);
        }
    }
    answers
}
