//! Showing what a statement hides, one member at a time.
//!
//! A statement holds callers, actors, sessions, keys and reasons only as commitments, and the request
//! only as a digest. Whoever holds the request and the statement's salt shows one value by handing out
//! that value and the [`MemberSalt`] of its member; the other members stay closed, because their salts
//! do not follow from it. The request itself is shown whole, or not at all: [`request`].
//!
//! What is shown is true of the statement. That the statement is the gate's, its receipt shows.

use std::fmt;

use crate::digest::Digest;
use crate::names::{Actor, Name, SessionId};
use crate::request::Request;
use crate::statement::{Body, BoundCommitments, ErasedStatement, MemberSalt, Statement};

/// A member that holds a commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Who asked, or took the step: `caller_commitment`.
    Caller,
    /// On whose behalf: `actor_commitment`.
    Actor,
    /// The session: `session_commitment`.
    Session,
    /// The attempt's key: `idempotency_key_commitment`.
    IdempotencyKey,
    /// The redemption's id: `redemption_commitment`.
    Redemption,
    /// The reason that an operator gave: `reason_commitment`.
    Reason,
    /// The facts that the verdict rests on: `inputs_digest`.
    Inputs,
    /// The key of a bound: `bound.<name>`.
    Bound(Name),
}

impl Field {
    /// The member's name.
    #[must_use]
    pub fn member(&self) -> String {
        let member = match self {
            Self::Caller => "caller_commitment",
            Self::Actor => "actor_commitment",
            Self::Session => "session_commitment",
            Self::IdempotencyKey => "idempotency_key_commitment",
            Self::Redemption => "redemption_commitment",
            Self::Reason => "reason_commitment",
            Self::Inputs => "inputs_digest",
            Self::Bound(name) => return BoundCommitments::member(name),
        };
        member.to_owned()
    }

    /// The field of a member's name.
    #[must_use]
    pub fn of_member(member: &str) -> Option<Self> {
        let fields = [
            Self::Caller,
            Self::Actor,
            Self::Session,
            Self::IdempotencyKey,
            Self::Redemption,
            Self::Reason,
            Self::Inputs,
        ];
        let known = fields.into_iter().find(|field| field.member() == member);
        known.or_else(|| {
            let name = member.strip_prefix("bound.")?;
            Name::new(name).ok().map(Self::Bound)
        })
    }

    /// What the field of this request was committed to; none where the request does not say it, or
    /// does not have it.
    #[must_use]
    pub fn value_in<'a>(&self, request: &'a Request) -> Option<&'a str> {
        match self {
            Self::Caller => Some(request.caller.as_str()),
            Self::Actor => request.actor.as_ref().map(Actor::as_str),
            Self::Session => request.session.as_ref().map(SessionId::as_str),
            Self::IdempotencyKey
            | Self::Redemption
            | Self::Reason
            | Self::Inputs
            | Self::Bound(_) => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.member())
    }
}

/// Why a statement is not shown to be about a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The statement has no such member.
    #[error("the statement has no `{0}`")]
    NoSuchMember(String),
    /// The member holds another commitment.
    #[error("`{0}` is not the commitment to this value under this salt")]
    AnotherValue(String),
    /// The statement is about another request.
    #[error("the statement is about another request")]
    AnotherRequest,
}

impl OpenError {
    /// The published code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchMember(_) => "NO_SUCH_MEMBER",
            Self::AnotherValue(_) => "ANOTHER_VALUE",
            Self::AnotherRequest => "BINDING_MISMATCH",
        }
    }
}

/// Shows that a member of the statement is the commitment to `value`.
///
/// # Errors
///
/// [`OpenError`]: the statement has no such member, or it is about something else.
pub fn field(
    statement: &Statement,
    field: &Field,
    salt: &MemberSalt,
    value: &[u8],
) -> Result<(), OpenError> {
    let committed = commitment(&statement.body, field);
    let committed = committed.ok_or_else(|| OpenError::NoSuchMember(field.member()))?;
    if salt.commit(value) == *committed {
        Ok(())
    } else {
        Err(OpenError::AnotherValue(field.member()))
    }
}

