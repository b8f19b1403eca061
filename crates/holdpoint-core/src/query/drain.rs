//! Whether a pending activation has something to do.

use holdpoint_receipt::Fence;

use super::{NamespaceQuery, rows};
use crate::fault::ApplyError;
use crate::view::View;

impl<V: View> NamespaceQuery<'_, V> {
    /// Whether a sweep would bring the pending activation further: permits are left that it has not
    /// met, or none is live any more. A few reads for each surface that drains.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged.
    pub fn drain_is_due(&self) -> Result<bool, ApplyError<V::Error>> {
        let Some(drain) = &self.record.drain else {
            return Ok(false);
        };
        let mut is_live = false;
        for surface in &drain.surfaces {
            let prefix = self.keys.live_on(surface);
            is_live |= !rows(self.view, &prefix, None, 1)?.is_empty();
            let met = match &drain.mark {
                Some(mark) if mark.surface > *surface => continue,
                Some(mark) if mark.surface == *surface => mark.fence,
                Some(_) | None => Fence::default(),
            };
            let after = self.keys.live(surface, met);
            if !rows(self.view, &prefix, Some(&after), 1)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(!is_live)
    }
}
