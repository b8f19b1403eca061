use holdpoint_receipt::checkpoint::{Checkpoint, CheckpointError, Origin};
use holdpoint_receipt::keys::{Epoch, HeadSignature, KeyId, KeyName, NodePublicKeys};
use holdpoint_receipt::names::{Name, TreeSize};
use holdpoint_receipt::note::{Note, NoteError, NoteSignature};
use holdpoint_receipt::verify::{
    Signer, verify_handover, verify_head_signature, verify_note, verify_published,
};
use holdpoint_receipt::{KeySet, cosignature, sha256, verify};

use crate::fixture::{
    Log, SIGNED_AT_S, cluster, epoch, key_set_of, log, namespace, node, secret_keys, whole_log,
};

#[test]
fn checkpoint_has_one_text() {
    let head = log().head();
    let text = head.to_text();
    assert_eq!(text.parse(), Ok(head));
    let check = |from: &str, to: &str, error| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(changed.parse::<Checkpoint>(), Err(error), "{changed}");
    };
    check("\n10\n", "\n010\n", CheckpointError::Size);
    check("\n10\n", "\n+10\n", CheckpointError::Size);
    check("\n10\n", "\n10 \n", CheckpointError::Size);
    check("\n10\n", "\n-1\n", CheckpointError::Size);
    check("\n10\n", "\n9007199254740992\n", CheckpointError::Size);
    check("\n10\n", "\n10\n\n", CheckpointError::Lines);
    check("\n10\n", "\n", CheckpointError::Lines);
    check("=\n", "\n", CheckpointError::Root);
    check("=\n", "==\n", CheckpointError::Root);
    check("=\n", "=\nextension\n", CheckpointError::Lines);
    check("=\n", "=", CheckpointError::Lines);
    check("/default", "/def ault", CheckpointError::Origin);
}

#[test]
fn origin_names_cluster_and_namespace() {
    let origin = Origin::new(&cluster(), &namespace());
    assert_eq!(origin.as_str(), "686f6c64706f696e7420746573747321/default");
}

#[test]
fn note_in_another_form_is_refused() {
    let log = log();
    let note = log.head().to_note(log.signatures(&[1])).unwrap();
    let text = note.to_string();
    assert_eq!(text.parse(), Ok(note));
    let check = |from: &str, to: &str, error| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(changed.parse::<Note>(), Err(error), "{changed}");
    };
    check("\n\n", "\n", NoteError::NoSeparator);
    check("\u{2014} ", "- ", NoteError::SignatureLine(0));
    check("\u{2014} ", "\u{2014}  ", NoteError::SignatureLine(0));
    check("=\n\n", "=\n\r\n", NoteError::ControlCharacter);
    let (all, cut) = (text.as_str(), text.trim_end());
    assert_eq!(cut.parse::<Note>(), Err(NoteError::SignatureLine(0)));
    assert_eq!(
        format!("{all}x\n").parse::<Note>(),
        Err(NoteError::SignatureLine(2))
    );
    assert_eq!(
        format!("{all}\n").parse::<Note>(),
        Err(NoteError::SignatureLine(0))
    );
    assert!(matches!(
        "x".repeat(30_000).parse::<Note>(),
        Err(NoteError::TooLong(30_000))
    ));
    assert_eq!(log.head().to_note(vec![]), Err(NoteError::SignatureLine(0)));
    let many = all.to_owned() + &"\u{2014} n AAAAAAA=\n".repeat(70);
    assert_eq!(many.parse::<Note>(), Err(NoteError::TooManySignatures));
    let empty = all.to_owned() + "\u{2014} n AAAAAA==\n";
    assert_eq!(
        empty.parse::<Note>(),
        Err(NoteError::SignatureLine(2)),
        "a hint without signature"
    );
}

