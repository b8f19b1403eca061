//! Where the indexes by time begin.
//!
//! ```text
//! Expiry …    deleted · deleted · … · deleted │ 10:41:07 fence 812 · 10:41:09 fence 815 · …
//!                                             └ known from the scan before: begin here
//! ```
//!
//! These indexes are read from their start, and that is where their rows go. Until a merge has taken
//! away what is left of a deleted row, a scan from the start steps over it: over everything that was
//! deleted since rows were last written to disk, with each entry anew. So it is remembered behind which
//! key the rows begin, and a scan steps over no more than the last commit deleted.
//!
//! What is remembered is a lower bound, in memory only. It holds for one version of the rows: a reader
//! of any other version looks from the very start. It never decides what is there.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdpoint_core::{Kind, StateKey, Write};

/// Indexes of which the start is remembered, of all namespaces together.
const STARTS_MAX: usize = 4_096;

/// The version of the rows that a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(u64);

/// The starts that are known of one database.
#[derive(Debug, Default)]
pub(super) struct Starts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Commits that have begun.
    begun: u64,
    /// Commits that have ended. One that fails never does, and nothing is remembered from then on.
    ended: u64,
    /// By the prefix of an index, a key that no row of it stands before.
    starts: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Starts {
    /// The version of the rows now; none while a commit goes on.
    pub(super) fn version(&self) -> Option<Version> {
        let known = self.known();
        (known.begun == known.ended).then_some(Version(known.ended))
    }

    /// A commit of `writes` begins.
    pub(super) fn begin(&self, writes: &[Write]) {
        let mut known = self.known();
        known.begun = known.begun.saturating_add(1);
        for write in writes {
            let Write::Put { key, .. } = write else {
                continue;
            };
            if let Some(prefix) = index_of(key)
                && let Some(start) = known.starts.get_mut(prefix)
                && key.as_bytes() < start.as_slice()
            {
                *start = key.as_bytes().to_vec();
            }
        }
    }

    /// The commit that began last has ended.
    pub(super) fn end(&self) {
        let mut known = self.known();
        known.ended = known.ended.saturating_add(1);
        assert!(
            known.ended <= known.begun,
            "a commit ends after it has begun"
        );
    }

    /// A key that no row under `prefix` stands before, as the rows were in `version`.
    pub(super) fn start_of(&self, version: Version, prefix: &[u8]) -> Option<Vec<u8>> {
        let known = self.known();
        if known.begun == version.0 {
            known.starts.get(prefix).cloned()
        } else {
            None
        }
    }

    /// Remembers that in `version` no row under `prefix` stands before `start`.
    pub(super) fn remember(&self, version: Version, prefix: &[u8], start: Vec<u8>) {
        let is_index = StateKey::from_bytes(prefix.to_vec())
            .parts()
            .is_some_and(|parts| parts.rest.is_empty() && is_by_time(parts.kind));
        let mut known = self.known();
        let has_room = known.starts.len() < STARTS_MAX || known.starts.contains_key(prefix);
        if is_index && has_room && known.begun == version.0 {
            known.starts.insert(prefix.to_vec(), start);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The prefix of the index by time that a key belongs to.
fn index_of(key: &StateKey) -> Option<&[u8]> {
    let parts = key.parts()?;
    let bytes = key.as_bytes();
    if is_by_time(parts.kind) {
        bytes.get(..bytes.len().checked_sub(parts.rest.len())?)
    } else {
        None
    }
}

/// Whether rows of a kind are read from their start, and go there.
pub(super) const fn is_by_time(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::AttemptEnd
            | Kind::WaiterEnd
            | Kind::Expiry
            | Kind::Doubt
            | Kind::HeldEnd
            | Kind::ReleaseAt
            | Kind::PermitEnd
            | Kind::TombstoneEnd
            | Kind::UsageEnd
            | Kind::ApprovalEnd
            | Kind::PendingEnd
            | Kind::SessionEnd
    )
}

#[cfg(test)]
mod tests;
