//! Keys that are none, logs that have had as many signers as they may, and notes of anybody.

use holdpoint_core::codec::records::Record;
use holdpoint_core::command::{
    AnnounceNode, DecisionName, Dispute, Erase, RecordHandover, RetireKeys, RotateKeys,
};
use holdpoint_core::limits::{EPOCHS_KEPT_BACK, EPOCHS_MAX, VOTERS_MAX};
use holdpoint_core::outcome::Outcome;
use holdpoint_core::record::NamespaceRecord;
use holdpoint_core::{Command, GroupId, KeySpace, Kind, Rejection, Write};
use holdpoint_receipt::keys::{Epoch, KEYS_BYTES_MAX};
use holdpoint_receipt::note::NOTE_BYTES_MAX;
use holdpoint_receipt::{KeySet, Reason, Salt, TreeSize};

use crate::script::said;
use crate::world::{
    CLUSTER, World, announce, caller, default_namespace, node, secret_keys, signer,
};

/// The point of small order whose encoding is one and zeros.
const WEAK: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

fn rotate(id: u64, log_key: [u8; 32], cosign_key: [u8; 32]) -> Command {
    let before = signer(id, id);
    Command::RotateKeys(RotateKeys {
        node: before.node,
        log_key,
        cosign_key,
        expected_log_key: before.log_key,
        expected_cosign_key: before.cosign_key,
        principal: caller("root"),
        salt: Salt::from_bytes([9; 32]),
    })
}

fn fresh(id: u64, number: u64) -> Command {
    let keys = signer(id, number);
    rotate(id, keys.log_key, keys.cosign_key)
}

/// What reads epochs, nodes and decisions.
pub(super) fn touching() -> Vec<Command> {
    let dispute = Dispute {
        namespace: default_namespace(),
        leaf: 1,
        node: node(2),
        evaluator_version: 1,
        salt: Salt::from_bytes([9; 32]),
    };
    let erase = Erase {
        namespace: default_namespace(),
        decision: DecisionName::Leaf(1),
        principal: caller("root"),
        reason_commitment: None,
        salt: Salt::from_bytes([9; 32]),
    };
    vec![
        Command::AnnounceNode(announce(1, 1)),
        fresh(1, 11),
        Command::Dispute(dispute),
        Command::Erase(erase),
    ]
}

/// Three signers, of whom the second epoch has taken over.
fn signing() -> World {
    let mut world = World::new();
    world.apply(
        (1..4)
            .map(|id| Command::AnnounceNode(announce(id, id)))
            .collect(),
    );
    hand_over(&mut world, &[(1, 1), (2, 2)]);
    world
}

fn hand_over(world: &mut World, signers: &[(u64, u64)]) {
    let namespace = world.namespace();
    let (from, _) = namespace.newest_epoch().unwrap().unwrap();
    let size = namespace.head().unwrap().size;
    let outcome = world.one(Command::RecordHandover(RecordHandover {
        namespace: default_namespace(),
        tree_size_from: from,
        note: world.note(size, signers, false),
    }));
    assert_eq!(said(&outcome), "done");
}

#[test]
fn weak_malformed_and_doubled_keys_are_nobodys() {
    let good = signer(1, 1);
    let bad = [WEAK, [0xff; 32], [2; 32], good.cosign_key];
    for log_key in bad {
        let mut world = World::new();
        let announce = AnnounceNode {
            log_key,
            ..announce(1, 1)
        };
        let node = announce.node;
        let outcome = world.one(Command::AnnounceNode(announce));
        assert_eq!(outcome, Outcome::Rejected(Rejection::UnfitKeys { node }));
    }
    let mut world = signing();
    let keys = signer(3, 33);
    for log_key in [WEAK, [0xff; 32], [2; 32], keys.cosign_key] {
        let outcome = world.one(rotate(3, log_key, keys.cosign_key));
        assert_eq!(said(&outcome), "refused KEYS_UNFIT");
    }
    // One key of the pair before.
    let before = signer(3, 3);
    let outcome = world.one(rotate(3, keys.log_key, before.cosign_key));
    assert_eq!(said(&outcome), "refused KEYS_UNFIT");
    assert_eq!(said(&world.one(fresh(3, 33))), "done stated at 2");
}

