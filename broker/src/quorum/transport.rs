//! What voters tell one another, as the private Kafka request `QuorumMessage`.
//!
//! A message names the cluster and the data directory that it is meant for. A node that is another one by
//! now, because its disk was replaced, takes none of those that are meant for its old self: it cannot
//! vote twice.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::connection::Connection;
use engine::BrokerId;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use wire::{ErrorCode, QuorumMessageRequest, Str, Uuid};
use world::World;

use super::codec::{Code, Malformed};
use super::history::Histories;
use super::proposal::{Types, Vote, Voter};
use super::state_machine::Snapshot;

/// How long a voter may take to store entries.
const APPEND_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a whole snapshot may take to a voter.
const SNAPSHOT_TIME_MAX: Duration = Duration::from_secs(60);

/// The answer to whoever speaks for a history that is over.
pub(super) const OUTDATED: ErrorCode = ErrorCode::StaleControllerEpoch;

/// What a message is about; the number is the request's `Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who are you, and do you have data? The only one that strangers are answered.
    Hello = 0,
    PreVote = 1,
    Vote = 2,
    Append = 3,
    Snapshot = 4,
    TransferLeader = 5,
}

impl Kind {
    pub(super) fn from_number(number: i8) -> Option<Self> {
        [Self::Hello, Self::PreVote, Self::Vote, Self::Append, Self::Snapshot, Self::TransferLeader]
            .into_iter()
            .find(|kind| *kind as i8 == number)
    }
}

/// Who this node is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cluster_id: Arc<str>,
    pub(crate) node: BrokerId,
    pub(crate) directory: Uuid,
}

impl Identity {
    /// The node's id as openraft has it.
    pub(super) fn id(&self) -> u64 {
        id_of(self.node)
    }
}

/// A node's id as openraft has it.
pub(super) fn id_of(node: BrokerId) -> u64 {
    u64::try_from(node.0).expect("node ids are not negative")
}

/// openraft's id as everybody else has it.
pub(super) fn node_of(id: u64) -> BrokerId {
    BrokerId(i32::try_from(id).expect("all ids were node ids"))
}

/// Why a peer's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("node {0} has no address; hint: controller.quorum.voters")]
    NoAddress(u64),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error("refused: {0}")]
    Refused(Str),
    #[error("this node's metadata are of before a recovery")]
    Outdated,
    #[error("cannot be read: {0}")]
    Malformed(#[from] Malformed),
}

/// What all peers of this node share.
#[derive(Clone)]
pub(super) struct Way(Rc<Shared>);

struct Shared {
    world: World,
    identity: Identity,
    /// Where voters are, as this node's settings say.
    addresses: BTreeMap<u64, (String, u16)>,
    histories: Rc<Histories>,
}

impl Way {
    pub(super) fn new(
        world: World,
        identity: Identity,
        addresses: BTreeMap<u64, (String, u16)>,
        histories: Rc<Histories>,
    ) -> Self {
        Self(Rc::new(Shared { world, identity, addresses, histories }))
    }

    /// The way to node `target`, whose disk is `directory`; zero if that is to be found out. It is where
    /// the settings say, or at `address`.
    pub(super) fn to(&self, target: u64, directory: Uuid, address: &str) -> Peer {
        let told = self.0.addresses.get(&target).cloned();
        let kept = || {
            let (host, port) = address.rsplit_once(':')?;
            Some((host.to_owned(), port.parse().ok()?))
        };
        let address = told.or_else(kept);
        Peer { way: self.clone(), target, directory, address, connection: RefCell::default() }
    }
}

/// The way to one voter: a connection that is kept until it fails.
pub(super) struct Peer {
    way: Way,
    target: u64,
    directory: Uuid,
    address: Option<(String, u16)>,
    connection: RefCell<Option<Connection>>,
}

impl Peer {
    /// Asks, within `time`.
    pub(super) async fn ask<Q: Code, A: Code>(
        &self,
        kind: Kind,
        question: &Q,
        time: Duration,
    ) -> Result<A, AskError> {
        let Shared { world, identity, histories, .. } = &*self.way.0;
        let history = histories.own();
        let request = QuorumMessageRequest {
            cluster_id: Str::from(&*identity.cluster_id),
            from: identity.node.0,
            from_directory: identity.directory,
            to_directory: self.directory,
            recoveries: i32::try_from(history.recoveries).expect("a person makes each of them"),
            recovery: history.id,
            kind: kind as i8,
            body: question.to_bytes().into(),
            ..Default::default()
        };
        let asked = async { Ok(self.connection().await?.ask(&request, time).await?) };
        let answered = tokio::select! {
            biased;
            answered = asked => answered,
            () = world.clock.sleep(time) => Err(AskError::TimedOut),
        };
        let answer = answered.inspect_err(|_| {
            self.connection.borrow_mut().take();
        })?;
        match answer.error_code {
            0 => Ok(A::from_bytes(answer.body)?),
            code if code == OUTDATED.number() => {
                histories.is_over_by(self.target);
                Err(AskError::Outdated)
            }
            _ => Err(AskError::Refused(answer.error_message.unwrap_or_default())),
        }
    }

    async fn connection(&self) -> Result<Connection, AskError> {
        if let Some(connection) = &*self.connection.borrow()
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        let Shared { world, identity, .. } = &*self.way.0;
        let (host, port) = self.address.as_ref().ok_or(AskError::NoAddress(self.target))?;
        let name = format!("klamm-quorum-{}", identity.node);
        let connection = Connection::open(world, host, *port, &name).await?;
        *self.connection.borrow_mut() = Some(connection.clone());
        Ok(connection)
    }

    async fn tell<Q: Code, A: Code>(
        &self,
        kind: Kind,
        question: &Q,
        time: Duration,
    ) -> Result<A, RPCError<Types>> {
        let answer = self.ask(kind, question, time).await;
        answer.map_err(|error| RPCError::Unreachable(Unreachable::from_string(error)))
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let time = if rpc.entries.is_empty() { option.soft_ttl() } else { APPEND_TIME_MAX };
        self.tell(Kind::Append, &rpc, time).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.tell(Kind::Vote, &rpc, option.soft_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.tell(Kind::PreVote, &rpc, option.soft_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let question = (vote, (snapshot.meta, snapshot.snapshot));
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            answer = self.ask(Kind::Snapshot, &question, SNAPSHOT_TIME_MAX) => {
                answer.map_err(|error| Unreachable::from_string(error).into())
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        self.tell(Kind::TransferLeader, &request, option.soft_ttl()).await
    }
}

impl RaftNetworkFactory<Types> for Way {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, voter: &Voter) -> Peer {
        self.to(target, voter.directory, &voter.address)
    }
}
