//! Which members each kind of statement has, written and read side by side.

use super::codec::{Member, Reader, Writer, write_text};
use super::{
    ApprovalStatement, Body, DecisionStatement, DrainStatement, ErasedStatement, FrozenStatement,
    Grant, KeysStatement, Kind, PermitStep, PolicyStatement, SessionStatement, StatementError,
    Verdict,
};
use crate::json::Json;
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
                reason_commitment,
            }
            | Self::Conflict {
                step,
                outcome,
                evidence_digest,
                reason_commitment,
            } => {
                step.write(writer);
                writer.put("outcome", outcome);
                writer.put_optional("evidence_digest", evidence_digest.as_ref());
                writer.put_optional("reason_commitment", reason_commitment.as_ref());
            }
            Self::Revoked(step) | Self::Superseded(step) => step.write(writer),
            Self::Released {
                step,
                reason_commitment,
            } => {
                step.write(writer);
                writer.put_optional("reason_commitment", reason_commitment.as_ref());
            }
            Self::Policy(policy) => policy.write(writer),
            Self::Keys(keys) => keys.write(writer),
            Self::Approved(approval) | Self::ApprovalRevoked(approval) => approval.write(writer),
            Self::SessionClosed(session) => session.write(writer),
            Self::Frozen(frozen) => frozen.write(writer),
            Self::Drain(drain) => drain.write(writer),
            Self::Erased(erased) => erased.write(writer),
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
                reason_commitment: reader.take_optional("reason_commitment")?,
            },
            Kind::Conflict => Self::Conflict {
                step: PermitStep::read(reader)?,
                outcome: reader.take("outcome")?,
                evidence_digest: reader.take_optional("evidence_digest")?,
                reason_commitment: reader.take_optional("reason_commitment")?,
            },
            Kind::Revoked => Self::Revoked(PermitStep::read(reader)?),
            Kind::Superseded => Self::Superseded(PermitStep::read(reader)?),
            Kind::Released => Self::Released {
                step: PermitStep::read(reader)?,
                reason_commitment: reader.take_optional("reason_commitment")?,
            },
            Kind::Policy => Self::Policy(PolicyStatement::read(reader)?),
            Kind::Keys => Self::Keys(KeysStatement::read(reader)?),
            Kind::Approved => Self::Approved(ApprovalStatement {
                expires_at: Some(reader.take("expires_at_ms")?),
                ..ApprovalStatement::read(reader)?
            }),
            Kind::ApprovalRevoked => Self::ApprovalRevoked(ApprovalStatement {
                previous: Some(reader.take("previous")?),
                ..ApprovalStatement::read(reader)?
            }),
            Kind::SessionClosed => Self::SessionClosed(SessionStatement::read(reader)?),
            Kind::Frozen => Self::Frozen(FrozenStatement::read(reader)?),
            Kind::Drain => Self::Drain(DrainStatement::read(reader)?),
            Kind::Erased => Self::Erased(ErasedStatement::read(reader)?),
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
        writer.put_optional("session_commitment", self.session_commitment.as_ref());
        writer.put(
            "idempotency_key_commitment",
            &self.idempotency_key_commitment,
        );
        writer.put("not_after_ms", &self.not_after);
        writer.put("policy_version", &self.policy_version);
        writer.put("policy_digest", &self.policy_digest);
        writer.put("evaluator", &self.evaluator);
        writer.put("inputs_digest", &self.inputs_digest);
        writer.put_optional("approvals_digest", self.approvals_digest.as_ref());
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
        // Only a PERMIT uses approvals; in a DENY the member is unknown.
        let approvals_digest = match &verdict {
            Verdict::Permit(_) => reader.take_optional("approvals_digest")?,
            Verdict::Deny { .. } => None,
        };
        Ok(Self {
            verdict,
            surface: reader.take("surface")?,
            action: reader.take("action")?,
            request_digest: reader.take("request_digest")?,
            caller_commitment: reader.take("caller_commitment")?,
            actor_commitment: reader.take_optional("actor_commitment")?,
            session_commitment: reader.take_optional("session_commitment")?,
            idempotency_key_commitment: reader.take("idempotency_key_commitment")?,
            not_after: reader.take("not_after_ms")?,
            policy_version: reader.take("policy_version")?,
            policy_digest: reader.take("policy_digest")?,
            evaluator: reader.take("evaluator")?,
            inputs_digest: reader.take("inputs_digest")?,
            approvals_digest,
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

impl PolicyStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put("policy_version", &self.policy_version);
        writer.put("policy_digest", &self.policy_digest);
        writer.put("evaluator", &self.evaluator);
        writer.put("caller_commitment", &self.caller_commitment);
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            policy_version: reader.take("policy_version")?,
            policy_digest: reader.take("policy_digest")?,
            evaluator: reader.take("evaluator")?,
            caller_commitment: reader.take("caller_commitment")?,
        })
    }
}

