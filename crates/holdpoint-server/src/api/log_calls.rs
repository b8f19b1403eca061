//! Calls about the log of statements itself.

use holdpoint_proto::convert::{Malformed, namespace};
use holdpoint_proto::v1;
use holdpoint_receipt::Name;

/// A leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The leaf.
    pub(crate) leaf: u64,
}

/// A leaf in the log of a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InclusionCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The leaf.
    pub(crate) leaf: u64,
    /// The size; none for that of the newest proven head.
    pub(crate) size: Option<u64>,
}

/// Two sizes of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsistencyCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The earlier size.
    pub(crate) first: u64,
    /// The later size; none for that of the newest proven head.
    pub(crate) second: Option<u64>,
}

impl LeafCall {
    pub(super) fn parse(call: &v1::ReceiptAtRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            leaf: call.leaf_index,
        })
    }
}

impl InclusionCall {
    pub(super) fn parse(call: &v1::ProveInclusionRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            leaf: call.leaf_index,
            size: size(call.tree_size),
        })
    }
}

impl ConsistencyCall {
    pub(super) fn parse(call: &v1::ProveConsistencyRequest) -> Result<Self, Malformed> {
        if call.first_size == 0 {
            let problem = "is 0; everything continues an empty log";
            return Err(Malformed::new("first_size", problem));
        }
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            first: call.first_size,
            second: size(call.second_size),
        })
    }
}

fn size(given: u64) -> Option<u64> {
    (given > 0).then_some(given)
}
