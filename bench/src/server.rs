//! What a broker's process has used, and what others took meanwhile, as the kernel counts them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Linux counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// The kernel thread that is the parent of all kernel threads.
const KTHREADD: u32 = 2;

/// What `/proc/PID/stat` tells of a process.
struct Stat {
    parent: u32,
    user: f64,
    system: f64,
}

impl Stat {
    fn parse(line: &str) -> Result<Self> {
        // The name may hold spaces; fields are counted from behind it.
        let rest = line.rsplit_once(") ").context("the kernel's format")?.1;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |number: usize| fields.get(number).copied().context("a short line");
        Ok(Self {
            parent: field(1)?.parse()?,
            user: field(11)?.parse::<f64>()? / TICKS_PER_SECOND,
            system: field(12)?.parse::<f64>()? / TICKS_PER_SECOND,
        })
    }
}

/// User and system seconds that a process has used so far.
pub(crate) fn cpu_seconds(pid: u32) -> Result<(f64, f64)> {
    let stat = Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat"))?)?;
    Ok((stat.user, stat.system))
}

fn cpu_of(pids: &[u32]) -> Result<(f64, f64)> {
    pids.iter().try_fold((0.0, 0.0), |(user, system), pid| {
        let (more_user, more_system) = cpu_seconds(*pid)?;
        Ok((user + more_user, system + more_system))
    })
}

/// Resident bytes of a process.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1024)
}

/// CPU seconds so far of every process on the machine.
struct Everyone {
    /// User processes, by id.
    processes: BTreeMap<u32, f64>,
    /// Kernel threads together: writing back what brokers wrote is billed to nobody else.
    kernel: f64,
    /// What a hypervisor gave to others.
    stolen: f64,
}

impl Everyone {
    fn now() -> Result<Self> {
        let mut everyone = Self { processes: BTreeMap::new(), kernel: 0.0, stolen: 0.0 };
        for entry in std::fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may end between the listing and here.
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let stat = Stat::parse(&stat)?;
            if pid == KTHREADD || stat.parent == KTHREADD {
                everyone.kernel += stat.user + stat.system;
            } else {
                everyone.processes.insert(pid, stat.user + stat.system);
            }
        }
        let stat = std::fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().context("an empty /proc/stat")?;
        // cpu user nice system idle iowait irq softirq steal
        let stolen = first.split_whitespace().nth(8).unwrap_or("0");
        everyone.stolen = stolen.parse::<f64>()? / TICKS_PER_SECOND;
        Ok(everyone)
    }

    /// What processes other than `ours` used since `before`.
    fn foreign_since(&self, before: &Self, ours: &[u32]) -> f64 {
        let used = |(pid, now): (&u32, &f64)| now - before.processes.get(pid).unwrap_or(&0.0);
        let others = self.processes.iter().filter(|(pid, _)| !ours.contains(pid));
        others.map(used).sum::<f64>() + self.stolen - before.stolen
    }
}

/// Measures what happens between two calls.
pub(crate) struct Meter {
    pids: Vec<u32>,
    server: (f64, f64),
    own: (f64, f64),
    everyone: Everyone,
    begun: std::time::Instant,
}

/// What a stretch of work has cost. CPU in seconds.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) server_user: f64,
    pub(crate) server_system: f64,
    pub(crate) client_cpu: f64,
    /// Of kernel threads, most of it writing back.
    pub(crate) kernel_cpu: f64,
    /// Of processes that take no part, and what a hypervisor took.
    pub(crate) foreign_cpu: f64,
    /// Bytes, of all processes together.
    pub(crate) server_resident: u64,
}

impl Cost {
    pub(crate) fn server_cpu(&self) -> f64 {
        self.server_user + self.server_system
    }

    /// Which part of the whole machine was taken by others.
    pub(crate) fn foreign_share(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        self.foreign_cpu / (self.seconds * cores)
    }
}

impl Meter {
    /// Of these processes together.
    pub(crate) fn start(pids: &[u32]) -> Result<Self> {
        let everyone = Everyone::now()?;
        let server = cpu_of(pids)?;
        let own = cpu_seconds(std::process::id())?;
        let pids = pids.to_vec();
        Ok(Self { pids, server, own, everyone, begun: std::time::Instant::now() })
    }

    pub(crate) fn stop(&self) -> Result<Cost> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let server = cpu_of(&self.pids)?;
        let own = cpu_seconds(std::process::id())?;
        let everyone = Everyone::now()?;
        let ours: Vec<u32> = self.pids.iter().copied().chain([std::process::id()]).collect();
        Ok(Cost {
            seconds,
            server_user: server.0 - self.server.0,
            server_system: server.1 - self.server.1,
            client_cpu: own.0 + own.1 - self.own.0 - self.own.1,
            kernel_cpu: everyone.kernel - self.everyone.kernel,
            foreign_cpu: everyone.foreign_since(&self.everyone, &ours),
            server_resident: self
                .pids
                .iter()
                .try_fold(0, |sum, pid| anyhow::Ok(sum + resident_bytes(*pid)?))?,
        })
    }
}