#[test]
fn cosignature_states_its_time_and_nothing_else_verifies() {
    let log = log();
    let text = log.head().to_text();
    let both = log.signatures(&[2]).remove(0);
    let key = secret_keys(2).public().cosign;
    assert_eq!(
        cosignature::verify(&key, &both.cosign.signature, &text),
        Ok(SIGNED_AT_S)
    );
    assert_eq!(
        cosignature::message(7, "origin\n1\nroot\n"),
        "cosignature/v1\ntime 7\norigin\n1\nroot\n"
    );
    let mut later = both.cosign.signature.clone();
    later[7] ^= 1;
    assert!(cosignature::verify(&key, &later, &text).is_err());
    assert!(cosignature::verify(&key, &both.cosign.signature[..71], &text).is_err());
    assert!(cosignature::verify(&key, &[], &text).is_err());
    let log_key = secret_keys(2).public().log;
    assert!(cosignature::verify(&log_key, &both.cosign.signature, &text).is_err());
}

/// The head of the ten leaves, signed with these secret keys under these nodes' names.
fn note_of(signers: &[(u64, u8)]) -> Note {
    let head = log().head();
    let sign = |(id, keys): &(u64, u8)| {
        let keys = secret_keys(*keys);
        keys.sign_head(&cluster(), node(*id), &head, SIGNED_AT_S)
    };
    head.to_note(signers.iter().map(sign).collect()).unwrap()
}

fn ids(signers: &[Signer]) -> Vec<u64> {
    signers.iter().map(|signer| signer.node.get()).collect()
}

#[test]
fn proven_head_is_signed_by_exactly_k_and_by_nobody_else() {
    let keys = key_set_of(vec![epoch(0, 2, &[1, 2, 3])]);
    let found = |signers: &[(u64, u8)]| {
        let found = verify_note(&note_of(signers), &keys);
        found
            .map(|(head, signers)| (head.size.get(), ids(&signers)))
            .map_err(|error| error.code())
    };
    assert_eq!(found(&[(1, 1), (3, 3)]), Ok((10, vec![1, 3])));
    assert_eq!(found(&[(1, 1)]), Err("NOT_ENOUGH_SIGNATURES"));
    assert_eq!(found(&[(1, 1), (2, 2), (3, 3)]), Err("SURPLUS_SIGNATURES"));
    assert_eq!(found(&[(1, 1), (4, 4)]), Err("UNKNOWN_KEY"));
    let other = Name::new("other").unwrap();
    let elsewhere = KeySet::new(cluster(), other, vec![epoch(0, 2, &[1, 2])], vec![]).unwrap();
    let note = note_of(&[(1, 1), (2, 2)]);
    assert_eq!(
        verify_note(&note, &elsewhere).unwrap_err().code(),
        "WRONG_LOG"
    );
    let no_head = Note::new("no head\n".to_owned(), note.signatures().to_vec()).unwrap();
    assert_eq!(
        verify_note(&no_head, &keys).unwrap_err().code(),
        "CHECKPOINT_MALFORMED"
    );
}

#[test]
fn published_head_may_carry_lines_of_others_behind_those_that_prove_it() {
    let keys = key_set_of(vec![epoch(0, 2, &[1, 2, 3])]);
    let proven = note_of(&[(1, 1), (2, 2)]);
    let witness = NoteSignature {
        name: KeyName::new("witness.example").unwrap(),
        key_id: KeyId([1, 2, 3, 4]),
        signature: vec![7; 72],
    };
    let with = |lines: Vec<NoteSignature>| Note::new(proven.text().to_owned(), lines).unwrap();
    let own = proven.signatures().to_vec();
    let published = with([own.clone(), vec![witness.clone()]].concat());
    let (head, signers, others) = verify_published(&published, &keys).unwrap();
    assert_eq!((head, ids(&signers)), (log().head(), vec![1, 2]));
    assert_eq!(others, std::slice::from_ref(&witness));
    assert!(verify_published(&proven, &keys).unwrap().2.is_empty());
    assert_eq!(
        verify_note(&published, &keys).unwrap_err().code(),
        "UNKNOWN_KEY"
    );
    let before = with([vec![witness], own.clone()].concat());
    assert_eq!(
        verify_published(&before, &keys).unwrap_err().code(),
        "UNKNOWN_KEY"
    );
    let half = with(own[..2].to_vec());
    assert_eq!(
        verify_published(&half, &keys).unwrap_err().code(),
        "NOT_ENOUGH_SIGNATURES"
    );
}

