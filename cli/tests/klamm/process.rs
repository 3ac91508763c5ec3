//! Starts `klamm`, and ends it with the test.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen within a second; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder, and the `klamm up` that runs in it.
pub(crate) struct Up {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) bootstrap: String,
    listen: String,
    ports: Option<Ports>,
    child: Option<Child>,
    lines: Receiver<String>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("klamm writes UTF-8");
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// `klamm` in `dir`, without the environment's settings.
pub(crate) fn klamm(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klamm"));
    command.current_dir(dir);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KLAMM_")) {
        command.env_remove(name);
    }
    command
}

/// Ports in a row that were free a moment ago, outside of those that the system hands out. Another test
/// takes others as long as the last one of their ten is held.
pub(crate) struct Ports {
    pub(crate) first: u16,
    _last: TcpListener,
}

impl Ports {
    pub(crate) fn take(count: u16) -> Self {
        assert!(count < 10, "the last of ten is held");
        let bind = |port| TcpListener::bind(("127.0.0.1", port)).ok();
        let start = 20_000 + u16::try_from(std::process::id() % 1_000).expect("below 1000") * 10;
        let mut tens = (start..32_000).step_by(10);
        let found = tens.find_map(|first| {
            let last = bind(first + 9)?;
            (first..first + count).all(|port| bind(port).is_some()).then_some((first, last))
        });
        let (first, last) = found.expect("some ports are free");
        Self { first, _last: last }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(child: &Child, name: &str) {
    let told = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(told.expect("there is a kill").success());
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    let until = Instant::now() + PATIENCE;
    while !holds() {
        #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
        let now = Instant::now();
        assert!(now < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test prepares its folder")]
    std::fs::write(path, text).expect("the folder is writable");
}

fn spawn(dir: &Path, listen: &str, arguments: &[&str]) -> (Child, Receiver<String>) {
    let mut child = klamm(dir)
        .args(["up", "--listen", listen, "--http", "off"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("klamm starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (send, lines) = channel();
    #[expect(clippy::disallowed_methods, reason = "reads the pipe so that it never fills up")]
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

impl Up {
    /// Starts `klamm up` on a file with this text, in a folder of its own.
    pub(crate) fn with(yaml: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is room for a folder");
        write(&dir.path().join("orders.yaml"), yaml);
        Self::start(dir, "127.0.0.1:0", None)
    }

    /// As [`Up::with`], with ports for several brokers.
    pub(crate) fn with_brokers(count: u16, yaml: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is room for a folder");
        write(&dir.path().join("orders.yaml"), yaml);
        let ports = Ports::take(count);
        Self::start(dir, &format!("127.0.0.1:{}", ports.first), Some(ports))
    }

    fn start(dir: tempfile::TempDir, listen: &str, ports: Option<Ports>) -> Self {
        let (child, lines) = spawn(dir.path(), listen, &["-f", "orders.yaml"]);
        let listen = listen.to_owned();
        let mut up =
            Self { dir, bootstrap: String::new(), listen, ports, child: Some(child), lines };
        let line = up.wait_for("listening on ");
        let rest = line.strip_prefix("listening on ").expect("it was waited for");
        up.bootstrap = rest.split(", ").next().unwrap_or_default().to_owned();
        up
    }

    /// Waits until a line with `text` is said.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("nobody said {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The file that it watches.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("orders.yaml")
    }

    /// Stops it as Ctrl-C does, and starts it again.
    pub(crate) fn restart(mut self) -> Self {
        self.stop();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("room for a folder"));
        let (listen, ports) = (self.listen.clone(), self.ports.take());
        Self::start(dir, &listen, ports)
    }

    /// Stops it as Ctrl-C does; it must end by itself, and well.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("it is stopped once");
        signal(&child, "INT");
        let status = child.wait().expect("it is our child");
        assert!(status.success(), "{status}");
    }
}

/// A cluster that `klamm` is used against.
pub(crate) trait Shell {
    /// `klamm` with these words, and brokers to begin with.
    fn command(&self, line: &str) -> Command;

    /// Begins a command; its standard input is the caller's to write.
    fn begin(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("klamm starts")
    }

    /// Runs a command.
    fn run(&self, line: &str) -> Said {
        self.run_with(line, "")
    }

    /// Runs a command with this standard input.
    fn run_with(&self, line: &str, input: &str) -> Said {
        let mut child = self.begin(line);
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that does not read its input may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it is our child").into()
    }

    /// Runs a command that must succeed; gives back what it wrote.
    fn ok(&self, line: &str) -> String {
        self.ok_with(line, "")
    }

    /// As [`Shell::ok`], with this standard input.
    fn ok_with(&self, line: &str, input: &str) -> String {
        let said = self.run_with(line, input);
        assert_eq!(said.code, 0, "klamm {line}: {said:?}");
        said.out
    }
}

impl Shell for Up {
    fn command(&self, line: &str) -> Command {
        let mut command = klamm(self.dir.path());
        command.args(line.split(' ')).env("KLAMM_BOOTSTRAP", &self.bootstrap);
        command
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
