//! The story of one operation, proved statement by statement, and what of it can be shown to others.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_proto::v1::chain_request::Subject as OfChain;
use holdpoint_proto::v1::disclose_request::Subject as OfOpening;
use holdpoint_receipt::chain::{self, Chain};
use holdpoint_receipt::open::{self, Field};
use holdpoint_receipt::statement::MemberSalt;
use holdpoint_receipt::{Body, Request, Statement};

use crate::believe::{AnswerError, Receipt, Trust, same};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::erase::Erasure;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::history::DecisionOf;
use crate::info::malformed;
use crate::steps::refused;

/// One member of one statement, opened: the value was checked against the commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Where the statement stands.
    pub leaf_index: u64,
    /// The member.
    pub field: Field,
    /// Its value; none where the gate does not keep it.
    pub value: Option<String>,
    /// The salt of this member, which opens no other.
    pub salt: MemberSalt,
}

/// Every statement about one operation, as of one moment, verified to be its whole story up to then.
#[derive(Clone, Debug)]
pub struct Story {
    /// The chain of the statements.
    pub chain: Chain,
    /// Their receipts, in the order of the log: approvals, decision, later steps.
    pub receipts: Vec<Receipt>,
    /// How many approvals that it used are not shown, because their statements are no longer kept.
    pub approvals_missing: u32,
    /// The receipt of the statement that a node disputes the decision, where one does.
    pub dispute: Option<Receipt>,
    /// The request, verified by its digest; none where this caller may not see it, or once it is no
    /// longer stored.
    pub request: Option<Request>,
    /// What the statements only commit to, as far as this caller may see it and it is still stored.
    pub openings: Vec<Opening>,
    /// What says that the request was erased, where an operator did. It is a step of the chain.
    pub erasure: Option<Erasure>,
}

/// One member of a statement, opened, with the statement's receipt.
#[derive(Clone, Debug)]
pub struct Disclosed {
    /// The receipt of the statement, with a fresh proof.
    pub receipt: Receipt,
    /// What opens the member.
    pub opening: Opening,
}