/// Every member of the statement that holds a commitment, in the order of [`Field`].
#[must_use]
pub fn fields(statement: &Statement) -> Vec<Field> {
    let body = &statement.body;
    let plain = [
        Field::Caller,
        Field::Actor,
        Field::Session,
        Field::IdempotencyKey,
        Field::Redemption,
        Field::Reason,
        Field::Inputs,
    ];
    let bounds = body.decision().map(|decision| decision.bounds.iter());
    let bounds = bounds.into_iter().flatten();
    plain
        .into_iter()
        .chain(bounds.map(|(name, _)| Field::Bound(name.clone())))
        .filter(|field| commitment(body, field).is_some())
        .collect()
}

/// Shows that the statement is about this request.
///
/// # Errors
///
/// [`OpenError`]: it is about another one, or about none.
pub fn request(statement: &Statement, request: &Request) -> Result<(), OpenError> {
    let body = &statement.body;
    let stated = match (body.decision(), body.step(), body) {
        (Some(decision), _, _) => Some(&decision.request_digest),
        (_, Some(step), _) => Some(&step.request_digest),
        (_, _, Body::Erased(erased)) => Some(&erased.request_digest),
        (None, None, _) => None,
    };
    let missing = || OpenError::NoSuchMember("request_digest".to_owned());
    let stated = stated.ok_or_else(missing)?;
    if *stated == request.digest() {
        Ok(())
    } else {
        Err(OpenError::AnotherRequest)
    }
}

fn commitment<'a>(body: &'a Body, field: &Field) -> Option<&'a Digest> {
    let decision = body.decision();
    match field {
        Field::Caller => caller(body),
        Field::Actor => decision?.actor_commitment.as_ref(),
        Field::Session => session(body),
        Field::IdempotencyKey => Some(&decision?.idempotency_key_commitment),
        Field::Inputs => Some(&decision?.inputs_digest),
        Field::Bound(name) => decision?.bounds.get(name),
        Field::Redemption => redemption(body),
        Field::Reason => reason(body),
    }
}

fn session(body: &Body) -> Option<&Digest> {
    if let Body::SessionClosed(closed) = body {
        Some(&closed.session_commitment)
    } else {
        body.decision()?.session_commitment.as_ref()
    }
}

fn redemption(body: &Body) -> Option<&Digest> {
    if let Body::Redeemed {
        redemption_commitment,
        ..
    } = body
    {
        Some(redemption_commitment)
    } else {
        None
    }
}

fn reason(body: &Body) -> Option<&Digest> {
    if let Body::Completed {
        reason_commitment, ..
    }
    | Body::Conflict {
        reason_commitment, ..
    }
    | Body::Released {
        reason_commitment, ..
    }
    | Body::Erased(ErasedStatement {
        reason_commitment, ..
    }) = body
    {
        reason_commitment.as_ref()
    } else {
        None
    }
}

fn caller(body: &Body) -> Option<&Digest> {
    match body {
        Body::Decision(decision) => Some(&decision.caller_commitment),
        Body::Redeemed { step, .. }
        | Body::Completed { step, .. }
        | Body::Conflict { step, .. }
        | Body::Released { step, .. }
        | Body::Revoked(step)
        | Body::Superseded(step) => step.caller_commitment.as_ref(),
        Body::Policy(policy) => Some(&policy.caller_commitment),
        Body::Keys(keys) => keys.caller_commitment.as_ref(),
        Body::Approved(approval) | Body::ApprovalRevoked(approval) => {
            Some(&approval.caller_commitment)
        }
        Body::SessionClosed(closed) => Some(&closed.caller_commitment),
        Body::Frozen(frozen) => Some(&frozen.caller_commitment),
        Body::Drain(drain) => Some(&drain.caller_commitment),
        Body::Erased(erased) => Some(&erased.caller_commitment),
    }
}
