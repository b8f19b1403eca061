//! The published registry of decisions and reasons.
//!
//! `docs/reference/reasons.md` is made from this table, and a test compares the two. A code and a
//! name are never given a second meaning and never taken back; new reasons get new codes.

use std::fmt;
use std::str::FromStr;

/// What the gate says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Policy allows, every bound was granted, a quorum has committed the grant.
    Permit,
    /// The gate decided against. Recorded and receipted like a permit.
    Deny,
    /// No decision exists. Never recorded, never executable.
    Silence,
}

impl Decision {
    /// `PERMIT`, `DENY` or `SILENCE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "PERMIT",
            Self::Deny => "DENY",
            Self::Silence => "SILENCE",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a text is not a word of the registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct UnknownWord {
    what: &'static str,
    text: String,
}

impl FromStr for Decision {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = [Self::Permit, Self::Deny, Self::Silence];
        known
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "decision",
                text: text.to_owned(),
            })
    }
}

/// What a reason is an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A request that was granted.
    Permit,
    /// A request that was decided against.
    Deny,
    /// A request about which nothing was decided.
    Silence,
    /// A redeem, complete, revoke or release that changed nothing.
    PermitRefusal,
    /// A change of policy that changed nothing.
    PolicyRefusal,
    /// Any call, whatever it asked for, that changed nothing.
    CallRefusal,
    /// An approval, or the revocation of one, that changed nothing.
    ApprovalRefusal,
    /// A change of signing keys that changed nothing.
    KeysRefusal,
    /// A change of the members that changed nothing.
    MembersRefusal,
}

impl Scope {
    /// The words of the table in `docs/reference/reasons.md`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "PERMIT",
            Self::Deny => "DENY",
            Self::Silence => "SILENCE",
            Self::PermitRefusal => "redeem, complete, revoke refused",
            Self::PolicyRefusal => "policy change refused",
            Self::CallRefusal => "call refused",
            Self::ApprovalRefusal => "approval refused",
            Self::KeysRefusal => "keys change refused",
            Self::MembersRefusal => "members change refused",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident = $code:literal $name:literal $scope:ident $sentence:literal;)*) => {
        /// Why an answer is what it is: one registry for decisions and refusals.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Reason {
            $(#[doc = $sentence] $variant = $code,)*
        }

        impl Reason {
            /// Every reason, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable number.
            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// The stable name, in `UPPER_SNAKE`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for people: what it means and what to do.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What it is an answer to.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)* }
            }
        }
    };
}

