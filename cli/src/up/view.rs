//! What a person sees of `klamm up`: on a terminal one screen that is drawn anew, elsewhere a line for
//! each thing that happened.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crds::{Kind, Resource};
use crossterm::cursor::MoveUp;
use crossterm::queue;
use crossterm::terminal::{self, Clear, ClearType};
use operator::platform::Event;
use world::World;

use super::figures::Figures;
use super::platform::Shown;
use super::status_file;
use crate::failure::Failure;
use crate::output::{self, Table};

/// How often the screen is drawn.
const EVERY: Duration = Duration::from_millis(500);
/// Events on the screen.
const EVENTS_SHOWN: usize = 5;
/// Lines of a screen whose size cannot be told.
const LINES: u16 = 24;
/// Columns of such a screen.
const COLUMNS: u16 = 100;

/// Shows what goes on.
pub(super) struct View {
    is_terminal: bool,
    started: Duration,
    due: Duration,
    drawn_lines: u16,
    events_told: u64,
    bootstrap_told: String,
    problems_told: Vec<String>,
}

impl View {
    /// A view of what began at `started`.
    pub(super) fn new(started: Duration) -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            started,
            due: Duration::ZERO,
            drawn_lines: 0,
            events_told: 0,
            bootstrap_told: String::new(),
            problems_told: Vec::new(),
        }
    }

    /// Shows what is new.
    pub(super) fn show(
        &mut self,
        shown: &Shown,
        figures: &Figures,
        world: &World,
    ) -> Result<(), Failure> {
        if !self.is_terminal {
            return self.tell(shown);
        }
        let now = world.clock.tick();
        if now < self.due {
            return Ok(());
        }
        self.due = now + EVERY;
        // A terminal that was never told its size says 0.
        let size = terminal::size().ok().filter(|(columns, lines)| *columns > 0 && *lines > 0);
        let (columns, lines) = size.unwrap_or((COLUMNS, LINES));
        let screen = screen(shown, figures, now.saturating_sub(self.started));
        self.draw(&screen, usize::from(columns.max(20)), lines.max(4))
    }

    fn draw(&mut self, screen: &[String], columns: usize, lines: u16) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.drawn_lines > 0 {
            queue!(out, MoveUp(self.drawn_lines))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        // The last line of the terminal stays free, or it would scroll.
        let fit = usize::from(lines - 1);
        let cut = screen.len().saturating_sub(fit);
        let shown = if cut > 0 { &screen[..fit - 1] } else { screen };
        for line in shown {
            writeln!(out, "{}", line.chars().take(columns - 1).collect::<String>())?;
        }
        if cut > 0 {
            writeln!(out, "… {} more lines: `klamm get` shows them", cut + 1)?;
        }
        out.flush()?;
        self.drawn_lines = u16::try_from(shown.len() + usize::from(cut > 0)).unwrap_or(lines);
        Ok(())
    }

    fn tell(&mut self, shown: &Shown) -> Result<(), Failure> {
        if shown.bootstrap != self.bootstrap_told {
            self.bootstrap_told.clone_from(&shown.bootstrap);
            if !shown.bootstrap.is_empty() {
                let (bootstrap, dir) = (&shown.bootstrap, shown.dir.display());
                output::line(format_args!("listening on {bootstrap}, data in {dir}"))?;
            }
        }
        let new = usize::try_from(shown.event_count - self.events_told).unwrap_or(usize::MAX);
        let skip = shown.events.len().saturating_sub(new);
        for (at, event) in &shown.events[skip..] {
            output::line(event_line(*at, event))?;
        }
        self.events_told = shown.event_count;
        if shown.problems != self.problems_told {
            for problem in shown.problems.iter().filter(|it| !self.problems_told.contains(it)) {
                output::line(format_args!("warning: {problem}"))?;
            }
            self.problems_told.clone_from(&shown.problems);
        }
        io::stdout().lock().flush()?;
        Ok(())
    }
}

fn event_line(at: i64, event: &Event) -> String {
    let sign = if event.is_warning { "!" } else { " " };
    let time = output::time(at);
    // Of 2026-11-21T09:00:00.123Z the part that changes while one looks.
    let time = time.get(11..19).unwrap_or(&time);
    let message = event.message.lines().next().unwrap_or_default();
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{time} {sign} {} {}{message}", event.about, event.reason)
}

