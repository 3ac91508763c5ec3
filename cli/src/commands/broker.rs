//! `klamm broker`: one broker, from a properties file, the environment and the command line.

use std::path::PathBuf;

use broker::Broker;
use config::{Properties, Settings};

use crate::failure::Failure;
use crate::{output, session};

/// Run one broker, from a properties file.
#[derive(Debug, clap::Args)]
#[command(after_help = "A setting is looked up on the command line, then in the environment \
                        (KLAMM_LOG_DIRS is log.dirs), then in the file, then in the defaults.")]
pub(crate) struct BrokerArgs {
    /// Settings by Kafka's names, as Java properties
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// One more setting, which wins over file and environment; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Runs until it is told to stop.
pub(crate) fn run(args: &BrokerArgs) -> Result<(), Failure> {
    let world = session::world();
    let file = match &args.config {
        Some(path) => {
            let cannot = |error| {
                Failure::new(format!("cannot read {error}"))
                    .hint("--config names a file of lines such as log.dirs=/var/lib/klamm")
            };
            let bytes = world.disk.read(path).map_err(cannot)?;
            String::from_utf8(bytes)
                .map_err(|_| Failure::new(format!("{} is not UTF-8 text", path.display())))?
        }
        None => String::new(),
    };
    let fixed = config::sources::merge(&file, std::env::vars(), &args.set)
        .map_err(|error| in_file(args, &error))?;
    let settings = resolve(fixed).map_err(|error| in_file(args, &error))?;
    let world = session::seen_by(&world, &settings.broker);
    session::run(async move {
        // One for both: a signal between two would be nobody's.
        let mut stop_asked = Box::pin(session::stop_asked());
        let running = tokio::select! {
            biased;
            asked = &mut stop_asked => {
                asked?;
                output::note("stopped before it served");
                return Ok(());
            }
            started = Broker::start(world, settings) => started.map_err(Failure::new)?,
        };
        for (name, address) in running.addresses() {
            output::note(format_args!("listening on {address} ({name})"));
        }
        if let Some(address) = running.http_address() {
            output::note(format_args!("metrics and probes on http://{address}"));
        }
        tokio::select! {
            biased;
            asked = stop_asked => asked?,
            why = running.failed() => {
                let hint = "give its log.dirs room, or another disk, and start it again";
                return Err(Failure::new(why).or_hint(hint));
            }
        }
        output::note("stopping");
        tokio::select! {
            biased;
            () = running.wait_until_safe() => {}
            // Nobody is helped by waiting any more.
            why = running.failed() => output::note(why),
            again = session::stop_asked() => {
                again?;
                output::note("told again: stopping at once");
            }
        }
        running.stop().await.map_err(|error| {
            Failure::new(format!("stopped, but not cleanly: {error}"))
                .hint("nothing is lost; the next start checks the logs and takes longer")
        })
    })
}

fn resolve(fixed: Properties) -> Result<Settings, config::ConfigError> {
    Settings::resolve(fixed)
}

fn in_file(args: &BrokerArgs, error: &config::ConfigError) -> Failure {
    match &args.config {
        Some(path) => Failure::new(format!("{}: {error}", path.display())),
        None => Failure::new(error),
    }
}
