//! The order story, told by one client against one server.
//!
//! Three groups read the topic `order-placed`; the inventory's has three members. The story restarts it,
//! kills one of its members, rewinds it, and lets a fourth group come late. Every line of it is judged by
//! what the client's processes printed; a line that fails does not stop the story.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::event::{Event, Read};
use crate::judge::{self, Place, Verdict};
use crate::library::{Library, Program, Timeouts};
use crate::order::Order;
use crate::process::{Heard, Process, until};
use crate::reaper::Reaper;
use crate::report::{Line, Report};
use crate::server::{Server, Topic, Wanted};

const ORDERS: Topic = Topic { name: "order-placed", partitions: 12 };
const PAGE_VIEWS: Topic = Topic { name: "page-viewed", partitions: 12 };
const INVENTORY: &str = "inventory-service";
const NOTIFICATION: &str = "notification-service";
const ANALYTICS: &str = "analytics-service";
/// The group that comes when everything has been said.
const RETURNS: &str = "returns-service";

/// How many orders are sent while all is well, while the inventory is away, and after one of its members
/// was killed.
const PLACED: [u64; 3] = [600, 180, 180];
const VIEWED: u64 = 10_000;
/// Of those who are not killed: so long that no session ends because a busy machine held its member up.
const PATIENT: Timeouts = Timeouts { session_ms: 30_000, heartbeat_ms: 500 };
/// Of the one who is: the shortest session that Kafka's brokers allow by default.
const BRIEF: Timeouts = Timeouts { session_ms: 6000, heartbeat_ms: 500 };
/// How much earlier than a heartbeat interval before its death a member may have been heard last, on a
/// busy machine.
const HEARTBEAT_LATE: Duration = Duration::from_millis(300);
/// How long all brokers are there before the next one is killed, beside what the client needs to go on.
const CALM: Duration = Duration::from_secs(2);
/// How long anything may take that nothing delays but the machine.
const LIMIT: Duration = Duration::from_secs(90);
/// How long we listen for orders that must not come.
const SILENCE: Duration = Duration::from_millis(500);

/// Builds the library's program, tells the story to a server of so many brokers, and gives what failed.
/// Where there are several they are killed one after another meanwhile.
///
/// # Errors
/// When the story cannot be told at all, or its report not be written.
pub fn tell(library: Library, brokers: u16) -> Result<Vec<String>> {
    let program = library.build()?;
    let (topics, groups) = (&[ORDERS, PAGE_VIEWS], &[INVENTORY, NOTIFICATION, ANALYTICS]);
    let server = Server::launch(&Wanted { topics, groups, brokers })?;
    let calm = CALM + library.pause(PATIENT.session_ms);
    let reaper =
        if brokers > 1 { Some(Reaper::begin(server.hand()?, brokers, calm)) } else { None };
    let mut story = Story {
        program,
        server,
        reaper,
        report: Report::new(library, brokers),
        yesterday: Order::yesterday(),
        sent: Vec::new(),
        acked: BTreeMap::new(),
    };
    let mut told = story.tell();
    if let Some(reaper) = story.reaper.take() {
        match reaper.end() {
            Ok(kills) => {
                println!("{kills} brokers were killed meanwhile");
                if kills < usize::from(brokers) {
                    told = told.and(Err(anyhow!("not every broker was killed: {kills} kills")));
                }
            }
            Err(error) => told = told.and(Err(error)),
        }
    }
    let broken = told.err().map(|error| format!("{error:#}"));
    if broken.is_some() {
        println!("{}", story.server.notes());
    }
    let mut failures = story.report.end(broken.as_deref())?;
    failures.extend(broken);
    Ok(failures)
}

struct Story {
    program: Program,
    server: Server,
    /// Who kills its brokers, if it has several.
    reaper: Option<Reaper>,
    report: Report,
    /// When the first order was placed, in milliseconds since 1970.
    yesterday: i64,
    /// All orders that were sent so far.
    sent: Vec<Order>,
    /// Where they were acknowledged, if the client tells.
    acked: BTreeMap<u64, Place>,
}

impl Story {
    fn tell(&mut self) -> Result<()> {
        let mut inventory = self.join(&ORDERS, INVENTORY, &[PATIENT; 3])?;
        let mut notification = self.join(&ORDERS, NOTIFICATION, &[PATIENT])?;
        let analytics = self.join(&ORDERS, ANALYTICS, &[PATIENT])?;
        for group in [&inventory, &notification, &analytics] {
            self.settle(group)?;
        }
        self.all_is_well(&[&inventory, &notification, &analytics])?;
        let before = self.leave(&mut inventory)?;
        let survivors = self.the_inventory_comes_back(&before)?;
        self.one_of_three_is_killed(survivors)?;
        // The others heard of all that as well.
        let others = self.every_order(&[&notification, &analytics]);
        self.note(Line::EveryOrder, &others)?;
        self.leave(&mut notification)?;
        drop(analytics);
        self.everything_once_more()?;
        self.page_views()
    }

