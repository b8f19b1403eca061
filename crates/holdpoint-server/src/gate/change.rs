//! Changes of settings: sessions, freezes, retention. Each is one command, proved where it has a
//! statement.

use holdpoint_core::Outcome;
use holdpoint_core::command::{CloseSession, Command, Freeze, Retention, SetRetention};
use holdpoint_core::limits::RETENTION_MS_MIN;
use holdpoint_core::outcome::{ChangeOutcome, Statement};
use holdpoint_proto::v1;
use holdpoint_receipt::names::show_duration;
use holdpoint_receipt::{Caller, Name, Reason};

use super::{Gate, fault};
use crate::admit::Admitted;
use crate::api::{FreezeCall, SessionCall};
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};

/// A change that is so now.
pub(super) struct Changed {
    /// The proof, where there is a statement.
    pub(super) receipt: Option<v1::Receipt>,
    /// It was so before.
    pub(super) replay: bool,
}

impl Gate {
    /// Refuses what is still to come in a session.
    pub(crate) async fn close_session(
        &self,
        caller: Caller,
        call: SessionCall,
        admitted: &Admitted,
    ) -> Result<v1::CloseSessionResponse, Refused> {
        let command = Command::CloseSession(CloseSession {
            namespace: call.namespace.clone(),
            session: call.session,
            operator: roles::has(&caller, Role::Operator),
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let namespace = &call.namespace;
        let (statement, replay) = self.changed(command, admitted).await?;
        let salt = match &statement {
            Some(statement) => self.salt_of(namespace, statement.leaf, admitted).await?,
            None => None,
        };
        let receipt = self.proof(namespace, statement, admitted).await?;
        Ok(v1::CloseSessionResponse {
            receipt,
            replay,
            refusal: None,
            salt: salt.map_or_else(Vec::new, |salt| salt.as_bytes().to_vec()),
        })
    }

    /// Stops grants of a namespace or a surface, or lets them go on.
    pub(crate) async fn freeze(
        &self,
        caller: Caller,
        call: FreezeCall,
        admitted: &Admitted,
    ) -> Result<v1::FreezeResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let command = Command::Freeze(Freeze {
            namespace: call.namespace.clone(),
            surface: call.surface,
            frozen: call.frozen,
            principal: caller,
            salt: random::salt().map_err(|error| fault(&error))?,
        });
        let Changed { receipt, replay } = self.change(&call.namespace, command, admitted).await?;
        Ok(v1::FreezeResponse {
            receipt,
            replay,
            refusal: None,
        })
    }

    /// Says how long what has ended is kept.
    pub(crate) async fn set_retention(
        &self,
        caller: Caller,
        (namespace, retention): (Name, Retention),
        admitted: &Admitted,
    ) -> Result<v1::SetRetentionResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let command = Command::SetRetention(SetRetention {
            namespace: namespace.clone(),
            retention,
        });
        let answer = |replay, refusal| v1::SetRetentionResponse {
            replay,
            least_ms: RETENTION_MS_MIN,
            refusal,
        };
        match self.change(&namespace, command, admitted).await {
            Ok(changed) => Ok(answer(changed.replay, None)),
            Err(refused) if refused.reason() == Reason::RetentionTooShort => {
                let shortest = show_duration(RETENTION_MS_MIN);
                let refused = refused.saying(format!(
                    "A retention time is shorter than {shortest}, which late retries need, or \
                     statements are kept for less time than permits or disclosures."
                ));
                Ok(answer(false, Some(refused.into_refusal())))
            }
            Err(refused) => Err(refused),
        }
    }

    /// How long what has ended is kept.
    pub(crate) async fn get_retention(
        &self,
        _caller: Caller,
        namespace: Name,
        admitted: &Admitted,
    ) -> Result<v1::GetRetentionResponse, Refused> {
        let read = self.query(&namespace, admitted, |log| {
            let record = log.record();
            Ok((record.retention, record.swept))
        });
        let (retention, swept) = read.await?;
        Ok(v1::GetRetentionResponse {
            retention: Some(v1::Retention {
                permits_ms: retention.permits_ms,
                disclosures_ms: retention.disclosures_ms,
                statements_ms: retention.statements_ms,
                sessions_ms: retention.sessions_ms,
            }),
            first_leaf: swept.statements,
            first_disclosure: swept.disclosures,
            refusal: None,
        })
    }

    /// Proposes a change, and proves it where it has a statement.
    pub(super) async fn change(
        &self,
        namespace: &Name,
        command: Command,
        admitted: &Admitted,
    ) -> Result<Changed, Refused> {
        let (statement, replay) = self.changed(command, admitted).await?;
        let receipt = self.proof(namespace, statement, admitted).await?;
        Ok(Changed { receipt, replay })
    }

    /// Proposes a change, and gives its statement where it has one, and whether it was so before.
    pub(super) async fn changed(
        &self,
        command: Command,
        admitted: &Admitted,
    ) -> Result<(Option<Statement>, bool), Refused> {
        self.lead(admitted).await?;
        match self.propose(command, admitted).await? {
            Outcome::Changed(ChangeOutcome::Done { statement, replay }) => Ok((statement, replay)),
            Outcome::Changed(ChangeOutcome::Refused { reason }) => Err(Refused::never(reason)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The proof of a change that has a statement.
    pub(super) async fn proof(
        &self,
        namespace: &Name,
        statement: Option<Statement>,
        admitted: &Admitted,
    ) -> Result<Option<v1::Receipt>, Refused> {
        match statement {
            Some(statement) => {
                let file = self.receipt(namespace, &statement, admitted).await?;
                Ok(Some(v1::Receipt { file }))
            }
            None => Ok(None),
        }
    }
}
