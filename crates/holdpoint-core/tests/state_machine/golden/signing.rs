//! The commands and rows of who signs, and of what is done about decisions that were made.

use holdpoint_core::Command;
use holdpoint_core::command::{
    DecisionName, Dispute, Erase, RecordHandover, RequireSigners, RetireKeys, RevokeKeys,
    RotateKeys,
};
use holdpoint_core::record::{DisputeRecord, EpochRecord, KeyRevocationRecord, SignerRecord};

use super::records::record;
use super::{DIGEST, PERMIT, SALT};
use crate::world::{caller, default_namespace, node, time};

const SIGNER: ([u8; 32], [u8; 32]) = ([0xd1; 32], [0xd2; 32]);

fn signer() -> SignerRecord {
    SignerRecord {
        node: node(2),
        log_key: SIGNER.0,
        cosign_key: SIGNER.1,
    }
}

pub(super) fn commands() -> Vec<(&'static str, Command)> {
    let rotate = RotateKeys {
        node: node(2),
        log_key: [0xa2; 32],
        cosign_key: [0xa3; 32],
        expected_log_key: SIGNER.0,
        expected_cosign_key: SIGNER.1,
        principal: caller("admin"),
        salt: SALT,
    };
    let retire = RetireKeys {
        node: node(2),
        principal: caller("admin"),
        salt: SALT,
    };
    let revoke = RevokeKeys {
        node: node(2),
        log_key: SIGNER.0,
        cosign_key: SIGNER.1,
        valid_to: 280,
        principal: caller("admin"),
        salt: SALT,
    };
    let require = RequireSigners {
        signers: Some(2),
        principal: caller("admin"),
        salt: SALT,
    };
    let handover = RecordHandover {
        namespace: default_namespace(),
        tree_size_from: 299,
        note: b"note".to_vec(),
    };
    let dispute = Dispute {
        namespace: default_namespace(),
        leaf: 300,
        node: node(2),
        evaluator_version: 1,
        salt: SALT,
    };
    let erase = |decision, reason_commitment| {
        Command::Erase(Erase {
            namespace: default_namespace(),
            decision,
            principal: caller("admin"),
            reason_commitment,
            salt: SALT,
        })
    };
    vec![
        ("rotate keys", Command::RotateKeys(rotate)),
        ("retire keys", Command::RetireKeys(retire)),
        ("revoke keys", Command::RevokeKeys(revoke)),
        ("require signers", Command::RequireSigners(require)),
        ("record handover", Command::RecordHandover(handover)),
        ("dispute", Command::Dispute(dispute)),
        (
            "erase a permit's",
            erase(DecisionName::Permit(PERMIT), Some(DIGEST)),
        ),
        ("erase a denial's", erase(DecisionName::Leaf(300), None)),
    ]
}

pub(super) fn records() -> Vec<(&'static str, Vec<u8>)> {
    let epoch = EpochRecord {
        signers_needed: 1,
        signers: vec![signer()],
        leaf: 298,
        handover: Some(b"note".to_vec()),
    };
    let mark = KeyRevocationRecord {
        signer: signer(),
        valid_to: 280,
    };
    let dispute = DisputeRecord {
        node: node(2),
        evaluator_version: 1,
        disputed_at: time(5_000),
        leaf: 303,
        receipt: DIGEST,
    };
    vec![
        record("epoch", &epoch),
        record("key revocation", &mark),
        record("disputed decision", &dispute),
    ]
}
