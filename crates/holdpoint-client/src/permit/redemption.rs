//! One executor's redemption of one permit.

use std::sync::atomic::{AtomicBool, Ordering};

use holdpoint_receipt::RedemptionId;

use crate::random::{RandomnessError, draw_name};

/// A redemption id, and what this process did with it. Shared by a guard and its handles.
#[derive(Debug)]
pub(super) struct Redemption {
    id: RedemptionId,
    /// A redeem under this id may have been carried out.
    is_submitted: AtomicBool,
    /// A `Permit<Redeemed>` was handed out.
    // INVARIANT: never goes back to false, so that one redemption starts one effect.
    is_taken: AtomicBool,
}

impl Redemption {
    /// A redemption with an id that nobody else draws.
    pub(super) fn draw() -> Result<Self, RandomnessError> {
        let id = RedemptionId::new(draw_name()?).map_err(|error| RandomnessError::unfit(&error))?;
        Ok(Self {
            id,
            is_submitted: AtomicBool::new(false),
            is_taken: AtomicBool::new(false),
        })
    }

    pub(super) const fn id(&self) -> &RedemptionId {
        &self.id
    }

    /// A redeem is about to be sent. Says whether an earlier one may have been carried out.
    pub(super) fn submitting(&self) -> bool {
        self.is_submitted.swap(true, Ordering::AcqRel)
    }

    /// The redeem that was about to be sent, the first one, certainly had no effect.
    pub(super) fn had_no_effect(&self) {
        self.is_submitted.store(false, Ordering::Release);
    }

    pub(super) fn is_submitted(&self) -> bool {
        self.is_submitted.load(Ordering::Acquire)
    }

    /// Takes the one right to act. False if it was taken before.
    pub(super) fn take(&self) -> bool {
        !self.is_taken.swap(true, Ordering::AcqRel)
    }
}
