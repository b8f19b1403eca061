//! Approvals over the wire: what is shown is what is approved, and by whom.

use holdpoint_proto::v1;
use holdpoint_receipt::statement::subject_digest;
use holdpoint_receipt::{Body, verify};

use crate::support::{Dev, by, now_ms, raw};

/// A payment so large that two of the finance team have to approve it.
pub(crate) fn payment(key: &str, invoice: &str, not_after_ms: u64) -> v1::AuthorizeRequest {
    let params = format!(
        r#"{{"account":"main","amount_minor":250000,"currency":"EUR","invoice":"{invoice}"}}"#
    );
    v1::AuthorizeRequest {
        not_after_ms,
        ..raw(key, "payment.execute", &params)
    }
}

pub(crate) async fn asked(node: &Dev, attempt: &v1::AuthorizeRequest) -> v1::AuthorizeResponse {
    let answer = node.gate().authorize(by("clerk", attempt.clone())).await;
    answer.unwrap().into_inner()
}

/// That the answer is SILENCE for want of one quorum, which this is.
pub(crate) fn missing(answer: &v1::AuthorizeResponse) -> v1::MissingApproval {
    assert_eq!(
        answer.reason_name, "APPROVAL_REQUIRED",
        "{}",
        answer.sentence
    );
    assert_eq!(answer.decided(), v1::Decided::Never);
    let [missing] = answer.missing_approvals.as_slice() else {
        panic!("{answer:?}");
    };
    missing.clone()
}

pub(crate) async fn subject(node: &Dev, digest: &[u8]) -> v1::GetSubjectResponse {
    let call = v1::GetSubjectRequest {
        subject_digest: digest.to_vec(),
        ..Default::default()
    };
    node.approvals()
        .get_subject(call)
        .await
        .unwrap()
        .into_inner()
}

/// Approves what is shown, as `approver`.
pub(crate) async fn approve(
    node: &Dev,
    approver: &str,
    subject_digest: &[u8],
    shown: &v1::GetSubjectResponse,
) -> v1::ApproveResponse {
    let call = v1::ApproveRequest {
        quorum: shown.quorum.clone(),
        subject_digest: subject_digest.to_vec(),
        policy_digest: shown.policy_digest.clone(),
        ..Default::default()
    };
    let answer = node.approvals().approve(by(approver, call)).await;
    answer.unwrap().into_inner()
}

fn refused(refusal: Option<v1::Refusal>) -> String {
    refusal.unwrap().reason_name
}

