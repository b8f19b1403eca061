//! Keys, and what is done about decisions that were made.

use holdpoint_core::Command;
use holdpoint_core::command::{
    DecisionName, Dispute, Erase, RecordHandover, RequireSigners, RetireKeys, RevokeKeys,
    RotateKeys,
};

use super::permit_id;
use crate::model::Op;
use crate::world::{self, World, caller, default_namespace, node};

pub(super) fn command(world: &mut World, op: &Op) -> Command {
    let principal = caller("root");
    let salt = world.salt();
    let namespace = default_namespace();
    match op {
        Op::Announce { node, keys } => Command::AnnounceNode(world::announce(*node, *keys)),
        Op::Rotate {
            node,
            keys,
            expected,
        } => Command::RotateKeys(rotate(world, *node, *keys, *expected)),
        Op::Retire(id) => Command::RetireKeys(RetireKeys {
            node: node(*id),
            principal,
            salt,
        }),
        Op::Mark { signer, to } => {
            let signer = world::signer(signer.0, signer.1);
            Command::RevokeKeys(RevokeKeys {
                node: signer.node,
                log_key: signer.log_key,
                cosign_key: signer.cosign_key,
                valid_to: *to,
                principal,
                salt,
            })
        }
        Op::Require(signers) => Command::RequireSigners(RequireSigners {
            signers: *signers,
            principal,
            salt,
        }),
        Op::HandOver {
            from,
            size,
            signers,
            is_forged,
        } => Command::RecordHandover(RecordHandover {
            namespace,
            tree_size_from: *from,
            note: world.note(*size, signers, *is_forged),
        }),
        Op::Dispute {
            leaf,
            node: id,
            evaluator,
        } => Command::Dispute(Dispute {
            namespace,
            leaf: *leaf,
            node: node(*id),
            evaluator_version: *evaluator,
            salt,
        }),
        Op::Erase(_) | Op::EraseAt(_) => Command::Erase(Erase {
            namespace,
            decision: match op {
                Op::EraseAt(leaf) => DecisionName::Leaf(*leaf),
                Op::Erase(fence) => DecisionName::Permit(permit_id(*fence)),
                other => unreachable!("{other:?} erases nothing"),
            },
            principal,
            reason_commitment: None,
            salt,
        }),
        other => unreachable!("{other:?} is proposed elsewhere"),
    }
}

fn rotate(world: &mut World, id: u64, keys: u64, expected: u64) -> RotateKeys {
    let (fresh, expected) = (world::signer(id, keys), world::signer(id, expected));
    RotateKeys {
        node: fresh.node,
        log_key: fresh.log_key,
        cosign_key: fresh.cosign_key,
        expected_log_key: expected.log_key,
        expected_cosign_key: expected.cosign_key,
        principal: caller("root"),
        salt: world.salt(),
    }
}
