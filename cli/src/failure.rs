//! What a command says when it fails: `error: …`, `hint: …`, and an exit code.
//!
//! | code | when |
//! | --- | --- |
//! | 0 | done; also when whoever read our output closed it |
//! | 1 | it was tried, and failed |
//! | 2 | it was not tried: the command line is wrong |

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    /// Nobody reads what we write: nothing to say, and no failure.
    OutputClosed,
}

impl Failure {
    /// It was tried, and failed.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        // Errors of other rooms carry their hint in the text.
        let text = message.to_string();
        match text.split_once("; hint: ") {
            Some((message, hint)) => Self::failed(message).hint(hint),
            None => Self::failed(&text),
        }
    }

    fn failed(message: &str) -> Self {
        Self { message: message.to_owned(), hint: None, kind: Kind::Failed }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Usage, ..Self::new(message) }
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, unless it says already what to do.
    #[must_use]
    pub(crate) fn or_hint(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// Tells the person, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.kind != Kind::OutputClosed {
            // If standard error is closed as well, the exit code remains.
            let _ = writeln!(io::stderr().lock(), "{self}");
        }
        match self.kind {
            Kind::Failed => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
            Kind::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let failure = Self::new(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// From writing our output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { kind: Kind::OutputClosed, ..Self::failed("the output was closed") };
        }
        Self::new(format!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_within_a_message_gets_a_line_of_its_own() {
        let failure = Failure::new("the port is taken; hint: choose another");
        assert_eq!(failure.to_string(), "error: the port is taken\nhint: choose another");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.kind, Kind::OutputClosed);
    }
}
