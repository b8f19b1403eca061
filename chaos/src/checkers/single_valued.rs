//! G1: at no point in the log do the permits of a bounded operation exceed its bound.
//!
//! Source: `SPEC` section 4 ("A bound counts live permits (`once` and `budget` also count committed
//! ones)") and section 5. [`over`] counts what counted *surely*; whether it was needed that a lost answer
//! took effect is what `linearizable` asks. It never believes that a permit ended because the next one
//! was granted.

mod over;

use std::collections::BTreeMap;

use crate::history::Life;
use crate::verdict::Verdict;

pub use over::over;

/// Checks, for every bounded operation, that each permit was over before the next was granted.
///
/// A redeemed permit is over at the leaf of its completion, however long ago it was to expire. One
/// that was never redeemed is over at its revocation, or when cluster time reached its expiry, which
/// the next permit's time of issue shows. Unknown with fewer than `permits_min` permits.
///
/// SPEC section 4 ("A bound counts live permits").
#[must_use]
pub fn check(lives: &[Life], permits_min: usize) -> Verdict {
    if lives.len() < permits_min {
        return Verdict::Unknown(format!("{} permits, {permits_min} are needed", lives.len()));
    }
    let mut by_operation: BTreeMap<&str, Vec<&Life>> = BTreeMap::new();
    for life in lives {
        by_operation.entry(&life.operation).or_default().push(life);
    }
    for lives in by_operation.values_mut() {
        lives.sort_by_key(|life| life.decided_leaf);
        for pair in lives.windows(2) {
            let [earlier, later] = pair else { continue };
            if let Some(why) = overlap(earlier, later) {
                return Verdict::broken(why);
            }
        }
    }
    Verdict::Holds
}

fn overlap(earlier: &Life, later: &Life) -> Option<String> {
    let over = match (earlier.ended_leaf, earlier.redeemed_leaves.is_empty()) {
        (Some(ended), _) => ended < later.decided_leaf,
        (None, true) => earlier.expires_at_ms <= later.issued_at_ms,
        (None, false) => false,
    };
    (!over).then(|| {
        format!(
            "`{}`: permit {} (fence {}, leaf {}) was granted while permit {} (fence {}, leaf {}, \
             redeemed at {:?}, ended at {:?}, expires {}) was live",
            later.operation,
            later.permit,
            later.fence,
            later.decided_leaf,
            earlier.permit,
            earlier.fence,
            earlier.decided_leaf,
            earlier.redeemed_leaves,
            earlier.ended_leaf,
            earlier.expires_at_ms,
        )
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A permit that was granted, redeemed and completed at three leaves in a row.
    pub(crate) fn life(fence: u64, decided_leaf: u64) -> Life {
        Life {
            operation: "workspace/prod".to_owned(),
            permit: format!("pmt_{fence}"),
            fence,
            decided_leaf,
            issued_at_ms: decided_leaf * 100,
            expires_at_ms: decided_leaf * 100 + 10_000,
            redeemed_leaves: vec![decided_leaf + 1],
            ended_leaf: Some(decided_leaf + 2),
        }
    }

    #[test]
    fn permits_one_after_the_other_hold() {
        assert_eq!(
            check(&[life(2, 3), life(1, 0), life(3, 6)], 3),
            Verdict::Holds
        );
    }

    #[test]
    fn permit_granted_before_the_last_was_completed_is_broken() {
        let verdict = check(&[life(1, 0), life(2, 1)], 2);
        assert!(matches!(verdict, Verdict::Broken(breach) if breach.why.contains("pmt_2")));
    }

    #[test]
    fn redeemed_permit_without_an_outcome_still_holds_after_its_expiry() {
        let mut in_doubt = life(1, 0);
        in_doubt.ended_leaf = None;
        in_doubt.expires_at_ms = 1;
        assert!(matches!(
            check(&[in_doubt, life(2, 50)], 2),
            Verdict::Broken(_)
        ));
    }

    #[test]
    fn permit_that_expired_unredeemed_makes_room_at_that_instant() {
        let mut expired = life(1, 0);
        expired.redeemed_leaves.clear();
        expired.ended_leaf = None;
        expired.expires_at_ms = 5_000;
        assert_eq!(check(&[expired.clone(), life(2, 50)], 2), Verdict::Holds);
        expired.expires_at_ms = 5_001;
        assert!(matches!(
            check(&[expired, life(2, 50)], 2),
            Verdict::Broken(_)
        ));
    }

    #[test]
    fn other_operations_do_not_count() {
        let mut other = life(2, 1);
        other.operation = "workspace/dev".to_owned();
        assert_eq!(check(&[life(1, 0), other], 2), Verdict::Holds);
    }

    #[test]
    fn too_few_permits_are_unknown() {
        assert!(matches!(check(&[life(1, 0)], 2), Verdict::Unknown(_)));
    }
}
