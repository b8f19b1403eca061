//! Outcomes are sent between nodes of one build at a time, so only that they come back is held.

use holdpoint_core::Rejection;
use holdpoint_core::codec::{decode_outcome, encode_outcome};
use holdpoint_core::command::Facts;
use holdpoint_core::outcome::{
    ActivateOutcome, ApprovalOutcome, AuthorizeOutcome, ChangeOutcome, Current, Decided, Decision,
    KeysOutcome, Outcome, PermitView, PutOutcome, Statement, StepOutcome, SweepOutcome, Waiting,
};
use holdpoint_core::record::{ApprovalRecord, ApprovalState};
use holdpoint_core::rejection::{Bounded, HandoverProblem};
use holdpoint_receipt::Reason;

use super::records::{denial, permit};
use super::{DIGEST, OTHER_DIGEST, PERMIT, approval, policy, version};
use crate::world::{name, time};

fn statement() -> Statement {
    Statement {
        bytes: b"{}".to_vec(),
        leaf: 300,
    }
}

fn authorized() -> Vec<Outcome> {
    let decision = |verdict| {
        AuthorizeOutcome::Decided(Box::new(Decision {
            verdict,
            policies: vec!["allow".to_owned()],
            policy: policy(),
            replay: true,
            statement: statement(),
            not_after: time(605_000),
            request_digest: OTHER_DIGEST,
        }))
    };
    let current = Current {
        now: time(5_000),
        policy: policy(),
        facts: Facts::default(),
    };
    let view = PermitView::at(permit(), time(7_000));
    let authorized = [
        decision(Decided::Permit(Box::new(view))),
        decision(Decided::Deny(denial())),
        AuthorizeOutcome::Waiting(Box::new(Waiting {
            ticket: 9,
            since: time(4_000),
            wait_until: time(65_000),
            refused: denial().refused,
            now: time(5_000),
        })),
        AuthorizeOutcome::Silent {
            reason: Reason::AttemptExpired,
        },
        AuthorizeOutcome::NotCurrent {
            reason: Reason::FactsMoved,
            current,
        },
    ];
    authorized.into_iter().map(Outcome::Authorized).collect()
}

fn other_outcomes() -> Vec<Outcome> {
    let done = StepOutcome::Done {
        permit: PermitView::at(permit(), time(7_000)),
        statement: statement(),
        replay: false,
    };
    let refused = StepOutcome::Refused {
        reason: Reason::OutcomeConflict,
        permit: None,
        conflict: Some(statement()),
    };
    let put = PutOutcome::Put {
        digest: DIGEST,
        replay: true,
    };
    let put_refused = PutOutcome::Refused {
        reason: Reason::BundleLimit,
    };
    let activated = ActivateOutcome::Activated {
        version: version(3),
        digest: DIGEST,
        statement: statement(),
    };
    let activate_refused = ActivateOutcome::Refused {
        reason: Reason::BoundsInUse,
        active: Some(policy()),
        surface: Some(name("pay")),
    };
    let rejection = Rejection::TooMuch {
        what: Bounded::Policies,
        count: 65,
        count_max: 64,
    };
    vec![
        Outcome::Bootstrapped,
        Outcome::TimeStepped { now: time(9) },
        Outcome::Announced,
        Outcome::FeatureLevelRaised { level: 2 },
        Outcome::PolicyPut(put),
        Outcome::PolicyPut(put_refused),
        Outcome::Activated(activated),
        Outcome::Activated(activate_refused),
        Outcome::Redeemed(Box::new(done.clone())),
        Outcome::Completed(Box::new(refused)),
        Outcome::Revoked(Box::new(done.clone())),
        Outcome::Released(Box::new(done)),
        Outcome::Rejected(rejection),
    ]
}

fn context_outcomes() -> Vec<Outcome> {
    let draining = ActivateOutcome::Draining {
        digest: DIGEST,
        surfaces: vec![name("pay")],
        statement: Some(statement()),
        replay: true,
    };
    let approved = |state| ApprovalOutcome::Done {
        name: approval(),
        approval: ApprovalRecord {
            surface: name("pay"),
            given_at: time(5_000),
            expires_at: time(86_405_000),
            policy: policy(),
            leaf: 290,
            receipt: OTHER_DIGEST,
            state,
        },
        statement: Some(statement()),
        replay: false,
    };
    let not_approved = ApprovalOutcome::Refused {
        reason: Reason::PolicyMoved,
        active: Some(policy()),
    };
    let done = ChangeOutcome::Done {
        statement: Some(statement()),
        replay: true,
    };
    let refused = ChangeOutcome::Refused {
        reason: Reason::Forbidden,
    };
    let swept = SweepOutcome {
        rows: 256,
        released: vec![PERMIT],
        activated: Some(policy()),
        is_done: false,
    };
    vec![
        Outcome::Activated(draining),
        Outcome::Approved(approved(ApprovalState::Spent(PERMIT))),
        Outcome::Approved(not_approved),
        Outcome::ApprovalRevoked(approved(ApprovalState::Revoked { leaf: 301 })),
        Outcome::Changed(done),
        Outcome::Changed(refused),
        Outcome::Swept(swept),
        Outcome::Keys(KeysOutcome::Done {
            statements: vec![(name("default"), statement())],
            replay: false,
        }),
        Outcome::Keys(KeysOutcome::Refused {
            reason: Reason::KeysMoved,
        }),
        Outcome::Rejected(Rejection::Handover(HandoverProblem::Signatures)),
    ]
}

#[test]
fn outcomes_read_back_as_they_were_written() {
    let all = authorized().into_iter().chain(other_outcomes());
    for outcome in all.chain(context_outcomes()) {
        let bytes = encode_outcome(&outcome).unwrap();
        assert_eq!(decode_outcome(&bytes).unwrap(), outcome);
    }
}
