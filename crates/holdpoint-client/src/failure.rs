//! What an answer that is none means: ask again, or not.

use std::error::Error;
use std::sync::Arc;

use holdpoint_proto::hint::leader_hint;
use holdpoint_proto::v1;
use holdpoint_receipt::Reason;
use tonic::{Code, Status};

use crate::believe::AnswerError;
use crate::connection::root_cause;
use crate::fault::{Decided, Fault};
use crate::stream::StreamError;

/// What a node says of one submission that did not get what it asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another node may do better, or the same one later.
    Again {
        fault: Fault,
        hint: Option<v1::LeaderHint>,
    },
    /// Asking again cannot help.
    Final(Refused),
}

/// A refusal that asking again cannot change.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}: {}", sentence.trim_end_matches('.'))]
pub struct Refused {
    /// Why, from the one registry.
    pub reason: Reason,
    /// One sentence for people.
    pub sentence: String,
    /// Whether an earlier submission of the same call may have had an effect.
    pub decided: Decided,
}

impl Failure {
    /// What an error status means.
    pub(crate) fn from_status(status: &Status) -> Self {
        let refused = |reason| {
            let sentence = status.message().to_owned();
            Self::Final(Refused {
                reason,
                sentence,
                decided: Decided::Never,
            })
        };
        let hint = leader_hint(status);
        let cannot = |reason, decided, hint| Self::Again {
            fault: Fault::CannotDecide { reason, decided },
            hint,
        };
        match status.code() {
            Code::InvalidArgument => refused(Reason::InvalidRequest),
            Code::Unauthenticated => refused(Reason::Unauthenticated),
            Code::PermissionDenied => refused(Reason::Forbidden),
            // Said before anything is done.
            Code::FailedPrecondition => cannot(Reason::NotLeader, Decided::Never, hint),
            // A leader that steps down says so of requests that may have been appended.
            Code::Unavailable if hint.is_some() => {
                cannot(Reason::NotLeader, Decided::Unknown, hint)
            }
            _ => Self::Again {
                fault: Fault::Broken(explain(status)),
                hint,
            },
        }
    }

    /// What a refusal in an answer means: final, unless the reason speaks of the node or the moment.
    pub(crate) fn from_refusal(refusal: v1::Refusal) -> Self {
        let reason = reason(refusal.reason, &refusal.reason_name);
        let decided = decided(refusal.decided());
        if is_passing(reason) {
            let fault = Fault::CannotDecide { reason, decided };
            return Self::Again {
                fault,
                hint: refusal.leader_hint,
            };
        }
        Self::Final(Refused {
            reason,
            sentence: sentence(refusal.sentence, reason),
            decided,
        })
    }

    /// An answer that does not hold what it must.
    pub(crate) fn disbelieve(error: AnswerError) -> Self {
        Self::Again {
            fault: Fault::NotBelieved(Arc::new(error)),
            hint: None,
        }
    }

    /// Whether the answer's proof did not verify: the keys may have changed.
    pub(crate) fn is_of_receipt(&self) -> bool {
        matches!(self, Self::Again { fault: Fault::NotBelieved(error), .. }
            if matches!(**error, AnswerError::Receipt(_)))
    }

    /// Whether the submission may have had an effect all the same.
    pub(crate) const fn decided(&self) -> Decided {
        match self {
            Self::Again { fault, .. } => fault.decided(),
            Self::Final(refused) => refused.decided,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::from_status(&status)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::NotSent => Self::Again {
                fault: Fault::Unreachable(
                    "the stream ended before the request was sent".to_owned(),
                ),
                hint: None,
            },
            StreamError::Ended(status) => Self::from_status(&status),
        }
    }
}

fn explain(status: &Status) -> String {
    match status.source() {
        Some(source) => root_cause(source),
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => status.message().to_owned(),
    }
}

/// The reason that a node names. One that this build does not know is the node's own affair.
pub(crate) fn reason(code: i32, name: &str) -> Reason {
    let known = u16::try_from(code).ok().and_then(Reason::from_code);
    known
        .or_else(|| name.parse().ok())
        .unwrap_or(Reason::Internal)
}

pub(crate) fn decided(decided: v1::Decided) -> Decided {
    match decided {
        v1::Decided::Never => Decided::Never,
        v1::Decided::Unknown | v1::Decided::Unspecified => Decided::Unknown,
    }
}

pub(crate) fn sentence(given: String, reason: Reason) -> String {
    if given.is_empty() {
        reason.sentence().to_owned()
    } else {
        given
    }
}

/// Whether the reason speaks of one node or one moment, so that asking again can help at once.
pub(crate) const fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PolicyMoved
            | Reason::FactsMoved
            | Reason::NoQuorum
            | Reason::Timeout
            | Reason::Overloaded
            | Reason::ClockSkew
            | Reason::NotLeader
            | Reason::NoSignatures
            | Reason::Internal
    )
}
