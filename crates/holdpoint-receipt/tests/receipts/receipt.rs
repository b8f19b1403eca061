use holdpoint_receipt::keys::{Epoch, Revocation};
use holdpoint_receipt::names::{ClusterId, Fence, Name, PermitId, TreeSize};
use holdpoint_receipt::statement::Outcome;
use holdpoint_receipt::{
    Digest, KeySet, Receipt, VerifyError, merkle, sha256, verify, verify_permit_for,
};
use proptest::prelude::*;

use crate::fixture::{
    Log, SIGNED_AT_S, cluster, epoch, grant, key_set, key_set_of, log, namespace, node,
    permit_receipt, request_digest, revoked, secret_keys, step, whole_log,
};

/// Golden: a receipt as it is kept for years.
#[test]
fn receipt_file_never_changes() {
    assert_eq!(
        permit_receipt().to_file(),
        include_str!("golden/receipt.json")
    );
}

#[test]
fn receipt_of_every_statement_verifies_and_reads_back() {
    let log = whole_log();
    for leaf_index in 0..log.frontier.size() {
        let receipt = log.receipt(leaf_index, &[1]);
        let file = receipt.to_file();
        let verified = verify(file.as_bytes(), &key_set()).unwrap();
        assert_eq!(verified.receipt(), &receipt);
        assert_eq!(verified.statement(), &receipt.statement);
        assert_eq!(verified.receipt_hash(), &receipt.statement.receipt_hash());
        assert_eq!(verified.head(), &log.head());
        assert_eq!(verified.signers_needed(), 1);
        let [signer] = verified.signers() else {
            panic!("one signer")
        };
        assert_eq!((signer.node, signer.at_s), (node(1), SIGNED_AT_S));
    }
}

/// Every bit of the file, and every byte removed, doubled or replaced by something plausible.
#[test]
fn every_single_byte_change_of_a_receipt_is_refused() {
    let file = permit_receipt().to_file().into_bytes();
    let keys = key_set();
    let refused = |changed: &[u8], what: &str, place: usize| {
        assert!(verify(changed, &keys).is_err(), "{what} at byte {place}");
    };
    for place in 0..file.len() {
        let mut changed = file.clone();
        for bit in 0..8 {
            changed[place] = file[place] ^ (1 << bit);
            refused(&changed, "flipped bit", place);
        }
        for byte in [b' ', b'0', b'A', b'"', b'\n', b'='] {
            changed[place] = byte;
            if byte != file[place] {
                refused(&changed, "replaced byte", place);
            }
        }
        changed.remove(place);
        refused(&changed, "removed byte", place);
        changed = file.clone();
        changed.insert(place, file[place]);
        refused(&changed, "doubled byte", place);
    }
}

proptest! {
    #[test]
    fn every_replaced_byte_of_a_receipt_is_refused(place in any::<usize>(), byte in any::<u8>()) {
        let mut file = permit_receipt().to_file().into_bytes();
        let place = place % file.len();
        prop_assume!(file[place] != byte);
        file[place] = byte;
        prop_assert!(verify(&file, &key_set()).is_err());
    }

    #[test]
    fn no_input_makes_the_verifier_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(&bytes, &key_set()).is_err());
    }
}

