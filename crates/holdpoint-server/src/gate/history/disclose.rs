//! One value that a statement only commits to, with the salt of its member: for whoever holds the
//! request, so that an auditor can be shown it and nothing else.
//!
//! The statement's own salt, from which every member's follows, never leaves by this way.

use holdpoint_core::View;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_proto::v1;
use holdpoint_receipt::open::{self, Field};
use holdpoint_receipt::{Caller, Reason, Statement};
use holdpoint_storage::StoreError;

use super::known::Known;
use super::{Gate, erasure_of, leaf_of, no_longer_stored};
use crate::admit::Admitted;
use crate::api::{DecisionName, DiscloseCall};
use crate::evaluate::ReadFault;
use crate::refused::Refused;

/// What there is to say of one member.
enum Disclosed {
    Opened(v1::Opening),
    /// What was stored is gone; an operator's word says why, or retention's settings do.
    Gone(Option<v1::Erasure>),
    Not(Box<Refused>),
}

impl Gate {
    /// Opens one member of one statement.
    pub(crate) async fn disclose(
        &self,
        caller: Caller,
        call: DiscloseCall,
        admitted: &Admitted,
    ) -> Result<v1::DiscloseResponse, Refused> {
        let namespace = call.of.namespace().clone();
        let read = self.local_query(&namespace, admitted, move |log| {
            disclosed(log, &call, &caller)
        });
        let opening = match read.await? {
            Disclosed::Opened(opening) => opening,
            Disclosed::Not(refused) => return Err(*refused),
            Disclosed::Gone(erasure) => {
                return Ok(v1::DiscloseResponse {
                    refusal: Some(no_longer_stored(erasure.as_ref()).into_refusal()),
                    erasure,
                    ..v1::DiscloseResponse::default()
                });
            }
        };
        let leaf = opening.leaf_index;
        let file = self.receipt_of_leaf(&namespace, leaf, admitted).await?;
        Ok(v1::DiscloseResponse {
            opening: Some(opening),
            receipt: Some(v1::Receipt { file }),
            ..v1::DiscloseResponse::default()
        })
    }
}

fn disclosed<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    call: &DiscloseCall,
    caller: &Caller,
) -> Result<Disclosed, ReadFault> {
    let not = |refused: Refused| Ok(Disclosed::Not(Box::new(refused)));
    let Some(leaf) = leaf_of(log, &call.of)? else {
        return not(Refused::never(Reason::UnknownPermit));
    };
    let found = log.statement(leaf)?;
    let Some(statement) = found.and_then(|found| Statement::parse(&found.bytes).ok()) else {
        return not(no_statement(log, leaf)?);
    };
    if call.field == Field::Inputs {
        return not(Refused::never(Reason::NotFound).saying(
            "`inputs_digest` is of all facts of the evaluation at once, keys of bounds and approvers \
             included: it is not shown one value at a time.",
        ));
    }
    if !open::fields(&statement).contains(&call.field) {
        return not(Refused::never(Reason::NotFound).saying(format!(
            "The statement at leaf {leaf}, of the kind `{}`, has no `{}`.",
            statement.body.kind(),
            call.field
        )));
    }
    let known = Known::read(log, leaf, &statement)?;
    let disclosed = log.disclosure(leaf)?;
    // Whoever took the step knows that already.
    let took_it = disclosed.as_ref().is_some_and(|disclosed| {
        let salt = disclosed.salt.of_member(&Field::Caller.member());
        open::field(
            &statement,
            &Field::Caller,
            &salt,
            caller.as_str().as_bytes(),
        )
        .is_ok()
    });
    if !took_it && !known.may_be_seen_by(caller) {
        return not(Refused::never(Reason::Forbidden).saying(format!(
            "The caller `{caller}` neither asked nor approved nor took this step, and is no auditor."
        )));
    }
    Ok(match disclosed {
        Some(disclosed) => {
            Disclosed::Opened(known.open(&statement, &call.field, &disclosed.salt, caller))
        }
        None => Disclosed::Gone(erasure_of(log, leaf, known.permit.as_ref())?),
    })
}

/// Why there is no statement at `leaf`.
pub(super) fn no_statement<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    leaf: u64,
) -> Result<Refused, ReadFault> {
    let size = log.head()?.size;
    let refused = Refused::never(Reason::NotFound);
    Ok(if leaf < size {
        refused.saying(format!(
            "Retention has removed the statement at leaf {leaf}; its hash stays in the log."
        ))
    } else {
        refused.saying(format!(
            "There is no statement at leaf {leaf}; this node has applied {size} leaves."
        ))
    })
}

/// Why nothing is found of what `name` names.
pub(super) fn not_kept(name: &DecisionName, permits_kept_ms: Option<u64>) -> Refused {
    match (name, permits_kept_ms) {
        (DecisionName::Permit(named), Some(kept_ms)) => {
            let kept = holdpoint_receipt::names::show_duration(kept_ms);
            Refused::never(Reason::UnknownPermit).saying(format!(
                "The gate has no permit {} in this namespace. Retention removes permits {kept} after \
                 their end; statements that are still kept are found by their leaves.",
                named.permit
            ))
        }
        (DecisionName::Permit(named), None) => Refused::never(Reason::UnknownPermit).saying(
            format!("The gate has no permit {} in this namespace.", named.permit),
        ),
        (DecisionName::Leaf { leaf, .. }, _) => Refused::never(Reason::NotFound).saying(format!(
            "The permit of the statement at leaf {leaf} is no longer kept, and with it which \
             statements are about it."
        )),
    }
}
