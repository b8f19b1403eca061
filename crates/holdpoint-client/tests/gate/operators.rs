//! What approvers and operators change, believed only with its receipt.

use std::time::Duration;

use holdpoint_client::{
    ActivationMode, ActivationOutcome, ApprovalState, CallError, Outcome, PermitState, Retention,
};
use holdpoint_proto::v1;
use holdpoint_receipt::statement::DrainMode;
use holdpoint_receipt::{Body, Digest, Name, PolicyVersion, Reason, sha256};

use crate::fake::{DIGEST, FakeNode, subject, world};
use crate::{apply, gate};

/// That the answer was not believed.
#[track_caller]
fn disbelieved<T>(answer: Result<T, CallError>) {
    let Err(CallError::Silence(silence)) = answer else {
        panic!("believed");
    };
    assert_eq!(silence.reason(), Reason::ReceiptInvalid);
}

#[tokio::test]
async fn approval_is_given_for_the_bytes_that_were_shown_and_can_be_taken_back() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let (bytes, digest) = subject();
    let shown = gate.approvals().subject(digest).await.unwrap();
    assert_eq!(shown.bytes.as_str().as_bytes(), bytes);
    assert_eq!((shown.needed, shown.approvals.len()), (2, 0));
    let given = gate.approvals().approve(&shown).await.unwrap();
    assert_eq!(given.approval.state, ApprovalState::Given);
    given
        .receipt
        .verified()
        .approval_of(shown.bytes.quorum(), &digest)
        .unwrap();
    let quorum = shown.bytes.quorum();
    let taken = gate.approvals().revoke(quorum, digest, None).await.unwrap();
    assert_eq!(taken.approval.state, ApprovalState::Revoked);
    let gone = gate.approvals().revoke(quorum, digest, None).await;
    assert_eq!(gone.unwrap_err().reason(), Reason::UnknownApproval);
}

#[tokio::test]
async fn bytes_that_are_not_behind_the_digest_are_never_shown() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await.with_deadline(Duration::from_secs(1));
    let misshows: [fn(&mut v1::GetSubjectResponse); 4] = [
        |answer| answer.subject_json[40] ^= 1,
        |answer| answer.quorum = "another".to_owned(),
        |answer| answer.surface = "another".to_owned(),
        |answer| answer.subject_json.push(b' '),
    ];
    for misshow in misshows {
        *node.misshow.lock().unwrap() = Some(misshow);
        disbelieved(gate.approvals().subject(subject().1).await);
    }
    let nothing = gate.approvals().subject(sha256(b"nothing")).await;
    assert_eq!(nothing.unwrap_err().reason(), Reason::UnknownSubject);
}

#[tokio::test]
async fn receipt_of_another_approval_is_not_believed() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await.with_deadline(Duration::from_secs(1));
    let shown = gate.approvals().subject(subject().1).await.unwrap();
    let misstatements: [fn(&mut Body); 4] = [
        |body| approval(body).subject_digest = sha256(b"other"),
        |body| approval(body).quorum = Name::new("other").unwrap(),
        |body| approval(body).policy_digest = sha256(b"other"),
        |body| *body = Body::ApprovalRevoked(approval(body).clone()),
    ];
    for misstate in misstatements {
        node.world().misstate = Some(misstate);
        disbelieved(gate.approvals().approve(&shown).await);
    }
}

