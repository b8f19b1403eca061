//! Reads: typed, pure, over the same [`View`] that [`crate::judge()`] reads.
//!
//! What a read reports is the state of the log: times are compared with cluster time, never with a
//! clock of the node. A listing is paged, at most [`PAGE_MAX`] rows a page.

mod keys;
mod lists;
mod log;
mod sweep;
mod waiting;

pub use keys::Handover;
pub use lists::DoubtPlace;
pub use log::LogHead;
pub(crate) use log::root_of;

use holdpoint_receipt::{
    BoundKey, Caller, ClusterTime, Digest, Fence, IdempotencyKey, Name, NodeId, PermitId,
    PolicyVersion,
};

use crate::codec::records::Record;
use crate::fault::{ApplyError, Corruption};
use crate::key::{KeySpace, Kind, StateKey};
use crate::limits::{PAGE_MAX, SURFACES_MAX};
use crate::outcome::PermitView;
use crate::outline::{SurfaceOutline, Window};
use crate::position::GroupId;
use crate::record::{
    ActivationRecord, AttemptRecord, BundleRecord, ClockRecord, GroupRecord, NamespaceRecord,
    NodeRecord, PermitRecord, TombstoneRecord, UsageRecord,
};
use crate::view::{Row, View};

/// Reads of one group.
#[derive(Debug)]
pub struct Query<'a, V> {
    view: &'a V,
    group: GroupId,
}

/// How much of a capacity, or of one window of a budget, is used.
pub type WindowUsage = (Option<Window>, UsageRecord);

/// Who has a bounded operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The permit that holds it alone; none if it is free, or not held by one at a time.
    pub holder: Option<PermitView>,
    /// For `once`: the effect that was committed and still counts.
    pub tombstone: Option<TombstoneRecord>,
    /// The permit of that effect; none once retention has taken it away.
    pub committed: Option<PermitView>,
}

impl<'a, V: View> Query<'a, V> {
    /// Reads of `group` in `view`.
    #[must_use]
    pub const fn new(view: &'a V, group: GroupId) -> Self {
        Self { view, group }
    }

    fn keys(&self) -> KeySpace {
        KeySpace::group(self.group)
    }

    /// The group; none before it is bootstrapped.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged. The same for every read below.
    pub fn group(&self) -> Result<Option<GroupRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys().single(Kind::Group))
    }

    /// Cluster time; zero before the group is bootstrapped.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn now(&self) -> Result<ClusterTime, ApplyError<V::Error>> {
        Ok(self.clock()?.now)
    }

    /// Cluster time, and the term of the last entry; zeros before the group is bootstrapped.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn clock(&self) -> Result<ClockRecord, ApplyError<V::Error>> {
        let clock = read(self.view, &self.keys().single(Kind::Clock))?;
        Ok(clock.unwrap_or_default())
    }

    /// What `node` announced.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn node(&self, node: NodeId) -> Result<Option<NodeRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys().node(node))
    }

    /// Nodes after `after`, in the order of their ids.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn nodes(
        &self,
        after: Option<NodeId>,
    ) -> Result<Vec<(NodeId, NodeRecord)>, ApplyError<V::Error>> {
        let keys = self.keys();
        let after = after.map(|node| keys.node(node));
        let prefix = keys.prefix(Kind::Node);
        list(self.view, &prefix, after.as_ref(), |key, row| {
            let node = NodeId::new(number_at(key, prefix.len())?);
            let node = node.map_err(|_beyond| unreadable(key))?;
            Ok((node, decode(key, row)?))
        })
    }

    /// One namespace; none if the cluster has no such.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn namespace(
        &self,
        name: &Name,
    ) -> Result<Option<NamespaceQuery<'a, V>>, ApplyError<V::Error>> {
        let keys = KeySpace::namespace(self.group, name);
        let record = read(self.view, &keys.single(Kind::Namespace))?;
        let (view, clock) = (self.view, self.clock()?);
        let (group, name) = (self.group, name.clone());
        Ok(record.map(|record| NamespaceQuery {
            view,
            group,
            name,
            keys,
            clock,
            record,
        }))
    }

    /// Names of namespaces after `after`.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn namespaces(&self, after: Option<&Name>) -> Result<Vec<Name>, ApplyError<V::Error>> {
        let keys = self.keys();
        let after = after.map(|name| keys.namespace_name(name));
        let prefix = keys.prefix(Kind::NamespaceName);
        list(self.view, &prefix, after.as_ref(), |key, _| {
            let text = key
                .as_bytes()
                .get(prefix.len()..)
                .and_then(<[u8]>::split_last);
            let text = text.and_then(|(_, text)| std::str::from_utf8(text).ok());
            text.and_then(|text| Name::new(text).ok())
                .ok_or_else(|| unreadable(key))
        })
    }
}

