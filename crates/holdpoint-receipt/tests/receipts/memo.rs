//! Signatures that are verified once for many receipts.

use std::sync::Arc;

use holdpoint_receipt::verify;
use holdpoint_receipt::verify::ProvenNotes;

use crate::fixture::{epoch, key_set, key_set_of, permit_receipt, whole_log};

#[test]
fn receipts_under_one_head_verify_as_they_do_alone() {
    let (log, keys, notes) = (whole_log(), Arc::new(key_set()), ProvenNotes::default());
    for leaf in 0..log.frontier.size() {
        let file = log.receipt(leaf, &[1]).to_file();
        let alone = verify(file.as_bytes(), &keys);
        assert_eq!(notes.verify(file.as_bytes(), &keys), alone);
        assert!(alone.is_ok());
    }
}

/// What is remembered of a genuine receipt helps no other bytes.
#[test]
fn changed_receipt_is_refused_for_the_same_reason_when_the_genuine_one_is_known() {
    let (keys, notes) = (Arc::new(key_set()), ProvenNotes::default());
    let file = permit_receipt().to_file().into_bytes();
    assert!(notes.verify(&file, &keys).is_ok());
    for place in 0..file.len() {
        let mut changed = file.clone();
        for bit in [0, 1, 4] {
            changed[place] = file[place] ^ (1 << bit);
            let found = notes.verify(&changed, &keys);
            assert!(found.is_err(), "bit {bit} of byte {place}");
            assert_eq!(found, verify(&changed, &keys));
        }
    }
}

#[test]
fn head_that_is_known_under_one_key_set_is_verified_anew_under_another() {
    let notes = ProvenNotes::default();
    let file = permit_receipt().to_file().into_bytes();
    let others = Arc::new(key_set_of(vec![epoch(0, 1, &[2, 3])]));
    for _ in 0..2 {
        assert!(notes.verify(&file, &Arc::new(key_set())).is_ok());
        let refused = notes.verify(&file, &others);
        assert_eq!(refused, verify(&file, &others));
        assert!(refused.is_err());
    }
}
