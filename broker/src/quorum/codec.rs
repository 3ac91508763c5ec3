//! The bytes of openraft's types, on disk and between voters. Numbers are big endian; a text, a list or
//! bytes are preceded by their length as 32 bits; an option by one byte.
//!
//! Ours and not openraft's own serialisation, which may change with its version.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes};
use openraft::EntryPayload;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};
use wire::Uuid;

use super::proposal::{
    Entry, LogId, Membership, Proposal, StoredMembership, Types, Vote, Voter, log_id,
};

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A type with a binary form.
pub(crate) trait Code: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes a value off the front.
    fn read(from: &mut Bytes) -> Result<Self, Malformed>;

    /// The value alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads a value that must be all there is.
    fn from_bytes(mut from: Bytes) -> Result<Self, Malformed> {
        let value = Self::read(&mut from)?;
        if from.is_empty() { Ok(value) } else { Err(Malformed("single value")) }
    }
}

impl Code for () {
    fn write(&self, _: &mut Vec<u8>) {}

    fn read(_: &mut Bytes) -> Result<Self, Malformed> {
        Ok(())
    }
}

impl Code for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(*self);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        from.try_get_u8().map_err(|_| Malformed("byte"))
    }
}

impl Code for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.put_u64(*self);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        from.try_get_u64().map_err(|_| Malformed("number"))
    }
}

impl Code for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(u8::from(*self));
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("yes or no")),
        }
    }
}

fn write_len(len: usize, out: &mut Vec<u8>) {
    out.put_u32(u32::try_from(len).expect("what is written is far below 4 GiB"));
}

fn read_len(from: &mut Bytes) -> Result<usize, Malformed> {
    Ok(from.try_get_u32().map_err(|_| Malformed("length"))? as usize)
}

impl Code for Bytes {
    fn write(&self, out: &mut Vec<u8>) {
        write_len(self.len(), out);
        out.extend_from_slice(self);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let len = read_len(from)?;
        if len > from.len() {
            return Err(Malformed("bytes of that length"));
        }
        Ok(from.split_to(len))
    }
}

impl Code for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_len(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Self::from_utf8(Bytes::read(from)?.into()).map_err(|_| Malformed("text"))
    }
}

impl Code for Uuid {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let mut id = Self::ZERO;
        from.try_copy_to_slice(&mut id.0).map_err(|_| Malformed("id"))?;
        Ok(id)
    }
}

impl<T: Code> Code for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        if bool::read(from)? { T::read(from).map(Some) } else { Ok(None) }
    }
}

impl<A: Code, B: Code> Code for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

/// Lists of all kinds. Grown one by one: a length alone costs nothing.
fn write_all<'a, T: Code + 'a>(all: impl ExactSizeIterator<Item = &'a T>, out: &mut Vec<u8>) {
    write_len(all.len(), out);
    all.for_each(|one| one.write(out));
}

fn read_all<T: Code, All: FromIterator<T>>(from: &mut Bytes) -> Result<All, Malformed> {
    (0..read_len(from)?).map(|_| T::read(from)).collect()
}

impl<T: Code> Code for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_all(self.iter(), out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        read_all(from)
    }
}

impl<T: Code + Ord> Code for BTreeSet<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_all(self.iter(), out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        read_all(from)
    }
}

/// A node's id, as everybody else has it.
fn read_node(from: &mut Bytes) -> Result<u64, Malformed> {
    let id = u64::read(from)?;
    if i32::try_from(id).is_ok() { Ok(id) } else { Err(Malformed("node id")) }
}

/// A term or an index, which others can follow on.
fn read_count(from: &mut Bytes) -> Result<u64, Malformed> {
    let count = u64::read(from)?;
    if i64::try_from(count).is_ok() { Ok(count) } else { Err(Malformed("term or index")) }
}

impl Code for LogId {
    fn write(&self, out: &mut Vec<u8>) {
        self.leader_id.term.write(out);
        self.index.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(log_id(read_count(from)?, read_count(from)?))
    }
}

impl Code for Vote {
    fn write(&self, out: &mut Vec<u8>) {
        self.leader_id.term.write(out);
        self.leader_id.voted_for.write(out);
        self.committed.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let (term, voted_for) = (read_count(from)?, read_node(from)?);
        let committed = bool::read(from)?;
        Ok(Self { committed, ..Self::new(term, voted_for) })
    }
}

impl Code for Voter {
    fn write(&self, out: &mut Vec<u8>) {
        self.address.write(out);
        self.directory.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self { address: Code::read(from)?, directory: Code::read(from)? })
    }
}

impl Code for Membership {
    fn write(&self, out: &mut Vec<u8>) {
        self.get_joint_config().write(out);
        let nodes: Vec<_> = self.nodes().map(|(id, voter)| (*id, voter.clone())).collect();
        nodes.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let configs: Vec<BTreeSet<u64>> = Code::read(from)?;
        let nodes: BTreeMap<u64, Voter> = read_all(from)?;
        if nodes.keys().any(|id| i32::try_from(*id).is_err()) {
            return Err(Malformed("node id"));
        }
        if configs.is_empty() {
            // Before the first one. openraft makes none itself that has nobody.
            return Ok(Self::default());
        }
        Self::new(configs, nodes).map_err(|_| Malformed("membership"))
    }
}

