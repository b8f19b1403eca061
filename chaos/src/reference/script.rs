//! What a client does next.

use super::dice::Dice;
use super::gate::LIFE_MS;
use crate::history::{Answered, Event, Op, Outcome};

/// What a client goes on with.
#[derive(Debug)]
pub(super) enum Next {
    /// Something new.
    New,
    /// This, after so many microseconds.
    Ask(Box<Event>, u64),
}

/// What is asked of the permit of `event`, an authorize that was granted or a step after it.
fn about(event: &Event, permit: &str, op: Op) -> Event {
    Event {
        op,
        permit: Some(permit.to_owned()),
        idem: None,
        amount: None,
        outcome: None,
        ..event.clone()
    }
}

fn redeem(event: &Event, permit: &str, dice: &mut Dice) -> Event {
    Event {
        idem: Some(format!("executor-{:08x}", dice.below(1 << 32))),
        ..about(event, permit, Op::Redeem)
    }
}

fn complete(event: &Event, permit: &str, outcome: Outcome) -> Event {
    Event {
        outcome: Some(outcome),
        ..about(event, permit, Op::Complete)
    }
}

/// Goes on after an answer, as a worker of its kind would: mostly to the end, sometimes not.
pub(super) fn next(event: &Event, dice: &mut Dice) -> Next {
    let ask = |event| Next::Ask(Box::new(event), 0);
    let permit = event.permit.clone().unwrap_or_default();
    match (&event.answer, event.op) {
        // A client that never hears tries again under the same key, mostly.
        (Answered::Timeout {}, Op::Activate) => Next::New,
        (Answered::Timeout {}, _) if dice.permille(880) => ask(event.clone()),
        (Answered::Permit { permit, .. }, _) => granted(event, permit, dice),
        (Answered::Deny { .. }, _) if dice.permille(150) => ask(event.clone()),
        (Answered::Done { .. }, Op::Redeem) => match dice.below(1_000) {
            0..50 => ask(event.clone()),
            50..90 => ask(about(event, &permit, Op::Revoke)),
            90..130 => ask(about(event, &permit, Op::Read)),
            130..133 => Next::New,
            133..330 => ask(complete(event, &permit, Outcome::Aborted)),
            _ => ask(complete(event, &permit, Outcome::Committed)),
        },
        (Answered::Refused { .. }, Op::Revoke) if dice.permille(900) => {
            ask(complete(event, &permit, Outcome::Committed))
        }
        (Answered::State { .. }, Op::Read) if dice.permille(500) => {
            ask(complete(event, &permit, Outcome::Committed))
        }
        (Answered::Done { .. }, Op::Complete) => match dice.below(1_000) {
            0..60 => ask(about(event, &permit, Op::Read)),
            60..90 => ask(redeem(event, &permit, dice)),
            90..110 => ask(complete(event, &permit, Outcome::Aborted)),
            110..150 => ask(event.clone()),
            _ => Next::New,
        },
        (Answered::Done { .. }, Op::Revoke) if dice.permille(300) => {
            ask(redeem(event, &permit, dice))
        }
        _ => Next::New,
    }
}

fn granted(event: &Event, permit: &str, dice: &mut Dice) -> Next {
    let ask = |event| Next::Ask(Box::new(event), 0);
    match dice.below(1_000) {
        // Forgotten, or asked again, or read.
        0..90 => Next::New,
        90..150 => ask(event.clone()),
        150..180 => ask(about(event, permit, Op::Read)),
        180..240 => ask(about(event, permit, Op::Revoke)),
        240..260 => ask(complete(event, permit, Outcome::Committed)),
        // Around the instant of its expiry.
        260..310 => {
            let wait_us = dice.between(LIFE_MS.saturating_sub(30), LIFE_MS.saturating_add(10));
            let wait_us = wait_us.saturating_mul(1_000);
            Next::Ask(Box::new(redeem(event, permit, dice)), wait_us)
        }
        // After the policy may have changed.
        310..340 => Next::Ask(Box::new(event.clone()), 150_000),
        _ => ask(redeem(event, permit, dice)),
    }
}
