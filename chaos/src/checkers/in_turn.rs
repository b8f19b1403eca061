//! Whoever waits longer for a bounded operation gets it first.

use std::collections::BTreeMap;

use crate::history::{Turn, Verdict};

/// Checks that the turns of each operation were granted in the order of their tickets, but for at most
/// `displaced_max` waiters in all: an offer lapses also while there is no leader to take it up, and
/// whoever it was made to queues up again. Unknown with fewer than `turns_min` turns.
///
/// SPEC section 4 ("Waiting").
#[must_use]
pub fn check(turns: &[Turn], turns_min: usize, displaced_max: usize) -> Verdict {
    let mut by_operation: BTreeMap<&str, Vec<&Turn>> = BTreeMap::new();
    for turn in turns {
        by_operation.entry(&turn.operation).or_default().push(turn);
    }
    let mut displaced_count: usize = 0;
    for turns in by_operation.values_mut() {
        turns.sort_by_key(|turn| turn.decided_leaf);
        let in_order = longest_in_order(turns);
        displaced_count = displaced_count.saturating_add(turns.len().saturating_sub(in_order));
        if displaced_count > displaced_max {
            return Verdict::Broken(inversions(turns));
        }
    }
    if turns.len() < turns_min {
        return Verdict::Unknown(format!("{} turns, {turns_min} are needed", turns.len()));
    }
    Verdict::Holds
}

/// How many of the turns remain when as few as possible are taken out, so that tickets rise.
fn longest_in_order(turns: &[&Turn]) -> usize {
    let mut longest_to: Vec<(u64, usize)> = Vec::new();
    for turn in turns {
        let before = longest_to
            .iter()
            .filter(|(ticket, _)| *ticket < turn.ticket)
            .map(|(_, length)| *length)
            .max();
        longest_to.push((turn.ticket, before.unwrap_or_default().saturating_add(1)));
    }
    longest_to
        .iter()
        .map(|(_, length)| *length)
        .max()
        .unwrap_or_default()
}

fn inversions(turns: &[&Turn]) -> String {
    turns
        .windows(2)
        .filter_map(|pair| match pair {
            [earlier, later] if earlier.ticket >= later.ticket => Some(format!(
                "`{}`: `{}` (ticket {}) had its turn at leaf {}, before `{}` (ticket {}) at leaf {}",
                later.operation,
                earlier.waiter,
                earlier.ticket,
                earlier.decided_leaf,
                later.waiter,
                later.ticket,
                later.decided_leaf
            )),
            _ => None,
        })
        .collect::<Vec<_>>()
        .join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(operation: &str, ticket: u64, decided_leaf: u64) -> Turn {
        Turn {
            operation: operation.to_owned(),
            waiter: format!("waiter-{ticket}"),
            ticket,
            decided_leaf,
        }
    }

    #[test]
    fn turns_in_the_order_of_tickets_hold() {
        let turns = [turn("a", 2, 5), turn("a", 1, 2), turn("b", 1, 9)];
        assert_eq!(check(&turns, 3, 0), Verdict::Holds);
    }

    #[test]
    fn waiter_who_overtakes_is_broken() {
        let turns = [turn("a", 1, 5), turn("a", 2, 2)];
        assert!(matches!(check(&turns, 2, 0), Verdict::Broken(why) if why.contains("waiter-2")));
    }

    #[test]
    fn ticket_that_is_used_twice_is_broken() {
        let turns = [turn("a", 1, 2), turn("a", 1, 5)];
        assert!(matches!(check(&turns, 2, 0), Verdict::Broken(_)));
    }

    #[test]
    fn too_few_turns_are_unknown() {
        assert!(matches!(
            check(&[turn("a", 1, 2)], 2, 0),
            Verdict::Unknown(_)
        ));
    }

    #[test]
    fn one_who_lost_the_place_is_one_displaced_and_two_are_two() {
        let one = [
            turn("a", 1, 1),
            turn("a", 3, 2),
            turn("a", 4, 3),
            turn("a", 2, 4),
        ];
        assert_eq!(check(&one, 4, 1), Verdict::Holds);
        assert!(matches!(check(&one, 4, 0), Verdict::Broken(_)));
        let two = [
            turn("a", 3, 1),
            turn("a", 4, 2),
            turn("a", 2, 3),
            turn("a", 1, 4),
        ];
        assert!(matches!(check(&two, 4, 1), Verdict::Broken(_)));
        assert_eq!(check(&two, 4, 2), Verdict::Holds);
    }
}
