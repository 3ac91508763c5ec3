//! A network of its own: one namespace per broker, all on one bridge, and cuts between them.
//!
//! Only inside of a room (`room.rs`). Whoever runs in the room itself, such as clients, is at
//! 10.77.0.254, broker 3 at 10.77.0.3.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cache::run;
use crate::process::{Process, around};
use crate::room;

/// What it needs beside root.
pub const TOOLS: &[&str] = &["nft"];
const BRIDGE: &str = "bridge";
/// Where brokers listen for each other and for clients.
pub const CLIENTS: u16 = 9092;
/// Where they are reached by forwarders.
const FORWARDED: u16 = 19_092;
/// How a program is told to be a forwarder.
pub const FORWARD: &str = "forward";

/// Brokers' namespaces, and what is cut.
pub struct Network {
    brokers: Vec<i32>,
    /// What connections between brokers pass through, where they begin.
    forwarders: BTreeMap<i32, Process>,
}

/// What a broker is cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Everybody, both ways.
    All,
    /// The other brokers, both ways; clients still reach it.
    Peers,
    /// It hears nothing from the other brokers; they hear it.
    FromPeers,
    /// The other brokers hear nothing from it; it hears them.
    ToPeers,
}

impl Cut {
    /// Whether it keeps what comes in, and what goes out.
    fn keeps(self) -> (bool, bool) {
        (self != Self::ToPeers, self != Self::FromPeers)
    }
}

impl Network {
    /// Makes namespaces for these brokers.
    ///
    /// # Errors
    /// Outside of a room, or when the system refuses.
    pub fn lay(brokers: &[i32]) -> Result<Self> {
        ensure!(room::is_inside(), "a network is laid inside of a room only");
        // Names of namespaces are files below.
        run(Command::new("mount").args(["-t", "tmpfs", "none", "/run"]))?;
        ip("link set lo up")?;
        ip(&format!("link add {BRIDGE} type bridge"))?;
        ip(&format!("addr add {}/24 dev {BRIDGE}", address(254)))?;
        ip(&format!("link set {BRIDGE} up"))?;
        for id in brokers {
            let name = name(*id);
            ip(&format!("netns add {name}"))?;
            ip(&format!("link add port-{id} type veth peer name eth0 netns {name}"))?;
            ip(&format!("link set port-{id} master {BRIDGE} up"))?;
            ip(&format!("-n {name} addr add {}/24 dev eth0", address(*id)))?;
            ip(&format!("-n {name} link set eth0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
        }
        Ok(Self { brokers: brokers.to_vec(), forwarders: BTreeMap::new() })
    }

    /// Where broker `id` is.
    pub fn address(&self, id: i32) -> IpAddr {
        address(id)
    }

    /// `command`, to be run where broker `id` is.
    pub fn within(&self, id: i32, command: &Command) -> Command {
        let name = name(id);
        around(&["ip", "netns", "exec", &name].map(OsString::from), command)
    }

    /// Has connections from broker to broker pass through forwarders, which can delay them: this program,
    /// told to `forward`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn add_forwarders(&mut self) -> Result<()> {
        if !self.forwarders.is_empty() {
            return Ok(());
        }
        for id in self.brokers.clone() {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(FORWARD);
            let mut rules =
                "table ip forwarders { chain out { type nat hook output priority -100; ".to_owned();
            for peer in self.brokers.iter().filter(|peer| **peer != id) {
                let (at, own) = (address(*peer), 20_000 + peer);
                let _ = write!(rules, "ip daddr {at} tcp dport {CLIENTS} redirect to :{own}; ");
                command.arg(format!("127.0.0.1:{own}={at}:{FORWARDED}"));
            }
            // What a forwarder sends arrives where it was meant to.
            let _ = write!(
                rules,
                "}}; chain in {{ type nat hook prerouting priority -100; \
                 tcp dport {FORWARDED} redirect to :{CLIENTS}; }}; }}"
            );
            run(&mut self.within(id, Command::new("nft").arg(rules)))?;
            let mut command = self.within(id, &command);
            let forwarder = Process::start(format!("forwarder {id}"), &mut command, |_| None)?;
            self.forwarders.insert(id, forwarder);
        }
        Ok(())
    }

    /// Delays all connections that broker `id` made to others, both ways.
    ///
    /// # Errors
    /// Without forwarders.
    pub fn delay(&mut self, id: i32, delay: Duration) -> Result<()> {
        let forwarder = self.forwarders.get_mut(&id).context("there are no forwarders")?;
        forwarder.write(&delay.as_millis().to_string())
    }

    /// Drops all packets on these ways from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut(&self, id: i32, cut: Cut) -> Result<()> {
        let peers: Vec<String> = self
            .brokers
            .iter()
            .filter(|peer| **peer != id)
            .map(|peer| address(*peer).to_string())
            .collect();
        let peers = peers.join(", ");
        let mut rules = "table ip cut {".to_owned();
        let (from, to) = cut.keeps();
        for (kept, hook, whose) in [(from, "input", "saddr"), (to, "output", "daddr")] {
            if !kept {
                continue;
            }
            let whom = if cut == Cut::All { "10.77.0.0/24" } else { &peers };
            // Itself is never cut off.
            let _ = write!(
                rules,
                "chain {hook} {{ type filter hook {hook} priority 0; \
                 ip saddr {own} ip daddr {own} accept; ip {whose} {{ {whom} }} drop; }}; ",
                own = address(id),
            );
        }
        rules.push('}');
        self.heal(id)?;
        run(&mut self.within(id, Command::new("nft").arg(rules))).map(drop)
    }

    /// Undoes the cuts of broker `id`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn heal(&self, id: i32) -> Result<()> {
        let none = "add table ip cut; delete table ip cut";
        run(&mut self.within(id, Command::new("nft").arg(none))).map(drop)
    }
}

fn name(id: i32) -> String {
    format!("broker-{id}")
}

fn address(id: i32) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(id).expect("a broker's id is small")).into()
}

fn ip(arguments: &str) -> Result<()> {
    run(Command::new("ip").args(arguments.split(' '))).map(drop)
}
