//! Kills the brokers of a server one after another, as long as nobody asks for peace.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::process::until;
use crate::server::Hand;

/// How long a broker is away.
const AWAY: Duration = Duration::from_secs(1);
/// How long the brokers may take until all are in sync again.
const LIMIT: Duration = Duration::from_secs(60);

/// A thread that kills brokers and starts them again.
pub struct Reaper {
    is_over: Arc<AtomicBool>,
    kills: Arc<AtomicUsize>,
    /// Held while a broker is away.
    turn: Arc<Mutex<()>>,
    reaping: JoinHandle<Result<()>>,
}

impl Reaper {
    /// Begins with broker 1, and lets all be there for `calm` before the next one goes.
    pub fn begin(hand: Hand, brokers: u16, calm: Duration) -> Self {
        let (is_over, kills) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let turn = Arc::new(Mutex::new(()));
        let (over, count, own) = (Arc::clone(&is_over), Arc::clone(&kills), Arc::clone(&turn));
        let reaping = thread::spawn(move || {
            for broker in (1..=brokers).cycle() {
                thread::sleep(calm);
                let _turn = own.lock().unwrap_or_else(PoisonError::into_inner);
                if over.load(Ordering::Relaxed) {
                    break;
                }
                hand.broker("kill", broker)?;
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep(AWAY);
                hand.broker("start", broker)?;
                until("all brokers are in sync", LIMIT, || Ok(hand.is_whole().then_some(())))?;
            }
            Ok(())
        });
        Self { is_over, kills, turn, reaping }
    }

    /// Does something while all brokers are there.
    pub fn in_peace<R>(&self, act: impl FnOnce() -> R) -> R {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        act()
    }

    /// Waits until one broker more was killed.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn until_next_kill(&self) -> Result<()> {
        let before = self.kills.load(Ordering::Relaxed);
        until("a broker is killed", LIMIT, || {
            Ok((self.kills.load(Ordering::Relaxed) > before).then_some(()))
        })
    }

    /// Ends it; gives how many brokers it killed.
    ///
    /// # Errors
    /// When a broker did not come back.
    pub fn end(self) -> Result<usize> {
        self.is_over.store(true, Ordering::Relaxed);
        self.reaping.join().map_err(|_| anyhow!("the reaper panicked"))??;
        Ok(self.kills.load(Ordering::Relaxed))
    }
}
