//! What reads show, and what they do not have.

use holdpoint_proto::v1;
use holdpoint_receipt::verify;

use crate::life::{PLAN, authorize};
use crate::support::{Dev, raw};

#[tokio::test(flavor = "multi_thread")]
async fn reads_show_permit_operation_receipt_and_policy() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let granted = authorize(&node, raw("plan-1", "infra.apply", PLAN)).await;
    let permit = granted.permit.clone().unwrap();
    let named = v1::GetPermitRequest {
        permit_id: permit.id.clone(),
        ..Default::default()
    };
    let read = node.gate().get_permit(named).await.unwrap().into_inner();
    assert_eq!(read.permit.unwrap().state(), v1::PermitState::Issued);
    assert_eq!(read.request_canonical, granted.request_canonical);

    let held = v1::GetOperationRequest {
        surface: "infra.apply".to_owned(),
        bound: "workspace".to_owned(),
        key: "workspace/prod-eu".to_owned(),
        ..Default::default()
    };
    let read = node.gate().get_operation(held).await.unwrap().into_inner();
    assert_eq!(read.holder.unwrap().id, permit.id);

    let subject = v1::get_receipt_request::Subject::PermitId(permit.id.clone());
    let call = v1::GetReceiptRequest {
        subject: Some(subject),
        ..Default::default()
    };
    let read = node.gate().get_receipt(call).await.unwrap().into_inner();
    let verified = verify(&read.receipt.unwrap().file, &node.keys().await).unwrap();
    assert_eq!(verified.statement().place.leaf_index(), 2);

    let unknown = v1::GetPermitRequest {
        permit_id: "pmt_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        ..Default::default()
    };
    let read = node.gate().get_permit(unknown).await.unwrap().into_inner();
    assert_eq!(read.refusal.unwrap().reason_name, "UNKNOWN_PERMIT");

    let listed = node
        .policy()
        .list(v1::ListPoliciesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        listed
            .policies
            .iter()
            .map(|it| it.name.as_str())
            .collect::<Vec<_>>(),
        ["starter"]
    );
    assert_eq!(listed.activations.len(), 1);
    let read = node
        .policy()
        .get(v1::GetPolicyRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (read.version, read.files.len()),
        (1, holdpoint_policy::starter::FILES.len())
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operation_that_nothing_bounds_is_not_found_and_a_free_one_is_free() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let asked = |surface: &str, bound: &str| v1::GetOperationRequest {
        surface: surface.to_owned(),
        bound: bound.to_owned(),
        key: "workspace/other".to_owned(),
        ..Default::default()
    };
    let free = asked("infra.apply", "workspace");
    let read = node.gate().get_operation(free).await.unwrap().into_inner();
    assert_eq!((read.holder, read.refusal), (None, None));
    for (surface, bound, said) in [
        ("infra.aply", "workspace", "no surface `infra.aply`; it has"),
        ("infra.apply", "space", "no bound `space`; it has"),
    ] {
        let unknown = asked(surface, bound);
        let read = node.gate().get_operation(unknown).await.unwrap();
        let refusal = read.into_inner().refusal.unwrap();
        assert_eq!(refusal.reason_name, "NOT_FOUND");
        assert!(refusal.sentence.contains(said), "{}", refusal.sentence);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_in_force_is_not_put_in_force_again_and_keeps_its_receipt() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let mut policy = node.policy();
    let active = policy.get(v1::GetPolicyRequest::default()).await.unwrap();
    let digest = active.into_inner().digest;
    let activate = |expected_version| v1::ActivatePolicyRequest {
        digest: digest.clone(),
        expected_version,
        ..Default::default()
    };
    for expected in [0, 1] {
        let again = policy.activate(activate(expected)).await.unwrap();
        let again = again.into_inner();
        assert_eq!((again.version, again.refusal), (1, None));
        let keys = node.keys().await;
        verify(&again.receipt.unwrap().file, &keys).unwrap();
    }
    let other = policy.activate(activate(2)).await.unwrap().into_inner();
    assert_eq!(other.refusal.unwrap().reason_name, "VERSION_CONFLICT");
    let listed = policy.list(v1::ListPoliciesRequest::default()).await;
    assert_eq!(listed.unwrap().into_inner().activations.len(), 1);
    node.stop().await;
}
