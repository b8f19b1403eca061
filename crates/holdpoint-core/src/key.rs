//! The names of the state's rows.
//!
//! ```text
//! group (4, big endian) | length of the namespace (1) | namespace | kind (1) | what the kind says
//! ```
//!
//! Rows of the group itself have an empty namespace. Numbers are eight bytes, big endian, and texts
//! end with a zero byte (none of ours holds one), so rows of one kind sort by what they name and no
//! key is a prefix of another's part. `docs/reference/log-format.md` draws every kind.

use std::fmt;

use holdpoint_receipt::{
    BoundKey, Caller, ClusterTime, Digest, Fence, IdempotencyKey, Name, NodeId, PermitId,
    PolicyVersion, SessionId,
};

use crate::position::GroupId;

/// The name of one row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey(Vec<u8>);

impl StateKey {
    /// Takes bytes that a store read back.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, as a store keeps them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, taken out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// What the key says; none if this is not a key of ours.
    #[must_use]
    pub fn parts(&self) -> Option<KeyParts<'_>> {
        let (group, rest) = self.0.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (namespace, rest) = rest.split_at_checked(usize::from(*length))?;
        let (kind, rest) = rest.split_first()?;
        Some(KeyParts {
            group: GroupId(u32::from_be_bytes(*group)),
            namespace: std::str::from_utf8(namespace).ok()?,
            kind: Kind::from_byte(*kind)?,
            rest,
        })
    }
}

/// What a key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// The group.
    pub group: GroupId,
    /// The namespace; empty for rows of the group itself.
    pub namespace: &'a str,
    /// What the row is about.
    pub kind: Kind,
    /// What follows the kind.
    pub rest: &'a [u8],
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Printable bytes as they are, all others as `\xNN`.
impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $byte:literal;)*) => {
        /// What a row is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $byte,)*
        }

        impl Kind {
            /// Every kind, in the order of the bytes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// The group: cluster, epoch, voters, feature level. One row, without a namespace.
    Group = 0x01;
    /// Cluster time. One row, without a namespace.
    Clock = 0x02;
    /// What a node announced, by node id; without a namespace.
    Node = 0x03;
    /// That a namespace exists, by name; without a namespace of its own.
    NamespaceName = 0x04;
    /// The counters of a namespace and its active policy. One row.
    Namespace = 0x10;
    /// A policy bundle, by digest.
    Bundle = 0x11;
    /// What `judge` knows of one surface of a bundle, by digest and surface.
    Surface = 0x12;
    /// An activation, by version.
    Activation = 0x13;
    /// Where statements name a bundle, by digest; none that no statement has named.
    BundleUse = 0x14;
    /// The activations of a bundle under which permits may be kept, by digest and version.
    BundleActivation = 0x15;
    /// An attempt, by caller and idempotency key.
    Attempt = 0x20;
    /// Attempts by the time until which they are kept.
    AttemptEnd = 0x21;
    /// An attempt that waits for bounds, by caller and idempotency key.
    Waiter = 0x22;
    /// The waiting attempts of a bounded operation, by ticket.
    Queue = 0x23;
    /// Waiting attempts by the time at which their ticket or their offer ends.
    WaiterEnd = 0x24;
    /// A permit, by id.
    Permit = 0x30;
    /// The id of a permit, by fence.
    Fence = 0x31;
    /// The ids of the live permits of a surface, by fence.
    Live = 0x32;
    /// The ids of issued permits, by the time at which they expire.
    Expiry = 0x33;
    /// The ids of permits that are or will be in doubt, by the time from which they are.
    Doubt = 0x34;
    /// The ids of ended permits that keep their bounds, by the time until which they do.
    HeldEnd = 0x35;
    /// The ids of redeemed permits whose bounds are to be released, by the time.
    ReleaseAt = 0x36;
    /// The ids of permits that retention has passed over, by the time until which they are kept.
    PermitEnd = 0x37;
    /// The id of the permit that holds a bounded operation, for `exclusive` and `once`.
    Holder = 0x40;
    /// The permit whose effect on a bounded operation was committed, for `once`.
    Tombstone = 0x41;
    /// What the tombstones of one bound rest on.
    Once = 0x42;
    /// How much of a capacity or of one window of a budget is used.
    Usage = 0x43;
    /// The ids of issued permits that use a capacity or a budget, by the time at which they expire.
    Holding = 0x44;
    /// Tombstones by the time from which they no longer count.
    TombstoneEnd = 0x45;
    /// Usages of budgets by the end of their window.
    UsageEnd = 0x46;
    /// Size and frontier of the namespace's log of statements. One row.
    Tree = 0x50;
    /// A statement, by leaf index.
    Leaf = 0x51;
    /// The hash of a complete subtree of the log, by level and place.
    Subtree = 0x52;
    /// What a statement only commits to, by leaf index: erasable.
    Disclosure = 0x53;
    /// Who signs heads from a tree size on, by that size.
    Epoch = 0x54;
    /// A mark on compromised keys, by the leaf of its statement.
    KeyRevocation = 0x55;
    /// A decision that a node disputes, by its leaf.
    Dispute = 0x56;
    /// An approval, by quorum, subject and approver.
    Approval = 0x60;
    /// Approvals by the time until which they are kept.
    ApprovalEnd = 0x61;
    /// A request that is listed for approval, by its digest.
    Pending = 0x62;
    /// The digests of the listed requests that a subject would help, by subject.
    PendingSubject = 0x63;
    /// Listed requests by the time until which they are.
    PendingEnd = 0x64;
    /// A session, by its name.
    Session = 0x70;
    /// Sessions by their last use.
    SessionEnd = 0x71;
}

