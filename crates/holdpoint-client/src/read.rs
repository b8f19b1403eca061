//! Reading what the gate has: permits, bounded operations, receipts, keys.

use std::sync::Arc;

use holdpoint_proto::v1;
use holdpoint_proto::v1::get_receipt_request::Subject;
use holdpoint_receipt::{BoundKey, ClusterTime, Name, PermitId};

use crate::believe::{AnswerError, Receipt, request_of, same};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::erase::Erasure;
use crate::failure::Failure;
use crate::gate::{CallError, Gate, fetch_published};
use crate::info::{PermitInfo, malformed, time};
use crate::permit::PermitReading;
use crate::steps::refused;

/// Who holds a bounded operation, as of a linearizable read. Not proved.
#[derive(Clone, Debug)]
pub struct OperationReading {
    /// The live permit that holds it; none if it is free.
    pub holder: Option<PermitInfo>,
    /// For `once`: the permit whose effect is committed.
    pub committed: Option<PermitInfo>,
    /// Cluster time of the state that was read.
    pub cluster_time: ClusterTime,
    /// For a capacity or a budget: the amounts of the permits that hold it now, of budgets in the
    /// window of `cluster_time`.
    pub live_amount: u64,
    /// For a budget: the amounts of committed permits of that window.
    pub committed_amount: u64,
    /// Attempts that wait for it, at most 1,000 are counted.
    pub waiting_count: u32,
}

/// Which receipt is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptOf {
    /// The newest of this permit.
    Permit(PermitId),
    /// The one at this leaf of the namespace's log, from 0.
    Leaf(u64),
}

impl Gate {
    /// Reads a permit with its request (linearizable).
    ///
    /// The request was checked against the permit's digest; the rest is as the node says.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `UNKNOWN_PERMIT` if there is none.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn permit(&self, id: PermitId) -> Result<PermitReading, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::GetPermitRequest {
                namespace: self.namespace().to_string(),
                permit_id: id.to_string(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .gate()
                .get_permit(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            read_permit(id, answer).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Reads who holds a bounded operation (linearizable). `key` is the rendered key.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] if the gate knows no such surface or bound.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn operation(
        &self,
        surface: &Name,
        bound: &Name,
        key: &BoundKey,
    ) -> Result<OperationReading, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::GetOperationRequest {
                namespace: self.namespace().to_string(),
                surface: surface.to_string(),
                bound: bound.to_string(),
                key: key.to_string(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .gate()
                .get_operation(connection.request(message))
                .await?;
            let mut answer = answer.into_inner();
            refused(answer.refusal.take())?;
            read_operation(answer).map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Reads a receipt again, proved under the newest head, and verifies it.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_FOUND` or `UNKNOWN_PERMIT` if there is none.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn receipt(&self, of: ReceiptOf) -> Result<Receipt, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let subject = match of {
                ReceiptOf::Permit(id) => Subject::PermitId(id.to_string()),
                ReceiptOf::Leaf(leaf) => Subject::LeafIndex(leaf),
            };
            let message = v1::GetReceiptRequest {
                namespace: self.namespace().to_string(),
                subject: Some(subject),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .gate()
                .get_receipt(connection.request(message))
                .await?;
            let v1::GetReceiptResponse { receipt, refusal } = answer.into_inner();
            refused(refusal)?;
            let receipt = Receipt::believe(receipt, &self.trust());
            let fits = receipt.and_then(|receipt| {
                let statement = receipt.statement();
                match of {
                    ReceiptOf::Permit(id) => {
                        same("permit_id", statement.body.permit_id() == Some(id))?;
                    }
                    ReceiptOf::Leaf(leaf) => {
                        same("leaf_index", statement.place.leaf_index() == leaf)?;
                    }
                }
                Ok(receipt)
            });
            fits.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Fetches `keys.json` as the cluster publishes it now, byte for byte.
    ///
    /// Publishing it is for you: what comes over this connection proves nothing by itself.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node answers.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn export_keys(&self) -> Result<Vec<u8>, CallError> {
        let published = fetch_published(self.nodes(), self.deadline()).await?;
        Ok(published.file)
    }
}

fn read_permit(id: PermitId, answer: v1::GetPermitResponse) -> Result<PermitReading, AnswerError> {
    let permit = answer
        .permit
        .ok_or_else(|| malformed("permit", "is missing"))?;
    let info = PermitInfo::from_wire(permit)?;
    same("permit_id", info.id == id)?;
    let canonical = Some(answer.request_canonical).filter(|bytes| !bytes.is_empty());
    let request = canonical.map(|bytes| request_of(&bytes, info.request_digest));
    let cluster_time = time("cluster_time_ms", answer.cluster_time_ms)?;
    Ok(PermitReading {
        info,
        request: request.transpose()?,
        erasure: Erasure::optional(answer.erasure.as_ref())?,
        cluster_time,
    })
}

fn read_operation(answer: v1::GetOperationResponse) -> Result<OperationReading, AnswerError> {
    Ok(OperationReading {
        holder: answer.holder.map(PermitInfo::from_wire).transpose()?,
        committed: answer.committed.map(PermitInfo::from_wire).transpose()?,
        cluster_time: time("cluster_time_ms", answer.cluster_time_ms)?,
        live_amount: answer.live_amount,
        committed_amount: answer.committed_amount,
        waiting_count: answer.waiting,
    })
}
