//! What other voters say to this one: checked, then given to openraft.

use bytes::Bytes;
use engine::BrokerId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    VoteRequest,
};
use tokio::sync::{mpsc, oneshot};
use wire::{ErrorCode, QuorumMessageRequest, QuorumMessageResponse, Str, Uuid};

use super::codec::Code;
use super::formation::{ANSWER_TIME_MAX, Hello, hello};
use super::history::{History, Relation};
use super::leadership::{Progress, progress};
use super::proposal::{Types, Vote};
use super::state_machine::{Meta, Snapshot};
use super::transport::{AskError, Kind, OUTDATED, id_of};
use super::voters::{self, VoterChange, VoterError};
use super::{Core, Quorum};

enum Message {
    Peer(QuorumMessageRequest, oneshot::Sender<QuorumMessageResponse>),
    Progress(oneshot::Sender<Progress>),
    Change(VoterChange, oneshot::Sender<Result<(), VoterError>>),
    HandOver(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// Hands the quorum what concerns it, from any thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct QuorumRef {
    messages: mpsc::UnboundedSender<Message>,
}

impl QuorumRef {
    /// Has this voter answer another one.
    pub(crate) async fn deliver(&self, request: QuorumMessageRequest) -> QuorumMessageResponse {
        let (tell, told) = oneshot::channel();
        // One that has ended answers nobody.
        let _ = self.messages.send(Message::Peer(request, tell));
        let stopping = |_| refused(ErrorCode::BrokerNotAvailable, "the broker is stopping");
        told.await.unwrap_or_else(stopping)
    }

    /// How far the voters are; nobody knows once this one takes part no more.
    pub(crate) async fn progress(&self) -> Option<Progress> {
        let (tell, told) = oneshot::channel();
        let _ = self.messages.send(Message::Progress(tell));
        told.await.ok()
    }

    /// Changes who votes, if this node leads.
    pub(crate) async fn change(&self, change: VoterChange) -> Result<(), VoterError> {
        let (tell, told) = oneshot::channel();
        let _ = self.messages.send(Message::Change(change, tell));
        told.await.unwrap_or(Err(VoterError::NotController { leader: None }))
    }

    /// Hands leadership over, if it is here and there is anybody to take it.
    pub(crate) async fn hand_over(&self) {
        self.have(Message::HandOver).await;
    }

    /// Takes part no more.
    pub(crate) async fn stop(&self) {
        self.have(Message::Stop).await;
    }

