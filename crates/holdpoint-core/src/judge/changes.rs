//! What another bundle changes for permits that are live and for effects that were committed.

use std::collections::BTreeMap;

use holdpoint_receipt::{Digest, Name};

use super::draft::decoded;
use super::gate::Gate;
use crate::fault::ApplyError;
use crate::limits::{BOUNDS_MAX, SURFACES_MAX};
use crate::outline::{BoundKind, BoundOutline, SurfaceOutline};
use crate::record::{ActivePolicy, OnceRecord};
use crate::view::View;

impl<V: View> Gate<'_, V> {
    /// The surfaces of a registered bundle, in the order of their names.
    pub(super) fn surfaces(
        &self,
        digest: &Digest,
    ) -> Result<Vec<SurfaceOutline>, ApplyError<V::Error>> {
        let rows = self
            .draft
            .first_rows(&self.keys.surfaces(digest), SURFACES_MAX)?;
        rows.iter().map(|(key, row)| decoded(key, row)).collect()
    }

    /// The surfaces of the policy in force on which no permit may be live when the bundle `next`
    /// replaces it, in the order of their names.
    pub(super) fn changed_surfaces(
        &self,
        active: Option<ActivePolicy>,
        next: &Digest,
    ) -> Result<Vec<Name>, ApplyError<V::Error>> {
        let Some(active) = active else {
            return Ok(Vec::new());
        };
        let next: BTreeMap<Name, SurfaceOutline> = self
            .surfaces(next)?
            .into_iter()
            .map(|surface| (surface.surface.clone(), surface))
            .collect();
        let before = self.surfaces(&active.digest)?.into_iter();
        let changed = before.filter(|before| {
            let next = next.get(&before.surface);
            !next.is_some_and(|next| is_loosened(&before.bounds, &next.bounds))
        });
        Ok(changed.map(|surface| surface.surface).collect())
    }

    /// The first of `surfaces` on which a permit is live.
    ///
    /// A permit that has expired and was not let go counts: who asks lets those go first.
    pub(super) fn first_in_use(
        &self,
        surfaces: &[Name],
    ) -> Result<Option<Name>, ApplyError<V::Error>> {
        for surface in surfaces {
            let live_on = self.keys.live_on(surface);
            if !self.draft.first_rows(&live_on, 1)?.is_empty() {
                return Ok(Some(surface.clone()));
            }
        }
        Ok(None)
    }

    /// The first surface of the bundle `next` that would forget committed effects.
    pub(super) fn forgetful_surface(
        &self,
        next: &Digest,
    ) -> Result<Option<Name>, ApplyError<V::Error>> {
        for surface in self.surfaces(next)? {
            if !self.keeps_tombstones(&surface)? {
                return Ok(Some(surface.surface));
            }
        }
        Ok(None)
    }

    /// Whether every bound that has tombstones on this surface is still there, `once`, under the
    /// same template. A surface may go, but not come back and forget.
    fn keeps_tombstones(&self, surface: &SurfaceOutline) -> Result<bool, ApplyError<V::Error>> {
        let prefix = self.keys.once_on(&surface.surface);
        // Bounds with tombstones can be neither added nor renamed away, so there are no more rows
        // than a surface has bounds.
        for (key, row) in self.draft.first_rows(&prefix, BOUNDS_MAX)? {
            let once: OnceRecord = decoded(&key, &row)?;
            let is_kept = surface.bounds.iter().any(|bound| {
                self.keys.once(&surface.surface, &bound.name) == key
                    && matches!(bound.kind, BoundKind::Once { .. })
                    && bound.template == once.template
            });
            if !is_kept {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether whatever respects `before` also respects `next`.
///
/// Every permit claims every bound of its surface, so a bound that is added, removed or means
/// something else concerns all that are live.
fn is_loosened(before: &[BoundOutline], next: &[BoundOutline]) -> bool {
    let is_kept = |(before, next): (&BoundOutline, &BoundOutline)| {
        before.name == next.name
            && before.template == next.template
            && before.field == next.field
            && allows_more(before.kind, next.kind)
    };
    before.len() == next.len() && before.iter().zip(next).all(is_kept)
}

fn allows_more(before: BoundKind, next: BoundKind) -> bool {
    match (before, next) {
        (BoundKind::Exclusive, BoundKind::Exclusive) => true,
        (
            BoundKind::Once {
                kept_for_ms: before,
            },
            BoundKind::Once { kept_for_ms: next },
        ) => {
            let for_ever = u64::MAX;
            next.unwrap_or(for_ever) <= before.unwrap_or(for_ever)
        }
        (BoundKind::Capacity { limit: before }, BoundKind::Capacity { limit: next }) => {
            before <= next
        }
        (
            BoundKind::Budget { limit, window_ms },
            BoundKind::Budget {
                limit: next_limit,
                window_ms: next_window_ms,
            },
        ) => window_ms == next_window_ms && limit <= next_limit,
        (
            BoundKind::Exclusive
            | BoundKind::Once { .. }
            | BoundKind::Capacity { .. }
            | BoundKind::Budget { .. },
            _,
        ) => false,
    }
}
