//! A log that was replaced by a snapshot.

use super::cluster::{NODES, run_with};

#[test]
fn a_voter_that_was_away_gets_a_snapshot() {
    // Beyond what is kept behind a snapshot, and several of them.
    const TOPICS: usize = 450;
    let small = [("metadata.log.max.record.bytes.between.snapshots", "2000")];
    run_with(60, &small, async |cluster| {
        let leader = cluster.settle().await;
        let away = NODES.into_iter().find(|id| *id != leader).expect("there are others");
        cluster.kill(away);
        let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number:03}")).collect();
        for name in &names {
            cluster.create(name).await;
        }
        assert!(cluster.has_file(leader, "quorum.snapshot"));
        assert!(!cluster.has_file(away, "quorum.snapshot"));
        cluster.start(away);
        cluster.settle().await;
        cluster.knows(away, &names).await;
        assert!(
            cluster.has_file(away, "quorum.snapshot"),
            "the entries are gone: it got all at once"
        );
        // What is on disk is enough for the next start.
        NODES.into_iter().for_each(|id| cluster.power_loss(id));
        NODES.into_iter().for_each(|id| cluster.start(id));
        cluster.settle().await;
        for id in NODES {
            cluster.knows(id, &names).await;
        }
    });
}
