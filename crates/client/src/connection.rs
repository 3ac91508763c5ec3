//! One connection: frames out in order, answers back in order, each within its time.
//!
//! A connection owns one task, which writes what is queued and hands answers to those who wait. Kafka
//! answers a connection's requests in their order, so answers are matched by position, and the
//! correlation id only checks it. A request that times out ends the connection: what a broker would
//! answer later has nobody to go to.
//!
//! What is absent: whom to ask (`cluster.rs`), and any retry.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use wire::{ApiKey, ApiVersionsRequest, ErrorCode, Request, Str, frame};
use world::World;

use crate::error::Error;

/// Requests that may wait to be written; beyond it, askers wait.
const QUEUE_MAX: usize = 64;
/// The largest answer that is read: above Kafka's largest fetch (`fetch.max.bytes`, 55 MiB) with room
/// for one batch of `socket.request.max.bytes` (100 MiB).
const ANSWER_BYTES_MAX: usize = 160 << 20;
/// How long connecting and asking for versions may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the first request is asked at: every broker since 2.4 understands it, and older ones say so.
const API_VERSIONS_VERSION: i16 = 3;

/// A connection to one broker. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct Connection {
    inner: Rc<Inner>,
}

struct Inner {
    world: World,
    address: String,
    client_id: Str,
    queue: mpsc::Sender<Outgoing>,
    next_correlation: Cell<i32>,
    versions: RefCell<BTreeMap<i16, RangeInclusive<i16>>>,
    shared: Rc<Shared>,
}

/// What the task and the askers both see.
#[derive(Default)]
struct Shared {
    /// Why the connection is of no more use.
    failure: RefCell<Option<String>>,
}

struct Outgoing {
    frame: wire::Segments,
    correlation: i32,
    /// `None` if nothing will be answered (Produce with acks=0): told when it is written.
    answer: oneshot::Sender<Bytes>,
    is_answered: bool,
}

impl Connection {
    /// Connects to `host:port` and asks which versions it speaks.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if there is no connection, or what the first request meets.
    pub async fn open(
        world: &World,
        host: &str,
        port: u16,
        client_id: &str,
    ) -> Result<Self, Error> {
        let address = format!("{host}:{port}");
        let unreachable = |reason: String| Error::Unreachable { address: address.clone(), reason };
        let stream = tokio::select! {
            biased;
            stream = world.net.connect(host, port) => stream.map_err(|e| unreachable(e.to_string()))?,
            () = world.clock.sleep(CONNECT_TIMEOUT) => {
                return Err(unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())));
            }
        };
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let shared = Rc::new(Shared::default());
        let (read, write) = tokio::io::split(stream);
        let task_shared = Rc::clone(&shared);
        world::tasks::spawn_local(async move {
            let reason = carry(read, write, queued).await;
            *task_shared.failure.borrow_mut() = Some(reason);
        });
        let inner = Inner {
            world: world.clone(),
            address,
            client_id: Str::from(client_id),
            queue,
            next_correlation: Cell::new(0),
            versions: RefCell::default(),
            shared,
        };
        let this = Self { inner: Rc::new(inner) };
        this.ask_versions().await?;
        Ok(this)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Whether the connection ended.
    pub fn is_closed(&self) -> bool {
        self.inner.shared.failure.borrow().is_some() || self.inner.queue.is_closed()
    }

    /// The newest version of `R` that both sides speak, and that is at most `newest`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is none.
    pub fn version<R: Request>(&self, newest: i16) -> Result<i16, Error> {
        let ours = R::API_KEY.versions();
        if R::API_KEY.is_private() {
            // Klamm's own are advertised to nobody; a broker without them closes the connection, and so does
            // a listener that is not internal.
            return Ok(*ours.end());
        }
        let theirs = self.inner.versions.borrow().get(&R::API_KEY.number()).cloned();
        if let Some(theirs) = &theirs {
            let both = (*ours.end()).min(*theirs.end()).min(newest);
            if both >= *ours.start() && both >= *theirs.start() {
                return Ok(both);
            }
        }
        let address = self.inner.address.clone();
        Err(Error::Unsupported { address, api: R::API_KEY, ours, theirs })
    }

    /// Asks at the newest common version.
    ///
    /// # Errors
    /// When the connection breaks, or no answer comes within `timeout`. Error codes inside of the
    /// answer are the caller's to read.
    pub async fn ask<R: Request>(&self, body: &R, timeout: Duration) -> Result<R::Response, Error> {
        self.ask_at(body, self.version::<R>(i16::MAX)?, timeout).await
    }

    /// Asks at `version`.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub async fn ask_at<R: Request>(
        &self,
        body: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, Error> {
        let (correlation, answer) = self.enqueue(body, version, true, timeout).await?;
        let frame = self.wait(answer, R::API_KEY, timeout).await?;
        let bad = |source| {
            let address = self.inner.address.clone();
            Error::BadAnswer { address, api: R::API_KEY, source }
        };
        let (found, body) = frame::decode_response(frame, version).map_err(bad)?;
        if found != correlation {
            self.fail(format!("answer {found} came where {correlation} was due"));
            return Err(self.disconnected(R::API_KEY));
        }
        Ok(body)
    }

    /// Sends what will not be answered; done when it is written.
    ///
    /// # Errors
    /// When the connection breaks, or the request cannot be written within `timeout`.
    pub async fn tell<R: Request>(
        &self,
        body: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<(), Error> {
        let (_, written) = self.enqueue(body, version, false, timeout).await?;
        self.wait(written, R::API_KEY, timeout).await.map(|_| ())
    }

    async fn enqueue<R: Request>(
        &self,
        body: &R,
        version: i16,
        is_answered: bool,
        timeout: Duration,
    ) -> Result<(i32, oneshot::Receiver<Bytes>), Error> {
        let correlation = self.inner.next_correlation.get();
        self.inner.next_correlation.set(correlation.wrapping_add(1));
        let frame = frame::request(body, version, correlation, Some(&self.inner.client_id))
            .map_err(|source| Error::BadQuestion { api: R::API_KEY, source })?;
        let (answer, answered) = oneshot::channel();
        let outgoing = Outgoing { frame, correlation, answer, is_answered };
        tokio::select! {
            biased;
            sent = self.inner.queue.send(outgoing) => match sent {
                Ok(()) => Ok((correlation, answered)),
                Err(_) => Err(self.disconnected(R::API_KEY)),
            },
            () = self.inner.world.clock.sleep(timeout) => Err(self.timed_out(R::API_KEY, timeout)),
        }
    }

    async fn wait(
        &self,
        answer: oneshot::Receiver<Bytes>,
        api: ApiKey,
        timeout: Duration,
    ) -> Result<Bytes, Error> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| self.disconnected(api)),
            () = self.inner.world.clock.sleep(timeout) => Err(self.timed_out(api, timeout)),
        }
    }

    fn timed_out(&self, api: ApiKey, after: Duration) -> Error {
        self.fail(format!("{api} was not answered in time"));
        Error::TimedOut { address: self.inner.address.clone(), api, after }
    }

    fn fail(&self, reason: String) {
        self.inner.shared.failure.borrow_mut().get_or_insert(reason);
    }

    fn disconnected(&self, api: ApiKey) -> Error {
        let failure = self.inner.shared.failure.borrow().clone();
        let reason = failure.unwrap_or_else(|| "the end of the stream".to_owned());
        let address = self.inner.address.clone();
        Error::Disconnected { address, is_private: api.is_private(), reason }
    }

    /// KIP-35; a broker that lacks our version answers at version 0 and says which it has (KIP-511).
    async fn ask_versions(&self) -> Result<(), Error> {
        let body = ApiVersionsRequest {
            client_software_name: Str::from_static("klamm"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
            ..Default::default()
        };
        let (_, answer) = self.enqueue(&body, API_VERSIONS_VERSION, true, CONNECT_TIMEOUT).await?;
        let frame = self.wait(answer, ApiKey::ApiVersions, CONNECT_TIMEOUT).await?;
        let read =
            |version| frame::decode_response::<wire::ApiVersionsResponse>(frame.clone(), version);
        let (_, answer) =
            read(API_VERSIONS_VERSION).or_else(|_| read(0)).map_err(|source| Error::BadAnswer {
                address: self.inner.address.clone(),
                api: ApiKey::ApiVersions,
                source,
            })?;
        let answer = if answer.error_code == ErrorCode::UnsupportedVersion.number() {
            self.ask_at(&ApiVersionsRequest::default(), 0, CONNECT_TIMEOUT).await?
        } else {
            answer
        };
        Error::check(answer.error_code, || self.inner.address.clone(), None)?;
        let speaks =
            answer.api_keys.iter().map(|api| (api.api_key, api.min_version..=api.max_version));
        *self.inner.versions.borrow_mut() = speaks.collect();
        Ok(())
    }
}

