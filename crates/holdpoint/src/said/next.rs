//! What to do next, where the reason of an answer says it.

use holdpoint_client::{Decided, Denied, RedeemSilence, Silence};
use holdpoint_receipt::{ClusterTime, PermitId, Reason};

use crate::again::Again;
use crate::times::time_of_day;

/// What to do about a DENY.
pub(crate) fn denied_next(denied: &Denied) -> &'static str {
    match denied.retry_at() {
        Some(_) => "a new attempt, with a new key, can succeed after that; --wait 10m waits for it",
        None => "the same key finds the same DENY; a new attempt takes a new key",
    }
}

/// What a SILENCE leaves open, what it lacks, and what to do.
pub(crate) fn silence_lines(silence: &Silence, decided: Decided, again: &Again) -> Vec<String> {
    let mut lines: Vec<String> = silence
        .missing_approvals()
        .iter()
        .map(|missing| {
            format!(
                "approval  {} of {} for quorum {}: holdpoint approvals show {}{again}",
                missing.have,
                missing.needed,
                missing.subject.quorum(),
                missing.subject.digest()
            )
        })
        .collect();
    if let Some(place) = silence.place() {
        lines.push(format!(
            "waits     ticket {}, until {}",
            place.ticket,
            time_of_day(place.until)
        ));
    }
    lines.push(silence_next(silence, decided));
    if let Some(next) = next_call(silence.reason(), again) {
        lines.push(format!("next: {next}"));
    }
    lines
}

/// What to do about a refused call, or a SILENCE, where its reason says it.
pub(crate) fn next_call(reason: Reason, again: &Again) -> Option<String> {
    Some(match reason {
        Reason::BoundsInUse => format!(
            "wait until the permits have ended, or the same command with --drain or --revoke; \
             holdpoint permits list{again} --surface NAME shows them"
        ),
        Reason::DrainPending => format!(
            "holdpoint policy history{again} shows it; holdpoint policy cancel-drain{again} gives it up"
        ),
        Reason::NoDrain | Reason::VersionConflict => {
            format!("holdpoint policy history{again} shows what is in force")
        }
        Reason::BundleUnknown => format!("holdpoint policy put DIR{again}"),
        Reason::BundleInUse => format!(
            "holdpoint policy history{again} shows whether it is active, drains or is a shadow; a \
             receipt that is kept needs its bundle as well"
        ),
        Reason::Frozen => format!("an operator lets it go on: holdpoint thaw{again}"),
        Reason::Draining => format!("holdpoint policy history{again} shows for which change"),
        Reason::SessionClosed => "a step of a new session, with a new key".to_owned(),
        Reason::PrerequisiteNotCommitted => format!(
            "holdpoint get permit PERMIT{again} shows where it stands; the same command with the \
             same key when it is COMMITTED"
        ),
        Reason::ApprovalRequired => {
            "the same command with the same key when the approvals are there".to_owned()
        }
        Reason::NotApprover => {
            "somebody of the quorum's group who did not ask for it (--caller NAME)".to_owned()
        }
        Reason::UnknownSubject => format!("holdpoint approvals pending{again} lists what waits"),
        Reason::ApprovalSpent => {
            format!(
                "the permit that it was spent on can be revoked: holdpoint revoke PERMIT{again}"
            )
        }
        Reason::TooManyPending => "ask again when some of them have ended".to_owned(),
        _ => return None,
    })
}

/// What to do about a refused step of a permit.
pub(crate) fn next_after(reason: Reason, permit: PermitId, again: &Again) -> Option<String> {
    let look = format!("holdpoint get permit {permit}{again}");
    match reason {
        Reason::AlreadyRedeemed => Some(format!(
            "{look} shows where it stands; only whoever redeemed it may act, and a new attempt takes \
             a new key"
        )),
        Reason::NotExecutor => Some(
            "redeem it as an executor of the surface (--caller NAME); `executors` in the bundle's \
             surfaces.yaml names them"
                .to_owned(),
        ),
        Reason::OutcomeConflict => Some(format!(
            "{look} shows the outcome that stands; find out which of the two is true"
        )),
        Reason::NotRedeemed => Some(format!(
            "holdpoint redeem {permit}{again} before you act, or holdpoint revoke {permit}{again}"
        )),
        Reason::StaleContext => Some(format!(
            "{look} names its session; when that is closed, or a prerequisite no longer holds, a new \
             attempt takes a new key"
        )),
        Reason::NotInDoubt => Some(format!(
            "{look} shows when it is in doubt; until then its executor says how it ended"
        )),
        Reason::Released => Some(format!(
            "{look} shows its conflicts; its bounds were given up, so look for what was done twice"
        )),
        Reason::NoSignatures => Some(format!(
            "holdpoint status{again} shows which nodes do not sign; the same command again finds what \
             was recorded"
        )),
        _ => None,
    }
}

/// What a redeem without an answer leaves open, and how to resolve it.
pub(crate) fn redeem_next(open: &RedeemSilence, permit: PermitId, again: &Again) -> String {
    match open.decided() {
        Decided::Never => format!("permit {permit} was not redeemed; it expires by itself"),
        Decided::Unknown => format!(
            "holdpoint get permit {permit}{again}: ISSUED was not redeemed; REDEEMED, if nobody else \
             redeemed it, has had no effect: holdpoint complete {permit}{again} --aborted"
        ),
    }
}

/// How to find what was decided after the waiting for it was interrupted.
pub(crate) fn interrupted_next(key: &str, not_after: Option<ClusterTime>) -> String {
    let not_after = not_after.map_or_else(String::new, |at| format!(" --not-after {}", at.get()));
    format!(
        "a permit may have been granted; it expires by itself, and the same command with --key \
         {key}{not_after} finds it"
    )
}

/// What a SILENCE leaves open, and how to find out.
fn silence_next(silence: &Silence, decided: Decided) -> String {
    match (decided, silence.attempt()) {
        (Decided::Never, _) => {
            "decided: never. Nothing was recorded; ask again when the cause is gone.".to_owned()
        }
        (Decided::Unknown, Some(attempt)) => format!(
            "decided: unknown. The same command with --key {} --not-after {} finds the decision if \
             there is one; it cannot spend twice.",
            attempt.key,
            attempt.not_after.get()
        ),
        (Decided::Unknown, None) => "decided: unknown. Look before you ask again.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_leave_somebody_with_a_permit_say_what_is_next() {
        let permit = "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        for reason in [
            Reason::AlreadyRedeemed,
            Reason::NotExecutor,
            Reason::OutcomeConflict,
            Reason::NotRedeemed,
            Reason::StaleContext,
            Reason::NotInDoubt,
            Reason::Released,
            Reason::NoSignatures,
        ] {
            assert!(
                next_after(reason, permit, &Again::default()).is_some(),
                "{reason}"
            );
        }
        assert_eq!(next_after(Reason::Expired, permit, &Again::default()), None);
    }
}
