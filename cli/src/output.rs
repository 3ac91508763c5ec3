//! What goes to standard output: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use clap::builder::{PossibleValue, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Reads [`Format`], with a hint for those who know kcat and rpk, where `-o` is an offset.
#[derive(Clone, Copy)]
pub(crate) struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Format, clap::Error> {
        match value.to_str() {
            Some("text") => Ok(Format::Text),
            Some("json") => Ok(Format::Json),
            _ => Err(clap::Error::raw(
                clap::error::ErrorKind::InvalidValue,
                format!(
                    "-o {} is no output format: text or json\n  hint: where to begin is chosen \
                     with --from, for example --from beginning\n",
                    value.to_string_lossy()
                ),
            )
            .with_cmd(command)),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

/// Writes `value` as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Writes one line.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Writes one line to standard error: what a person wants to see and a program does not.
pub(crate) fn note(text: impl std::fmt::Display) {
    // If standard error is closed, nobody wants to see it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A bar that shows how many of `count` are done, and a message; nobody sees it but a person.
pub(crate) fn progress(count: u64, of_what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {of_what} {{msg}}"));
    ProgressBar::new(count).with_style(style.expect("the template is a constant"))
}

/// Rows under a heading, in aligned columns as `kubectl get` writes them.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row<C: ToString>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }

    /// Whether there is nothing below the heading.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The lines, without trailing spaces.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}   "));
            cells.collect::<String>().trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// Writes it.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        for text in self.lines() {
            writeln!(out, "{text}")?;
        }
        Ok(())
    }
}

/// Bytes for people: `1.5 MiB`.
pub(crate) fn bytes(count: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut amount = count as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// Milliseconds since the Unix epoch as RFC 3339.
pub(crate) fn time(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_string(),
        Err(_) => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let mut table = Table::new(&["NAME", "LAG"]);
        table.row(["a-long-name", "7"]);
        table.row(["b", ""]);
        assert_eq!(table.lines(), ["NAME          LAG", "a-long-name   7", "b"]);
    }

    #[test]
    fn bytes_are_readable() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 10 << 30, i64::MAX].map(bytes).into();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10.0 GiB", "8.0 EiB"]);
    }
}
