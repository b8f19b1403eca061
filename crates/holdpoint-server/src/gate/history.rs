//! What was decided: for people who ask why, and for whoever evaluates it again.
//!
//! Read from what this node has applied, leader or not. What was erased is said to be erased, never
//! guessed.

mod explain;

use std::sync::Arc;

use holdpoint_core::View;
use holdpoint_core::codec::decode_evaluation;
use holdpoint_core::command::Evaluation;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_proto::v1;
use holdpoint_raft::StateView;
use holdpoint_receipt::statement::{DecisionStatement, Verdict};
use holdpoint_receipt::{Body, Caller, ClusterTime, Name, Reason, Request, Statement, sha256};
use holdpoint_storage::StoreError;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{DecisionName, DecisionsCall, PAGE_BYTES_MAX};
use crate::evaluate::{EvaluateError, ReadFault};
use crate::limits::DECISIONS_SCANNED_MAX;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// A decision as it is recorded.
struct Recorded {
    wire: v1::RecordedDecision,
    statement: DecisionStatement,
    /// The request and its evaluation; none once they are erased.
    rests_on: Option<(Request, Evaluation)>,
}

impl Gate {
    /// Why a decision is what it is.
    pub(crate) async fn explain(
        &self,
        caller: Caller,
        call: DecisionName,
        admitted: &Admitted,
    ) -> Result<v1::ExplainResponse, Refused> {
        roles::require(&caller, Role::Auditor)?;
        let policies = Arc::clone(&self.policies);
        let namespace = call.namespace().clone();
        let read = self.local_query(&namespace, admitted, move |log| {
            let Some(leaf) = leaf_of(log, &call)? else {
                return Ok(None);
            };
            let Some(recorded) = recorded(log, leaf)? else {
                return Ok(None);
            };
            let bundle = log.bundle(&recorded.statement.policy_digest)?;
            Ok(Some((recorded, bundle.map(|record| record.bundle))))
        });
        let (recorded, bundle) = read.await?.ok_or_else(|| {
            Refused::never(Reason::NotFound)
                .saying("The gate has no decision of this permit or at this leaf.")
        })?;
        let Recorded {
            wire,
            statement,
            rests_on,
        } = recorded;
        let Some((request, evaluation)) = rests_on else {
            let why = Refused::never(Reason::NotFound)
                .saying("What the decision rests on has been erased; its statement stands.");
            return Ok(v1::ExplainResponse {
                decision: Some(wire),
                refusal: Some(why.into_refusal()),
                ..v1::ExplainResponse::default()
            });
        };
        // May take as long as some thousand evaluations.
        let work = move || {
            let policy = policies.get::<EvaluateError>(statement.policy_digest, || {
                bundle.ok_or(EvaluateError::NoBundle(statement.policy_digest))
            });
            policy.map(|policy| explain::explain(&policy, &request, &evaluation, &statement, wire))
        };
        let explained = self
            .work_on(&self.parts.evaluations, admitted, work)
            .await?;
        explained.map_err(|error| fault(&error))
    }

    /// A page of decisions with what is needed to evaluate them again.
    pub(crate) async fn list_decisions(
        &self,
        caller: Caller,
        call: DecisionsCall,
        admitted: &Admitted,
    ) -> Result<v1::ListDecisionsResponse, Refused> {
        roles::require(&caller, Role::Auditor)?;
        let namespace = call.namespace.clone();
        self.local_query(&namespace, admitted, move |log| page(log, &call))
            .await
    }

    /// Reads one namespace as this node has applied it.
    pub(super) async fn local_query<T: Send + 'static>(
        &self,
        namespace: &Name,
        admitted: &Admitted,
        read: impl FnOnce(&NamespaceQuery<'_, StateView<'_>>) -> Result<T, ReadFault> + Send + 'static,
    ) -> Result<T, Refused> {
        let name = namespace.clone();
        let answer = self.look(admitted, move |state| match state.namespace(&name)? {
            Some(log) => read(&log).map(Some),
            None => Ok(None),
        });
        answer
            .await?
            .ok_or_else(|| Refused::never(Reason::UnknownNamespace))
    }
}

/// Where the decision stands that a call names.
fn leaf_of<V: View>(
    log: &NamespaceQuery<'_, V>,
    call: &DecisionName,
) -> Result<Option<u64>, holdpoint_core::ApplyError<V::Error>> {
    match call {
        DecisionName::Leaf { leaf, .. } => Ok(Some(*leaf)),
        DecisionName::Permit(named) => {
            let permit = log.permit(&named.permit)?;
            Ok(permit.and_then(|permit| Some(permit.record.statements.first()?.leaf)))
        }
    }
}

