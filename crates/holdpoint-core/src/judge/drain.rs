//! An activation that waits for live permits to end.
//!
//! ```text
//!  activate (drain, revoke)            nothing is live any more on its surfaces
//! ───────────────────────▶ Draining ──────────────────────────────────────────▶ in force
//!                             │ cancel, or what was committed meanwhile forbids it
//!                             └─────────▶ (nothing)
//! ```
//!
//! While it drains, nothing is granted on its surfaces, so one pass over their live permits meets
//! every one that is to be revoked. The pass has a mark in the record, and each step is bounded.

use holdpoint_receipt::statement::{Body, DrainMode, DrainStatement, commit};
use holdpoint_receipt::{Caller, Fence, Name, PermitId, Reason, Salt};

use super::Verdict;
use super::activate::refused;
use super::draft::decoded;
use super::ends::SweepPart;
use super::gate::Gate;
use crate::command::{ActivatePolicy, ActivationMode, CancelDrain};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::outcome::{ActivateOutcome, ChangeOutcome, Outcome, Statement};
use crate::record::{ActivePolicy, Drain, DrainMark, PermitState};
use crate::view::View;
use holdpoint_receipt::Digest;

/// What one step of a drain did.
#[derive(Debug)]
pub(super) struct DrainStep {
    /// How far it came.
    pub(super) part: SweepPart,
    /// What it has put in force.
    pub(super) activated: Option<(ActivePolicy, Statement)>,
}

pub(super) fn cancel_drain<V: View>(
    gate: &mut Gate<'_, V>,
    command: &CancelDrain,
) -> Result<Verdict, ApplyError<V::Error>> {
    let Some(drain) = gate.namespace.drain.take() else {
        let reason = Reason::NoDrain;
        let refused = ChangeOutcome::Refused { reason };
        return Ok(Verdict::Unchanged(Outcome::Changed(refused)));
    };
    let by = (command.salt, &command.principal);
    let statement = gate.state_drain(drain.digest, DrainMode::Cancelled, by)?;
    let done = ChangeOutcome::Done {
        statement: Some(statement),
        replay: false,
    };
    Ok(Verdict::Changed(Outcome::Changed(done)))
}

