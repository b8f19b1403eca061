//! Why a call to a testbed changed nothing, in the shapes in which the gate says it.

use std::convert::Infallible;

use holdpoint_core::ApplyError;
use holdpoint_proto::{convert, v1};
use holdpoint_receipt::{ClusterTime, Decision, Reason};

/// A call without an effect, as far as its answer can tell.
#[derive(Clone, Debug)]
pub(super) struct Refused(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    refusal: v1::Refusal,
    recorded_end: Option<ClusterTime>,
    missing: Vec<v1::MissingApproval>,
    waiting: Option<v1::Waiting>,
}

impl Refused {
    /// The call certainly has no effect.
    pub(super) fn never(reason: Reason) -> Self {
        Self(Box::new(Inner {
            refusal: convert::refusal(reason),
            recorded_end: None,
            missing: Vec::new(),
            waiting: None,
        }))
    }

    /// Says it in other words than the registry's.
    pub(super) fn saying(mut self, sentence: impl Into<String>) -> Self {
        self.0.refusal.sentence = sentence.into();
        self
    }

    /// Names what has to be approved first.
    pub(super) fn missing(mut self, missing: Vec<v1::MissingApproval>) -> Self {
        self.0.missing = missing;
        self
    }

    /// The attempt waits, with this place; a decision may follow.
    pub(super) fn still_waits(waiting: v1::Waiting) -> Self {
        let mut refused = Self::never(Reason::Timeout);
        refused.0.refusal.decided = convert::decided_unknown();
        refused.0.waiting = Some(waiting);
        refused
    }

    /// Says under which end the attempt is recorded.
    pub(super) fn ending(mut self, not_after: ClusterTime) -> Self {
        self.0.recorded_end = Some(not_after);
        self
    }

    pub(super) fn into_refusal(self) -> v1::Refusal {
        self.0.refusal
    }

    fn into_silence(self) -> v1::AuthorizeResponse {
        let Inner {
            refusal,
            recorded_end,
            missing,
            waiting,
        } = *self.0;
        v1::AuthorizeResponse {
            decision: v1::Decision::from(Decision::Silence).into(),
            reason: refusal.reason,
            reason_name: refusal.reason_name,
            sentence: refusal.sentence,
            decided: refusal.decided,
            not_after_ms: recorded_end.map_or(0, ClusterTime::get),
            missing_approvals: missing,
            waiting,
            ..v1::AuthorizeResponse::default()
        }
    }
}

impl From<ApplyError<Infallible>> for Refused {
    fn from(error: ApplyError<Infallible>) -> Self {
        fault(&error)
    }
}

/// A fault of the testbed itself.
pub(super) fn fault(error: &impl ToString) -> Refused {
    Refused::never(Reason::Internal).saying(format!(
        "The testbed met a fault of its own: {}.",
        error.to_string()
    ))
}

/// An answer that can say that a call was refused.
pub(super) trait Answer: Sized {
    /// The answer to a call that was refused.
    fn refused(refused: Refused) -> Self;
}

impl Answer for v1::AuthorizeResponse {
    fn refused(refused: Refused) -> Self {
        refused.into_silence()
    }
}

macro_rules! answers {
    ($($answer:ident),* $(,)?) => {$(
        impl Answer for v1::$answer {
            fn refused(refused: Refused) -> Self {
                Self {
                    refusal: Some(refused.into_refusal()),
                    ..Self::default()
                }
            }
        }
    )*};
}

answers! {
    RedeemResponse, CompleteResponse, RevokeResponse, ReleaseResponse, CloseSessionResponse,
    ListPermitsResponse, GetPermitResponse, GetOperationResponse, GetReceiptResponse,
    ListPendingResponse, GetSubjectResponse, ApproveResponse, RevokeApprovalResponse,
    PutPolicyResponse, ActivatePolicyResponse, FreezeResponse, ExportKeysResponse,
}
