//! Every decision names the policy that is in force at its own place in the log, and nothing is
//! granted where an activation drains.
//!
//! Source: `SPEC` section 2 ("activation"), section 4 ("authorize" steps 3 to 5, "redeem", "Policy
//! changes"). [`over`] asks the same of what clients saw, by their clock and by the leaves of receipts;
//! it never asks what the policy says.

mod activations;
mod over;

use crate::history::{Stated, What};
use crate::verdict::Verdict;

pub use over::over;

/// The policy that the log has put in force so far.
#[derive(Default)]
struct InForce {
    version: u64,
    digest: [u8; 32],
    is_draining: bool,
    activated_count: usize,
    decided_count: usize,
    drained_count: usize,
}

/// Reads the log from its beginning, and checks that versions rise one by one, that each decision names
/// the newest version before it with that bundle, and that between the beginning of a drain and what
/// ends it nothing is granted on the surfaces `drained`.
///
/// Unknown with fewer than `activated_min` activations, without a drain where surfaces are given, or
/// with no decision at all.
///
/// SPEC section 2 ("activation") and section 4 ("Policy changes").
#[must_use]
pub fn check(log: &[Stated], drained: &[&str], activated_min: usize) -> Verdict {
    let mut now = InForce::default();
    for stated in log {
        if let Err(why) = now.take(&stated.what, drained) {
            return Verdict::broken(format!("leaf {}: {why}", stated.leaf));
        }
    }
    if now.activated_count < activated_min
        || now.decided_count == 0
        || (!drained.is_empty() && now.drained_count == 0)
    {
        return Verdict::Unknown(format!(
            "{} activations ({activated_min} are needed), {} drains and {} decisions",
            now.activated_count, now.drained_count, now.decided_count
        ));
    }
    Verdict::Holds
}

impl InForce {
    fn take(&mut self, what: &What, drained: &[&str]) -> Result<(), String> {
        match what {
            What::Activated { version, digest } => {
                if *version != self.version.saturating_add(1) {
                    return Err(format!("version {version} follows {}", self.version));
                }
                self.version = *version;
                self.digest = *digest;
                self.is_draining = false;
                self.activated_count = self.activated_count.saturating_add(1);
            }
            What::Decided {
                version,
                digest,
                surface,
                is_permit,
            } => {
                if *version != self.version {
                    return Err(format!(
                        "the decision names version {version}, and {} is in force",
                        self.version
                    ));
                }
                if *digest != self.digest {
                    return Err(format!(
                        "the decision names another bundle of version {version}"
                    ));
                }
                if *is_permit && self.is_draining && drained.contains(&surface.as_str()) {
                    return Err(format!("a permit was granted on `{surface}`, which drains"));
                }
                self.decided_count = self.decided_count.saturating_add(1);
            }
            What::DrainBegan => {
                self.is_draining = true;
                self.drained_count = self.drained_count.saturating_add(1);
            }
            What::DrainCancelled => self.is_draining = false,
            What::Other => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activated(version: u64) -> What {
        What::Activated {
            version,
            digest: [u8::try_from(version).unwrap(); 32],
        }
    }

    fn decided(version: u64, bundle: u8, is_permit: bool) -> What {
        What::Decided {
            version,
            digest: [bundle; 32],
            surface: "infra.apply".to_owned(),
            is_permit,
        }
    }

    fn checked(log: &[What]) -> Verdict {
        let stated: Vec<Stated> = (0..)
            .zip(log)
            .map(|(leaf, what)| Stated {
                leaf,
                hash: [0; 32],
                what: what.clone(),
            })
            .collect();
        check(&stated, &["infra.apply"], 2)
    }

    #[test]
    fn decisions_of_the_version_before_them_hold() {
        let log = [
            activated(1),
            decided(1, 1, true),
            What::DrainBegan,
            decided(1, 1, false),
            What::Other,
            activated(2),
            decided(2, 2, true),
        ];
        assert_eq!(checked(&log), Verdict::Holds);
    }

    #[test]
    fn decision_of_an_earlier_a_later_or_another_policy_is_broken() {
        for decision in [
            decided(1, 1, false),
            decided(3, 3, false),
            decided(2, 1, false),
        ] {
            let log = [activated(1), activated(2), decision];
            assert!(matches!(checked(&log), Verdict::Broken(_)), "{log:?}");
        }
    }

    #[test]
    fn decision_before_any_policy_is_broken() {
        assert!(matches!(
            checked(&[decided(1, 1, true)]),
            Verdict::Broken(_)
        ));
    }

    #[test]
    fn version_that_is_skipped_or_given_twice_is_broken() {
        for next in [1, 3] {
            let log = [activated(1), activated(next)];
            assert!(matches!(checked(&log), Verdict::Broken(_)), "{next}");
        }
    }

    #[test]
    fn permit_during_a_drain_is_broken_and_after_its_end_is_not() {
        let begun = [activated(1), What::DrainBegan, decided(1, 1, true)];
        assert!(matches!(checked(&begun), Verdict::Broken(_)));
        let cancelled = [
            activated(1),
            What::DrainBegan,
            What::DrainCancelled,
            decided(1, 1, true),
            activated(2),
        ];
        assert_eq!(checked(&cancelled), Verdict::Holds);
    }

    #[test]
    fn log_without_a_drain_or_with_one_policy_is_unknown() {
        let one = [activated(1), What::DrainBegan, decided(1, 1, false)];
        assert!(matches!(checked(&one), Verdict::Unknown(_)));
        let none = [activated(1), activated(2), decided(2, 2, true)];
        assert!(matches!(checked(&none), Verdict::Unknown(_)));
    }
}