    async fn have(&self, message: fn(oneshot::Sender<()>) -> Message) {
        let (tell, told) = oneshot::channel();
        let _ = self.messages.send(message(tell));
        // It may have ended already.
        let _ = told.await;
    }
}

/// Serves until it is told to stop.
#[expect(clippy::disallowed_methods, reason = "its bound is what may arrive (ADR 0006)")]
pub(super) fn start(quorum: Quorum) -> QuorumRef {
    let (messages, mut inbox) = mpsc::unbounded_channel();
    Core::spawn(async move {
        while let Some(message) = inbox.recv().await {
            match message {
                Message::Peer(request, tell) => {
                    let core = quorum.core.clone();
                    // In the order of their arrival; some wait for the disk, and heartbeats do not.
                    Core::spawn(async move {
                        // Who asked may have given up.
                        let _ = tell.send(answer(&core, request).await);
                    });
                }
                Message::Progress(tell) => {
                    // Who asked may have given up.
                    let _ = tell.send(progress(&quorum.core));
                }
                Message::Change(change, tell) => {
                    let quorum = quorum.clone();
                    Core::spawn(async move {
                        if change.removes(quorum.node()) {
                            // Another one is to do it, and will be asked.
                            quorum.hand_over().await;
                        }
                        // Who asked may have given up; the change goes on.
                        let _ = tell.send(voters::change(&quorum.core, change).await);
                    });
                }
                Message::HandOver(tell) => {
                    let quorum = quorum.clone();
                    // Others are answered meanwhile: they are needed for it.
                    Core::spawn(async move {
                        quorum.hand_over().await;
                        let _ = tell.send(());
                    });
                }
                Message::Stop(tell) => {
                    quorum.stop().await;
                    let _ = tell.send(());
                    return;
                }
            }
        }
    });
    QuorumRef { messages }
}

fn refused(code: ErrorCode, why: &str) -> QuorumMessageResponse {
    QuorumMessageResponse {
        error_code: code.number(),
        error_message: Some(Str::from(why)),
        ..Default::default()
    }
}

async fn answer(core: &Core, request: QuorumMessageRequest) -> QuorumMessageResponse {
    let identity = &core.identity;
    if *request.cluster_id != *identity.cluster_id {
        let why = format!("this is the cluster {}", identity.cluster_id);
        return refused(ErrorCode::InconsistentClusterId, &why);
    }
    let Some(kind) = Kind::from_number(request.kind) else {
        return refused(ErrorCode::InvalidRequest, "a kind of message that is not known here");
    };
    if kind != Kind::Hello && request.to_directory != identity.directory {
        let why = "the disk that is meant is not in use here any more";
        return refused(ErrorCode::InvalidVoterKey, why);
    }
    if kind != Kind::Hello
        && let Err(refusal) = agree_on_history(core, &request).await
    {
        return refusal;
    }
    match reply(core, kind, request.body).await {
        Ok(body) => QuorumMessageResponse { body: body.into(), ..Default::default() },
        Err(Unanswered::Malformed(error)) => refused(ErrorCode::InvalidRequest, &error.to_string()),
        Err(Unanswered::Raft(why)) => refused(ErrorCode::UnknownServerError, &why),
    }
}

/// Whether both are of one history; a node that has stored nothing takes on the other's.
async fn agree_on_history(
    core: &Core,
    request: &QuorumMessageRequest,
) -> Result<(), QuorumMessageResponse> {
    let (Ok(recoveries), true) = (u32::try_from(request.recoveries), request.from >= 0) else {
        return Err(refused(ErrorCode::InvalidRequest, "a number is negative"));
    };
    let theirs = History { recoveries, id: request.recovery };
    let relation = core.histories.own().relation_of(theirs);
    if relation == Relation::Newer && !is_said_by(core, BrokerId(request.from), theirs).await {
        return Err(refused(
            ErrorCode::NotController,
            "of a history that its sender does not confirm",
        ));
    }
    match relation {
        Relation::Same => Ok(()),
        Relation::Newer if core.log.is_empty() => {
            let adopted = core.histories.adopt(theirs).await;
            adopted.map_err(|error| refused(ErrorCode::KafkaStorageError, &error.to_string()))
        }
        Relation::Newer => {
            core.histories.is_over_by(id_of(BrokerId(request.from)));
            Err(refused(ErrorCode::NotController, "this node has yet to start over"))
        }
        Relation::Older => {
            Err(refused(OUTDATED, "the quorum was recovered, and the sender is of before"))
        }
        Relation::Rival => {
            tracing::error!(
                node = request.from,
                "the quorum was recovered on two nodes that do not know of each other; hint: empty the \
                 data directory of the one that is to follow"
            );
            Err(refused(ErrorCode::InconsistentClusterId, "of another recovery"))
        }
    }
}

/// Whether a node has data of a history: anybody may say so in its name, so it is asked itself, where this
/// node knows it to be.
async fn is_said_by(core: &Core, node: BrokerId, history: History) -> bool {
    let id = id_of(node);
    let Some((host, port)) = core.address_of(id) else { return false };
    let peer = core.way.to(id, Uuid::ZERO, &format!("{host}:{port}"));
    let hello: Result<Hello, AskError> = peer.ask(Kind::Hello, &(), ANSWER_TIME_MAX).await;
    hello.is_ok_and(|hello| !hello.is_empty && hello.history == history)
}

enum Unanswered {
    Malformed(super::codec::Malformed),
    Raft(String),
}

impl From<super::codec::Malformed> for Unanswered {
    fn from(error: super::codec::Malformed) -> Self {
        Self::Malformed(error)
    }
}

async fn reply(core: &Core, kind: Kind, body: Bytes) -> Result<Vec<u8>, Unanswered> {
    let raft = &core.raft;
    Ok(match kind {
        Kind::Hello => hello(core).to_bytes(),
        Kind::PreVote => {
            let request = VoteRequest::<Types>::from_bytes(body)?;
            raft.pre_vote(request).await.map_err(failed)?.to_bytes()
        }
        Kind::Vote => {
            let request = VoteRequest::<Types>::from_bytes(body)?;
            raft.vote(request).await.map_err(failed)?.to_bytes()
        }
        Kind::Append => {
            let request = AppendEntriesRequest::<Types>::from_bytes(body)?;
            let response = raft.append_entries(request).await.map_err(failed)?;
            if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                core.heard();
            }
            response.to_bytes()
        }
        Kind::Snapshot => {
            let (vote, (meta, snapshot)) = <(Vote, (Meta, Bytes))>::from_bytes(body)?;
            // What the buffer held beside it need not stay.
            let snapshot = Bytes::copy_from_slice(&snapshot);
            let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await;
            let response: SnapshotResponse<Types> = installed.map_err(failed)?;
            core.heard();
            response.to_bytes()
        }
        Kind::TransferLeader => {
            let request = TransferLeaderRequest::<Types>::from_bytes(body)?;
            raft.handle_transfer_leader(request).await.map_err(failed)?.to_bytes()
        }
    })
}

fn failed(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Raft(error.to_string())
}