/// Replaces in the file and says what the verifier finds first.
fn check(from: &str, to: &str, code: &str) {
    let file = permit_receipt().to_file();
    let changed = file.replacen(from, to, 1);
    assert_ne!(changed, file, "{from}");
    let error = verify(changed.as_bytes(), &key_set()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn changed_statement_is_not_the_one_that_was_signed() {
    for (from, to) in [
        ("\"PERMIT\"", "\"DENIED\""),
        ("\"fence\":41", "\"fence\":42"),
        ("\"authority\":\"6", "\"authority\":\"7"),
        ("infra.apply", "infra.applx"),
        ("\"mode\"", "\"modes\""),
        ("\"entry_place\":3", "\"entry_place\":4"),
        ("statement/1", "statement/2"),
    ] {
        if permit_receipt().to_file().contains(from) {
            check(from, to, "RECEIPT_HASH_MISMATCH");
        }
    }
    let shown = VerifyError::ReceiptHashMismatch.to_string();
    assert_eq!(shown, "the statement is not the one that was signed");
}

#[test]
fn another_encoding_of_the_same_receipt_is_refused() {
    check("{", "{ ", "NOT_CANONICAL");
    check("\n", "", "NOT_CANONICAL");
    check("\n", "\n\n", "NOT_CANONICAL");
    check("infra", "\\u0069nfra", "NOT_CANONICAL");
    check("/default", "\\/default", "NOT_CANONICAL");
    // Base64 with other unused bits: the root in the checkpoint.
    check("=\\n\\n", "==\\n\\n", "CHECKPOINT_MALFORMED");
}

#[test]
fn file_that_is_not_a_receipt_is_refused() {
    check("{", "", "MALFORMED");
    check("receipt/1", "receipt/2", "UNKNOWN_SCHEMA");
    check(",\"schema\"", ",\"quote\":1,\"schema\"", "MALFORMED");
    check("\"tree_size\":10", "\"tree_size\":10.0", "MALFORMED");
    check("\"tree_size\":10", "\"tree_size\":\"10\"", "MALFORMED");
    check(
        "\"tree_size\":10}",
        "\"tree_size\":10,\"x\":1}",
        "MALFORMED",
    );
    check("\"hashes\":[", "\"hashes\":[\"AA==\",", "MALFORMED");
}

#[test]
fn changed_proof_is_refused() {
    check(
        "\"leaf_index\":0,\"receipt",
        "\"leaf_index\":1,\"receipt",
        "INCLUSION_PROOF",
    );
    check("\"tree_size\":10", "\"tree_size\":11", "WRONG_SIZE");
    let mut receipt = permit_receipt();
    let error = |receipt: &Receipt| verify(receipt.to_file().as_bytes(), &key_set()).unwrap_err();
    receipt.proof.hashes.swap(0, 1);
    assert_eq!(
        error(&receipt),
        VerifyError::InclusionProof(merkle::ProofError::Root)
    );
    receipt.proof.hashes.pop();
    assert_eq!(
        error(&receipt),
        VerifyError::InclusionProof(merkle::ProofError::Length)
    );
    let mut foreign = permit_receipt();
    foreign.statement.is_dev = true;
    assert_eq!(
        error(&foreign).code(),
        "INCLUSION_PROOF",
        "a statement that was never logged"
    );
}

#[test]
fn changed_checkpoint_is_refused() {
    check("/default\\n", "/other\\n", "WRONG_LOG");
    check("\\n10\\n", "\\n11\\n", "WRONG_SIZE");
    check("\\n10\\n", "\\n010\\n", "CHECKPOINT_MALFORMED");
    check("\\n10\\n", "\\n10\\nextension\\n", "CHECKPOINT_MALFORMED");
    check("\u{2014} ", "- ", "CHECKPOINT_MALFORMED");
    check("\u{2014} node-1", "\u{2014} node-2", "UNKNOWN_KEY");
    let mut other_root = log();
    other_root.frontier = Log::of(other_root.statements[1..].to_vec()).frontier;
    let mut receipt = permit_receipt();
    let root = other_root
        .head()
        .to_text()
        .lines()
        .nth(2)
        .unwrap()
        .to_owned();
    let own = receipt.checkpoint.text().lines().nth(2).unwrap().to_owned();
    receipt.checkpoint = receipt
        .checkpoint
        .to_string()
        .replacen(&own, &root, 1)
        .parse()
        .unwrap();
    let found = verify(receipt.to_file().as_bytes(), &key_set());
    assert_eq!(found, Err(VerifyError::SignatureInvalid { node: node(1) }));
}

#[test]
fn receipt_of_another_cluster_or_namespace_is_refused_by_name() {
    let file = permit_receipt().to_file();
    let keys =
        |cluster, namespace| KeySet::new(cluster, namespace, vec![epoch(0, 1, &[1])], vec![]);
    let elsewhere = keys(ClusterId::from_bytes([1; 16]), namespace()).unwrap();
    let found = verify(file.as_bytes(), &elsewhere).unwrap_err();
    assert_eq!(
        found,
        VerifyError::WrongAuthority {
            found: cluster().to_string()
        }
    );
    let other = keys(cluster(), Name::new("other").unwrap()).unwrap();
    let found = verify(file.as_bytes(), &other).unwrap_err();
    assert_eq!(
        found,
        VerifyError::WrongNamespace {
            found: "default".to_owned()
        }
    );
}

fn found(receipt: &Receipt, epochs: Vec<Epoch>) -> Result<Vec<u64>, &'static str> {
    found_under(receipt, &key_set_of(epochs))
}

fn found_under(receipt: &Receipt, keys: &KeySet) -> Result<Vec<u64>, &'static str> {
    let verified = verify(receipt.to_file().as_bytes(), keys).map_err(|error| error.code())?;
    Ok(verified
        .signers()
        .iter()
        .map(|signer| signer.node.get())
        .collect())
}

