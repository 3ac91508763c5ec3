//! What a broker's process has used: CPU and memory, as the kernel counts them.

use anyhow::{Context, Result};

/// Linux counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system seconds that a process has used so far.
pub(crate) fn cpu_seconds(pid: u32) -> Result<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold spaces; fields are counted from behind it.
    let rest = stat.rsplit_once(") ").context("the kernel's format")?.1;
    let field = |number: usize| -> Result<f64> {
        Ok(rest.split(' ').nth(number).context("a short line")?.parse::<f64>()?)
    };
    Ok((field(11)? / TICKS_PER_SECOND, field(12)? / TICKS_PER_SECOND))
}

/// Resident bytes of a process.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1024)
}

/// Measures what happens between two calls.
pub(crate) struct Meter {
    pid: Option<u32>,
    server: (f64, f64),
    own: (f64, f64),
    begun: std::time::Instant,
}

/// What a stretch of work has cost.
#[derive(serde::Serialize)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) server_user: f64,
    pub(crate) server_system: f64,
    pub(crate) client_cpu: f64,
    pub(crate) server_resident: u64,
}

impl Meter {
    pub(crate) fn start(pid: Option<u32>) -> Result<Self> {
        let server = pid.map_or(Ok((0.0, 0.0)), cpu_seconds)?;
        let own = cpu_seconds(std::process::id())?;
        Ok(Self { pid, server, own, begun: std::time::Instant::now() })
    }

    pub(crate) fn stop(&self) -> Result<Cost> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let server = self.pid.map_or(Ok((0.0, 0.0)), cpu_seconds)?;
        let own = cpu_seconds(std::process::id())?;
        Ok(Cost {
            seconds,
            server_user: server.0 - self.server.0,
            server_system: server.1 - self.server.1,
            client_cpu: own.0 + own.1 - self.own.0 - self.own.1,
            server_resident: self.pid.map_or(Ok(0), resident_bytes)?,
        })
    }
}
