//! The facts of the state that a verdict rests on: as the policy is given them, and as the state machine
//! compares them when the command is applied.

use holdpoint_core::View;
use holdpoint_core::command::{ApprovalFact, ApprovalName, AskApproval, Authorize, Facts};
use holdpoint_core::fault::ApplyError;
use holdpoint_core::limits::PENDING_REFRESH_MS;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::{ActivePolicy, ApprovalRecord, AttemptRecord, Decided, PermitState};
use holdpoint_policy::{self as policy, Policy};
use holdpoint_receipt::{ClusterTime, Digest, Name, PermitId, Request};
use holdpoint_storage::StoreError;

use super::{Attempt, ReadFault};
use crate::translate;

impl<V: View<Error = StoreError>> Attempt<'_, V> {
    /// The approvals that stand for what the request has to have approved.
    pub(super) fn approvals(
        &self,
        policy: &Policy,
        request: &Request,
        supersedes: Option<PermitId>,
    ) -> Result<Vec<(ApprovalName, ApprovalRecord)>, ReadFault> {
        let mut approvals = Vec::new();
        if !policy.has_quorums(&request.surface) {
            return Ok(approvals);
        }
        // A request that does not fit the bundle has no subjects; its evaluation says why.
        for subject in policy.subjects(request).unwrap_or_default() {
            approvals.extend(standing_approvals(
                &self.namespace,
                &subject.quorum,
                &subject.digest,
                self.leader.now,
                supersedes,
            )?);
        }
        Ok(approvals)
    }

    /// What lists the request for approval; none if nothing is missing, or if it was listed a moment
    /// ago under the same policy.
    pub(super) fn ask(
        &self,
        policy: ActivePolicy,
        lookup: &Authorize,
        missing: &[policy::Missing],
    ) -> Result<Option<AskApproval>, ReadFault> {
        if missing.is_empty() {
            return Ok(None);
        }
        let ask = AskApproval {
            namespace: lookup.namespace.clone(),
            request: lookup.request.clone(),
            request_digest: lookup.request_digest,
            caller: lookup.caller.clone(),
            policy,
            missing: missing.iter().map(translate::missing).collect(),
        };
        let listed = self.namespace.pending(&lookup.request_digest)?;
        let is_listed = listed.is_some_and(|listed| {
            let fresh_until = listed.asked_at.saturating_add(PENDING_REFRESH_MS);
            self.leader.now < fresh_until
                && listed.policy == policy
                && listed.missing == ask.missing
        });
        Ok((!is_listed).then_some(ask))
    }

    /// The issued permit of this attempt that granting under a later policy version replaces.
    pub(super) fn supersedes(
        &self,
        active: ActivePolicy,
        record: Option<&AttemptRecord>,
    ) -> Result<Option<PermitId>, ReadFault> {
        let Some(AttemptRecord {
            decided: Decided::Permit(permit),
            policy,
            ..
        }) = record
        else {
            return Ok(None);
        };
        let is_earlier = policy.version != active.version;
        let is_issued = is_earlier && self.state_of(permit)? == Some(PermitState::Issued);
        Ok(is_issued.then_some(*permit))
    }

    /// The permit to be replaced, if the approvals that it has spent come back then.
    pub(super) fn gives_back(
        &self,
        supersedes: Option<PermitId>,
    ) -> Result<Option<PermitId>, ReadFault> {
        let Some(permit) = supersedes else {
            return Ok(None);
        };
        let permit = self.namespace.permit(&permit)?;
        let permit = permit.filter(|permit| permit.record.gives_approvals_back());
        Ok(permit.map(|permit| permit.record.id))
    }

    fn state_of(&self, permit: &PermitId) -> Result<Option<PermitState>, ReadFault> {
        let permit = self.namespace.permit(permit)?;
        Ok(permit.map(|permit| permit.record.state_at(self.leader.now)))
    }

    /// The facts of the state that the state machine will compare.
    pub(super) fn facts(
        &self,
        request: &Request,
        supersedes: Option<PermitId>,
        approvals: Vec<ApprovalFact>,
    ) -> Result<Facts, ReadFault> {
        let record = self.namespace.record();
        let session = match &request.session {
            Some(session) => self.namespace.session(session)?,
            None => None,
        };
        let prerequisites = request.prerequisites.iter();
        Ok(Facts {
            frozen: record.frozen || record.frozen_surfaces.contains(&request.surface),
            draining: record
                .drain
                .as_ref()
                .is_some_and(|drain| drain.surfaces.contains(&request.surface)),
            session_closed: session.is_some_and(|session| session.closed.is_some()),
            approvals,
            prerequisites: prerequisites
                .map(|permit| self.state_of(permit))
                .collect::<Result<_, _>>()?,
            supersedes,
        })
    }
}

/// The approvals of one subject that count for whoever may use them at `now`: given and neither
/// expired nor taken back, nor spent but by the permit that is to be replaced.
pub(crate) fn standing_approvals<V: View>(
    namespace: &NamespaceQuery<'_, V>,
    quorum: &Name,
    subject: &Digest,
    now: ClusterTime,
    supersedes: Option<PermitId>,
) -> Result<Vec<(ApprovalName, ApprovalRecord)>, ApplyError<V::Error>> {
    let mut approvals = namespace.approvals_of(quorum, subject)?;
    approvals.retain(|(_, approval)| approval.counts_at(now, supersedes));
    Ok(approvals)
}

/// An approval in the policy's words.
pub(super) fn given((name, record): &(ApprovalName, ApprovalRecord)) -> policy::Approval {
    policy::Approval {
        quorum: name.quorum.clone(),
        subject: name.subject,
        approver: name.approver.clone(),
        given_at_ms: record.given_at.get(),
    }
}

/// The approvals that a verdict rests on, as the state machine compares them: sorted, none twice.
pub(super) fn used(
    used: &[policy::UsedApproval],
    approvals: &[(ApprovalName, ApprovalRecord)],
) -> Vec<ApprovalFact> {
    let facts = used.iter().filter_map(|used| {
        let found = approvals.iter().find(|(name, _)| {
            name.quorum == used.quorum
                && name.subject == used.subject
                && name.approver == used.approver
        });
        found.map(|(name, record)| ApprovalFact {
            name: name.clone(),
            leaf: record.leaf,
            spends: used.spent,
        })
    });
    let mut facts: Vec<ApprovalFact> = facts.collect();
    facts.sort();
    facts.dedup();
    facts
}