    /// Lines 1, 2, 3 and 9: three groups, and nobody dies.
    fn all_is_well(&mut self, groups: &[&Vec<Process>]) -> Result<()> {
        self.place(PLACED[0])?;
        let verdict = self.every_order(groups);
        // The line is told once, at the end of the story, unless it is lost already.
        if verdict.is_err() {
            self.note(Line::EveryOrder, &verdict)?;
            bail!("the groups did not get what was sent");
        }
        let members = records(groups[0]);
        let verdict = judge::one_reader_per_partition(&members, ORDERS.partitions);
        let verdict = explained(verdict, groups[0]);
        match self.repeats() {
            Some(reason) => self.report.cannot(Line::OneReader, reason)?,
            None => self.report.tell(Line::OneReader, &verdict)?,
        }
        let mut ordered: Verdict = Ok(String::new());
        for group in groups {
            let read = match self.repeats() {
                Some(_) => vec![judge::first_reads(&in_time(group))],
                None => records(group),
            };
            ordered = ordered.and_then(|_| judge::in_order_per_key(&read));
        }
        self.note(Line::KeyOrder, &ordered)?;
        let cannot = self.program.library().cannot_set_timestamps();
        let verdict = judge::came_back(&self.sent, &members.concat(), cannot.is_none());
        match cannot {
            Some(reason) => self.report.tell_partly(Line::ComesBack, &verdict, reason),
            None => self.report.tell(Line::ComesBack, &verdict),
        }
    }

    /// Line 5. Gives the group's members, of which there are three then; the second is the one to be killed.
    fn the_inventory_comes_back(&mut self, before: &Left) -> Result<Vec<Process>> {
        let newest = self.place(PLACED[1])?;
        let mut inventory = self.join(&ORDERS, INVENTORY, &[PATIENT])?;
        self.settle(&inventory)?;
        let arrived = until_seen(&inventory, &newest);
        let after = records(&inventory).concat();
        let verdict = arrived.and_then(|()| match self.repeats() {
            Some(_) => judge::without_skip(&before.read, &before.committed, &after),
            None => judge::without_gap(&before.read, &after),
        });
        let verdict = explained(verdict, &inventory);
        self.note(Line::GoesOn, &verdict)?;
        inventory.extend(self.join(&ORDERS, INVENTORY, &[BRIEF, PATIENT])?);
        self.settle(&inventory)?;
        Ok(inventory)
    }

    /// Line 6. In peace: a coordinator that takes over gives every member its whole session again.
    fn one_of_three_is_killed(&mut self, inventory: Vec<Process>) -> Result<()> {
        let reaper = self.reaper.take();
        let told = match &reaper {
            Some(reaper) => reaper.in_peace(|| self.a_member_dies(inventory)),
            None => self.a_member_dies(inventory),
        };
        self.reaper = reaper;
        told
    }

    fn a_member_dies(&mut self, mut inventory: Vec<Process>) -> Result<()> {
        settled(&inventory)?;
        let mut victim = inventory.swap_remove(1);
        let orphans: BTreeSet<i32> = owned(&victim).into_iter().collect();
        ensure!(!orphans.is_empty(), "the victim has no partitions");
        let killed = victim.kill()?;
        let session = Duration::from_millis(BRIEF.session_ms);
        let heartbeat = Duration::from_millis(BRIEF.heartbeat_ms);
        let what = "the survivors have all partitions";
        let moved = until(what, session * 3, || Ok(adopted(&inventory, &orphans, killed)))?;
        // The last heartbeat was at most one interval before the kill; the session runs from there.
        let (first, last) = (moved.0 - killed, moved.1 - killed);
        let verdict = if first + heartbeat + HEARTBEAT_LATE < session {
            Err(format!("a partition moved after {first:.2?}, in a session of {session:?}"))
        } else if last > session + heartbeat + Duration::from_secs(1) {
            Err(format!("partitions moved after {last:.2?}, in a session of {session:?}"))
        } else {
            Ok(format!("{} partitions after {last:.2?}", orphans.len()))
        };
        settled(&inventory)?;
        // What is sent now is read by those who are left; they may read the victim's last ones again.
        let newest = self.place(PLACED[2])?;
        let verdict = until_seen(&inventory, &newest).and(verdict);
        let verdict = explained(verdict, &inventory);
        self.report.tell(Line::Failover, &verdict)?;
        self.leave(&mut inventory).map(drop)
    }

