//! Proofs of the log, and the whole of it, over the wire.

use holdpoint_proto::v1;
use holdpoint_receipt::checkpoint::Checkpoint;
use holdpoint_receipt::merkle::{Frontier, leaf_of, verify_consistency, verify_inclusion};
use holdpoint_receipt::note::Note;
use holdpoint_receipt::verify::verify_published;
use holdpoint_receipt::{Digest, Receipt, sha256, verify};
use tokio_stream::StreamExt as _;

use crate::life::authorize;
use crate::support::{Dev, echo, keys};
use crate::trio::Trio;

fn hash(bytes: &[u8]) -> Digest {
    Digest::from_bytes(bytes.try_into().unwrap())
}

fn head(note: &str) -> Checkpoint {
    let note: Note = note.parse().unwrap();
    note.text().parse().unwrap()
}

async fn checkpoint(node: &Dev) -> Checkpoint {
    let asked = v1::LogCheckpointRequest::default();
    let answer = node.history().log_checkpoint(asked).await;
    let answer = answer.unwrap().into_inner();
    let signed: Note = answer.note.parse().unwrap();
    verify_published(&signed, &node.keys().await).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn leaf_and_growth_are_proved_up_to_the_proven_head_and_no_further() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let saved = checkpoint(&node).await;
    let decided = authorize(&node, echo("key-1", "hello")).await;
    let receipt = Receipt::parse(&decided.receipt.unwrap().file).unwrap();
    let leaf = receipt.proof.leaf_index;

    let asked = v1::ProveInclusionRequest {
        leaf_index: leaf,
        ..Default::default()
    };
    let proof = node.history().prove_inclusion(asked).await.unwrap();
    let proof = proof.into_inner();
    let newest = head(&proof.note);
    assert_eq!(
        hash(&proof.leaf_hash),
        leaf_of(&receipt.statement.receipt_hash())
    );
    let hashes: Vec<Digest> = proof.hashes.iter().map(|bytes| hash(bytes)).collect();
    let leaf_hash = hash(&proof.leaf_hash);
    verify_inclusion(leaf, proof.tree_size, &leaf_hash, &hashes, &newest.root).unwrap();

    let asked = v1::ProveConsistencyRequest {
        first_size: saved.size.get(),
        ..Default::default()
    };
    let proof = node.history().prove_consistency(asked).await.unwrap();
    let proof = proof.into_inner();
    let newest = head(&proof.note);
    let hashes: Vec<Digest> = proof.hashes.iter().map(|bytes| hash(bytes)).collect();
    let sizes = (saved.size.get(), newest.size.get());
    verify_consistency(sizes.0, sizes.1, &saved.root, &newest.root, &hashes).unwrap();

    let beyond = v1::ProveInclusionRequest {
        leaf_index: leaf,
        tree_size: sizes.1 + 1,
        ..Default::default()
    };
    let refused = node.history().prove_inclusion(beyond).await.unwrap();
    let refusal = refused.into_inner().refusal.unwrap();
    assert_eq!(refusal.reason_name, "NOT_FOUND");
    assert!(
        refusal.sentence.contains("The newest proven head"),
        "{}",
        refusal.sentence
    );
    let never = v1::ProveConsistencyRequest::default();
    node.history().prove_consistency(never).await.unwrap_err();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_log_adds_up_to_its_head() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    for turn in 0..3 {
        authorize(&node, echo(&format!("key-{turn}"), "hello")).await;
    }
    let asked = v1::ExportLogRequest::default();
    let mut stream = node.history().export_log(asked).await.unwrap().into_inner();
    let (mut tree, mut signed) = (Frontier::new(), String::new());
    while let Some(part) = stream.next().await {
        let part = part.unwrap();
        assert_eq!(
            (part.refusal, signed.as_str()),
            (None, ""),
            "nothing follows the head"
        );
        for leaf in part.leaves {
            let leaf_hash = hash(&leaf.leaf_hash);
            assert_eq!(leaf_of(&sha256(&leaf.statement)), leaf_hash);
            tree.append(leaf_hash).unwrap();
        }
        signed = part.note;
    }
    let head = head(&signed);
    assert_eq!((tree.size(), tree.root()), (head.size.get(), head.root));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_proves_an_old_statement_again() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let decided = trio.gate(leader).authorize(echo("key-1", "hello")).await;
    let file = decided.unwrap().into_inner().receipt.unwrap().file;
    let old = Receipt::parse(&file).unwrap();
    let keys = keys(trio.channel(leader)).await;
    for id in 1..=3 {
        let proved = async {
            loop {
                let asked = v1::ReceiptAtRequest {
                    leaf_index: old.proof.leaf_index,
                    ..Default::default()
                };
                let answer = trio
                    .history(id)
                    .receipt_at(asked)
                    .await
                    .unwrap()
                    .into_inner();
                // A follower may not have applied it yet.
                if let Some(receipt) = answer.receipt {
                    return receipt;
                }
                tokio::time::sleep(crate::support::POLL).await;
            }
        };
        let fresh = tokio::time::timeout(crate::support::LONG, proved)
            .await
            .unwrap();
        let verified = verify(&fresh.file, &keys).unwrap();
        assert_eq!(verified.statement(), &old.statement, "node {id}");
    }
    let absent = v1::ReceiptAtRequest {
        leaf_index: 9_999,
        ..Default::default()
    };
    let refused = trio.history(leader).receipt_at(absent).await.unwrap();
    assert_eq!(
        refused.into_inner().refusal.unwrap().reason_name,
        "NOT_FOUND"
    );
}
