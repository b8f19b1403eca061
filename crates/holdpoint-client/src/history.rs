//! What was decided and why, with what is needed to evaluate it again. Not proved: the receipts of the
//! same leaves are.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_proto::v1::explain_request::Subject;
use holdpoint_receipt::{
    Caller, ClusterTime, Decision, Digest, Name, PermitId, PolicyVersion, Request,
};

use crate::believe::AnswerError;
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::erase::Erasure;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::info::{Bound, caller, digest, malformed, name, permit_id, time, version};
use crate::steps::refused;

/// Decisions that are asked for at a time.
const PAGE_SIZE: u32 = 500;

/// Which decision is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionOf {
    /// The one that granted this permit.
    Permit(PermitId),
    /// The one at this leaf of the namespace's log, from 0.
    Leaf(u64),
}

/// A decision with what is needed to evaluate it again.
#[derive(Clone, Debug)]
pub struct RecordedDecision {
    /// Where its statement stands.
    pub leaf_index: u64,
    /// When it was made.
    pub decided_at: ClusterTime,
    /// `now` for the policy.
    pub evaluated_at: ClusterTime,
    /// The request.
    pub request: Request,
    /// PERMIT or DENY.
    pub decision: Decision,
    /// The reason, in `UPPER_SNAKE`.
    pub reason: String,
    /// Ids of the deciding policies, sorted.
    pub policies: Vec<String>,
    /// Codes of the deciding policies, sorted.
    pub codes: Vec<String>,
    /// The policy version that decided.
    pub policy_version: PolicyVersion,
    /// Its bundle.
    pub policy_digest: Digest,
    /// The permit, if one was granted.
    pub permit: Option<PermitId>,
    /// The approvals that the verdict used.
    pub approvals: Vec<UsedApproval>,
    /// What was claimed.
    pub claims: Vec<Bound>,
    /// Hash of its statement: what receipts are known by.
    pub receipt_hash: Digest,
}

/// An approval that a verdict used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedApproval {
    /// The quorum.
    pub quorum: Name,
    /// What was approved.
    pub subject: Digest,
    /// Who approved.
    pub approver: Caller,
    /// When.
    pub given_at: ClusterTime,
}

/// Why a decision is what it is, as the node explains it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The decision.
    pub decision: RecordedDecision,
    /// The deciding policies, sorted by id.
    pub policies: Vec<DecidingPolicy>,
    /// The facts that the policies were given, by name.
    pub facts: Vec<(String, String)>,
    /// What would have to change for a permit, as far as evaluating again shows.
    pub changes: Vec<String>,
}

/// A policy that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidingPolicy {
    /// Its id.
    pub id: String,
    /// What its author says.
    pub reason: String,
    /// Its code, for one that forbids.
    pub code: Option<String>,
}

/// A page of decisions, the oldest first.
#[derive(Clone, Debug)]
pub struct DecisionPage {
    /// The decisions.
    pub decisions: Vec<RecordedDecision>,
    /// The leaf where the next page begins; none after the last.
    pub next_leaf: Option<u64>,
    /// Decisions that this page leaves out because what they rest on is no longer stored.
    pub erased_count: u64,
    /// Those of them that an operator erased. Retention says of none when it went.
    pub erased: Vec<ErasedDecision>,
}

/// A decision whose request was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedDecision {
    /// Where its statement stands.
    pub leaf_index: u64,
    /// What says that it was erased.
    pub erasure: Erasure,
}