reasons! {
    Granted = 100 "GRANTED" Permit "Policy allows it and every bound was granted.";

    Policy = 200 "POLICY" Deny "A policy forbids it; the codes name the deciding policies.";
    NotPermitted = 201 "NOT_PERMITTED" Deny "No policy permits it.";
    BoundHeld = 202 "BOUND_HELD" Deny "Another permit holds a bound that this request needs, or an older request waits for it; try with a new key later.";
    BoundExhausted = 203 "BOUND_EXHAUSTED" Deny "A capacity or a budget that this request needs is used up.";
    AlreadyCommitted = 204 "ALREADY_COMMITTED" Deny "This operation may be committed once, and it was.";

    IdempotencyKeyReused = 300 "IDEMPOTENCY_KEY_REUSED" Silence "The idempotency key belongs to another request or to another end of the attempt; use a new key.";
    AttemptExpired = 301 "ATTEMPT_EXPIRED" Silence "The attempt ended before anything was decided; use a new key.";
    PolicyMoved = 302 "POLICY_MOVED" Silence "The policy changed faster than the request could be decided; repeat with the same key.";
    FactsMoved = 303 "FACTS_MOVED" Silence "A fact that the verdict rests on changed faster than the request could be decided; repeat with the same key.";
    NoQuorum = 304 "NO_QUORUM" Silence "No majority of the nodes could be reached; repeat with the same key.";
    NoActivePolicy = 305 "NO_ACTIVE_POLICY" Silence "The namespace has no active policy; activate one first.";
    UnknownSurface = 306 "UNKNOWN_SURFACE" Silence "The active policy does not register this surface.";
    UnknownAction = 307 "UNKNOWN_ACTION" Silence "The surface does not have this action, or has several and none was named.";
    InvalidParams = 308 "INVALID_PARAMS" Silence "The parameters are malformed, ill-typed, incomplete or unknown to the surface.";
    EvaluationError = 309 "EVALUATION_ERROR" Silence "The policy could not be evaluated without an error, so it decides nothing.";
    Timeout = 310 "TIMEOUT" Silence "The deadline passed before an answer was known; repeat with the same key to learn of a decision.";
    Overloaded = 311 "OVERLOADED" Silence "The gate has more work than it admits; repeat later with the same key.";
    ApprovalRequired = 312 "APPROVAL_REQUIRED" Silence "Approvals are missing; the answer names the quorums and the digests to approve.";
    PrerequisiteNotCommitted = 313 "PREREQUISITE_NOT_COMMITTED" Silence "A permit that must be committed first is not.";
    ClockSkew = 314 "CLOCK_SKEW" Silence "The leader's clock is too far from the voters' median, so it does not grant.";
    FenceExhausted = 315 "FENCE_EXHAUSTED" Silence "The namespace has no more fences in this epoch.";
    Frozen = 316 "FROZEN" Silence "The namespace or the surface is frozen by an operator.";
    Draining = 317 "DRAINING" Silence "The surface drains its permits for a change of policy; repeat later with the same key.";
    SessionClosed = 318 "SESSION_CLOSED" Silence "The session of the request is closed.";
    NotLeader = 319 "NOT_LEADER" Silence "The node does not lead the cluster; repeat with the same key at another node.";
    NoSignatures = 320 "NO_SIGNATURES" Silence "The decision could not be signed by enough nodes in time; repeat with the same key to learn of it.";
    StorageFull = 321 "STORAGE_FULL" Silence "The gate has no room for new work.";
    Unreachable = 322 "UNREACHABLE" Silence "No node could be reached, and nothing left this host.";
    ReceiptInvalid = 323 "RECEIPT_INVALID" Silence "An answer came, but its receipt does not verify against the published keys, so it is not believed.";

    Expired = 400 "EXPIRED" PermitRefusal "The permit expired before it was redeemed; ask again with a new key.";
    Revoked = 401 "REVOKED" PermitRefusal "The permit was revoked.";
    Superseded = 402 "SUPERSEDED" PermitRefusal "A retry under a later policy version replaced the permit.";
    AlreadyRedeemed = 403 "ALREADY_REDEEMED" PermitRefusal "The permit was redeemed before, under another redemption id.";
    NotExecutor = 404 "NOT_EXECUTOR" PermitRefusal "The surface does not name this principal as an executor of the permit.";
    RequestMismatch = 405 "REQUEST_MISMATCH" PermitRefusal "What is about to be done is not what the permit was granted for: digest or fence differ.";
    StalePolicy = 406 "STALE_POLICY" PermitRefusal "Another policy version is active now, and it does not honour earlier permits.";
    StaleContext = 407 "STALE_CONTEXT" PermitRefusal "The session is closed, or a prerequisite no longer holds.";
    UnknownPermit = 408 "UNKNOWN_PERMIT" PermitRefusal "The gate has no such permit.";
    NotRedeemed = 409 "NOT_REDEEMED" PermitRefusal "Only a redeemed permit, or one for offline executors, can be completed.";
    OutcomeConflict = 410 "OUTCOME_CONFLICT" PermitRefusal "The permit was completed before with another outcome; the conflict is recorded.";
    NotAllowed = 411 "NOT_ALLOWED" PermitRefusal "The permit's present state does not allow this step.";
    NotInDoubt = 412 "NOT_IN_DOUBT" PermitRefusal "Only a permit in doubt can be released.";
    Released = 413 "RELEASED" PermitRefusal "The permit was in doubt for so long that its bounds were released; its outcome is recorded as a conflict.";
    StillNeeded = 414 "STILL_NEEDED" PermitRefusal "The permit is live or in doubt, or its attempt can still be retried, so what it disclosed is still needed; repeat later.";

    BundleUnknown = 500 "BUNDLE_UNKNOWN" PolicyRefusal "The namespace has no bundle with this digest; put it first.";
    VersionConflict = 501 "VERSION_CONFLICT" PolicyRefusal "The active policy version is not the one that the change expects; read it again.";
    BoundsInUse = 502 "BOUNDS_IN_USE" PolicyRefusal "Live permits hold bounds that the bundle changes or removes; wait, or drain.";
    FeatureLevel = 503 "FEATURE_LEVEL" PolicyRefusal "The change needs a higher feature level than the cluster has.";
    BundleInvalid = 504 "BUNDLE_INVALID" PolicyRefusal "The bundle does not load, or its own tests fail.";
    VersionExhausted = 505 "VERSION_EXHAUSTED" PolicyRefusal "The namespace has no more policy versions.";
    BundleLimit = 506 "BUNDLE_LIMIT" PolicyRefusal "The namespace holds as many bundles as it may, or the bundle is too large.";
    BundleInUse = 507 "BUNDLE_IN_USE" PolicyRefusal "The bundle is active, or a retained receipt, a drain or a shadow names it.";
    DrainPending = 508 "DRAIN_PENDING" PolicyRefusal "Another activation is draining; cancel it first or wait.";
    NoDrain = 509 "NO_DRAIN" PolicyRefusal "No activation is draining.";
    RetentionTooShort = 510 "RETENTION_TOO_SHORT" PolicyRefusal "A retention time is shorter than correctness needs; the message says the least.";

    InvalidRequest = 600 "INVALID_REQUEST" CallRefusal "A field of the call is missing or malformed; the message names it.";
    UnknownNamespace = 601 "UNKNOWN_NAMESPACE" CallRefusal "The cluster has no such namespace.";
    NotFound = 602 "NOT_FOUND" CallRefusal "The gate has no record under this name.";
    Unauthenticated = 603 "UNAUTHENTICATED" CallRefusal "The call does not say who asks in a way that the gate accepts.";
    Forbidden = 604 "FORBIDDEN" CallRefusal "The caller has no role that allows this call.";
    Internal = 605 "INTERNAL" CallRefusal "The node met a fault of its own; its log says more.";
    Erased = 606 "ERASED" CallRefusal "What was stored of the request beyond its statements was erased; they stand, and so do their receipts.";

    NotApprover = 700 "NOT_APPROVER" ApprovalRefusal "The quorum's group does not have this principal, or it excludes the requester.";
    UnknownSubject = 701 "UNKNOWN_SUBJECT" ApprovalRefusal "Nothing that waits for approval has this digest.";
    ApprovalSpent = 702 "APPROVAL_SPENT" ApprovalRefusal "A permit has spent the approval.";
    UnknownApproval = 703 "UNKNOWN_APPROVAL" ApprovalRefusal "There is no such approval.";
    TooManyPending = 705 "TOO_MANY_PENDING" ApprovalRefusal "Too many requests wait for approval; let some end.";

    KeysMoved = 800 "KEYS_MOVED" KeysRefusal "The node's keys are not the ones that the change expects; list them again.";
    TooFewSigners = 801 "TOO_FEW_SIGNERS" KeysRefusal "Fewer nodes would sign than must; let others announce themselves, or rotate keys first.";
    UnknownNode = 802 "UNKNOWN_NODE" KeysRefusal "The cluster does not know this node, or it has no part in this.";
    UnknownKey = 803 "UNKNOWN_KEY" KeysRefusal "The node was never a signer with these keys.";
    KeysPending = 804 "KEYS_PENDING" KeysRefusal "The signers before and after an earlier change have not both signed yet; repeat later.";
    TooManyEpochs = 805 "TOO_MANY_EPOCHS" KeysRefusal "The namespace has had as many sets of signers as a key set holds; the last are kept for changes of membership.";
    KeysUnfit = 806 "KEYS_UNFIT" KeysRefusal "The keys are malformed, weak, marked as compromised, or in use already; make new ones.";

    MemberUnknown = 900 "MEMBER_UNKNOWN" MembersRefusal "The node is no member, and has not greeted the leader either; start it with a cluster file that lists it beside the members.";
    MemberUsedBefore = 901 "MEMBER_USED_BEFORE" MembersRefusal "The node was a member once, or is one with another data directory; give the new node an id that was never used.";
    MemberBehind = 902 "MEMBER_BEHIND" MembersRefusal "The node has not caught up with the log, or its keys are not announced yet; repeat later.";
    MembersUnfit = 903 "MEMBERS_UNFIT" MembersRefusal "Too few voters would be left, or too few of them are there, or there are as many members as there may be.";
    MembersPending = 904 "MEMBERS_PENDING" MembersRefusal "Another change of the membership is half way; repeat later.";
}

