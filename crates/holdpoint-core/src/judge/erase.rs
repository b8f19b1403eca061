//! Erasing what was stored of a request beyond its statements, before retention does.
//!
//! The parameters, the evaluation and the salts of its statements go, so that nothing which a
//! statement only commits to can be shown any more. Statements and their hashes stay: every proof can
//! still be made, and every retry finds its answer.

use holdpoint_receipt::statement::{Body, ErasedStatement, commit};
use holdpoint_receipt::{ClusterTime, Digest, PermitId, Reason, Statement, sha256};

use super::Verdict;
use super::gate::Gate;
use crate::command::{DecisionName, Erase};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::outcome::{self, ChangeOutcome, Outcome};
use crate::record::{DisclosureRecord, PermitRecord, PermitStep};
use crate::view::View;

pub(super) fn erase<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Erase,
) -> Result<Verdict, ApplyError<V::Error>> {
    let leaf = match command.decision {
        DecisionName::Permit(id) => {
            return match gate.permit(&id)? {
                Some(permit) => gate.erase_permit(permit, command),
                None => Ok(refused(Reason::UnknownPermit)),
            };
        }
        DecisionName::Leaf(leaf) => leaf,
    };
    let Some(statement) = gate.parsed(leaf)? else {
        return Ok(refused(Reason::NotFound));
    };
    let Some(request_digest) = asked(&statement.body) else {
        return Ok(refused(Reason::NotFound));
    };
    let permit = statement.body.permit_id();
    match permit.map(|id| gate.permit(&id)).transpose()?.flatten() {
        Some(permit) => gate.erase_permit(permit, command),
        None => gate.erase_leaf(leaf, &statement, request_digest, command),
    }
}

fn refused(reason: Reason) -> Verdict {
    Verdict::Unchanged(Outcome::Changed(ChangeOutcome::Refused { reason }))
}

fn done(statement: Option<outcome::Statement>, replay: bool) -> Outcome {
    Outcome::Changed(ChangeOutcome::Done { statement, replay })
}

/// The request that a decision or a later step is about.
fn asked(body: &Body) -> Option<Digest> {
    match body {
        Body::Decision(decision) => Some(decision.request_digest),
        Body::Redeemed { step, .. }
        | Body::Completed { step, .. }
        | Body::Conflict { step, .. }
        | Body::Released { step, .. }
        | Body::Revoked(step)
        | Body::Superseded(step) => Some(step.request_digest),
        Body::Policy(_)
        | Body::Keys(_)
        | Body::Approved(_)
        | Body::ApprovalRevoked(_)
        | Body::SessionClosed(_)
        | Body::Frozen(_)
        | Body::Drain(_)
        | Body::Erased(_) => None,
    }
}

/// Until when the attempt can be evaluated again.
fn retried_until(statement: &Statement) -> ClusterTime {
    if let Body::Decision(decision) = &statement.body {
        decision.not_after
    } else {
        ClusterTime::default()
    }
}

impl<V: View> Gate<'_, V> {
    /// Erases what every statement of a permit so far discloses.
    fn erase_permit(
        &mut self,
        mut permit: PermitRecord,
        command: &Erase,
    ) -> Result<Verdict, ApplyError<V::Error>> {
        let key = self.keys.permit(&permit.id);
        let first = permit.leaf_of(PermitStep::Decision);
        let (Some(first), Some(last)) = (first, permit.statements.last().copied()) else {
            return Err(ApplyError::contradiction(
                key,
                "the permit has no statement",
            ));
        };
        let last_statement = self.statement(last.leaf)?;
        if last.step == PermitStep::Erased {
            return Ok(Verdict::Unchanged(done(Some(last_statement), true)));
        }
        self.expire_if_due(&mut permit)?;
        let decision = self.parsed(first)?;
        let until = decision.as_ref().map(retried_until);
        if permit.ended_at.is_none() || until.is_none_or(|until| self.now() < until) {
            return Ok(refused(Reason::StillNeeded));
        }
        let said: Vec<u64> = permit.statements.iter().map(|known| known.leaf).collect();
        let previous = sha256(&last_statement.bytes);
        let body = stated(command, Some(permit.id), permit.request_digest, previous);
        let statement = self.append_step(&mut permit, command.salt, Body::Erased(body))?;
        for leaf in said {
            self.erase_at(leaf, statement.leaf)?;
        }
        self.forget_pending(&permit.request_digest)?;
        self.draft.write(key, &permit)?;
        Ok(Verdict::Changed(done(Some(statement), false)))
    }

    /// Erases what one statement discloses whose permit is not kept or never was.
    fn erase_leaf(
        &mut self,
        leaf: u64,
        found: &Statement,
        request_digest: Digest,
        command: &Erase,
    ) -> Result<Verdict, ApplyError<V::Error>> {
        let key = self.keys.at_leaf(Kind::Disclosure, leaf);
        let Some(disclosed) = self.draft.read::<DisclosureRecord>(&key)? else {
            // Retention was there before.
            return Ok(Verdict::Unchanged(done(None, true)));
        };
        if let Some(by) = disclosed.erased {
            let statement = self.kept_statement(by)?;
            return Ok(Verdict::Unchanged(done(statement, true)));
        }
        if self.now() < retried_until(found) {
            return Ok(refused(Reason::StillNeeded));
        }
        let permit = found.body.permit_id();
        let body = stated(command, permit, request_digest, found.receipt_hash());
        let statement = self.append_plain(Body::Erased(body), command.salt)?;
        self.erase_at(leaf, statement.leaf)?;
        self.forget_pending(&request_digest)?;
        Ok(Verdict::Changed(done(Some(statement), false)))
    }

    /// Erases what the statement at `leaf` discloses, if retention has not; `by` says so.
    fn erase_at(&mut self, leaf: u64, by: u64) -> Result<(), ApplyError<V::Error>> {
        assert!(leaf < by, "what is erased was stated before");
        let key = self.keys.at_leaf(Kind::Disclosure, leaf);
        let found = self.draft.read::<DisclosureRecord>(&key)?;
        if found.is_none_or(|found| found.erased.is_some()) {
            return Ok(());
        }
        self.draft.write(key, &DisclosureRecord::erased_by(by))
    }
}

fn stated(
    command: &Erase,
    permit_id: Option<PermitId>,
    request_digest: Digest,
    previous: Digest,
) -> ErasedStatement {
    let principal = command.principal.as_str().as_bytes();
    ErasedStatement {
        permit_id,
        request_digest,
        caller_commitment: commit(&command.salt, "caller_commitment", principal),
        reason_commitment: command.reason_commitment,
        previous,
    }
}
