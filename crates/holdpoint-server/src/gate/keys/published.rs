//! Reads of who signs: the published set with what links its epochs, and the list for operators.

use holdpoint_core::View;
use holdpoint_core::query::NamespaceQuery;
use holdpoint_core::record::SignerRecord;
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_proto::v1;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::note::Note;
use holdpoint_receipt::{Caller, Name, Proof, Reason, Receipt, Statement};
use holdpoint_storage::StoreError;

use super::{Gate, shown};
use crate::admit::Admitted;
use crate::evaluate::ReadFault;
use crate::gate::fault;
use crate::refused::Refused;

impl Gate {
    /// The published key set, and the proofs by which an earlier one leads to it.
    pub(crate) async fn export_keys(
        &self,
        _caller: Caller,
        (): (),
        admitted: &Admitted,
    ) -> Result<v1::ExportKeysResponse, Refused> {
        self.published_keys(admitted).await
    }

    /// The same, for this node itself.
    pub(crate) async fn published_keys(
        &self,
        admitted: &Admitted,
    ) -> Result<v1::ExportKeysResponse, Refused> {
        self.read_index(admitted).await?;
        let namespace = Name::new(NAMESPACE_DEFAULT).map_err(|error| fault(&error))?;
        let found = self.look(admitted, move |state| {
            let Some(log) = state.namespace(&namespace)? else {
                return Ok(None);
            };
            let Some(keys) = log.key_set()? else {
                return Ok(None);
            };
            Ok(Some((keys.to_file().into_bytes(), links(&log)?)))
        });
        let (keys_json, links) = found.await?.ok_or_else(|| {
            Refused::never(Reason::NoSignatures)
                .saying("Too few nodes have announced their keys yet; ask again in a moment.")
        })?;
        let links = links.into_iter().map(|file| v1::Receipt { file });
        Ok(v1::ExportKeysResponse {
            keys_json,
            refusal: None,
            links: links.collect(),
        })
    }

    /// Who signs a namespace's log, and who signed it.
    pub(crate) async fn list_keys(
        &self,
        _caller: Caller,
        namespace: Name,
        admitted: &Admitted,
    ) -> Result<v1::ListKeysResponse, Refused> {
        self.read_index(admitted).await?;
        let read = self.look(admitted, move |state| {
            let Some(log) = state.namespace(&namespace)? else {
                return Ok(None);
            };
            let group = state.group()?;
            let voters = group.map_or_else(Vec::new, |group| group.voters);
            let epochs = log.epochs()?;
            let newest = epochs.last().map(|(_, epoch)| epoch);
            let mut nodes = Vec::new();
            for (node, record) in state.nodes(None)? {
                let keys = SignerRecord {
                    node,
                    log_key: record.log_key,
                    cosign_key: record.cosign_key,
                };
                nodes.push(v1::NodeSigning {
                    keys: Some(shown(&keys)),
                    signs: newest.is_some_and(|epoch| epoch.signers.contains(&keys)),
                    retired: record.retired,
                    voter: voters.contains(&node),
                });
            }
            let marks = log
                .revocations()?
                .into_iter()
                .map(|(leaf, mark)| v1::KeyMark {
                    keys: Some(shown(&mark.signer)),
                    valid_to: mark.valid_to,
                    recorded_at: leaf,
                });
            let shown_epochs = epochs.iter().map(|(from, epoch)| v1::SignerEpoch {
                tree_size_from: *from,
                signers_needed: epoch.signers_needed,
                signers: epoch.signers.iter().map(shown).collect(),
                leaf: epoch.leaf,
                handed_over: *from == 0 || epoch.handover.is_some(),
            });
            Ok(Some(v1::ListKeysResponse {
                nodes,
                epochs: shown_epochs.collect(),
                marks: marks.collect(),
                signers_required: state.signers_required()?.unwrap_or(0),
                handover_pending: log.handover()?.is_some(),
                tree_size: log.head()?.size,
                refusal: None,
            }))
        });
        read.await?
            .ok_or_else(|| Refused::never(Reason::UnknownNamespace))
    }
}

/// For each epoch that was handed over to, the receipt of its statement under the head that hands
/// over. One whose statement retention has removed is left out: its place in the log is proved, what
/// it says is not.
fn links<V: View<Error = StoreError>>(
    log: &NamespaceQuery<'_, V>,
) -> Result<Vec<Vec<u8>>, ReadFault> {
    let mut links = Vec::new();
    for (_, epoch) in log.epochs()? {
        let Some(note) = epoch.handover.as_deref() else {
            continue;
        };
        let note = str::from_utf8(note)
            .ok()
            .and_then(|text| text.parse::<Note>().ok());
        let Some(checkpoint) = note else { continue };
        let Ok(head) = checkpoint.text().parse::<Checkpoint>() else {
            continue;
        };
        let Some(stated) = log.statement(epoch.leaf)? else {
            continue;
        };
        let Ok(statement) = Statement::parse(&stated.bytes) else {
            continue;
        };
        let Some(hashes) = log.inclusion(epoch.leaf, head.size.get())? else {
            continue;
        };
        let receipt = Receipt {
            statement,
            proof: Proof {
                leaf_index: epoch.leaf,
                tree_size: head.size,
                hashes,
            },
            checkpoint,
        };
        links.push(receipt.to_file().into_bytes());
    }
    Ok(links)
}
