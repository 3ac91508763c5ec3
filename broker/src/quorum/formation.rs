//! How a quorum comes about, once: all initial voters answer, all are empty, and all have been told the
//! same list; then the lowest of them begins. In every other case somebody may have data, and nothing
//! begins from nothing.
//!
//! | this node | the others | what happens |
//! | --- | --- | --- |
//! | empty | all empty, same list | the voter with the lowest id begins, the others hear of it |
//! | empty, told that there was a cluster (`klamm.formation=join`) | all empty | nothing: all disks were replaced |
//! | empty | one with data names this disk a voter | it goes on as that voter |
//! | empty | one with data names another disk, or none | it follows, and asks to be given a vote (`voters`) |
//! | empty | one that does not answer | it waits |
//! | any | a majority of those that one with data knows lost their disks | nothing: what was decided may be gone, and a person decides (`recover`) |
//! | with data | one has data of a newer history | it starts over, and follows that one |

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use wire::Uuid;

use super::Core;
use super::codec::{Code, Malformed};
use super::history::{History, Relation, is_only_voter};
use super::leadership::is_led;
use super::proposal::Voter;
use super::transport::{AskError, Kind, Peer};

/// Between two rounds of asking.
const ROUND: Duration = Duration::from_millis(250);
/// What a peer may take to answer.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
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
    /// Which history its data belong to.
    pub(super) history: History,
}

