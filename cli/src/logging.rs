//! Logs: to standard error, as text or as JSON lines, filtered by `KLAMM_LOG`.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. `KLAMM_LOG` (`info`, `debug`, `broker=debug,info`, …) wins over `default`.
pub(crate) fn start(format: LogFormat, default: &str) -> Result<(), Failure> {
    let filter = match std::env::var("KLAMM_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(quietly(&text)).map_err(|error| {
            Failure::usage(format!("KLAMM_LOG={text:?} is no filter: {error}"))
                .hint("a level such as info or debug, or levels by room: broker=debug,info")
        })?,
        Ok(_) | Err(_) => EnvFilter::new(quietly(default)),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::new(format!("cannot start logging: {error}")))
}

/// What the quorum's library tells of itself is for its authors, unless somebody asks for it by name.
fn quietly(filter: &str) -> String {
    format!("openraft=error,{filter}")
}
