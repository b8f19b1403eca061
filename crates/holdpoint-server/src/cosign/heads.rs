//! Heads that enough nodes signed: the newest of each namespace, and what is known of who signed what.
//!
//! It believes nothing: whoever puts a head here has verified it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Digest, Name, NodeId};
use tokio::sync::watch;

/// A head: how many leaves, and the root over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Leaves.
    pub(crate) size: u64,
    /// The root of RFC 6962 over them.
    pub(crate) root: Digest,
}

/// A head with the signatures of as many nodes as its epoch needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The head.
    pub(crate) head: Head,
    /// The signed note, as receipts carry it.
    pub(crate) note: Note,
    /// Who signed it.
    pub(crate) signers: Vec<NodeId>,
}

/// The newest proven head of each namespace. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProvenHeads(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    heads: Mutex<Heads>,
    moved: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Heads {
    newest: BTreeMap<Name, Arc<Proven>>,
    signed: BTreeMap<(Name, NodeId), Head>,
}

impl ProvenHeads {
    fn lock(&self) -> MutexGuard<'_, Heads> {
        self.0.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest proven head of `namespace`.
    pub(crate) fn newest(&self, namespace: &Name) -> Option<Arc<Proven>> {
        self.lock().newest.get(namespace).cloned()
    }

    /// The newest proven head of `namespace`, if it covers `size` leaves.
    pub(crate) fn covering(&self, namespace: &Name, size: u64) -> Option<Arc<Proven>> {
        self.newest(namespace)
            .filter(|proven| proven.head.size >= size)
    }

    /// Takes a verified head. Says whether it is newer than what was there.
    pub(crate) fn raise(&self, namespace: &Name, proven: &Arc<Proven>) -> bool {
        {
            let mut heads = self.lock();
            for signer in &proven.signers {
                heads.signed_by(namespace, *signer, proven.head);
            }
            let known = heads.newest.get(namespace);
            if known.is_some_and(|known| known.head.size >= proven.head.size) {
                return false;
            }
            heads.newest.insert(namespace.clone(), Arc::clone(proven));
        }
        self.0
            .moved
            .send_modify(|count| *count = count.wrapping_add(1));
        true
    }

    /// The largest head that `node` is known to have signed.
    pub(crate) fn signed(&self, namespace: &Name, node: NodeId) -> Option<Head> {
        self.lock().signed.get(&(namespace.clone(), node)).copied()
    }

    /// Wakes when a head is newer than before.
    pub(crate) fn moved(&self) -> watch::Receiver<u64> {
        self.0.moved.subscribe()
    }
}

impl Heads {
    fn signed_by(&mut self, namespace: &Name, node: NodeId, head: Head) {
        let known = self.signed.entry((namespace.clone(), node)).or_insert(head);
        if known.size < head.size {
            *known = head;
        }
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_receipt::sha256;

    use super::*;

    fn proven(size: u64, signers: &[u64]) -> Arc<Proven> {
        let text = "a.example\n1\nroot\n\n\u{2014} a.example AAAAAAAA\n";
        Arc::new(Proven {
            head: Head {
                size,
                root: sha256(&size.to_be_bytes()),
            },
            note: text.parse().unwrap(),
            signers: signers.iter().map(|id| NodeId::new(*id).unwrap()).collect(),
        })
    }

    #[test]
    fn newest_head_stays_whatever_order_heads_come_in() {
        let (heads, name) = (ProvenHeads::default(), Name::new("default").unwrap());
        assert!(heads.raise(&name, &proven(5, &[1, 2])));
        assert!(!heads.raise(&name, &proven(4, &[1, 3])));
        assert!(!heads.raise(&name, &proven(5, &[2, 3])));
        assert_eq!(heads.newest(&name), Some(proven(5, &[1, 2])));
        assert_eq!(heads.covering(&name, 6), None);
        assert!(heads.raise(&name, &proven(9, &[1, 3])));
        assert_eq!(heads.newest(&name).map(|proven| proven.head.size), Some(9));
    }

    #[test]
    fn largest_head_that_each_node_signed_is_known() {
        let (heads, name) = (ProvenHeads::default(), Name::new("default").unwrap());
        let node = |id| NodeId::new(id).unwrap();
        heads.raise(&name, &proven(5, &[1, 2]));
        heads.raise(&name, &proven(4, &[1, 3]));
        let size = |id| heads.signed(&name, node(id)).map(|head| head.size);
        assert_eq!(
            [size(1), size(2), size(3), size(4)],
            [Some(5), Some(5), Some(4), None]
        );
    }
}
