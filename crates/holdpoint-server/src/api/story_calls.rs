//! Calls about one operation as a whole: its story, what of it is shown, what of it is erased.

use holdpoint_proto::convert::{Malformed, Named, REASON_BYTES_MAX, namespace};
use holdpoint_proto::v1::{
    self, chain_request::Subject as OfChain, disclose_request::Subject as OfOpening,
    erase_request::Subject as OfErasure,
};
use holdpoint_receipt::Name;
use holdpoint_receipt::open::Field;

use super::DecisionName;

/// An operation, by its permit or by a statement about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainCall {
    /// Which.
    pub(crate) of: DecisionName,
}

/// A member of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiscloseCall {
    /// The statement, or the decision of a permit.
    pub(crate) of: DecisionName,
    /// The member.
    pub(crate) field: Field,
}

/// What is to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EraseCall {
    /// Whose.
    pub(crate) of: DecisionName,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Only say what would become of it.
    pub(crate) is_dry_run: bool,
}

impl ChainCall {
    pub(super) fn parse(call: &v1::ChainRequest) -> Result<Self, Malformed> {
        let of = match &call.subject {
            Some(OfChain::LeafIndex(leaf)) => at(&call.namespace, *leaf)?,
            Some(OfChain::PermitId(permit)) => of(&call.namespace, permit)?,
            None => return Err(nothing_named()),
        };
        Ok(Self { of })
    }
}

impl DiscloseCall {
    pub(super) fn parse(call: &v1::DiscloseRequest) -> Result<Self, Malformed> {
        let of = match &call.subject {
            Some(OfOpening::LeafIndex(leaf)) => at(&call.namespace, *leaf)?,
            Some(OfOpening::PermitId(permit)) => of(&call.namespace, permit)?,
            None => return Err(nothing_named()),
        };
        let field = Field::of_member(&call.member).ok_or_else(|| {
            let member = call.member.escape_debug();
            let problem = format!("`{member}` is not a member that holds a commitment");
            Malformed::new("member", problem)
        })?;
        Ok(Self { of, field })
    }
}

impl EraseCall {
    pub(super) fn parse(call: v1::EraseRequest) -> Result<Self, Malformed> {
        let of = match &call.subject {
            Some(OfErasure::LeafIndex(leaf)) => at(&call.namespace, *leaf)?,
            Some(OfErasure::PermitId(permit)) => of(&call.namespace, permit)?,
            None => return Err(nothing_named()),
        };
        let length = call.reason.len();
        if length > REASON_BYTES_MAX {
            let problem = format!("has {length} bytes, at most {REASON_BYTES_MAX} are accepted");
            return Err(Malformed::new("reason", problem));
        }
        Ok(Self {
            of,
            reason: Some(call.reason).filter(|reason| !reason.is_empty()),
            is_dry_run: call.dry_run,
        })
    }
}

fn at(log: &str, leaf: u64) -> Result<DecisionName, Malformed> {
    let namespace: Name = namespace(log)?;
    Ok(DecisionName::Leaf { namespace, leaf })
}

fn of(log: &str, permit: &str) -> Result<DecisionName, Malformed> {
    Named::parse(log, permit).map(DecisionName::Permit)
}

fn nothing_named() -> Malformed {
    Malformed::new("subject", "name a permit or a leaf of the log")
}
