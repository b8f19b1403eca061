//! Putting a bundle in force: one entry, at a position of its own.
//!
//! Which changes of bounds live permits allow is [`super::changes`]; waiting for those that do not
//! allow it is [`super::drain`].

use holdpoint_receipt::statement::{Body, PolicyStatement, commit};
use holdpoint_receipt::{Caller, Digest, Name, PolicyVersion, Reason, Salt};

use super::Verdict;
use super::gate::Gate;
use super::statements::evaluator;
use crate::codec::records::Present;
use crate::command::{ActivatePolicy, ActivationMode};
use crate::fault::ApplyError;
use crate::key::Kind;
use crate::limits::{ACTIVATION_EXPIRIES_MAX, SWEEP_ROWS_MAX};
use crate::outcome::{ActivateOutcome, Outcome, Statement};
use crate::record::{ActivationRecord, ActivePolicy, BundleRecord, BundleUseRecord};
use crate::view::View;

pub(super) fn activate_policy<V: View>(
    gate: &mut Gate<'_, V>,
    command: &ActivatePolicy,
) -> Result<Verdict, ApplyError<V::Error>> {
    let active = gate.namespace.active;
    let version = active.map_or_else(PolicyVersion::default, |active| active.version);
    if version != command.expected {
        return Ok(refused(active, Reason::VersionConflict, None));
    }
    let bundle = gate.keys.bundle(&command.digest);
    if gate.draft.read::<BundleRecord>(&bundle)?.is_none() {
        return Ok(refused(active, Reason::BundleUnknown, None));
    }
    if gate.namespace.drain.is_some() {
        return gate.drain_again(command);
    }
    if version.next().is_none() {
        return Ok(refused(active, Reason::VersionExhausted, None));
    }
    let is_clear = gate.let_expired_go(ACTIVATION_EXPIRIES_MAX)?;
    if !is_clear && command.mode == ActivationMode::Refuse {
        // What was let go stays so: the next attempt continues.
        let outcome = refusal(active, Reason::BoundsInUse, None);
        return Ok(Verdict::Changed(outcome));
    }
    if let Some(surface) = gate.forgetful_surface(&command.digest)? {
        // No waiting helps: what was committed stays committed.
        let outcome = refusal(active, Reason::BoundsInUse, Some(surface));
        return Ok(Verdict::Changed(outcome));
    }
    let changed = gate.changed_surfaces(active, &command.digest)?;
    let in_use = gate.first_in_use(&changed)?;
    match (in_use, command.mode) {
        (None, _) => {}
        (Some(surface), ActivationMode::Refuse) => {
            let outcome = refusal(active, Reason::BoundsInUse, Some(surface));
            return Ok(Verdict::Changed(outcome));
        }
        (Some(_), ActivationMode::Drain | ActivationMode::Revoke) => {
            let draining = gate.begin_drain(command, changed)?;
            // What is not redeemed can be revoked at once, and then perhaps nothing is left.
            let step = gate.step_drain(command.salt, SWEEP_ROWS_MAX)?;
            let outcome = step.activated.map_or(draining, activated);
            return Ok(Verdict::Changed(Outcome::Activated(outcome)));
        }
    }
    let (digest, evaluator) = (command.digest, command.evaluator_version);
    let put = gate.put_in_force(digest, evaluator, &command.principal, command.salt)?;
    Ok(Verdict::Changed(Outcome::Activated(activated(put))))
}

fn activated((policy, statement): (ActivePolicy, Statement)) -> ActivateOutcome {
    ActivateOutcome::Activated {
        version: policy.version,
        digest: policy.digest,
        statement,
    }
}

pub(super) fn refused(
    active: Option<ActivePolicy>,
    reason: Reason,
    surface: Option<Name>,
) -> Verdict {
    Verdict::Unchanged(refusal(active, reason, surface))
}

fn refusal(active: Option<ActivePolicy>, reason: Reason, surface: Option<Name>) -> Outcome {
    Outcome::Activated(ActivateOutcome::Refused {
        reason,
        active,
        surface,
    })
}

impl<V: View> Gate<'_, V> {
    /// The bundle `digest` is in force from here on, under the next version. Nothing may be in its
    /// way.
    pub(super) fn put_in_force(
        &mut self,
        digest: Digest,
        evaluator_version: u32,
        principal: &Caller,
        salt: Salt,
    ) -> Result<(ActivePolicy, Statement), ApplyError<V::Error>> {
        let before = self.namespace.active;
        let last = before.map_or_else(PolicyVersion::default, |active| active.version);
        let Some(version) = last.next() else {
            let key = self.keys.single(Kind::Namespace);
            return Err(ApplyError::contradiction(key, "there is no next version"));
        };
        assert!(last < version, "versions rise");
        let caller = principal.as_str().as_bytes();
        let body = PolicyStatement {
            policy_version: version,
            policy_digest: digest,
            evaluator: evaluator(evaluator_version),
            caller_commitment: commit(&salt, "caller_commitment", caller),
        };
        let statement = self.append_plain(Body::Policy(body), salt)?;
        let record = ActivationRecord {
            digest,
            activated_at: self.now(),
            activated_by: principal.clone(),
            evaluator_version,
            leaf: statement.leaf,
            fence: self.namespace.fence,
        };
        self.draft.write(self.keys.activation(version), &record)?;
        self.draft
            .write(self.keys.bundle_activation(&digest, version), &Present)?;
        if let Some(before) = before {
            // Its decisions stand before this statement.
            self.note_use(&before.digest, statement.leaf)?;
        }
        let active = ActivePolicy { version, digest };
        self.namespace.active = Some(active);
        self.namespace.drain = None;
        Ok((active, statement))
    }

    /// Statements before `named_before` may name the bundle `digest`.
    pub(super) fn note_use(
        &mut self,
        digest: &Digest,
        named_before: u64,
    ) -> Result<(), ApplyError<V::Error>> {
        let key = self.keys.bundle_use(digest);
        self.draft.write(key, &BundleUseRecord { named_before })
    }
}
