//! Tables, and every partition of up to three replicas against what fencing does to it.

use std::collections::BTreeSet;

use crate::ids::BrokerId;
use crate::metadata::invariants_test::{Cluster, shape};
use crate::metadata::{Partition, Voter};

/// They vote, with the disks that they are registered with.
pub(in crate::metadata) fn voters(cluster: &Cluster, ids: &[i32]) -> Vec<Voter> {
    let voter = |id: &i32| {
        let id = BrokerId(*id);
        let directory = cluster.image.broker(id).map_or(wire::Uuid::ZERO, |it| it.directory);
        Voter { id, directory, is_member: true, is_current: true }
    };
    ids.iter().map(voter).collect()
}

/// What a restart of `asked` would do, in letters: `d`ata loss, `u`navailable, under `m`in ISR, `q`uorum;
/// then, after a plus, what is accepted. `gone` are fenced.
fn check(cluster: &Cluster, asked: &[i32], voting: &[i32]) -> String {
    check_with(cluster, asked, &voters(cluster, voting))
}

fn check_with(cluster: &Cluster, asked: &[i32], voters: &[Voter]) -> String {
    let asked: BTreeSet<BrokerId> = asked.iter().copied().map(BrokerId).collect();
    let controller =
        crate::metadata::Controller { image: &cluster.image, settings: &cluster.settings };
    let check = controller.restart_check(&asked, voters).unwrap();
    let letters = |harm: &super::Harm| {
        let lists = [(&harm.data_loss, 'd'), (&harm.unavailable, 'u'), (&harm.under_min_isr, 'm')];
        let letters = lists.into_iter().filter(|(list, _)| !list.is_empty()).map(|(_, it)| it);
        letters.chain(harm.loses_quorum.then_some('q')).collect::<String>()
    };
    let blocks = letters(&check.harm).chars().any(|letter| letter != 'd');
    assert_eq!(check.is_ok(), !blocks);
    format!("{}+{}", letters(&check.harm), letters(&check.accepted))
}

fn placed(shape: &str, gone: &[i32]) -> Cluster {
    let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
    for id in gone {
        cluster.run(|c| c.fence_broker(BrokerId(*id), i64::from(*id), true)).unwrap();
    }
    cluster.place(shape);
    cluster
}

#[test]
fn a_broker_that_others_can_stand_in_for_may_restart() {
    let cluster = placed("1/1,2,3/1,2,3", &[]);
    for id in 1..=3 {
        assert_eq!(check(&cluster, &[id], &[1, 2, 3]), "+");
    }
    assert_eq!(check(&cluster, &[1, 2], &[1, 2, 3]), "mq+");
    assert_eq!(check(&cluster, &[1, 2, 3], &[1, 2, 3]), "duq+");
}

#[test]
fn a_voter_with_another_disk_or_behind_is_no_reason_to_let_another_go() {
    let cluster = placed("1/1,2,3/1,2,3", &[]);
    let all = voters(&cluster, &[1, 2, 3]);
    let mut replaced = all.clone();
    replaced[0].directory = wire::Uuid([7; 16]);
    let mut behind = all.clone();
    behind[0].is_current = false;
    // Between the two: it was removed, and is not a voter again yet.
    let mut removed = all;
    removed[0] =
        Voter { directory: wire::Uuid::ZERO, is_member: false, is_current: false, ..removed[0] };
    for voters in [replaced, behind, removed] {
        assert_eq!(check_with(&cluster, &[2], &voters), "q+");
        assert_eq!(check_with(&cluster, &[1], &voters), "+");
    }
}

#[test]
fn a_second_broker_may_not_while_the_first_is_away_or_catches_up() {
    let away = placed("1/1,2,3/1,2", &[3]);
    assert_eq!(check(&away, &[1], &[1, 2, 3]), "mq+");
    let behind = placed("1/1,2,3/1,2", &[]);
    assert_eq!(check(&behind, &[1], &[1, 2, 3]), "m+");
    assert_eq!(check(&behind, &[3], &[1, 2, 3]), "+");
    let alone = placed("1/1,2,3/1", &[]);
    assert_eq!(check(&alone, &[1], &[1, 2, 3]), "du+");
    let eligible = placed("1/1,2,3/1/2", &[]);
    assert_eq!(check(&eligible, &[1], &[1, 2, 3]), "+");
}

