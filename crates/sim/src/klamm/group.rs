//! Groups: members that come, read, commit and go, and an observer who asks for positions.

use std::rc::Rc;
use std::time::Duration;

use client::admin::OffsetAt;
use client::{Admin, Error, GroupConsumer, GroupOptions};
use wire::ErrorCode;
use world::World;
use world::tasks::spawn_local;

use super::{
    GROUPS, ORDERS, PAUSE, Stage, draw, draw_millis, partition, partitions, read, topic_partition,
};
use crate::history::{CommitId, Event};

/// The longest life of a member, milliseconds.
const LIFE_MS: u64 = 30_000;
/// Kafka's smallest by default (`group.min.session.timeout.ms`).
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// One member of each group after the other.
pub(super) async fn work(world: World, stage: Rc<Stage>) {
    for group in GROUPS {
        let (world, stage) = (world.clone(), Rc::clone(&stage));
        spawn_local(async move {
            loop {
                live(&world, &stage, group).await;
                world.clock.sleep(draw_millis(&world, "absence", 3000)).await;
            }
        });
    }
}

/// The life of a member.
async fn live(world: &World, stage: &Stage, group: &str) {
    let cluster = stage.cluster(world, Duration::ZERO);
    let options = GroupOptions {
        session_timeout: SESSION_TIMEOUT,
        rebalance_timeout: SESSION_TIMEOUT,
        heartbeat_interval: Duration::from_secs(1),
        // Commits are asked for below, each once, so that the history tells what became of them.
        commit_interval: None,
        start: OffsetAt::Earliest,
        ..GroupOptions::new(group, vec![ORDERS.to_owned()])
    };
    let mut member = GroupConsumer::new(cluster.clone(), options, read::options());
    let until = world.clock.tick() + draw_millis(world, "life", LIFE_MS);
    let mut known = None;
    while world.clock.tick() < until {
        let polled = member.poll().await;
        if let Err(error) = &polled {
            stage.damaged(error);
            cluster.forget();
            world.clock.sleep(PAUSE).await;
        }
        let (generation, id) = member.membership();
        if known.as_ref() != Some(&(generation, id.clone())) && !member.positions().is_empty() {
            known = Some((generation, id.clone()));
            let partitions =
                member.positions().into_keys().map(|p| partition(&p.topic, p.partition)).collect();
            let (group, member) = (group.to_owned(), id);
            stage.record(Event::Assigned { group, generation, member, partitions });
        }
        stage.read(&polled.unwrap_or_default());
        if draw(world, "commit", 3) == 0 {
            commit(stage, &mut member, group).await;
        }
    }
    // Some say goodbye, others are just gone.
    if draw(world, "goodbye", 2) == 0 {
        // What it does not commit, its successor reads again.
        let _ = member.leave().await;
    }
}

async fn commit(stage: &Stage, member: &mut GroupConsumer, group: &str) {
    let mut asked: Vec<CommitId> = Vec::new();
    for (position, offset) in member.uncommitted() {
        let commit = stage.next_commit();
        let (group, partition) = (group.to_owned(), partition(&position.topic, position.partition));
        stage.record(Event::CommitAsked { commit, group, partition, offset });
        asked.push(commit);
    }
    let outcome = member.commit().await;
    for commit in asked {
        match &outcome {
            Ok(()) => stage.record(Event::CommitAcked { commit }),
            Err(error) if is_refusal(error) => stage.record(Event::CommitRefused { commit }),
            // It may have been kept, or may be kept yet.
            Err(_) => {}
        }
    }
}

/// Whether an error says that nothing was kept.
fn is_refusal(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        matches!(
            code,
            ErrorCode::IllegalGeneration
                | ErrorCode::UnknownMemberId
                | ErrorCode::RebalanceInProgress
                | ErrorCode::CoordinatorLoadInProgress
        )
    })
}

/// Asks for the positions of all groups, again and again.
pub(super) async fn observe(world: World, stage: Rc<Stage>) {
    let admin = Admin::new(stage.cluster(&world, Duration::ZERO));
    loop {
        world.clock.sleep(draw_millis(&world, "glance", 2000)).await;
        for group in GROUPS {
            if positions(&admin, &stage, group).await.is_err() {
                admin.cluster().forget();
            }
        }
    }
}

/// Asks for the positions of a group once, and records them.
pub(super) async fn positions(admin: &Admin, stage: &Stage, group: &str) -> Result<(), Error> {
    let asked = stage.history.borrow().now();
    let found = admin.fetch_offsets(group).await?;
    for partition in partitions(ORDERS) {
        let offset = found.get(&topic_partition(&partition)).map(|committed| committed.offset);
        let group = group.to_owned();
        stage.record(Event::PositionRead { group, partition, asked, offset });
    }
    Ok(())
}
