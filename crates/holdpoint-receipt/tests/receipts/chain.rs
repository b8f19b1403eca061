//! The story of one operation, and what is not one.

use holdpoint_receipt::chain::{Chain, ChainError, Standing, verify};
use holdpoint_receipt::names::{Fence, PermitId};
use holdpoint_receipt::statement::{
    ApprovalStatement, Body, DecisionStatement, Kind, Outcome, PermitStep, Verdict,
    approvals_digest,
};
use holdpoint_receipt::{Digest, KeySet, sha256};

use crate::fixture::{
    Log, approval, decision, epoch, erased, grant, namespace, request_digest, time,
};
use crate::story::{
    APPROVED, COMPLETED, CONFLICT, DENIAL_ERASED, DENIED, ERASED, PERMIT, REDEEMED, ROTATED, Story,
    after, receipts, story,
};

fn of(leaves: &[usize]) -> Result<Chain, ChainError> {
    verify(receipts(&story(), leaves))
}

#[test]
fn whole_story_of_an_operation_is_one_chain_in_whatever_order_it_is_given() {
    let all = [APPROVED, PERMIT, REDEEMED, COMPLETED, CONFLICT, ERASED];
    let chain = of(&all).unwrap();
    assert_eq!(chain.standing(), Standing::Completed(Outcome::Committed));
    assert_eq!(chain.conflict_count(), 1);
    assert!(chain.are_approvals_shown());
    let leaf = |receipt: &holdpoint_receipt::Verified| receipt.statement().place.leaf_index();
    assert_eq!(leaf(chain.decision()), 3);
    assert_eq!(chain.approvals().iter().map(leaf).collect::<Vec<_>>(), [2]);
    assert_eq!(
        chain.steps().iter().map(leaf).collect::<Vec<_>>(),
        [4, 6, 8, 9]
    );
    let mut shuffled = all;
    shuffled.reverse();
    assert_eq!(of(&shuffled), Ok(chain));
}

#[test]
fn story_may_end_anywhere_and_says_how_it_stands_there() {
    let standing = |leaves: &[usize]| of(leaves).unwrap().standing();
    assert_eq!(standing(&[PERMIT]), Standing::Granted);
    assert_eq!(standing(&[PERMIT, REDEEMED]), Standing::Redeemed);
    assert_eq!(standing(&[DENIED]), Standing::Denied);
    assert_eq!(standing(&[DENIED, DENIAL_ERASED]), Standing::Denied);
    assert!(!of(&[PERMIT]).unwrap().are_approvals_shown());
    assert!(of(&[DENIED]).unwrap().are_approvals_shown());
}

#[test]
fn receipts_that_are_no_story_are_refused_with_one_reason() {
    let code = |leaves: &[usize]| of(leaves).map(|_| ()).map_err(|error| error.code());
    assert_eq!(of(&[]), Err(ChainError::Decisions(0)));
    assert_eq!(of(&[REDEEMED]), Err(ChainError::Decisions(0)));
    assert_eq!(of(&[PERMIT, DENIED]), Err(ChainError::Decisions(2)));
    assert_eq!(
        of(&[PERMIT, ROTATED]),
        Err(ChainError::Kind {
            leaf: 7,
            kind: Kind::Keys
        })
    );
    assert_eq!(
        of(&[PERMIT, REDEEMED, REDEEMED]),
        Err(ChainError::Twice { leaf: 4 })
    );
    // A step left out between two.
    assert_eq!(
        of(&[PERMIT, COMPLETED]),
        Err(ChainError::Link { leaf: 6, before: 3 })
    );
    assert_eq!(code(&[PERMIT, REDEEMED, CONFLICT]), Err("CHAIN_LINK"));
    // Steps of a permit do not follow a denial.
    assert_eq!(
        of(&[DENIED, COMPLETED]),
        Err(ChainError::Another {
            leaf: 6,
            member: "permit_id"
        })
    );
    assert_eq!(code(&[DENIED, APPROVED]), Err("CHAIN_APPROVALS"));
}

/// A log of an approval, a permit that used it, and then `steps`, each after the one before.
fn log_with(steps: &[&dyn Fn(Digest) -> Body]) -> Log {
    let mut story = Story::default();
    let approved = story.say(Body::Approved(approval()));
    let mut last = story.say(Body::Decision(Box::new(DecisionStatement {
        approvals_digest: approvals_digest(&[approved]),
        ..decision(Verdict::Permit(grant()))
    })));
    for step in steps {
        last = story.say(step(last));
    }
    // Up to the size from which on two nodes sign.
    while story.0.len() < 8 {
        story.say(Body::Approved(ApprovalStatement {
            expires_at: Some(time(u64::try_from(story.0.len()).unwrap())),
            ..approval()
        }));
    }
    Log::of(story.0)
}

fn chain_of(steps: &[&dyn Fn(Digest) -> Body]) -> Result<Standing, ChainError> {
    let leaves: Vec<usize> = (0..steps.len() + 2).collect();
    verify(receipts(&log_with(steps), &leaves)).map(|chain| chain.standing())
}

fn redeemed(previous: Digest) -> Body {
    Body::Redeemed {
        step: after(previous),
        redemption_commitment: sha256(b"redemption"),
        complete_by: time(1),
    }
}

fn completed(previous: Digest) -> Body {
    Body::Completed {
        step: after(previous),
        outcome: Outcome::Aborted,
        evidence_digest: None,
        reason_commitment: None,
    }
}