fn approval(body: &mut Body) -> &mut holdpoint_receipt::statement::ApprovalStatement {
    match body {
        Body::Approved(approval) => approval,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn permit_in_doubt_is_resolved_with_a_reason_or_released() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let mut ids = Vec::new();
    for workspace in ["a", "b"] {
        let permit = gate.authorize(&apply(workspace)).await.unwrap();
        ids.push(permit.id());
        permit.redeem().await.unwrap().leave_in_doubt();
    }
    let receipt = gate.resolve(ids[0], Outcome::Aborted, "asked them").await;
    let receipt = receipt.unwrap();
    let Body::Completed {
        reason_commitment, ..
    } = &receipt.statement().body
    else {
        panic!("no outcome");
    };
    assert!(reason_commitment.is_some());
    let released = gate.release(ids[1], "nobody knows").await.unwrap();
    released.receipt.verified().release_of(&ids[1]).unwrap();
    let info = gate.permit(ids[1]).await.unwrap().info;
    assert_eq!(info.state, PermitState::Released);
    assert_eq!(info.release_reason.as_deref(), Some("nobody knows"));
    let again = gate.release(ids[0], "").await.unwrap_err();
    assert_eq!(again.reason(), Reason::NotInDoubt);
}

#[tokio::test]
async fn release_of_another_permit_and_an_outcome_without_our_reason_are_not_believed() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await.with_deadline(Duration::from_secs(1));
    let permit = gate.authorize(&apply("a")).await.unwrap();
    let id = permit.id();
    permit.redeem().await.unwrap().leave_in_doubt();
    node.world().misstate = Some(|body| {
        if let Body::Completed {
            reason_commitment, ..
        } = body
        {
            *reason_commitment = None;
        }
    });
    disbelieved(gate.resolve(id, Outcome::Aborted, "asked them").await);
    let other = gate.authorize(&apply("b")).await.unwrap();
    let id = other.id();
    other.redeem().await.unwrap().leave_in_doubt();
    node.world().misstate = Some(|body| {
        if let Body::Released { step, .. } = body {
            step.permit_id = holdpoint_receipt::PermitId::from_bytes([77; 16]);
        }
    });
    disbelieved(gate.release(id, "").await);
    let third = gate.authorize(&apply("c")).await.unwrap();
    let id = third.id();
    third.redeem().await.unwrap().leave_in_doubt();
    node.world().misstate = Some(|body| {
        if let Body::Released {
            reason_commitment, ..
        } = body
        {
            *reason_commitment = None;
        }
    });
    disbelieved(gate.release(id, "nobody knows").await);
}

#[tokio::test]
async fn freeze_and_session_are_believed_with_receipts_of_their_own_only() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await.with_deadline(Duration::from_secs(1));
    let surface = Name::new("infra.apply").unwrap();
    gate.freeze(Some(&surface), true).await.unwrap();
    let thawed = gate.freeze(None, false).await.unwrap();
    assert!(thawed.receipt.is_some());
    let closed = gate.close_session("turn-7").await.unwrap();
    assert!(closed.salt.is_some());
    node.world().misstate = Some(|body| {
        if let Body::SessionClosed(closed) = body {
            closed.session_commitment = sha256(b"another session");
        }
    });
    disbelieved(gate.close_session("turn-7").await);
    for misstate in [
        (|body| frozen(body).frozen = false) as fn(&mut Body),
        |body| frozen(body).surface = None,
    ] {
        node.world().misstate = Some(misstate);
        disbelieved(gate.freeze(Some(&surface), true).await);
    }
}

fn frozen(body: &mut Body) -> &mut holdpoint_receipt::statement::FrozenStatement {
    match body {
        Body::Frozen(frozen) => frozen,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn activation_drains_what_is_in_its_way_when_told_so() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let version = |number| PolicyVersion::new(number).unwrap();
    let (drains, free) = (Digest::from_bytes(DIGEST), sha256(b"free"));
    let refused = gate.activate_policy(drains, version(1)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::BoundsInUse);
    let mode = ActivationMode::Revoke;
    let outcome = gate.activate_policy_with(drains, version(1), mode).await;
    let ActivationOutcome::Draining { surfaces, receipt } = outcome.unwrap() else {
        panic!("it is in use");
    };
    assert_eq!(surfaces[0].as_str(), "infra.apply");
    assert!(matches!(
        &receipt.statement().body,
        Body::Drain(drain) if drain.mode == DrainMode::Revoke
    ));
    let outcome = gate.activate_policy_with(free, version(1), mode).await;
    let ActivationOutcome::InForce(activated) = outcome.unwrap() else {
        panic!("nothing is in its way");
    };
    assert_eq!(activated.version.get(), 2);
    gate.cancel_drain().await.unwrap();
}

#[tokio::test]
async fn list_of_permits_is_read_page_by_page_to_its_end() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let mut granted = Vec::new();
    for workspace in ["a", "b", "c", "d", "e"] {
        let permit = gate.authorize(&apply(workspace)).await.unwrap();
        granted.push(permit.id());
        permit.set_aside();
    }
    let mut listed = Vec::new();
    let mut permits = gate.permits_in_doubt();
    while let Some(permit) = permits.next().await.unwrap() {
        listed.push(permit.id);
    }
    assert_eq!(listed, granted);
    assert!(permits.next().await.unwrap().is_none());
}

#[tokio::test]
async fn retention_that_is_too_short_is_refused() {
    let node = FakeNode::start(&world()).await;
    let gate = gate(&node).await;
    let keep = |hours| Retention {
        permits: Some(Duration::from_hours(hours)),
        ..Retention::default()
    };
    assert!(!gate.set_retention(keep(48)).await.unwrap());
    let short = gate.set_retention(keep(1)).await.unwrap_err();
    assert_eq!(short.reason(), Reason::RetentionTooShort);
}
