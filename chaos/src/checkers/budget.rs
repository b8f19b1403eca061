//! G1 for sums: at no point in the log do the permits of a capacity or a budget exceed its limit, and
//! nothing is refused that would have fitted.

use std::fmt::Write as _;

use crate::history::{Charge, End, Exhausted};
use crate::verdict::Verdict;

/// What a sum must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most that counts at once.
    pub amount_max: u64,
    /// For a budget, how long its windows are, counted from 1970: what was issued in a window and is
    /// committed counts to its end. None for a capacity, in which only live permits count.
    pub window_ms: Option<u64>,
}

/// Checks, at every grant and every refusal, what counted there against the limit.
///
/// Takes every permit of the operations in question; one that is left out would excuse refusals.
/// Unknown with fewer than `permits_min` permits or fewer than `refusals_min` refusals: a sum that
/// nothing ran into shows nothing.
///
/// SPEC section 4 ("A bound counts live permits (`once` and `budget` also count committed ones)").
#[must_use]
pub fn check(
    charges: &[Charge],
    exhausted: &[Exhausted],
    limit: Limit,
    (permits_min, refusals_min): (usize, usize),
) -> Verdict {
    for granted in charges {
        let (at, leaf) = (granted.issued_at_ms, granted.decided_leaf);
        let others = counted(charges, &granted.operation, at, leaf, limit);
        let total = sum(&others).saturating_add(granted.amount);
        if total > limit.amount_max {
            return Verdict::broken(format!(
                "`{}`: permit {} for {} was granted at leaf {leaf}, which makes {total} of at most \
                 {}, beside{}",
                granted.operation,
                granted.permit,
                granted.amount,
                limit.amount_max,
                names(&others)
            ));
        }
    }
    for refused in exhausted {
        let others = counted(
            charges,
            &refused.operation,
            refused.at_ms,
            refused.leaf,
            limit,
        );
        let total = sum(&others).saturating_add(refused.amount);
        if total <= limit.amount_max {
            return Verdict::broken(format!(
                "`{}`: {} was refused at leaf {}, though it makes only {total} of at most {}, \
                 beside{}",
                refused.operation,
                refused.amount,
                refused.leaf,
                limit.amount_max,
                names(&others)
            ));
        }
    }
    if charges.len() < permits_min || exhausted.len() < refusals_min {
        return Verdict::Unknown(format!(
            "{} permits and {} refusals, {permits_min} and {refusals_min} are needed",
            charges.len(),
            exhausted.len()
        ));
    }
    Verdict::Holds
}

/// The permits that count for `operation` just before `leaf`, whose entry has the time `at_ms`.
fn counted<'a>(
    charges: &'a [Charge],
    operation: &str,
    at_ms: u64,
    leaf: u64,
    limit: Limit,
) -> Vec<&'a Charge> {
    charges
        .iter()
        .filter(|charge| charge.operation == operation && charge.decided_leaf < leaf)
        .filter(|charge| {
            limit.window_ms.is_none_or(|window| {
                window_of(charge.issued_at_ms, window) == window_of(at_ms, window)
            })
        })
        .filter(|charge| counts(charge, at_ms, leaf, limit))
        .collect()
}

fn window_of(at_ms: u64, window_ms: u64) -> Option<u64> {
    at_ms.checked_div(window_ms)
}

fn counts(charge: &Charge, at_ms: u64, leaf: u64, limit: Limit) -> bool {
    match (charge.end, charge.redeemed_leaf) {
        (
            Some(End {
                leaf: ended,
                is_committed,
            }),
            _,
        ) if ended < leaf => is_committed && limit.window_ms.is_some(),
        // Once redeemed, no time ends it.
        (_, Some(redeemed)) if redeemed < leaf => true,
        (_, _) => at_ms < charge.expires_at_ms,
    }
}

fn sum(charges: &[&Charge]) -> u64 {
    charges
        .iter()
        .fold(0, |sum, charge| sum.saturating_add(charge.amount))
}

