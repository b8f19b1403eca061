//! What outcomes say, in a line.

use std::fmt::Write as _;

use holdpoint_core::outcome::{
    ActivateOutcome, ApprovalOutcome, AuthorizeOutcome, ChangeOutcome, Decided, KeysOutcome,
    Outcome, PermitView, PutOutcome, StepOutcome, SweepOutcome, Waiting,
};
use holdpoint_core::record::{ApprovalState, Denial, PermitState, RefusedBound};
use holdpoint_receipt::{ClusterTime, Name, Reason};

use crate::world::START_MS;

pub(super) fn shown(at: ClusterTime) -> String {
    let after_ms = at.get() - START_MS;
    if after_ms.is_multiple_of(1_000) {
        format!("+{}s", after_ms / 1_000)
    } else {
        format!("+{after_ms}ms")
    }
}

pub(super) fn stands(permit: &PermitView) -> String {
    let mut text = format!("fence={} {}", permit.fence(), permit.state.as_str());
    if permit.state == PermitState::Issued {
        write!(text, " until {}", shown(permit.record.expires_at)).unwrap();
    }
    if let Some(complete_by) = permit.complete_by()
        && permit.state == PermitState::Redeemed
    {
        write!(text, " complete by {}", shown(complete_by)).unwrap();
    }
    if permit.in_doubt {
        text.push_str(" IN DOUBT");
    }
    text
}

fn denied(denial: &Denial) -> String {
    let mut text = format!("DENY {}", denial.reason);
    if !denial.codes.is_empty() {
        write!(text, " codes={}", denial.codes.join(",")).unwrap();
    }
    for refused in &denial.refused {
        text.push_str(&refused_said(refused));
    }
    if let Some(at) = denial.retry_at {
        write!(text, " try again at {}", shown(at)).unwrap();
    }
    text
}

fn refused_said(refused: &RefusedBound) -> String {
    let by = refused
        .fence
        .map_or_else(String::new, |fence| format!(" by fence={fence}"));
    format!(" [{} {}{by}]", refused.claim.key, refused.reason)
}

fn replayed(replay: bool) -> &'static str {
    if replay { " (replay)" } else { "" }
}

pub(crate) fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Bootstrapped => "bootstrapped".to_owned(),
        Outcome::TimeStepped { now } => format!("time {}", shown(*now)),
        Outcome::Announced => "announced".to_owned(),
        Outcome::FeatureLevelRaised { level } => format!("feature level {level}"),
        Outcome::PolicyPut(PutOutcome::Put { replay, .. }) => format!("put{}", replayed(*replay)),
        Outcome::PolicyPut(PutOutcome::Refused { reason }) => format!("refused {reason}"),
        Outcome::Activated(activated) => activated_said(activated),
        Outcome::Authorized(authorized) => authorized_said(authorized),
        Outcome::Redeemed(step)
        | Outcome::Completed(step)
        | Outcome::Revoked(step)
        | Outcome::Released(step) => step_said(step),
        Outcome::Approved(approval) | Outcome::ApprovalRevoked(approval) => approval_said(approval),
        Outcome::Changed(changed) => changed_said(changed),
        Outcome::Swept(swept) => swept_said(swept),
        Outcome::Keys(keys) => keys_said(keys),
        Outcome::Rejected(rejection) => format!("rejected: {rejection}"),
    }
}

fn keys_said(outcome: &KeysOutcome) -> String {
    match outcome {
        KeysOutcome::Done { statements, replay } => {
            let mut text = "done".to_owned();
            for (_, statement) in statements {
                write!(text, " stated at {}", statement.leaf).unwrap();
            }
            text.push_str(replayed(*replay));
            text
        }
        KeysOutcome::Refused { reason } => format!("refused {reason}"),
    }
}

fn activated_said(outcome: &ActivateOutcome) -> String {
    match outcome {
        ActivateOutcome::Activated { version, .. } => format!("activated version={version}"),
        ActivateOutcome::Draining {
            surfaces, replay, ..
        } => {
            let surfaces: Vec<&str> = surfaces.iter().map(Name::as_str).collect();
            format!("draining {}{}", surfaces.join(","), replayed(*replay))
        }
        ActivateOutcome::Refused {
            reason,
            active,
            surface,
        } => {
            let version = active.map_or(0, |active| active.version.get());
            let surface = surface.as_ref().map(|surface| format!(" by {surface}"));
            format!(
                "refused {reason}{} (active version={version})",
                surface.unwrap_or_default()
            )
        }
    }
}

fn authorized_said(outcome: &AuthorizeOutcome) -> String {
    match outcome {
        AuthorizeOutcome::Decided(decision) => {
            let what = match &decision.verdict {
                Decided::Permit(permit) => format!("PERMIT {}", stands(permit)),
                Decided::Deny(denial) => denied(denial),
            };
            format!(
                "{what} v{}{}",
                decision.policy.version,
                replayed(decision.replay)
            )
        }
        AuthorizeOutcome::Waiting(waiting) => waiting_said(waiting),
        AuthorizeOutcome::Silent { reason } => format!("SILENCE {reason}"),
        AuthorizeOutcome::NotCurrent { reason, current } => {
            let mut text = format!(
                "evaluate again: {reason} (active v{}",
                current.policy.version
            );
            if current.facts.supersedes.is_some() {
                text.push_str(", supersedes");
            }
            text.push(')');
            text
        }
    }
}

fn waiting_said(waiting: &Waiting) -> String {
    let mut text = format!(
        "WAITING ticket={} until {}",
        waiting.ticket,
        shown(waiting.wait_until)
    );
    for refused in &waiting.refused {
        text.push_str(&refused_said(refused));
    }
    text
}

fn approval_said(outcome: &ApprovalOutcome) -> String {
    match outcome {
        ApprovalOutcome::Done {
            name,
            approval,
            replay,
            ..
        } => {
            let state = match &approval.state {
                ApprovalState::Given => format!("until {}", shown(approval.expires_at)),
                ApprovalState::Spent(_) => "SPENT".to_owned(),
                ApprovalState::Revoked { .. } => "REVOKED".to_owned(),
            };
            format!(
                "{} approved by {} {state}{}",
                name.quorum,
                name.approver,
                replayed(*replay)
            )
        }
        ApprovalOutcome::Refused { reason, .. } => format!("refused {reason}"),
    }
}

fn changed_said(outcome: &ChangeOutcome) -> String {
    match outcome {
        ChangeOutcome::Done { replay, .. } => format!("done{}", replayed(*replay)),
        ChangeOutcome::Refused { reason } => format!("refused {reason}"),
    }
}

fn swept_said(outcome: &SweepOutcome) -> String {
    let mut text = format!("swept rows={}", outcome.rows);
    if !outcome.released.is_empty() {
        write!(text, " released={}", outcome.released.len()).unwrap();
    }
    if let Some(active) = &outcome.activated {
        write!(text, " activated version={}", active.version).unwrap();
    }
    if !outcome.is_done {
        text.push_str(" (more is due)");
    }
    text
}

fn step_said(outcome: &StepOutcome) -> String {
    match outcome {
        StepOutcome::Done { permit, replay, .. } => {
            format!("{}{}", stands(permit), replayed(*replay))
        }
        StepOutcome::Refused {
            reason, conflict, ..
        } => {
            let recorded = if conflict.is_some() {
                " (recorded)"
            } else {
                ""
            };
            debug_assert_ne!(*reason, Reason::Granted);
            format!("refused {reason}{recorded}")
        }
    }
}
