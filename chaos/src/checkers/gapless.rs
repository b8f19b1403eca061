//! A watch sees every statement of the log once, in order, and the one that stands there.

use std::collections::BTreeMap;

use crate::history::Stated;
use crate::verdict::Verdict;

/// Checks that what a watch saw follows leaf by leaf from `first`, and agrees with what was `read` at
/// the same leaves in another way. Unknown if it saw fewer than `leaves_min`, or if a leaf that was
/// read is missing at its end.
#[must_use]
pub fn check(
    watched: &[Stated],
    first: u64,
    read: &[(u64, [u8; 32])],
    leaves_min: usize,
) -> Verdict {
    let mut next = first;
    let mut hashes: BTreeMap<u64, [u8; 32]> = BTreeMap::new();
    for stated in watched {
        if stated.leaf != next {
            return Verdict::broken(format!("leaf {} came where {next} was due", stated.leaf));
        }
        hashes.insert(stated.leaf, stated.hash);
        next = next.saturating_add(1);
    }
    for (leaf, hash) in read {
        match hashes.get(leaf) {
            Some(seen) if seen == hash => {}
            Some(_) => {
                return Verdict::broken(format!(
                    "the statement at leaf {leaf} is another than the one that was watched"
                ));
            }
            None => return Verdict::Unknown(format!("leaf {leaf} was read and not watched")),
        }
    }
    if watched.len() < leaves_min || read.is_empty() {
        return Verdict::Unknown(format!(
            "{} leaves were watched, {leaves_min} are needed, and {} were read",
            watched.len(),
            read.len()
        ));
    }
    Verdict::Holds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::What;

    fn stated(leaf: u64) -> Stated {
        Stated {
            leaf,
            hash: [u8::try_from(leaf).unwrap(); 32],
            what: What::Other,
        }
    }

    fn watched(leaves: &[u64]) -> Verdict {
        let watched: Vec<Stated> = leaves.iter().copied().map(stated).collect();
        check(&watched, 0, &[(1, [1; 32])], 3)
    }

    #[test]
    fn every_leaf_once_and_in_order_holds() {
        assert_eq!(watched(&[0, 1, 2]), Verdict::Holds);
    }

    #[test]
    fn leaf_that_is_left_out_comes_twice_or_too_early_is_broken() {
        for leaves in [[0, 1, 3], [0, 1, 1], [0, 2, 1], [1, 2, 3]] {
            assert!(matches!(watched(&leaves), Verdict::Broken(_)), "{leaves:?}");
        }
    }

    #[test]
    fn statement_that_is_read_otherwise_is_broken() {
        let seen = [stated(0), stated(1)];
        let verdict = check(&seen, 0, &[(1, [7; 32])], 1);
        assert!(matches!(verdict, Verdict::Broken(_)));
    }

    #[test]
    fn watch_that_ended_early_is_unknown() {
        assert!(matches!(watched(&[0]), Verdict::Unknown(_)));
        let seen = [stated(0), stated(1)];
        assert!(matches!(check(&seen, 0, &[], 1), Verdict::Unknown(_)));
    }
}
