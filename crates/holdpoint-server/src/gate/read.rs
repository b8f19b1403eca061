//! Reads: after a read-index round, from one consistent view, so they are linearizable.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_core::View;
use holdpoint_core::command::ActivationMode;
use holdpoint_core::limits::PAGE_MAX;
use holdpoint_core::outcome::PermitView;
use holdpoint_core::outline::{BoundKind, Window};
use holdpoint_core::query::{DoubtPlace, NamespaceQuery};
use holdpoint_core::record::{Drain, NodeRecord, UsageRecord};
use holdpoint_policy::Bundle;
use holdpoint_proto::convert::{self, NAMESPACE_DEFAULT, Named};
use holdpoint_proto::v1;
use holdpoint_raft::StateView;
use holdpoint_receipt::keys::{Epoch, KeySet, NodePublicKeys, PublicKey};
use holdpoint_receipt::{
    BoundKey, Caller, ClusterId, Digest, Fence, Name, NodeId, Reason, TreeSize,
};
use holdpoint_storage::StoreError;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{OperationCall, PermitsCall, PermitsFilter};
use crate::evaluate::ReadFault;
use crate::policies::Policies;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// Names that a sentence lists.
const LISTED_MAX: usize = 8;

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
    request: Vec<u8>,
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
            let request = disclosed
                .and_then(|disclosed| disclosed.request)
                .unwrap_or_default();
            Ok(Some(Found {
                permit: view,
                request,
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
        })
    }

    /// Who has a bounded operation.
    pub(crate) async fn get_operation(
        &self,
        _caller: Caller,
        call: OperationCall,
        admitted: &Admitted,
    ) -> Result<v1::GetOperationResponse, Refused> {
        let OperationCall {
            namespace,
            surface,
            bound,
            key,
        } = call;
        let read = self.query(&namespace, admitted, move |log| {
            let operation = log.operation(&surface, &bound, &key)?;
            let (waiting, used) = (
                log.waiting_for(&surface, &bound, &key)?,
                used(log, &surface, &bound, &key)?,
            );
            let is_recorded = waiting > 0
                || used.is_some()
                || operation.holder.is_some()
                || operation.tombstone.is_some();
            let unknown = if is_recorded {
                None
            } else {
                unknown_bound(log, &surface, &bound)?
            };
            Ok((operation, log.now(), unknown, waiting, used))
        });
        let (operation, now, unknown, waiting, used) = read.await?;
        if let Some(sentence) = unknown {
            return Err(Refused::never(Reason::NotFound).saying(sentence));
        }
        Ok(v1::GetOperationResponse {
            holder: operation.holder.as_ref().map(convert::permit),
            committed: operation.committed.as_ref().map(convert::permit),
            cluster_time_ms: now.get(),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
            live_amount: used.map_or(0, |used| used.live),
            committed_amount: used.map_or(0, |used| used.committed),
            refusal: None,
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

    /// The stored bundles and the activations.
    pub(crate) async fn list_policies(
        &self,
        _caller: Caller,
        namespace: Name,
        admitted: &Admitted,
    ) -> Result<v1::ListPoliciesResponse, Refused> {
        let policies = Arc::clone(&self.policies);
        self.query(&namespace, admitted, move |log| {
            let record = log.record();
            Ok(v1::ListPoliciesResponse {
                policies: stored_policies(log, &policies)?,
                activations: activations(log)?,
                refusal: None,
                draining: record.drain.as_ref().map(pending_activation),
                shadows: record
                    .shadows
                    .iter()
                    .map(|digest| digest.as_bytes().to_vec())
                    .collect(),
            })
        })
        .await
    }

    /// One bundle: the one named, or the one in force.
    pub(crate) async fn get_policy(
        &self,
        _caller: Caller,
        (namespace, digest): (Name, Option<Digest>),
        admitted: &Admitted,
    ) -> Result<v1::GetPolicyResponse, Refused> {
        let read = self.query(&namespace, admitted, move |log| {
            let active = log.record().active;
            let Some(digest) = digest.or(active.map(|active| active.digest)) else {
                return Ok(Err(Reason::NoActivePolicy));
            };
            let version = active.filter(|active| active.digest == digest);
            let version = version.map_or(0, |active| active.version.get());
            let record = log.bundle(&digest)?;
            Ok(record
                .map(|record| (digest, version, record.bundle))
                .ok_or(Reason::BundleUnknown))
        });
        let (digest, version, bytes) = read.await?.map_err(Refused::never)?;
        let bundle = Bundle::decode(&bytes).map_err(|error| fault(&error))?;
        let files = bundle.files().map(|(path, content)| v1::BundleFile {
            path: path.to_owned(),
            content: content.to_vec(),
        });
        Ok(v1::GetPolicyResponse {
            digest: digest.as_bytes().to_vec(),
            files: files.collect(),
            version,
            refusal: None,
        })
    }

    /// The published key set, from what the nodes announced.
    pub(crate) async fn export_keys(
        &self,
        admitted: &Admitted,
    ) -> Result<v1::ExportKeysResponse, Refused> {
        self.read_index(admitted).await?;
        let nodes = self.look(admitted, |state| state.nodes(None)).await?;
        let namespace = Name::new(NAMESPACE_DEFAULT).map_err(|error| fault(&error))?;
        let keys = key_set(self.parts.own.cluster, namespace, nodes).map_err(|problem| {
            Refused::never(Reason::Internal)
                .saying(format!("The key set cannot be published: {problem}."))
        })?;
        Ok(v1::ExportKeysResponse {
            keys_json: keys.to_file().into_bytes(),
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

/// Says so if the policy in force has no such bound: nobody can hold it, so it is not free either.
fn unknown_bound<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    bound: &Name,
) -> Result<Option<String>, ReadFault> {
    let Some(active) = log.record().active else {
        return Ok(Some(
            "No policy is in force, so nothing is bounded.".to_owned(),
        ));
    };
    let surfaces = log.surfaces(&active.digest)?;
    let Some(known) = surfaces.iter().find(|known| known.surface == *surface) else {
        let known = listed(surfaces.iter().map(|known| &known.surface));
        return Ok(Some(format!(
            "The policy in force has no surface `{surface}`; it has {known}."
        )));
    };
    let is_known = known.bounds.iter().any(|known| known.name == *bound);
    Ok((!is_known).then(|| {
        let known = listed(known.bounds.iter().map(|known| &known.name));
        format!("The surface `{surface}` has no bound `{bound}`; it has {known}.")
    }))
}

/// Names for people; a few, if they are many.
fn listed<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let mut names = names.map(|name| format!("`{name}`"));
    let few: Vec<String> = names.by_ref().take(LISTED_MAX).collect();
    match (few.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => few.join(", "),
        (false, more) => format!("{} and {more} more", few.join(", ")),
    }
}

/// How much of a capacity is used, or of a budget in the window of now; none if nothing is. Where the
/// window has changed, of the one that the policy in force has.
fn used<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    bound: &Name,
    key: &BoundKey,
) -> Result<Option<UsageRecord>, ReadFault> {
    let usages = log.usages(surface, bound, key)?;
    let now = log.now().get();
    let is_now = |window: &Option<Window>| {
        window.is_none_or(|window| window.start_ms <= now && now < window.end().get())
    };
    let mut current = usages.iter().filter(|(window, _)| is_now(window));
    let (Some(first), second) = (current.next(), current.next()) else {
        return Ok(None);
    };
    if second.is_none() {
        return Ok(Some(first.1));
    }
    let length = window_in_force(log, surface, bound)?;
    let found = usages
        .iter()
        .find(|(window, _)| is_now(window) && window.map(|window| window.length_ms) == length);
    Ok(Some(found.unwrap_or(first).1))
}

/// The window of a budget of the policy in force.
fn window_in_force<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: &Name,
    bound: &Name,
) -> Result<Option<u64>, ReadFault> {
    let Some(active) = log.record().active else {
        return Ok(None);
    };
    let surfaces = log.surfaces(&active.digest)?;
    let known = surfaces.iter().find(|known| known.surface == *surface);
    let known = known.and_then(|known| known.bounds.iter().find(|known| known.name == *bound));
    Ok(match known.map(|known| known.kind) {
        Some(BoundKind::Budget { window_ms, .. }) => Some(window_ms),
        Some(_) | None => None,
    })
}

/// A page of permits in doubt. A filter thins the page; the next one begins where it ended.
fn in_doubt<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    surface: Option<&Name>,
    after: Option<DoubtPlace>,
    size: usize,
) -> Result<v1::ListPermitsResponse, ReadFault> {
    let rows = log.doubts(after, size)?;
    let next_page = match rows.last() {
        Some(((since, fence), _)) if rows.len() >= size => {
            [since.get().to_be_bytes(), fence.get().to_be_bytes()].concat()
        }
        Some(_) | None => Vec::new(),
    };
    let permits = rows.iter().map(|(_, permit)| permit).filter(|permit| {
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
    let next_page = match rows.last() {
        Some(last) if rows.len() >= size => last.fence().get().to_be_bytes().to_vec(),
        Some(_) | None => Vec::new(),
    };
    Ok(page_of(log, rows.iter(), next_page))
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

fn pending_activation(drain: &Drain) -> v1::PendingActivation {
    let mode = match drain.mode {
        ActivationMode::Refuse => v1::ActivationMode::Refuse,
        ActivationMode::Drain => v1::ActivationMode::Drain,
        ActivationMode::Revoke => v1::ActivationMode::Revoke,
    };
    v1::PendingActivation {
        digest: drain.digest.as_bytes().to_vec(),
        mode: mode.into(),
        surfaces: drain.surfaces.iter().map(ToString::to_string).collect(),
        principal: drain.principal.to_string(),
        since_ms: drain.since.get(),
    }
}

/// Every stored bundle with the name that it gives itself.
fn stored_policies<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    policies: &Policies,
) -> Result<Vec<v1::StoredPolicy>, ReadFault> {
    let mut stored: Vec<v1::StoredPolicy> = Vec::new();
    let mut after = None;
    loop {
        let page = log.bundles(after.as_ref())?;
        let Some((last, _)) = page.last() else {
            return Ok(stored);
        };
        after = Some(*last);
        stored.extend(page.iter().map(|(digest, record)| v1::StoredPolicy {
            digest: digest.as_bytes().to_vec(),
            name: policies.name(digest, &record.bundle),
        }));
    }
}

/// Every activation, oldest first.
fn activations<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
) -> Result<Vec<v1::Activation>, ReadFault> {
    let mut all: Vec<v1::Activation> = Vec::new();
    let mut after = None;
    loop {
        let page = log.activations(after)?;
        all.extend(page.iter().map(|(version, record)| v1::Activation {
            version: version.get(),
            digest: record.digest.as_bytes().to_vec(),
            activated_at_ms: record.activated_at.get(),
            activated_by: record.activated_by.to_string(),
            leaf_index: record.leaf,
        }));
        match page.last() {
            Some((last, _)) if page.len() >= PAGE_MAX => after = Some(*last),
            Some(_) | None => return Ok(all),
        }
    }
}

/// One epoch from the first leaf on: every node that was ever announced, one signature needed.
fn key_set(
    cluster: ClusterId,
    namespace: Name,
    nodes: Vec<(NodeId, NodeRecord)>,
) -> Result<KeySet, String> {
    let mut keys = BTreeMap::new();
    for (node, record) in nodes {
        let log = PublicKey::from_bytes(&record.log_key).map_err(|error| error.to_string())?;
        let cosign =
            PublicKey::from_bytes(&record.cosign_key).map_err(|error| error.to_string())?;
        keys.insert(node, NodePublicKeys { log, cosign });
    }
    let epoch = Epoch {
        tree_size_from: TreeSize::default(),
        signers_needed: 1,
        nodes: keys,
    };
    KeySet::new(cluster, namespace, vec![epoch]).map_err(|error| error.to_string())
}
