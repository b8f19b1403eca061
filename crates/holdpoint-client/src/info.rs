//! What a node says of a permit, in our words. Not proved: only a receipt is.

use std::fmt;

use holdpoint_proto::convert;
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, ClusterTime, Digest, Fence, Name, PermitId, PolicyVersion};

use crate::believe::AnswerError;

/// Where a permit stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitState {
    /// Granted and not yet redeemed.
    Issued,
    /// Redeemed: its executor may act, once.
    Redeemed,
    /// The executor reported that the effect happened.
    Committed,
    /// The executor reported that the effect did not happen.
    Aborted,
    /// Its time passed before it was redeemed.
    Expired,
    /// Taken back before it was redeemed.
    Revoked,
    /// Its attempt was repeated under a later policy version.
    Superseded,
    /// Given up after being in doubt.
    Released,
}

impl PermitState {
    /// The name in `UPPER_SNAKE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "ISSUED",
            Self::Redeemed => "REDEEMED",
            Self::Committed => "COMMITTED",
            Self::Aborted => "ABORTED",
            Self::Expired => "EXPIRED",
            Self::Revoked => "REVOKED",
            Self::Superseded => "SUPERSEDED",
            Self::Released => "RELEASED",
        }
    }

    fn from_wire(state: v1::PermitState) -> Result<Self, AnswerError> {
        Ok(match state {
            v1::PermitState::Issued => Self::Issued,
            v1::PermitState::Redeemed => Self::Redeemed,
            v1::PermitState::Committed => Self::Committed,
            v1::PermitState::Aborted => Self::Aborted,
            v1::PermitState::Expired => Self::Expired,
            v1::PermitState::Revoked => Self::Revoked,
            v1::PermitState::Superseded => Self::Superseded,
            v1::PermitState::Released => Self::Released,
            v1::PermitState::Unspecified => return Err(malformed("state", "is not a known state")),
        })
    }
}

impl fmt::Display for PermitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One bounded operation: surface, bound name and rendered key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Name of the bound in the bundle.
    pub name: String,
    /// `exclusive`, `once`, `capacity` or `budget`.
    pub kind: String,
    /// The rendered, percent-encoded key, such as `workspace/prod-eu`.
    pub key: String,
    /// What is charged: the summed parameter of a budget, 1 for all other kinds.
    pub amount: u64,
}

impl From<v1::BoundKey> for Bound {
    fn from(bound: v1::BoundKey) -> Self {
        let v1::BoundKey {
            name,
            kind,
            key,
            amount,
        } = bound;
        Self {
            name,
            kind,
            key,
            amount,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.kind)
    }
}

/// A permit as a node last saw it. Only a [`crate::Receipt`] proves what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitInfo {
    /// Its identifier.
    pub id: PermitId,
    /// Its fence, strictly increasing over all permits of the namespace.
    pub fence: Fence,
    /// When it was granted.
    pub issued_at: ClusterTime,
    /// First instant at which it is no longer live, unless it was redeemed.
    pub expires_at: ClusterTime,
    /// Once redeemed: when it becomes in doubt.
    pub complete_by: Option<ClusterTime>,
    /// Where it stands.
    pub state: PermitState,
    /// Redeemed, past `complete_by`, and without an outcome.
    pub is_in_doubt: bool,
    /// Digest of the request that it permits.
    pub request_digest: Digest,
    /// Bounded operations that it holds.
    pub bounds: Vec<Bound>,
    /// The surface.
    pub surface: Name,
    /// The action.
    pub action: Name,
    /// The caller that asked.
    pub caller: Caller,
    /// Policy version under which it was granted.
    pub policy_version: PolicyVersion,
    /// Digest of that bundle.
    pub policy_digest: Digest,
    /// Advice of the bundle to whoever guards a command: a failing exit means that nothing happened.
    /// Said with decisions only.
    pub failed_exit_aborts: bool,
    /// Where executors need not redeem: until when its bounds stay held, whatever ends it but an
    /// outcome.
    pub held_until: Option<ClusterTime>,
    /// When its bounds are released if it is still in doubt.
    pub release_at: Option<ClusterTime>,
    /// The session that it belongs to.
    pub session: Option<String>,
    /// Outcomes that contradicted the recorded one, or came after a release.
    pub conflict_count: u32,
    /// When it was redeemed.
    pub redeemed_at: Option<ClusterTime>,
    /// When its outcome was recorded.
    pub completed_at: Option<ClusterTime>,
    /// Why an operator said how it ended.
    pub completion_reason: Option<String>,
    /// When its bounds were given up.
    pub released_at: Option<ClusterTime>,
    /// Why an operator gave them up; none also if its surface did.
    pub release_reason: Option<String>,
}

