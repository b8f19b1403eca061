//! Reads of permits and receipts: after a read-index round, from one consistent view, so they are
//! linearizable.

use holdpoint_core::View;
use holdpoint_core::outcome::PermitView;
use holdpoint_core::query::{DoubtPlace, NamespaceQuery};
use holdpoint_proto::convert::{self, Named};
use holdpoint_proto::v1;
use holdpoint_raft::StateView;
use holdpoint_receipt::{Caller, Fence, Name, Reason};
use holdpoint_storage::StoreError;

use super::Gate;
use super::history::erasure_of;
use crate::admit::Admitted;
use crate::api::{PAGE_BYTES_MAX, PermitsCall, PermitsFilter};
use crate::evaluate::ReadFault;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// Which statement is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReceiptSubject {
    /// The newest of a permit.
    Permit(Named),
    /// The one at a leaf.
    Leaf {
        /// The namespace.
        namespace: Name,
        /// The leaf.
        leaf_index: u64,
    },
}

impl ReceiptSubject {
    fn namespace(&self) -> &Name {
        match self {
            Self::Permit(named) => &named.namespace,
            Self::Leaf { namespace, .. } => namespace,
        }
    }
}

/// A permit with the request that it permits.
struct Found {
    permit: PermitView,
    /// Empty once it is no longer stored.
    request: Vec<u8>,
    erasure: Option<v1::Erasure>,
}

impl Gate {
    /// A permit as it stands, with its canonical request.
    pub(crate) async fn get_permit(
        &self,
        _caller: Caller,
        named: Named,
        admitted: &Admitted,
    ) -> Result<v1::GetPermitResponse, Refused> {
        let Named { namespace, permit } = named;
        let found = self.query(&namespace, admitted, move |log| {
            let Some(view) = log.permit(&permit)? else {
                return Ok(None);
            };
            let leaf = view.record.statements.first().map(|first| first.leaf);
            let disclosed = leaf.map(|leaf| log.disclosure(leaf)).transpose()?.flatten();
            let request = disclosed.and_then(|disclosed| disclosed.request);
            let erasure = match (leaf, &request) {
                (Some(leaf), None) => erasure_of(log, leaf, Some(&view.record))?,
                (Some(_), Some(_)) | (None, _) => None,
            };
            Ok(Some(Found {
                permit: view,
                request: request.unwrap_or_default(),
                erasure,
            }))
        });
        let found = found.await?.ok_or_else(|| {
            Refused::never(Reason::UnknownPermit).saying(format!(
                "The gate has no permit {permit} in this namespace."
            ))
        })?;
        Ok(v1::GetPermitResponse {
            cluster_time_ms: found.permit.as_of.get(),
            permit: Some(convert::permit(&found.permit)),
            refusal: None,
            request_canonical: found.request,
            erasure: found.erasure,
        })
    }

    /// A page of permits.
    pub(crate) async fn list_permits(
        &self,
        caller: Caller,
        call: PermitsCall,
        admitted: &Admitted,
    ) -> Result<v1::ListPermitsResponse, Refused> {
        roles::require(&caller, Role::Auditor)?;
        let (filter, size) = (call.filter, call.page_size);
        let read = self.query(&call.namespace, admitted, move |log| match filter {
            PermitsFilter::InDoubt { surface, after } => {
                in_doubt(log, surface.as_ref(), after, size)
            }
            PermitsFilter::Live { surface, after } => live(log, &surface, after, size),
        });
        read.await
    }

    /// A statement, proved under the newest head.
    pub(crate) async fn get_receipt(
        &self,
        _caller: Caller,
        subject: ReceiptSubject,
        admitted: &Admitted,
    ) -> Result<v1::GetReceiptResponse, Refused> {
        let namespace = subject.namespace().clone();
        let leaf = self.query(&namespace, admitted, move |log| match subject {
            ReceiptSubject::Permit(named) => {
                let permit = log.permit(&named.permit)?;
                Ok(permit.and_then(|permit| Some(permit.record.statements.last()?.leaf)))
            }
            ReceiptSubject::Leaf { leaf_index, .. } => {
                Ok((leaf_index < log.head()?.size).then_some(leaf_index))
            }
        });
        let leaf = leaf.await?.ok_or_else(|| {
            Refused::never(Reason::NotFound)
                .saying("The gate has no statement of this permit or leaf.")
        })?;
        let file = self.receipt_of_leaf(&namespace, leaf, admitted).await?;
        Ok(v1::GetReceiptResponse {
            receipt: Some(v1::Receipt { file }),
            refusal: None,
        })
    }

    /// Reads one namespace as of now.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        namespace: &Name,
        admitted: &Admitted,
        read: impl FnOnce(&NamespaceQuery<'_, StateView<'_>>) -> Result<T, ReadFault> + Send + 'static,
    ) -> Result<T, Refused> {
        self.read_index(admitted).await?;
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

/// A page of permits in doubt. A filter thins the page; the next one begins where it ended.
fn in_doubt<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: Option<&Name>,
    after: Option<DoubtPlace>,
    size: usize,
) -> Result<v1::ListPermitsResponse, ReadFault> {
    let rows = log.doubts(after, size)?;
    let shown = fitting(rows.iter().map(|(_, permit)| permit));
    let next_page = match rows.get(shown.saturating_sub(1)) {
        Some(((since, fence), _)) if shown >= size || shown < rows.len() => {
            [since.get().to_be_bytes(), fence.get().to_be_bytes()].concat()
        }
        Some(_) | None => Vec::new(),
    };
    let permits = rows.iter().take(shown).map(|(_, permit)| permit);
    let permits = permits.filter(|permit| {
        permit.in_doubt && surface.is_none_or(|surface| permit.record.surface == *surface)
    });
    Ok(page_of(log, permits, next_page))
}

/// A page of permits that are live or hold bounds.
fn live<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    after: Option<Fence>,
    size: usize,
) -> Result<v1::ListPermitsResponse, ReadFault> {
    let rows = log.holding_on(surface, after, size)?;
    let shown = fitting(rows.iter());
    let next_page = match rows.get(shown.saturating_sub(1)) {
        Some(last) if shown >= size || shown < rows.len() => {
            last.fence().get().to_be_bytes().to_vec()
        }
        Some(_) | None => Vec::new(),
    };
    Ok(page_of(log, rows.iter().take(shown), next_page))
}

/// How many of `permits` fit one message: at least one, if there is any.
fn fitting<'p>(permits: impl Iterator<Item = &'p PermitView>) -> usize {
    /// Everything of a permit but its keys.
    const PERMIT_BYTES: usize = 1_024;
    let mut bytes = 0_usize;
    let before = permits.take_while(|permit| {
        let fits = bytes < PAGE_BYTES_MAX;
        let keys = permit
            .record
            .claims
            .iter()
            .map(|claim| claim.key.as_str().len());
        bytes = bytes
            .saturating_add(PERMIT_BYTES)
            .saturating_add(keys.sum());
        fits
    });
    before.count()
}

fn page_of<'p, V: View>(
    log: &NamespaceQuery<'_, V>,
    permits: impl Iterator<Item = &'p PermitView>,
    next_page: Vec<u8>,
) -> v1::ListPermitsResponse {
    v1::ListPermitsResponse {
        permits: permits.map(convert::permit).collect(),
        next_page,
        cluster_time_ms: log.now().get(),
        refusal: None,
    }
}
