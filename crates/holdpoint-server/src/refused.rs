//! Why there is no decision, or why a call changed nothing: in one shape for every door.
//!
//! `decided: never` is only said where it is certain. Whoever is in doubt says `unknown`.

use std::time::Duration;

use holdpoint_proto::convert;
use holdpoint_proto::v1;
use holdpoint_receipt::{ClusterTime, Decision, Reason};

use crate::admit::NotAdmitted;

/// A call that has no effect as far as its answer can tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    /// Boxed: it rides in every `Result` of the way.
    refusal: Box<v1::Refusal>,
    /// The end under which the attempt is recorded; none if that is not known or no attempt.
    recorded_end: Option<ClusterTime>,
    reason: Reason,
    /// Approvals that are missing.
    missing: Vec<v1::MissingApproval>,
    /// The place of an attempt that waits.
    waiting: Option<v1::Waiting>,
}

impl Refused {
    /// The call certainly has no effect.
    pub(crate) fn never(reason: Reason) -> Self {
        Self {
            refusal: Box::new(convert::refusal(reason)),
            recorded_end: None,
            reason,
            missing: Vec::new(),
            waiting: None,
        }
    }

    /// The call may have an effect; repeating it with the same key finds out.
    pub(crate) fn unknown(reason: Reason) -> Self {
        let mut refused = Self::never(reason);
        refused.refusal.decided = convert::decided_unknown();
        refused
    }

    /// Why.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether it says how long this node takes: not if it was given without trying.
    pub(crate) fn is_of_work(&self) -> bool {
        !matches!(
            self.reason,
            Reason::Overloaded | Reason::NotLeader | Reason::NoQuorum
        )
    }

    /// Names what has to be approved before there can be a permit.
    pub(crate) fn missing(mut self, missing: Vec<v1::MissingApproval>) -> Self {
        self.missing = missing;
        self
    }

    /// Says which place the attempt has in the queues of its bounds.
    pub(crate) fn waiting(mut self, waiting: v1::Waiting) -> Self {
        self.waiting = Some(waiting);
        self
    }

    /// The same of an attempt that has a place in the queues of its bounds: what passes by itself leaves
    /// it there, and a repetition with the same key finds it.
    pub(crate) fn keeping(self, place: Option<v1::Waiting>) -> Self {
        let passes = matches!(
            self.reason,
            Reason::Timeout
                | Reason::Overloaded
                | Reason::NotLeader
                | Reason::NoQuorum
                | Reason::PolicyMoved
                | Reason::FactsMoved
        );
        match place {
            Some(place) if passes => self.in_doubt().waiting(place),
            Some(_) | None => self,
        }
    }

    /// Says it in other words than the registry's.
    pub(crate) fn saying(mut self, sentence: impl Into<String>) -> Self {
        self.refusal.sentence = sentence.into();
        self
    }

    /// Tells a retry that lost the end of its attempt under which one it is recorded.
    pub(crate) fn ending(mut self, not_after: ClusterTime) -> Self {
        self.recorded_end = Some(not_after);
        self.saying(format!(
            "This key names the same request in an attempt that ends at {not_after}; repeat it with \
             `not_after_ms` {}.",
            not_after.get()
        ))
    }

    /// Names a better node to ask.
    pub(crate) fn with_hint(mut self, hint: v1::LeaderHint) -> Self {
        self.refusal.leader_hint = Some(hint);
        self
    }

    /// Takes back that nothing happened: an earlier step of the same call may have had an effect.
    pub(crate) fn in_doubt(mut self) -> Self {
        self.refusal.decided = convert::decided_unknown();
        self
    }

    /// For reads, which have none, however they end.
    pub(crate) fn certainly_without_effect(mut self) -> Self {
        self.refusal.decided = convert::decided_never();
        self
    }

    /// As calls other than authorize answer it.
    pub(crate) fn into_refusal(self) -> v1::Refusal {
        *self.refusal
    }

    /// As authorize answers it: SILENCE.
    pub(crate) fn into_silence(mut self) -> v1::AuthorizeResponse {
        let missing_approvals = std::mem::take(&mut self.missing);
        let waiting = self.waiting.take();
        let not_after_ms = self.recorded_end.map_or(0, ClusterTime::get);
        let refusal = self.into_refusal();
        v1::AuthorizeResponse {
            decision: v1::Decision::from(Decision::Silence).into(),
            reason: refusal.reason,
            reason_name: refusal.reason_name,
            sentence: refusal.sentence,
            decided: refusal.decided,
            leader_hint: refusal.leader_hint,
            not_after_ms,
            missing_approvals,
            waiting,
            ..v1::AuthorizeResponse::default()
        }
    }
}

impl From<NotAdmitted> for Refused {
    fn from(reason: NotAdmitted) -> Self {
        match reason {
            NotAdmitted::Overloaded => Self::never(Reason::Overloaded),
            NotAdmitted::Stopping => Self::never(Reason::NotLeader)
                .saying("This node is stopping; repeat with the same key at another node."),
        }
    }
}

/// A duration as people read it: `5.0 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_says_what_the_refusal_says() {
        let refused = Refused::unknown(Reason::Timeout).saying("Late.");
        let refusal = refused.clone().into_refusal();
        let silence = refused.into_silence();
        assert_eq!(silence.decision, i32::from(v1::Decision::Silence));
        assert_eq!(
            (silence.reason, silence.sentence),
            (refusal.reason, refusal.sentence)
        );
        assert_eq!(silence.decided, convert::decided_unknown());
        assert_eq!(silence.permit, None);
        assert_eq!(silence.receipt, None);
    }

    #[test]
    fn attempt_that_waits_keeps_its_place_over_what_passes_by_itself() {
        let place = v1::Waiting {
            ticket: 7,
            ..v1::Waiting::default()
        };
        let late = Refused::never(Reason::Timeout)
            .keeping(Some(place))
            .into_silence();
        assert_eq!(
            (late.decided, late.waiting),
            (convert::decided_unknown(), Some(place))
        );
        let frozen = Refused::never(Reason::Frozen)
            .keeping(Some(place))
            .into_silence();
        assert_eq!(
            (frozen.decided, frozen.waiting),
            (convert::decided_never(), None)
        );
    }

    #[test]
    fn request_without_a_place_is_certainly_not_decided() {
        let refusal = Refused::from(NotAdmitted::Overloaded).into_refusal();
        assert_eq!(refusal.decided, convert::decided_never());
        assert_eq!(refusal.reason_name, "OVERLOADED");
    }

    #[test]
    fn seconds_have_one_digit() {
        assert_eq!(seconds(Duration::from_millis(5_049)), "5.0 s");
        assert_eq!(seconds(Duration::from_millis(950)), "0.9 s");
    }
}
