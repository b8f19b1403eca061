//! How often a client may ask again what a node had no room for.
//!
//! A node that is asked for more than it can do is asked for even more if everybody repeats what it
//! sheds. So repetitions are paid for: each attempt earns a tenth of one, and a few are there from the
//! start, for a caller that asks once. Whoever has none left is told at once. Nothing here waits, and
//! steps that settle a permit are never counted: they are repeated until their deadline.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repetition costs.
const REPETITION: u32 = 10;
/// What one attempt earns: a repetition for every tenth.
const EARNED: u32 = 1;
/// The most that is saved up, and what is there at the start.
const SAVED_MAX: u32 = 10 * REPETITION;

/// The repetitions that a client has left.
#[derive(Debug)]
pub(crate) struct Allowance {
    // INVARIANT: at most `SAVED_MAX`.
    saved: AtomicU32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            saved: AtomicU32::new(SAVED_MAX),
        }
    }
}

impl Allowance {
    /// An attempt begins.
    pub(crate) fn earn(&self) {
        let more = |saved: u32| Some(saved.saturating_add(EARNED).min(SAVED_MAX));
        // It cannot fail: there is always a next value.
        let _ = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes a repetition, if there is one left.
    pub(crate) fn take(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(REPETITION);
        let taken = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_a_tenth_of_the_attempts_however_many_are_shed() {
        let allowance = Allowance::default();
        let shed = (0..10_000).filter(|_| {
            allowance.earn();
            allowance.take()
        });
        let most = 1_000 + usize::try_from(SAVED_MAX / REPETITION).unwrap();
        assert!((1_000..=most).contains(&shed.count()));
    }

    #[test]
    fn client_that_asks_once_has_a_few_repetitions_and_saves_no_more_than_those() {
        let allowance = Allowance::default();
        (0..1_000).for_each(|_| allowance.earn());
        let repetitions = std::iter::repeat_with(|| allowance.take()).take_while(|taken| *taken);
        assert_eq!(repetitions.count(), 10);
    }
}