impl Code for StoredMembership {
    fn write(&self, out: &mut Vec<u8>) {
        self.log_id().write(out);
        self.membership().write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self::new(Code::read(from)?, Code::read(from)?))
    }
}

impl Code for Entry {
    fn write(&self, out: &mut Vec<u8>) {
        self.log_id.write(out);
        match &self.payload {
            EntryPayload::Blank => 0u8.write(out),
            EntryPayload::Normal(proposal) => {
                1u8.write(out);
                proposal.decided_on.write(out);
                proposal.records.write(out);
            }
            EntryPayload::Membership(membership) => {
                2u8.write(out);
                membership.write(out);
            }
        }
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let log_id = LogId::read(from)?;
        let payload = match u8::read(from)? {
            0 => EntryPayload::Blank,
            1 => {
                let (decided_on, records) = Code::read(from)?;
                EntryPayload::Normal(Proposal { decided_on, records })
            }
            2 => EntryPayload::Membership(Code::read(from)?),
            _ => return Err(Malformed("entry of a known kind")),
        };
        Ok(Self { log_id, payload })
    }
}

impl Code for AppendEntriesRequest<Types> {
    fn write(&self, out: &mut Vec<u8>) {
        self.vote.write(out);
        self.prev_log_id.write(out);
        self.entries.write(out);
        self.leader_commit.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let request = Self {
            vote: Code::read(from)?,
            prev_log_id: Code::read(from)?,
            entries: Code::read(from)?,
            leader_commit: Code::read(from)?,
        };
        let first = request.prev_log_id.map_or(0, |previous| previous.index + 1);
        let indexes = request.entries.iter().map(|entry| entry.log_id.index);
        if !indexes.eq((first..).take(request.entries.len())) {
            return Err(Malformed("entries that follow on one another"));
        }
        let ids = request.prev_log_id.into_iter();
        let mut ids = ids.chain(request.entries.iter().map(|entry| entry.log_id));
        let leads_in = request.vote.leader_id.term;
        let mut term = 0;
        if ids.any(|id| std::mem::replace(&mut term, id.leader_id.term) > id.leader_id.term)
            || term > leads_in
        {
            return Err(Malformed("entries of the terms up to the leader's"));
        }
        Ok(request)
    }
}

impl Code for AppendEntriesResponse<Types> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Success => 0u8.write(out),
            Self::PartialSuccess(matching) => {
                1u8.write(out);
                matching.write(out);
            }
            Self::Conflict => 2u8.write(out),
            Self::HigherVote(vote) => {
                3u8.write(out);
                vote.write(out);
            }
        }
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        match u8::read(from)? {
            0 => Ok(Self::Success),
            1 => Code::read(from).map(Self::PartialSuccess),
            2 => Ok(Self::Conflict),
            3 => Code::read(from).map(Self::HigherVote),
            _ => Err(Malformed("answer to new entries")),
        }
    }
}

impl Code for VoteRequest<Types> {
    fn write(&self, out: &mut Vec<u8>) {
        self.vote.write(out);
        self.last_log_id.write(out);
        self.leadership_transfer.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self {
            vote: Code::read(from)?,
            last_log_id: Code::read(from)?,
            leadership_transfer: Code::read(from)?,
        })
    }
}

impl Code for VoteResponse<Types> {
    fn write(&self, out: &mut Vec<u8>) {
        self.vote.write(out);
        self.last_log_id.write(out);
        self.vote_granted.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self {
            vote: Code::read(from)?,
            last_log_id: Code::read(from)?,
            vote_granted: Code::read(from)?,
        })
    }
}

impl Code for SnapshotResponse<Types> {
    fn write(&self, out: &mut Vec<u8>) {
        self.vote.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Code::read(from).map(Self::new)
    }
}

impl Code for TransferLeaderRequest<Types> {
    fn write(&self, out: &mut Vec<u8>) {
        self.from_leader().write(out);
        self.to_node_id().write(out);
        self.last_log_id().copied().write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(Self::new(Code::read(from)?, read_node(from)?, Code::read(from)?))
    }
}

