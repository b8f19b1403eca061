//! Which keys of a node the replicated state names, and for how long it may still ask for them.

use holdpoint_core::record::SignerRecord;
use holdpoint_core::{ApplyError, Query, View};
use holdpoint_receipt::NodeId;
use holdpoint_receipt::keys::NodePublicKeys;
use holdpoint_storage::StoreError;

use super::generations::is;

/// What the replicated state says of one node's keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedKeys {
    /// Those that the cluster knows the node by; none before it knows it.
    pub(crate) present: Option<SignerRecord>,
    /// Every pair in an epoch of any namespace, and the present one.
    all: Vec<SignerRecord>,
    /// Those of the epochs that heads are signed under: the newest of each namespace, and until it is
    /// handed over to, the one before it.
    signing: Vec<SignerRecord>,
}

impl NamedKeys {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or is damaged.
    pub(crate) fn read<V: View<Error = StoreError>>(
        state: &Query<'_, V>,
        node: NodeId,
    ) -> Result<Self, ApplyError<StoreError>> {
        let present = state.node(node)?.map(|known| SignerRecord {
            node,
            log_key: known.log_key,
            cosign_key: known.cosign_key,
        });
        let mut named = Self {
            present,
            all: present.into_iter().collect(),
            signing: Vec::new(),
        };
        let own = |signers: &[SignerRecord]| signers.iter().find(|it| it.node == node).copied();
        for name in state.namespaces(None)? {
            let Some(log) = state.namespace(&name)? else {
                continue;
            };
            let epochs = log.epochs()?;
            named
                .all
                .extend(epochs.iter().filter_map(|(_, epoch)| own(&epoch.signers)));
            let newest = epochs.last().and_then(|(_, epoch)| own(&epoch.signers));
            named.signing.extend(newest);
            if let Some(handover) = log.handover()? {
                named.signing.extend(own(&handover.old.1.signers));
            }
        }
        Ok(named)
    }

    /// Whether the state names this pair, now or in the past.
    pub(crate) fn names(&self, pair: &NodePublicKeys) -> bool {
        self.all.iter().any(|named| is(pair, named))
    }

    /// Whether the state named this pair and will not ask for it again.
    pub(crate) fn is_done_with(&self, pair: &NodePublicKeys) -> bool {
        let is_present = self.present.is_some_and(|named| is(pair, &named));
        let is_signing = self.signing.iter().any(|named| is(pair, named));
        self.names(pair) && !is_present && !is_signing
    }
}
