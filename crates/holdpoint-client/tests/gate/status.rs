//! What every node says of the cluster.

use std::time::Duration;

use holdpoint_client::{ConnectError, Gate, Reach};
use holdpoint_receipt::Reason;

use crate::fake::{FakeNode, Notary, black_hole, closed_port, world};

#[tokio::test]
async fn every_node_is_reported_also_those_that_do_not_answer_and_those_that_were_not_named() {
    let world = world();
    let (named, learned) = (FakeNode::start(&world).await, FakeNode::start(&world).await);
    let (closed, silent) = (closed_port().await, black_hole().await);
    let endpoints = [closed, silent, named.address].map(|address| address.to_string());
    let builder = Gate::builder()
        .endpoints(&endpoints)
        .deadline(Duration::from_millis(500));
    let status = builder.status(Reach::Learned).await.unwrap();
    let report = |address: std::net::SocketAddr| {
        let answer = status
            .nodes
            .iter()
            .find(|node| node.address.as_str() == address.to_string());
        answer.unwrap().report.as_ref().map_err(ToString::to_string)
    };
    assert_eq!(status.nodes.len(), 4);
    assert_eq!(report(closed).unwrap_err(), "connection refused");
    assert!(
        report(silent)
            .unwrap_err()
            .starts_with("no answer within 0.")
    );
    assert_eq!(
        report(named.address).unwrap().node_id.get(),
        u64::from(named.address.port())
    );
    assert_eq!(report(learned.address).unwrap().members.len(), 2);
    assert_eq!(builder.status(Reach::Named).await.unwrap().nodes.len(), 3);
}

#[tokio::test]
async fn node_that_is_named_twice_is_one_node() {
    let node = FakeNode::start(&world()).await;
    let endpoints = [
        node.address.to_string(),
        format!("localhost:{}", node.address.port()),
    ];
    let status = Gate::builder()
        .endpoints(endpoints)
        .status(Reach::Learned)
        .await
        .unwrap();
    assert_eq!(status.nodes.len(), 1);
}

#[tokio::test]
async fn gate_is_not_built_of_what_does_not_fit() {
    let build = async |builder: holdpoint_client::GateBuilder| builder.connect().await.unwrap_err();
    let one = || {
        Gate::builder()
            .endpoints(["127.0.0.1:1"])
            .keys(Notary::new(1).keys())
    };
    assert!(matches!(
        build(Gate::builder()).await,
        ConnectError::NoEndpoint
    ));
    let error = build(Gate::builder().endpoints(["http://localhost"])).await;
    assert!(
        error
            .to_string()
            .starts_with("`http://localhost` is not the address of a node")
    );
    assert!(matches!(
        build(one().caller("")).await,
        ConnectError::Caller(_)
    ));
    assert!(matches!(
        build(one().caller("a\nb")).await,
        ConnectError::Caller(_)
    ));
    assert!(matches!(
        build(one().namespace("A")).await,
        ConnectError::Namespace(_)
    ));
    assert!(matches!(
        build(one().namespace("other")).await,
        ConnectError::KeysOfOther { .. }
    ));
    let deadline = build(one().deadline(Duration::from_secs(61))).await;
    assert_eq!(
        deadline.to_string(),
        "`deadline` must be more than 0 and at most 60s"
    );
}

#[tokio::test]
async fn keys_that_no_node_gives_are_an_error_that_names_the_nodes() {
    let closed = closed_port().await;
    let builder = Gate::builder().endpoints([closed.to_string()]);
    let error = builder
        .deadline(Duration::from_millis(200))
        .connect()
        .await
        .unwrap_err();
    let ConnectError::Keys(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.reason(), Reason::Unreachable);
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
}