const FEW: &str = "NOT_ENOUGH_SIGNATURES";

#[test]
fn handover_needs_enough_nodes_of_the_old_epoch_and_of_the_new_one() {
    let check = |old: &Epoch, new: &Epoch, signers: &[(u64, u8)], expected| {
        let found = verify_handover(&note_of(signers), &cluster(), &log().head(), old, new);
        let found = found
            .map(|signers| ids(&signers))
            .map_err(|error| error.code());
        assert_eq!(found, expected, "{signers:?}");
    };
    // Two who are in both count for both.
    let (old, new) = (epoch(0, 2, &[1, 2, 3]), epoch(8, 2, &[2, 3, 4]));
    check(&old, &new, &[(2, 2), (3, 3)], Ok(vec![2, 3]));
    check(&old, &new, &[(1, 1), (2, 2)], Err(FEW));
    check(&old, &new, &[(3, 3), (4, 4)], Err(FEW));
    check(&old, &new, &[(1, 1), (2, 2), (4, 4)], Ok(vec![1, 2, 4]));
    check(&old, &new, &[(2, 2), (3, 3), (5, 5)], Err("UNKNOWN_KEY"));
    check(
        &old,
        &new,
        &[(2, 2), (2, 2), (3, 3)],
        Err("SIGNATURE_ORDER"),
    );
    // Nobody stays.
    let other = epoch(8, 2, &[4, 5, 6]);
    check(&old, &other, &[(1, 1), (2, 2)], Err(FEW));
    check(&old, &other, &[(4, 4), (5, 5)], Err(FEW));
    let all = [(1, 1), (2, 2), (4, 4), (5, 5)];
    check(&old, &other, &all, Ok(vec![1, 2, 4, 5]));
}

#[test]
fn node_with_fresh_keys_hands_over_with_both_generations() {
    let old = epoch(0, 1, &[1]);
    let mut new = epoch(8, 1, &[1]);
    new.nodes.insert(node(1), secret_keys(9).public());
    let found = |signers: &[(u64, u8)]| {
        let found = verify_handover(&note_of(signers), &cluster(), &log().head(), &old, &new);
        found
            .map(|signers| ids(&signers))
            .map_err(|error| error.code())
    };
    assert_eq!(found(&[(1, 1), (1, 9)]), Ok(vec![1, 1]));
    assert_eq!(found(&[(1, 9), (1, 1)]), Err("SIGNATURE_ORDER"));
    assert_eq!(found(&[(1, 9)]), Err("NOT_ENOUGH_SIGNATURES"));
    assert_eq!(found(&[(1, 1)]), Err("NOT_ENOUGH_SIGNATURES"));
}

#[test]
fn handover_of_another_head_is_refused() {
    let (old, new) = (epoch(0, 1, &[1]), epoch(8, 1, &[1]));
    let note = note_of(&[(1, 1)]);
    let code = |head: &Checkpoint| {
        let found = verify_handover(&note, &cluster(), head, &old, &new);
        found.map(|_| ()).map_err(|error| error.code())
    };
    let head = log().head();
    assert_eq!(code(&head), Ok(()));
    let other = Origin::new(&cluster(), &Name::new("other").unwrap());
    let with = |change: &dyn Fn(&mut Checkpoint)| {
        let mut head = head.clone();
        change(&mut head);
        head
    };
    let moved = with(&|head| head.origin = other.clone());
    assert_eq!(code(&moved), Err("WRONG_LOG"));
    let longer = with(&|head| head.size = TreeSize::new(11).unwrap());
    assert_eq!(code(&longer), Err("WRONG_SIZE"));
    let forged = with(&|head| head.root = sha256(b"another history"));
    assert_eq!(code(&forged), Err("WRONG_ROOT"));
}

