//! Bugs of what a key means: too much is granted, or an answer has no instant at which it is true.

use super::places::{
    any, change, events, is_about, permits, place_of, read_after_redeem, redeemed, regrant, restate,
};
use crate::history::{Answered, Bound, Event, History, Op, Outcome, PermitState, bound_name};
use crate::reference::Dice;
use crate::story::{Granted, StepKind, Story};

fn is_of(permit: &Granted<'_>, bound: &str) -> bool {
    bound_name(permit.key) == bound
}

/// The permit of the same key that was granted next.
fn next_of<'s>(story: &'s Story<'s>, permit: &Granted<'_>) -> Option<&'s Granted<'s>> {
    story.permits.iter().find(|later| {
        (later.namespace, later.key) == (permit.namespace, permit.key)
            && later.fence > permit.fence
            && later.attempt != permit.attempt
    })
}

/// A redeemed permit was never completed, and the key is granted again.
pub(super) fn granted_while_in_doubt(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        redeemed(permit)?;
        next_of(story, permit)?;
        is_of(permit, "lock").then(|| permit.id.to_owned())
    });
    let Some(id) = any(found, dice) else {
        return false;
    };
    let ends = |event: &Event| event.op == Op::Complete || event.op == Op::Read;
    history
        .events
        .retain(|event| !(is_about(event, &id) && ends(event)));
    true
}

/// An unredeemed permit had time left when the key was granted again.
pub(super) fn granted_before_expiry(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let next = next_of(story, permit)?;
        let submissions = story.attempts.get(&permit.attempt)?;
        let is_lost = submissions.iter().any(|event| event.answer.is_ambiguous());
        let is_unused = permit.steps.is_empty() && permit.shown.len() == submissions.len();
        (is_of(permit, "lock") && is_unused && !is_lost)
            .then(|| (permit.id.to_owned(), next.issued_at_ms))
    });
    let Some((id, until_ms)) = any(found, dice) else {
        return false;
    };
    regrant(history, &id, |answer| {
        if let Answered::Permit { expires_at_ms, .. } = answer {
            *expires_at_ms = until_ms.saturating_add(1);
        }
    });
    history.events.retain(|event| !is_about(event, &id));
    true
}

/// One more than the capacity is live.
pub(super) fn capacity_exceeded(history: &mut History, _: &mut Dice) -> bool {
    // As the clients see it, this is what a gate does that counts one too few.
    match history.header.bounds.get_mut("pool") {
        Some(Bound::Capacity { limit }) => {
            *limit = limit.saturating_sub(1);
            true
        }
        _ => false,
    }
}

/// A permit charges more than its window had left.
pub(super) fn budget_exceeded(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |_, permit| {
        is_of(permit, "purse").then(|| permit.id.to_owned())
    });
    let Some(id) = any(found, dice) else {
        return false;
    };
    for event in &mut history.events {
        if matches!(&event.answer, Answered::Permit { permit, .. } if *permit == id) {
            event.amount = Some(101);
        }
    }
    true
}

/// A second permit where one is committed for ever.
pub(super) fn once_granted_again(history: &mut History, dice: &mut Dice) -> bool {
    let denied = |event: &Event| match &event.answer {
        Answered::Deny { reason, .. } => reason == "ALREADY_COMMITTED",
        _ => false,
    };
    let mut found = events(history, denied);
    // One whose holder clients know of.
    let acknowledged = permits(history, |_, permit| {
        let is_done = permit
            .steps_of(StepKind::Commit)
            .any(|step| step.done.is_some());
        is_done.then(|| (permit.namespace.to_owned(), permit.key.to_owned()))
    });
    found.retain(|place| {
        history.events.get(*place).is_some_and(|event| {
            let name = (
                event.namespace.clone(),
                event.key.clone().unwrap_or_default(),
            );
            acknowledged.contains(&name)
        })
    });
    let place = any(found, dice);
    let number = dice.roll();
    change(history, place, |event| {
        if let Answered::Deny {
            version, receipt, ..
        } = &event.answer
        {
            let at_ms = receipt.as_ref().map_or(0, |proof| proof.at_ms);
            event.answer = Answered::Permit {
                permit: format!("pmt_again_{number:x}"),
                fence: 1 << 40,
                issued_at_ms: at_ms,
                expires_at_ms: at_ms.saturating_add(100),
                version: *version,
                receipt: receipt.clone(),
            };
        }
    })
}

/// A permit is redeemed at the very instant at which it no longer lives.
pub(super) fn redeemed_at_expiry(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |_, permit| {
        let hash = redeemed(permit)?.answer.receipt()?.hash.clone();
        Some((hash, permit.expires_at_ms))
    });
    let Some((hash, expires_at_ms)) = any(found, dice) else {
        return false;
    };
    restate(history, &hash, |proof| proof.at_ms = expires_at_ms);
    true
}