/// The lines of the screen.
fn screen(shown: &Shown, figures: &Figures, up_for: Duration) -> Vec<String> {
    let size = output::bytes(i64::try_from(shown.storage_bytes).unwrap_or(i64::MAX));
    let bootstrap = if shown.bootstrap.is_empty() { "not listening" } else { &shown.bootstrap };
    let dir = shown.dir.display();
    let mut lines = vec![format!("klamm  {bootstrap}  {dir}  {size}  up {} s", up_for.as_secs())];
    let of = |kind: Kind| shown.resources.iter().filter(move |it| it.kind() == kind);
    let mut clusters = Table::new(&["CLUSTER", "READY", "BROKERS", "STATUS", ""]);
    for resource in of(Kind::Cluster) {
        let Resource::Cluster(it) = resource else { continue };
        let (ready, reason, message) = state(shown, resource);
        let brokers = it.status.as_ref().map_or(0, |status| status.ready_replicas);
        let brokers = format!("{brokers}/{}", it.spec.node_count());
        clusters.row([resource.key().name, ready, brokers, reason, message]);
    }
    lines.push(String::new());
    lines.extend(clusters.lines());
    lines.push(String::new());
    lines.extend(topics(shown, figures).lines());
    lines.push(String::new());
    lines.extend(groups(shown, figures).lines());
    let problems = shown.problems.iter().chain(&figures.failure);
    let problems: Vec<_> = problems.map(|it| format!("warning: {it}")).collect();
    if !problems.is_empty() {
        lines.push(String::new());
        lines.extend(problems);
    }
    if !shown.events.is_empty() {
        lines.push(String::new());
        let skip = shown.events.len().saturating_sub(EVENTS_SHOWN);
        lines.extend(shown.events[skip..].iter().map(|(at, event)| event_line(*at, event)));
    }
    lines.push(String::new());
    lines.push("Ctrl-C stops; the data stays".to_owned());
    lines
}

/// Declared topics first, then those that somebody else created.
fn topics(shown: &Shown, figures: &Figures) -> Table {
    let mut table =
        Table::new(&["TOPIC", "PARTITIONS", "SIZE", "RECORDS/S", "READY", "STATUS", ""]);
    let mut declared = Vec::new();
    let cells = |name: &str| {
        let figures = figures.topics.get(name).cloned().unwrap_or_default();
        let rate = figures.rate.map_or(String::new(), |rate| format!("{rate:.0}"));
        [name.to_owned(), figures.partitions.to_string(), output::bytes(figures.bytes), rate]
    };
    for resource in &shown.resources {
        let Resource::Topic(it) = resource else { continue };
        let (ready, reason, message) = state(shown, resource);
        table.row(cells(&it.topic_name()).into_iter().chain([ready, reason, message]));
        declared.push(it.topic_name());
    }
    for name in figures.topics.keys().filter(|name| !declared.contains(name)) {
        table.row(cells(name).into_iter().chain(["".to_owned(), "not declared".to_owned()]));
    }
    table
}

fn groups(shown: &Shown, figures: &Figures) -> Table {
    let mut table = Table::new(&["GROUP", "STATE", "MEMBERS", "LAG", "READY", "STATUS", ""]);
    let mut declared = Vec::new();
    let cells = |name: &str| match figures.groups.get(name) {
        Some(it) => [name.to_owned(), it.state.clone(), it.members.to_string(), it.lag.to_string()],
        None => [name.to_owned(), "none yet".to_owned(), String::new(), String::new()],
    };
    for resource in &shown.resources {
        let Resource::ConsumerGroup(it) = resource else { continue };
        let (ready, reason, message) = state(shown, resource);
        table.row(cells(&it.group_id()).into_iter().chain([ready, reason, message]));
        declared.push(it.group_id());
    }
    for name in figures.groups.keys().filter(|name| !declared.contains(name)) {
        table.row(cells(name).into_iter().chain(["".to_owned(), "not declared".to_owned()]));
    }
    table
}

/// The condition `Ready`, or that no file declares it.
fn state(shown: &Shown, resource: &Resource) -> (String, String, String) {
    if shown.unmanaged.contains(&resource.key()) {
        return (String::new(), "unmanaged".to_owned(), "in no file: left alone".to_owned());
    }
    status_file::ready(resource)
}

#[cfg(test)]
mod tests {
    use crds::{Key, Kind};
    use operator::platform::Event;

    use super::event_line;

    #[test]
    fn an_event_that_says_no_more_than_its_reason_ends_with_it() {
        let about =
            Key { kind: Kind::Topic, namespace: "default".to_owned(), name: "orders".to_owned() };
        let line = |message: &str| {
            let (reason, message) = ("Created".to_owned(), message.to_owned());
            event_line(0, &Event { about: about.clone(), is_warning: false, reason, message })
        };
        assert_eq!(line("it is there"), "00:00:00   Topic default/orders Created: it is there");
        assert_eq!(line(""), "00:00:00   Topic default/orders Created");
    }
}