#[test]
fn exactly_k_nodes_of_the_heads_epoch_must_have_signed() {
    let log = log();
    let signed_by = |signers| log.receipt(0, signers);
    let two_of_three = || vec![epoch(0, 2, &[1, 2, 3])];
    assert_eq!(found(&signed_by(&[1, 2]), two_of_three()), Ok(vec![1, 2]));
    assert_eq!(found(&signed_by(&[3, 1]), two_of_three()), Ok(vec![1, 3]));
    assert_eq!(
        found(&signed_by(&[1]), two_of_three()),
        Err("NOT_ENOUGH_SIGNATURES")
    );
    assert_eq!(
        found(&signed_by(&[1, 2, 3]), two_of_three()),
        Err("SURPLUS_SIGNATURES")
    );
    assert_eq!(
        found(&signed_by(&[2, 2]), two_of_three()),
        Err("SIGNATURE_ORDER")
    );
    assert_eq!(
        found(&signed_by(&[1, 4]), two_of_three()),
        Err("UNKNOWN_KEY")
    );
    // The log has ten leaves: the second epoch's keys do not sign it, or only they do.
    let rotated = |from| vec![epoch(0, 1, &[1]), epoch(from, 1, &[2])];
    assert_eq!(found(&signed_by(&[1]), rotated(11)), Ok(vec![1]));
    assert_eq!(found(&signed_by(&[1]), rotated(10)), Err("UNKNOWN_KEY"));
    assert_eq!(found(&signed_by(&[2]), rotated(10)), Ok(vec![2]));
}

#[test]
fn signature_by_revoked_keys_counts_for_heads_up_to_the_mark_only() {
    // The log has ten leaves.
    let receipt = log().receipt(0, &[1, 3]);
    let under = |marks: Vec<Revocation>| {
        let epochs = vec![epoch(0, 2, &[1, 2, 3])];
        found_under(
            &receipt,
            &KeySet::new(cluster(), namespace(), epochs, marks).unwrap(),
        )
    };
    assert_eq!(under(vec![revoked(3, 20, 10)]), Ok(vec![1, 3]));
    assert_eq!(under(vec![revoked(3, 20, 9)]), Err("KEY_REVOKED"));
    assert_eq!(under(vec![revoked(2, 20, 0)]), Ok(vec![1, 3]));
    // A later mark cannot raise an earlier one, nor the other way round.
    let both = |first, second| vec![revoked(3, 20, first), revoked(3, 21, second)];
    assert_eq!(under(both(9, 10)), Err("KEY_REVOKED"));
    assert_eq!(under(both(10, 9)), Err("KEY_REVOKED"));
    let said = VerifyError::KeyRevoked {
        node: node(3),
        valid_to: TreeSize::new(9).unwrap(),
    };
    assert_eq!(
        said.to_string(),
        "the keys of node 3 are revoked for trees of more than 9 leaves; \
         ask the gate for a fresh proof: `holdpoint receipt refresh`"
    );
}

