//! Stored bundles and activations, as they are read.

use std::sync::Arc;

use holdpoint_core::View;
use holdpoint_core::command::ActivationMode;
use holdpoint_core::limits::PAGE_MAX;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::Drain;
use holdpoint_policy::Bundle;
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, Digest, Name, Reason};
use holdpoint_storage::StoreError;

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::evaluate::ReadFault;
use crate::policies::Policies;
use crate::refused::Refused;

impl Gate {
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