/// The decision whose statement stands at `leaf`; none if none does.
fn recorded<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    leaf: u64,
) -> Result<Option<Recorded>, ReadFault> {
    let Some(found) = log.statement(leaf)? else {
        return Ok(None);
    };
    let Ok(Statement {
        issued_at,
        body: Body::Decision(statement),
        ..
    }) = Statement::parse(&found.bytes)
    else {
        return Ok(None);
    };
    let disclosed = log.disclosure(leaf)?;
    let rests_on = disclosed.and_then(|disclosed| {
        let request = Request::parse_canonical(&disclosed.request?).ok()?;
        let evaluation = decode_evaluation(&disclosed.evaluation?).ok()?;
        Some((request, evaluation))
    });
    let words = |text: Option<&holdpoint_receipt::StatementText>| -> Vec<String> {
        let text = text.map_or("", |text| text.as_str());
        let words = text.split(',').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let mut wire = v1::RecordedDecision {
        leaf_index: leaf,
        decided_at_ms: issued_at.get(),
        decision: v1::Decision::from(statement.verdict.decision()).into(),
        reason_name: statement.verdict.reason().to_string(),
        policies: words(statement.policy_ids.as_ref()),
        codes: words(statement.policy_codes.as_ref()),
        policy_version: statement.policy_version.get(),
        policy_digest: statement.policy_digest.as_bytes().to_vec(),
        permit_id: match &statement.verdict {
            Verdict::Permit(grant) => grant.permit_id.to_string(),
            Verdict::Deny { .. } => String::new(),
        },
        receipt_hash: sha256(&found.bytes).as_bytes().to_vec(),
        ..v1::RecordedDecision::default()
    };
    if let Some((request, evaluation)) = &rests_on {
        wire.request_canonical = request.to_canonical().into_bytes();
        wire.evaluated_at_ms = evaluation.evaluated_at.get();
        wire.claims = evaluation.claims.iter().map(v1::BoundKey::from).collect();
        wire.approvals = approvals(log, evaluation)?;
    }
    Ok(Some(Recorded {
        wire,
        statement: *statement,
        rests_on,
    }))
}

/// The approvals that a verdict used, with the time of those that are still known.
fn approvals<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    evaluation: &Evaluation,
) -> Result<Vec<v1::UsedApproval>, ReadFault> {
    let mut used = Vec::new();
    for fact in &evaluation.facts.approvals {
        let record = log.approval(&fact.name)?;
        let given_at = record
            .filter(|record| record.leaf == fact.leaf)
            .map_or_else(ClusterTime::default, |record| record.given_at);
        used.push(v1::UsedApproval {
            quorum: fact.name.quorum.to_string(),
            subject_digest: fact.name.subject.as_bytes().to_vec(),
            approver: fact.name.approver.to_string(),
            given_at_ms: given_at.get(),
        });
    }
    Ok(used)
}

/// One page: ends when it is full, or when it has looked far enough.
fn page<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    call: &DecisionsCall,
) -> Result<v1::ListDecisionsResponse, ReadFault> {
    let (first, size) = (log.record().swept.statements, log.head()?.size);
    let from = match call.from {
        0 => first_since(log, first, size, call.since)?,
        from => from.max(first),
    };
    let mut answer = v1::ListDecisionsResponse::default();
    let mut bytes = 0_usize;
    for leaf in from..size {
        let is_far = leaf.saturating_sub(from) >= DECISIONS_SCANNED_MAX;
        if is_far || bytes >= PAGE_BYTES_MAX || answer.decisions.len() >= call.page_size {
            answer.next_leaf = leaf;
            break;
        }
        let Some(found) = recorded(log, leaf)? else {
            continue;
        };
        if found.rests_on.is_none() {
            answer.erased = answer.erased.saturating_add(1);
        }
        bytes = bytes.saturating_add(found.wire.request_canonical.len());
        answer.decisions.push(found.wire);
    }
    Ok(answer)
}

/// The first leaf in `first..size` whose statement was made at or after `since`; `size` if none was.
/// Statements stand in the order of their times.
fn first_since<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    first: u64,
    size: u64,
    since: ClusterTime,
) -> Result<u64, ReadFault> {
    let (mut low, mut high) = (first, size);
    while low < high {
        let middle = low.midpoint(high);
        let statement = log.statement(middle)?;
        let made_at = statement.and_then(|found| Statement::parse(&found.bytes).ok());
        if made_at.is_some_and(|statement| statement.issued_at < since) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}
