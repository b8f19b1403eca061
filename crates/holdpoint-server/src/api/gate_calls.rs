//! What calls of `Gate` name, parsed.

use holdpoint_proto::convert::{Malformed, namespace};
use holdpoint_proto::v1;
use holdpoint_receipt::{BoundKey, ClusterTime, Fence, Name, SessionId};

use super::{page, page_size};

/// A bounded operation by its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperationCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The surface.
    pub(crate) surface: Name,
    /// The bound.
    pub(crate) bound: Name,
    /// The rendered key.
    pub(crate) key: BoundKey,
}

impl OperationCall {
    pub(super) fn parse(call: v1::GetOperationRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            surface: Name::new(call.surface).map_err(|error| Malformed::new("surface", error))?,
            bound: Name::new(call.bound).map_err(|error| Malformed::new("bound", error))?,
            key: BoundKey::new(call.key).map_err(|error| Malformed::new("key", error))?,
        })
    }
}

/// A session to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// The session.
    pub(crate) session: SessionId,
}

impl SessionCall {
    pub(super) fn parse(call: v1::CloseSessionRequest) -> Result<Self, Malformed> {
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            session: SessionId::new(call.session)
                .map_err(|error| Malformed::new("session", error))?,
        })
    }
}

/// A page of permits to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PermitsCall {
    /// The namespace.
    pub(crate) namespace: Name,
    /// Which permits.
    pub(crate) filter: PermitsFilter,
    /// Permits of a page.
    pub(crate) page_size: usize,
}

/// Which permits to list, and after which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PermitsFilter {
    /// Those in doubt.
    InDoubt {
        /// Only those of this surface.
        surface: Option<Name>,
        /// Since when the last one seen is in doubt, and its fence.
        after: Option<(ClusterTime, Fence)>,
    },
    /// Those that are live or hold bounds.
    Live {
        /// The surface.
        surface: Name,
        /// The fence of the last one seen.
        after: Option<Fence>,
    },
}

impl PermitsCall {
    pub(super) fn parse(call: v1::ListPermitsRequest) -> Result<Self, Malformed> {
        let unfit = |_| Malformed::new("page", "is not the `next_page` of an earlier answer");
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
        };
        let fence = |bytes: &[u8]| Fence::new(number(bytes)).map_err(unfit);
        let surface = |text| Name::new(text).map_err(|error| Malformed::new("surface", error));
        let filter = match v1::PermitFilter::try_from(call.filter) {
            Ok(v1::PermitFilter::InDoubt) => {
                let after = page::<16>(&call.page)?.map(|bytes| {
                    let (since, last) = bytes.split_at(8);
                    let since = ClusterTime::new(number(since)).map_err(unfit)?;
                    Ok((since, fence(last)?))
                });
                PermitsFilter::InDoubt {
                    surface: match call.surface.as_str() {
                        "" => None,
                        _ => Some(surface(call.surface)?),
                    },
                    after: after.transpose()?,
                }
            }
            Ok(v1::PermitFilter::Live) => PermitsFilter::Live {
                surface: surface(call.surface)?,
                after: page::<8>(&call.page)?
                    .map(|bytes| fence(&bytes))
                    .transpose()?,
            },
            Ok(v1::PermitFilter::Unspecified) | Err(_) => {
                let problem = "name PERMIT_FILTER_IN_DOUBT or PERMIT_FILTER_LIVE";
                return Err(Malformed::new("filter", problem));
            }
        };
        Ok(Self {
            namespace: namespace(&call.namespace)?,
            filter,
            page_size: page_size(call.page_size)?,
        })
    }
}