fn names(charges: &[&Charge]) -> String {
    charges.iter().fold(String::new(), |mut text, charge| {
        let _ = write!(
            text,
            "\n  {} for {} (leaf {}, redeemed at {:?}, ended {:?}, expires {})",
            charge.permit,
            charge.amount,
            charge.decided_leaf,
            charge.redeemed_leaf,
            charge.end,
            charge.expires_at_ms
        );
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Limit = Limit {
        amount_max: 100,
        window_ms: Some(60_000),
    };
    const CAPACITY: Limit = Limit {
        amount_max: 2,
        window_ms: None,
    };

    fn charge(amount: u64, leaf: u64) -> Charge {
        Charge {
            operation: "purse/main".to_owned(),
            permit: format!("pmt_{leaf}"),
            amount,
            decided_leaf: leaf,
            issued_at_ms: leaf * 100,
            expires_at_ms: leaf * 100 + 1_000,
            redeemed_leaf: None,
            end: None,
        }
    }

    fn ended(mut charge: Charge, leaf: u64, is_committed: bool) -> Charge {
        charge.redeemed_leaf = Some(charge.decided_leaf);
        charge.end = Some(End { leaf, is_committed });
        charge
    }

    fn refused(amount: u64, leaf: u64) -> Exhausted {
        Exhausted {
            operation: "purse/main".to_owned(),
            amount,
            leaf,
            at_ms: leaf * 100,
        }
    }

    fn budget(charges: &[Charge], exhausted: &[Exhausted]) -> Verdict {
        check(charges, exhausted, BUDGET, (1, 0))
    }

    fn is_broken(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Broken(_))
    }

    #[test]
    fn limit_that_is_just_reached_holds_and_one_more_is_broken() {
        let full = [charge(60, 1), charge(40, 2)];
        assert_eq!(budget(&full, &[refused(1, 3)]), Verdict::Holds);
        assert!(is_broken(&budget(&[charge(60, 1), charge(41, 2)], &[])));
    }

    #[test]
    fn committed_amount_that_is_given_back_is_broken() {
        let committed = ended(charge(60, 1), 2, true);
        assert!(is_broken(&budget(&[committed, charge(60, 3)], &[])));
    }

    #[test]
    fn aborted_amount_makes_room_from_its_leaf_on() {
        let aborted = ended(charge(60, 1), 3, false);
        let after = [aborted.clone(), charge(60, 4)];
        assert_eq!(budget(&after, &[]), Verdict::Holds);
        assert!(is_broken(&budget(&[aborted, charge(60, 2)], &[])));
    }

    #[test]
    fn amount_that_is_never_given_back_is_broken() {
        let aborted = ended(charge(60, 1), 3, false);
        assert!(is_broken(&budget(&[aborted], &[refused(60, 4)])));
        let expired = charge(60, 1);
        assert!(is_broken(&budget(&[expired], &[refused(60, 11)])));
    }

    #[test]
    fn unredeemed_permit_counts_until_the_instant_of_its_expiry() {
        let before = [charge(60, 1), charge(60, 10)];
        assert!(is_broken(&budget(&before, &[])));
        let at = [charge(60, 1), charge(60, 11)];
        assert_eq!(budget(&at, &[]), Verdict::Holds);
    }

    #[test]
    fn redeemed_permit_without_an_outcome_counts_after_its_expiry() {
        let mut in_doubt = charge(60, 1);
        in_doubt.redeemed_leaf = Some(2);
        assert!(is_broken(&budget(&[in_doubt, charge(60, 50)], &[])));
    }

    #[test]
    fn committed_amount_counts_in_the_window_of_its_issue_only() {
        let committed = ended(charge(60, 1), 2, true);
        let next_window = [committed.clone(), charge(60, 600)];
        assert_eq!(budget(&next_window, &[]), Verdict::Holds);
        let same_window = [committed, charge(60, 599)];
        assert!(is_broken(&budget(&same_window, &[])));
    }

    #[test]
    fn capacity_counts_live_permits_and_no_others() {
        let committed = ended(charge(1, 1), 4, true);
        let three = [committed.clone(), charge(1, 2), charge(1, 3)];
        assert!(is_broken(&check(&three, &[], CAPACITY, (1, 0))));
        let after = [committed, charge(1, 2), charge(1, 5)];
        assert_eq!(check(&after, &[], CAPACITY, (1, 0)), Verdict::Holds);
    }

    #[test]
    fn other_operations_do_not_count() {
        let mut other = charge(60, 2);
        other.operation = "purse/other".to_owned();
        assert_eq!(budget(&[charge(60, 1), other], &[]), Verdict::Holds);
    }

    #[test]
    fn history_in_which_nothing_was_refused_is_unknown() {
        let verdict = check(&[charge(1, 1)], &[], BUDGET, (1, 1));
        assert!(matches!(verdict, Verdict::Unknown(_)));
    }
}
