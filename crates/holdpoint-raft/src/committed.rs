//! Values that cannot be lost any more.

use holdpoint_core::LogPosition;

/// A value that a quorum has made durable.
///
/// Only the state machine's apply step creates one, so a function that asks for a `Committed<T>`
/// cannot be called with something that might still be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    position: LogPosition,
    value: T,
}

impl<T> Committed<T> {
    /// For `state_machine::apply` alone: the entry at `position` is committed and applied.
    pub(crate) fn at(position: LogPosition, value: T) -> Self {
        Self { position, value }
    }

    /// Where in the log it was decided.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value, without the proof.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}
