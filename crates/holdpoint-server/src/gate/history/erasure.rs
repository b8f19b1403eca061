//! What says that a request was erased, and how that is told.

use holdpoint_core::View;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{PermitRecord, PermitStep};
use holdpoint_proto::v1;
use holdpoint_receipt::{ClusterTime, Reason, Statement, sha256};
use holdpoint_storage::StoreError;

use crate::evaluate::ReadFault;
use crate::recorded::Recorded;
use crate::refused::Refused;

/// What says that an operator erased what the statement at `leaf` only commits to; none if nobody did.
/// Once retention has been there as well, the permit's own record still knows.
pub(in crate::gate) fn erasure_of<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    leaf: u64,
    permit: Option<&PermitRecord>,
) -> Result<Option<v1::Erasure>, ReadFault> {
    let of_permit = permit.and_then(|permit| permit.leaf_of(PermitStep::Erased));
    let of_permit = of_permit.filter(|by| leaf < *by);
    let Some(by) = log.erased_by(leaf)?.or(of_permit) else {
        return Ok(None);
    };
    let Some(statement) = log.statement(by)? else {
        return Ok(None);
    };
    let made_at = Statement::parse(&statement.bytes).map(|statement| statement.issued_at);
    Ok(Some(v1::Erasure {
        leaf_index: by,
        erased_at_ms: made_at.map_or(0, ClusterTime::get),
        receipt_hash: sha256(&statement.bytes).as_bytes().to_vec(),
    }))
}

/// The same of a decision; none while what it rests on is kept.
pub(super) fn of_recorded<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    recorded: &Recorded,
) -> Result<Option<v1::Erasure>, ReadFault> {
    if recorded.kept().is_some() {
        return Ok(None);
    }
    let permit = match recorded.statement.verdict.grant() {
        Some(grant) => log.permit(&grant.permit_id)?,
        None => None,
    };
    let permit = permit.map(|permit| permit.record);
    erasure_of(log, recorded.place.leaf_index(), permit.as_ref())
}

/// Why what was stored of a request beyond its statements cannot be shown any more.
pub(super) fn no_longer_stored(erasure: Option<&v1::Erasure>) -> Refused {
    let Some(erasure) = erasure else {
        return Refused::never(Reason::NotFound).saying(
            "Retention has removed what was stored of the request beyond its statements; they stand.",
        );
    };
    let leaf = erasure.leaf_index;
    let at = ClusterTime::new(erasure.erased_at_ms).unwrap_or_default();
    Refused::never(Reason::Erased).saying(format!(
        "What was stored of the request beyond its statements was erased at {at}; the statement at \
         leaf {leaf} says so. They stand, and so do their receipts."
    ))
}
