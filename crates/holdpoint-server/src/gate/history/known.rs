//! What this node still knows of the values that a statement only commits to.
//!
//! A value is told as a member's only if it opens the commitment under the statement's own salt, so a
//! wrong guess here shows nothing. Nothing is told of what was erased: its salts are gone.

use holdpoint_core::View;
use holdpoint_core::codec::decode_evaluation;
use holdpoint_core::command::Evaluation;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::PermitRecord;
use holdpoint_proto::v1;
use holdpoint_receipt::open::{self, Field};
use holdpoint_receipt::statement::Salt;
use holdpoint_receipt::{Body, Caller, PermitId, Request, Statement};
use holdpoint_storage::StoreError;

use crate::evaluate::ReadFault;
use crate::roles::{self, Role};

/// What is stored of one operation.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) permit: Option<PermitRecord>,
    /// Both none once they are erased.
    pub(super) request: Option<Request>,
    pub(super) evaluation: Option<Evaluation>,
    /// Who may have approved, beyond what the evaluation says.
    approvers: Vec<Caller>,
    /// The node that disputes the decision, as statements name it.
    disputer: Option<String>,
}

impl Known {
    /// What is stored of the operation that `statement` at `leaf` is about.
    pub(super) fn read<V: View<Error = StoreError>>(
        log: &NamespaceQuery<'_, V>,
        leaf: u64,
        statement: &Statement,
    ) -> Result<Self, ReadFault> {
        let body = &statement.body;
        let permit = match body.permit_id() {
            Some(id) => Self::permit(log, &id)?,
            None => None,
        };
        let first = permit.as_ref().and_then(|permit| permit.statements.first());
        let decided = first.map_or(leaf, |first| first.leaf);
        let mut known = Self::of_decision(log, decided)?;
        known.permit = permit;
        if let Body::Approved(approval) | Body::ApprovalRevoked(approval) = body {
            let given = log.approvals_of(&approval.quorum, &approval.subject_digest)?;
            known.approvers = given.into_iter().map(|(name, _)| name.approver).collect();
        }
        Ok(known)
    }

    fn permit<V: View<Error = StoreError>>(
        log: &NamespaceQuery<'_, V>,
        id: &PermitId,
    ) -> Result<Option<PermitRecord>, ReadFault> {
        Ok(log.permit(id)?.map(|permit| permit.record))
    }

    fn of_decision<V: View<Error = StoreError>>(
        log: &NamespaceQuery<'_, V>,
        leaf: u64,
    ) -> Result<Self, ReadFault> {
        let Some(disclosed) = log.disclosure(leaf)? else {
            return Ok(Self::default());
        };
        let request = disclosed.request.as_deref();
        let evaluation = disclosed.evaluation.as_deref();
        let disputer = log
            .dispute(leaf)?
            .map(|dispute| format!("node:{}", dispute.node));
        Ok(Self {
            request: request.and_then(|bytes| Request::parse_canonical(bytes).ok()),
            evaluation: evaluation.and_then(|bytes| decode_evaluation(bytes).ok()),
            disputer,
            ..Self::default()
        })
    }

    /// Whether `caller` may see what was asked: an auditor, who asked, and who approved.
    pub(super) fn may_be_seen_by(&self, caller: &Caller) -> bool {
        let asked = self.request.as_ref().map(|request| &request.caller);
        let asked = asked.or(self.permit.as_ref().map(|permit| &permit.caller));
        roles::has(caller, Role::Auditor)
            || asked == Some(caller)
            || self.approved().any(|approver| approver == caller)
    }

    fn approved(&self) -> impl Iterator<Item = &Caller> {
        let facts = self.evaluation.as_ref().map(|evaluation| &evaluation.facts);
        let used = facts.into_iter().flat_map(|facts| &facts.approvals);
        let permit = self.permit.iter().flat_map(|permit| &permit.approvals);
        used.map(|fact| &fact.name.approver)
            .chain(permit.map(|name| &name.approver))
            .chain(&self.approvers)
    }

    /// What the field may be committed to.
    fn candidates<'a>(&'a self, field: &Field, asking: &'a Caller) -> Vec<&'a str> {
        let (permit, request) = (self.permit.as_ref(), self.request.as_ref());
        match field {
            Field::Caller => self.principals(asking),
            Field::Actor | Field::Session => request
                .and_then(|request| field.value_in(request))
                .into_iter()
                .collect(),
            Field::IdempotencyKey => permit
                .map(|permit| permit.idempotency_key.as_str())
                .into_iter()
                .collect(),
            Field::Redemption => {
                let redemption = permit.and_then(|permit| permit.redemption.as_ref());
                let id = redemption.map(|redemption| redemption.id.as_str());
                id.into_iter().collect()
            }
            Field::Reason => {
                let completion = permit.and_then(|permit| permit.completion.as_ref());
                let release = permit.and_then(|permit| permit.release.as_ref());
                let completed = completion.and_then(|completion| completion.reason.as_deref());
                let released = release.and_then(|release| release.reason.as_deref());
                completed.into_iter().chain(released).collect()
            }
            // All facts in one: it is not shown one value at a time.
            Field::Inputs => Vec::new(),
            Field::Bound(name) => {
                let evaluated = self.evaluation.iter().flat_map(|all| &all.claims);
                let claims = evaluated.chain(permit.into_iter().flat_map(|all| &all.claims));
                let of_bound = claims.filter(|claim| claim.name == *name);
                of_bound.map(|claim| claim.key.as_str()).collect()
            }
        }
    }

    /// Everybody who may have asked or taken a step.
    fn principals<'a>(&'a self, asking: &'a Caller) -> Vec<&'a str> {
        let mut all: Vec<&Caller> = self.request.iter().map(|request| &request.caller).collect();
        if let Some(permit) = &self.permit {
            all.push(&permit.caller);
            all.extend(permit.redemption.iter().map(|it| &it.principal));
            all.extend(permit.completion.iter().map(|it| &it.principal));
            all.extend(permit.contradictions.iter().map(|it| &it.principal));
            all.extend(permit.release.iter().filter_map(|it| it.principal.as_ref()));
        }
        all.extend(self.approved());
        all.push(asking);
        let names = all.into_iter().map(Caller::as_str);
        names.chain(self.disputer.as_deref()).collect()
    }

    /// Opens a field of `statement`, whose salt is `salt`, with the value as far as it is known.
    pub(super) fn open(
        &self,
        statement: &Statement,
        field: &Field,
        salt: &Salt,
        asking: &Caller,
    ) -> v1::Opening {
        let member = field.member();
        let salt = salt.of_member(&member);
        let values = self.candidates(field, asking).into_iter();
        let mut right =
            values.filter(|value| open::field(statement, field, &salt, value.as_bytes()).is_ok());
        v1::Opening {
            leaf_index: statement.place.leaf_index(),
            value: right.next().map(str::to_owned),
            member,
            salt: salt.as_bytes().to_vec(),
        }
    }

    /// Opens every field whose value is known.
    pub(super) fn open_all(
        &self,
        statement: &Statement,
        salt: &Salt,
        asking: &Caller,
    ) -> Vec<v1::Opening> {
        let fields = open::fields(statement).into_iter();
        fields
            .map(|field| self.open(statement, &field, salt, asking))
            .filter(|opening| opening.value.is_some())
            .collect()
    }
}
