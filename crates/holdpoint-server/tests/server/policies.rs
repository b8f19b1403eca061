//! Changes of policy under live permits, shadows, deletion.

use holdpoint_proto::v1;
use v1::ActivationMode::{Drain, Refuse, Revoke};

use crate::life::authorize;
use crate::support::{Dev, apply, echo, ended, redeem, starter, untested};

/// The starter bundle, which names the workspace otherwise: permits that hold it stand in the way.
fn renamed() -> Vec<v1::BundleFile> {
    let renamed =
        |surfaces: String| surfaces.replace("workspace/{params.workspace}", "w/{params.workspace}");
    untested(starter(renamed), "tests/infra.yaml")
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_that_changes_a_held_bound_is_refused_or_drains() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let held = authorize(&node, apply("a", "w")).await;
    node.gate().redeem(redeem(&held, "r")).await.unwrap();
    let digest = node.put_files(renamed()).await;

    let refused = node.activate(&digest, 1, Refuse).await;
    assert_eq!(refused.refusal.unwrap().reason_name, "BOUNDS_IN_USE");
    assert_eq!(refused.surface_in_use, "infra.apply");

    let draining = node.activate(&digest, 1, Drain).await;
    assert_eq!(draining.draining, ["infra.apply"], "{draining:?}");
    assert!(draining.receipt.is_some() && draining.version == 0);
    let stopped = authorize(&node, apply("b", "v")).await;
    assert_eq!(stopped.reason_name, "DRAINING", "{}", stopped.sentence);
    let other = authorize(&node, echo("c", "hello")).await;
    assert_eq!(other.decision(), v1::Decision::Permit);
    assert_eq!(node.status().await.draining_surfaces, ["infra.apply"]);
    let listed = v1::ListPoliciesRequest::default();
    let listed = node.policy().list(listed).await.unwrap().into_inner();
    assert_eq!(listed.draining.unwrap().digest, digest);

    let cancel = v1::CancelDrainRequest::default();
    let cancelled = node.policy().cancel_drain(cancel.clone()).await.unwrap();
    assert_eq!(cancelled.into_inner().refusal, None);
    let nothing = node
        .policy()
        .cancel_drain(cancel)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(nothing.refusal.unwrap().reason_name, "NO_DRAIN");

    node.activate(&digest, 1, Drain).await;
    let aborted = ended(&held, v1::Completion::Aborted);
    node.gate().complete(aborted).await.unwrap();
    node.until(|status| status.policy_version == 2).await;
    let granted = authorize(&node, apply("d", "w")).await;
    assert_eq!(granted.permit.unwrap().bounds[1].key, "w/w");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_that_revokes_takes_effect_without_waiting_for_unredeemed_permits() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let held = authorize(&node, apply("a", "w")).await;
    let digest = node.put_files(renamed()).await;
    let draining = node.activate(&digest, 1, Revoke).await;
    assert_eq!(draining.refusal, None);
    node.until(|status| status.policy_version == 2).await;
    let read = v1::GetPermitRequest {
        permit_id: held.permit.unwrap().id,
        ..Default::default()
    };
    let read = node.gate().get_permit(read).await.unwrap().into_inner();
    assert_eq!(read.permit.unwrap().state(), v1::PermitState::Revoked);
    let listed = v1::ListPoliciesRequest::default();
    let listed = node.policy().list(listed).await.unwrap().into_inner();
    let newest = listed.activations.last().unwrap();
    assert_eq!((newest.version, &newest.digest), (2, &digest));
    assert_eq!(newest.activated_by, "loopback:dev");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_says_what_it_would_change_and_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    // The shadow lets nobody act on a surface that it does not have.
    let digest = node
        .put(|surfaces| surfaces.replace("permit_for: 5m", "permit_for: 4m"))
        .await;
    let strict = strict(&node).await;
    let set = async |digests: Vec<Vec<u8>>| {
        let call = v1::SetShadowRequest {
            digests,
            ..Default::default()
        };
        node.policy().set_shadow(call).await.unwrap().into_inner()
    };
    let unknown = set(vec![vec![9; 32]]).await;
    assert_eq!(unknown.refusal.unwrap().reason_name, "BUNDLE_UNKNOWN");
    assert_eq!(
        set(vec![digest.clone(), strict.clone()]).await.refusal,
        None
    );
    let granted = authorize(&node, echo("k1", "hello")).await;
    assert_eq!(granted.decision(), v1::Decision::Permit);
    let denied = authorize(&node, echo("k2", "forbidden")).await;
    assert_eq!(denied.reason_name, "POLICY");
    let report = || async {
        let call = v1::GetShadowRequest::default();
        node.policy().get_shadow(call).await.unwrap().into_inner()
    };
    let all = |answer: &v1::GetShadowResponse| answer.shadows.iter().all(|it| it.evaluated == 2);
    let answer = node.poll(report, all).await;
    let of = |wanted: &[u8]| {
        let mut all = answer.shadows.iter();
        all.find(|it| it.digest == wanted).unwrap().clone()
    };
    assert_eq!(of(&digest).differing, 0);
    assert_eq!(of(&strict).differing, 1, "{:?}", of(&strict));
    let difference = of(&strict).differences.remove(0);
    assert_eq!(
        (difference.decided.as_str(), difference.shadow.as_str()),
        ("GRANTED", "POLICY")
    );
    assert_eq!(difference.leaf_index, 2);
    assert_eq!(set(Vec::new()).await.refusal, None);
    assert!(report().await.shadows.is_empty());
    node.stop().await;
}

/// Stores the starter bundle with every word forbidden.
async fn strict(node: &Dev) -> Vec<u8> {
    let mut files = untested(starter(|surfaces| surfaces), "tests/demo.yaml");
    let policy = files
        .iter_mut()
        .find(|file| file.path == "policies/demo.cedar");
    let policy = policy.unwrap();
    let text = String::from_utf8(policy.content.clone()).unwrap();
    policy.content = text.replace("*forbidden*", "*").into_bytes();
    node.put_files(files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bundle_is_deleted_only_while_nothing_names_it() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Dev::start(scratch.path().join("dev")).await;
    let delete = async |digest: &[u8]| {
        let call = v1::DeletePolicyRequest {
            digest: digest.to_vec(),
            ..Default::default()
        };
        node.policy().delete(call).await.unwrap().into_inner()
    };
    let active = node.status().await.policy_digest;
    let refused = delete(&active).await.refusal.unwrap();
    assert_eq!(refused.reason_name, "BUNDLE_IN_USE");
    let unused = node.put_files(renamed()).await;
    assert_eq!(delete(&unused).await.refusal, None);
    let get = v1::GetPolicyRequest {
        digest: unused.clone(),
        ..Default::default()
    };
    let gone = node.policy().get(get).await.unwrap().into_inner();
    assert_eq!(gone.refusal.unwrap().reason_name, "BUNDLE_UNKNOWN");
    let again = delete(&unused).await;
    assert!(again.replay || again.refusal.is_some(), "{again:?}");
    node.stop().await;
}
