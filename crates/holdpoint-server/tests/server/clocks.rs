//! Three nodes whose wall clocks are put forward: one of them, and all.

use std::time::Duration;

use holdpoint_proto::v1;
use holdpoint_proto::v1::approvals_client::ApprovalsClient;
use holdpoint_proto::v1::cluster_client::ClusterClient;

use crate::approvals::payment;
use crate::support::{LONG, POLL, by, echo, now_ms};
use crate::trio::Trio;

const DAY: Duration = Duration::from_hours(24);
/// How long an approval of the starter bundle counts.
const MAX_AGE: Duration = Duration::from_hours(4);

async fn authorize(trio: &Trio, node: u64, key: &str) -> v1::AuthorizeResponse {
    let answer = trio.gate(node).authorize(echo(key, "hello")).await;
    answer.unwrap().into_inner()
}

/// The answer of a leader whose clock is two seconds ahead, and which it was. It hands over after
/// three rounds of readings: where those pass unseen, the next one's clock is put forward.
async fn refused_for_its_clock(trio: &Trio) -> (u64, v1::AuthorizeResponse) {
    loop {
        let leader = trio.leader().await;
        trio.put_forward(leader, Duration::from_secs(2));
        for attempt in 0.. {
            let answer = authorize(trio, leader, &format!("skew-{leader}-{attempt}")).await;
            match answer.reason_name.as_str() {
                "CLOCK_SKEW" => return (leader, answer),
                "NOT_LEADER" => break,
                _ => tokio::time::sleep(POLL).await,
            }
        }
        trio.put_forward(leader, Duration::ZERO);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_whose_clock_is_off_grants_nothing_and_does_not_say_that_it_serves() {
    let trio = Trio::deciding().await;
    let refused = tokio::time::timeout(LONG, refused_for_its_clock(&trio));
    let (leader, refused) = refused.await.expect("it hears of its clock in time");
    assert_eq!(refused.decided(), v1::Decided::Never);
    assert!(!trio.status(leader).await.serving);
    // Others lead, whose clocks are right.
    let next = trio.leader().await;
    assert_ne!(next, leader);
    let granted = authorize(&trio, next, "k1").await;
    let sentence = granted.sentence.clone();
    assert_eq!(granted.decision(), v1::Decision::Permit, "{sentence}");
}

async fn first_leaf(trio: &Trio) -> u64 {
    let mut cluster = ClusterClient::new(trio.channel(trio.leader().await));
    let asked = v1::GetRetentionRequest::default();
    let read = cluster.get_retention(asked).await.unwrap().into_inner();
    read.first_leaf
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_from_a_leaf_that_is_no_longer_kept_says_the_first_that_is() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let kept_ms = Some(u64::try_from(2 * DAY.as_millis()).unwrap());
    let retention = v1::SetRetentionRequest {
        retention: Some(v1::Retention {
            permits_ms: kept_ms,
            disclosures_ms: kept_ms,
            statements_ms: kept_ms,
            sessions_ms: kept_ms,
        }),
        ..Default::default()
    };
    let mut cluster = ClusterClient::new(trio.channel(leader));
    let set = cluster.set_retention(retention).await.unwrap().into_inner();
    assert_eq!(set.refusal, None);
    authorize(&trio, leader, "k1").await;
    // A majority vouches for it, so cluster time follows at once.
    trio.put_all_forward(3 * DAY);
    let swept = async {
        while first_leaf(&trio).await < 2 {
            tokio::time::sleep(POLL).await;
        }
    };
    let swept = tokio::time::timeout(LONG, swept).await;
    swept.expect("the statements go in time");
    let from_the_start = v1::WatchRequest {
        from_leaf: Some(0),
        ..Default::default()
    };
    let leader = trio.leader().await;
    let stream = trio.history(leader).watch(from_the_start).await;
    let told = stream
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let refusal = told.refusal.clone().unwrap();
    assert_eq!(refusal.reason_name, "NOT_FOUND");
    assert_eq!(
        refusal.sentence,
        format!(
            "The statement at leaf 0 is no longer kept; the first that is stands at {}.",
            told.next_leaf
        )
    );
    assert!(told.next_leaf >= 2, "{told:?}");
    assert_eq!(told.statement, None);
}

/// Asks for a payment as the clerk, at whoever leads, until the answer is about the payment: a leader
/// that reads the clocks while they are put forward finds its own off, and the end that it chooses for
/// the attempt is too far ahead of cluster time, until that follows.
async fn asked(trio: &Trio, key: &str, invoice: &str) -> v1::AuthorizeResponse {
    loop {
        let mut gate = trio.gate(trio.leader().await);
        let attempt = by("clerk", payment(key, invoice, 0));
        let answer = gate.authorize(attempt).await.unwrap().into_inner();
        let of_the_moment = ["CLOCK_SKEW", "NOT_LEADER", "FACTS_MOVED"];
        if !of_the_moment.contains(&answer.reason_name.as_str())
            && !answer.sentence.contains("beyond the retry horizon")
        {
            return answer;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// How many approvals there are of the one quorum that is missing.
fn have(answer: &v1::AuthorizeResponse) -> u32 {
    let sentence = &answer.sentence;
    assert_eq!(answer.reason_name, "APPROVAL_REQUIRED", "{sentence}");
    answer.missing_approvals.first().unwrap().have
}

/// Approves what is missing, and says until when that counts.
async fn approve(trio: &Trio, approver: &str, missing: &v1::MissingApproval) -> u64 {
    let mut approvals = ApprovalsClient::new(trio.channel(trio.leader().await));
    let shown = v1::GetSubjectRequest {
        subject_digest: missing.subject_digest.clone(),
        ..Default::default()
    };
    let shown = approvals.get_subject(shown).await.unwrap().into_inner();
    let yes = v1::ApproveRequest {
        quorum: shown.quorum,
        subject_digest: missing.subject_digest.clone(),
        policy_digest: shown.policy_digest,
        ..Default::default()
    };
    let given = approvals.approve(by(approver, yes)).await;
    let given = given.unwrap().into_inner();
    assert_eq!(given.refusal, None);
    assert!(!given.replay);
    given.approval.unwrap().expires_at_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_that_is_too_old_counts_no_more_and_can_be_given_anew() {
    let trio = Trio::deciding().await;
    let first = asked(&trio, "k1", "INV-1").await;
    let missing = first.missing_approvals[0].clone();
    approve(&trio, "alice", &missing).await;
    assert_eq!(have(&asked(&trio, "k2", "INV-1").await), 1);
    trio.put_all_forward(MAX_AGE);
    let too_old = async {
        while have(&asked(&trio, "k3", "INV-1").await) > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    let too_old = tokio::time::timeout(LONG, too_old).await;
    too_old.expect("cluster time follows the clocks");
    approve(&trio, "alice", &missing).await;
    assert_eq!(have(&asked(&trio, "k4", "INV-1").await), 1);
}

/// Whoever comes first, no permit is issued on an approval that no longer counts then.
#[tokio::test(flavor = "multi_thread")]
async fn permit_and_the_end_of_its_approvals_never_pass_each_other() {
    let trio = Trio::deciding().await;
    let mut ahead = Duration::ZERO;
    for (round, early_ms) in (1..).zip([3_000, 200, 100, 50, 20, 0]) {
        let invoice = format!("INV-{round}");
        let first = asked(&trio, &format!("first-{round}"), &invoice).await;
        let missing = first.missing_approvals[0].clone();
        let end_ms = approve(&trio, "alice", &missing).await;
        approve(&trio, "bob", &missing).await;
        ahead += MAX_AGE.saturating_sub(Duration::from_secs(1));
        trio.put_all_forward(ahead);
        let shown_ms = || now_ms() + u64::try_from(ahead.as_millis()).unwrap();
        while shown_ms() + early_ms < end_ms {
            tokio::time::sleep(POLL).await;
        }
        let key = format!("then-{round}");
        let answer = tokio::time::timeout(LONG, asked(&trio, &key, &invoice)).await;
        let answer = answer.expect("there is an answer in time");
        match answer.permit {
            Some(permit) => assert!(permit.issued_at_ms < end_ms, "round {round}"),
            None => assert!(have(&answer) < 2),
        }
    }
}
