//! A verdict per client and line of the story, for a person and for `cargo xtask clients`.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::judge::Verdict;
use crate::library::Library;

/// Where the rows go as JSON lines, if anywhere.
const REPORT: &str = "KLAMM_E2E_REPORT";

/// A line of the order story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Each of three groups gets every order, exactly once.
    EveryOrder,
    /// Each partition is read by exactly one member of a group.
    OneReader,
    /// Order per key holds.
    KeyOrder,
    /// 10,000 records without a key leave no partition empty.
    Spread,
    /// A restarted group goes on exactly where it left off.
    GoesOn,
    /// A killed member's partitions move when its session ends, not before and not much later.
    Failover,
    /// A rewind replays everything.
    Rewind,
    /// A rewind by YAML replays everything.
    RewindByYaml,
    /// A late new group reads from the beginning.
    LateGroup,
    /// Headers and timestamps come back.
    ComesBack,
}

impl Line {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::EveryOrder,
        Self::OneReader,
        Self::KeyOrder,
        Self::Spread,
        Self::GoesOn,
        Self::Failover,
        Self::Rewind,
        Self::RewindByYaml,
        Self::LateGroup,
        Self::ComesBack,
    ];

    /// What it claims.
    pub fn claim(self) -> &'static str {
        match self {
            Self::EveryOrder => "three groups get every order, exactly once",
            Self::OneReader => "a partition is read by one member of a group",
            Self::KeyOrder => "order per key holds",
            Self::Spread => "10,000 records without a key leave no partition empty",
            Self::GoesOn => "a restarted group goes on where it left off",
            Self::Failover => "a killed member's partitions move in time, not before",
            Self::Rewind => "a rewind replays everything",
            Self::RewindByYaml => "a rewind by YAML replays everything",
            Self::LateGroup => "a late group reads from the beginning",
            Self::ComesBack => "headers and timestamps come back",
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    client: &'a str,
    brokers: u16,
    line: usize,
    claim: &'a str,
    outcome: &'a str,
    detail: &'a str,
}

/// What one client's story came to.
pub struct Report {
    library: Library,
    brokers: u16,
    told: Vec<Line>,
    failures: Vec<String>,
}

impl Report {
    /// Nothing told yet.
    pub fn new(library: Library, brokers: u16) -> Self {
        Self { library, brokers, told: Vec::new(), failures: Vec::new() }
    }

    /// Writes down what a line came to.
    ///
    /// # Errors
    /// When the report file cannot be written.
    pub fn tell(&mut self, line: Line, verdict: &Verdict) -> Result<()> {
        if let Err(wrong) = verdict {
            self.failures.push(format!("{}: {wrong}", line.claim()));
        }
        match verdict {
            Ok(counted) => self.write(line, "ok", counted),
            Err(wrong) => self.write(line, "FAILED", wrong),
        }
    }

    /// Writes down what a line came to of which only a part can be shown, and why.
    ///
    /// # Errors
    /// When the report file cannot be written.
    pub fn tell_partly(&mut self, line: Line, verdict: &Verdict, reason: &str) -> Result<()> {
        match verdict {
            Ok(counted) => self.write(line, "partly", &format!("{counted}; n/a: {reason}")),
            Err(_) => self.tell(line, verdict),
        }
    }

    /// Writes down that this cannot be shown, and why.
    ///
    /// # Errors
    /// When the report file cannot be written.
    pub fn cannot(&mut self, line: Line, reason: &str) -> Result<()> {
        self.write(line, "n/a", reason)
    }

    /// Ends the story: what failed, also the lines that were never reached.
    ///
    /// # Errors
    /// When the report file cannot be written.
    pub fn end(mut self, broken: Option<&str>) -> Result<Vec<String>> {
        for line in Line::ALL {
            if !self.told.contains(&line) {
                self.tell(line, &Err(broken.unwrap_or("was not reached").to_owned()))?;
            }
        }
        Ok(self.failures)
    }

    fn write(&mut self, line: Line, outcome: &str, detail: &str) -> Result<()> {
        let client = self.library.name();
        println!("{client:>8}  {outcome:<6}  {}: {detail}", line.claim());
        self.told.push(line);
        if let Some(path) = std::env::var_os(REPORT) {
            let place =
                Line::ALL.iter().position(|it| *it == line).context("all lines are in ALL")?;
            let (line, claim) = (place + 1, line.claim());
            let row = Row { client, brokers: self.brokers, line, claim, outcome, detail };
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            writeln!(file, "{}", serde_json::to_string(&row)?)?;
        }
        Ok(())
    }
}