impl Gate {
    /// Reads the story of one operation (linearizable) and verifies it.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `UNKNOWN_PERMIT` or `NOT_FOUND` if there is none, or if retention
    /// has removed which statements are about it; the sentence says which.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn story(&self, of: DecisionOf) -> Result<Story, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ChainRequest {
                namespace: self.namespace().to_string(),
                subject: Some(match of {
                    DecisionOf::Permit(id) => OfChain::PermitId(id.to_string()),
                    DecisionOf::Leaf(leaf) => OfChain::LeafIndex(leaf),
                }),
                deadline_ms: wire_ms(budget),
            };
            let message = connection.request(message);
            let answer = connection.history().chain(message).await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            let story = Story::believe(answer, &self.trust());
            let fits = story.and_then(|story| story.is_of(of).map(|()| story));
            fits.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Opens one member of the statement at a leaf, or of the decision that granted a permit.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`]: `NOT_FOUND` if the statement has no such member or is not kept, `ERASED`
    /// if its salts were erased, `FORBIDDEN` if this caller neither asked nor approved and is no
    /// auditor.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn disclose(&self, of: DecisionOf, field: &Field) -> Result<Disclosed, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::DiscloseRequest {
                namespace: self.namespace().to_string(),
                subject: Some(match of {
                    DecisionOf::Permit(id) => OfOpening::PermitId(id.to_string()),
                    DecisionOf::Leaf(leaf) => OfOpening::LeafIndex(leaf),
                }),
                member: field.member(),
                deadline_ms: wire_ms(budget),
            };
            let message = connection.request(message);
            let answer = connection.history().disclose(message).await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            Disclosed::believe(answer, of, field, &self.trust()).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

impl Story {
    fn believe(answer: v1::ChainResponse, trust: &Trust) -> Result<Self, AnswerError> {
        let receipts = answer.receipts.into_iter();
        let receipts = receipts.map(|receipt| Receipt::believe(Some(receipt), trust));
        let receipts: Vec<Receipt> = receipts.collect::<Result<_, _>>()?;
        let verified = receipts.iter().map(|receipt| receipt.verified().clone());
        let chain = chain::verify(verified.collect()).map_err(AnswerError::Chain)?;
        let decision = chain.decision().statement();
        let dispute = answer
            .dispute
            .map(|receipt| Receipt::believe(Some(receipt), trust))
            .transpose()?;
        if let Some(dispute) = &dispute {
            let disputed = match &dispute.statement().body {
                Body::Frozen(frozen) => frozen.disputed_leaf,
                _ => None,
            };
            same("dispute", disputed == Some(decision.place.leaf_index()))?;
        }
        let request = Some(answer.request_canonical).filter(|bytes| !bytes.is_empty());
        let request = request
            .map(|bytes| Request::parse_canonical(&bytes))
            .transpose();
        let request = request.map_err(AnswerError::Request)?;
        if let Some(request) = &request {
            let is_of_it = open::request(decision, request).is_ok();
            same("request_digest", is_of_it)?;
        }
        let opened = |opening: v1::Opening| {
            let mut statements = receipts.iter().map(Receipt::statement);
            let statement = statements
                .find(|statement| statement.place.leaf_index() == opening.leaf_index)
                .ok_or(AnswerError::Differs {
                    field: "leaf_index",
                })?;
            Opening::believe(opening, statement)
        };
        let openings = answer.openings.into_iter().map(opened);
        let openings = openings.collect::<Result<_, _>>()?;
        let erasure = Erasure::optional(answer.erasure.as_ref())?;
        if let Some(erasure) = &erasure {
            let mut steps = chain.steps().iter();
            let is_told = steps.any(|step| {
                step.statement().place.leaf_index() == erasure.leaf_index
                    && *step.receipt_hash() == erasure.receipt_hash
                    && matches!(step.statement().body, Body::Erased(_))
            });
            same("erasure", is_told)?;
        }
        Ok(Self {
            approvals_missing: answer.approvals_missing,
            chain,
            receipts,
            dispute,
            request,
            openings,
            erasure,
        })
    }

    fn is_of(&self, of: DecisionOf) -> Result<(), AnswerError> {
        match of {
            DecisionOf::Permit(id) => {
                let decision = self.chain.decision().statement();
                same("permit_id", decision.body.permit_id() == Some(id))
            }
            DecisionOf::Leaf(leaf) => {
                let mut statements = self.receipts.iter().map(Receipt::statement);
                let is_one = statements.any(|statement| statement.place.leaf_index() == leaf);
                same("leaf_index", is_one)
            }
        }
    }
}

impl Disclosed {
    fn believe(
        answer: v1::DiscloseResponse,
        of: DecisionOf,
        field: &Field,
        trust: &Trust,
    ) -> Result<Self, AnswerError> {
        let receipt = Receipt::believe(answer.receipt, trust)?;
        let opening = answer.opening;
        let opening = opening.ok_or_else(|| malformed("opening", "is missing"))?;
        let opening = Opening::believe(opening, receipt.statement())?;
        let statement = receipt.statement();
        let leaf = statement.place.leaf_index();
        match of {
            DecisionOf::Permit(id) => {
                same("kind", matches!(statement.body, Body::Decision(_)))?;
                same("permit_id", statement.body.permit_id() == Some(id))?;
            }
            DecisionOf::Leaf(named) => same("leaf_index", leaf == named)?,
        }
        same("leaf_index", opening.leaf_index == leaf)?;
        same("member", opening.field == *field)?;
        Ok(Self { receipt, opening })
    }
}

impl Opening {
    /// A value is believed only if it opens the commitment.
    fn believe(wire: v1::Opening, statement: &Statement) -> Result<Self, AnswerError> {
        let field = Field::of_member(&wire.member)
            .ok_or_else(|| malformed("member", "holds no commitment"))?;
        let salt: [u8; 32] = wire
            .salt
            .as_slice()
            .try_into()
            .map_err(|_| malformed("salt", "does not have 32 bytes"))?;
        let salt = MemberSalt::from_bytes(salt);
        if let Some(value) = &wire.value {
            let opened = open::field(statement, &field, &salt, value.as_bytes());
            same("value", opened.is_ok())?;
        }
        Ok(Self {
            leaf_index: wire.leaf_index,
            field,
            value: wire.value,
            salt,
        })
    }
}
