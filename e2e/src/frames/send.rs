//! Sends frames over many connections at once, one frame in flight on each: what ends a connection is
//! the doing of the frame that was sent last, and no frame behind it is lost.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use wire::frame::{Head, LENGTH_BYTES};

use super::mutate::{Mutated, Mutator};

/// Connections at once.
const CONNECTIONS: usize = 48;
/// How long an answer is waited for. A join or a long poll takes longer; so does a frame of which the
/// broker waits for more.
const PATIENCE: Duration = Duration::from_millis(40);
/// How often the caller looks at the broker meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What became of frames.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// How many frames named this API and version, by their numbers on the wire.
    pub named: BTreeMap<(i16, i16), u64>,
    /// Frames that were answered.
    pub answered: u64,
    /// Frames that ended their connection.
    pub closed: u64,
    /// Frames that got no answer for as long as we waited.
    pub silent: u64,
}

enum Outcome {
    Answered,
    Closed,
    Silent,
}

/// Sends `count` frames; `look` is called now and then with how many were begun.
///
/// # Errors
/// When the broker cannot be reached, answers out of order, or `look` fails.
pub fn all(
    port: u16,
    mutator: &Mutator,
    count: u64,
    mut look: impl FnMut(u64) -> Result<()>,
) -> Result<Sent> {
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let run = || {
        let mut sent = Sent::default();
        let mut connection = None;
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let frame = mutator.frame(number, count);
            one(port, &mut connection, &frame, &mut sent)
                .with_context(|| format!("frame {number}: {:02x?}", frame.bytes))?;
        }
        anyhow::Ok(sent)
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(run)).collect();
        let mut looked = Ok(());
        while looked.is_ok() && !running.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(LOOK_EVERY);
            looked = look(next.load(Ordering::Relaxed).min(count));
        }
        is_over.store(true, Ordering::Relaxed);
        let mut total = Sent::default();
        for one in running {
            total.add(one.join().map_err(|_| anyhow!("a sender panicked"))??);
        }
        looked.map(|()| total)
    })
}

impl Sent {
    fn add(&mut self, other: Self) {
        for (named, count) in other.named {
            *self.named.entry(named).or_default() += count;
        }
        self.answered += other.answered;
        self.closed += other.closed;
        self.silent += other.silent;
    }
}

/// Sends one frame, on a new connection if there is none.
fn one(
    port: u16,
    connection: &mut Option<TcpStream>,
    frame: &Mutated,
    sent: &mut Sent,
) -> Result<()> {
    if let Some(named) = Head::peek(&frame.bytes[LENGTH_BYTES..]) {
        *sent.named.entry(named).or_default() += 1;
    }
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => connect(port)?,
    };
    match exchange(&mut stream, frame)? {
        Outcome::Answered => {
            sent.answered += 1;
            // After an answer to half a frame, the rest of it is still to be answered.
            *connection = frame.is_whole.then_some(stream);
        }
        Outcome::Closed => sent.closed += 1,
        Outcome::Silent => sent.silent += 1,
    }
    Ok(())
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn exchange(stream: &mut TcpStream, frame: &Mutated) -> Result<Outcome> {
    let read = stream.write_all(&frame.bytes).and_then(|()| answer(stream));
    match read {
        Ok(answer) => {
            if frame.is_whole {
                let asked = frame.bytes.get(8..12).context("answered less than a header")?;
                ensure!(answer.get(..4) == Some(asked), "answered something else: {answer:02x?}");
            }
            Ok(Outcome::Answered)
        }
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Outcome::Silent),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Ok(Outcome::Closed)
            }
            _ => Err(error.into()),
        },
    }
}

/// The next response, without its length.
fn answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length));
    let mut answer = vec![0; length.map_err(|_| io::Error::other("a negative length"))?];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
