//! Nodes whose disks were changed behind their backs: by somebody who rewrites history with the store's
//! own means, and by somebody who puts an old copy back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use holdpoint_core::codec::records::Record;
use holdpoint_core::record::{LeafRecord, TreeRecord};
use holdpoint_core::{GroupId, KeySpace, Kind, View as _, Write};
use holdpoint_proto::convert::NAMESPACE_DEFAULT;
use holdpoint_proto::v1;
use holdpoint_receipt::merkle::{Frontier, leaf_of};
use holdpoint_receipt::{Digest, Name, sha256, verify};
use holdpoint_storage::{DataDir, FaultLatch, StateStore as _};

use crate::support::{LONG, POLL, echo, keys};
use crate::trio::Trio;

/// What a request waits for while nobody can prove anything.
const BRIEF: Duration = Duration::from_secs(2);

/// Changes one statement of a stopped node's log, and its tree so that everything fits again.
fn rewrite(root: &Path, leaf: u64) {
    let dir = DataDir::open(root, None).unwrap();
    let state = dir.open_state(GroupId::FIRST, FaultLatch::new()).unwrap();
    let space = KeySpace::namespace(GroupId::FIRST, &Name::new(NAMESPACE_DEFAULT).unwrap());
    let read = |key| state.read(|view| view.get(&key)).unwrap().unwrap().unwrap();

    let at = space.at_leaf(Kind::Leaf, leaf);
    let mut record = LeafRecord::from_bytes(&read(at.clone())).unwrap();
    // The last digit of the last number: still a statement, and not the one that was signed.
    let digit = record
        .statement
        .iter_mut()
        .rfind(|byte| byte.is_ascii_digit());
    let digit = digit.unwrap();
    *digit = if *digit == b'1' { b'2' } else { b'1' };
    let (changed, value) = (
        leaf_of(&sha256(&record.statement)),
        record.to_bytes().unwrap(),
    );
    let mut writes = vec![Write::Put { key: at, value }];

    let tree = space.single(Kind::Tree);
    let size = TreeRecord::from_bytes(&read(tree.clone())).unwrap().size;
    let mut frontier = Frontier::new();
    for index in 0..size {
        let hash = if index == leaf {
            changed
        } else {
            <Digest as Record>::from_bytes(&read(space.subtree(0, index))).unwrap()
        };
        for node in frontier.append(hash).unwrap() {
            writes.push(Write::Put {
                key: space.subtree(node.level, node.index),
                value: node.hash.to_bytes().unwrap(),
            });
        }
    }
    let record = TreeRecord {
        size,
        frontier: frontier.peaks().to_vec(),
    };
    writes.push(Write::Put {
        key: tree,
        value: record.to_bytes().unwrap(),
    });
    let applied = state.applied().unwrap().unwrap();
    state.commit(&writes, &applied).unwrap();
    state.flush().unwrap();
}

/// Asks node `id` until it decides, and says who signed that.
async fn permit(trio: &Trio, id: u64, key: &str) -> Option<Vec<u64>> {
    let mut asked = tonic::Request::new(echo(key, key));
    asked.set_timeout(BRIEF);
    let answer = trio.gate(id).authorize(asked).await.ok()?.into_inner();
    if answer.decision() != v1::Decision::Permit {
        assert!(answer.receipt.is_none(), "{answer:?}");
        return None;
    }
    let keys = keys(trio.channel(id)).await;
    let verified = verify(&answer.receipt.unwrap().file, &keys).unwrap();
    Some(
        verified
            .signers()
            .iter()
            .map(|signer| signer.node.get())
            .collect(),
    )
}

/// A permit from whoever leads, once somebody does and can prove it.
async fn next_permit(trio: &Trio, running: &[u64], key: &str) -> Vec<u64> {
    let granted = async {
        loop {
            for id in running {
                if let Some(signers) = permit(trio, *id, key).await {
                    return signers;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LONG, granted).await.expect("a permit")
}

async fn is_diverged(trio: &Trio, id: u64) -> bool {
    let status = trio.status(id).await;
    let own = status.nodes.iter().find(|node| node.id == id);
    own.is_some_and(|own| own.signing.contains("diverged"))
}

#[tokio::test(flavor = "multi_thread")]
async fn node_whose_history_was_rewritten_signs_nothing_and_no_permit_leaves_through_it() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    for message in ["a", "b", "c"] {
        next_permit(&trio, &[leader], message).await;
    }
    let tampered = (1..=3).find(|id| *id != leader).unwrap();
    let honest = (1..=3).find(|id| ![leader, tampered].contains(id)).unwrap();
    trio.stop(tampered).await;
    rewrite(&trio.dir(tampered), 2);
    trio.start(tampered).await;

    // The others go on without its signature.
    for message in ["d", "e", "f"] {
        let mut signers = next_permit(&trio, &[leader, honest], message).await;
        signers.sort_unstable();
        let mut others = [leader, honest];
        others.sort_unstable();
        assert_eq!(signers, others);
    }
    let noticed = async {
        while !is_diverged(&trio, tampered).await {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LONG, noticed).await.expect("it knows");
    assert!(trio.status(tampered).await.root_mismatches > 0);

    // With two left of which it is one, nothing can be proved, whoever of them leads.
    trio.stop(leader).await;
    for message in ["g", "h"] {
        for id in [tampered, honest] {
            assert_eq!(permit(&trio, id, message).await, None);
        }
    }
    trio.start(leader).await;
    let signers = next_permit(&trio, &[leader, honest], "i").await;
    assert!(!signers.contains(&tampered), "{signers:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_copy_of_a_disk_that_was_put_back_signs_no_second_history() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    next_permit(&trio, &[leader], "a").await;
    let restored = (1..=3).find(|id| *id != leader).unwrap();
    let dir = trio.dir(restored);
    let backup = dir.with_extension("backup");
    trio.stop(restored).await;
    copy(&dir, &backup);
    trio.start(restored).await;
    // It signs on after the copy was made.
    let signs = async {
        for message in 0_u32.. {
            let signers = next_permit(&trio, &[leader], &format!("b{message}")).await;
            if signers.contains(&restored) {
                break;
            }
        }
    };
    tokio::time::timeout(LONG, signs).await.expect("it signs");
    trio.stop(restored).await;
    fs::remove_dir_all(&dir).unwrap();
    copy(&backup, &dir);
    trio.start(restored).await;
    let refused = trio.failed(restored).await.to_string();
    assert!(refused.contains("rolled back"), "{refused}");
    next_permit(&trio, &[leader], "e").await;
}
