//! What a statement names as the one before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::merkle::leaf_of;
use crate::names::PermitId;
use crate::statement::{Body, Verdict};

/// What later statements may follow: the receipt hashes of permits' statements, of denials and
/// approvals, and the leaf hashes whose statements are not there.
#[derive(Debug, Default)]
pub(super) struct Links {
    permits: BTreeMap<PermitId, Vec<Digest>>,
    /// Denials and approvals.
    singles: BTreeSet<Digest>,
    absent: BTreeSet<Digest>,
}

impl Links {
    /// A leaf whose statement is not there: it may be what a later one follows.
    pub(super) fn skip(&mut self, leaf_hash: Digest) {
        self.absent.insert(leaf_hash);
    }

    /// Whether the statement follows what it must; if so, what may follow it.
    pub(super) fn follow(&mut self, body: &Body, receipt_hash: Digest) -> bool {
        if let Some(step) = body.step() {
            return self.step(step.permit_id, &step.previous, receipt_hash);
        }
        match body {
            Body::Decision(decision) => match &decision.verdict {
                Verdict::Permit(grant) => {
                    let said = vec![receipt_hash];
                    self.permits.insert(grant.permit_id, said).is_none()
                }
                Verdict::Deny { .. } => self.singles.insert(receipt_hash),
            },
            Body::Erased(erased) => match erased.permit_id {
                Some(permit) => self.erasure(permit, &erased.previous, receipt_hash),
                None => self.is_single(&erased.previous),
            },
            Body::Approved(_) => self.singles.insert(receipt_hash),
            Body::ApprovalRevoked(approval) => {
                let mut previous = approval.previous.iter();
                previous.all(|previous| self.is_single(previous))
            }
            Body::Redeemed { .. }
            | Body::Completed { .. }
            | Body::Conflict { .. }
            | Body::Revoked(_)
            | Body::Superseded(_)
            | Body::Released { .. }
            | Body::Policy(_)
            | Body::Keys(_)
            | Body::SessionClosed(_)
            | Body::Frozen(_)
            | Body::Drain(_) => true,
        }
    }

    fn is_single(&self, previous: &Digest) -> bool {
        self.singles.contains(previous) || self.is_absent(previous)
    }

    fn is_absent(&self, previous: &Digest) -> bool {
        self.absent.contains(&leaf_of(previous))
    }

    /// A step names the last statement of its permit.
    fn step(&mut self, permit: PermitId, previous: &Digest, receipt_hash: Digest) -> bool {
        let is_absent = self.is_absent(previous);
        let said = self.permits.entry(permit).or_default();
        let follows = said.last() == Some(previous) || is_absent;
        said.push(receipt_hash);
        follows
    }

    /// An erasure names any statement of its permit; if it is the last, it is a step itself.
    fn erasure(&mut self, permit: PermitId, previous: &Digest, receipt_hash: Digest) -> bool {
        let said = self.permits.get(&permit);
        let is_aside =
            said.is_some_and(|said| said.contains(previous) && said.last() != Some(previous));
        is_aside || self.step(permit, previous, receipt_hash)
    }
}
