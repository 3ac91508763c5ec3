//! What `klamm cluster kill|stop|start` asks of a running `klamm up`: over a socket in its data directory
//! that only its own user may use, and that is there as long as brokers run. It plays failover for who
//! wants to see it; a cluster of machines has no such thing.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use world::World;

use super::platform::Laptop;
use crate::failure::Failure;

/// The socket's name in the data directory.
pub(crate) const NAME: &str = "control.sock";
/// Only for its user.
const MODE: u32 = 0o600;
/// How often it is looked whether brokers run yet.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest question; an answer is shorter.
const LINE_BYTES_MAX: u64 = 4096;

/// What is done to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Ended without a word, as by a crash.
    Kill,
    /// Stopped in order.
    Stop,
    /// Started again.
    Start,
}

#[derive(Serialize, Deserialize)]
struct Question {
    action: Action,
    broker: i32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    /// Why it was not done.
    error: Option<String>,
}

/// Asks the `klamm up` of the data directory `dir`.
pub(crate) async fn ask(dir: &Path, action: Action, broker: i32) -> Result<(), Failure> {
    let path = dir.join(NAME);
    let nobody = |error: io::Error| {
        Failure::new(format!("no `klamm up` answers on {}: {error}", path.display()))
            .hint("start it, or name its folder with --data-dir; only its own user may ask")
    };
    let mut stream = UnixStream::connect(&path).await.map_err(nobody)?;
    let question = Question { action, broker };
    stream.write_all(&line(&question)).await.map_err(nobody)?;
    let answer: Answer = read(&mut stream).await.map_err(nobody)?;
    answer.error.map_or(Ok(()), |error| Err(Failure::new(error)))
}

/// The socket, which goes with this.
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Opens the socket of the data directory `dir`, whose lock is ours: one that is there is left over.
    fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(NAME);
        match std::os::unix::net::UnixStream::connect(&path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => remove(&path)?,
        }
        let listener = UnixListener::bind(&path)?;
        let socket = Self { listener, path };
        std::fs::set_permissions(&socket.path, std::fs::Permissions::from_mode(MODE))?;
        Ok(socket)
    }

    /// The next who may ask. Whoever connected before the mode was set is looked at as well.
    async fn accept(&self) -> io::Result<UnixStream> {
        let own = std::fs::metadata(&self.path)?;
        loop {
            let (stream, _) = self.listener.accept().await?;
            if stream.peer_cred()?.uid() == std::os::unix::fs::MetadataExt::uid(&own) {
                return Ok(stream);
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may have been removed by hand.
        let _ = remove(&self.path);
    }
}

#[expect(clippy::disallowed_methods, reason = "a socket is no file of the broker's disk")]
fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Answers, for ever, once brokers run.
pub(super) async fn serve(laptop: &Laptop, world: &World) {
    let dir = loop {
        match laptop.dir() {
            Some(dir) => break dir,
            None => world.clock.sleep(LOOK_EVERY).await,
        }
    };
    let socket = match Socket::open(&dir) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "`klamm cluster kill`, `stop` and `start` will not work");
            return std::future::pending().await;
        }
    };
    loop {
        // One after the other: a person asks.
        let answered = match socket.accept().await {
            Ok(stream) => answer(laptop, stream).await,
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "a question was not answered");
            world.clock.sleep(LOOK_EVERY).await;
        }
    }
}

async fn answer(laptop: &Laptop, mut stream: UnixStream) -> io::Result<()> {
    let Question { action, broker } = read(&mut stream).await?;
    let done = match action {
        Action::Kill => laptop.kill_broker(broker).await,
        Action::Stop => laptop.stop_broker(broker).await,
        Action::Start => laptop.start_broker(broker).await,
    };
    stream.write_all(&line(&Answer { error: done.err() })).await
}

fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("it is made of numbers and texts");
    line.push(b'\n');
    line
}

async fn read<T: for<'de> Deserialize<'de>>(stream: &mut UnixStream) -> io::Result<T> {
    let mut line = String::new();
    let mut limited = BufReader::new(tokio::io::AsyncReadExt::take(stream, LINE_BYTES_MAX));
    limited.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}
