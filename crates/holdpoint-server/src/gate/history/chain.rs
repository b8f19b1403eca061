//! The story of one operation, every statement of it proved.
//!
//! Read from one view after a read-index round, so that nothing which was answered before is missing.
//! What retention has removed is said to be missing, never left out in silence.

use holdpoint_core::View;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_proto::v1;
use holdpoint_receipt::statement::approvals_digest;
use holdpoint_receipt::{Body, Caller, Reason, Statement, sha256};
use holdpoint_storage::StoreError;

use super::disclose::{no_statement, not_kept};
use super::known::Known;
use super::{Gate, erasure_of};
use crate::admit::Admitted;
use crate::api::{ChainCall, DecisionName};
use crate::evaluate::ReadFault;
use crate::refused::Refused;

/// What the story consists of.
struct Story {
    /// Approvals, decision, later steps.
    leaves: Vec<u64>,
    /// The statement that disputes the decision.
    dispute: Option<u64>,
    /// All of the answer that needs no proof.
    answer: v1::ChainResponse,
}

type Told = Result<Story, Box<Refused>>;

impl Gate {
    /// Proves every statement of one operation.
    pub(crate) async fn chain(
        &self,
        caller: Caller,
        ChainCall { of }: ChainCall,
        admitted: &Admitted,
    ) -> Result<v1::ChainResponse, Refused> {
        let namespace = of.namespace().clone();
        let read = self.query(&namespace, admitted, move |log| told(log, &of, &caller));
        let Story {
            leaves,
            dispute,
            mut answer,
        } = read.await?.map_err(|refused| *refused)?;
        for leaf in leaves {
            let file = self.receipt_of_leaf(&namespace, leaf, admitted).await?;
            answer.receipts.push(v1::Receipt { file });
        }
        if let Some(leaf) = dispute {
            let file = self.receipt_of_leaf(&namespace, leaf, admitted).await?;
            answer.dispute = Some(v1::Receipt { file });
        }
        Ok(answer)
    }
}

fn told<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    of: &DecisionName,
    caller: &Caller,
) -> Result<Told, ReadFault> {
    let steps = match steps(log, of)? {
        Ok(steps) => steps,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut statements = Vec::new();
    for leaf in steps {
        let found = log.statement(leaf)?;
        match found.and_then(|found| Statement::parse(&found.bytes).ok()) {
            Some(statement) => statements.push(statement),
            None => return Ok(Err(Box::new(no_statement(log, leaf)?))),
        }
    }
    let Some(decision) = statements.first() else {
        let permits_ms = log.record().retention.permits_ms;
        return Ok(Err(Box::new(not_kept(of, permits_ms))));
    };
    let decided = decision.place.leaf_index();
    let known = Known::read(log, decided, decision)?;
    let (approvals, approvals_missing) = approvals(log, decision, &known)?;
    let dispute = log.dispute(decided)?.map(|dispute| dispute.leaf);
    let dispute = match dispute {
        Some(leaf) if log.statement(leaf)?.is_some() => Some(leaf),
        Some(_) | None => None,
    };
    let mut answer = v1::ChainResponse {
        approvals_missing,
        erasure: erasure_of(log, decided, known.permit.as_ref())?,
        ..v1::ChainResponse::default()
    };
    let all: Vec<&Statement> = approvals.iter().chain(&statements).collect();
    if known.may_be_seen_by(caller) {
        let request = known.request.as_ref();
        answer.request_canonical = request
            .map(|request| request.to_canonical().into_bytes())
            .unwrap_or_default();
        for statement in &all {
            let leaf = statement.place.leaf_index();
            if let Some(disclosed) = log.disclosure(leaf)? {
                let openings = known.open_all(statement, &disclosed.salt, caller);
                answer.openings.extend(openings);
            }
        }
    }
    Ok(Ok(Story {
        leaves: all.iter().map(|it| it.place.leaf_index()).collect(),
        dispute,
        answer,
    }))
}

/// The leaves of the decision and of each later step.
fn steps<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    of: &DecisionName,
) -> Result<Result<Vec<u64>, Box<Refused>>, ReadFault> {
    let permit = match of {
        DecisionName::Permit(named) => named.permit,
        DecisionName::Leaf { leaf, .. } => {
            let found = log.statement(*leaf)?;
            let Some(statement) = found.and_then(|found| Statement::parse(&found.bytes).ok())
            else {
                return Ok(Err(Box::new(no_statement(log, *leaf)?)));
            };
            match (&statement.body, statement.body.permit_id()) {
                (_, Some(permit)) => permit,
                (Body::Decision(_), None) => {
                    let erased = log.erased_by(*leaf)?;
                    return Ok(Ok([*leaf].into_iter().chain(erased).collect()));
                }
                (body, None) => {
                    let kind = body.kind();
                    return Ok(Err(Box::new(Refused::never(Reason::NotFound).saying(
                        format!(
                            "The statement at leaf {leaf} is of the kind `{kind}`, which begins no \
                             operation and is no step of one permit."
                        ),
                    ))));
                }
            }
        }
    };
    let known = log.permit(&permit)?;
    let leaves = known.map(|known| {
        let statements = known.record.statements.iter();
        statements.map(|statement| statement.leaf).collect()
    });
    Ok(leaves.ok_or_else(|| {
        let permits_ms = log.record().retention.permits_ms;
        Box::new(not_kept(of, permits_ms))
    }))
}

/// The statements of the approvals that the decision used; or how many cannot be shown, and then none.
fn approvals<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    decision: &Statement,
    known: &Known,
) -> Result<(Vec<Statement>, u32), ReadFault> {
    let decided = decision.body.decision();
    let Some(digest) = decided.and_then(|decided| decided.approvals_digest) else {
        return Ok((Vec::new(), 0));
    };
    let mut leaves = Vec::new();
    if let Some(evaluation) = &known.evaluation {
        leaves.extend(evaluation.facts.approvals.iter().map(|fact| fact.leaf));
    } else {
        let names = known.permit.iter().flat_map(|permit| &permit.approvals);
        for name in names {
            leaves.extend(log.approval(name)?.map(|record| record.leaf));
        }
    }
    leaves.sort_unstable();
    leaves.dedup();
    let (mut statements, mut hashes) = (Vec::new(), Vec::new());
    for leaf in &leaves {
        let Some(found) = log.statement(*leaf)? else {
            continue;
        };
        hashes.push(sha256(&found.bytes));
        statements.extend(Statement::parse(&found.bytes).ok());
    }
    if approvals_digest(&hashes) == Some(digest) {
        return Ok((statements, 0));
    }
    let missing = leaves.len().max(1);
    Ok((Vec::new(), u32::try_from(missing).unwrap_or(u32::MAX)))
}