impl<V: View> Query<'_, V> {
    /// Names of all namespaces.
    pub(crate) fn all_namespaces(&self) -> Result<Vec<Name>, ApplyError<V::Error>> {
        let mut names: Vec<Name> = Vec::new();
        loop {
            let page = self.namespaces(names.last())?;
            let is_last = page.len() < PAGE_MAX;
            names.extend(page);
            if is_last {
                return Ok(names);
            }
        }
    }
}

/// Reads of one namespace.
#[derive(Debug)]
pub struct NamespaceQuery<'a, V> {
    view: &'a V,
    group: GroupId,
    name: Name,
    keys: KeySpace,
    clock: ClockRecord,
    record: NamespaceRecord,
}

impl<V: View> NamespaceQuery<'_, V> {
    /// Its counters and its active policy.
    #[must_use]
    pub const fn record(&self) -> &NamespaceRecord {
        &self.record
    }

    /// Cluster time of this state.
    #[must_use]
    pub const fn now(&self) -> ClusterTime {
        self.clock.now
    }

    /// Cluster time of this state, and the term of its last entry.
    #[must_use]
    pub const fn clock(&self) -> ClockRecord {
        self.clock
    }

    /// A permit as it stands.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn permit(&self, id: &PermitId) -> Result<Option<PermitView>, ApplyError<V::Error>> {
        let record = read::<PermitRecord, V>(self.view, &self.keys.permit(id))?;
        Ok(record.map(|record| PermitView::at(record, self.now())))
    }

    /// The permit with this fence.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn permit_by_fence(
        &self,
        fence: Fence,
    ) -> Result<Option<PermitView>, ApplyError<V::Error>> {
        self.permit_named(&self.keys.fence(fence))
    }

    /// The permit whose id stands under `key`.
    fn permit_named(&self, key: &StateKey) -> Result<Option<PermitView>, ApplyError<V::Error>> {
        match read::<PermitId, V>(self.view, key)? {
            Some(id) => self.must_permit(&id).map(Some),
            None => Ok(None),
        }
    }

    fn must_permit(&self, id: &PermitId) -> Result<PermitView, ApplyError<V::Error>> {
        self.permit(id)?
            .ok_or_else(|| missing(self.keys.permit(id)))
    }

    /// The record of an attempt.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn attempt(
        &self,
        caller: &Caller,
        key: &IdempotencyKey,
    ) -> Result<Option<AttemptRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys.attempt(caller, key))
    }

    /// Who has a bounded operation. A permit that has expired holds nothing.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn operation(
        &self,
        surface: &Name,
        bound: &Name,
        key: &BoundKey,
    ) -> Result<Operation, ApplyError<V::Error>> {
        let holder = self.keys.operation(Kind::Holder, surface, bound, key);
        let holder = self.permit_named(&holder)?;
        let tombstone = self.keys.operation(Kind::Tombstone, surface, bound, key);
        let tombstone = read::<TombstoneRecord, V>(self.view, &tombstone)?
            .filter(|tombstone| tombstone.counts_at(self.now()));
        let committed = match &tombstone {
            Some(tombstone) => self.permit(&tombstone.permit)?,
            None => None,
        };
        let holds = |permit: &PermitView| {
            let held = permit.record.held_at(self.now());
            let mut claims = permit.record.claims.iter();
            claims.any(|claim| claim.name == *bound && held.holds(claim.kind))
        };
        Ok(Operation {
            holder: holder.filter(holds),
            tombstone,
            committed,
        })
    }

    /// How much of a capacity or a budget is used, by window; the oldest window first, at most a page.
    /// Permits that have expired count until an entry has let them go.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn usages(
        &self,
        surface: &Name,
        bound: &Name,
        key: &BoundKey,
    ) -> Result<Vec<WindowUsage>, ApplyError<V::Error>> {
        let prefix = self.keys.operation(Kind::Usage, surface, bound, key);
        let prefix = prefix.as_bytes();
        list(self.view, prefix, None, |key, row| {
            let window = Window {
                length_ms: number_at(key, prefix.len())?,
                start_ms: number_at(key, prefix.len().saturating_add(8))?,
            };
            let window = (window.length_ms > 0).then_some(window);
            Ok((window, decode(key, row)?))
        })
    }

    /// Live permits of a surface after `after`, in the order of their fences.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn live_on(
        &self,
        surface: &Name,
        after: Option<Fence>,
    ) -> Result<Vec<PermitView>, ApplyError<V::Error>> {
        let after = after.map(|fence| self.keys.live(surface, fence));
        let prefix = self.keys.live_on(surface);
        let mut permits = list(self.view, &prefix, after.as_ref(), |key, row| {
            self.must_permit(&decode(key, row)?)
        })?;
        permits.retain(|permit| permit.state.is_live());
        Ok(permits)
    }

    /// A registered bundle.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn bundle(&self, digest: &Digest) -> Result<Option<BundleRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys.bundle(digest))
    }

    /// Registered bundles after `after`, in the order of their digests. A page is small, because a
    /// bundle is not.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn bundles(
        &self,
        after: Option<&Digest>,
    ) -> Result<Vec<(Digest, BundleRecord)>, ApplyError<V::Error>> {
        /// At 384 KiB each, 6 MiB.
        const BUNDLES_PAGE_MAX: usize = 16;
        let after = after.map(|digest| self.keys.bundle(digest));
        let prefix = self.keys.prefix(Kind::Bundle);
        let rows = rows(self.view, &prefix, after.as_ref(), BUNDLES_PAGE_MAX)?;
        rows.iter()
            .map(|(key, row)| {
                let digest = key.as_bytes().get(prefix.len()..);
                let digest = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                let digest = digest.ok_or_else(|| unreadable(key))?;
                Ok((Digest::from_bytes(digest), decode(key, row)?))
            })
            .collect()
    }

    /// The surfaces of a registered bundle, in the order of their names.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn surfaces(&self, digest: &Digest) -> Result<Vec<SurfaceOutline>, ApplyError<V::Error>> {
        let rows = rows(self.view, &self.keys.surfaces(digest), None, SURFACES_MAX)?;
        rows.iter().map(|(key, row)| decode(key, row)).collect()
    }

    /// An activation.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn activation(
        &self,
        version: PolicyVersion,
    ) -> Result<Option<ActivationRecord>, ApplyError<V::Error>> {
        read(self.view, &self.keys.activation(version))
    }

    /// Activations after `after`, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Query::group`].
    pub fn activations(
        &self,
        after: Option<PolicyVersion>,
    ) -> Result<Vec<(PolicyVersion, ActivationRecord)>, ApplyError<V::Error>> {
        let after = after.map(|version| self.keys.activation(version));
        let prefix = self.keys.prefix(Kind::Activation);
        list(self.view, &prefix, after.as_ref(), |key, row| {
            let version = PolicyVersion::new(number_at(key, prefix.len())?);
            let version = version.map_err(|_beyond| unreadable(key))?;
            Ok((version, decode(key, row)?))
        })
    }
}