#[test]
fn one_nodes_signature_is_verified_under_its_own_keys_alone() {
    let head = log().head();
    let signature = log().signatures(&[2]).remove(0);
    let public = secret_keys(2).public();
    let check = |head: &Checkpoint, keys: &NodePublicKeys, signature: &HeadSignature| {
        let found = verify_head_signature(&cluster(), head, keys, signature);
        found.map_err(|error| error.code())
    };
    let signer = check(&head, &public, &signature).unwrap();
    assert_eq!((signer.node, signer.at_s), (node(2), SIGNED_AT_S));
    // As two nodes say it to each other: the bytes alone.
    let sent = signature.signed().unwrap();
    let read = HeadSignature::new(&cluster(), &head.origin, node(2), &public, &sent);
    assert_eq!(read, signature);
    let forged = Checkpoint {
        root: sha256(b"another history"),
        ..head.clone()
    };
    assert_eq!(
        check(&forged, &public, &signature),
        Err("SIGNATURE_INVALID")
    );
    assert_eq!(
        check(&head, &secret_keys(1).public(), &signature),
        Err("UNKNOWN_KEY")
    );
    let renamed = HeadSignature {
        node: node(3),
        ..signature.clone()
    };
    assert_eq!(check(&head, &public, &renamed), Err("UNKNOWN_KEY"));
    let timeless = secret_keys(2).sign_head(&cluster(), node(2), &head, 0);
    assert_eq!(check(&head, &public, &timeless), Err("TIMESTAMP"));
    let mut short = signature;
    short.log.signature.pop();
    assert_eq!(short.signed(), None);
    assert_eq!(check(&head, &public, &short), Err("SIGNATURE_INVALID"));
}

/// An epoch from a tree size on, of nodes with the keys of these seeds.
fn generation(from: u64, signers: &[(u64, u8)]) -> Epoch {
    let mut epoch = epoch(from, 2, &[]);
    let keys = |(id, seed): &(u64, u8)| (node(*id), secret_keys(*seed).public());
    epoch.nodes.extend(signers.iter().map(keys));
    epoch
}

#[test]
fn receipts_from_before_three_rotations_and_a_replacement_of_all_nodes_verify() {
    let generations: [(u64, [(u64, u8); 3]); 5] = [
        (0, [(1, 1), (2, 2), (3, 3)]),
        (5, [(1, 11), (2, 2), (3, 3)]),
        (9, [(1, 11), (2, 12), (3, 3)]),
        (13, [(1, 11), (2, 12), (3, 13)]),
        (17, [(4, 21), (5, 22), (6, 23)]),
    ];
    let epochs = generations.iter();
    let epochs = epochs.map(|(from, signers)| generation(*from, signers));
    let keys = key_set_of(epochs.collect());
    let whole = whole_log();
    for (place, (from, signers)) in generations.iter().enumerate() {
        // The last head of each epoch's time, signed by the first and the last of its nodes.
        let size = usize::try_from(from + 3).unwrap();
        let log = Log::of(whole.statements[..size].to_vec());
        let signed_by = |signers: &[(u64, u8)]| {
            let sign = |(id, seed): &(u64, u8)| {
                secret_keys(*seed).sign_head(&cluster(), node(*id), &log.head(), SIGNED_AT_S)
            };
            let mut receipt = log.receipt(1, &[1]);
            let signatures = signers.iter().map(sign).collect();
            receipt.checkpoint = log.head().to_note(signatures).unwrap();
            let found = verify(receipt.to_file().as_bytes(), &keys);
            found.map(|_| ()).map_err(|error| error.code())
        };
        assert_eq!(signed_by(&[signers[0], signers[2]]), Ok(()), "size {size}");
        for (other, (_, foreign)) in generations.iter().enumerate() {
            let signers_too = [foreign[0], foreign[1], foreign[2]];
            let is_same = [foreign[0], foreign[1]] == [signers[0], signers[1]];
            if other != place && !is_same {
                let found = signed_by(&signers_too[..2]);
                assert_eq!(found, Err("UNKNOWN_KEY"), "{place} by {other}");
            }
        }
    }
}