impl<V: View> Gate<'_, V> {
    /// Whether nothing is granted on `surface` because an activation drains it.
    pub(super) fn is_draining(&self, surface: &Name) -> bool {
        let drain = self.namespace.drain.as_ref();
        drain.is_some_and(|drain| drain.surfaces.contains(surface))
    }

    /// The activation waits, and with it every grant on `surfaces`.
    pub(super) fn begin_drain(
        &mut self,
        command: &ActivatePolicy,
        surfaces: Vec<Name>,
    ) -> Result<ActivateOutcome, ApplyError<V::Error>> {
        assert!(self.namespace.drain.is_none(), "one drain at a time");
        let mode = match command.mode {
            ActivationMode::Revoke => DrainMode::Revoke,
            ActivationMode::Drain | ActivationMode::Refuse => DrainMode::Drain,
        };
        let digest = command.digest;
        let by = (command.salt, &command.principal);
        let statement = self.state_drain(digest, mode, by)?;
        self.namespace.drain = Some(Drain {
            digest,
            expected: command.expected,
            evaluator_version: command.evaluator_version,
            mode: command.mode,
            surfaces: surfaces.clone(),
            principal: command.principal.clone(),
            since: self.now(),
            leaf: statement.leaf,
            mark: None,
        });
        Ok(ActivateOutcome::Draining {
            digest,
            surfaces,
            statement: Some(statement),
            replay: false,
        })
    }

    /// An activation while one drains: the same again is a replay.
    pub(super) fn drain_again(
        &self,
        command: &ActivatePolicy,
    ) -> Result<Verdict, ApplyError<V::Error>> {
        let drain = self.namespace.drain.as_ref();
        let Some(drain) = drain.filter(|drain| {
            drain.digest == command.digest
                && drain.mode == command.mode
                && drain.evaluator_version == command.evaluator_version
        }) else {
            return Ok(refused(self.namespace.active, Reason::DrainPending, None));
        };
        let outcome = ActivateOutcome::Draining {
            digest: drain.digest,
            surfaces: drain.surfaces.clone(),
            statement: self.kept_statement(drain.leaf)?,
            replay: true,
        };
        Ok(Verdict::Unchanged(Outcome::Activated(outcome)))
    }

    fn state_drain(
        &mut self,
        digest: Digest,
        mode: DrainMode,
        (salt, principal): (Salt, &Caller),
    ) -> Result<Statement, ApplyError<V::Error>> {
        let body = DrainStatement {
            policy_digest: digest,
            mode,
            caller_commitment: commit(&salt, "caller_commitment", principal.as_str().as_bytes()),
        };
        let statement = self.append_plain(Body::Drain(body), salt)?;
        self.note_use(&digest, statement.leaf.saturating_add(1))?;
        Ok(statement)
    }

    /// One step of the pending activation: at most `limit` permits are looked at, and once none is
    /// live it takes effect.
    pub(super) fn step_drain(
        &mut self,
        salt: Salt,
        limit: usize,
    ) -> Result<DrainStep, ApplyError<V::Error>> {
        let mut step = DrainStep {
            part: SweepPart {
                rows: 0,
                is_done: true,
            },
            activated: None,
        };
        let Some(mut drain) = self.namespace.drain.clone() else {
            return Ok(step);
        };
        step.part = self.revoke_drained(&mut drain, salt, limit)?;
        let is_live = self.first_in_use(&drain.surfaces)?.is_some();
        self.namespace.drain = Some(drain.clone());
        if is_live {
            return Ok(step);
        }
        let active = self.namespace.active;
        if active.map(|active| active.version) != Some(drain.expected) {
            let key = self.keys.single(Kind::Namespace);
            let what = "the policy changed while an activation drained";
            return Err(ApplyError::contradiction(key, what));
        }
        step.part.is_done = true;
        if self.forgetful_surface(&drain.digest)?.is_some() {
            // A permit was committed meanwhile that leaves a tombstone in the way, for ever perhaps.
            self.state_drain(drain.digest, DrainMode::Cancelled, (salt, &drain.principal))?;
            self.namespace.drain = None;
            return Ok(step);
        }
        let (digest, evaluator) = (drain.digest, drain.evaluator_version);
        step.activated = Some(self.put_in_force(digest, evaluator, &drain.principal, salt)?);
        Ok(step)
    }

    /// Goes on from the mark: expired permits go, and issued ones are revoked if the drain says so.
    /// What is redeemed is passed over, because only its executor knows how it ends.
    fn revoke_drained(
        &mut self,
        drain: &mut Drain,
        salt: Salt,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let mut part = SweepPart::default();
        let mut left = limit;
        for surface in &drain.surfaces {
            let passed = match &drain.mark {
                Some(mark) if mark.surface > *surface => continue,
                Some(mark) if mark.surface == *surface => mark.fence,
                Some(_) | None => Fence::default(),
            };
            let prefix = self.keys.live_on(surface);
            let after = self.keys.live(surface, passed);
            // One more than may be looked at, to see whether one is left.
            let rows = self
                .draft
                .rows_after(&prefix, Some(&after), left.saturating_add(1))?;
            for (key, row) in rows {
                let Some(next) = left.checked_sub(1) else {
                    return Ok(part);
                };
                left = next;
                part.rows = part.rows.saturating_add(1);
                let id: PermitId = decoded(&key, &row)?;
                let fence = self.meet_drained(id, drain.mode, salt)?;
                drain.mark = Some(DrainMark {
                    surface: surface.clone(),
                    fence,
                });
            }
        }
        part.is_done = true;
        Ok(part)
    }

    /// One permit that is live on a surface that drains.
    fn meet_drained(
        &mut self,
        id: PermitId,
        mode: ActivationMode,
        salt: Salt,
    ) -> Result<Fence, ApplyError<V::Error>> {
        let mut permit = self.must_permit(&id)?;
        self.expire_if_due(&mut permit)?;
        if permit.state == PermitState::Issued && mode == ActivationMode::Revoke {
            let step = self.step(&permit, None);
            self.append_step(&mut permit, salt, Body::Revoked(step))?;
            self.end(&mut permit, PermitState::Revoked)?;
        }
        Ok(permit.fence)
    }
}
