//! Encodings of the state's records.

use super::{CodecError, Wire, decode, encode, enums, structs};
use crate::outline::SurfaceOutline;
use crate::record::{
    ActivationRecord, ActivePolicy, ApprovalRecord, ApprovalState, AttemptRecord, BundleRecord,
    BundleUseRecord, ClockRecord, Completion, Contradiction, Decided, Denial, DisclosureRecord,
    DisputeRecord, Drain, DrainMark, EpochRecord, GroupRecord, Held, KeyRevocationRecord,
    LeafRecord, NamespaceRecord, NodeRecord, OfferRecord, OnceRecord, PendingRecord, PermitRecord,
    PermitState, PermitStep, QueueRecord, Redemption, RefusedBound, ReleaseRecord, SessionClosed,
    SessionRecord, SignerRecord, StatementRef, Swept, TombstoneRecord, TreeRecord, UsageRecord,
    WaiterRecord,
};
use holdpoint_receipt::{Digest, PermitId};

structs! {
    GroupRecord { cluster, epoch, voters, feature_level, nodes, signers_required, is_dev }
    ClockRecord { now, term }
    NodeRecord {
        incarnation, log_key, cosign_key, feature_level_max, evaluator_version, announced_at, retired,
    }
    NamespaceRecord {
        fence, active, frozen, frozen_surfaces, bundles, drain, shadows, retention, ticket, waiters,
        pending, pending_bytes, conflicts, swept, epochs, newest_epoch, disputes,
    }
    Drain { digest, expected, evaluator_version, mode, surfaces, principal, since, leaf, mark }
    DrainMark { surface, fence }
    Swept { fence, disclosures, statements }
    ActivePolicy { version, digest }
    BundleRecord { bundle, put_at, put_by }
    BundleUseRecord { named_before }
    ActivationRecord { digest, activated_at, activated_by, evaluator_version, leaf, fence }
    AttemptRecord { request_digest, not_after, decided, policies, policy, decided_at, leaf }
    Denial { reason, codes, refused, retry_at }
    RefusedBound { claim, reason, fence, until }
    PermitRecord {
        id, fence, caller, idempotency_key, actor, surface, action, session, step, prerequisites,
        request_digest, policy, evaluator_version, issued_at, expires_at, claims, held, held_until,
        approvals, state, redemption, completion, release, conflicts, contradictions, ended_at,
        statements, receipt,
    }
    StatementRef { step, leaf }
    ReleaseRecord { principal, reason, released_at }
    Contradiction { result, principal, leaf }
    Redemption { id, principal, redeemed_at, complete_by, release_at }
    Completion { result, principal, operator, reason, completed_at }
    TombstoneRecord { permit, fence, committed_at, kept_until }
    UsageRecord { live, committed }
    ApprovalRecord { surface, given_at, expires_at, policy, leaf, receipt, state }
    PendingRecord { request, caller, asked_at, listed_until, policy, missing }
    SessionRecord { owner, used_at, closed }
    SessionClosed { at, by, leaf }
    WaiterRecord {
        ticket, request_digest, surface, claims, policy, not_after, wait_until, since, offer, look_at,
    }
    OfferRecord { until, term }
    OnceRecord { template, tombstones }
    TreeRecord { size, frontier }
    LeafRecord { statement, issued_at, permit, counts_until }
    DisclosureRecord { salt, request, evaluation, erased }
    EpochRecord { signers_needed, signers, leaf, handover }
    SignerRecord { node, log_key, cosign_key }
    KeyRevocationRecord { signer, valid_to }
    DisputeRecord { node, evaluator_version, disputed_at, leaf, receipt }
}

enums! {
    Decided {
        1 => Permit(permit),
        2 => Deny(denial),
    }
    PermitState {
        1 => Issued,
        2 => Redeemed,
        3 => Committed,
        4 => Aborted,
        5 => Expired,
        6 => Revoked,
        7 => Superseded,
        8 => Released,
    }
    PermitStep {
        1 => Decision,
        2 => Redeemed,
        3 => Completed,
        4 => Conflict,
        5 => Revoked,
        6 => Superseded,
        7 => Released,
        8 => Erased,
    }
    Held {
        1 => All,
        2 => Consumable,
        3 => Nothing,
    }
    ApprovalState {
        1 => Given,
        2 => Spent(permit),
        3 => Revoked { leaf },
    }
}

/// A type that rows hold.
pub trait Record: Sized + sealed::Sealed {
    /// The bytes of the row.
    ///
    /// # Errors
    ///
    /// Never for a record that fits its limits.
    fn to_bytes(&self) -> Result<Vec<u8>, CodecError>;

    /// Reads a row.
    ///
    /// # Errors
    ///
    /// The bytes are not what [`Record::to_bytes`] of this version writes: the state is damaged.
    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! rows {
    ($($type:ty),* $(,)?) => {$(
        impl sealed::Sealed for $type {}

        impl Record for $type {
            fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
                encode(self)
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
                decode(bytes)
            }
        }
    )*};
}

rows!(
    GroupRecord,
    ClockRecord,
    NodeRecord,
    NamespaceRecord,
    BundleRecord,
    SurfaceOutline,
    BundleUseRecord,
    ActivationRecord,
    AttemptRecord,
    PermitRecord,
    TombstoneRecord,
    OnceRecord,
    TreeRecord,
    LeafRecord,
    DisclosureRecord,
    UsageRecord,
    ApprovalRecord,
    PendingRecord,
    SessionRecord,
    WaiterRecord,
    QueueRecord,
    EpochRecord,
    KeyRevocationRecord,
    DisputeRecord,
    // The rows of indexes.
    PermitId,
    Digest,
    Present,
);

/// The row of an index that says no more than its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present;

impl Wire for Present {
    fn put<E: bincode::enc::Encoder>(&self, _: &mut E) -> Result<(), bincode::error::EncodeError> {
        Ok(())
    }

    fn take<D: bincode::de::Decoder<Context = ()>>(
        _: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Ok(Self)
    }
}
