//! The story of one operation: the receipts of its approvals, its decision and every later step,
//! linked by digest.
//!
//! ```text
//! approved ─┐ approvals_digest
//! approved ─┴─▶ decision ◀─ previous ─ redeemed ◀─ previous ─ completed ◀─ previous ─ conflict …
//! ```
//!
//! Each receipt was verified before. A chain says that they are of one operation and in one order,
//! with none left out between; it cannot say that nothing came after the last one.

mod error;

use crate::digest::Digest;
use crate::names::{Fence, Name, PermitId};
use crate::statement::{Body, DecisionStatement, Outcome, Verdict, approvals_digest};
use crate::verify::Verified;

pub use error::ChainError;

/// What the last step says of the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was decided against.
    Denied,
    /// It was granted, and no later step is here.
    Granted,
    /// It was redeemed, and no outcome is here.
    Redeemed,
    /// It ended so.
    Completed(Outcome),
    /// It was revoked.
    Revoked,
    /// It was superseded.
    Superseded,
    /// It was in doubt for so long that it gave up its bounds.
    Released,
}

/// Receipts that are the story of one operation. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    approvals: Vec<Verified>,
    decision: Verified,
    steps: Vec<Verified>,
    standing: Standing,
    conflict_count: usize,
    are_approvals_shown: bool,
}

impl Chain {
    /// The approvals that the permit used, in the order of the log.
    #[must_use]
    pub fn approvals(&self) -> &[Verified] {
        &self.approvals
    }

    /// Whether every approval is here that the permit used.
    #[must_use]
    pub const fn are_approvals_shown(&self) -> bool {
        self.are_approvals_shown
    }

    /// The decision.
    #[must_use]
    pub const fn decision(&self) -> &Verified {
        &self.decision
    }

    /// Every later step, in the order of the log.
    #[must_use]
    pub fn steps(&self) -> &[Verified] {
        &self.steps
    }

    /// How the operation stands by the steps that are here.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// How often an outcome was said that contradicts the first.
    #[must_use]
    pub const fn conflict_count(&self) -> usize {
        self.conflict_count
    }
}

/// Puts the receipts of one operation in order and verifies that they are its story.
///
/// The approvals of a permit may be left out, all of them: [`Chain::are_approvals_shown`] says so.
///
/// # Errors
///
/// [`ChainError`] is the first check that failed, in the order of its variants.
pub fn verify(mut receipts: Vec<Verified>) -> Result<Chain, ChainError> {
    receipts.sort_by_key(leaf_of);
    let is_decision = |receipt: &Verified| matches!(receipt.statement().body, Body::Decision(_));
    let decisions = receipts
        .iter()
        .filter(|receipt| is_decision(receipt))
        .count();
    let at = receipts.iter().position(is_decision);
    let Some(at) = at.filter(|_| decisions == 1) else {
        return Err(ChainError::Decisions(decisions));
    };
    check_together(&receipts, at)?;
    let steps = receipts.split_off(at.saturating_add(1));
    let Some(decision) = receipts.pop() else {
        return Err(ChainError::Decisions(decisions));
    };
    let Some(decided) = decision.statement().body.decision() else {
        return Err(ChainError::Decisions(decisions));
    };
    let approvals = receipts;
    let subject = Subject::of(decided);
    for step in &steps {
        subject.check(step)?;
    }
    check_approvals(&approvals, decided)?;
    check_links(&decision, &steps)?;
    let (standing, conflict_count) = walk(decided, &steps)?;
    Ok(Chain {
        are_approvals_shown: decided.approvals_digest.is_none() || !approvals.is_empty(),
        standing,
        conflict_count,
        approvals,
        decision,
        steps,
    })
}

fn leaf_of(receipt: &Verified) -> u64 {
    receipt.statement().place.leaf_index()
}

/// That the receipts can be of one operation: their kinds, their log, their places.
fn check_together(receipts: &[Verified], at: usize) -> Result<(), ChainError> {
    for receipt in receipts {
        let body = &receipt.statement().body;
        let is_step = body.step().is_some();
        let is_about_one = is_step
            || matches!(
                body,
                Body::Decision(_) | Body::Approved(_) | Body::Erased(_)
            );
        if !is_about_one {
            let (leaf, kind) = (leaf_of(receipt), body.kind());
            return Err(ChainError::Kind { leaf, kind });
        }
    }
    let log = |receipt: &Verified| receipt.head().origin.clone();
    let first = receipts.first().map(log);
    for receipt in receipts {
        if Some(log(receipt)) != first {
            let leaf = leaf_of(receipt);
            return Err(ChainError::OtherLog { leaf });
        }
    }
    for (receipt, next) in receipts.iter().zip(receipts.iter().skip(1)) {
        let leaf = leaf_of(receipt);
        if leaf == leaf_of(next) {
            return Err(ChainError::Twice { leaf });
        }
    }
    for (place, receipt) in receipts.iter().enumerate() {
        let is_approval = matches!(receipt.statement().body, Body::Approved(_));
        if place != at && is_approval != (place < at) {
            let leaf = leaf_of(receipt);
            return Err(ChainError::Order { leaf });
        }
    }
    Ok(())
}

