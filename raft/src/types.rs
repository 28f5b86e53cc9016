//! What openraft is told about our types, and the answer path of a proposal.

use std::fmt;
use std::sync::Arc;

use openraft::impls::{BasicNode, BoxedErrorSource, InlineBatch, TokioRuntime};
use openraft::raft::responder::Responder;
use openraft::{OptionalSend, RaftTypeConfig};
use serde::{Deserialize, Serialize};

/// Our types, as openraft wants them listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = WriteSet;
    type R = Answer;
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = openraft::vote::leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<WriteSet, u64, BasicNode>;
    type Entry = openraft::Entry<Self::LeaderId, Self::Payload>;
    type AsyncRuntime = TokioRuntime;
    type Responder<T>
        = Reply<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

pub(crate) type LeaderId = <TypeConfig as RaftTypeConfig>::LeaderId;
pub(crate) type Vote = <TypeConfig as RaftTypeConfig>::Vote;
pub(crate) type Entry = <TypeConfig as RaftTypeConfig>::Entry;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;

/// An entry in storage's own format. The log never looks inside.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WriteSet(pub(crate) Arc<[u8]>);

impl fmt::Debug for WriteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteSet({} bytes)", self.0.len())
    }
}

impl fmt::Display for WriteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What applying an entry answers, in the seam's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) index: u64,
    pub(crate) commit_seq: u64,
}

/// Called once with the outcome of a proposal, straight from openraft's tasks: no task a proposal.
pub(crate) struct Reply<T>(pub(crate) Box<dyn FnOnce(T) + Send>);

impl<T: OptionalSend + 'static> Responder<TypeConfig, T> for Reply<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