impl Reason {
    /// The decision that the reason explains; none for refusals of other calls.
    ///
    /// A refused call decides nothing, so [`Scope::CallRefusal`] is given as SILENCE when the call
    /// was a request.
    #[must_use]
    pub const fn decision(self) -> Option<Decision> {
        match self.scope() {
            Scope::Permit => Some(Decision::Permit),
            Scope::Deny => Some(Decision::Deny),
            Scope::Silence => Some(Decision::Silence),
            Scope::PermitRefusal
            | Scope::PolicyRefusal
            | Scope::CallRefusal
            | Scope::ApprovalRefusal
            | Scope::KeysRefusal
            | Scope::MembersRefusal => None,
        }
    }

    /// The reason with this code.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| UnknownWord {
                what: "reason",
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_code_and_name_and_is_found_by_both() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            if let Some(next) = Reason::ALL.get(place + 1) {
                assert!(
                    reason.code() < next.code(),
                    "{next} must come in the order of codes"
                );
            }
        }
        assert_eq!(Reason::from_code(0), None);
        assert!("granted".parse::<Reason>().is_err());
    }

    #[test]
    fn every_name_is_upper_snake_and_every_sentence_ends() {
        for reason in Reason::ALL {
            assert!(
                reason
                    .as_str()
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c == '_')
            );
            assert!(reason.sentence().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn decisions_read_back_from_their_text() {
        for decision in [Decision::Permit, Decision::Deny, Decision::Silence] {
            assert_eq!(decision.as_str().parse(), Ok(decision));
        }
        assert_eq!(
            "permit".parse::<Decision>().unwrap_err().to_string(),
            "`permit` is not a decision"
        );
    }
}