    /// Lines 7 and 8: what was read comes back for who asks for it, and for who was not there.
    fn everything_once_more(&mut self) -> Result<()> {
        let (address, library) = (self.server.address(), self.program.library());
        let by = if library.cannot_rewind().is_some() {
            self.server.rewind(ORDERS.name, INVENTORY)?
        } else {
            // In peace: kafkajs leaves it to whoever asks to ask again.
            self.in_peace(|| {
                let mut rewind = self.program.rewind(&address, ORDERS.name, INVENTORY)?;
                let status = rewind.wait(LIMIT)?;
                ensure!(status.success(), "the rewind ended with {status}\n{}", rewind.notes());
                Ok("by the client itself")
            })?
        };
        let yaml = self.server.rewind_by_yaml(NOTIFICATION)?;
        let mut groups = vec![(Line::Rewind, INVENTORY, by.to_owned())];
        match yaml {
            Some(moved) => groups.push((Line::RewindByYaml, NOTIFICATION, moved)),
            None => self.report.cannot(Line::RewindByYaml, "Apache Kafka has no resources")?,
        }
        groups.push((Line::LateGroup, RETURNS, String::new()));
        let mut readers = Vec::new();
        for (line, group, how) in groups {
            readers.push((line, how, self.join(&ORDERS, group, &[PATIENT])?));
        }
        for (line, how, mut members) in readers {
            let verdict = self.every_order(&[&members]).map(|counted| match how.as_str() {
                "" => counted,
                how => format!("{counted}, {how}"),
            });
            self.note(line, &verdict)?;
            self.leave(&mut members)?;
        }
        Ok(())
    }

    /// Line 4.
    fn page_views(&mut self) -> Result<()> {
        let views: Vec<Order> = (0..VIEWED).map(Order::page_view).collect();
        let acked = self.send(&PAGE_VIEWS, &views)?;
        let mut readers = self.join(&PAGE_VIEWS, "page-counter", &[PATIENT])?;
        let verdict = self.reads(&readers, &views, &acked).and_then(|_| {
            let read = records(&readers).concat();
            judge::no_partition_is_empty(&read, PAGE_VIEWS.partitions)
        });
        self.note(Line::Spread, &explained(verdict, &readers))?;
        self.leave(&mut readers).map(drop)
    }

    /// Starts members of a group, one for each of these.
    fn join(&self, topic: &Topic, group: &str, each: &[Timeouts]) -> Result<Vec<Process>> {
        let address = self.server.address();
        let start =
            |timeouts: &Timeouts| self.program.consume(&address, topic.name, group, *timeouts);
        let start_all = || each.iter().map(start).collect::<Result<Vec<_>>>();
        if self.repeats().is_none() {
            return start_all();
        }
        // In peace until each has something: kafkajs ends if it meets no broker at its start.
        self.in_peace(|| {
            let members = start_all()?;
            let all_have_some = || members.iter().all(|member| !owned(member).is_empty());
            let joined = until("all have joined", LIMIT, || Ok(all_have_some().then_some(())));
            joined.with_context(|| account(&members))?;
            Ok(members)
        })
    }

