//! Requests between voters, and from the client: a length and a JSON text, one after the other on a
//! connection of the world's network.

use std::future::Future;
use std::io;

use openraft::AsyncRuntime;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::{Stream, World};

use super::voter::host_name;
use super::{NodeId, Runtime, Types};

/// Where voters listen.
pub(crate) const PORT: u16 = 9093;

#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    Write(String),
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Response {
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    Written,
    Refused(String),
}

/// Writes one message.
pub(crate) async fn send(stream: &mut Box<dyn Stream>, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let len = u32::try_from(body.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_le_bytes()[..], &body].concat()).await
}

/// Reads one message.
pub(crate) async fn receive<T: DeserializeOwned>(stream: &mut Box<dyn Stream>) -> io::Result<T> {
    let len = stream.read_u32_le().await?;
    if len > 1 << 24 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; len as usize];
    stream.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Connections to one voter: one that is kept until it fails.
pub(crate) struct Peer {
    world: World,
    target: NodeId,
    stream: Option<Box<dyn Stream>>,
}

impl Peer {
    pub(crate) fn new(world: World, target: NodeId) -> Self {
        Self { world, target, stream: None }
    }

    /// One request and its response.
    pub(crate) async fn ask(&mut self, request: &Request) -> io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.world.net.connect(&host_name(self.target), PORT).await?,
        };
        send(&mut stream, request).await?;
        let response = receive(&mut stream).await?;
        // Not put back when this future is dropped half way: the next answer would be the wrong one.
        self.stream = Some(stream);
        Ok(response)
    }

    async fn ask_within(
        &mut self,
        request: &Request,
        option: &RPCOption,
    ) -> Result<Response, RPCError<Types>> {
        let unreachable = |text: String| RPCError::Unreachable(Unreachable::from_string(text));
        match Runtime::timeout(option.hard_ttl(), self.ask(request)).await {
            Ok(Ok(Response::Refused(why))) => Err(unreachable(why)),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("timed out".to_owned())),
        }
    }
}

fn unexpected() -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::from_string("a response of another kind"))
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        match self.ask_within(&Request::Append(rpc), &option).await? {
            Response::Append(response) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask_within(&Request::Vote(rpc), &option).await? {
            Response::Vote(response) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let error = Unreachable::from_string("the spike has no snapshots");
        Err(StreamingError::Unreachable(error))
    }
}

/// Makes the ways to the other voters.
pub(crate) struct Peers(pub(crate) World);

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _node: &openraft::EmptyNode) -> Peer {
        Peer::new(self.0.clone(), target)
    }
}
