//! One namespace as one command sees it.

use holdpoint_receipt::{ClusterId, ClusterTime, Name, PermitId};

use super::draft::Draft;
use super::queue::Queues;
use crate::fault::ApplyError;
use crate::key::{KeySpace, Kind};
use crate::outcome::Offer;
use crate::record::{ClockRecord, GroupRecord, NamespaceRecord, PermitRecord};
use crate::view::{View, Write};

/// What a namespace was changed by.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The changes, one per key, in order of the keys.
    pub(crate) writes: Vec<Write>,
    /// The offers made, in their order.
    pub(crate) offers: Vec<Offer>,
}

/// A namespace in a draft. Its keys reach no other namespace.
pub(crate) struct Gate<'a, V> {
    pub(super) draft: Draft<'a, V>,
    pub(super) keys: KeySpace,
    pub(super) name: Name,
    pub(super) cluster: ClusterId,
    pub(super) is_dev: bool,
    /// Written back by [`Gate::close`] if it changed.
    pub(super) namespace: NamespaceRecord,
    /// What is to be offered to those that wait.
    pub(super) queues: Queues,
    found: NamespaceRecord,
}

impl<'a, V: View> Gate<'a, V> {
    /// The namespace `name`, if it exists.
    pub(crate) fn open(
        draft: Draft<'a, V>,
        group: &GroupRecord,
        name: &Name,
    ) -> Result<Option<Self>, ApplyError<V::Error>> {
        let keys = KeySpace::namespace(draft.at.group, name);
        let namespace = draft.read::<NamespaceRecord>(&keys.single(Kind::Namespace))?;
        Ok(namespace.map(|namespace| Self {
            draft,
            keys,
            name: name.clone(),
            cluster: group.cluster,
            is_dev: group.is_dev,
            queues: Queues::default(),
            found: namespace.clone(),
            namespace,
        }))
    }

    /// Makes the offers, writes the counters back, and gives out what has changed.
    pub(crate) fn close(mut self) -> Result<Changes, ApplyError<V::Error>> {
        self.make_offers()?;
        let key = self.keys.single(Kind::Namespace);
        if self.namespace.fence < self.found.fence {
            return Err(ApplyError::contradiction(key, "the last fence went back"));
        }
        if self.namespace != self.found {
            self.draft.write(key, &self.namespace)?;
        }
        Ok(Changes {
            writes: self.draft.into_writes(),
            offers: self.queues.into_offers(),
        })
    }

    pub(super) fn now(&self) -> ClusterTime {
        self.draft.now
    }

    /// Cluster time, and the term in which it is said.
    pub(super) fn clock(&self) -> ClockRecord {
        ClockRecord {
            now: self.draft.now,
            term: self.draft.at.term,
        }
    }

    pub(super) fn permit(
        &self,
        permit: &PermitId,
    ) -> Result<Option<PermitRecord>, ApplyError<V::Error>> {
        self.draft.read(&self.keys.permit(permit))
    }

    /// A permit that another record names.
    pub(super) fn must_permit(
        &self,
        permit: &PermitId,
    ) -> Result<PermitRecord, ApplyError<V::Error>> {
        self.draft.must_read(&self.keys.permit(permit))
    }
}
