//! Whoever waits longer for a bounded operation gets it first.

use std::collections::BTreeMap;

use crate::history::Turn;
use crate::verdict::Verdict;

/// Checks that the turns of each operation were granted in the order of their tickets, whatever became
/// of the leaders meanwhile. Unknown with fewer than `turns_min` turns.
///
/// SPEC section 4 ("Waiting").
#[must_use]
pub fn check(turns: &[Turn], turns_min: usize) -> Verdict {
    let mut by_operation: BTreeMap<&str, Vec<&Turn>> = BTreeMap::new();
    for turn in turns {
        by_operation.entry(&turn.operation).or_default().push(turn);
    }
    for turns in by_operation.values_mut() {
        turns.sort_by_key(|turn| turn.decided_leaf);
        let inversions = inversions(turns);
        if !inversions.is_empty() {
            return Verdict::broken(inversions.join("\n  "));
        }
    }
    if turns.len() < turns_min {
        return Verdict::Unknown(format!("{} turns, {turns_min} are needed", turns.len()));
    }
    Verdict::Holds
}

fn inversions(turns: &[&Turn]) -> Vec<String> {
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
        .collect()
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
        assert_eq!(check(&turns, 3), Verdict::Holds);
    }

    #[test]
    fn waiter_who_overtakes_is_broken() {
        let turns = [turn("a", 1, 5), turn("a", 2, 2)];
        assert!(
            matches!(check(&turns, 2), Verdict::Broken(breach) if breach.why.contains("waiter-2"))
        );
    }

    #[test]
    fn ticket_that_is_used_twice_is_broken() {
        let turns = [turn("a", 1, 2), turn("a", 1, 5)];
        assert!(matches!(check(&turns, 2), Verdict::Broken(_)));
    }

    #[test]
    fn too_few_turns_are_unknown() {
        assert!(matches!(check(&[turn("a", 1, 2)], 2), Verdict::Unknown(_)));
    }

    #[test]
    fn one_who_lost_the_place_is_broken() {
        let turns = [
            turn("a", 1, 1),
            turn("a", 3, 2),
            turn("a", 4, 3),
            turn("a", 2, 4),
        ];
        assert!(
            matches!(check(&turns, 4), Verdict::Broken(breach) if breach.why.contains("waiter-2"))
        );
    }
}
