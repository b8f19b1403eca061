//! What a change of a permit would do, without doing it.
//!
//! An answer for people: the permit may stand elsewhere by the time of the change itself, which the
//! gate checks again.

use holdpoint_client::{Outcome, PermitState};
use holdpoint_receipt::PermitId;

use crate::exit::Exit;
use crate::gate::{Reached, read_failed};
use crate::output::{Answer, Failure};
use crate::progress::showing;
use crate::said;

/// The change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Take it back.
    Revoke,
    /// Close it.
    Complete(Outcome),
    /// Give its bounds up.
    Release,
}

impl Wanted {
    /// What the gate would do with a permit that stands at `state`.
    fn judge(self, state: PermitState, is_in_doubt: bool) -> Expected {
        match (self, state) {
            (Self::Revoke, PermitState::Issued) | (Self::Complete(_), PermitState::Redeemed) => {
                Expected::Done
            }
            (Self::Complete(_) | Self::Release, _) if is_in_doubt => Expected::Done,
            (Self::Revoke, PermitState::Revoked)
            | (Self::Release, PermitState::Released)
            | (Self::Complete(Outcome::Committed { .. }), PermitState::Committed)
            | (Self::Complete(Outcome::Aborted), PermitState::Aborted) => Expected::Before,
            _ => Expected::Refused,
        }
    }

    fn word(self) -> String {
        match self {
            Self::Revoke => "revoked".to_owned(),
            Self::Complete(outcome) => format!("recorded as {outcome}"),
            Self::Release => "released".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Done,
    Before,
    Refused,
}

/// Reads the permit and says what would become of it.
pub(crate) async fn dry_run(
    reached: &Reached,
    permit: PermitId,
    wanted: Wanted,
) -> Result<Answer, Failure> {
    let reading = showing("reading the permit", reached.gate.permit(permit)).await;
    let info = reading.map_err(|error| read_failed(&error))?.info;
    let (state, word) = (info.state.as_str(), wanted.word());
    let (exit, would, line) = match wanted.judge(info.state, info.is_in_doubt) {
        Expected::Done => (Exit::Success, true, format!("would be {word}")),
        Expected::Before => (Exit::Success, true, format!("was {word} before")),
        Expected::Refused => (Exit::Failure, false, format!("could not be {word}")),
    };
    Ok(Answer::new("dry-run")
        .exit(exit)
        .line(format!(
            "{permit} is {state} and {line}; nothing was changed"
        ))
        .member("permit", said::permit(&info))
        .member("would_succeed", would))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_gate_would_take_is_promised() {
        let committed = Wanted::Complete(Outcome::Committed { evidence: None });
        let judge = |wanted: Wanted, state| wanted.judge(state, false);
        assert_eq!(judge(Wanted::Revoke, PermitState::Issued), Expected::Done);
        assert_eq!(
            judge(Wanted::Revoke, PermitState::Redeemed),
            Expected::Refused
        );
        assert_eq!(judge(committed, PermitState::Redeemed), Expected::Done);
        assert_eq!(judge(committed, PermitState::Committed), Expected::Before);
        assert_eq!(judge(committed, PermitState::Issued), Expected::Refused);
        assert_eq!(
            judge(Wanted::Complete(Outcome::Aborted), PermitState::Committed),
            Expected::Refused
        );
        assert_eq!(
            judge(Wanted::Release, PermitState::Redeemed),
            Expected::Refused
        );
        assert_eq!(
            Wanted::Release.judge(PermitState::Redeemed, true),
            Expected::Done
        );
        assert_eq!(
            committed.judge(PermitState::Expired, true),
            Expected::Done,
            "an offline permit"
        );
    }
}
