//! Which members each kind of statement has, written and read side by side.

use super::codec::{Reader, Writer};
use super::{
    Body, DecisionStatement, Grant, KeysStatement, Kind, PermitStep, PolicyStatement,
    StatementError, Verdict,
};
use crate::reason::{Decision, Reason, Scope};

impl Body {
    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Decision(decision) => decision.write(writer),
            Self::Redeemed {
                step,
                redemption_commitment,
                complete_by,
            } => {
                step.write(writer);
                writer.put("redemption_commitment", redemption_commitment);
                writer.put("complete_by_ms", complete_by);
            }
            Self::Completed {
                step,
                outcome,
                evidence_digest,
            }
            | Self::Conflict {
                step,
                outcome,
                evidence_digest,
            } => {
                step.write(writer);
                writer.put("outcome", outcome);
                writer.put_optional("evidence_digest", evidence_digest.as_ref());
            }
            Self::Revoked(step) | Self::Superseded(step) | Self::Released(step) => {
                step.write(writer);
            }
            Self::Policy(policy) => {
                writer.put("policy_version", &policy.policy_version);
                writer.put("policy_digest", &policy.policy_digest);
                writer.put("evaluator", &policy.evaluator);
                writer.put("caller_commitment", &policy.caller_commitment);
            }
            Self::Keys(keys) => {
                writer.put("keys_digest", &keys.keys_digest);
                writer.put("signers_needed", &keys.signers_needed);
                writer.put("tree_size_from", &keys.tree_size_from);
            }
        }
    }

    pub(super) fn read(kind: Kind, reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(match kind {
            Kind::Decision => Self::Decision(Box::new(DecisionStatement::read(reader)?)),
            Kind::Redeemed => Self::Redeemed {
                step: PermitStep::read(reader)?,
                redemption_commitment: reader.take("redemption_commitment")?,
                complete_by: reader.take("complete_by_ms")?,
            },
            Kind::Completed => Self::Completed {
                step: PermitStep::read(reader)?,
                outcome: reader.take("outcome")?,
                evidence_digest: reader.take_optional("evidence_digest")?,
            },
            Kind::Conflict => Self::Conflict {
                step: PermitStep::read(reader)?,
                outcome: reader.take("outcome")?,
                evidence_digest: reader.take_optional("evidence_digest")?,
            },
            Kind::Revoked => Self::Revoked(PermitStep::read(reader)?),
            Kind::Superseded => Self::Superseded(PermitStep::read(reader)?),
            Kind::Released => Self::Released(PermitStep::read(reader)?),
            Kind::Policy => Self::Policy(PolicyStatement {
                policy_version: reader.take("policy_version")?,
                policy_digest: reader.take("policy_digest")?,
                evaluator: reader.take("evaluator")?,
                caller_commitment: reader.take("caller_commitment")?,
            }),
            Kind::Keys => Self::Keys(KeysStatement {
                keys_digest: reader.take("keys_digest")?,
                signers_needed: reader.take("signers_needed")?,
                tree_size_from: reader.take("tree_size_from")?,
            }),
        })
    }
}

impl DecisionStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put("decision", &self.verdict.decision());
        writer.put("reason", &self.verdict.reason());
        match &self.verdict {
            Verdict::Permit(grant) => {
                writer.put("permit_id", &grant.permit_id);
                writer.put("fence", &grant.fence);
                writer.put("expires_at_ms", &grant.expires_at);
            }
            Verdict::Deny { retry_at, .. } => {
                writer.put_optional("retry_at_ms", retry_at.as_ref());
            }
        }
        writer.put("surface", &self.surface);
        writer.put("action", &self.action);
        writer.put("request_digest", &self.request_digest);
        writer.put("caller_commitment", &self.caller_commitment);
        writer.put_optional("actor_commitment", self.actor_commitment.as_ref());
        writer.put(
            "idempotency_key_commitment",
            &self.idempotency_key_commitment,
        );
        writer.put("not_after_ms", &self.not_after);
        writer.put("policy_version", &self.policy_version);
        writer.put("policy_digest", &self.policy_digest);
        writer.put("evaluator", &self.evaluator);
        writer.put("inputs_digest", &self.inputs_digest);
        writer.put_bounds(&self.bounds);
        writer.put_optional("policy_codes", self.policy_codes.as_ref());
        writer.put_optional("policy_ids", self.policy_ids.as_ref());
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        let reason: Reason = reader.take("reason")?;
        let verdict = match (reader.take::<Decision>("decision")?, reason.scope()) {
            (Decision::Permit, Scope::Permit) => Verdict::Permit(Grant {
                permit_id: reader.take("permit_id")?,
                fence: reader.take("fence")?,
                expires_at: reader.take("expires_at_ms")?,
            }),
            (Decision::Deny, Scope::Deny) => Verdict::Deny {
                reason,
                retry_at: reader.take_optional("retry_at_ms")?,
            },
            (Decision::Silence | Decision::Permit | Decision::Deny, _) => {
                return Err(StatementError::Value("decision".to_owned()));
            }
        };
        Ok(Self {
            verdict,
            surface: reader.take("surface")?,
            action: reader.take("action")?,
            request_digest: reader.take("request_digest")?,
            caller_commitment: reader.take("caller_commitment")?,
            actor_commitment: reader.take_optional("actor_commitment")?,
            idempotency_key_commitment: reader.take("idempotency_key_commitment")?,
            not_after: reader.take("not_after_ms")?,
            policy_version: reader.take("policy_version")?,
            policy_digest: reader.take("policy_digest")?,
            evaluator: reader.take("evaluator")?,
            inputs_digest: reader.take("inputs_digest")?,
            bounds: reader.take_bounds()?,
            policy_codes: reader.take_optional("policy_codes")?,
            policy_ids: reader.take_optional("policy_ids")?,
        })
    }
}

impl PermitStep {
    fn write(&self, writer: &mut Writer) {
        writer.put("permit_id", &self.permit_id);
        writer.put("fence", &self.fence);
        writer.put("surface", &self.surface);
        writer.put("action", &self.action);
        writer.put("request_digest", &self.request_digest);
        writer.put_optional("caller_commitment", self.caller_commitment.as_ref());
        writer.put("policy_version", &self.policy_version);
        writer.put("previous", &self.previous);
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            permit_id: reader.take("permit_id")?,
            fence: reader.take("fence")?,
            surface: reader.take("surface")?,
            action: reader.take("action")?,
            request_digest: reader.take("request_digest")?,
            caller_commitment: reader.take_optional("caller_commitment")?,
            policy_version: reader.take("policy_version")?,
            previous: reader.take("previous")?,
        })
    }
}