impl KeysStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put("keys_digest", &self.keys_digest);
        writer.put("signers_needed", &self.signers_needed);
        writer.put("tree_size_from", &self.tree_size_from);
        writer.put("change", &self.change);
        writer.put_optional("node", self.node.as_ref());
        writer.put_optional("caller_commitment", self.caller_commitment.as_ref());
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            keys_digest: reader.take("keys_digest")?,
            signers_needed: reader.take("signers_needed")?,
            tree_size_from: reader.take("tree_size_from")?,
            change: reader.take("change")?,
            node: reader.take_optional("node")?,
            caller_commitment: reader.take_optional("caller_commitment")?,
        })
    }
}

impl ApprovalStatement {
    fn write(&self, writer: &mut Writer) {
        debug_assert!(
            self.expires_at.is_some() != self.previous.is_some(),
            "an approval ends by itself; what is taken back names it"
        );
        writer.put("surface", &self.surface);
        writer.put("quorum", &self.quorum);
        writer.put("subject_digest", &self.subject_digest);
        writer.put("caller_commitment", &self.caller_commitment);
        writer.put("policy_version", &self.policy_version);
        writer.put("policy_digest", &self.policy_digest);
        writer.put_optional("expires_at_ms", self.expires_at.as_ref());
        writer.put_optional("previous", self.previous.as_ref());
    }

    /// What both kinds have. The members that only one has are that kind's to take.
    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            surface: reader.take("surface")?,
            quorum: reader.take("quorum")?,
            subject_digest: reader.take("subject_digest")?,
            caller_commitment: reader.take("caller_commitment")?,
            policy_version: reader.take("policy_version")?,
            policy_digest: reader.take("policy_digest")?,
            expires_at: None,
            previous: None,
        })
    }
}

impl SessionStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put("session_commitment", &self.session_commitment);
        writer.put("caller_commitment", &self.caller_commitment);
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            session_commitment: reader.take("session_commitment")?,
            caller_commitment: reader.take("caller_commitment")?,
        })
    }
}

impl FrozenStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put_optional("surface", self.surface.as_ref());
        writer.put("freeze", &Freeze(self.frozen));
        writer.put("caller_commitment", &self.caller_commitment);
        writer.put_optional("disputed_leaf", self.disputed_leaf.as_ref());
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            surface: reader.take_optional("surface")?,
            frozen: reader.take::<Freeze>("freeze")?.0,
            caller_commitment: reader.take("caller_commitment")?,
            disputed_leaf: reader.take_optional("disputed_leaf")?,
        })
    }
}

/// The value of `freeze`: a word, because the profile has no booleans.
struct Freeze(bool);

impl Freeze {
    const FROZEN: &str = "frozen";
    const THAWED: &str = "thawed";
}

impl Member for Freeze {
    fn write(&self, out: &mut String) {
        write_text(out, if self.0 { Self::FROZEN } else { Self::THAWED });
    }

    fn from_json(value: &Json) -> Option<Self> {
        match value.as_str()? {
            Self::FROZEN => Some(Self(true)),
            Self::THAWED => Some(Self(false)),
            _ => None,
        }
    }
}

impl DrainStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put("policy_digest", &self.policy_digest);
        writer.put("drain", &self.mode);
        writer.put("caller_commitment", &self.caller_commitment);
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            policy_digest: reader.take("policy_digest")?,
            mode: reader.take("drain")?,
            caller_commitment: reader.take("caller_commitment")?,
        })
    }
}

impl ErasedStatement {
    fn write(&self, writer: &mut Writer) {
        writer.put_optional("permit_id", self.permit_id.as_ref());
        writer.put("request_digest", &self.request_digest);
        writer.put("caller_commitment", &self.caller_commitment);
        writer.put_optional("reason_commitment", self.reason_commitment.as_ref());
        writer.put("previous", &self.previous);
    }

    fn read(reader: &mut Reader) -> Result<Self, StatementError> {
        Ok(Self {
            permit_id: reader.take_optional("permit_id")?,
            request_digest: reader.take("request_digest")?,
            caller_commitment: reader.take("caller_commitment")?,
            reason_commitment: reader.take_optional("reason_commitment")?,
            previous: reader.take("previous")?,
        })
    }
}
