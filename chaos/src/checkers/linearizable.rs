//! G2: authorize, redeem, complete, revoke and default reads take effect at one point between call and
//! answer.
//!
//! Source: Herlihy and Wing, "Linearizability" (1990), which is local: each key is checked apart; Wing and
//! Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017),
//! for the just-in-time order and the memory of states that led nowhere. What a key means is in
//! `model`, from `SPEC` section 4.
//!
//! Three facts of this gate keep the search small: an attempt is one operation however often it was sent;
//! leaves and fences say in which order the log took effect, so only what has no receipt (refusals, reads,
//! lost answers) is placed by search; and cluster time stands in statements, so that expiry needs no clock
//! of ours. A lost answer may have taken effect at any time after its call, or never. The search never
//! says that a history is broken because it ran out of budget.

mod collect;
mod model;
mod search;

use crate::history::{Answered, Event};
use crate::story::Story;
use crate::verdict::Verdict;

use collect::{Key, Meaning, Operation};
use search::Found;

/// Steps that the search takes at one key before it gives up.
const STEPS_MAX: usize = 1_000_000;

/// Looks for an order of all operations that explains every answer, key by key.
///
/// Unknown if some key needed more than a million steps, or nothing was granted.
#[must_use]
pub fn over(story: &Story<'_>) -> Verdict {
    if let Some(broken) = unheard_of(story) {
        return broken;
    }
    let mut given_up: Vec<String> = Vec::new();
    for key in collect::keys(story) {
        match search::explain(&key, STEPS_MAX) {
            Found::Order => {}
            Found::GaveUp => given_up.push(format!("`{}` in `{}`", key.name, key.namespace)),
            Found::Nothing { stuck, held } => return broken(story, &key, &stuck, &held),
        }
    }
    if story.permits.is_empty() {
        return Verdict::Unknown("no permit was granted".to_owned());
    }
    if given_up.is_empty() {
        return Verdict::Holds;
    }
    let keys = given_up.join(", ");
    Verdict::Unknown(format!(
        "no order was found in {STEPS_MAX} steps for {keys}"
    ))
}

/// A step or a read of a permit that nobody was ever granted.
fn unheard_of(story: &Story<'_>) -> Option<Verdict> {
    let event = story
        .strays
        .iter()
        .find(|event| matches!(event.answer, Answered::Done { .. } | Answered::State { .. }))?;
    let why = format!(
        "permit {} was never granted to anybody in `{}`",
        event.permit.as_deref().unwrap_or_default(),
        event.namespace
    );
    Some(Verdict::shown(story.history, why, [*event]))
}

/// What the search could not pass: the operations that had to come next, and who held the key.
fn broken(story: &Story<'_>, key: &Key<'_>, stuck: &[usize], held: &[usize]) -> Verdict {
    let mut events: Vec<&Event> = Vec::new();
    for place in stuck {
        let Some(operation) = key.operations.get(*place) else {
            continue;
        };
        events.extend(operation.events.iter().copied());
        let permit = operation.meaning.permit();
        events.extend(permit.into_iter().flat_map(|permit| key.life_of(permit)));
    }
    // Who counts matters only to those who claim.
    let claims = stuck.iter().filter_map(|place| key.operations.get(*place));
    let mut claims =
        claims.filter(|one| matches!(one.meaning, Meaning::Issue(_) | Meaning::Deny { .. }));
    if claims.next().is_some() {
        events.extend(held.iter().flat_map(|permit| key.life_of(*permit)));
    }
    let unexplained: Vec<String> = stuck
        .iter()
        .filter_map(|place| key.operations.get(*place))
        .map(Operation::said)
        .collect();
    let holders: Vec<&str> = held
        .iter()
        .filter_map(|permit| key.permits.get(*permit))
        .map(|permit| permit.id)
        .collect();
    let why = format!(
        "`{}` in `{}`: no order explains {}; before it {}",
        key.name,
        key.namespace,
        unexplained.join(" or "),
        if holders.is_empty() {
            "nobody held the key".to_owned()
        } else {
            format!("{} counted", holders.join(", "))
        }
    );
    Verdict::shown(story.history, why, events)
}
