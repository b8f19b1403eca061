//! G6: fences rise strictly, and a redeemed permit cannot be redeemed again.
//!
//! Source: `SPEC` section 2 ("fence"), section 4 ("redeem" is once) and section 5. It never looks at who
//! holds what: a fence is for those who cannot know.

mod over;

use std::collections::BTreeMap;

use crate::history::Life;
use crate::verdict::Verdict;

pub use over::over;

/// Checks that fences rise with the log, that no two permits share one, and that none was redeemed
/// twice. Unknown with fewer than `permits_min` permits.
#[must_use]
pub fn check(lives: &[Life], permits_min: usize) -> Verdict {
    if lives.len() < permits_min {
        return Verdict::Unknown(format!("{} permits, {permits_min} are needed", lives.len()));
    }
    let mut by_leaf: BTreeMap<u64, &Life> = BTreeMap::new();
    for life in lives {
        if life.redeemed_leaves.len() > 1 {
            return Verdict::broken(format!(
                "permit {} was redeemed {} times, at leaves {:?}",
                life.permit,
                life.redeemed_leaves.len(),
                life.redeemed_leaves
            ));
        }
        if let Some(other) = by_leaf.insert(life.decided_leaf, life) {
            return Verdict::broken(format!(
                "permits {} and {} were both granted at leaf {}",
                other.permit, life.permit, life.decided_leaf
            ));
        }
    }
    let ordered: Vec<&Life> = by_leaf.into_values().collect();
    for pair in ordered.windows(2) {
        let [earlier, later] = pair else { continue };
        if earlier.fence >= later.fence {
            return Verdict::broken(format!(
                "permit {} has fence {} at leaf {}, and permit {} after it has {} at leaf {}",
                earlier.permit,
                earlier.fence,
                earlier.decided_leaf,
                later.permit,
                later.fence,
                later.decided_leaf
            ));
        }
    }
    Verdict::Holds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::single_valued::tests::life;

    #[test]
    fn rising_fences_hold() {
        assert_eq!(check(&[life(2, 4), life(1, 0)], 2), Verdict::Holds);
    }

    #[test]
    fn fence_that_falls_is_broken() {
        assert!(matches!(
            check(&[life(2, 0), life(1, 4)], 2),
            Verdict::Broken(_)
        ));
    }

    #[test]
    fn fence_given_twice_is_broken() {
        assert!(matches!(
            check(&[life(1, 0), life(1, 4)], 2),
            Verdict::Broken(_)
        ));
    }

    #[test]
    fn permit_redeemed_twice_is_broken() {
        let mut twice = life(1, 0);
        twice.redeemed_leaves.push(7);
        assert!(
            matches!(check(&[twice], 1), Verdict::Broken(breach) if breach.why.contains("2 times"))
        );
    }

    #[test]
    fn too_few_permits_are_unknown() {
        assert!(matches!(check(&[life(1, 0)], 2), Verdict::Unknown(_)));
    }
}