#[tokio::test(flavor = "multi_thread")]
async fn request_gets_its_permit_under_the_same_key_once_two_others_have_approved_it() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let keys = node.keys().await;
    let attempt = payment("k1", "INV-7", now_ms() + 120_000);
    let wanted = missing(&asked(&node, &attempt).await);
    assert_eq!((wanted.needed, wanted.have), (2, 0));
    assert_eq!(
        subject_digest(&wanted.subject_json).as_bytes(),
        wanted.subject_digest.as_slice()
    );

    let listed = v1::ListPendingRequest::default();
    let listed = node
        .approvals()
        .list_pending(listed)
        .await
        .unwrap()
        .into_inner();
    let [pending] = listed.requests.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(pending.caller, "loopback:clerk");
    assert_eq!(pending.missing, std::slice::from_ref(&wanted));
    assert_eq!(node.status().await.pending_approvals, 1);

    let digest = wanted.subject_digest.clone();
    let shown = subject(&node, &digest).await;
    assert_eq!(shown.subject_json, wanted.subject_json);
    assert_eq!((shown.quorum.as_str(), shown.needed), ("two-person", 2));
    assert_eq!(
        (shown.surface.as_str(), shown.policy_version),
        ("payment.execute", 1)
    );
    assert_eq!(shown.requests.len(), 1);

    for stranger in ["clerk", "mallory"] {
        let answer = approve(&node, stranger, &digest, &shown).await;
        assert_eq!(refused(answer.refusal), "NOT_APPROVER");
    }
    let first = approve(&node, "alice", &digest, &shown).await;
    let verified = verify(&first.receipt.unwrap().file, &keys).unwrap();
    assert!(matches!(verified.statement().body, Body::Approved(_)));
    let twice = approve(&node, "alice", &digest, &shown).await;
    assert!(twice.replay);
    assert_eq!(missing(&asked(&node, &attempt).await).have, 1);

    let second = approve(&node, "bob", &digest, &shown).await;
    assert_eq!(second.refusal, None);
    let granted = asked(&node, &attempt).await;
    assert_eq!(
        granted.decision(),
        v1::Decision::Permit,
        "{}",
        granted.sentence
    );
    let verified = verify(&granted.receipt.unwrap().file, &keys).unwrap();
    let Body::Decision(decision) = &verified.statement().body else {
        panic!("{:?}", verified.statement());
    };
    assert!(decision.approvals_digest.is_some());
    assert_eq!(node.status().await.pending_approvals, 0);

    // Both are used up: the same again needs two more.
    let again = payment("k2", "INV-7", now_ms() + 120_000);
    assert_eq!(missing(&asked(&node, &again).await).have, 0);
    let spent = v1::RevokeApprovalRequest {
        quorum: shown.quorum.clone(),
        subject_digest: digest,
        ..Default::default()
    };
    let spent = node.approvals().revoke_approval(by("alice", spent)).await;
    assert_eq!(
        refused(spent.unwrap().into_inner().refusal),
        "APPROVAL_SPENT"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_of_other_bytes_or_under_another_policy_is_refused_and_one_taken_back_does_not_count()
 {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let attempt = payment("k1", "INV-7", now_ms() + 120_000);
    let wanted = missing(&asked(&node, &attempt).await);
    let digest = wanted.subject_digest.clone();
    let shown = subject(&node, &digest).await;

    let other = approve(&node, "alice", &[9; 32], &shown).await;
    assert_eq!(refused(other.refusal), "UNKNOWN_SUBJECT");
    let stale = v1::GetSubjectResponse {
        policy_digest: vec![9; 32],
        ..shown.clone()
    };
    let stale = approve(&node, "alice", &digest, &stale).await;
    assert_eq!(refused(stale.refusal), "POLICY_MOVED");
    let unknown = subject(&node, &[9; 32]).await;
    assert_eq!(refused(unknown.refusal), "UNKNOWN_SUBJECT");

    assert_eq!(approve(&node, "alice", &digest, &shown).await.refusal, None);
    assert_eq!(approve(&node, "bob", &digest, &shown).await.refusal, None);
    let back = v1::RevokeApprovalRequest {
        quorum: shown.quorum.clone(),
        subject_digest: digest,
        ..Default::default()
    };
    let back = node.approvals().revoke_approval(by("alice", back)).await;
    let back = back.unwrap().into_inner();
    assert_eq!(back.approval.unwrap().state(), v1::ApprovalState::Revoked);
    assert_eq!(missing(&asked(&node, &attempt).await).have, 1);

    // Another amount is other bytes.
    let changed = payment("k2", "INV-8", now_ms() + 120_000);
    assert_eq!(missing(&asked(&node, &changed).await).have, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approver_may_approve_ahead_with_the_request_in_hand() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let attempt = payment("k1", "INV-7", now_ms() + 120_000);
    let wanted = missing(&asked(&node, &attempt).await);
    let shown = subject(&node, &wanted.subject_digest).await;
    let request = shown.requests[0].request_canonical.clone();
    let ahead = |subject_digest: Vec<u8>| v1::ApproveRequest {
        quorum: "two-person".to_owned(),
        subject_digest,
        policy_digest: shown.policy_digest.clone(),
        request_canonical: request.clone(),
        ..Default::default()
    };
    let answer = node
        .approvals()
        .approve(by("carol", ahead(vec![9; 32])))
        .await;
    assert_eq!(
        refused(answer.unwrap().into_inner().refusal),
        "UNKNOWN_SUBJECT"
    );
    let answer = node
        .approvals()
        .approve(by("carol", ahead(wanted.subject_digest)))
        .await;
    assert_eq!(answer.unwrap().into_inner().refusal, None);
    assert_eq!(missing(&asked(&node, &attempt).await).have, 1);
    node.stop().await;
}
