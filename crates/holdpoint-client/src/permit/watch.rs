//! Says in the log when a guard is dropped with something left open.

use holdpoint_receipt::PermitId;

/// Warns when it is dropped unsettled. Never blocks, never panics, never calls the gate.
#[derive(Debug)]
pub(super) struct Watch {
    permit: PermitId,
    // INVARIANT: none exactly if settled.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    Granted,
    Redeemed,
}

impl Watch {
    /// Watches a granted permit until it is redeemed or put away.
    pub(super) const fn granted(permit: PermitId) -> Self {
        Self {
            permit,
            open: Some(Open::Granted),
        }
    }

    /// Watches a redeemed permit until it has an outcome.
    pub(super) const fn redeemed(permit: PermitId) -> Self {
        Self {
            permit,
            open: Some(Open::Redeemed),
        }
    }

    /// Nothing is left open.
    pub(super) fn settled(mut self) {
        self.open = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let permit = self.permit;
        match self.open {
            None => {}
            Some(Open::Granted) => tracing::warn!(
                %permit,
                "a permit was dropped before its redeem was answered; the gate holds its bounds \
                 until it expires, or if it was redeemed, until somebody resolves it"
            ),
            Some(Open::Redeemed) => tracing::warn!(
                %permit,
                "a redeemed permit was dropped without an outcome; it is in doubt, and the gate \
                 holds its bounds until somebody resolves it"
            ),
        }
    }
}