impl Code for Result<(), TransferLeaderError<Types>> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Ok(()) => 0u8.write(out),
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                1u8.write(out);
                (*expected, *actual).write(out);
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                2u8.write(out);
                (*expected, *actual).write(out);
            }
        }
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        Ok(match u8::read(from)? {
            0 => Ok(()),
            1 => {
                let (expected, actual) = Code::read(from)?;
                Err(TransferLeaderError::VoteChanged { expected, actual })
            }
            2 => {
                let (expected, actual) = Code::read(from)?;
                Err(TransferLeaderError::LogNotFlushed { expected, actual })
            }
            _ => return Err(Malformed("answer to a handover")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Debug;

    use bytes::Bytes;
    use openraft::EntryPayload;
    use openraft::raft::{
        AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest,
        VoteResponse,
    };
    use wire::Uuid;

    use super::super::proposal::{
        Entry, Membership, Proposal, StoredMembership, Types, Vote, Voter, log_id,
    };
    use super::{Code, Malformed};

    /// What is written is read again; what is cut anywhere, or longer, is an error.
    fn check<T: Code + Debug>(value: &T) {
        let bytes = Bytes::from(value.to_bytes());
        let read = T::from_bytes(bytes.clone()).expect("reads what it wrote");
        assert_eq!(format!("{read:?}"), format!("{value:?}"));
        for cut in 0..bytes.len() {
            assert!(T::from_bytes(bytes.slice(..cut)).is_err(), "{value:?} cut at {cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(T::from_bytes(longer.into()).is_err(), "{value:?} and a byte");
    }

    fn membership() -> Membership {
        let voter =
            |id: u8| Voter { address: format!("host-{id}:9092"), directory: Uuid([id; 16]) };
        let nodes = BTreeMap::from([(1, voter(1)), (2, voter(2)), (7, voter(7))]);
        Membership::new(vec![BTreeSet::from([1, 2])], nodes).expect("it is valid")
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let (vote, last) = (Vote::new_committed(3, 2), Some(log_id(3, 17)));
        let normal = Proposal { decided_on: 4, records: Bytes::from_static(b"records") };
        let entries = vec![
            Entry { log_id: log_id(2, 16), payload: EntryPayload::Blank },
            Entry { log_id: log_id(3, 17), payload: EntryPayload::Normal(normal) },
            Entry { log_id: log_id(3, 18), payload: EntryPayload::Membership(membership()) },
        ];
        check(&AppendEntriesRequest::<Types> {
            vote,
            prev_log_id: Some(log_id(2, 15)),
            entries,
            leader_commit: last,
        });
        check(&AppendEntriesResponse::<Types>::Success);
        check(&AppendEntriesResponse::<Types>::PartialSuccess(last));
        check(&AppendEntriesResponse::<Types>::Conflict);
        check(&AppendEntriesResponse::<Types>::HigherVote(vote));
        check(&VoteRequest::<Types> { leadership_transfer: true, ..VoteRequest::new(vote, last) });
        check(&VoteResponse::<Types>::new(vote, last, true));
        check(&TransferLeaderRequest::<Types>::new(vote, 2, last));
        check(&StoredMembership::new(last, membership()));
    }

    #[test]
    fn a_membership_of_nobody_is_the_one_before_the_first() {
        let none = StoredMembership::default();
        assert_eq!(Code::from_bytes(none.to_bytes().into()), Ok(none));
    }

    #[test]
    fn what_no_voter_says_is_refused() {
        let blank =
            |(term, index)| Entry { log_id: log_id(term, index), payload: EntryPayload::Blank };
        let append = |voted_for, previous: Option<(u64, u64)>, entries: &[(u64, u64)]| {
            let request = AppendEntriesRequest::<Types> {
                vote: Vote::new_committed(3, voted_for),
                prev_log_id: previous.map(|(term, index)| log_id(term, index)),
                entries: entries.iter().copied().map(blank).collect(),
                leader_commit: None,
            };
            AppendEntriesRequest::<Types>::from_bytes(request.to_bytes().into()).map(|_| ())
        };
        let highest = u64::from(i32::MAX.unsigned_abs());
        assert_eq!(append(highest, Some((2, 4)), &[(2, 5), (3, 6)]), Ok(()));
        assert_eq!(append(1, None, &[(0, 0), (1, 1)]), Ok(()));
        assert_eq!(append(highest + 1, None, &[]), Err(Malformed("node id")));
        let gap = Err(Malformed("entries that follow on one another"));
        assert_eq!(append(1, None, &[(1, 1)]), gap);
        assert_eq!(append(1, Some((1, 4)), &[(1, 6)]), gap);
        assert_eq!(append(1, Some((1, 4)), &[(1, 5), (1, 5)]), gap);
        let terms = Err(Malformed("entries of the terms up to the leader's"));
        assert_eq!(append(1, Some((2, 4)), &[(1, 5)]), terms);
        assert_eq!(append(1, Some((2, 4)), &[(4, 5)]), terms);
        assert_eq!(append(1, Some((1, u64::MAX)), &[]), Err(Malformed("term or index")));
        let voter = Voter::default();
        let nodes = BTreeMap::from([(highest + 1, voter)]);
        let strange = Membership::new(vec![BTreeSet::from([highest + 1])], nodes).expect("valid");
        assert_eq!(Membership::from_bytes(strange.to_bytes().into()), Err(Malformed("node id")));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused() {
        let long = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(Vec::<u64>::from_bytes(long.clone()), Err(Malformed("number")));
        assert!(String::from_bytes(long).is_err());
    }
}
