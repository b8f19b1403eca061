//! Erasing what is stored of a request beyond its statements, before retention does.
//!
//! The outcome of the log decides. A dry run asks the same function about this node's own state and
//! throws away what it would write.

use std::cmp::max;

use holdpoint_core::command::{Command, DecisionName as Whose, Erase};
use holdpoint_core::outcome::ChangeOutcome;
use holdpoint_core::{GroupId, LogPosition, Outcome, Query, judge};
use holdpoint_proto::v1;
use holdpoint_receipt::statement::commit;
use holdpoint_receipt::{Body, Caller, ClusterTime, Name, Reason, Salt, Statement};

use super::{Gate, leaf_of};
use crate::admit::Admitted;
use crate::api::{DecisionName, EraseCall};
use crate::gate::fault;
use crate::random;
use crate::refused::Refused;
use crate::roles::{self, Role};

impl Gate {
    /// Erases what is stored of a request beyond its statements.
    pub(crate) async fn erase(
        &self,
        caller: Caller,
        call: EraseCall,
        admitted: &Admitted,
    ) -> Result<v1::EraseResponse, Refused> {
        roles::require(&caller, Role::Operator)?;
        let namespace = call.of.namespace().clone();
        let salt = random::salt().map_err(|error| fault(&error))?;
        let command = command(caller.clone(), &call, salt);
        if call.is_dry_run {
            return self.would_erase(command, &call.of, admitted).await;
        }
        let (statement, replay) = match self.changed(command, admitted).await {
            Ok(changed) => changed,
            Err(refused) => return Err(self.said_why(refused, &call.of, admitted).await),
        };
        let salt = match &statement {
            Some(statement) if replay => self.salt_of(&namespace, statement.leaf, admitted).await?,
            Some(_) => Some(salt),
            None => None,
        };
        if let Some(statement) = statement.as_ref().filter(|_| !replay) {
            let leaf = statement.leaf;
            tracing::warn!(%namespace, %caller, leaf, "what was stored of a request was erased");
        }
        Ok(v1::EraseResponse {
            receipt: self.proof(&namespace, statement, admitted).await?,
            replay,
            salt: salt.map_or_else(Vec::new, |salt| salt.as_bytes().to_vec()),
            refusal: None,
        })
    }

    /// What would become of it now.
    async fn would_erase(
        &self,
        command: Command,
        of: &DecisionName,
        admitted: &Admitted,
    ) -> Result<v1::EraseResponse, Refused> {
        self.read_index(admitted).await?;
        let (group, wall) = (self.parts.group.clone(), self.wall());
        let work = move || {
            group.local_view(|view| {
                // Nothing of this place is kept; the next entry has the leader's clock.
                let at = LogPosition {
                    group: GroupId::FIRST,
                    term: 1,
                    index: 1,
                    place: 0,
                };
                let now = max(Query::new(&view, GroupId::FIRST).now()?, wall);
                judge(&view, at, now, &command).map(|judged| judged.outcome)
            })
        };
        let judged = self.work_on(&self.parts.reads, admitted, work).await?;
        let judged = judged.map_err(|error| fault(&error))?;
        match judged.map_err(|error| fault(&error))? {
            Outcome::Changed(ChangeOutcome::Done { replay, .. }) => Ok(v1::EraseResponse {
                replay,
                ..v1::EraseResponse::default()
            }),
            Outcome::Changed(ChangeOutcome::Refused { reason }) => {
                Err(self.said_why(Refused::never(reason), of, admitted).await)
            }
            Outcome::Rejected(rejection) => {
                Err(Refused::never(rejection.reason()).saying(format!("{rejection}.")))
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Says what of it is still needed, and until when.
    async fn said_why(&self, refused: Refused, of: &DecisionName, admitted: &Admitted) -> Refused {
        if refused.reason() != Reason::StillNeeded {
            return refused;
        }
        let name = of.clone();
        let read = self.local_query(of.namespace(), admitted, move |log| {
            let Some(leaf) = leaf_of(log, &name)? else {
                return Ok(None);
            };
            let found = log.statement(leaf)?;
            let Some(statement) = found.and_then(|found| Statement::parse(&found.bytes).ok())
            else {
                return Ok(None);
            };
            let permit = match statement.body.permit_id() {
                Some(id) => log.permit(&id)?,
                None => None,
            };
            if let Some(permit) = permit.filter(|permit| permit.record.ended_at.is_none()) {
                let state = permit.state.as_str();
                let in_doubt = if permit.in_doubt { ", in doubt" } else { "" };
                return Ok(Some(format!(
                    "The permit is {state}{in_doubt} and has not ended, so what it disclosed is \
                     still needed."
                )));
            }
            Ok(until(&statement.body).map(|until| {
                format!(
                    "The attempt can be repeated until {until}, and would be evaluated again from \
                     what is stored; erase it after that."
                )
            }))
        });
        match read.await {
            Ok(Some(sentence)) => refused.saying(sentence),
            // The registry's own sentence says as much as is known.
            Ok(None) | Err(_) => refused,
        }
    }
}

fn until(body: &Body) -> Option<ClusterTime> {
    body.decision().map(|decision| decision.not_after)
}

fn command(principal: Caller, call: &EraseCall, salt: Salt) -> Command {
    let namespace: Name = call.of.namespace().clone();
    let reason = call.reason.as_deref();
    Command::Erase(Erase {
        namespace,
        decision: match &call.of {
            DecisionName::Leaf { leaf, .. } => Whose::Leaf(*leaf),
            DecisionName::Permit(named) => Whose::Permit(named.permit),
        },
        principal,
        reason_commitment: reason
            .map(|reason| commit(&salt, "reason_commitment", reason.as_bytes())),
        salt,
    })
}
