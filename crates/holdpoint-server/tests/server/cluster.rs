//! Three nodes: who answers, what a retry finds elsewhere, and what happens without a majority.

use holdpoint_proto::v1;
use holdpoint_receipt::{Receipt, verify};

use crate::support::{echo, keys};
use crate::trio::Trio;

/// The statement in a receipt, byte for byte.
fn statement(receipt: &v1::Receipt) -> String {
    Receipt::parse(&receipt.file)
        .unwrap()
        .statement
        .to_canonical()
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_names_the_leader_and_a_retry_after_a_hand_over_has_the_same_statement() {
    let mut trio = Trio::deciding().await;
    let first = trio.leader().await;
    for follower in (1..=3).filter(|id| *id != first) {
        let answer = trio
            .gate(follower)
            .authorize(echo("k0", "hello"))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.reason_name, "NOT_LEADER", "{}", answer.sentence);
        assert_eq!(answer.decided(), v1::Decided::Never);
        let hint = answer.leader_hint.unwrap();
        assert_eq!(hint.leader.unwrap().id, first);
        assert_eq!(hint.nodes.len(), 3);
    }
    let granted = trio
        .gate(first)
        .authorize(echo("k1", "hello"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    trio.stop(first).await;
    let second = trio.leader().await;
    assert_ne!(first, second);
    let retry = v1::AuthorizeRequest {
        not_after_ms: granted.not_after_ms,
        ..echo("k1", "hello")
    };
    let found = trio
        .gate(second)
        .authorize(retry)
        .await
        .unwrap()
        .into_inner();
    assert!(found.replay, "{} {}", found.reason_name, found.sentence);
    let (granted, found) = (granted.receipt.unwrap(), found.receipt.unwrap());
    assert_eq!(statement(&granted), statement(&found));
    let keys = keys(trio.channel(second)).await;
    verify(&granted.file, &keys).unwrap();
    verify(&found.file, &keys).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_every_call_ends_in_silence_by_its_deadline() {
    let mut trio = Trio::prepared().await;
    trio.start(1).await;
    let status = trio.status(1).await;
    assert_eq!((status.leader_id, status.failure_tolerance), (0, 0));
    assert!(
        status
            .nodes
            .iter()
            .all(|node| node.signing == "keys not announced"),
        "{status:?}"
    );
    let alone = v1::AuthorizeRequest {
        deadline_ms: 500,
        ..echo("k1", "hello")
    };
    let answer = trio
        .gate(1)
        .authorize(alone.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.reason_name, "NO_QUORUM", "{}", answer.sentence);
    assert_eq!(answer.decided(), v1::Decided::Never);
    let read = v1::GetPermitRequest {
        permit_id: "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        deadline_ms: 500,
        ..Default::default()
    };
    let read = trio.gate(1).get_permit(read).await.unwrap().into_inner();
    assert_eq!(read.refusal.unwrap().reason_name, "NO_QUORUM");
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_lost_its_majority_does_not_know_and_says_so() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    for follower in (1..=3).filter(|id| *id != leader) {
        trio.stop(follower).await;
    }
    let attempt = v1::AuthorizeRequest {
        deadline_ms: 1_500,
        ..echo("k1", "hello")
    };
    let answer = trio
        .gate(leader)
        .authorize(attempt.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.decision(), v1::Decision::Silence);
    let reasons = ["NO_QUORUM", "TIMEOUT", "NOT_LEADER"];
    assert!(reasons.contains(&answer.reason_name.as_str()), "{answer:?}");
    assert_eq!(answer.decided(), v1::Decided::Unknown, "{answer:?}");
    assert!(answer.receipt.is_none() && answer.permit.is_none());
    trio.until(leader, |status| {
        !status.serving && status.failure_tolerance == 0
    })
    .await;
    // It still takes itself for the leader, but must not send anybody back to itself: another node
    // may lead by now.
    let again = trio
        .gate(leader)
        .authorize(attempt)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.reason_name, "NO_QUORUM", "{}", again.sentence);
    let hint = again.leader_hint.unwrap();
    assert!(hint.leader.is_none(), "{hint:?}");
    assert_eq!(hint.nodes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_cluster_restarted_has_every_decision() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let granted = trio
        .gate(leader)
        .authorize(echo("k1", "hello"))
        .await
        .unwrap()
        .into_inner();
    for id in 1..=3 {
        trio.stop(id).await;
    }
    for id in [2, 3, 1] {
        trio.start(id).await;
    }
    let leader = trio.leader().await;
    let retry = v1::AuthorizeRequest {
        not_after_ms: granted.not_after_ms,
        ..echo("k1", "hello")
    };
    let found = trio
        .gate(leader)
        .authorize(retry)
        .await
        .unwrap()
        .into_inner();
    assert!(found.replay, "{} {}", found.reason_name, found.sentence);
    assert_eq!(
        statement(&granted.receipt.unwrap()),
        statement(&found.receipt.unwrap())
    );
    trio.until(leader, |status| {
        status.nodes.iter().all(|node| node.signing == "ok")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_whose_directory_was_deleted_does_not_come_back_and_the_others_go_on() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let lost = (1..=3).find(|id| *id != leader).unwrap();
    trio.stop(lost).await;
    std::fs::remove_dir_all(trio.dir(lost)).unwrap();
    trio.start(lost).await;
    let refused = trio.failed(lost).await.to_string();
    assert!(
        refused.contains("its data is gone: add a new node id"),
        "{refused}"
    );
    let answer = trio
        .gate(leader)
        .authorize(echo("k1", "hello"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.decision(),
        v1::Decision::Permit,
        "{}",
        answer.sentence
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn node_on_the_directory_of_another_is_refused() {
    let mut trio = Trio::prepared().await;
    trio.start(1).await;
    trio.stop(1).await;
    std::fs::rename(trio.dir(1), trio.dir(2)).unwrap();
    let refused = trio.try_start(2).await.unwrap_err().to_string();
    assert!(
        refused.contains("belongs to node 1, not to node 2"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_told_to_stop_leaves_nobody_waiting_and_the_next_one_decides() {
    let mut trio = Trio::deciding().await;
    let first = trio.leader().await;
    let keys = keys(trio.channel(first)).await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..64 {
        let mut gate = trio.gate(first);
        asked.spawn(async move { gate.authorize(echo(&format!("k{number}"), "hello")).await });
    }
    // At least one is through, so the others are on their way.
    let mut answers = vec![asked.join_next().await.unwrap().unwrap()];
    trio.stop(first).await;
    while let Some(answer) = asked.join_next().await {
        answers.push(answer.unwrap());
    }
    assert_eq!(answers.len(), 64);
    let mut decided = 0;
    for answer in answers {
        // Who came when the listener was closed was told so by the transport.
        let Ok(answer) = answer.map(tonic::Response::into_inner) else {
            continue;
        };
        match answer.decision() {
            v1::Decision::Permit => {
                verify(&answer.receipt.unwrap().file, &keys).unwrap();
                decided += 1;
            }
            v1::Decision::Silence => assert_ne!(answer.decided(), v1::Decided::Unspecified),
            v1::Decision::Deny | v1::Decision::Unspecified => panic!("{answer:?}"),
        }
    }
    assert!(decided >= 1);
    let second = trio.leader().await;
    let answer = trio
        .gate(second)
        .authorize(echo("next", "hello"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.decision(),
        v1::Decision::Permit,
        "{}",
        answer.sentence
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_says_who_leads_whatever_its_own_clock_thinks_of_the_end_of_the_attempt() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    let far = v1::AuthorizeRequest {
        not_after_ms: crate::support::now_ms() + 60 * 60 * 1_000,
        ..echo("far", "hello")
    };
    let answer = trio.gate(follower).authorize(far.clone()).await.unwrap();
    assert_eq!(answer.into_inner().reason_name, "NOT_LEADER");
    let refused = trio.gate(leader).authorize(far).await.unwrap_err();
    assert!(refused.message().contains("not_after_ms"), "{refused}");
}
