//! A child process, and what it says line by line, with the time at which it said it.
//!
//! A process is ended by its id, never by its name, and never outlives its [`Process`].

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::event::Event;

/// How many lines that are no events are kept, the latest.
const NOTES_MAX: usize = 200;
/// How long a process may take to end once it was told to.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How often conditions are looked at.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// How a line becomes an event.
pub type Parse<E = Event> = fn(&str) -> Option<E>;

/// An event, and when it was heard.
#[derive(Clone, Debug)]
pub struct Heard<E = Event> {
    /// When.
    pub at: Instant,
    /// What.
    pub event: E,
}

struct Said<E> {
    events: Vec<Heard<E>>,
    notes: VecDeque<String>,
}

/// A child process. Killed when dropped.
pub struct Process<E = Event> {
    name: String,
    child: Child,
    input: Option<mpsc::Sender<String>>,
    said: Arc<Mutex<Said<E>>>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// The command that `prefix`, a program and its first arguments, runs `command` by.
pub fn around(prefix: &[OsString], command: &Command) -> Command {
    let mut words = prefix.iter().map(OsString::as_os_str).chain([command.get_program()]);
    let mut whole = Command::new(words.next().unwrap_or_default());
    whole.args(words).args(command.get_args());
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(variable, value),
            None => whole.env_remove(variable),
        };
    }
    whole
}

impl<E: Send + 'static> Process<E> {
    /// Starts `command`; both its output streams are parsed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: impl Into<String>, command: &mut Command, parse: Parse<E>) -> Result<Self> {
        let name = name.into();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{name}: running {command:?}"))?;
        let said = Arc::new(Mutex::new(Said { events: Vec::new(), notes: VecDeque::new() }));
        let output = child.stdout.take().context("standard output was piped")?;
        let errors = child.stderr.take().context("standard error was piped")?;
        let readers = vec![listen(output, parse, &said), listen(errors, parse, &said)];
        let input = talk(child.stdin.take().context("standard input was piped")?);
        Ok(Self { name, child, input: Some(input), said, readers })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Looks at all that it said so far.
    pub fn look<R>(&self, at: impl FnOnce(&[Heard<E>]) -> R) -> R {
        at(&lock(&self.said).events)
    }

    /// Takes what it said since the last time.
    pub fn take(&self) -> Vec<Heard<E>> {
        std::mem::take(&mut lock(&self.said).events)
    }

    /// The latest lines that were no events.
    pub fn notes(&self) -> String {
        let said = lock(&self.said);
        said.notes.iter().map(|note| format!("  {}| {note}\n", self.name)).collect()
    }

    /// Gives it a line to read. Never waits until it did: whoever gives much bounds it by what came
    /// back.
    ///
    /// # Errors
    /// When it does not read any more.
    pub fn write(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_ref().context("its input was closed")?;
        let given = input.send(line.to_owned() + "\n");
        given.map_err(|_| anyhow!("{} reads no more\n{}", self.name, self.notes()))
    }

    /// Tells it that there is no more to read.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for its end, and for its last line.
    ///
    /// # Errors
    /// When it has not ended after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                for reader in self.readers.drain(..) {
                    ensure!(reader.join().is_ok(), "{}: cannot read its output", self.name);
                }
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("{} has not ended after {limit:?}\n{}", self.name, self.notes());
            }
            thread::sleep(POLL_EVERY);
        }
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Asks it to end (SIGTERM) and waits until it did.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.ask_to_stop()?;
        self.wait(STOP_LIMIT)
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn ask_to_stop(&mut self) -> Result<()> {
        self.signal("TERM")
    }

    /// Sends it a signal, if it is still there.
    ///
    /// # Errors
    /// When that is refused.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        if self.is_running()? {
            let id = self.id().to_string();
            let sent = Command::new("kill").args(["-s", signal, &id]).status()?;
            ensure!(sent.success(), "{}: cannot signal {id}", self.name);
        }
        Ok(())
    }

    /// Kills it (SIGKILL) and gives the moment at which that was done.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(&mut self) -> Result<Instant> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        let at = Instant::now();
        self.child.wait()?;
        Ok(at)
    }
}

impl<E> Drop for Process<E> {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock<E>(said: &Mutex<Said<E>>) -> MutexGuard<'_, Said<E>> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

fn talk(mut stream: ChildStdin) -> mpsc::Sender<String> {
    let (sender, lines) = mpsc::channel::<String>();
    thread::spawn(move || {
        for line in lines {
            if stream.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    });
    sender
}

fn listen<E: Send + 'static>(
    stream: impl Read + Send + 'static,
    parse: Parse<E>,
    said: &Arc<Mutex<Said<E>>>,
) -> thread::JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line);
            let at = Instant::now();
            let mut said = lock(&said);
            match parse(&line) {
                Some(event) => said.events.push(Heard { at, event }),
                None => {
                    if said.notes.len() == NOTES_MAX {
                        said.notes.pop_front();
                    }
                    said.notes.push_back(line.into_owned());
                }
            }
        }
    })
}

/// A line of `/proc/PID/status` that counts KiB, in bytes: `VmRSS` is now, `VmHWM` was the most.
///
/// # Errors
/// When the system does not tell.
pub fn memory(id: u32, line: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|text| text.trim().strip_suffix(" kB")).context("no such line")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// Looks until `found` gives something.
///
/// # Errors
/// When it has given nothing after `limit`, or failed.
pub fn until<T>(
    what: &str,
    limit: Duration,
    found: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_each(POLL_EVERY, what, limit, found)
}

/// The same, with a pause of one's own between two looks: a look may cost more than what is waited for.
///
/// # Errors
/// As [`until`].
pub fn until_each<T>(
    pause: Duration,
    what: &str,
    limit: Duration,
    mut found: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let give_up = Instant::now() + limit;
    loop {
        if let Some(found) = found()? {
            return Ok(found);
        }
        if Instant::now() > give_up {
            bail!("waited {limit:?} in vain until {what}");
        }
        thread::sleep(pause);
    }
}
