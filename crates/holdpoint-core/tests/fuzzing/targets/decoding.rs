//! Bytes from a disk or a peer: what decodes is what these very bytes encode.

use holdpoint_core::codec::records::{Present, Record};
use holdpoint_core::codec::{self, CodecError};
use holdpoint_core::outline::SurfaceOutline;
use holdpoint_core::record::{
    ActivationRecord, ApprovalRecord, AttemptRecord, BundleRecord, BundleUseRecord, ClockRecord,
    DisclosureRecord, DisputeRecord, EpochRecord, GroupRecord, KeyRevocationRecord, LeafRecord,
    NamespaceRecord, NodeRecord, OnceRecord, PendingRecord, PermitRecord, QueueRecord,
    SessionRecord, TombstoneRecord, TreeRecord, UsageRecord, WaiterRecord,
};
use holdpoint_core::{Entry, GroupId, MapView, StateKey, apply};
use holdpoint_receipt::{ClusterTime, Digest, PermitId, Statement};

/// Reads `data` as everything that has an encoding.
///
/// # Panics
///
/// If something decodes that is not encoded so, or an entry that decodes has no meaning.
pub(crate) fn decode(data: &[u8]) {
    comes_back(data, codec::decode_entry, codec::encode_entry);
    comes_back(data, codec::decode_outcome, codec::encode_outcome);
    comes_back(data, codec::decode_evaluation, codec::encode_evaluation);
    comes_back(data, codec::decode_command, codec::encode_command);
    decode_records(data);
    let key = StateKey::from_bytes(data.to_vec());
    if key.parts().is_some() {
        assert_eq!(key.as_bytes(), data);
    }
    if let Ok(statement) = Statement::parse(data) {
        assert_eq!(statement.to_canonical().as_bytes(), data);
    }
    if let Ok(entry) = codec::decode_entry(data) {
        let applied = apply(&MapView::new(), 1, 1, &entry).expect("an empty state has no faults");
        assert_eq!(applied.outcomes.len(), entry.commands.len());
    }
    if let Ok(command) = codec::decode_command(data) {
        let entry = Entry {
            group: GroupId::FIRST,
            time: ClusterTime::default(),
            commands: vec![command],
        };
        apply(&MapView::new(), 1, 1, &entry).expect("an empty state has no faults");
    }
}

fn comes_back<T>(
    data: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, CodecError>,
) {
    if let Ok(value) = decode(data) {
        let bytes = encode(&value).expect("what was read can be written");
        assert_eq!(bytes, data, "a value has one encoding");
    }
}

fn decode_records(data: &[u8]) {
    record::<GroupRecord>(data);
    record::<ClockRecord>(data);
    record::<NodeRecord>(data);
    record::<NamespaceRecord>(data);
    record::<BundleRecord>(data);
    record::<SurfaceOutline>(data);
    record::<ActivationRecord>(data);
    record::<AttemptRecord>(data);
    record::<WaiterRecord>(data);
    record::<QueueRecord>(data);
    record::<PermitRecord>(data);
    record::<TombstoneRecord>(data);
    record::<OnceRecord>(data);
    record::<UsageRecord>(data);
    record::<TreeRecord>(data);
    record::<LeafRecord>(data);
    record::<DisclosureRecord>(data);
    record::<EpochRecord>(data);
    record::<KeyRevocationRecord>(data);
    record::<DisputeRecord>(data);
    record::<BundleUseRecord>(data);
    record::<ApprovalRecord>(data);
    record::<PendingRecord>(data);
    record::<SessionRecord>(data);
    record::<PermitId>(data);
    record::<Digest>(data);
    record::<Present>(data);
}

fn record<R: Record>(data: &[u8]) {
    comes_back(data, R::from_bytes, R::to_bytes);
}