/// An asker who waits: the correlation id is checked by the asker, who decodes the header.
type Waiting = Rc<RefCell<VecDeque<oneshot::Sender<Bytes>>>>;

/// Writes what is queued and reads what is answered until either ends; says why.
async fn carry(
    read: impl AsyncRead + Unpin,
    write: impl AsyncWrite + Unpin,
    queued: mpsc::Receiver<Outgoing>,
) -> String {
    let waiting = Waiting::default();
    let outcome = tokio::select! {
        biased;
        outcome = read_answers(read, &waiting) => outcome,
        outcome = write_requests(write, queued, &waiting) => outcome,
    };
    match outcome {
        Ok(()) => "nobody uses it any more".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the end of the stream".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

async fn write_requests(
    mut write: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<Outgoing>,
    waiting: &Waiting,
) -> std::io::Result<()> {
    while let Some(outgoing) = queued.recv().await {
        // Before the write: the answer may come before the write is seen to be done.
        let unanswered = if outgoing.is_answered {
            waiting.borrow_mut().push_back(outgoing.answer);
            None
        } else {
            Some(outgoing.answer)
        };
        for chunk in outgoing.frame.as_slice() {
            write.write_all(chunk).await?;
        }
        write.flush().await?;
        if let Some(told) = unanswered {
            // Who asked may have given up.
            let _ = told.send(Bytes::new());
        }
        tracing::trace!(correlation = outgoing.correlation, "request written");
    }
    Ok(())
}

async fn read_answers(mut read: impl AsyncRead + Unpin, waiting: &Waiting) -> std::io::Result<()> {
    loop {
        let mut prefix = [0; frame::LENGTH_BYTES];
        read.read_exact(&mut prefix).await?;
        let length = frame::length(&prefix, ANSWER_BYTES_MAX).map_err(std::io::Error::other)?;
        let length = length.expect("the prefix was read whole");
        // The buffer grows with the bytes that really come: a length alone costs nothing.
        let mut answer = BytesMut::with_capacity(length.min(64 << 10));
        let mut limited = (&mut read).take(length as u64);
        while answer.len() < length {
            if limited.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let Some(asker) = waiting.borrow_mut().pop_front() else {
            return Err(std::io::Error::other("an answer came that nobody asked for"));
        };
        // Who asked may have given up.
        let _ = asker.send(answer.freeze());
    }
}