fn conflict(previous: Digest) -> Body {
    Body::Conflict {
        step: after(previous),
        outcome: Outcome::Committed,
        evidence_digest: None,
        reason_commitment: None,
    }
}

fn revoked(previous: Digest) -> Body {
    Body::Revoked(after(previous))
}

fn superseded(previous: Digest) -> Body {
    Body::Superseded(after(previous))
}

fn released(previous: Digest) -> Body {
    Body::Released {
        step: after(previous),
        reason_commitment: None,
    }
}

fn forgotten(previous: Digest) -> Body {
    Body::Erased(holdpoint_receipt::statement::ErasedStatement {
        previous,
        ..erased()
    })
}

#[test]
fn permit_takes_only_the_steps_that_the_gate_lets_it_take() {
    let aborted = Standing::Completed(Outcome::Aborted);
    assert_eq!(chain_of(&[&redeemed, &completed, &conflict]), Ok(aborted));
    assert_eq!(chain_of(&[&completed]), Ok(aborted), "offline");
    assert_eq!(chain_of(&[&revoked]), Ok(Standing::Revoked));
    assert_eq!(chain_of(&[&revoked, &completed]), Ok(aborted), "offline");
    assert_eq!(chain_of(&[&superseded]), Ok(Standing::Superseded));
    assert_eq!(
        chain_of(&[&redeemed, &released, &conflict, &forgotten]),
        Ok(Standing::Released)
    );
    for steps in [
        &[&redeemed as &dyn Fn(Digest) -> Body, &redeemed][..],
        &[&redeemed, &revoked],
        &[&redeemed, &superseded],
        &[&revoked, &redeemed],
        &[&superseded, &redeemed],
        &[&redeemed, &completed, &completed],
        &[&redeemed, &completed, &released],
        &[&conflict],
        &[&redeemed, &conflict],
    ] {
        let found = chain_of(steps).map_err(|error| error.code());
        assert_eq!(found, Err("CHAIN_STEP"), "{} steps", steps.len());
    }
}

#[test]
fn step_about_something_else_is_named_by_its_member() {
    let check = |member: &'static str, change: &dyn Fn(&mut PermitStep)| {
        let step = |previous| {
            let mut step = after(previous);
            change(&mut step);
            Body::Revoked(step)
        };
        assert_eq!(
            chain_of(&[&step]),
            Err(ChainError::Another { leaf: 2, member })
        );
    };
    let name = |text: &str| holdpoint_receipt::Name::new(text).unwrap();
    check("permit_id", &|step| {
        step.permit_id = PermitId::from_bytes([1; 16]);
    });
    check("fence", &|step| step.fence = Fence::MAX);
    check("surface", &|step| step.surface = name("other"));
    check("action", &|step| step.action = name("destroy"));
    check("request_digest", &|step| {
        step.request_digest = sha256(b"other");
    });
    assert_ne!(request_digest(), sha256(b"other"));
}

#[test]
fn approvals_are_exactly_those_that_the_permit_used() {
    let log = log_with(&[]);
    let found = verify(receipts(&log, &[0, 1])).unwrap();
    assert!(found.are_approvals_shown());
    let later = verify(receipts(&log, &[0, 1, 2]));
    assert_eq!(later, Err(ChainError::Order { leaf: 2 }));
    let mut story = Story::default();
    story.say(Body::Approved(approval()));
    story.say(Body::Approved(ApprovalStatement {
        expires_at: Some(time(1)),
        ..approval()
    }));
    story.say(Body::Decision(Box::new(decision(Verdict::Permit(grant())))));
    while story.0.len() < 8 {
        story.say(Body::Approved(approval()));
    }
    let log = Log::of(story.0);
    assert!(verify(receipts(&log, &[2])).is_ok());
    let unused = verify(receipts(&log, &[0, 2]));
    assert_eq!(unused, Err(ChainError::Approvals));
}

#[test]
fn receipts_of_two_logs_are_no_story() {
    let mut all = receipts(&story(), &[PERMIT]);
    let other = holdpoint_receipt::ClusterId::from_bytes([1; 16]);
    let mut statement = story().statements[DENIAL_ERASED].clone();
    statement.authority = other;
    statement.place = holdpoint_receipt::statement::Place::new(0, 1, 1, 0).unwrap();
    let mut frontier = holdpoint_receipt::merkle::Frontier::new();
    let leaf = holdpoint_receipt::merkle::leaf_of(&statement.receipt_hash());
    frontier.append(leaf).unwrap();
    let origin = holdpoint_receipt::checkpoint::Origin::new(&other, &namespace());
    let head = holdpoint_receipt::checkpoint::Checkpoint {
        origin,
        size: holdpoint_receipt::TreeSize::new(1).unwrap(),
        root: frontier.root(),
    };
    let signature = crate::fixture::secret_keys(1).sign_head(
        &other,
        crate::fixture::node(1),
        &head,
        crate::fixture::SIGNED_AT_S,
    );
    let receipt = holdpoint_receipt::Receipt {
        statement,
        proof: holdpoint_receipt::Proof {
            leaf_index: 0,
            tree_size: head.size,
            hashes: vec![],
        },
        checkpoint: head.to_note(vec![signature]).unwrap(),
    };
    let keys = KeySet::new(other, namespace(), vec![epoch(0, 1, &[1])], vec![]).unwrap();
    all.push(holdpoint_receipt::verify(receipt.to_file().as_bytes(), &keys).unwrap());
    // The other log's leaf comes first in the order of leaves.
    assert_eq!(verify(all), Err(ChainError::OtherLog { leaf: 3 }));
}
