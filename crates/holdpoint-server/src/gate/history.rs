//! What was decided: for people who ask why, and for whoever evaluates it again.
//!
//! Read from what this node has applied, leader or not. What was erased is said to be erased, by which
//! statement, never guessed.

mod chain;
mod disclose;
mod erase;
mod erasure;
mod explain;
mod known;

use std::sync::Arc;

use holdpoint_core::View;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_proto::v1;
use holdpoint_raft::StateView;
use holdpoint_receipt::statement::Verdict;
use holdpoint_receipt::{Caller, ClusterTime, Name, Reason, Statement};
use holdpoint_storage::StoreError;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{DecisionName, DecisionsCall, PAGE_BYTES_MAX};
use crate::evaluate::{EvaluateError, ReadFault};
use crate::limits::DECISIONS_SCANNED_MAX;
use crate::recorded::{Recorded, RestsOn};
use crate::refused::Refused;
use crate::roles::{self, Role};

use erasure::no_longer_stored;

pub(super) use erasure::erasure_of;

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
            let Some(recorded) = Recorded::read(log, leaf)? else {
                return Ok(None);
            };
            let bundle = log.bundle(&recorded.statement.policy_digest)?;
            let erasure = erasure::of_recorded(log, &recorded)?;
            Ok(Some((
                recorded,
                bundle.map(|record| record.bundle),
                erasure,
            )))
        });
        let (recorded, bundle, erasure) = read.await?.ok_or_else(|| {
            Refused::never(Reason::NotFound)
                .saying("The gate has no decision of this permit or at this leaf.")
        })?;
        let wire = to_wire(&recorded);
        let Recorded {
            statement,
            rests_on,
            ..
        } = recorded;
        let RestsOn::Kept(kept) = rests_on else {
            let why = no_longer_stored(erasure.as_ref());
            return Ok(v1::ExplainResponse {
                decision: Some(wire),
                refusal: Some(why.into_refusal()),
                erasure,
                ..v1::ExplainResponse::default()
            });
        };
        // May take as long as some thousand evaluations.
        let work = move || {
            let policy = policies.get::<EvaluateError>(statement.policy_digest, || {
                bundle.ok_or(EvaluateError::NoBundle(statement.policy_digest))
            });
            policy.map(|policy| explain::explain(&policy, &kept, &statement, wire))
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

/// A decision on the wire.
fn to_wire(recorded: &Recorded) -> v1::RecordedDecision {
    let words = |text: Option<&holdpoint_receipt::StatementText>| -> Vec<String> {
        let text = text.map_or("", |text| text.as_str());
        let words = text.split(',').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let statement = &recorded.statement;
    let mut wire = v1::RecordedDecision {
        leaf_index: recorded.place.leaf_index(),
        decided_at_ms: recorded.issued_at.get(),
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
        receipt_hash: recorded.receipt_hash.as_bytes().to_vec(),
        ..v1::RecordedDecision::default()
    };
    if let Some(kept) = recorded.kept() {
        let evaluation = &kept.evaluation;
        wire.request_canonical = kept.request.to_canonical().into_bytes();
        wire.evaluated_at_ms = evaluation.evaluated_at.get();
        wire.claims = evaluation.claims.iter().map(v1::BoundKey::from).collect();
        let approvals = kept.approvals.iter();
        let used = approvals.map(|(name, given_at)| v1::UsedApproval {
            quorum: name.quorum.to_string(),
            subject_digest: name.subject.as_bytes().to_vec(),
            approver: name.approver.to_string(),
            given_at_ms: given_at.map_or(0, ClusterTime::get),
        });
        wire.approvals = used.collect();
    }
    wire
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
        let Some(found) = Recorded::read(log, leaf)? else {
            continue;
        };
        if found.kept().is_none() {
            answer.erased = answer.erased.saturating_add(1);
            let erasure = erasure::of_recorded(log, &found)?;
            let erased = erasure.map(|erasure| v1::ErasedDecision {
                leaf_index: leaf,
                erasure: Some(erasure),
            });
            answer.erased_decisions.extend(erased);
            continue;
        }
        let wire = to_wire(&found);
        bytes = bytes.saturating_add(wire.request_canonical.len());
        answer.decisions.push(wire);
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
