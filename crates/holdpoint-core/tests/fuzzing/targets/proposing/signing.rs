//! Who signs, and what is done about decisions that were made.

use holdpoint_core::Command;
use holdpoint_core::command::{
    AnnounceNode, DecisionName, Dispute, Erase, RecordHandover, RequireSigners, RetireKeys,
    RevokeKeys, RotateKeys,
};
use holdpoint_receipt::checkpoint::{Checkpoint, Origin};
use holdpoint_receipt::{ClusterId, NodeId, NodeSecretKeys, SecretKey, TreeSize};

use super::{Leader, caller, name, salt};
use crate::targets::source::Source;

/// The pair of keys with this number.
fn pair(number: u8) -> NodeSecretKeys {
    let secret = |role| SecretKey::from_seed(&[number.wrapping_mul(2).wrapping_add(role); 32]);
    NodeSecretKeys::new(secret(0), secret(1)).expect("two keys")
}

fn public(number: u8) -> ([u8; 32], [u8; 32]) {
    let public = pair(number).public();
    (*public.log.as_bytes(), *public.cosign.as_bytes())
}

fn number(source: &mut Source<'_>) -> u8 {
    u8::try_from(source.below(8)).expect("few")
}

fn node(number: u8) -> NodeId {
    NodeId::new(u64::from(number % 4) + 1).expect("not zero")
}

impl Leader<'_> {
    pub(super) fn about_signers(&self, source: &mut Source<'_>) -> Command {
        match source.below(12) {
            0..=3 => Self::announce(source),
            4 | 5 => Self::rotate(source),
            6 => Command::RetireKeys(RetireKeys {
                node: node(number(source)),
                principal: caller(source),
                salt: salt(source),
            }),
            7 => self.revoke_keys(source),
            8 => Command::RequireSigners(RequireSigners {
                signers: Some(u32::from(number(source))).filter(|number| *number > 0),
                principal: caller(source),
                salt: salt(source),
            }),
            9 => self.hand_over(source),
            10 => Command::Dispute(Dispute {
                namespace: name("default"),
                leaf: self.leaf(source),
                node: node(number(source)),
                evaluator_version: 1,
                salt: salt(source),
            }),
            _ => Command::Erase(Erase {
                namespace: name("default"),
                decision: if source.rarely(2) {
                    DecisionName::Leaf(self.leaf(source))
                } else {
                    DecisionName::Permit(self.permit(source).0)
                },
                principal: caller(source),
                reason_commitment: None,
                salt: salt(source),
            }),
        }
    }

    /// One of the last leaves, or one that there is not.
    fn leaf(&self, source: &mut Source<'_>) -> u64 {
        let size = self.namespace.head().expect("the state is sound").size;
        size.saturating_sub(source.below(9) as u64)
    }

    fn announce(source: &mut Source<'_>) -> Command {
        let number = number(source);
        let (log_key, cosign_key) = public(number);
        Command::AnnounceNode(AnnounceNode {
            node: node(number),
            incarnation: [number; 16],
            log_key,
            cosign_key,
            feature_level_max: 1,
            evaluator_version: 1,
        })
    }

    fn rotate(source: &mut Source<'_>) -> Command {
        let (fresh, known) = (number(source), number(source));
        let (log_key, cosign_key) = public(fresh);
        let (expected_log_key, expected_cosign_key) = public(known);
        Command::RotateKeys(RotateKeys {
            node: node(known),
            log_key,
            cosign_key,
            expected_log_key,
            expected_cosign_key,
            principal: caller(source),
            salt: salt(source),
        })
    }

    fn revoke_keys(&self, source: &mut Source<'_>) -> Command {
        let number = number(source);
        let (log_key, cosign_key) = public(number);
        Command::RevokeKeys(RevokeKeys {
            node: node(number),
            log_key,
            cosign_key,
            valid_to: self.leaf(source),
            principal: caller(source),
            salt: salt(source),
        })
    }

    /// Some of the pairs of keys sign the newest head, or one before.
    fn hand_over(&self, source: &mut Source<'_>) -> Command {
        let size = self.leaf(source);
        let root = self.namespace.root_at(size).expect("the state is sound");
        let newest = self.namespace.newest_epoch().expect("the state is sound");
        let cluster = ClusterId::from_bytes([7; 16]);
        let head = Checkpoint {
            origin: Origin::new(&cluster, &name("default")),
            size: TreeSize::new(size).expect("small"),
            root: root.expect("the log is that long"),
        };
        let chosen = source.byte();
        let lines: Vec<_> = (0..8)
            .filter(|number| chosen & (1 << number) != 0)
            .map(|number| pair(number).sign_head(&cluster, node(number), &head, 1))
            .collect();
        let note = head.to_note(lines).map(|note| note.to_string());
        Command::RecordHandover(RecordHandover {
            namespace: name("default"),
            tree_size_from: newest.map_or(0, |(from, _)| from),
            note: note.unwrap_or_default().into_bytes(),
        })
    }
}
