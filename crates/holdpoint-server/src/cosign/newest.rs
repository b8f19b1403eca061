//! The newest head of each log that is proven: what this node shows to the public.
//!
//! Never waits and never has anything signed: it only remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdpoint_receipt::Name;
use holdpoint_receipt::note::Note;

/// The heads that this node remembers. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest(Arc<Mutex<BTreeMap<Name, Note>>>);

impl Newest {
    /// Takes note of a newer head.
    pub(super) fn learn(&self, namespace: &Name, note: Note) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(namespace.clone(), note);
    }

    /// The newest head of `namespace`; none before the first.
    pub(super) fn of(&self, namespace: &Name) -> Option<Note> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).cloned()
    }
}
