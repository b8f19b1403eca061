//! A node whose files are not those that its cluster knows does not start, and says which file it is.

use std::fs;
use std::path::Path;

use holdpoint_proto::v1;
use holdpoint_receipt::SecretKey;

use crate::support::{Dev, echo};
use crate::trio::Trio;

fn swap_keys(dir: &Path) {
    let [log, node] = ["keys/log.key", "keys/node.key"].map(|file| dir.join(file));
    let (log_key, node_key) = (fs::read(&log).unwrap(), fs::read(&node).unwrap());
    fs::write(log, node_key).unwrap();
    fs::write(node, log_key).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_swapped_keys_does_not_start_and_swapping_them_back_mends_it() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("dev");
    Dev::start(dir.clone()).await.stop().await;
    swap_keys(&dir);
    let refused = Dev::refused(dir.clone()).await;
    assert!(
        refused.contains("keys/node.key` hold each other's keys; swap the two files"),
        "{refused}"
    );
    swap_keys(&dir);
    let node = Dev::start(dir).await;
    let mut gate = node.gate();
    let answer = gate.authorize(echo("k1", "hello")).await.unwrap();
    assert_eq!(answer.into_inner().decision(), v1::Decision::Permit);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_another_key_does_not_start_and_the_file_is_named() {
    for file in ["log.key", "node.key"] {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("dev");
        Dev::start(dir.clone()).await.stop().await;
        let other = SecretKey::from_seed(&[9; 32]).to_pem();
        fs::write(dir.join("keys").join(file), other.as_str()).unwrap();
        let refused = Dev::refused(dir).await;
        let expected = format!("{file}` does not hold the key that the cluster knows node 1 by");
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_whose_identity_file_was_edited_does_not_start() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("dev");
    let node = Dev::start(dir.clone()).await;
    let mut cluster = node.cluster();
    let status = cluster.status(v1::StatusRequest {}).await.unwrap();
    let known = status.into_inner().cluster_id;
    node.stop().await;
    let file = dir.join("identity.json");
    let identity = fs::read_to_string(&file).unwrap();
    assert!(identity.contains(&known));
    let other = "0123456789abcdef0123456789abcdef";
    fs::write(&file, identity.replace(&known, other)).unwrap();
    let refused = Dev::refused(dir).await;
    let expected =
        format!("names cluster {other}, and the state in its folder belongs to cluster {known}");
    assert!(refused.contains(&expected), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn member_with_swapped_keys_does_not_come_back_and_the_leader_says_who_signs() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    trio.until(leader, |status| {
        status.nodes.iter().all(|node| node.signing == "ok") && status.failure_tolerance == 1
    })
    .await;
    trio.stop(follower).await;
    trio.until(leader, |status| status.failure_tolerance == 0)
        .await;
    let dir = trio.dir(follower);
    swap_keys(&dir);
    let refused = trio.try_start(follower).await.unwrap_err().to_string();
    assert!(refused.contains("hold each other's keys"), "{refused}");
}
