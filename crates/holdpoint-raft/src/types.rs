//! How openraft is parametrised, said once.
//!
//! Standard Raft: one leader a term, so a term and an index name an entry. Everything outside this
//! crate speaks of [`LogPosition`](holdpoint_core::LogPosition) and never of these types.

use holdpoint_core::Outcome;

use crate::committed::Committed;
use crate::member::Member;
use crate::payload::Proposal;
use crate::snapshot::ProvenSnapshot;
use crate::state_machine::StateMachine;

/// The asynchronous runtime under openraft.
///
/// The one place that names it. The feature `simulation` seeds what openraft draws (election
/// time-outs, the phase of its ticks), so that a simulated run repeats.
#[cfg(not(feature = "simulation"))]
pub(crate) type Runtime = openraft_rt_tokio::TokioRuntime;
/// The same runtime with seeded randomness.
#[cfg(feature = "simulation")]
pub(crate) type Runtime =
    openraft_rt::deterministic_rng::DeterministicRng<openraft_rt_tokio::TokioRuntime>;

openraft::declare_raft_types!(
    /// The types that openraft is built with.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Vec<Committed<Outcome>>,
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type LogEntry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type Payload = openraft::EntryPayload<Proposal, u64, Member>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type RaftSnapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, ProvenSnapshot>;
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
pub(crate) type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
pub(crate) type CommittedLeaderId = openraft::type_config::alias::CommittedLeaderIdOf<TypeConfig>;

/// The position `index` in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term), index)
}

/// The term of a position.
pub(crate) fn term_of(id: &LogId) -> u64 {
    id.leader_id.term
}
