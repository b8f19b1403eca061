//! Following the log of statements.

use holdpoint_client::{CallError, Gate, WatchFilter};
use holdpoint_receipt::Reason;
use holdpoint_receipt::statement::Kind;

use crate::fake::{FakeNode, Flow, world};
use crate::{apply, gate};

/// Three statements: a decision, a redemption, an outcome.
async fn lives(gate: &Gate) {
    let permit = gate.authorize(&apply("prod-eu")).await.unwrap();
    permit.redeem().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn every_statement_comes_once_in_its_order_with_a_receipt_that_verifies() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    lives(&gate).await;
    let mut watch = gate.watch(Some(0), WatchFilter::default());
    for (leaf, kind) in (0..).zip([Kind::Decision, Kind::Redeemed, Kind::Completed]) {
        let watched = watch.next().await.unwrap();
        assert_eq!(watched.statement.place.leaf_index(), leaf);
        assert_eq!(watched.statement.body.kind(), kind);
        assert_eq!(watched.receipt.unwrap().hash(), watched.hash);
    }
    assert_eq!(watch.next_leaf(), Some(3));
}

#[tokio::test]
async fn stream_that_breaks_goes_on_at_another_node_with_the_next_leaf() {
    let shared = world();
    let (first, second) = (
        FakeNode::start(&shared).await,
        FakeNode::start(&shared).await,
    );
    let gate = crate::gate_at(
        &first,
        &[first.address, second.address],
        std::time::Duration::from_secs(5),
    )
    .await;
    lives(&gate).await;
    for node in [&first, &second] {
        node.flows
            .lock()
            .unwrap()
            .extend([Flow::Break(2), Flow::Break(1)]);
    }
    let mut watch = gate.watch(Some(0), WatchFilter::default());
    for leaf in 0..3 {
        let watched = watch.next().await.unwrap();
        assert_eq!(watched.statement.place.leaf_index(), leaf);
    }
}

#[tokio::test]
async fn filter_leaves_statements_out_and_still_knows_how_far_it_came() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    lives(&gate).await;
    let filter = WatchFilter {
        kinds: vec![Kind::Completed],
        without_receipts: true,
        ..WatchFilter::default()
    };
    let mut watch = gate.watch(Some(0), filter);
    let watched = watch.next().await.unwrap();
    assert_eq!(watched.statement.place.leaf_index(), 2);
    assert!(watched.receipt.is_none());
    assert_eq!(watch.next_leaf(), Some(3));
}

#[tokio::test]
async fn what_is_not_the_log_ends_the_watch_and_says_where_to_resume() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    lives(&gate).await;
    let lies: [fn(&mut holdpoint_proto::v1::WatchResponse); 5] = [
        // A gap.
        |sent| {
            if sent.next_leaf == 1 {
                sent.statement = None;
            }
        },
        // A statement twice.
        |sent| {
            if let Some(statement) = &mut sent.statement {
                statement.leaf_index = 0;
            }
        },
        |sent| {
            if let Some(statement) = &mut sent.statement {
                statement.statement.push(b' ');
            }
        },
        |sent| {
            if let Some(statement) = &mut sent.statement {
                statement.receipt = None;
            }
        },
        |sent| sent.next_leaf += 1,
    ];
    for lie in lies {
        node.flows.lock().unwrap().push_back(Flow::Lie(lie));
        let mut watch = gate.watch(Some(0), WatchFilter::default());
        let ended = loop {
            match watch.next().await {
                Ok(_) => {}
                Err(ended) => break ended,
            }
        };
        let CallError::Refused(refused) = &ended.cause else {
            panic!("{ended}");
        };
        assert_eq!(refused.reason, Reason::ReceiptInvalid);
        let resume = ended.next_leaf.unwrap();
        assert!(
            ended
                .to_string()
                .ends_with(&format!("resume at leaf {resume}"))
        );
        // An honest node goes on there.
        let watched = watch.next().await.unwrap();
        assert_eq!(watched.statement.place.leaf_index(), resume);
    }
}

#[tokio::test]
async fn leaf_that_is_no_longer_kept_is_an_end_that_names_the_first_that_is() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    node.flows.lock().unwrap().push_back(Flow::Gone(9));
    let ended = gate
        .watch(Some(2), WatchFilter::default())
        .next()
        .await
        .unwrap_err();
    assert_eq!((ended.next_leaf, ended.first_kept), (Some(2), Some(9)));
    assert_eq!(ended.cause.reason(), Reason::NotFound);
}
