//! Bugs of what is answered twice, forgotten, fenced wrongly, or decided under the wrong policy.

use super::places::{
    any, change, events, forged, last_leaf, permits, place_of, read_after_redeem, redeemed,
    regrant, restate,
};
use crate::history::{Answered, Event, History, Op, PermitState};
use crate::reference::Dice;
use crate::story::{Step, StepKind, Story};

/// Answers that show a permit another time.
fn shown_again(history: &History) -> Vec<usize> {
    let all = permits(history, |story, permit| {
        let again = permit.shown.iter().skip(1);
        Some(
            again
                .filter_map(|event| place_of(story.history, event))
                .collect::<Vec<_>>(),
        )
    });
    all.into_iter().flatten().collect()
}

/// A retry gets another permit.
pub(super) fn retry_with_another_permit(history: &mut History, dice: &mut Dice) -> bool {
    let place = any(shown_again(history), dice);
    change(history, place, |event| {
        if let Answered::Permit { permit, fence, .. } = &mut event.answer {
            permit.push_str("_another");
            *fence = fence.saturating_add(1 << 30);
        }
    })
}

/// A retry gets the same permit with another statement.
pub(super) fn retry_with_another_statement(history: &mut History, dice: &mut Dice) -> bool {
    let place = any(shown_again(history), dice);
    let hash = format!("{:064x}", dice.roll());
    change(history, place, |event| {
        if let Answered::Permit {
            receipt: Some(proof),
            ..
        } = &mut event.answer
        {
            proof.hash = hash;
        }
    })
}

/// An idempotency key is decided for another request as well.
pub(super) fn key_decided_for_two_requests(history: &mut History, dice: &mut Dice) -> bool {
    let place = any(shown_again(history), dice);
    let digest = format!("{:064x}", dice.roll());
    change(history, place, |event| event.digest = Some(digest))
}

/// An attempt gets the permit of another.
pub(super) fn permit_of_another_attempt(history: &mut History, dice: &mut Dice) -> bool {
    let first = events(history, |event| {
        event.namespace == "default" && matches!(event.answer, Answered::Permit { .. })
    });
    let (Some(one), Some(other)) = (first.first(), any(first.clone(), dice)) else {
        return false;
    };
    let Some(answer) = history.events.get(*one).map(|event| event.answer.clone()) else {
        return false;
    };
    one != &other && change(history, Some(other), |event| event.answer = answer)
}

/// The same redemption is acknowledged with two statements.
pub(super) fn step_with_two_statements(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let mut steps = permit.steps.iter();
        let again = steps.find_map(|step| {
            let mut told = step
                .events
                .iter()
                .filter(|event| event.answer.receipt().is_some());
            told.nth(1)
        })?;
        place_of(story.history, again)
    });
    let place = any(found, dice);
    let hash = format!("{:064x}", dice.roll());
    change(history, place, |event| {
        if let Answered::Done {
            receipt: Some(proof),
            ..
        } = &mut event.answer
        {
            proof.hash = hash;
        }
    })
}

/// A permit that was granted is unknown later.
pub(super) fn permit_forgotten(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let redeemed = redeemed(permit)?;
        (redeemed.call_us > permit.shown_us).then(|| place_of(story.history, redeemed))?
    });
    change(history, any(found, dice), |event| {
        event.answer = Answered::Refused {
            reason: "UNKNOWN_PERMIT".to_owned(),
        };
    })
}

/// A permit that was redeemed has expired later.
pub(super) fn redemption_forgotten(history: &mut History, dice: &mut Dice) -> bool {
    read_after_redeem(history, dice, PermitState::Expired)
}

/// Two permits have one fence.
pub(super) fn fence_given_twice(history: &mut History, dice: &mut Dice) -> bool {
    refence(history, dice, |before, _| before)
}

/// A later permit has a lower fence.
pub(super) fn fence_falls(history: &mut History, dice: &mut Dice) -> bool {
    refence(history, dice, |before, _| before.saturating_sub(1) / 2)
}

fn refence(history: &mut History, dice: &mut Dice, fence: fn(u64, u64) -> u64) -> bool {
    let found = permits(history, |story, permit| {
        let mut all = story.permits.iter();
        let before =
            all.rfind(|one| one.namespace == permit.namespace && one.fence < permit.fence)?;
        Some((permit.id.to_owned(), before.fence, permit.fence))
    });
    let Some((id, before, own)) = any(found, dice) else {
        return false;
    };
    regrant(history, &id, |answer| {
        if let Answered::Permit { fence: given, .. } = answer {
            *given = fence(before, own);
        }
    });
    true
}

/// Two executors redeem one permit.
pub(super) fn redeemed_twice(history: &mut History, dice: &mut Dice) -> bool {
    let found = events(history, |event| {
        event.op == Op::Redeem
            && matches!(&event.answer, Answered::Refused { reason } if reason == "ALREADY_REDEEMED")
    });
    let place = any(found, dice);
    let Some(namespace) = place
        .and_then(|place| history.events.get(place))
        .map(|event| event.namespace.clone())
    else {
        return false;
    };
    let leaf = last_leaf(history, &namespace).saturating_add(1_000);
    let proof = forged(leaf, 1_800_000_000_000, dice);
    change(history, place, |event| {
        event.answer = Answered::Done {
            version: None,
            receipt: Some(proof),
        };
    })
}

