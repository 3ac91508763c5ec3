//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::logging::LogFormat;
use crate::{session, up};

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM_COMMIT"), ")");

/// Event streaming that speaks Kafka: brokers, topics, groups, records.
#[derive(Debug, Parser)]
#[command(
    name = "klamm",
    version = VERSION,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start with `klamm up`, then `klamm produce TOPIC` and `klamm consume TOPIC`."
)]
pub(crate) struct Args {
    /// How logs are written to standard error; KLAMM_LOG says which.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole system on this machine, from YAML files if there are any
    Up(up::UpArgs),
    /// Run one broker, from a properties file
    Broker(commands::broker::BrokerArgs),
    /// Reconcile the resources of a Kubernetes API server
    Operator(commands::operator::OperatorArgs),
    /// Look at brokers, and take them out of service without anybody noticing
    Cluster(commands::cluster::ClusterArgs),
    /// List, describe, create, alter, grow, move and delete topics
    Topic(commands::topic::TopicArgs),
    /// List, describe, reset and delete consumer groups
    Group(commands::group::GroupArgs),
    /// Send records, one per line of the input
    Produce(commands::produce::ProduceArgs),
    /// Print records
    Consume(commands::consume::ConsumeArgs),
    /// Show Clusters, Topics and ConsumerGroups with their conditions
    Get(commands::get::GetArgs),
    /// Delete the resources of YAML files, by their deletion policy
    Delete(commands::delete::DeleteArgs),
    /// Look into what is on disk
    Doctor(commands::doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsArgs),
}

/// How the brokers are reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Connect {
    /// Brokers to begin with, separated by commas
    #[arg(
        short,
        long,
        global = true,
        env = "KLAMM_BOOTSTRAP",
        hide_env_values = true,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:9092"
    )]
    pub(crate) bootstrap: Vec<String>,

    /// How long a request may take, and how long it is tried again
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        default_value = "10s",
        value_parser = session::duration
    )]
    pub(crate) timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn what_the_build_knows_is_no_setting() {
        // `cargo run` hands a build script's variables on to the program.
        let build = include_str!("../build.rs");
        assert!(build.contains("rustc-env=") && !build.contains("rustc-env=KLAMM_"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_is_as_in_the_reference() {
        let mut command = Args::command().term_width(100);
        command.build();
        let mut text = String::from(
            "# Command line\n\nMade from the program's own help; refresh with `KLAMM_UPDATE=1 cargo test \
             -p klamm`.\n\nExit codes: 0 done, 1 failed, 2 wrong command line. Results go to standard \
             output, everything else to standard error. Logs are filtered by `KLAMM_LOG`, a level such as \
             `debug` or levels by room such as `broker=debug,info`.\n",
        );
        document(&mut command, &mut text);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
        if std::env::var_os("KLAMM_UPDATE").is_some() {
            #[expect(
                clippy::disallowed_methods,
                reason = "a test that keeps a generated file fresh"
            )]
            std::fs::write(path, &text).expect("the repository is writable");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == text, "stale; hint: KLAMM_UPDATE=1 cargo test -p klamm");
    }

    fn document(command: &mut clap::Command, text: &mut String) {
        let name = command.get_bin_name().unwrap_or("klamm").to_owned();
        let help = command.clone().term_width(100).render_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
        for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
            document(sub, text);
        }
    }

    fn refused(line: &str) -> String {
        let error = Args::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn an_offset_where_kcat_has_it_leads_to_the_right_flag() {
        let said = refused("klamm consume orders -o beginning");
        assert!(said.contains("--from beginning"), "{said}");
    }

    #[test]
    fn bootstrap_servers_are_a_list() {
        let args = Args::try_parse_from(["klamm", "topic", "list", "-b", "a:1,b:2"]).unwrap();
        let Command::Topic(topic) = args.command else { unreachable!("it is a topic command") };
        assert_eq!(topic.connect().bootstrap, ["a:1", "b:2"]);
    }

    #[test]
    fn brokers_are_named_before_or_behind_a_subcommand() {
        for line in ["-b a:1 acquire 2", "acquire 2 -b a:1", "acquire 2 --timeout 3s"] {
            let words = ["klamm", "cluster", "lease"].into_iter().chain(line.split(' '));
            assert!(Args::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