/// Makes the keys of one namespace of one group, or of the group itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpace {
    prefix: Vec<u8>,
}

impl KeySpace {
    /// The rows of the group itself.
    #[must_use]
    pub fn group(group: GroupId) -> Self {
        Self::named(group, "")
    }

    /// The rows of one namespace.
    #[must_use]
    pub fn namespace(group: GroupId, namespace: &Name) -> Self {
        Self::named(group, namespace.as_str())
    }

    pub(crate) fn named(group: GroupId, namespace: &str) -> Self {
        let mut prefix = group.0.to_be_bytes().to_vec();
        // A `Name` has at most 64 bytes (`limits` asserts that this fits), so nothing is cut off.
        prefix.push(u8::try_from(namespace.len()).unwrap_or(u8::MAX));
        prefix.extend_from_slice(namespace.as_bytes());
        Self { prefix }
    }

    /// The beginning of every key of a kind.
    #[must_use]
    pub fn prefix(&self, kind: Kind) -> Vec<u8> {
        self.key(kind).finish().into_bytes()
    }

    fn key(&self, kind: Kind) -> KeyBuilder {
        let mut bytes = Vec::with_capacity(self.prefix.len().saturating_add(48));
        bytes.extend_from_slice(&self.prefix);
        bytes.push(kind as u8);
        KeyBuilder(bytes)
    }

    /// [`Kind::Group`], [`Kind::Clock`], [`Kind::Namespace`] or [`Kind::Tree`]: one row.
    #[must_use]
    pub fn single(&self, kind: Kind) -> StateKey {
        self.key(kind).finish()
    }

    /// [`Kind::Node`].
    #[must_use]
    pub fn node(&self, node: NodeId) -> StateKey {
        self.key(Kind::Node).number(node.get()).finish()
    }

    /// [`Kind::NamespaceName`].
    #[must_use]
    pub fn namespace_name(&self, namespace: &Name) -> StateKey {
        self.key(Kind::NamespaceName)
            .text(namespace.as_str())
            .finish()
    }

    /// [`Kind::Bundle`].
    #[must_use]
    pub fn bundle(&self, digest: &Digest) -> StateKey {
        self.key(Kind::Bundle).bytes(digest.as_bytes()).finish()
    }

    /// The beginning of the keys of the surfaces of one bundle.
    #[must_use]
    pub fn surfaces(&self, digest: &Digest) -> Vec<u8> {
        self.key(Kind::Surface)
            .bytes(digest.as_bytes())
            .finish()
            .into_bytes()
    }

    /// [`Kind::Surface`].
    #[must_use]
    pub fn surface(&self, digest: &Digest, surface: &Name) -> StateKey {
        let key = self.key(Kind::Surface).bytes(digest.as_bytes());
        key.text(surface.as_str()).finish()
    }

    /// [`Kind::BundleUse`].
    #[must_use]
    pub fn bundle_use(&self, digest: &Digest) -> StateKey {
        self.key(Kind::BundleUse).bytes(digest.as_bytes()).finish()
    }