/// What every later step repeats of the decision.
struct Subject<'a> {
    permit: Option<(PermitId, Fence)>,
    surface: &'a Name,
    action: &'a Name,
    request_digest: &'a Digest,
}

impl<'a> Subject<'a> {
    fn of(decided: &'a DecisionStatement) -> Self {
        let grant = decided.verdict.grant();
        Self {
            permit: grant.map(|grant| (grant.permit_id, grant.fence)),
            surface: &decided.surface,
            action: &decided.action,
            request_digest: &decided.request_digest,
        }
    }

    fn check(&self, receipt: &Verified) -> Result<(), ChainError> {
        let body = &receipt.statement().body;
        let permit_id = self.permit.map(|(id, _)| id);
        let mut same = Vec::new();
        if let Body::Erased(erased) = body {
            same.push(("permit_id", erased.permit_id == permit_id));
            let is_same = erased.request_digest == *self.request_digest;
            same.push(("request_digest", is_same));
        }
        if let Some(step) = body.step() {
            let fence = self.permit.map(|(_, fence)| fence);
            let is_same = step.request_digest == *self.request_digest;
            same.extend([
                ("permit_id", Some(step.permit_id) == permit_id),
                ("fence", Some(step.fence) == fence),
                ("surface", step.surface == *self.surface),
                ("action", step.action == *self.action),
                ("request_digest", is_same),
            ]);
        }
        match same.into_iter().find(|(_, is_same)| !is_same) {
            Some((member, _)) => Err(ChainError::Another {
                leaf: leaf_of(receipt),
                member,
            }),
            None => Ok(()),
        }
    }
}

fn check_approvals(approvals: &[Verified], decided: &DecisionStatement) -> Result<(), ChainError> {
    let hashes: Vec<Digest> = approvals.iter().map(|one| *one.receipt_hash()).collect();
    let of_surface = |receipt: &Verified| {
        let body = &receipt.statement().body;
        matches!(body, Body::Approved(approval) if approval.surface == decided.surface)
    };
    let is_same = approvals_digest(&hashes) == decided.approvals_digest;
    if approvals.is_empty() || (is_same && approvals.iter().all(of_surface)) {
        Ok(())
    } else {
        Err(ChainError::Approvals)
    }
}

/// Each step names the one before by its receipt hash.
///
/// An erasure names the statement whose request was erased; if that is not the one before, it is no
/// link, and the next step does not name it.
fn check_links(decision: &Verified, steps: &[Verified]) -> Result<(), ChainError> {
    let mut before = decision;
    let mut said = vec![*decision.receipt_hash()];
    for receipt in steps {
        let body = &receipt.statement().body;
        let (previous, is_erasure) = if let Body::Erased(erased) = body {
            (Some(erased.previous), true)
        } else {
            (body.step().map(|step| step.previous), false)
        };
        let is_link = previous == Some(*before.receipt_hash());
        let is_aside = is_erasure && previous.is_some_and(|previous| said.contains(&previous));
        if !is_link && !is_aside {
            return Err(ChainError::Link {
                leaf: leaf_of(receipt),
                before: leaf_of(before),
            });
        }
        said.push(*receipt.receipt_hash());
        if is_link {
            before = receipt;
        }
    }
    Ok(())
}

/// Walks over the steps as the gate lets a permit take them.
fn walk(decided: &DecisionStatement, steps: &[Verified]) -> Result<(Standing, usize), ChainError> {
    let mut standing = match decided.verdict {
        Verdict::Permit(_) => Standing::Granted,
        Verdict::Deny { .. } => Standing::Denied,
    };
    let mut conflict_count = 0_usize;
    for receipt in steps {
        let body = &receipt.statement().body;
        let kind = body.kind();
        let next = match (standing, body) {
            (Standing::Granted, Body::Redeemed { .. }) => Some(Standing::Redeemed),
            (Standing::Granted, Body::Revoked(_)) => Some(Standing::Revoked),
            (Standing::Granted, Body::Superseded(_)) => Some(Standing::Superseded),
            (Standing::Granted | Standing::Redeemed, Body::Released { .. }) => {
                Some(Standing::Released)
            }
            // Without a redemption where executors need not redeem, also of what was revoked since.
            (
                Standing::Granted | Standing::Redeemed | Standing::Revoked | Standing::Superseded,
                Body::Completed { outcome, .. },
            ) => Some(Standing::Completed(*outcome)),
            (
                Standing::Completed(_)
                | Standing::Released
                | Standing::Revoked
                | Standing::Superseded,
                Body::Conflict { .. },
            ) => {
                conflict_count = conflict_count.saturating_add(1);
                Some(standing)
            }
            (_, Body::Erased(_)) => Some(standing),
            _ => None,
        };
        let leaf = leaf_of(receipt);
        standing = next.ok_or(ChainError::Step { leaf, kind })?;
    }
    Ok((standing, conflict_count))
}
