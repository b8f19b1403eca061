//! What changes a setting or a list of a namespace, and what only time brings about.

use holdpoint_receipt::{Caller, Digest, IdempotencyKey, Name, Salt, SessionId};

/// Refuses what is still to come in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseSession {
    /// The namespace.
    pub namespace: Name,
    /// The session. One that no decision has named yet belongs to who closes it.
    pub session: SessionId,
    /// Who closes it.
    pub principal: Caller,
    /// Whether that is an operator, who may close anybody's session.
    pub operator: bool,
    /// For the statement.
    pub salt: Salt,
}

/// Stops grants of a namespace or a surface, or lets them go on. Only an operator may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// The namespace.
    pub namespace: Name,
    /// The surface; none for the whole namespace.
    pub surface: Option<Name>,
    /// Whether it is to be frozen.
    pub frozen: bool,
    /// Who says so.
    pub principal: Caller,
    /// For the statement.
    pub salt: Salt,
}

/// Takes attempts out of the queues of their bounds, because nobody waits for their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveQueue {
    /// The namespace.
    pub namespace: Name,
    /// The attempts with their tickets: one that has queued up again since is left alone. At most
    /// [`crate::limits::LEAVES_MAX`].
    pub waiters: Vec<Ticket>,
}

/// A place in the queues of one attempt's bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The number: the lower, the older.
    pub number: u64,
    /// The attempt.
    pub attempt: AttemptName,
}

/// What an attempt is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptName {
    /// Who asks.
    pub caller: Caller,
    /// Names the attempt.
    pub idempotency_key: IdempotencyKey,
}

impl AttemptName {
    /// The name that stands in what follows the kind of a key.
    pub(crate) fn in_key(rest: &[u8]) -> Option<Self> {
        let mut texts = rest.strip_suffix(&[0])?.split(|byte| *byte == 0);
        let mut text = || std::str::from_utf8(texts.next()?).ok();
        Some(Self {
            caller: Caller::new(text()?).ok()?,
            idempotency_key: IdempotencyKey::new(text()?).ok()?,
        })
    }
}

/// Gives up a pending activation. What it has revoked stays revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelDrain {
    /// The namespace.
    pub namespace: Name,
    /// Who says so.
    pub principal: Caller,
    /// For the statement.
    pub salt: Salt,
}

/// Says which bundles are evaluated beside the active one. They never change an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetShadow {
    /// The namespace.
    pub namespace: Name,
    /// Registered bundles, sorted, none twice, at most [`crate::limits::SHADOWS_MAX`].
    pub digests: Vec<Digest>,
}

/// Takes a bundle away that nothing names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletePolicy {
    /// The namespace.
    pub namespace: Name,
    /// The bundle.
    pub digest: Digest,
}

/// Says how long what has ended is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRetention {
    /// The namespace.
    pub namespace: Name,
    /// The times.
    pub retention: Retention,
}

/// How long what has ended is kept, in milliseconds. None keeps it for ever.
///
/// None of them may be shorter than [`crate::limits::RETENTION_MS_MIN`], because a late retry must
/// find what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Permits, from their end.
    pub permits_ms: Option<u64>,
    /// What statements only commit to: requests and evaluations, from the decision.
    pub disclosures_ms: Option<u64>,
    /// Statements, from when they were made. At least as long as permits and disclosures.
    pub statements_ms: Option<u64>,
    /// Sessions, from their last use.
    pub sessions_ms: Option<u64>,
}

/// One bounded step of everything that only time brings about: expiry, release, drain, retention.
///
/// The leader proposes it while something is due. At most [`crate::limits::SWEEP_ROWS_MAX`] rows of
/// each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The namespace.
    pub namespace: Name,
    /// For the statements.
    pub salt: Salt,
}
