//! Kafka's own `kafka-features` against Klamm: what it shows, and what it may change.

use anyhow::{Result, ensure};
use e2e::kafka::Kafka;
use e2e::server::{Server, is_control};

const FEATURE: &str = "klamm.metadata.version";

struct Tool<'a> {
    kafka: &'a Kafka,
    address: String,
}

impl Tool<'_> {
    fn run(&self, line: &str) -> Result<String> {
        let mut arguments = vec!["--bootstrap-server", &self.address];
        arguments.extend(line.split(' '));
        self.kafka.tool("org.apache.kafka.tools.FeatureCommand", &arguments)
    }

    /// The line about our feature.
    fn finalized(&self) -> Result<String> {
        let said = self.run("describe")?;
        let line = said.lines().find(|line| line.contains(FEATURE)).map(str::to_owned);
        line.ok_or_else(|| anyhow::anyhow!("it is not shown: {said}"))
    }
}

#[test]
fn kafkas_tool_shows_lowers_and_raises_a_level() -> Result<()> {
    if is_control() {
        return Ok(());
    }
    let Some(kafka) = Kafka::find()? else { return Ok(()) };
    let server = Server::start(&[])?;
    let tool = Tool { kafka: &kafka, address: server.address() };
    let shown = tool.finalized()?;
    for what in ["SupportedMinVersion: 1", "SupportedMaxVersion: 2", "FinalizedVersionLevel: 2"] {
        ensure!(shown.contains(what), "{what}: {shown}");
    }
    for (line, says, level) in [
        (format!("downgrade --feature {FEATURE}=1 --dry-run"), "can be downgraded to 1", 2),
        (format!("downgrade --feature {FEATURE}=1"), "was downgraded to 1", 1),
        (format!("upgrade --feature {FEATURE}=3"), "supports levels 1 to 2", 1),
        (format!("upgrade --feature {FEATURE}=2"), "was upgraded to 2", 2),
        ("upgrade --feature group.version=1".to_owned(), "there is no such feature here", 2),
    ] {
        let said = tool.run(&line)?;
        ensure!(said.contains(says), "{line}: {said}");
        let shown = tool.finalized()?;
        ensure!(shown.contains(&format!("FinalizedVersionLevel: {level}")), "{line}: {shown}");
    }
    Ok(())
}