    /// Why this client may send and read again what it did before; nothing where all brokers live.
    fn repeats(&self) -> Option<&'static str> {
        self.program.library().repeats().filter(|_| self.server.brokers() > 1)
    }

    /// Writes a line down, of which a client that repeats shows a part.
    fn note(&mut self, line: Line, verdict: &Verdict) -> Result<()> {
        match self.repeats() {
            Some(reason) => self.report.tell_partly(line, verdict, reason),
            None => self.report.tell(line, verdict),
        }
    }

    /// Waits until a group has settled, in peace: some clients join anew whenever a broker goes.
    fn settle(&self, members: &[Process]) -> Result<()> {
        self.in_peace(|| settled(members))
    }

    /// Lets members leave the group, in peace: most clients do not try again where they do not know their coordinator,
    /// and are members until their session ends, which begins anew with each new coordinator.
    fn leave(&self, members: &mut Vec<Process>) -> Result<Left> {
        self.in_peace(|| {
            settled(members)?;
            if self.reaper.is_some() {
                thread::sleep(self.program.library().silence());
            }
            stop(members)
        })
    }

    /// Does something while all brokers are there.
    fn in_peace<R>(&self, act: impl FnOnce() -> R) -> R {
        match &self.reaper {
            Some(reaper) => reaper.in_peace(act),
            None => act(),
        }
    }

    /// Places that many more orders; gives their numbers.
    fn place(&mut self, orders: u64) -> Result<BTreeSet<u64>> {
        let from = self.sent.len() as u64;
        let placed: Vec<Order> =
            (from..from + orders).map(|n| Order::placed(n, PLACED[0], self.yesterday)).collect();
        let acked = self.send(&ORDERS, &placed)?;
        self.acked.extend(acked);
        let numbers = placed.iter().map(|order| order.n).collect();
        self.sent.extend(placed);
        Ok(numbers)
    }

    /// Sends, half of it before a broker is killed and half of it after, and waits until all is acknowledged.
    fn send(&self, topic: &Topic, orders: &[Order]) -> Result<BTreeMap<u64, Place>> {
        let first = orders.first().context("nothing to send")?;
        let mut producer = self.program.produce(&self.server.address(), topic.name, first)?;
        let (first, rest) = orders.split_at(orders.len() / 2);
        for order in first {
            self.program.feed(&mut producer, order)?;
        }
        if let Some(reaper) = &self.reaper {
            reaper.until_next_kill()?;
        }
        for order in rest {
            self.program.feed(&mut producer, order)?;
        }
        producer.close_input();
        let status = producer.wait(LIMIT)?;
        ensure!(status.success(), "the producer ended with {status}\n{}", producer.notes());
        let mut places = BTreeMap::new();
        let count = producer.look(|events| {
            let acks = events.iter().filter_map(|heard| match &heard.event {
                Event::Acked { n, partition, offset } => Some((*n, (*partition, *offset))),
                _ => None,
            });
            acks.map(|(n, place)| n.map(|n| places.insert(n, place))).count()
        });
        ensure!(count == orders.len(), "{count} of {} were acknowledged", orders.len());
        Ok(places)
    }

    /// Whether each of these groups reads all orders that were sent so far.
    fn every_order(&self, groups: &[&Vec<Process>]) -> Verdict {
        let mut counted = String::new();
        for group in groups {
            counted = explained(self.reads(group, &self.sent, &self.acked), group)?;
        }
        Ok(counted)
    }

    /// Whether a group reads all that was sent, exactly once if the client does not repeat.
    fn reads(&self, group: &[Process], sent: &[Order], acked: &BTreeMap<u64, Place>) -> Verdict {
        until_read(group, sent.len())?;
        if self.repeats().is_some() {
            // What is sent again is acknowledged at its last place, which is read after its first.
            let judged = || judge::at_least_once(sent, acked, &records(group).concat());
            let found = until("it is read where it was acknowledged", LIMIT, || Ok(judged().ok()));
            return found.or_else(|_| judged());
        }
        // Nothing may come twice, also not a little later.
        thread::sleep(SILENCE);
        judge::exactly(sent, acked, &records(group).concat())
    }
}

/// What a group did that is no more.
struct Left {
    read: Vec<Read>,
    /// Where each partition goes on, if the client tells.
    committed: BTreeMap<i32, i64>,
}

/// Where each partition goes on by what was acknowledged last.
fn committed(members: &[Process]) -> BTreeMap<i32, i64> {
    let commit = |heard: &Heard| match heard.event {
        Event::Committed { partition, offset } => Some((heard.at, (partition, offset))),
        _ => None,
    };
    let of = |member: &Process| {
        member.look(|events| events.iter().filter_map(commit).collect::<Vec<_>>())
    };
    let mut all: Vec<_> = members.iter().flat_map(of).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, commit)| commit).collect()
}

/// What each member read so far.
fn records(members: &[Process]) -> Vec<Vec<Read>> {
    let of = |member: &Process| {
        member.look(|events| {
            let records = events.iter().filter_map(|heard| match &heard.event {
                Event::Record(read) => Some(read.clone()),
                _ => None,
            });
            records.collect()
        })
    };
    members.iter().map(of).collect()
}

/// What the members read so far, in the order of reading.
fn in_time(members: &[Process]) -> Vec<Read> {
    let of = |member: &Process| {
        member.look(|events| {
            let records = events.iter().filter_map(|heard| match &heard.event {
                Event::Record(read) => Some((heard.at, read.clone())),
                _ => None,
            });
            records.collect::<Vec<_>>()
        })
    };
    let mut all: Vec<(Instant, Read)> = members.iter().flat_map(of).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, read)| read).collect()
}

