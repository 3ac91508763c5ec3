//! What `klamm up` tells its broker: what suits a laptop, below everything that anyone says.

use std::path::Path;

use config::{ConfigError, Settings};
use operator::platform::Brokers;

use super::UpArgs;

/// Whoever starts a consumer at their desk waits for no second one.
const LAPTOP: &str = "group.initial.rebalance.delay.ms=0";

/// The settings of a broker in `dir` as the Cluster wants it. What suits a laptop gives way to the
/// environment, that to the Cluster, and that to the command line.
pub(super) fn of_broker(
    dir: &Path,
    wanted: &Brokers,
    environment: impl IntoIterator<Item = (String, String)>,
    command_line: &[String],
) -> Result<Settings, ConfigError> {
    let mut set: Vec<String> =
        wanted.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    set.push(format!("klamm.storage.limit.bytes={}", wanted.storage_bytes));
    set.push(format!("log.dirs={}", dir.display()));
    set.extend(command_line.iter().cloned());
    Settings::resolve(config::sources::merge(LAPTOP, environment, &set)?)
}

/// The command line's settings of the broker.
pub(super) fn of_command_line(args: &UpArgs) -> Vec<String> {
    // Brokers bind addresses, people write names.
    let listen = args.listen.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let listen = listen.unwrap_or_else(|| args.listen.clone());
    let http = if args.http == "off" { "" } else { &args.http };
    let mut settings =
        vec![format!("listeners=PLAINTEXT://{listen}"), format!("klamm.http.listener={http}")];
    if let Some(advertise) = &args.advertise {
        settings.push(format!("advertised.listeners=PLAINTEXT://{advertise}"));
    }
    settings.extend(args.set.iter().cloned());
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use operator::platform::Brokers;

    use super::of_broker;

    const DELAY: &str = "group.initial.rebalance.delay.ms";

    fn delay(environment: &[&str], cluster: &[&str], command_line: &[&str]) -> i32 {
        let named = |values: &[&str], name: &str| -> Vec<(String, String)> {
            values.iter().map(|value| (name.to_owned(), (*value).to_owned())).collect()
        };
        let config: BTreeMap<String, String> = named(cluster, DELAY).into_iter().collect();
        let wanted = Brokers { count: 1, storage_bytes: 1 << 30, config };
        let environment = named(environment, "KLAMM_GROUP_INITIAL_REBALANCE_DELAY_MS");
        let command_line: Vec<String> =
            command_line.iter().map(|value| format!("{DELAY}={value}")).collect();
        let settings = of_broker(Path::new("data"), &wanted, environment, &command_line).unwrap();
        settings.broker.group_initial_rebalance_delay_ms
    }

    #[test]
    fn a_first_member_waits_for_nobody_unless_someone_says_so() {
        assert_eq!(delay(&[], &[], &[]), 0);
        assert_eq!(delay(&["100"], &[], &[]), 100);
        assert_eq!(delay(&["100"], &["200"], &[]), 200);
        assert_eq!(delay(&["100"], &["200"], &["300"]), 300);
    }
}