#[test]
fn a_broker_that_is_away_already_takes_nothing_with_it() {
    let nobody = placed("-/1,2,3/1", &[]);
    assert_eq!(check(&nobody, &[1], &[1, 2, 3]), "d+");
    assert_eq!(check(&nobody, &[2], &[1, 2, 3]), "q+");
}

#[test]
fn what_happens_with_every_restart_is_accepted() {
    assert_eq!(check(&placed("1/1/1", &[]), &[1], &[1]), "+duq");
    assert_eq!(check(&placed("1/1/1", &[]), &[2], &[1, 2, 3]), "+");
    let cluster = placed("1/1,2/1,2", &[]);
    assert_eq!(check(&cluster, &[1], &[1, 2]), "+mq");
    assert_eq!(check(&cluster, &[1, 2], &[1, 2]), "du+q");
    assert_eq!(check(&placed("1/1,2/1", &[]), &[1], &[1, 2, 3]), "du+");
}

#[test]
fn whoever_is_about_to_stop_stands_in_for_nobody() {
    let mut cluster = placed("1/1,2,3/1,2,3", &[]);
    cluster.stop(3);
    assert_eq!(check(&cluster, &[1], &[]), "m+");
    assert_eq!(check(&cluster, &[3], &[]), "+");
}

#[test]
fn there_must_be_such_a_broker() {
    let cluster = Cluster::of(1);
    let controller =
        crate::metadata::Controller { image: &cluster.image, settings: &cluster.settings };
    assert!(controller.restart_check(&BTreeSet::from([BrokerId(7)]), &[]).is_err());
}

/// All subsets of brokers 1 to `brokers`.
fn subsets(brokers: i32) -> impl Iterator<Item = Vec<i32>> {
    (0..1u32 << brokers).map(move |bits| {
        (1..=brokers).filter(|id| bits & (1 << (id - 1)) != 0).collect::<Vec<i32>>()
    })
}

/// Every state of a partition with these replicas that can come about while `gone` are fenced.
fn states(replicas: &[i32], gone: &[i32], min_isr: usize) -> Vec<String> {
    let within = |set: &Vec<i32>| set.iter().all(|id| replicas.contains(id));
    let live = |id: &i32| !gone.contains(id);
    let text = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut states = Vec::new();
    for isr in subsets(3).filter(|set| within(set) && !set.is_empty()) {
        for elr in subsets(3).filter(|set| within(set) && !set.iter().any(|id| isr.contains(id))) {
            let is_small = isr.len() < min_isr.min(replicas.len());
            let can_lead = isr.iter().chain(&elr).any(live);
            let (all_there, none_there) = (isr.iter().all(live), !isr.iter().any(live));
            let shape = |leader: String| {
                format!("{leader}/{}/{}/{}", text(replicas), text(&isr), text(&elr))
            };
            if all_there && (is_small || elr.is_empty()) {
                states.extend(isr.iter().map(|leader| shape(leader.to_string())));
            } else if none_there && !can_lead && isr.len() == 1 {
                states.push(shape("-".to_owned()));
            }
        }
    }
    states
}

#[test]
fn the_check_says_what_fencing_does() {
    let mut checked = 0;
    for replicas in [&[1][..], &[1, 2], &[1, 2, 3]] {
        for (gone, min_isr) in subsets(3).flat_map(|gone| (1..=3).map(move |n| (gone.clone(), n))) {
            for state in states(replicas, &gone, min_isr) {
                for asked in subsets(3).filter(|set| !set.is_empty()) {
                    let mut cluster =
                        placed(&state, &gone).with("min.insync.replicas", &min_isr.to_string());
                    let said = check(&cluster, &asked, &[]).replace('+', "");
                    let before = cluster.image.partition("t", 0).unwrap().clone();
                    for id in &asked {
                        let fenced = |c: crate::metadata::Controller<'_>| {
                            c.fence_broker(BrokerId(*id), i64::from(*id), true)
                        };
                        cluster.run(fenced).unwrap();
                    }
                    let after = cluster.image.partition("t", 0).unwrap();
                    let enough = min_isr.min(replicas.len());
                    let commits = |it: &Partition| it.leader.is_some() && it.isr.len() >= enough;
                    let is_unavailable = before.leader.is_some() && after.leader.is_none();
                    let is_under = commits(&before) && !commits(after) && !is_unavailable;
                    let context = format!("{state} without {gone:?}: {asked:?}: {}", shape(after));
                    assert_eq!(said.contains('u'), is_unavailable, "{context}");
                    assert_eq!(said.contains('m'), is_under, "{context}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}
