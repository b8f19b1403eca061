//! Erasing what a gate stores of a request beyond its statements.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_proto::v1::erase_request::Subject;
use holdpoint_receipt::{ClusterTime, Digest, Salt};

use crate::believe::{AnswerError, Receipt, same, standing};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::history::DecisionOf;
use crate::info::{digest, time};
use crate::steps::refused;

/// What says that what was stored of a request beyond its statements was erased. As the node says it:
/// the receipt of that leaf proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Where the statement stands that says so.
    pub leaf_index: u64,
    /// When it was made.
    pub erased_at: ClusterTime,
    /// Its receipt hash.
    pub receipt_hash: Digest,
}

/// An erasure, with its proof.
#[derive(Clone, Debug)]
pub struct ErasureAnswer {
    /// Proof of the erasure. It was verified. None where retention had been there before: nothing
    /// states that.
    pub receipt: Option<Receipt>,
    /// With it, whoever has the receipt can be shown who erased it, and the reason that was given. None
    /// once it is no longer stored.
    pub salt: Option<Salt>,
    /// Whether it had been erased before; then by another, for another reason, perhaps.
    pub is_replay: bool,
}

impl Gate {
    /// Erases what is stored of a request beyond its statements: parameters, evaluation, salts. The
    /// statements stay, and so does every receipt.
    ///
    /// `reason` has at most 512 bytes; it can be empty. The gate keeps a commitment to it and not the
    /// text.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `STILL_NEEDED` while the permit is live or in doubt, or its attempt
    /// can be repeated; with `FORBIDDEN` if the caller is no operator.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the erasure, which can be repeated.
    pub async fn erase(&self, of: DecisionOf, reason: &str) -> Result<ErasureAnswer, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::EraseRequest {
                deadline_ms: wire_ms(budget),
                ..self.erasure_of(of, reason)
            };
            let message = connection.request(message);
            let answer = connection.history().erase(message).await?;
            let v1::EraseResponse {
                receipt,
                replay,
                salt,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            if receipt.is_none() && replay {
                return Ok(ErasureAnswer {
                    receipt: None,
                    salt: None,
                    is_replay: true,
                });
            }
            let erased = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                let permit = match of {
                    DecisionOf::Permit(id) => Some(id),
                    DecisionOf::Leaf(_) => None,
                };
                let given = (!replay).then_some(reason);
                let salt = standing::optional_salt(&salt)?;
                // What was just made is disclosed still.
                same("salt", replay || salt.is_some())?;
                standing::erased(&receipt, self.namespace(), permit, given, salt.as_ref())?;
                Ok(ErasureAnswer {
                    receipt: Some(receipt),
                    salt,
                    is_replay: replay,
                })
            });
            erased.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Asks what [`Gate::erase`] would do now. True if it would find it erased before.
    ///
    /// # Errors
    ///
    /// As for [`Gate::erase`].
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes.
    pub async fn would_erase(&self, of: DecisionOf) -> Result<bool, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::EraseRequest {
                dry_run: true,
                deadline_ms: wire_ms(budget),
                ..self.erasure_of(of, "")
            };
            let message = connection.request(message);
            let answer = connection.history().erase(message).await?;
            let v1::EraseResponse {
                replay, refusal, ..
            } = answer.into_inner();
            refused(refusal)?;
            Ok(replay)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    fn erasure_of(&self, of: DecisionOf, reason: &str) -> v1::EraseRequest {
        v1::EraseRequest {
            namespace: self.namespace().to_string(),
            subject: Some(match of {
                DecisionOf::Permit(id) => Subject::PermitId(id.to_string()),
                DecisionOf::Leaf(leaf) => Subject::LeafIndex(leaf),
            }),
            reason: reason.to_owned(),
            ..v1::EraseRequest::default()
        }
    }
}

impl Erasure {
    pub(crate) fn from_wire(wire: &v1::Erasure) -> Result<Self, AnswerError> {
        Ok(Self {
            leaf_index: wire.leaf_index,
            erased_at: time("erased_at_ms", wire.erased_at_ms)?,
            receipt_hash: digest("receipt_hash", &wire.receipt_hash)?,
        })
    }

    pub(crate) fn optional(wire: Option<&v1::Erasure>) -> Result<Option<Self>, AnswerError> {
        wire.map(Self::from_wire).transpose()
    }
}