    /// The beginning of the keys of the activations of one bundle.
    #[must_use]
    pub fn bundle_activations(&self, digest: &Digest) -> Vec<u8> {
        let key = self.key(Kind::BundleActivation);
        key.bytes(digest.as_bytes()).finish().into_bytes()
    }

    /// [`Kind::BundleActivation`].
    #[must_use]
    pub fn bundle_activation(&self, digest: &Digest, version: PolicyVersion) -> StateKey {
        let key = KeyBuilder(self.bundle_activations(digest));
        key.number(version.get()).finish()
    }

    /// [`Kind::Activation`].
    #[must_use]
    pub fn activation(&self, version: PolicyVersion) -> StateKey {
        self.key(Kind::Activation).number(version.get()).finish()
    }

    /// [`Kind::Attempt`].
    #[must_use]
    pub fn attempt(&self, caller: &Caller, key: &IdempotencyKey) -> StateKey {
        let start = self.key(Kind::Attempt).text(caller.as_str());
        start.text(key.as_str()).finish()
    }

    /// [`Kind::AttemptEnd`].
    #[must_use]
    pub fn attempt_end(
        &self,
        kept_until: ClusterTime,
        caller: &Caller,
        key: &IdempotencyKey,
    ) -> StateKey {
        let start = self.key(Kind::AttemptEnd).number(kept_until.get());
        start.text(caller.as_str()).text(key.as_str()).finish()
    }

    /// The row of an index of ends (`kind`) for the row whose key ends in `named`.
    #[must_use]
    pub fn end_of(&self, kind: Kind, at: ClusterTime, named: &[u8]) -> StateKey {
        self.key(kind).number(at.get()).bytes(named).finish()
    }

    /// The first key of an index by time (`kind`) that a time after `at` can have.
    #[must_use]
    pub fn after(&self, kind: Kind, at: ClusterTime) -> StateKey {
        self.key(kind).number(at.get().saturating_add(1)).finish()
    }

    /// The row of `kind` whose key ends in `named`, as [`KeySpace::end_of`] was given it.
    #[must_use]
    pub fn named_row(&self, kind: Kind, named: &[u8]) -> StateKey {
        self.key(kind).bytes(named).finish()
    }

    /// [`Kind::Waiter`].
    #[must_use]
    pub fn waiter(&self, caller: &Caller, key: &IdempotencyKey) -> StateKey {
        let start = self.key(Kind::Waiter).text(caller.as_str());
        start.text(key.as_str()).finish()
    }

    /// The beginning of the keys of the queue of one bounded operation.
    #[must_use]
    pub fn queue_of(&self, surface: &Name, bound: &Name, key: &BoundKey) -> Vec<u8> {
        self.operation(Kind::Queue, surface, bound, key)
            .into_bytes()
    }

    /// [`Kind::Queue`].
    #[must_use]
    pub fn queue(&self, surface: &Name, bound: &Name, key: &BoundKey, ticket: u64) -> StateKey {
        let start = KeyBuilder(self.queue_of(surface, bound, key));
        start.number(ticket).finish()
    }

    /// [`Kind::WaiterEnd`].
    #[must_use]
    pub fn waiter_end(&self, at: ClusterTime, ticket: u64) -> StateKey {
        let key = self.key(Kind::WaiterEnd).number(at.get());
        key.number(ticket).finish()
    }

    /// [`Kind::Usage`]: of the window that starts at `window_start`, whose length is `window_ms`;
    /// both are zero for a capacity.
    #[must_use]
    pub fn usage(&self, operation: &StateKey, window_ms: u64, window_start: u64) -> StateKey {
        let key = KeyBuilder(operation.as_bytes().to_vec());
        key.number(window_ms).number(window_start).finish()
    }

    /// [`Kind::Holding`]: as [`KeySpace::usage`], of the permit with `fence`.
    #[must_use]
    pub fn holding(usage: &StateKey, expires_at: ClusterTime, fence: Fence) -> StateKey {
        let key = KeyBuilder(usage.as_bytes().to_vec());
        key.number(expires_at.get()).number(fence.get()).finish()
    }

    /// [`Kind::Approval`].
    #[must_use]
    pub fn approval(&self, quorum: &Name, subject: &Digest, approver: &Caller) -> StateKey {
        let key = KeyBuilder(self.approvals_of(quorum, subject));
        key.text(approver.as_str()).finish()
    }

