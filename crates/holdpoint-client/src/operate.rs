//! What operators do to a gate: resolve permits, close sessions, stop grants, say what is kept.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_receipt::{Name, PermitId, Salt};

use crate::believe::{Expected, Receipt, same, standing};
use crate::call::wire_ms;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::gate::{CallError, Gate};
use crate::steps::refused;

/// A change with its proof.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Proof of the change. It was verified.
    pub receipt: Receipt,
    /// Whether it had been so before.
    pub is_replay: bool,
}

/// A session that was closed, with the proof.
#[derive(Clone, Debug)]
pub struct ClosedSession {
    /// Proof of the closing. It was verified, and is about this session.
    pub receipt: Receipt,
    /// With it, whoever has the receipt can be shown which session was closed, and by whom
    /// ([`holdpoint_receipt::commit`]). None once retention has erased it.
    pub salt: Option<Salt>,
    /// Whether it had been closed before.
    pub is_replay: bool,
}

/// Grants that were stopped or go on, with the proof.
#[derive(Clone, Debug)]
pub struct FreezeAnswer {
    /// Proof of the change. It was verified. Absent only where grants go on that were never stopped:
    /// nothing states that.
    pub receipt: Option<Receipt>,
    /// Whether it had been so before.
    pub is_replay: bool,
}

/// How long what has ended is kept. None keeps it for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Permits, from their end.
    pub permits: Option<Duration>,
    /// Requests and evaluations, from the decision.
    pub disclosures: Option<Duration>,
    /// Statements, from when they were made.
    pub statements: Option<Duration>,
    /// Sessions, from their last use.
    pub sessions: Option<Duration>,
}

/// How long what has ended is kept, and what is kept by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionReading {
    /// The times.
    pub retention: Retention,
    /// The first leaf whose statement is still kept.
    pub first_leaf: u64,
    /// The first leaf whose request is still kept.
    pub first_disclosure: u64,
}

impl Gate {
    /// Gives up the bounds of a permit in doubt, without knowing its outcome: RELEASED.
    ///
    /// `reason` has at most 512 bytes; it can be empty. If the effect happened after all, a late
    /// outcome is recorded as a conflict.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `NOT_IN_DOUBT` if it is not in doubt.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the release, which can be repeated.
    pub async fn release(&self, id: PermitId, reason: &str) -> Result<Changed, CallError> {
        let namespace = self.namespace();
        let expected = Expected {
            namespace,
            id,
            fence: None,
            request_digest: None,
        };
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::ReleaseRequest {
                namespace: namespace.to_string(),
                permit_id: id.to_string(),
                reason: reason.to_owned(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .gate()
                .release(connection.request(message))
                .await?;
            let v1::ReleaseResponse {
                receipt,
                replay,
                refusal,
                ..
            } = answer.into_inner();
            refused(refusal)?;
            let receipt = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                expected.released(&receipt, !reason.is_empty(), replay)?;
                Ok(Changed {
                    receipt,
                    is_replay: replay,
                })
            });
            receipt.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Closes a session: none of its steps is decided or redeemed any more.
    ///
    /// The receipt commits to the session and to who closed it; the salt that comes with it opens both.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `FORBIDDEN` if the session belongs to somebody else.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the closing, which can be repeated.
    pub async fn close_session(&self, session: &str) -> Result<ClosedSession, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::CloseSessionRequest {
                namespace: self.namespace().to_string(),
                session: session.to_owned(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .gate()
                .close_session(connection.request(message))
                .await?;
            let v1::CloseSessionResponse {
                receipt,
                replay,
                refusal,
                salt,
            } = answer.into_inner();
            refused(refusal)?;
            let closed = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                let salt = standing::optional_salt(&salt)?;
                // What was just closed is disclosed still.
                same("salt", replay || salt.is_some())?;
                standing::session_closed(&receipt, self.namespace(), session, salt.as_ref())?;
                Ok(ClosedSession {
                    receipt,
                    salt,
                    is_replay: replay,
                })
            });
            closed.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Stops grants on `surface`, or on all of them, or lets them go on.
    ///
    /// Permits that were granted can still be redeemed and completed.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `FORBIDDEN` if the caller is no operator.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the change, which can be repeated.
    pub async fn freeze(
        &self,
        surface: Option<&Name>,
        is_frozen: bool,
    ) -> Result<FreezeAnswer, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::FreezeRequest {
                namespace: self.namespace().to_string(),
                surface: surface.map(Name::to_string).unwrap_or_default(),
                frozen: is_frozen,
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .cluster()
                .freeze(connection.request(message))
                .await?;
            let v1::FreezeResponse {
                receipt,
                replay,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            if receipt.is_none() && replay && !is_frozen {
                return Ok(FreezeAnswer {
                    receipt: None,
                    is_replay: true,
                });
            }
            let receipt = Receipt::believe(receipt, &self.trust()).and_then(|receipt| {
                standing::frozen(&receipt, self.namespace(), surface, is_frozen)?;
                Ok(FreezeAnswer {
                    receipt: Some(receipt),
                    is_replay: replay,
                })
            });
            receipt.map_err(Failure::disbelieve)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Reads how long what has ended is kept.
    ///
    /// # Errors
    ///
    /// [`CallError::Silence`] if no node answers.
    ///
    /// # Cancellation
    ///
    /// Harmless: nothing changes by reading.
    pub async fn retention(&self) -> Result<RetentionReading, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::GetRetentionRequest {
                namespace: self.namespace().to_string(),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .cluster()
                .get_retention(connection.request(message))
                .await?;
            let v1::GetRetentionResponse {
                retention,
                first_leaf,
                first_disclosure,
                refusal,
            } = answer.into_inner();
            refused(refusal)?;
            Ok(RetentionReading {
                retention: Retention::from_wire(retention.unwrap_or_default()),
                first_leaf,
                first_disclosure,
            })
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }

    /// Says how long what has ended is kept. True if it was so before.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] with `RETENTION_TOO_SHORT`; the sentence says the least.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the answer, not the change, which can be repeated.
    pub async fn set_retention(&self, retention: Retention) -> Result<bool, CallError> {
        let ask = |connection: Arc<Connection>, budget| async move {
            let message = v1::SetRetentionRequest {
                namespace: self.namespace().to_string(),
                retention: Some(retention.to_wire()),
                deadline_ms: wire_ms(budget),
            };
            let answer = connection
                .cluster()
                .set_retention(connection.request(message))
                .await?;
            let v1::SetRetentionResponse {
                replay, refusal, ..
            } = answer.into_inner();
            refused(refusal)?;
            Ok(replay)
        };
        Ok(self.nodes().call(self.deadline(), ask).await?.answer)
    }
}

impl Retention {
    fn from_wire(wire: v1::Retention) -> Self {
        Self {
            permits: wire.permits_ms.map(Duration::from_millis),
            disclosures: wire.disclosures_ms.map(Duration::from_millis),
            statements: wire.statements_ms.map(Duration::from_millis),
            sessions: wire.sessions_ms.map(Duration::from_millis),
        }
    }

    fn to_wire(self) -> v1::Retention {
        let ms = |time: Option<Duration>| {
            time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        v1::Retention {
            permits_ms: ms(self.permits),
            disclosures_ms: ms(self.disclosures),
            statements_ms: ms(self.statements),
            sessions_ms: ms(self.sessions),
        }
    }
}
