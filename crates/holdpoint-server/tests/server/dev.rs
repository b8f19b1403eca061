//! One development node, from its first start to a receipt that verifies.

use crate::support::{Dev, echo};
use holdpoint_proto::v1;
use holdpoint_receipt::verify;

#[tokio::test(flavor = "multi_thread")]
async fn first_start_decides_and_a_second_start_keeps_the_state() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join(".holdpoint");
    let node = Dev::start(dir.clone()).await;
    let first = node
        .gate()
        .authorize(echo("k1", "hello"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.decision(), v1::Decision::Permit, "{}", first.sentence);
    let receipt = first.receipt.unwrap().file;
    verify(&receipt, &node.keys().await).unwrap();
    for file in [
        "client.toml",
        "keys.json",
        "policy/bundle.yaml",
        "keys/log.key",
    ] {
        assert!(dir.join(file).exists(), "{file}");
    }
    node.stop().await;

    let node = Dev::start(dir).await;
    let mut retry = echo("k1", "hello");
    retry.not_after_ms = first.not_after_ms;
    let again = node.gate().authorize(retry).await.unwrap().into_inner();
    assert_eq!(again.decision(), v1::Decision::Permit, "{}", again.sentence);
    assert!(again.replay);
    assert_eq!(again.permit.unwrap().id, first.permit.unwrap().id);
    node.stop().await;
}