/// A fresh decision names the version before the one in force.
pub(super) fn decision_under_old_policy(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let is_later = story.activations.iter().any(|activated| {
            activated.namespace == permit.namespace
                && activated.version == permit.version
                && activated.shown_us < permit.asked_us
        });
        (is_later && permit.version > 1).then(|| permit.id.to_owned())
    });
    reversion(history, any(found, dice), |version| {
        version.saturating_sub(1)
    })
}

/// A decision names a version that is activated later.
pub(super) fn decision_under_future_policy(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let is_to_come = story.activations.iter().any(|activated| {
            activated.namespace == permit.namespace
                && activated.version == permit.version.saturating_add(1)
                && activated.asked_us > permit.shown_us
        });
        is_to_come.then(|| permit.id.to_owned())
    });
    reversion(history, any(found, dice), |version| {
        version.saturating_add(1)
    })
}

fn reversion(history: &mut History, id: Option<String>, change: fn(u64) -> u64) -> bool {
    let Some(id) = id else { return false };
    regrant(history, &id, |answer| {
        if let Answered::Permit { version, .. } = answer {
            *version = change(*version);
        }
    });
    true
}

/// A permit that nobody used is given again under a later policy.
pub(super) fn unused_permit_not_superseded(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |story, permit| {
        let newer = story.activations.iter().find(|activated| {
            activated.namespace == permit.namespace
                && activated.version > permit.version
                && activated.asked_us > permit.shown_us
        })?;
        let shown = permit.shown.first()?;
        permit.steps.is_empty().then(|| Event {
            call_us: newer.shown_us.saturating_add(1),
            return_us: newer.shown_us.saturating_add(1_000),
            ..(*shown).clone()
        })
    });
    match any(found, dice) {
        Some(event) => {
            history.events.push(event);
            true
        }
        None => false,
    }
}

/// A permit of an old policy is redeemed instead of refused.
pub(super) fn redeemed_under_later_policy(history: &mut History, dice: &mut Dice) -> bool {
    let story = Story::of(history);
    let mut found = Vec::new();
    for permit in &story.permits {
        for look in &permit.looks {
            let is_stale =
                matches!(&look.answer, Answered::Refused { reason } if reason == "STALE_POLICY");
            let is_known = story.activations.iter().any(|activated| {
                activated.namespace == permit.namespace
                    && activated.version > permit.version
                    && activated.shown_us < look.call_us
            });
            if is_stale && is_known {
                found.extend(place_of(history, look));
            }
        }
    }
    let place = any(found, dice);
    let proof = forged(1 << 40, 1_800_000_000_000, dice);
    change(history, place, |event| {
        event.answer = Answered::Done {
            version: None,
            receipt: Some(proof),
        };
    })
}

/// Two activations make one version.
pub(super) fn version_given_twice(history: &mut History, dice: &mut Dice) -> bool {
    let made = |event: &Event| match event.answer {
        Answered::Done { version, .. } => version.is_some_and(|version| version > 1),
        _ => false,
    };
    let story = Story::of(history);
    // The version before must be one that a client was told of.
    let told: Vec<(String, u64)> = story
        .activations
        .iter()
        .map(|activated| (activated.namespace.to_owned(), activated.version))
        .collect();
    let mut found = events(history, made);
    found.retain(|place| {
        history
            .events
            .get(*place)
            .is_some_and(|event| match event.answer {
                Answered::Done {
                    version: Some(version),
                    ..
                } => told.contains(&(event.namespace.clone(), version.saturating_sub(1))),
                _ => false,
            })
    });
    change(history, any(found, dice), |event| {
        if let Answered::Done {
            version: Some(version),
            ..
        } = &mut event.answer
        {
            *version = version.saturating_sub(1);
        }
    })
}

/// A read shows the version before the one that was acknowledged.
pub(super) fn version_read_late(history: &mut History, dice: &mut Dice) -> bool {
    let story = Story::of(history);
    let found = events(history, |event| {
        matches!(event.answer, Answered::Version { version } if story.activations.iter().any(
            |activated| activated.namespace == event.namespace
                && activated.version == version
                && activated.shown_us < event.call_us
        ))
    });
    drop(story);
    change(history, any(found, dice), |event| {
        if let Answered::Version { version } = &mut event.answer {
            *version = version.saturating_sub(1);
        }
    })
}

/// A PERMIT comes without a receipt.
pub(super) fn permit_without_receipt(history: &mut History, dice: &mut Dice) -> bool {
    let found = events(history, |event| {
        matches!(event.answer, Answered::Permit { .. })
    });
    change(history, any(found, dice), |event| {
        if let Answered::Permit { receipt, .. } = &mut event.answer {
            *receipt = None;
        }
    })
}

/// A redemption comes with a receipt that does not verify.
pub(super) fn receipt_that_does_not_verify(history: &mut History, dice: &mut Dice) -> bool {
    let found = permits(history, |_, permit| {
        let mut steps = permit.steps_of(StepKind::Redeem);
        Some(steps.find_map(Step::proof)?.hash.clone())
    });
    let Some(hash) = any(found, dice) else {
        return false;
    };
    restate(history, &hash, |proof| proof.verifies = false);
    true
}
