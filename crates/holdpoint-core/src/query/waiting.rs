//! Reads of the queues of bounded operations.

use holdpoint_receipt::{BoundKey, Name};

use super::{NamespaceQuery, decode, list, missing};
use crate::command::{AttemptName, Ticket};
use crate::fault::ApplyError;
use crate::record::WaiterRecord;
use crate::view::View;

impl<V: View> NamespaceQuery<'_, V> {
    /// The attempts that wait for a bounded operation, the oldest ticket first; at most a page.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged.
    pub fn queue(
        &self,
        surface: &Name,
        bound: &Name,
        key: &BoundKey,
    ) -> Result<Vec<(AttemptName, WaiterRecord)>, ApplyError<V::Error>> {
        let prefix = self.keys.queue_of(surface, bound, key);
        let mut waiters = list(self.view, &prefix, None, |key, row| {
            let Ticket { attempt, .. } = decode(key, row)?;
            let waiter = self.waiter(&attempt)?;
            let waiter = waiter.ok_or_else(|| {
                missing(self.keys.waiter(&attempt.caller, &attempt.idempotency_key))
            })?;
            Ok((attempt, waiter))
        })?;
        waiters.retain(|(_, waiter)| waiter.is_live_at(self.clock));
        Ok(waiters)
    }
}
