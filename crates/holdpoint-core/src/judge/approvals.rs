//! Approvals: giving one, taking it back, and what permits make of them.
//!
//! ```text
//!            approve          a permit that spends it is granted
//! (nothing) ─────────▶ Given ─────────────────────────────────▶ Spent
//!                        │  ◀──────────────────────────────────
//!                        │        that permit is superseded
//!                        └──────────▶ Revoked
//! ```
//!
//! Given anew, an approval is another one under the same name. Only what still stands is a retry of
//! itself for a while.
//!
//! Nothing here knows a quorum: which approvals a verdict needs is evaluated by the leader, and who
//! may approve is checked by it. Here they are facts, and a fact that no longer holds decides nothing.

use holdpoint_receipt::statement::{ApprovalStatement, Body, approvals_digest, commit};
use holdpoint_receipt::{Caller, Digest, PermitId, Reason, Salt, sha256};

use super::Verdict;
use super::ends::SweepPart;
use super::gate::Gate;
use crate::codec::records::Present;
use crate::command::{ApprovalFact, ApprovalName, Approve, RevokeApproval};
use crate::fault::ApplyError;
use crate::key::{Kind, StateKey};
use crate::limits::{APPROVAL_FOR_MS_MAX, APPROVAL_REPEAT_MS, RETENTION_MS_MIN};
use crate::outcome::{ApprovalOutcome, Outcome, Statement};
use crate::outline::SurfaceOutline;
use crate::record::{ActivePolicy, ApprovalRecord, ApprovalState, PermitRecord};
use crate::rejection::Rejection;
use crate::view::View;

pub(super) fn approve<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Approve,
) -> Result<Verdict, ApplyError<V::Error>> {
    let (ms, ms_max) = (command.counts_for_ms, APPROVAL_FOR_MS_MAX);
    let expires_at = gate.now().saturating_add(ms);
    if ms > ms_max || expires_at <= gate.now() {
        return Ok(Verdict::reject(Rejection::ApprovalTime { ms, ms_max }));
    }
    let key = gate.approval_key(&command.name);
    let known = gate.draft.read::<ApprovalRecord>(&key)?;
    if let Some(known) = known
        .as_ref()
        .filter(|known| is_repeated(gate, known, command))
    {
        return gate.approval_stands(&command.name, known);
    }
    let active = gate.namespace.active;
    if active != Some(command.policy) {
        return Ok(not_approved(Reason::PolicyMoved, active));
    }
    let surface = gate.keys.surface(&command.policy.digest, &command.surface);
    if gate.draft.read::<SurfaceOutline>(&surface)?.is_none() {
        return Ok(not_approved(Reason::UnknownSurface, active));
    }
    if let Some(known) = &known {
        gate.draft.delete(gate.approval_end(&key, known));
    }
    let by = (&command.salt, &command.name.approver);
    let mut body = stated(&command.name, &command.surface, by, command.policy);
    body.expires_at = Some(expires_at);
    let statement = gate.append_plain(Body::Approved(body), command.salt)?;
    let approval = ApprovalRecord {
        surface: command.surface.clone(),
        given_at: gate.now(),
        expires_at,
        policy: command.policy,
        leaf: statement.leaf,
        receipt: sha256(&statement.bytes),
        state: ApprovalState::Given,
    };
    let end = gate.approval_end(&key, &approval);
    gate.draft.write(end, &Present)?;
    gate.draft.write(key, &approval)?;
    let done = done(&command.name, approval, Some(statement), false);
    Ok(Verdict::Changed(Outcome::Approved(done)))
}

/// Whether `command` is a retry of what gave `known`. Taken for a second approval, it would let a
/// second permit through where the approver has said yes once.
///
/// What was taken back or has expired unspent lets nothing through any more, so yes means yes again.
fn is_repeated<V: View>(gate: &Gate<'_, V>, known: &ApprovalRecord, command: &Approve) -> bool {
    let stands = match known.state {
        ApprovalState::Given => gate.now() < known.expires_at,
        ApprovalState::Spent(_) => true,
        ApprovalState::Revoked { .. } => false,
    };
    stands
        && known.policy == command.policy
        && known.surface == command.surface
        && gate.now().saturating_since(known.given_at) < APPROVAL_REPEAT_MS
}

pub(super) fn revoke_approval<V: View>(
    gate: &mut Gate<'_, V>,
    command: &RevokeApproval,
) -> Result<Verdict, ApplyError<V::Error>> {
    let key = gate.approval_key(&command.name);
    let Some(mut approval) = gate.draft.read::<ApprovalRecord>(&key)? else {
        return Ok(not_revoked(gate, Reason::UnknownApproval));
    };
    if !command.operator && command.principal != command.name.approver {
        return Ok(not_revoked(gate, Reason::Forbidden));
    }
    match approval.state {
        ApprovalState::Given => {}
        ApprovalState::Spent(_) => return Ok(not_revoked(gate, Reason::ApprovalSpent)),
        ApprovalState::Revoked { leaf } => {
            let statement = gate.kept_statement(leaf)?;
            let done = done(&command.name, approval, statement, true);
            return Ok(Verdict::Unchanged(Outcome::ApprovalRevoked(done)));
        }
    }
    let Some(active) = gate.namespace.active else {
        return Err(ApplyError::contradiction(
            key,
            "it was given without a policy",
        ));
    };
    let by = (&command.salt, &command.principal);
    let mut body = stated(&command.name, &approval.surface, by, active);
    body.previous = Some(approval.receipt);
    let statement = gate.append_plain(Body::ApprovalRevoked(body), command.salt)?;
    approval.state = ApprovalState::Revoked {
        leaf: statement.leaf,
    };
    gate.draft.write(key, &approval)?;
    let done = done(&command.name, approval, Some(statement), false);
    Ok(Verdict::Changed(Outcome::ApprovalRevoked(done)))
}

