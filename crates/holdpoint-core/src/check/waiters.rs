//! Attempts that wait, and the queues that follow from them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Space, Violation, broken, encoded, holds};
use crate::command::{AttemptName, Ticket};
use crate::judge::with_place;
use crate::key::{Kind, StateKey};
use crate::limits::WAITERS_MAX;
use crate::record::{AttemptRecord, WaiterRecord};

pub(super) fn check(space: &Space<'_>, context: &Context) -> Result<(), Violation> {
    let own = space.keys.single(Kind::Namespace);
    let waiters: Vec<(&StateKey, WaiterRecord)> = space.records(Kind::Waiter)?;
    let count = waiters.len() as u64;
    let is_counted = count == context.namespace.waiters && count <= WAITERS_MAX;
    holds(
        is_counted,
        &own,
        "those that wait are not as many as counted",
    )?;
    let attempts: BTreeMap<&StateKey, AttemptRecord> =
        space.records(Kind::Attempt)?.into_iter().collect();
    let mut tickets = BTreeSet::new();
    let mut queues = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for (key, waiter) in waiters {
        check_waiter(key, &waiter, context)?;
        holds(
            tickets.insert(waiter.ticket),
            key,
            "its ticket is not its own",
        )?;
        let name = key
            .parts()
            .and_then(|parts| AttemptName::in_key(parts.rest));
        let Some(attempt) = name else {
            return broken(key, "it names no attempt");
        };
        let decided = space
            .keys
            .attempt(&attempt.caller, &attempt.idempotency_key);
        let is_open = attempts
            .get(&decided)
            .is_none_or(|record| record.policy.version < waiter.policy.version);
        holds(is_open, key, "it waits and is decided")?;
        let place = Ticket {
            number: waiter.ticket,
            attempt,
        };
        let row = encoded(key, &place)?;
        for claim in with_place(&waiter.claims) {
            let (surface, ticket) = (&waiter.surface, waiter.ticket);
            let queue = space.keys.queue(surface, &claim.name, &claim.key, ticket);
            queues.insert(queue, row.clone());
        }
        let end = space.keys.waiter_end(waiter.ends_at(), waiter.ticket);
        ends.insert(end, row);
    }
    space.exactly(Kind::Queue, &queues)?;
    space.exactly(Kind::WaiterEnd, &ends)
}

fn check_waiter(key: &StateKey, waiter: &WaiterRecord, context: &Context) -> Result<(), Violation> {
    let is_given_out = waiter.ticket > 0 && waiter.ticket <= context.namespace.ticket;
    holds(is_given_out, key, "its ticket was never given out")?;
    let is_sorted = waiter
        .claims
        .is_sorted_by(|before, after| before.name < after.name);
    holds(
        is_sorted && !waiter.claims.is_empty(),
        key,
        "its claims are not a sorted set",
    )?;
    let is_ordered = waiter.since <= context.now
        && waiter.since < waiter.wait_until
        && waiter.wait_until <= waiter.not_after;
    holds(is_ordered, key, "its times are not in order")?;
    let is_within = waiter
        .offer
        .is_none_or(|offer| offer.until <= waiter.wait_until)
        && (waiter.offer.is_none() || waiter.look_at.is_none());
    holds(is_within, key, "its offer does not fit")?;
    let is_known = context
        .namespace
        .active
        .is_some_and(|active| waiter.policy.version <= active.version);
    holds(is_known, key, "its policy was never in force")
}
