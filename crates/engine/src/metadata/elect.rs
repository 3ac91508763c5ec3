//! Who leads a partition when brokers come and go.
//!
//! Each function answers the partition's next state, or `None` if nothing changes. Only a replica in
//! sync may lead, and the last one in sync stays in sync when it goes: it has what was acknowledged.

use crate::ids::{BrokerId, LeaderEpoch};

use super::image::Partition;

/// `gone` may not lead any more.
pub(super) fn after_fence(
    partition: &Partition,
    gone: BrokerId,
    is_live: impl Fn(BrokerId) -> bool,
) -> Option<Partition> {
    let stays = |id: BrokerId| id != gone && partition.isr.contains(&id);
    let isr: Vec<BrokerId> = partition.isr.iter().copied().filter(|id| *id != gone).collect();
    let isr = if isr.is_empty() { partition.isr.clone() } else { isr };
    let leader = if partition.leader == Some(gone) {
        partition.replicas.iter().copied().find(|id| stays(*id) && is_live(*id))
    } else {
        partition.leader
    };
    changed(partition, leader, isr, leader != partition.leader)
}

/// `back` may lead again.
pub(super) fn after_return(partition: &Partition, back: BrokerId) -> Option<Partition> {
    let leads = partition.leader.is_none() && partition.isr.contains(&back);
    let leader = if leads { Some(back) } else { partition.leader };
    changed(partition, leader, partition.isr.clone(), leads)
}

/// `restarted` leads on as another process, whose log may be shorter than that of the last: clients tell
/// by the epoch.
pub(super) fn after_restart(partition: &Partition, restarted: BrokerId) -> Option<Partition> {
    match partition.leader {
        Some(leader) if leader == restarted => {
            changed(partition, partition.leader, partition.isr.clone(), true)
        }
        Some(_) => None,
        None => after_return(partition, restarted),
    }
}

fn changed(
    partition: &Partition,
    leader: Option<BrokerId>,
    isr: Vec<BrokerId>,
    is_new_epoch: bool,
) -> Option<Partition> {
    if !is_new_epoch && isr == partition.isr {
        return None;
    }
    assert!(leader.is_none_or(|leader| isr.contains(&leader)), "a leader is in sync");
    let leader_epoch = LeaderEpoch(partition.leader_epoch.0 + i32::from(is_new_epoch));
    let partition_epoch = partition.partition_epoch + 1;
    let replicas = partition.replicas.clone();
    Some(Partition { leader, leader_epoch, partition_epoch, replicas, isr })
}

#[cfg(test)]
mod tests {
    use super::{after_fence, after_restart, after_return};
    use crate::ids::{BrokerId, LeaderEpoch};
    use crate::metadata::Partition;

    fn partition(leader: i32, replicas: &[i32], isr: &[i32]) -> Partition {
        let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
        Partition {
            leader: (leader >= 0).then_some(BrokerId(leader)),
            leader_epoch: LeaderEpoch(5),
            partition_epoch: 7,
            replicas: ids(replicas),
            isr: ids(isr),
        }
    }

    fn check(found: Option<Partition>, expected: Option<(i32, &[i32], i32)>) {
        let text = found.map(|p| {
            assert_eq!(p.partition_epoch, 8);
            let isr: Vec<i32> = p.isr.iter().map(|id| id.0).collect();
            (p.leader.map_or(-1, |id| id.0), isr, p.leader_epoch.0)
        });
        assert_eq!(text, expected.map(|(leader, isr, epoch)| (leader, isr.to_vec(), epoch)));
    }

    #[test]
    fn a_fenced_leader_is_followed_by_the_next_live_replica_in_sync() {
        let all = |_: BrokerId| true;
        let three = partition(1, &[1, 2, 3], &[1, 2, 3]);
        check(after_fence(&three, BrokerId(1), all), Some((2, &[2, 3], 6)));
        check(after_fence(&three, BrokerId(1), |id| id.0 == 3), Some((3, &[2, 3], 6)));
        check(after_fence(&three, BrokerId(2), all), Some((1, &[1, 3], 5)));
        check(after_fence(&three, BrokerId(9), all), None);
        let two = partition(1, &[1, 2, 3], &[1, 3]);
        check(after_fence(&two, BrokerId(1), all), Some((3, &[3], 6)));
    }

    #[test]
    fn the_last_replica_in_sync_stays_in_sync() {
        let one = partition(1, &[1, 2], &[1]);
        check(after_fence(&one, BrokerId(1), |_| true), Some((-1, &[1], 6)));
        let nobody = partition(-1, &[1, 2], &[1]);
        check(after_fence(&nobody, BrokerId(1), |_| true), None);
        check(after_return(&nobody, BrokerId(2)), None);
        check(after_return(&nobody, BrokerId(1)), Some((1, &[1], 6)));
    }

    #[test]
    fn a_restarted_leader_begins_an_epoch() {
        check(after_restart(&partition(1, &[1], &[1]), BrokerId(1)), Some((1, &[1], 6)));
        check(after_restart(&partition(-1, &[1], &[1]), BrokerId(1)), Some((1, &[1], 6)));
        check(after_restart(&partition(2, &[2, 1], &[2, 1]), BrokerId(1)), None);
    }
}
