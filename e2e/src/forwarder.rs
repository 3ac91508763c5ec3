//! Carries connections on, late: what was read is written after a delay, which can be changed at any time.
//!
//! It is a process of its own, where a broker is (`network.rs`): its arguments are pairs `LISTEN=TARGET`, each line
//! of its input is the delay from now on, in milliseconds. It ends with its input.

use std::io::{Read, Write, stdin};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long a target may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many pieces may be on their way in one direction; beyond it, nothing more is read.
const PIECES_MAX: usize = 256;
const PIECE_BYTES: usize = 64 << 10;

/// Forwards until the input ends.
///
/// # Errors
/// When it cannot listen, or does not understand.
pub fn run(links: impl Iterator<Item = String>) -> Result<()> {
    let delay = Arc::new(AtomicU64::new(0));
    for link in links {
        let (listen, target) = link.split_once('=').context("a link is LISTEN=TARGET")?;
        let (listener, target) = (TcpListener::bind(listen)?, target.parse::<SocketAddr>()?);
        let delay = Arc::clone(&delay);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let delay = Arc::clone(&delay);
                thread::spawn(move || forward(&client, target, &delay));
            }
        });
    }
    for line in stdin().lines() {
        delay.store(line?.trim().parse()?, Ordering::Relaxed);
    }
    Ok(())
}

/// Both ways, until one of them ends.
fn forward(client: &TcpStream, target: SocketAddr, delay: &Arc<AtomicU64>) {
    // Whoever cannot be reached is as good as one that closes at once.
    let Ok(server) = TcpStream::connect_timeout(&target, PATIENCE) else { return };
    let ends = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let (Some((from, to)), Some((back_to, back_from))) = (ends(), ends()) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let other = Arc::clone(delay);
    let there = thread::spawn(move || carry(from, to, &other));
    carry(back_from, back_to, delay);
    let _ = there.join();
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: &AtomicU64) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let writer = thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // It may have ended already.
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let due = Instant::now() + Duration::from_millis(delay.load(Ordering::Relaxed));
        if sender.send((due, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    let _ = writer.join();
    let _ = from.shutdown(Shutdown::Both);
}
