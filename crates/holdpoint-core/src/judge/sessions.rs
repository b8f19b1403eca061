//! Sessions: whose they are, and that a closed one admits nothing more.

use holdpoint_receipt::statement::{Body, SessionStatement, commit};
use holdpoint_receipt::{Caller, ClusterTime, Reason, SessionId};

use super::Verdict;
use super::ends::SweepPart;
use super::gate::Gate;
use crate::codec::records::Present;
use crate::command::CloseSession;
use crate::fault::ApplyError;
use crate::key::{Kind, StateKey};
use crate::outcome::{ChangeOutcome, Outcome, Statement};
use crate::record::{SessionClosed, SessionRecord};
use crate::view::View;

pub(super) fn close_session<V: View>(
    gate: &mut Gate<'_, V>,
    command: &CloseSession,
) -> Result<Verdict, ApplyError<V::Error>> {
    let key = gate.keys.session(&command.session);
    let known = gate.draft.read::<SessionRecord>(&key)?;
    let owner = known
        .as_ref()
        .map_or(&command.principal, |known| &known.owner)
        .clone();
    if owner != command.principal && !command.operator {
        let reason = Reason::Forbidden;
        let refused = ChangeOutcome::Refused { reason };
        return Ok(Verdict::Unchanged(Outcome::Changed(refused)));
    }
    if let Some(closed) = known.and_then(|known| known.closed) {
        let statement = gate.kept_statement(closed.leaf)?;
        return Ok(Verdict::Unchanged(closing(statement, true)));
    }
    let salt = &command.salt;
    let principal = command.principal.as_str().as_bytes();
    let body = SessionStatement {
        session_commitment: commit(
            salt,
            "session_commitment",
            command.session.as_str().as_bytes(),
        ),
        caller_commitment: commit(salt, "caller_commitment", principal),
    };
    let statement = gate.append_plain(Body::SessionClosed(body), *salt)?;
    let closed = SessionClosed {
        at: gate.now(),
        by: command.principal.clone(),
        leaf: statement.leaf,
    };
    gate.write_session(&command.session, owner, Some(closed))?;
    Ok(Verdict::Changed(closing(Some(statement), false)))
}

fn closing(statement: Option<Statement>, replay: bool) -> Outcome {
    Outcome::Changed(ChangeOutcome::Done { statement, replay })
}

impl<V: View> Gate<'_, V> {
    /// Whether a session is closed; one that nothing has named is not.
    pub(super) fn session_is_closed(
        &self,
        session: &SessionId,
    ) -> Result<bool, ApplyError<V::Error>> {
        let known = self
            .draft
            .read::<SessionRecord>(&self.keys.session(session))?;
        Ok(known.is_some_and(|known| known.closed.is_some()))
    }

    /// A decision names `session`. It is its caller's if none has named it before. A denial may name
    /// a closed one, which stays closed.
    pub(super) fn use_session(
        &mut self,
        session: &SessionId,
        caller: &Caller,
    ) -> Result<(), ApplyError<V::Error>> {
        let key = self.keys.session(session);
        let (owner, closed) = match self.draft.read::<SessionRecord>(&key)? {
            Some(known) => (known.owner, known.closed),
            None => (caller.clone(), None),
        };
        self.write_session(session, owner, closed)
    }

    /// Records what is known of a session, used now, in the place of what was.
    fn write_session(
        &mut self,
        session: &SessionId,
        owner: Caller,
        closed: Option<SessionClosed>,
    ) -> Result<(), ApplyError<V::Error>> {
        let key = self.keys.session(session);
        if let Some(before) = self.draft.read::<SessionRecord>(&key)? {
            assert!(
                before.closed.is_none() || before.closed == closed,
                "a closed session stays as it was closed"
            );
            self.draft.delete(self.session_end(&key, before.used_at));
        }
        let used_at = self.now();
        self.draft
            .write(self.session_end(&key, used_at), &Present)?;
        let record = SessionRecord {
            owner,
            used_at,
            closed,
        };
        self.draft.write(key, &record)
    }

    fn session_end(&self, session: &StateKey, used_at: ClusterTime) -> StateKey {
        let named = session.parts().map_or(&[][..], |parts| parts.rest);
        self.keys.end_of(Kind::SessionEnd, used_at, named)
    }

    /// One step of forgetting sessions that no decision has named for long. No permit of one can
    /// still be redeemed then: [`crate::limits::RETENTION_MS_MIN`].
    pub(super) fn sweep_sessions(
        &mut self,
        limit: usize,
    ) -> Result<SweepPart, ApplyError<V::Error>> {
        let kept_ms = self.namespace.retention.sessions_ms;
        let until = kept_ms.and_then(|kept_ms| self.now().get().checked_sub(kept_ms));
        let Some(until) = until.and_then(|until| ClusterTime::new(until).ok()) else {
            return Ok(SweepPart {
                rows: 0,
                is_done: true,
            });
        };
        self.sweep_ends(Kind::SessionEnd, until, limit, |gate, named| {
            gate.draft.delete(gate.keys.named_row(Kind::Session, named));
            Ok(())
        })
    }
}