impl Gate {
    /// Explains one decision.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_FOUND` or `UNKNOWN_PERMIT` if there is none, or retention has
    /// removed what it rests on; with `ERASED` if an operator did, and the sentence says when.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn explain(&self, of: DecisionOf) -> Result<Explanation, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let subject = match of {
                DecisionOf::Permit(id) => Subject::PermitId(id.to_string()),
                DecisionOf::Leaf(leaf) => Subject::LeafIndex(leaf),
            };
            let message = v1::ExplainRequest {
                namespace: self.namespace().to_string(),
                subject: Some(subject),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .history()
                .explain(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            read_explanation(answer, of).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Lists decisions that were made at or after `since`, from the page that begins at `from_leaf` (0
    /// for the first).
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node answers.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn decisions(
        &self,
        since: ClusterTime,
        from_leaf: u64,
    ) -> Result<DecisionPage, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ListDecisionsRequest {
                namespace: self.namespace().to_string(),
                since_ms: since.get(),
                from_leaf,
                page_size: PAGE_SIZE,
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .history()
                .list_decisions(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            let decisions = answer.decisions.into_iter().map(read_decision);
            let decisions: Result<Vec<_>, _> = decisions.collect();
            let erased = answer.erased_decisions.iter().map(read_erased);
            let erased: Result<Vec<_>, _> = erased.collect();
            // A page that begins where it ends would be read for ever.
            let next_leaf = Some(answer.next_leaf).filter(|next| *next > from_leaf);
            Ok(DecisionPage {
                decisions: decisions.map_err(Failure::disbelieve)?,
                next_leaf,
                erased_count: answer.erased,
                erased: erased.map_err(Failure::disbelieve)?,
            })
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

fn read_explanation(
    answer: v1::ExplainResponse,
    of: DecisionOf,
) -> Result<Explanation, AnswerError> {
    let decision = answer
        .decision
        .ok_or_else(|| malformed("decision", "is missing"))?;
    let decision = read_decision(decision)?;
    let is_meant = match of {
        DecisionOf::Permit(id) => decision.permit == Some(id),
        DecisionOf::Leaf(leaf) => decision.leaf_index == leaf,
    };
    if !is_meant {
        return Err(AnswerError::Differs { field: "decision" });
    }
    let policy = |policy: v1::DecidingPolicy| DecidingPolicy {
        id: policy.id,
        reason: policy.reason,
        code: Some(policy.code).filter(|code| !code.is_empty()),
    };
    Ok(Explanation {
        decision,
        policies: answer.policies.into_iter().map(policy).collect(),
        facts: answer
            .facts
            .into_iter()
            .map(|fact| (fact.name, fact.value))
            .collect(),
        changes: answer.changes,
    })
}

fn read_erased(wire: &v1::ErasedDecision) -> Result<ErasedDecision, AnswerError> {
    let erasure = wire.erasure.as_ref();
    let erasure = erasure.ok_or_else(|| malformed("erasure", "is missing"))?;
    Ok(ErasedDecision {
        leaf_index: wire.leaf_index,
        erasure: Erasure::from_wire(erasure)?,
    })
}

fn read_decision(wire: v1::RecordedDecision) -> Result<RecordedDecision, AnswerError> {
    let decision = match wire.decision() {
        v1::Decision::Permit => Decision::Permit,
        v1::Decision::Deny => Decision::Deny,
        v1::Decision::Silence | v1::Decision::Unspecified => {
            return Err(malformed("decision", "is neither PERMIT nor DENY"));
        }
    };
    let permit = match wire.permit_id.as_str() {
        "" => None,
        id => Some(permit_id("permit_id", id)?),
    };
    let approval = |used: v1::UsedApproval| {
        Ok(UsedApproval {
            quorum: name("quorum", used.quorum)?,
            subject: digest("subject_digest", &used.subject_digest)?,
            approver: caller("approver", used.approver)?,
            given_at: time("given_at_ms", used.given_at_ms)?,
        })
    };
    Ok(RecordedDecision {
        leaf_index: wire.leaf_index,
        decided_at: time("decided_at_ms", wire.decided_at_ms)?,
        evaluated_at: time("evaluated_at_ms", wire.evaluated_at_ms)?,
        request: Request::parse_canonical(&wire.request_canonical).map_err(AnswerError::Request)?,
        decision,
        reason: wire.reason_name,
        policies: wire.policies,
        codes: wire.codes,
        policy_version: version(wire.policy_version)?,
        policy_digest: digest("policy_digest", &wire.policy_digest)?,
        permit,
        approvals: wire
            .approvals
            .into_iter()
            .map(approval)
            .collect::<Result<_, AnswerError>>()?,
        claims: wire.claims.into_iter().map(Bound::from).collect(),
        receipt_hash: digest("receipt_hash", &wire.receipt_hash)?,
    })
}