pub(crate) fn read<R: Record, V: View>(
    view: &V,
    key: &StateKey,
) -> Result<Option<R>, ApplyError<V::Error>> {
    match view.get(key).map_err(ApplyError::View)? {
        Some(bytes) => decode(key, &bytes).map(Some),
        None => Ok(None),
    }
}

fn decode<R: Record, E>(key: &StateKey, bytes: &[u8]) -> Result<R, ApplyError<E>> {
    R::from_bytes(bytes).map_err(|error| ApplyError::Corrupt {
        key: key.clone(),
        corruption: Corruption::Codec(error),
    })
}

fn rows<V: View>(
    view: &V,
    prefix: &[u8],
    after: Option<&StateKey>,
    limit: usize,
) -> Result<Vec<Row>, ApplyError<V::Error>> {
    view.scan(prefix, after, limit).map_err(ApplyError::View)
}

/// One page of a listing.
fn list<T, V: View>(
    view: &V,
    prefix: &[u8],
    after: Option<&StateKey>,
    read: impl Fn(&StateKey, &[u8]) -> Result<T, ApplyError<V::Error>>,
) -> Result<Vec<T>, ApplyError<V::Error>> {
    let rows = rows(view, prefix, after, PAGE_MAX)?;
    rows.iter().map(|(key, row)| read(key, row)).collect()
}

/// The number that stands in `key` at `offset`.
fn number_at<E>(key: &StateKey, offset: usize) -> Result<u64, ApplyError<E>> {
    let bytes = key.as_bytes().get(offset..).and_then(<[u8]>::first_chunk);
    bytes
        .map(|bytes| u64::from_be_bytes(*bytes))
        .ok_or_else(|| unreadable(key))
}

fn unreadable<E>(key: &StateKey) -> ApplyError<E> {
    ApplyError::contradiction(key.clone(), "the key does not name what its kind says")
}

fn missing<E>(key: StateKey) -> ApplyError<E> {
    let corruption = Corruption::Missing;
    ApplyError::Corrupt { key, corruption }
}
