//! How far this node has applied the log: for whoever waits for something to happen in it.
//!
//! Every node applies every entry, so this tells on followers too. It never says that something is
//! *current*: a node that is cut off applies nothing and tells nothing. It keeps no history: who wakes
//! reads the state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use holdpoint_core::{ApplyError, Entry, GroupId, Query, View};
use holdpoint_receipt::{ClusterTime, Name};
use tokio::sync::watch;

use crate::payload::Proposal;
use crate::types::{LogEntry, Payload, term_of};

/// How far a node has applied the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The last entry; none before the first.
    pub index: Option<u64>,
    /// Cluster time.
    pub now: ClusterTime,
    /// The leaves in the log of statements of each namespace. A namespace that is not here has none.
    pub tree_sizes: BTreeMap<Name, u64>,
}

impl Applied {
    /// What `view` shows, when `index` is the last entry in it.
    pub(crate) fn read<V: View>(
        view: &V,
        group: GroupId,
        index: Option<u64>,
    ) -> Result<Self, ApplyError<V::Error>> {
        let query = Query::new(view, group);
        let mut tree_sizes = BTreeMap::new();
        let mut page = query.namespaces(None)?;
        while let Some(last) = page.last().cloned() {
            for name in page {
                let size = match query.namespace(&name)? {
                    Some(namespace) => namespace.head()?.size,
                    None => 0,
                };
                tree_sizes.insert(name, size);
            }
            page = query.namespaces(Some(&last))?;
        }
        Ok(Self {
            index,
            now: query.now()?,
            tree_sizes,
        })
    }
}

/// The commands of an applied entry, as they were decoded to apply it. Cheap to clone: whoever holds
/// one keeps the entry in memory.
#[derive(Clone, Debug)]
pub struct AppliedCommands(Proposal);

impl AppliedCommands {
    /// The bytes of the entry in the log. In memory it takes a small multiple of that.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.0.payload_bytes()
    }

    /// The entry; none if it does not decode, and then it was not applied.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.0.entry().ok()
    }
}

/// An entry, after its rows are in the state.
#[derive(Debug)]
pub struct AppliedEntry<'a> {
    /// The term of the leader that proposed it.
    pub term: u64,
    /// What it meant.
    pub meant: &'a holdpoint_core::Applied,
    /// Its commands; none where it set who votes.
    pub commands: Option<AppliedCommands>,
    /// The leaves in the log of statements of each namespace before it.
    pub sizes_before: &'a BTreeMap<Name, u64>,
}

/// Sees each entry with commands, and each set of voters that comes into force, after its rows are in
/// the state.
pub type AppliedHook = Arc<dyn Fn(&AppliedEntry<'_>) + Send + Sync>;

/// Tells how far the log is applied.
#[derive(Default)]
pub(crate) struct Teller {
    told: watch::Sender<Applied>,
    hook: OnceLock<AppliedHook>,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller")
            .field("told", &*self.told.borrow())
            .field("has_hook", &self.hook.get().is_some())
            .finish()
    }
}

impl Teller {
    /// What was applied, from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Applied> {
        self.told.subscribe()
    }

    /// Takes the first hook that is given; says whether this is it.
    pub(crate) fn set_hook(&self, hook: AppliedHook) -> bool {
        self.hook.set(hook).is_ok()
    }

    /// The state is another one: at its start, and when a snapshot took its place.
    pub(crate) fn replaced(&self, applied: Applied) {
        self.told.send_replace(applied);
    }

    /// `entry` is applied; `meant` if it had commands or set who votes.
    pub(crate) fn entry(&self, entry: &LogEntry, meant: Option<&holdpoint_core::Applied>) {
        let index = entry.log_id.index;
        if let (Some(hook), Some(meant)) = (self.hook.get(), meant) {
            let told = self.told.borrow();
            hook(&AppliedEntry {
                term: term_of(&entry.log_id),
                meant,
                commands: match &entry.payload {
                    Payload::Normal(proposal) => Some(AppliedCommands(proposal.clone())),
                    Payload::Blank | Payload::Membership(_) => None,
                },
                sizes_before: &told.tree_sizes,
            });
        }
        self.told.send_modify(|told| {
            assert!(told.index < Some(index), "entries are applied in order");
            told.index = Some(index);
            let Some(meant) = meant else { return };
            assert!(meant.now >= told.now, "cluster time never goes back");
            told.now = meant.now;
            for head in &meant.heads {
                told.tree_sizes.insert(head.namespace.clone(), head.size);
            }
        });
    }
}