/// A live permit is refused as expired, and soon afterwards something else happens to its key.
pub(super) fn refused_as_expired_too_early(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let redeemed = redeemed(permit)?;
        let next = next_of(story, permit)?;
        let is_live = next.issued_at_ms < permit.expires_at_ms;
        let is_once = permit
            .steps_of(StepKind::Redeem)
            .all(|step| step.events.len() == 1);
        (is_of(permit, "lock") && is_live && is_once)
            .then(|| Some((permit.id.to_owned(), place_of(story.history, redeemed)?)))?
    });
    let Some((id, place)) = any(found, dice) else {
        return false;
    };
    let told = change(history, Some(place), |event| {
        event.answer = Answered::Refused {
            reason: "EXPIRED".to_owned(),
        };
    });
    let keep =
        |event: &Event| !is_about(event, &id) || matches!(event.answer, Answered::Refused { .. });
    history.events.retain(keep);
    told
}

/// A read shows a permit as issued after it was redeemed.
pub(super) fn stale_read(history: &mut History, dice: &mut Dice) -> bool {
    read_after_redeem(history, dice, PermitState::Issued)
}

/// A read shows a permit as committed before anybody asked for that.
pub(super) fn read_ahead_of_its_time(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let mut commits = permit.steps_of(StepKind::Commit);
        let asked_us = commits.next().map_or(u64::MAX, |step| step.asked_us);
        let looks = permit.looks.iter().filter(|look| look.return_us < asked_us);
        let mut reads = looks.filter(|look| matches!(look.answer, Answered::State { .. }));
        place_of(story.history, reads.next()?)
    });
    change(history, any(found, dice), |event| {
        event.answer = Answered::State {
            state: PermitState::Committed,
        };
    })
}

/// A request is denied for a holder that nobody is.
pub(super) fn denied_without_holder(history: &mut History, dice: &mut Dice) -> bool {
    let story = Story::of(history);
    let ghosts = story.ghosts();
    drop(story);
    let quiet: Vec<(String, String)> = permits(history, |_, permit| {
        let name = (permit.namespace, permit.key);
        let is_quiet = !ghosts.contains_key(&name) && is_of(permit, "lock");
        is_quiet.then(|| (name.0.to_owned(), name.1.to_owned()))
    });
    // The first permit of a key: nobody can have held it before.
    let found = permits(history, |story, permit| {
        let name = (permit.namespace.to_owned(), permit.key.to_owned());
        let mut all = story.permits.iter();
        let first = all.find(|one| (one.namespace, one.key) == (permit.namespace, permit.key))?;
        (quiet.contains(&name) && first.id == permit.id).then(|| permit.id.to_owned())
    });
    let Some(id) = any(found, dice) else {
        return false;
    };
    history.events.retain(|event| !is_about(event, &id));
    regrant(history, &id, |answer| {
        if let Answered::Permit {
            version, receipt, ..
        } = answer
        {
            *answer = Answered::Deny {
                reason: "BOUND_HELD".to_owned(),
                version: *version,
                receipt: receipt.clone(),
            };
        }
    });
    true
}

/// A permit is completed that nobody redeemed.
pub(super) fn completed_without_redeem(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |_, permit| {
        let is_done = permit
            .steps_of(StepKind::Commit)
            .any(|step| step.done.is_some());
        is_done.then(|| permit.id.to_owned())
    });
    let Some(id) = any(found, dice) else {
        return false;
    };
    history
        .events
        .retain(|event| !(is_about(event, &id) && event.op == Op::Redeem));
    true
}

/// A step that was refused for `refused_for` is done after all.
fn done_though_refused(
    history: &mut History,
    dice: &mut Dice,
    refused_for: &str,
    is_meant: impl Fn(&Event) -> bool,
) -> bool {
    let found = permits(history, |story, permit| {
        let refused = permit.looks.iter().find(|look| {
            matches!(&look.answer, Answered::Refused { reason } if reason == refused_for)
                && is_meant(look)
        })?;
        place_of(story.history, refused)
    });
    change(history, any(found, dice), |event| {
        event.answer = Answered::Done {
            version: None,
            receipt: None,
        };
    })
}

/// A permit is redeemed, then taken back.
pub(super) fn revoked_after_redeem(history: &mut History, dice: &mut Dice) -> bool {
    let is_revoke = |look: &Event| look.op == Op::Revoke;
    done_though_refused(history, dice, "ALREADY_REDEEMED", is_revoke)
}

/// A permit is completed both ways.
pub(super) fn both_outcomes(history: &mut History, dice: &mut Dice) -> bool {
    let is_abort = |look: &Event| look.outcome == Some(Outcome::Aborted);
    done_though_refused(history, dice, "OUTCOME_CONFLICT", is_abort)
}

/// A redemption stands in the log before the permit that it redeems.
pub(super) fn log_against_real_time(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |_, permit| {
        let granted = permit.proof?;
        let redeemed = redeemed(permit)?.answer.receipt()?;
        Some((granted.leaf, redeemed.hash.clone()))
    });
    let Some((leaf, hash)) = any(found, dice) else {
        return false;
    };
    restate(history, &hash, |proof| proof.leaf = leaf.saturating_sub(1));
    true
}
