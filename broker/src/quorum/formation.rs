//! How a quorum comes about, once: all initial voters answer, all are empty, and all have been told the
//! same list; then the lowest of them begins. In every other case somebody may have data, and nothing
//! begins from nothing.
//!
//! | this node | the others | what happens |
//! | --- | --- | --- |
//! | empty | all empty, same list | the voter with the lowest id begins, the others hear of it |
//! | empty | one with data names this disk a voter | it goes on as that voter |
//! | empty | one with data names another disk, or none | it follows, and asks to be given a vote (`voters`) |
//! | empty | one that does not answer | it waits |
//! | with data | a majority of them lost theirs | it waits: what was decided may be gone |

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use wire::Uuid;

use super::Core;
use super::codec::{Code, Malformed};
use super::proposal::Voter;
use super::transport::{AskError, Kind, Peer};

/// Between two rounds of asking.
const ROUND: Duration = Duration::from_millis(250);
/// What a peer may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// After which time somebody is told why nothing happens.
const PATIENCE: Duration = Duration::from_secs(5);
/// And how often.
const TELL: Duration = Duration::from_secs(60);

/// Who a voter is, for those who want to form a quorum with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) directory: Uuid,
    /// The initial voters that it was told, as text.
    pub(super) voters: String,
    /// Whether it has never voted, nor stored anything.
    pub(super) is_empty: bool,
    /// The disks of the voters that it knows of, if it is not empty.
    pub(super) members: Vec<(u64, Uuid)>,
}

impl Code for Hello {
    fn write(&self, out: &mut Vec<u8>) {
        self.directory.write(out);
        self.voters.write(out);
        self.is_empty.write(out);
        self.members.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self {
            directory: Code::read(from)?,
            voters: Code::read(from)?,
            is_empty: Code::read(from)?,
            members: Code::read(from)?,
        })
    }
}

/// What a node makes of the others' answers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Begin with these disks.
    Begin(BTreeMap<u64, Uuid>),
    /// This node is a voter: openraft does the rest.
    GoOn,
    /// Ask again; the reason is told if it lasts.
    Wait(String),
}

/// Looks at what every initial voter says; `None` is one that does not answer.
fn judge(me: u64, mine: &Hello, others: &BTreeMap<u64, Option<Hello>>) -> Verdict {
    let answers = || others.iter().filter_map(|(id, hello)| Some((id, hello.as_ref()?)));
    let voters = others.len() + 1;
    if !mine.is_empty {
        let names = |id: &u64| mine.members.iter().find(|(member, _)| member == id);
        let lost = answers()
            .filter(|(id, hello)| names(id).is_some_and(|(_, disk)| *disk != hello.directory));
        let lost: Vec<String> = lost.map(|(id, _)| id.to_string()).collect();
        return if lost.len() > voters / 2 {
            Verdict::Wait(format!(
                "the disks of a majority of voters are not those that were used before (nodes {}): \
                 what was decided may be lost, so nothing is served; hint: bring their disks back",
                lost.join(", ")
            ))
        } else {
            Verdict::GoOn
        };
    }
    if let Some((id, with_data)) = answers().find(|(_, hello)| !hello.is_empty) {
        return match with_data.members.iter().find(|(member, _)| *member == me) {
            Some((_, disk)) if *disk == mine.directory => Verdict::GoOn,
            Some(_) => Verdict::Wait(format!(
                "node {id} knows node {me} with another disk, and this one is empty: it has no vote \
                 before the others have given it one"
            )),
            None => Verdict::Wait(format!(
                "node {id} has data and does not know node {me}: it has no vote before the others have \
                 given it one"
            )),
        };
    }
    if let Some((id, other)) = answers().find(|(_, hello)| hello.voters != mine.voters) {
        return Verdict::Wait(format!(
            "controller.quorum.voters differs: here {}, on node {id} {}",
            mine.voters, other.voters
        ));
    }
    let silent: Vec<String> =
        others.iter().filter(|(_, hello)| hello.is_none()).map(|(id, _)| id.to_string()).collect();
    if !silent.is_empty() {
        return Verdict::Wait(format!(
            "a new cluster needs an answer of every voter, and none comes from {}",
            silent.join(", ")
        ));
    }
    if others.keys().any(|id| *id < me) {
        return Verdict::Wait("the voter with the lowest id has yet to begin".to_owned());
    }
    let mut disks: BTreeMap<u64, Uuid> =
        answers().map(|(id, hello)| (*id, hello.directory)).collect();
    disks.insert(me, mine.directory);
    Verdict::Begin(disks)
}