impl PermitInfo {
    pub(crate) fn from_wire(permit: v1::Permit) -> Result<Self, AnswerError> {
        let state = PermitState::from_wire(permit.state())?;
        Ok(Self {
            id: permit_id("id", &permit.id)?,
            fence: Fence::new(permit.fence).map_err(|error| malformed("fence", error))?,
            issued_at: time("issued_at_ms", permit.issued_at_ms)?,
            expires_at: time("expires_at_ms", permit.expires_at_ms)?,
            complete_by: optional_time("complete_by_ms", permit.complete_by_ms)?,
            state,
            is_in_doubt: permit.in_doubt,
            request_digest: digest("request_digest", &permit.request_digest)?,
            bounds: permit.bounds.into_iter().map(Bound::from).collect(),
            surface: name("surface", permit.surface)?,
            action: name("action", permit.action)?,
            caller: caller("caller", permit.caller)?,
            policy_version: version(permit.policy_version)?,
            policy_digest: digest("policy_digest", &permit.policy_digest)?,
            failed_exit_aborts: permit.failed_exit_aborts,
            held_until: optional_time("held_until_ms", permit.held_until_ms)?,
            release_at: optional_time("release_at_ms", permit.release_at_ms)?,
            session: Some(permit.session).filter(|session| !session.is_empty()),
            conflict_count: permit.conflicts,
            redeemed_at: optional_time("redeemed_at_ms", permit.redeemed_at_ms)?,
            completed_at: optional_time("completed_at_ms", permit.completed_at_ms)?,
            completion_reason: Some(permit.completion_reason).filter(|reason| !reason.is_empty()),
            released_at: optional_time("released_at_ms", permit.released_at_ms)?,
            release_reason: Some(permit.release_reason).filter(|reason| !reason.is_empty()),
        })
    }
}

pub(crate) fn malformed(field: &'static str, problem: impl fmt::Display) -> AnswerError {
    AnswerError::Malformed {
        field,
        problem: problem.to_string(),
    }
}

pub(crate) fn time(field: &'static str, ms: u64) -> Result<ClusterTime, AnswerError> {
    ClusterTime::new(ms).map_err(|error| malformed(field, error))
}

/// A time of which 0 says that there is none.
pub(crate) fn optional_time(
    field: &'static str,
    ms: u64,
) -> Result<Option<ClusterTime>, AnswerError> {
    match ms {
        0 => Ok(None),
        ms => time(field, ms).map(Some),
    }
}

pub(crate) fn name(field: &'static str, text: String) -> Result<Name, AnswerError> {
    Name::new(text).map_err(|error| malformed(field, error))
}

pub(crate) fn caller(field: &'static str, text: String) -> Result<Caller, AnswerError> {
    Caller::new(text).map_err(|error| malformed(field, error))
}

/// A caller of which an empty text says that there is none.
pub(crate) fn optional_caller(
    field: &'static str,
    text: String,
) -> Result<Option<Caller>, AnswerError> {
    if text.is_empty() {
        Ok(None)
    } else {
        caller(field, text).map(Some)
    }
}

pub(crate) fn permit_id(field: &'static str, text: &str) -> Result<PermitId, AnswerError> {
    text.parse().map_err(|error| malformed(field, error))
}

pub(crate) fn version(version: u64) -> Result<PolicyVersion, AnswerError> {
    PolicyVersion::new(version).map_err(|error| malformed("policy_version", error))
}

pub(crate) fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, AnswerError> {
    convert::digest(field, bytes).map_err(|error| malformed(field, error))
}
