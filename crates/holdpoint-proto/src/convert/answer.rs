//! Refusals and reasons.

use holdpoint_receipt::{Decision, Reason};

use crate::v1;

impl From<Decision> for v1::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Permit => Self::Permit,
            Decision::Deny => Self::Deny,
            Decision::Silence => Self::Silence,
        }
    }
}

/// The refusal for `reason` with its sentence from the registry, certainly without effect.
///
/// What is known beyond that is set on the result: another sentence, `decided`, the leader.
#[must_use]
pub fn refusal(reason: Reason) -> v1::Refusal {
    v1::Refusal {
        reason: i32::from(reason.code()),
        reason_name: reason.as_str().to_owned(),
        sentence: reason.sentence().to_owned(),
        decided: decided_never(),
        leader_hint: None,
    }
}

/// `decided: never` as its field holds it.
#[must_use]
pub const fn decided_never() -> i32 {
    v1::Decided::Never as i32
}

/// `decided: unknown` as its field holds it.
#[must_use]
pub const fn decided_unknown() -> i32 {
    v1::Decided::Unknown as i32
}