#[test]
fn signature_lines_out_of_their_places_are_refused() {
    let log = log();
    let with = |order: &[usize]| {
        let note = log
            .head()
            .to_note(log.signatures(&[1, 2]))
            .unwrap()
            .to_string();
        let (text, lines) = note.split_once("\n\n").unwrap();
        let lines: Vec<_> = lines.lines().collect();
        let lines: Vec<_> = order
            .iter()
            .map(|place| lines[*place].to_owned() + "\n")
            .collect();
        let mut receipt = log.receipt(0, &[1]);
        receipt.checkpoint = format!("{text}\n\n{}", lines.concat()).parse().unwrap();
        found(&receipt, vec![epoch(0, 2, &[1, 2])])
    };
    assert_eq!(with(&[0, 1, 2, 3]), Ok(vec![1, 2]));
    for order in [
        &[1, 0, 2, 3][..],
        &[2, 3, 0, 1],
        &[0, 3, 2, 1],
        &[0, 2, 1, 3],
        &[0, 1, 2],
        &[0],
    ] {
        assert_eq!(with(order), Err("SIGNATURE_ORDER"), "{order:?}");
    }
}

#[test]
fn impossible_time_of_a_cosignature_is_refused() {
    let log = log();
    for at_s in [0, 253_402_300_800, u64::MAX] {
        let signature = secret_keys(1).sign_head(&cluster(), node(1), &log.head(), at_s);
        let mut receipt = log.receipt(0, &[1]);
        receipt.checkpoint = log.head().to_note(vec![signature]).unwrap();
        assert_eq!(found(&receipt, vec![epoch(0, 1, &[1])]), Err("TIMESTAMP"));
    }
}

#[test]
fn genuine_receipt_is_refused_where_it_is_about_something_else() {
    let log = log();
    let file = |leaf_index| log.receipt(leaf_index, &[1]).to_file();
    let permit_for = |leaf_index, digest: &Digest| {
        let found = verify_permit_for(file(leaf_index).as_bytes(), &key_set(), digest);
        found.map(|(_, grant)| grant).map_err(|error| error.code())
    };
    assert_eq!(permit_for(0, &request_digest()), Ok(grant()));
    assert_eq!(permit_for(0, &sha256(b"other")), Err("BINDING_MISMATCH"));
    assert_eq!(
        permit_for(1, &request_digest()),
        Err("WRONG_KIND"),
        "a DENY is no permit"
    );
    assert_eq!(
        permit_for(2, &request_digest()),
        Err("WRONG_KIND"),
        "a redemption is none either"
    );

    let denied = verify(file(1).as_bytes(), &key_set()).unwrap();
    assert!(denied.denial_of(&request_digest()).is_ok());
    assert!(denied.denial_of(&sha256(b"other")).is_err());

    let redeemed = verify(file(2).as_bytes(), &key_set()).unwrap();
    let (permit, fence) = (grant().permit_id, grant().fence);
    let redemption = |permit: &PermitId, fence, digest: &Digest| {
        redeemed
            .redemption_of(permit, fence, digest)
            .cloned()
            .map_err(|error| error.to_string())
    };
    assert_eq!(redemption(&permit, fence, &request_digest()), Ok(step()));
    let another = |member| {
        Err(format!(
            "the receipt is genuine, but its `{member}` is another"
        ))
    };
    let other_permit = PermitId::from_bytes([1; 16]);
    assert_eq!(
        redemption(&other_permit, fence, &request_digest()),
        another("permit_id")
    );
    assert_eq!(
        redemption(&permit, Fence::MAX, &request_digest()),
        another("fence")
    );
    assert_eq!(
        redemption(&permit, fence, &sha256(b"x")),
        another("request_digest")
    );

    let completed = verify(file(3).as_bytes(), &key_set()).unwrap();
    assert!(completed.completion_of(&permit, Outcome::Committed).is_ok());
    assert!(completed.completion_of(&permit, Outcome::Aborted).is_err());
    assert!(completed.revocation_of(&permit).is_err());
    let revoked = verify(file(5).as_bytes(), &key_set()).unwrap();
    assert!(revoked.revocation_of(&permit).is_ok());
}