/// Which partitions a member has now.
fn owned(member: &Process) -> Vec<i32> {
    member.look(|events| {
        let latest = events.iter().rev().find_map(|heard| match &heard.event {
            Event::Owns { partitions } => Some(partitions.clone()),
            _ => None,
        });
        latest.unwrap_or_default()
    })
}

/// What is wrong, if something is, with all that may explain it.
fn explained<T>(verdict: Result<T, String>, members: &[Process]) -> Result<T, String> {
    verdict.map_err(|wrong| format!("{wrong}\n{}", account(members)))
}

/// What each member had and when, in seconds since the first had something, and what it said beside.
fn account(members: &[Process]) -> String {
    let owns = |event: &Event| match event {
        Event::Owns { partitions } => Some(partitions.clone()),
        _ => None,
    };
    let begun = members.iter().filter_map(|member| {
        member.look(|events| events.iter().find(|it| owns(&it.event).is_some()).map(|it| it.at))
    });
    let begun = begun.min();
    let mut told = String::new();
    for (index, member) in members.iter().enumerate() {
        told += &format!("member {index}:");
        member.look(|events| {
            for heard in events {
                if let Some(partitions) = owns(&heard.event) {
                    told +=
                        &format!(" {:.1?} {partitions:?}", heard.at - begun.unwrap_or(heard.at));
                }
            }
        });
        told += &format!("\n{}", member.notes());
    }
    told
}

/// Waits until the members have all partitions, each something, none is had by two, and those who tell were answered
/// by their coordinator since.
fn settled(members: &[Process]) -> Result<()> {
    let since = Instant::now();
    let whole: Vec<i32> = (0..ORDERS.partitions).collect();
    let seen = until("the group has settled", LIMIT, || {
        let is_answered = members.iter().all(|member| was_answered(member, since));
        let shares: Vec<Vec<i32>> = members.iter().map(owned).collect();
        let mut all = shares.concat();
        all.sort_unstable();
        Ok((is_answered && all == whole && shares.iter().all(|share| !share.is_empty()))
            .then_some(()))
    });
    seen.with_context(|| account(members))
}

/// Whether a member's coordinator answered it since, if it tells such things: twice, as the first answer may be that it is
/// the coordinator no longer.
fn was_answered(member: &Process, since: Instant) -> bool {
    member.look(|events| {
        let mut answers = events.iter().rev().filter(|heard| heard.event == Event::Heartbeat);
        match (answers.next(), answers.next()) {
            (None, _) => true,
            (Some(_), before) => before.is_some_and(|before| before.at > since),
        }
    })
}

/// When the first of `orphans` was adopted after `since`, and when the last, if all were.
fn adopted(
    members: &[Process],
    orphans: &BTreeSet<i32>,
    since: Instant,
) -> Option<(Instant, Instant)> {
    let mut when: BTreeMap<i32, Instant> = BTreeMap::new();
    for member in members {
        member.look(|events| {
            for heard in events.iter().filter(|heard| heard.at >= since) {
                let Event::Owns { partitions } = &heard.event else { continue };
                for partition in partitions.iter().filter(|it| orphans.contains(it)) {
                    let first = when.entry(*partition).or_insert(heard.at);
                    *first = (*first).min(heard.at);
                }
            }
        });
    }
    let is_whole = when.len() == orphans.len();
    let (first, last) = (when.values().min()?, when.values().max()?);
    is_whole.then_some((*first, *last))
}

/// Waits until the members have read that many orders together.
fn until_read(members: &[Process], expected: usize) -> Result<(), String> {
    let so_far = || judge::first_reads(&records(members).concat()).len();
    let read = until("all is read", LIMIT, || Ok((so_far() >= expected).then_some(())));
    read.map_err(|_| format!("{} of {expected} were read in {LIMIT:?}", so_far()))
}

/// Waits until the members have read these, and perhaps more.
fn until_seen(members: &[Process], expected: &BTreeSet<u64>) -> Result<(), String> {
    let missing = || {
        let seen: BTreeSet<u64> = records(members)
            .iter()
            .flatten()
            .filter_map(|record| Order::number(&record.value))
            .collect();
        expected.difference(&seen).count()
    };
    let read = until("they are read", LIMIT, || Ok((missing() == 0).then_some(())));
    read.map_err(|_| format!("{} of {} were not read", missing(), expected.len()))
}

/// Lets all leave the group. Gives what they did.
fn stop(members: &mut Vec<Process>) -> Result<Left> {
    for member in members.iter_mut() {
        member.ask_to_stop()?;
    }
    for member in members.iter_mut() {
        member.stop()?;
    }
    let left = Left { read: records(members).concat(), committed: committed(members) };
    members.clear();
    Ok(left)
}