/// Forms the quorum, or finds that it is formed. Ends once somebody leads.
pub(super) async fn form(core: Core) {
    let me = core.identity.id();
    let clock = &core.world.clock;
    let others = core.voters.keys().filter(|id| **id != me);
    let peers: BTreeMap<u64, Peer> =
        others.map(|id| (*id, core.way.to(*id, Uuid::ZERO, ""))).collect();
    let began = clock.tick();
    let mut told: Option<(Duration, String)> = None;
    while core.raft.metrics().borrow_watched().current_leader.is_none() {
        let others = join_all(peers.iter().map(|(id, peer)| async move {
            let answer: Result<Hello, AskError> = peer.ask(Kind::Hello, &(), ANSWER_TIME_MAX).await;
            let answer = answer.inspect_err(|error| {
                tracing::debug!(node = id, %error, "a voter does not answer");
            });
            (*id, answer.ok())
        }));
        let others = others.await.into_iter().collect();
        match judge(me, &hello(&core), &others) {
            // Nobody else will ask for its vote.
            Verdict::GoOn if peers.is_empty() => drop(core.raft.trigger().elect(true).await),
            Verdict::GoOn => {}
            Verdict::Begin(disks) => begin(&core, disks).await,
            Verdict::Wait(why) => {
                let now = clock.tick();
                // Others may be starting as well: that is no news.
                let is_news = now >= began + PATIENCE
                    && told.as_ref().is_none_or(|(at, what)| *what != why || now >= *at + TELL);
                if is_news {
                    tracing::warn!("not voting yet: {why}");
                    told = Some((now, why));
                }
            }
        }
        clock.sleep(ROUND).await;
    }
}

async fn begin(core: &Core, disks: BTreeMap<u64, Uuid>) {
    let voter = |(id, directory)| {
        let address = core.voters.get(&id).map(|(host, port)| format!("{host}:{port}"));
        (id, Voter { address: address.unwrap_or_default(), directory })
    };
    let voters: BTreeMap<u64, Voter> = disks.into_iter().map(voter).collect();
    match core.raft.initialize(voters).await {
        Ok(()) => tracing::info!(voters = core.voters_text(), "the quorum is formed"),
        Err(error) => tracing::error!(%error, "the quorum cannot be formed"),
    }
}

/// What this node says of itself.
pub(super) fn hello(core: &Core) -> Hello {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    let members = metrics.membership_config.nodes();
    Hello {
        directory: core.identity.directory,
        voters: core.voters_text(),
        is_empty: core.log.is_empty(),
        members: members.map(|(id, voter)| (*id, voter.directory)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wire::Uuid;

    use super::{Hello, Verdict, judge};

    fn disk(id: u8) -> Uuid {
        Uuid([id; 16])
    }

    fn empty(id: u8) -> Hello {
        let voters = "1,2,3".to_owned();
        Hello { directory: disk(id), voters, is_empty: true, members: Vec::new() }
    }

    fn with_data(id: u8) -> Hello {
        let members = vec![(1, disk(1)), (2, disk(2)), (3, disk(3))];
        Hello { is_empty: false, members, ..empty(id) }
    }

    /// What node `me` says that is `mine`, to nodes 1 to 3 of which the others are `others`.
    fn judged(me: u64, mine: &Hello, others: [Option<Hello>; 2]) -> Verdict {
        let ids = (1..=3).filter(|id| *id != me);
        judge(me, mine, &ids.zip(others).collect::<BTreeMap<_, _>>())
    }

    fn waits(verdict: &Verdict, for_what: &str) {
        assert!(matches!(verdict, Verdict::Wait(why) if why.contains(for_what)), "{verdict:?}");
    }

    #[test]
    fn only_the_lowest_of_all_empty_voters_begins() {
        let disks = BTreeMap::from([(1, disk(1)), (2, disk(2)), (3, disk(3))]);
        let verdict = judged(1, &empty(1), [Some(empty(2)), Some(empty(3))]);
        assert_eq!(verdict, Verdict::Begin(disks));
        waits(&judged(2, &empty(2), [Some(empty(1)), Some(empty(3))]), "lowest");
    }

    #[test]
    fn nothing_begins_before_all_have_answered_and_agree() {
        waits(&judged(1, &empty(1), [Some(empty(2)), None]), "none comes from 3");
        let other = Hello { voters: "1,2".to_owned(), ..empty(3) };
        waits(&judged(1, &empty(1), [Some(empty(2)), Some(other)]), "differs");
    }

    #[test]
    fn an_empty_node_goes_on_only_as_the_disk_that_the_others_know() {
        assert_eq!(judged(1, &empty(1), [Some(with_data(2)), None]), Verdict::GoOn);
        let replaced = empty(9);
        waits(&judged(1, &replaced, [Some(with_data(2)), None]), "another disk");
        let without = Hello { members: vec![(2, disk(2))], ..with_data(2) };
        waits(&judged(1, &empty(1), [Some(without), None]), "does not know node 1");
        // Two of three are empty: no new cluster while the third has data.
        waits(&judged(1, &replaced, [Some(empty(8)), Some(with_data(3))]), "another disk");
    }

    #[test]
    fn a_node_with_data_goes_on_unless_a_majority_lost_theirs() {
        assert_eq!(judged(1, &with_data(1), [None, None]), Verdict::GoOn);
        assert_eq!(judged(1, &with_data(1), [Some(empty(9)), None]), Verdict::GoOn);
        assert_eq!(judged(1, &with_data(1), [Some(empty(2)), Some(empty(3))]), Verdict::GoOn);
        let verdict = judged(1, &with_data(1), [Some(empty(8)), Some(empty(9))]);
        waits(&verdict, "nodes 2, 3");
    }
}
