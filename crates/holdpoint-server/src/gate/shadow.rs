//! Shadows: which bundles are asked the same as the one in force, and what they said.

use holdpoint_core::command::{Command, SetShadow};
use holdpoint_core::outcome::{Decided, Decision};
use holdpoint_proto::v1;
use holdpoint_receipt::{Caller, ClusterTime, Digest, Name, Reason};

use super::Gate;
use super::change::Changed;
use crate::admit::{Admitted, Lane};
use crate::evaluate::Submission;
use crate::limits::DEADLINE_DEFAULT;
use crate::refused::Refused;
use crate::roles::{self, Role};
use crate::shadow::Asked;

impl Gate {
    /// Says which stored bundles are asked too.
    pub(crate) async fn set_shadow(
        &self,
        caller: Caller,
        (namespace, digests): (Name, Vec<Digest>),
        admitted: &Admitted,
    ) -> Result<v1::SetShadowResponse, Refused> {
        roles::require(&caller, Role::PolicyAuthor)?;
        let command = Command::SetShadow(SetShadow {
            namespace: namespace.clone(),
            digests,
        });
        let Changed { replay, .. } = self.change(&namespace, command, admitted).await?;
        Ok(v1::SetShadowResponse {
            replay,
            refusal: None,
        })
    }

    /// How the shadows differ, as this leader has seen it.
    pub(crate) async fn get_shadow(
        &self,
        caller: Caller,
        namespace: Name,
    ) -> Result<v1::GetShadowResponse, Refused> {
        roles::require(&caller, Role::Auditor)?;
        let admitted = self.admit(Lane::Read, DEADLINE_DEFAULT)?;
        let policies = std::sync::Arc::clone(&self.policies);
        let named = self.query(&namespace, &admitted, move |log| {
            let mut named = Vec::new();
            for digest in &log.record().shadows {
                let bundle = log.bundle(digest)?.map(|record| record.bundle);
                let name = bundle.map(|bundle| policies.name(digest, &bundle));
                named.push((*digest, name.unwrap_or_default()));
            }
            Ok(named)
        });
        let named = named.await?;
        let Some(term) = self.parts.group.leadership().borrow().leads() else {
            return Err(self.not_leader(false));
        };
        let digests: Vec<Digest> = named.iter().map(|(digest, _)| *digest).collect();
        let reports = self.parts.shadows.reports(term, &namespace, &digests);
        let shadows = named.into_iter().zip(reports);
        let shadows = shadows.map(|((digest, name), (_, report))| v1::ShadowReport {
            digest: digest.as_bytes().to_vec(),
            name,
            evaluated: report.evaluated,
            differing: report.differing,
            skipped: report.skipped,
            differences: report.differences.into(),
        });
        Ok(v1::GetShadowResponse {
            shadows: shadows.collect(),
            refusal: None,
        })
    }

    /// Has the shadows asked about a new decision. Waits for nothing.
    pub(super) fn compare(
        &self,
        submission: &Submission,
        decision: &Decision,
        request: &[u8],
        evaluated_at: ClusterTime,
        shadows: Vec<Digest>,
    ) {
        if shadows.is_empty() || decision.replay {
            return;
        }
        let Some(term) = self.parts.group.leadership().borrow().leads() else {
            return;
        };
        let (decided, permit) = match &decision.verdict {
            Decided::Permit(view) => (Reason::Granted, Some(view.record.id)),
            Decided::Deny(denial) => (denial.reason, None),
        };
        self.parts.shadows.ask(Asked {
            term,
            namespace: submission.draft.namespace().clone(),
            request: request.to_vec(),
            evaluated_at,
            leaf: decision.statement.leaf,
            decided,
            permit,
            shadows,
        });
    }
}
