//! A follower evaluates a decision otherwise than it was recorded: nothing more is granted on its
//! surface until an operator has looked, and its permit goes if nobody has redeemed it.
//!
//! What was committed stays committed, and signed: a dispute never changes a statement.

use holdpoint_receipt::statement::{Body, FrozenStatement, commit};
use holdpoint_receipt::{Name, Reason, Salt, Statement, sha256};

use super::Verdict;
use super::gate::Gate;
use super::statements::evaluator;
use crate::command::Dispute;
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::limits::FROZEN_SURFACES_MAX;
use crate::outcome::{self, ChangeOutcome, Outcome};
use crate::record::{DisputeRecord, GroupRecord, PermitState};
use crate::rejection::Rejection;
use crate::view::View;

fn refused(reason: Reason) -> Verdict {
    Verdict::Unchanged(Outcome::Changed(ChangeOutcome::Refused { reason }))
}

pub(super) fn dispute<V: View>(
    gate: &mut Gate<'_, V>,
    command: &Dispute,
) -> Result<Verdict, ApplyError<V::Error>> {
    let key = gate.keys.at_leaf(Kind::Dispute, command.leaf);
    if let Some(known) = gate.draft.read::<DisputeRecord>(&key)? {
        let statement = gate.kept_statement(known.leaf)?;
        let replay = true;
        let done = ChangeOutcome::Done { statement, replay };
        return Ok(Verdict::Unchanged(Outcome::Changed(done)));
    }
    let group = KeySpace::group(gate.draft.at.group).single(Kind::Group);
    let group: GroupRecord = gate.draft.must_read(&group)?;
    if !group.voters.contains(&command.node) {
        return Ok(refused(Reason::UnknownNode));
    }
    let Some(statement) = gate.parsed(command.leaf)? else {
        return Ok(refused(Reason::NotFound));
    };
    let Body::Decision(decision) = &statement.body else {
        return Ok(refused(Reason::NotFound));
    };
    if decision.evaluator != evaluator(command.evaluator_version) {
        return Ok(Verdict::reject(Rejection::Evaluator));
    }
    let principal = format!("node:{}", command.node);
    let stated = gate.freeze_disputed(&decision.surface, command, &principal)?;
    gate.revoke_disputed(&statement, command.salt, &principal)?;
    let record = DisputeRecord {
        node: command.node,
        evaluator_version: command.evaluator_version,
        disputed_at: gate.now(),
        leaf: stated.leaf,
        receipt: sha256(&stated.bytes),
    };
    gate.draft.write(key, &record)?;
    gate.namespace.disputes = gate.namespace.disputes.saturating_add(1);
    let done = ChangeOutcome::Done {
        statement: Some(stated),
        replay: false,
    };
    Ok(Verdict::Changed(Outcome::Changed(done)))
}

impl<V: View> Gate<'_, V> {
    /// The statement at `leaf`, read; none if it is not kept.
    pub(super) fn parsed(&self, leaf: u64) -> Result<Option<Statement>, ApplyError<V::Error>> {
        let Some(kept) = self.kept_statement(leaf)? else {
            return Ok(None);
        };
        let key = self.keys.at_leaf(Kind::Leaf, leaf);
        Statement::parse(&kept.bytes)
            .map(Some)
            .map_err(|_unreadable| ApplyError::contradiction(key, "it is not a statement"))
    }

    /// Freezes the surface of a disputed decision, and states it, whether or not it was frozen before.
    fn freeze_disputed(
        &mut self,
        surface: &Name,
        command: &Dispute,
        principal: &str,
    ) -> Result<outcome::Statement, ApplyError<V::Error>> {
        let surfaces = &mut self.namespace.frozen_surfaces;
        let mut frozen = Some(surface.clone());
        if let Err(place) = surfaces.binary_search(surface) {
            if surfaces.len() < FROZEN_SURFACES_MAX {
                surfaces.insert(place, surface.clone());
            } else {
                // There is no room to remember it, so everything stands still.
                self.namespace.frozen = true;
                frozen = None;
            }
        }
        let body = FrozenStatement {
            surface: frozen,
            frozen: true,
            caller_commitment: commit(&command.salt, "caller_commitment", principal.as_bytes()),
            disputed_leaf: Some(command.leaf),
        };
        self.append_plain(Body::Frozen(body), command.salt)
    }

    /// ISSUED becomes REVOKED.
    fn revoke_disputed(
        &mut self,
        decision: &Statement,
        salt: Salt,
        principal: &str,
    ) -> Result<(), ApplyError<V::Error>> {
        let Some(id) = decision.body.permit_id() else {
            return Ok(());
        };
        // Retention may have taken it away.
        let Some(mut permit) = self.permit(&id)? else {
            return Ok(());
        };
        if permit.state_at(self.now()) != PermitState::Issued {
            return Ok(());
        }
        let step = self.step(&permit, Some((&salt, principal)));
        self.append_step(&mut permit, salt, Body::Revoked(step))?;
        self.end(&mut permit, PermitState::Revoked)
    }

    /// A decision's statement goes, and with it that it was disputed.
    pub(super) fn forget_dispute(&mut self, leaf: u64) {
        // Mostly there is none in the whole log, and then there is nothing to delete.
        if self.namespace.disputes > 0 {
            self.draft.delete(self.keys.at_leaf(Kind::Dispute, leaf));
        }
    }
}