/// What both kinds of statements about an approval say.
fn stated(
    name: &ApprovalName,
    surface: &holdpoint_receipt::Name,
    (salt, principal): (&Salt, &Caller),
    policy: ActivePolicy,
) -> ApprovalStatement {
    ApprovalStatement {
        surface: surface.clone(),
        quorum: name.quorum.clone(),
        subject_digest: name.subject,
        caller_commitment: commit(salt, "caller_commitment", principal.as_str().as_bytes()),
        policy_version: policy.version,
        policy_digest: policy.digest,
        expires_at: None,
        previous: None,
    }
}

fn done(
    name: &ApprovalName,
    approval: ApprovalRecord,
    statement: Option<Statement>,
    replay: bool,
) -> ApprovalOutcome {
    ApprovalOutcome::Done {
        name: name.clone(),
        approval,
        statement,
        replay,
    }
}

fn not_approved(reason: Reason, active: Option<ActivePolicy>) -> Verdict {
    let refused = ApprovalOutcome::Refused { reason, active };
    Verdict::Unchanged(Outcome::Approved(refused))
}

fn not_revoked<V: View>(gate: &Gate<'_, V>, reason: Reason) -> Verdict {
    let active = gate.namespace.active;
    let refused = ApprovalOutcome::Refused { reason, active };
    Verdict::Unchanged(Outcome::ApprovalRevoked(refused))
}

/// What a grant makes of the approvals that its verdict uses.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Those that it spends, sorted.
    pub(super) spent: Vec<ApprovalName>,
    /// What names all of them in its statement.
    pub(super) digest: Option<Digest>,
}

impl<V: View> Gate<'_, V> {
    fn approval_key(&self, name: &ApprovalName) -> StateKey {
        self.keys
            .approval(&name.quorum, &name.subject, &name.approver)
    }

    /// The row that says until when an approval is kept: as long as something could ask for it.
    fn approval_end(&self, key: &StateKey, approval: &ApprovalRecord) -> StateKey {
        let named = key.parts().map_or(&[][..], |parts| parts.rest);
        let kept_until = approval.expires_at.saturating_add(RETENTION_MS_MIN);
        self.keys.end_of(Kind::ApprovalEnd, kept_until, named)
    }

    fn approval_stands(
        &self,
        name: &ApprovalName,
        approval: &ApprovalRecord,
    ) -> Result<Verdict, ApplyError<V::Error>> {
        let statement = self.kept_statement(approval.leaf)?;
        let done = done(name, approval.clone(), statement, true);
        Ok(Verdict::Unchanged(Outcome::Approved(done)))
    }

    /// Those of `facts` that hold, for an attempt whose grant would supersede `superseded`.
    pub(super) fn approvals_that_hold(
        &self,
        facts: &[ApprovalFact],
        superseded: Option<PermitId>,
    ) -> Result<Vec<ApprovalFact>, ApplyError<V::Error>> {
        let mut holding = Vec::new();
        for fact in facts {
            let key = self.approval_key(&fact.name);
            let known = self.draft.read::<ApprovalRecord>(&key)?;
            let is_so = known.is_some_and(|known| {
                known.leaf == fact.leaf && known.counts_at(self.now(), superseded)
            });
            if is_so {
                holding.push(fact.clone());
            }
        }
        Ok(holding)
    }

    /// The new permit `permit` uses approvals, which were found to hold, and spends those that are
    /// to be spent.
    pub(super) fn use_approvals(
        &mut self,
        facts: &[ApprovalFact],
        permit: PermitId,
    ) -> Result<Used, ApplyError<V::Error>> {
        let mut receipts = Vec::new();
        let mut spent = Vec::new();
        for fact in facts {
            let key = self.approval_key(&fact.name);
            let mut approval: ApprovalRecord = self.draft.must_read(&key)?;
            if !approval.counts_at(self.now(), None) {
                let what = "an approval that does not count was used";
                return Err(ApplyError::contradiction(key, what));
            }
            receipts.push(approval.receipt);
            if fact.spends {
                approval.state = ApprovalState::Spent(permit);
                self.draft.write(key, &approval)?;
                spent.push(fact.name.clone());
            }
        }
        assert!(
            spent.is_sorted_by(|before, after| before < after),
            "no approval is spent twice"
        );
        let digest = approvals_digest(&receipts);
        Ok(Used { spent, digest })
    }

    /// The approvals of a permit that is superseded come back. One that was given anew meanwhile is
    /// no longer this permit's.
    pub(super) fn give_approvals_back(
        &mut self,
        permit: &PermitRecord,
    ) -> Result<(), ApplyError<V::Error>> {
        for name in &permit.approvals {
            let key = self.approval_key(name);
            let mut approval: ApprovalRecord = self.draft.must_read(&key)?;
            if approval.state == ApprovalState::Spent(permit.id) {
                approval.state = ApprovalState::Given;
                self.draft.write(key, &approval)?;
            }
        }
        Ok(())
    }

    /// One step of taking approvals away that nothing can ask for any more.
    pub(super) fn sweep_approvals(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let now = self.now();
        self.sweep_ends(Kind::ApprovalEnd, now, limit, |gate, named| {
            gate.draft
                .delete(gate.keys.named_row(Kind::Approval, named));
            Ok(())
        })
    }
}
