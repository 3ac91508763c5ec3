//! Stands between clients and a broker, and writes down the frames that clients send.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use wire::ApiKey;
use wire::frame::LENGTH_BYTES;

use super::Frame;

/// Frames kept of one author, API and version: the shortest and the longest.
const KEPT: usize = 2;
/// Longer frames are not kept: they would show nothing that shorter ones do not.
const BYTES_MAX: usize = 3000;

type Heard = BTreeMap<(String, ApiKey, i16), Vec<Frame>>;

/// A port that leads to a broker.
pub struct Recorder {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Where connections lead to.
    broker: u16,
    /// Who is being recorded.
    author: String,
    heard: Heard,
}

impl Recorder {
    /// Listens; connections are accepted until the process ends.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (broker, author) = {
                    let state = lock(&shared);
                    (state.broker, state.author.clone())
                };
                // A client whose connection breaks tries again, and says so if it gives up.
                let _ = pass(client, broker, author, &shared);
            }
        });
        Ok(Self { port, state })
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections lead to this port from now on.
    pub fn lead_to(&self, broker: u16) {
        lock(&self.state).broker = broker;
    }

    /// New connections are this client's.
    pub fn listen_to(&self, author: &str) {
        author.clone_into(&mut lock(&self.state).author);
    }

    /// What was heard, by author, API and version.
    pub fn heard(&self) -> Vec<Frame> {
        lock(&self.state).heard.values().flatten().cloned().collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass(
    mut client: TcpStream,
    broker: u16,
    author: String,
    state: &Arc<Mutex<State>>,
) -> Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", broker))?;
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // Either side may end first; the other one is told.
        let _ = std::io::copy(&mut answers, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        while let Some(bytes) = read(&mut client) {
            keep(&state, &author, &bytes);
            if server.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// The next frame, length prefix included; `None` when there is no more.
fn read(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; LENGTH_BYTES];
    client.read_exact(&mut bytes).ok()?;
    let length = u32::from_be_bytes(*bytes.first_chunk()?);
    bytes.resize(LENGTH_BYTES + usize::try_from(length).ok()?, 0);
    client.read_exact(&mut bytes[LENGTH_BYTES..]).ok()?;
    Some(bytes)
}

fn keep(state: &Mutex<State>, author: &str, bytes: &[u8]) {
    if bytes.len() > BYTES_MAX {
        return;
    }
    let Ok(frame) = Frame::new(author, bytes.to_vec()) else { return };
    let mut state = lock(state);
    let kept = state.heard.entry((author.to_owned(), frame.key, frame.version)).or_default();
    kept.push(frame);
    kept.sort_by_key(|frame| frame.bytes.len());
    if kept.len() > KEPT {
        kept.remove(1);
    }
}
