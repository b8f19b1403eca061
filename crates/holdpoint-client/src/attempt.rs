//! The name of an attempt, and what is still open of it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use holdpoint_receipt::{ClusterTime, IdempotencyKey};

use crate::fault::Decided;
use crate::refusal::AttemptName;

/// An idempotency key with the time after which nothing is decided under it.
///
/// Every submission of the attempt carries the same two. The time changes in one case only: this
/// client chose it, and the gate says that the key is in use under another time.
#[derive(Debug)]
pub(crate) struct Attempt {
    key: IdempotencyKey,
    not_after_ms: AtomicU64,
    /// Whether the caller gave the time, so that it is not ours to change.
    given: bool,
    /// Submissions that may have had an effect, also those whose waiting was given up.
    open_count: AtomicU32,
}

impl Attempt {
    /// An attempt whose end the caller gave.
    pub(crate) fn given(key: IdempotencyKey, not_after: ClusterTime) -> Self {
        Self::new(key, not_after, true)
    }

    /// An attempt whose end this client chose.
    pub(crate) fn chosen(key: IdempotencyKey, not_after: ClusterTime) -> Self {
        Self::new(key, not_after, false)
    }

    fn new(key: IdempotencyKey, not_after: ClusterTime, given: bool) -> Self {
        let not_after_ms = AtomicU64::new(not_after.get());
        Self {
            key,
            not_after_ms,
            given,
            open_count: AtomicU32::new(0),
        }
    }

    pub(crate) const fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// What must be repeated to ask for it again.
    pub(crate) fn name(&self) -> AttemptName {
        AttemptName {
            key: self.key.clone(),
            not_after: self.not_after(),
        }
    }

    /// When the attempt ends.
    pub(crate) fn not_after(&self) -> ClusterTime {
        ClusterTime::new(self.not_after_ms.load(Ordering::Acquire)).unwrap_or(ClusterTime::MAX)
    }

    /// The gate knows the key under `theirs`, and was asked under `ours`. True if that time is ours
    /// from now on, so that asking again finds what is recorded.
    pub(crate) fn adopt(&self, ours: ClusterTime, theirs: ClusterTime) -> bool {
        if self.given || theirs == ours || theirs.get() == 0 {
            return false;
        }
        let (ours, theirs) = (ours.get(), theirs.get());
        let adopted =
            self.not_after_ms
                .compare_exchange(ours, theirs, Ordering::AcqRel, Ordering::Acquire);
        // Another task may have adopted it first.
        adopted.is_ok() || adopted == Err(theirs)
    }

    /// Counts a submission as open, before it is sent: the count stays if the waiting is given up.
    pub(crate) fn submitting(&self) {
        self.open_count.fetch_add(1, Ordering::AcqRel);
    }

    /// The submission certainly had no effect.
    pub(crate) fn had_no_effect(&self) {
        let lower = |count: u32| count.checked_sub(1);
        // An underflow would need a settlement without a submission; the count then stays at 0.
        let _ = self
            .open_count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, lower);
    }

    /// What is certain of all submissions together.
    pub(crate) fn decided(&self) -> Decided {
        if self.open_count.load(Ordering::Acquire) > 0 {
            Decided::Unknown
        } else {
            Decided::Never
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(ms: u64) -> ClusterTime {
        ClusterTime::new(ms).unwrap()
    }

    fn key() -> IdempotencyKey {
        IdempotencyKey::new("k").unwrap()
    }

    #[test]
    fn submission_that_was_given_up_leaves_the_attempt_unknown_whatever_follows() {
        let attempt = Attempt::chosen(key(), time(5));
        assert_eq!(attempt.decided(), Decided::Never);
        attempt.submitting();
        attempt.submitting();
        attempt.had_no_effect();
        assert_eq!(attempt.decided(), Decided::Unknown);
        attempt.had_no_effect();
        attempt.had_no_effect();
        assert_eq!(attempt.decided(), Decided::Never);
    }

    #[test]
    fn time_that_the_caller_gave_is_never_changed() {
        let attempt = Attempt::given(key(), time(5));
        assert!(!attempt.adopt(time(5), time(6)));
        assert_eq!(attempt.not_after(), time(5));
    }

    #[test]
    fn time_under_which_the_gate_knows_the_key_is_adopted_once() {
        let attempt = Attempt::chosen(key(), time(5));
        assert!(!attempt.adopt(time(5), time(5)));
        assert!(!attempt.adopt(time(5), time(0)));
        assert!(attempt.adopt(time(5), time(6)));
        assert!(
            attempt.adopt(time(5), time(6)),
            "another task that asked under 5 may follow"
        );
        assert!(!attempt.adopt(time(5), time(7)));
        assert_eq!(attempt.not_after(), time(6));
    }
}