impl Code for Hello {
    fn write(&self, out: &mut Vec<u8>) {
        self.directory.write(out);
        self.voters.write(out);
        self.is_empty.write(out);
        self.members.write(out);
        self.history.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self {
            directory: Code::read(from)?,
            voters: Code::read(from)?,
            is_empty: Code::read(from)?,
            members: Code::read(from)?,
            history: Code::read(from)?,
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
    /// A majority of the disks that node `with_data` knows is gone: those of the nodes `lost`.
    Lost { with_data: u64, lost: Vec<u64> },
    /// All disks are empty, and there was a cluster with this id.
    Gone,
    /// This node's history is over: node `successor` has data of a newer one.
    StartOver { successor: u64 },
}

/// Looks at what every initial voter says; `None` is one that does not answer. `may_begin`: there has never been a
/// cluster with this id.
fn judge(me: u64, mine: &Hello, others: &BTreeMap<u64, Option<Hello>>, may_begin: bool) -> Verdict {
    let answers = || others.iter().filter_map(|(id, hello)| Some((*id, hello.as_ref()?)));
    let elsewhere = answers().filter(|(_, hello)| !hello.is_empty);
    let newest = elsewhere.max_by_key(|(id, it)| (it.history.recoveries, Reverse(*id)));
    if let Some((successor, newest)) = newest.filter(|_| !mine.is_empty) {
        match mine.history.relation_of(newest.history) {
            Relation::Newer => return Verdict::StartOver { successor },
            Relation::Rival => {
                return Verdict::Wait(format!(
                    "the quorum was recovered here and on node {successor}, which do not know of each \
                     other; hint: empty the data directory of the one that is to follow"
                ));
            }
            Relation::Same | Relation::Older => {}
        }
    }
    // Whose word counts: that of this node, else of who has the newest data.
    let base = if mine.is_empty { newest } else { Some((me, mine)) };
    if let Some((with_data, base)) = base {
        let disk_of = |id: u64| match others.get(&id) {
            Some(other) => other.as_ref().map(|hello| hello.directory),
            None => (id == me).then_some(mine.directory),
        };
        let is_lost = |(id, disk): &&(u64, Uuid)| disk_of(*id).is_some_and(|now| now != *disk);
        let lost: Vec<u64> = base.members.iter().filter(is_lost).map(|(id, _)| *id).collect();
        if lost.len() * 2 > base.members.len() {
            return Verdict::Lost { with_data, lost };
        }
        if !mine.is_empty {
            return Verdict::GoOn;
        }
        return match base.members.iter().find(|(member, _)| *member == me) {
            Some((_, disk)) if *disk == mine.directory => Verdict::GoOn,
            Some(_) => Verdict::Wait(format!(
                "node {with_data} knows node {me} with another disk, and this one is empty: it has no \
                 vote before the others have given it one"
            )),
            None => Verdict::Wait(format!(
                "node {with_data} has data and does not know node {me}: it has no vote before the \
                 others have given it one"
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
    if !may_begin {
        return Verdict::Gone;
    }
    if others.keys().any(|id| *id < me) {
        return Verdict::Wait("the voter with the lowest id has yet to begin".to_owned());
    }
    let mut disks: BTreeMap<u64, Uuid> =
        answers().map(|(id, hello)| (id, hello.directory)).collect();
    disks.insert(me, mine.directory);
    Verdict::Begin(disks)
}

/// Why nothing is served when all disks are empty that should not be.
const GONE: &str = "the disks of all voters are empty, and klamm.formation=join says that this cluster was formed \
                    before: what was decided is gone, so nothing is served; hint: bring the disks back; if they \
                    are gone for good, this cluster is, and a new one begins with klamm.formation=initial and \
                    another klamm.cluster.id";

/// Why nothing is served, and what a person can do about it. `dir`: the data directory, if it is here.
fn lost_text(with_data: u64, lost: &[u64], dir: Option<&Path>) -> String {
    let lost = lost.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let dir = dir.map_or("LOG_DIRS".to_owned(), |dir| dir.display().to_string());
    format!(
        "the disks of a majority of voters are not those that were used before (nodes {lost}): what was \
         decided may be lost, so nothing is served; hint: bring these disks back; if they are gone for \
         good, stop node {with_data}, run `klamm cluster recover --data-dir {dir}` there, and start it again"
    )
}

/// What was told to people, while nobody leads.
#[derive(Default)]
struct Told {
    since: Option<Duration>,
    last: Option<(Duration, String)>,
}

impl Told {
    /// Tells why nobody leads, if it lasts: others may be starting as well, which is no news.
    fn tell(&mut self, now: Duration, why: &str) {
        let since = *self.since.get_or_insert(now);
        let is_news =
            self.last.as_ref().is_none_or(|(at, what)| *what != *why || now >= *at + TELL);
        if now >= since + PATIENCE && is_news {
            tracing::warn!("not voting yet: {why}");
            self.last = Some((now, why.to_owned()));
        }
    }
}

/// Forms the quorum, or finds that it is formed; and looks again whenever nobody leads.
pub(super) async fn form(core: Core) {
    let clock = &core.world.clock;
    let others = core.voters.keys().filter(|id| **id != core.identity.id());
    let peers: BTreeMap<u64, Peer> =
        others.map(|id| (*id, core.way.to(*id, Uuid::ZERO, ""))).collect();
    let mut told = Told::default();
    let mut is_hindered = false;
    loop {
        if is_led(&core) {
            told = Told::default();
            if std::mem::take(&mut is_hindered) {
                core.hindrance.clear();
            }
        } else {
            let why = look(&core, &peers).await;
            if let Some(Unformed { why, is_lost }) = why {
                told.tell(clock.tick(), &why);
                if is_lost {
                    is_hindered = true;
                    core.hindrance.tell(why);
                }
            }
        }
        clock.sleep(ROUND).await;
    }
}

/// Why nobody leads yet.
struct Unformed {
    why: String,
    is_lost: bool,
}

/// Asks the other voters, and does what follows.
async fn look(core: &Core, peers: &BTreeMap<u64, Peer>) -> Option<Unformed> {
    let me = core.identity.id();
    let others = join_all(peers.iter().map(|(id, peer)| async move {
        let answer: Result<Hello, AskError> = peer.ask(Kind::Hello, &(), ANSWER_TIME_MAX).await;
        let answer = answer.inspect_err(|error| {
            tracing::debug!(node = id, %error, "a voter does not answer");
        });
        (*id, answer.ok())
    }));
    let others = others.await.into_iter().collect();
    let may_begin = core.publisher.newest().settings.broker.formation == "initial";
    match judge(me, &hello(core), &others, may_begin) {
        Verdict::GoOn => {
            if is_only_voter(core) {
                // Nobody else will ask for its vote.
                drop(core.raft.trigger().elect(true).await);
            }
        }
        Verdict::Begin(disks) => begin(core, disks).await,
        Verdict::StartOver { successor } => core.histories.is_over_by(successor),
        Verdict::Wait(why) => return Some(Unformed { why, is_lost: false }),
        Verdict::Gone => return Some(Unformed { why: GONE.to_owned(), is_lost: true }),
        Verdict::Lost { with_data, lost } => {
            let dir = core.histories.data_dir().filter(|_| with_data == me);
            let why = lost_text(with_data, &lost, dir);
            return Some(Unformed { why, is_lost: true });
        }
    }
    None
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
        history: core.histories.own(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wire::Uuid;

    use std::path::Path;

    use super::{Hello, History, Verdict, judge, lost_text};

    fn disk(id: u8) -> Uuid {
        Uuid([id; 16])
    }

    fn empty(id: u8) -> Hello {
        let voters = "1,2,3".to_owned();
        let (members, history) = (Vec::new(), History::default());
        Hello { directory: disk(id), voters, is_empty: true, members, history }
    }

    fn with_data(id: u8) -> Hello {
        let members = vec![(1, disk(1)), (2, disk(2)), (3, disk(3))];
        Hello { is_empty: false, members, ..empty(id) }
    }

    /// What node `me` says that is `mine`, to nodes 1 to 3 of which the others are `others`.
    fn judged(me: u64, mine: &Hello, others: [Option<Hello>; 2]) -> Verdict {
        let ids = (1..=3).filter(|id| *id != me);
        judge(me, mine, &ids.zip(others).collect::<BTreeMap<_, _>>(), true)
    }

    #[test]
    fn who_is_to_join_never_begins() {
        let told = |others: BTreeMap<u64, Option<Hello>>| judge(1, &empty(1), &others, false);
        let both = |second| BTreeMap::from([(2, second), (3, Some(empty(3)))]);
        assert_eq!(told(both(Some(empty(2)))), Verdict::Gone);
        waits(&told(both(None)), "none comes from 2");
        assert_eq!(told(both(Some(with_data(2)))), Verdict::GoOn);
        assert_eq!(told(BTreeMap::new()), Verdict::Gone);
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
    }

    #[test]
    fn a_node_with_data_goes_on_unless_a_majority_lost_theirs() {
        assert_eq!(judged(1, &with_data(1), [None, None]), Verdict::GoOn);
        assert_eq!(judged(1, &with_data(1), [Some(empty(9)), None]), Verdict::GoOn);
        assert_eq!(judged(1, &with_data(1), [Some(empty(2)), Some(empty(3))]), Verdict::GoOn);
    }

    #[test]
    fn a_lost_majority_is_a_persons_business_and_everybody_says_so() {
        let lost = |with_data, lost: [u64; 2]| Verdict::Lost { with_data, lost: lost.into() };
        assert_eq!(judged(1, &with_data(1), [Some(empty(8)), Some(empty(9))]), lost(1, [2, 3]));
        assert_eq!(judged(1, &empty(9), [Some(empty(8)), Some(with_data(3))]), lost(3, [1, 2]));
        // One who does not answer may still have its disk.
        assert_eq!(judged(1, &with_data(1), [Some(empty(8)), None]), Verdict::GoOn);
        let text = lost_text(1, &[2, 3], Some(Path::new("/data")));
        assert!(text.contains("`klamm cluster recover --data-dir /data`"), "{text}");
        assert!(text.contains("(nodes 2, 3)") && text.contains("stop node 1"), "{text}");
    }

    /// Recovered on node 3, which alone votes.
    fn recovered(id: u8) -> Hello {
        let history = History { recoveries: 1, id: disk(id) };
        Hello { members: vec![(3, disk(3))], history, ..with_data(3) }
    }

    #[test]
    fn a_newer_history_ends_the_older_one() {
        let over = Verdict::StartOver { successor: 3 };
        assert_eq!(judged(1, &with_data(1), [Some(with_data(2)), Some(recovered(5))]), over);
        // The other way round it does not matter, and who is empty follows the newer one.
        assert_eq!(judged(3, &recovered(5), [Some(with_data(1)), Some(empty(9))]), Verdict::GoOn);
        let verdict = judged(1, &empty(9), [Some(with_data(2)), Some(recovered(5))]);
        waits(&verdict, "node 3 has data and does not know node 1");
        let rival = Hello { directory: disk(2), ..recovered(6) };
        waits(&judged(3, &recovered(5), [None, Some(rival)]), "do not know of each other");
    }
}
