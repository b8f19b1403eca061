//! A log that hangs together: one operation from its approval to its erasure, among others.

use holdpoint_receipt::names::TreeSize;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::statement::{
    ApprovalStatement, Body, DecisionStatement, ErasedStatement, KeysChange, KeysStatement,
    Outcome, PermitStep, PolicyStatement, Statement, StatementText, Verdict, approvals_digest,
};
use holdpoint_receipt::{Digest, KeySet, Reason, Verified, sha256, verify};

use crate::fixture::{
    Log, approval, decision, epoch, erased, grant, key_set_of, node, salt, statement, step, time,
};

/// Leaves of [`story`].
pub(crate) const APPROVED: usize = 2;
pub(crate) const PERMIT: usize = 3;
pub(crate) const REDEEMED: usize = 4;
pub(crate) const DENIED: usize = 5;
pub(crate) const COMPLETED: usize = 6;
pub(crate) const ROTATED: usize = 7;
pub(crate) const CONFLICT: usize = 8;
pub(crate) const ERASED: usize = 9;
pub(crate) const DENIAL_ERASED: usize = 10;

/// Node 1 alone up to leaf 7, which opens an epoch of three nodes.
pub(crate) fn keys() -> KeySet {
    key_set_of(vec![epoch(0, 1, &[1]), epoch(8, 2, &[1, 2, 3])])
}

/// Collects statements, each with the leaf that comes next.
#[derive(Default)]
pub(crate) struct Story(pub(crate) Vec<Statement>);

impl Story {
    pub(crate) fn say(&mut self, body: Body) -> Digest {
        let leaf = u64::try_from(self.0.len()).unwrap();
        self.0.push(statement(leaf, body));
        self.0[self.0.len() - 1].receipt_hash()
    }

    fn keys(&mut self, change: KeysChange) {
        let leaf = u64::try_from(self.0.len()).unwrap();
        let published = keys().as_of(leaf);
        let newest = published.epochs().last().unwrap();
        self.say(Body::Keys(KeysStatement {
            keys_digest: published.digest(),
            signers_needed: newest.signers_needed,
            tree_size_from: newest.tree_size_from,
            change,
            node: Some(node(1)),
            caller_commitment: None,
        }));
    }
}

pub(crate) fn after(previous: Digest) -> PermitStep {
    PermitStep { previous, ..step() }
}

pub(crate) fn story() -> Log {
    let mut story = Story::default();
    story.keys(KeysChange::Founded);
    story.say(Body::Policy(PolicyStatement {
        policy_version: step().policy_version,
        policy_digest: sha256(b"bundle"),
        evaluator: StatementText::new("cedar 4.14.1").unwrap(),
        caller_commitment: salt()
            .of_member("caller_commitment")
            .commit(b"loopback:dev"),
    }));
    let approved = story.say(Body::Approved(approval()));
    let permit = story.say(Body::Decision(Box::new(DecisionStatement {
        approvals_digest: approvals_digest(&[approved]),
        ..decision(Verdict::Permit(grant()))
    })));
    let redeemed = story.say(Body::Redeemed {
        step: after(permit),
        redemption_commitment: sha256(b"redemption"),
        complete_by: time(3_600_000),
    });
    let denied = story.say(Body::Decision(Box::new(decision(Verdict::Deny {
        reason: Reason::BoundHeld,
        retry_at: None,
    }))));
    let completed = story.say(Body::Completed {
        step: after(redeemed),
        outcome: Outcome::Committed,
        evidence_digest: None,
        reason_commitment: None,
    });
    story.keys(KeysChange::Announced);
    let conflict = story.say(Body::Conflict {
        step: after(completed),
        outcome: Outcome::Aborted,
        evidence_digest: None,
        reason_commitment: None,
    });
    story.say(Body::Erased(ErasedStatement {
        previous: conflict,
        ..erased()
    }));
    story.say(Body::Erased(ErasedStatement {
        permit_id: None,
        previous: denied,
        ..erased()
    }));
    story.say(Body::ApprovalRevoked(ApprovalStatement {
        expires_at: None,
        previous: Some(approved),
        ..approval()
    }));
    Log::of(story.0)
}

/// The newest head of a log, signed as [`keys`] demand.
pub(crate) fn note_of(log: &Log) -> Note {
    let signers: &[u8] = if log.frontier.size() < 8 {
        &[1]
    } else {
        &[1, 2]
    };
    log.head().to_note(log.signatures(signers)).unwrap()
}

/// The log as it was when it had this many leaves.
pub(crate) fn earlier(log: &Log, size: usize) -> Log {
    assert!(TreeSize::new(size.try_into().unwrap()).is_ok());
    Log::of(log.statements[..size].to_vec())
}

/// Verified receipts of these leaves.
pub(crate) fn receipts(log: &Log, leaves: &[usize]) -> Vec<Verified> {
    let receipt = |leaf: &usize| {
        let receipt = log.receipt(u64::try_from(*leaf).unwrap(), &[1, 2]);
        verify(receipt.to_file().as_bytes(), &keys()).unwrap()
    };
    leaves.iter().map(receipt).collect()
}