#[test]
fn what_is_no_note_hands_nothing_over() {
    let mut world = signing();
    world.one(fresh(3, 33));
    let good = world.note(3, &[(1, 1), (2, 2)], false);
    let mut notes = vec![Vec::new(), b"note".to_vec(), vec![0xff; 99]];
    notes.push([good.as_slice(), b"\n"].concat());
    notes.push([&good[..good.len() - 9], b"AAAAAAA=\n"].concat());
    notes.push(vec![b'a'; NOTE_BYTES_MAX + 1]);
    for note in notes {
        let outcome = world.one(Command::RecordHandover(RecordHandover {
            namespace: default_namespace(),
            tree_size_from: 3,
            note,
        }));
        let is_rejected = matches!(outcome, Outcome::Rejected(Rejection::Handover(_)));
        assert!(is_rejected, "{}", said(&outcome));
    }
}

/// Pretends that the log has had so many epochs.
fn with_epochs(world: &mut World, epochs: u64) {
    let record = NamespaceRecord {
        epochs,
        ..world.namespace().record().clone()
    };
    let key = KeySpace::namespace(GroupId::FIRST, &default_namespace()).single(Kind::Namespace);
    let value = record.to_bytes().unwrap();
    world.state.commit(&[Write::Put { key, value }]);
    world.is_checked = false;
}

#[test]
fn last_epochs_are_for_nodes_that_come_and_go_and_then_there_are_none() {
    let mut world = signing();
    with_epochs(&mut world, EPOCHS_MAX - EPOCHS_KEPT_BACK);
    let retire = Command::RetireKeys(RetireKeys {
        node: node(3),
        principal: caller("root"),
        salt: world.salt(),
    });
    for command in [fresh(3, 33), retire] {
        assert_eq!(said(&world.one(command)), "refused TOO_MANY_EPOCHS");
    }
    world.change_voters(&[1, 2, 3, 4]);
    let outcome = world.one(Command::AnnounceNode(announce(4, 4)));
    assert_eq!(outcome, Outcome::Announced);
    let (_, epoch) = world.namespace().newest_epoch().unwrap().unwrap();
    assert_eq!(epoch.signers.len(), 4);

    with_epochs(&mut world, EPOCHS_MAX);
    let head = world.namespace().head().unwrap();
    // Who does not vote changes nothing, and who is known may come back.
    for id in [4, 5] {
        let outcome = world.one(Command::AnnounceNode(announce(id, id)));
        assert_eq!(outcome, Outcome::Announced);
    }
    world.change_voters(&[1, 2, 3]);
    world.change_voters(&[1, 2, 3, 6]);
    let Outcome::Rejected(rejection) = world.one(Command::AnnounceNode(announce(6, 6))) else {
        panic!("there is no epoch left for it");
    };
    assert_eq!(rejection.reason(), Reason::TooManyEpochs);
    assert_eq!(world.namespace().head().unwrap(), head, "nothing is stated");
    assert_eq!(world.namespace().newest_epoch().unwrap().unwrap().1, epoch);
}

#[test]
fn key_set_with_as_many_epochs_as_there_may_be_is_a_key_set_that_can_be_read() {
    let epoch = |from: u64| Epoch {
        tree_size_from: TreeSize::new(from).unwrap(),
        signers_needed: 16,
        nodes: (1..=VOTERS_MAX as u64)
            .map(|id| (node((1 << 53) - 1 - id), secret_keys(id).public()))
            .collect(),
    };
    let set = |epochs: &[u64]| {
        let epochs = epochs.iter().map(|from| epoch(*from)).collect();
        KeySet::new(CLUSTER, default_namespace(), epochs, Vec::new()).unwrap()
    };
    let last = (1 << 53) - 1;
    let (one, two) = (set(&[0]).to_file().len(), set(&[0, last]).to_file().len());
    let epochs = usize::try_from(EPOCHS_MAX).unwrap();
    let most = one + (two - one) * (epochs - 1);
    // Marks, and a longer namespace, take as much again at most.
    assert!(
        2 * most < KEYS_BYTES_MAX,
        "{most} of {KEYS_BYTES_MAX} bytes"
    );
}