    /// The beginning of the keys of the approvals of one subject.
    #[must_use]
    pub fn approvals_of(&self, quorum: &Name, subject: &Digest) -> Vec<u8> {
        let key = self.key(Kind::Approval).text(quorum.as_str());
        key.bytes(subject.as_bytes()).finish().into_bytes()
    }

    /// [`Kind::Pending`].
    #[must_use]
    pub fn pending(&self, request: &Digest) -> StateKey {
        self.key(Kind::Pending).bytes(request.as_bytes()).finish()
    }

    /// The beginning of the keys of the requests that one subject would help.
    #[must_use]
    pub fn pending_of(&self, subject: &Digest) -> Vec<u8> {
        let key = self.key(Kind::PendingSubject);
        key.bytes(subject.as_bytes()).finish().into_bytes()
    }

    /// [`Kind::PendingSubject`].
    #[must_use]
    pub fn pending_subject(&self, subject: &Digest, request: &Digest) -> StateKey {
        let key = KeyBuilder(self.pending_of(subject));
        key.bytes(request.as_bytes()).finish()
    }

    /// [`Kind::Session`].
    #[must_use]
    pub fn session(&self, session: &SessionId) -> StateKey {
        self.key(Kind::Session).text(session.as_str()).finish()
    }

    /// [`Kind::Permit`].
    #[must_use]
    pub fn permit(&self, permit: &PermitId) -> StateKey {
        self.key(Kind::Permit).bytes(permit.as_bytes()).finish()
    }

    /// [`Kind::Fence`].
    #[must_use]
    pub fn fence(&self, fence: Fence) -> StateKey {
        self.key(Kind::Fence).number(fence.get()).finish()
    }

    /// The beginning of the keys of the live permits of a surface.
    #[must_use]
    pub fn live_on(&self, surface: &Name) -> Vec<u8> {
        self.key(Kind::Live)
            .text(surface.as_str())
            .finish()
            .into_bytes()
    }

    /// [`Kind::Live`].
    #[must_use]
    pub fn live(&self, surface: &Name, fence: Fence) -> StateKey {
        let key = self.key(Kind::Live).text(surface.as_str());
        key.number(fence.get()).finish()
    }

    /// [`Kind::Expiry`], [`Kind::Doubt`], [`Kind::HeldEnd`], [`Kind::ReleaseAt`] or
    /// [`Kind::PermitEnd`].
    #[must_use]
    pub fn due(&self, kind: Kind, at: ClusterTime, fence: Fence) -> StateKey {
        self.key(kind).number(at.get()).number(fence.get()).finish()
    }

    /// [`Kind::Holder`] or [`Kind::Tombstone`]; for [`Kind::Queue`], [`Kind::Usage`] and
    /// [`Kind::Holding`] the beginning of the key.
    #[must_use]
    pub fn operation(&self, kind: Kind, surface: &Name, bound: &Name, key: &BoundKey) -> StateKey {
        let start = self.key(kind).text(surface.as_str());
        start.text(bound.as_str()).text(key.as_str()).finish()
    }

    /// The beginning of the keys of the `once` bounds of a surface.
    #[must_use]
    pub fn once_on(&self, surface: &Name) -> Vec<u8> {
        self.key(Kind::Once)
            .text(surface.as_str())
            .finish()
            .into_bytes()
    }

    /// [`Kind::Once`].
    #[must_use]
    pub fn once(&self, surface: &Name, bound: &Name) -> StateKey {
        let key = self.key(Kind::Once).text(surface.as_str());
        key.text(bound.as_str()).finish()
    }

    /// [`Kind::Leaf`], [`Kind::Disclosure`], [`Kind::KeyRevocation`] or [`Kind::Dispute`]; for
    /// [`Kind::Epoch`] its first tree size.
    #[must_use]
    pub fn at_leaf(&self, kind: Kind, leaf_index: u64) -> StateKey {
        self.key(kind).number(leaf_index).finish()
    }

    /// [`Kind::Subtree`].
    #[must_use]
    pub fn subtree(&self, level: u8, place: u64) -> StateKey {
        self.key(Kind::Subtree)
            .bytes(&[level])
            .number(place)
            .finish()
    }
}

struct KeyBuilder(Vec<u8>);

impl KeyBuilder {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn text(self, text: &str) -> Self {
        debug_assert!(
            !text.as_bytes().contains(&0),
            "texts of ours hold no zero byte"
        );
        self.bytes(text.as_bytes()).bytes(&[0])
    }

    fn finish(self) -> StateKey {
        StateKey(self.0)
    }
}
