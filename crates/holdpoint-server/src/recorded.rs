//! A decision as the state has it, with what is needed to evaluate it again.
//!
//! Reads one consistent view and never evaluates: whoever asks for it does, with the policies that the
//! decision names. What was erased is absent, never guessed.

use holdpoint_core::View;
use holdpoint_core::codec::decode_evaluation;
use holdpoint_core::command::{ApprovalName, Evaluation};
use holdpoint_core::query::NamespaceQuery;
use holdpoint_policy as policy;
use holdpoint_receipt::statement::{DecisionStatement, Place};
use holdpoint_receipt::{Body, ClusterTime, Digest, Request, Salt, Statement, sha256};
use holdpoint_storage::StoreError;

use crate::evaluate::ReadFault;

/// A decision as it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// Where its statement stands.
    pub(crate) place: Place,
    /// The cluster time of its entry.
    pub(crate) issued_at: ClusterTime,
    /// The digest of its statement.
    pub(crate) receipt_hash: Digest,
    /// What was stated.
    pub(crate) statement: DecisionStatement,
    /// The request and its evaluation.
    pub(crate) rests_on: RestsOn,
}

/// What a decision rests on.
#[derive(Clone, Debug)]
pub(crate) enum RestsOn {
    /// It is not kept any more.
    Gone,
    /// It is kept, and is no request with an evaluation.
    Unreadable,
    /// All of it.
    Kept(Box<Kept>),
}

/// A request, and how it was evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Under which the statement commits to what it does not say.
    pub(crate) salt: Salt,
    /// What was asked.
    pub(crate) request: Request,
    /// The verdict with every fact that it rests on.
    pub(crate) evaluation: Evaluation,
    /// The approvals that the verdict used, and when each was given; none where that is forgotten.
    pub(crate) approvals: Vec<(ApprovalName, Option<ClusterTime>)>,
}

impl Recorded {
    /// The decision whose statement stands at `leaf`; none if none does.
    pub(crate) fn read<V: View<Error = StoreError>>(
        log: &NamespaceQuery<'_, V>,
        leaf: u64,
    ) -> Result<Option<Self>, ReadFault> {
        let Some(found) = log.statement(leaf)? else {
            return Ok(None);
        };
        let Ok(Statement {
            place,
            issued_at,
            body: Body::Decision(statement),
            ..
        }) = Statement::parse(&found.bytes)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            place,
            issued_at,
            receipt_hash: sha256(&found.bytes),
            statement: *statement,
            rests_on: RestsOn::read(log, leaf)?,
        }))
    }

    /// What it rests on, if that is kept and can be read.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        match &self.rests_on {
            RestsOn::Kept(kept) => Some(kept),
            RestsOn::Gone | RestsOn::Unreadable => None,
        }
    }
}

impl RestsOn {
    fn read<V: View<Error = StoreError>>(
        log: &NamespaceQuery<'_, V>,
        leaf: u64,
    ) -> Result<Self, ReadFault> {
        let Some(disclosed) = log.disclosure(leaf)? else {
            return Ok(Self::Gone);
        };
        let (Some(request), Some(evaluation)) = (disclosed.request, disclosed.evaluation) else {
            return Ok(Self::Gone);
        };
        let read = Request::parse_canonical(&request).ok();
        let Some((request, evaluation)) = read.zip(decode_evaluation(&evaluation).ok()) else {
            return Ok(Self::Unreadable);
        };
        let approvals = approvals(log, &evaluation)?;
        Ok(Self::Kept(Box::new(Kept {
            salt: disclosed.salt,
            request,
            evaluation,
            approvals,
        })))
    }
}

impl Kept {
    /// The facts of the policy, as they were when it was asked. An approval of a forgotten time counted
    /// then, so it is taken for one that was given at that moment.
    pub(crate) fn facts(&self) -> policy::Facts {
        facts(&self.evaluation, &self.approvals)
    }
}

/// The facts of the policy under which `evaluation` was made, with the `approvals` that it used. See
/// [`Kept::facts`].
pub(crate) fn facts(
    evaluation: &Evaluation,
    approvals: &[(ApprovalName, Option<ClusterTime>)],
) -> policy::Facts {
    let given = |(name, given_at): &(ApprovalName, Option<ClusterTime>)| policy::Approval {
        quorum: name.quorum.clone(),
        subject: name.subject,
        approver: name.approver.clone(),
        given_at_ms: given_at.unwrap_or(evaluation.evaluated_at).get(),
    };
    policy::Facts {
        approvals: approvals.iter().map(given).collect(),
        ..policy::Facts::default()
    }
}

/// The approvals that a verdict used, with the time of those that are still known.
pub(crate) fn approvals<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
    evaluation: &Evaluation,
) -> Result<Vec<(ApprovalName, Option<ClusterTime>)>, ReadFault> {
    let mut used = Vec::new();
    for fact in &evaluation.facts.approvals {
        let record = log.approval(&fact.name)?;
        let same = record.filter(|record| record.leaf == fact.leaf);
        used.push((fact.name.clone(), same.map(|record| record.given_at)));
    }
    Ok(used)
}
