//! Three nodes, one of which evaluates otherwise than its policies: found, and stopped on its surface.

use std::collections::BTreeMap;

use holdpoint_proto::v1;
use holdpoint_proto::v1::cluster_client::ClusterClient;

use crate::approvals::payment;
use crate::support::{apply, echo, raw, redeem};
use crate::trio::Trio;

/// What the starter policy forbids, taken for what it permits.
const GRANTS: (&str, &str) = ("forbidden", "harmless");

async fn authorize(trio: &Trio, node: u64, attempt: v1::AuthorizeRequest) -> v1::AuthorizeResponse {
    let answer = trio.gate(node).authorize(attempt).await;
    answer.unwrap().into_inner()
}

async fn granted(trio: &Trio, node: u64, attempt: v1::AuthorizeRequest) -> v1::AuthorizeResponse {
    let answer = authorize(trio, node, attempt).await;
    assert_eq!(answer.decision(), v1::Decision::Permit, "{answer:?}");
    answer
}

/// Why a permit cannot be redeemed; nothing if it was.
async fn redeemed(trio: &Trio, node: u64, granted: &v1::AuthorizeResponse) -> Option<String> {
    let answer = trio.gate(node).redeem(redeem(granted, "r")).await.unwrap();
    answer.into_inner().refusal.map(|it| it.reason_name)
}

async fn state_of(trio: &Trio, node: u64, granted: &v1::AuthorizeResponse) -> v1::PermitState {
    let asked = v1::GetPermitRequest {
        permit_id: granted.permit.as_ref().unwrap().id.clone(),
        ..Default::default()
    };
    let found = trio.gate(node).get_permit(asked).await.unwrap();
    found.into_inner().permit.unwrap().state()
}

async fn thaw(trio: &Trio, node: u64, surface: &str) {
    let thaw = v1::FreezeRequest {
        surface: surface.to_owned(),
        ..Default::default()
    };
    let thawed = ClusterClient::new(trio.channel(node)).freeze(thaw).await;
    assert_eq!(thawed.unwrap().into_inner().refusal, None);
}

fn audit(status: &v1::StatusResponse) -> &v1::AuditStatus {
    status.audit.as_ref().unwrap()
}

fn others(leader: u64) -> impl Iterator<Item = u64> {
    (1..=3).filter(move |id| *id != leader)
}

/// Waits until nodes have looked at everything that is in the leader's log now.
async fn caught_up(trio: &Trio, leader: u64, nodes: &[u64]) {
    let size = trio.status(leader).await.tree_size;
    for node in nodes {
        let looked =
            |status: &v1::StatusResponse| status.tree_size >= size && audit(status).lag == 0;
        trio.until(*node, looked).await;
    }
}

async fn checked(trio: &Trio, node: u64) -> u64 {
    audit(&trio.status(node).await).checked
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_grants_what_its_policy_forbids_is_found_and_stopped_on_that_surface() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let followers: Vec<u64> = others(leader).collect();
    let before = granted(&trio, leader, apply("k1", "staging")).await;
    trio.tamper(leader, Some(GRANTS));
    let wrong = granted(&trio, leader, echo("k2", "forbidden")).await;
    for node in 1..=3 {
        let is_frozen = |status: &v1::StatusResponse| status.frozen_surfaces == ["demo.echo"];
        trio.until(node, is_frozen).await;
        assert_eq!(trio.status(node).await.disputes, 1);
    }
    let revoked = state_of(&trio, leader, &wrong).await;
    assert_eq!(revoked, v1::PermitState::Revoked);
    let refusal = redeemed(&trio, leader, &wrong).await;
    assert_eq!(refusal.as_deref(), Some("REVOKED"));
    let frozen = authorize(&trio, leader, echo("k3", "hello")).await;
    assert_eq!(frozen.reason_name, "FROZEN");
    // Other surfaces go on, with what was granted before and what is granted now.
    granted(&trio, leader, apply("k4", "prod")).await;
    assert_eq!(redeemed(&trio, leader, &before).await, None);
    for node in &followers {
        let is_told = |status: &v1::StatusResponse| {
            audit(status).disagreements == 1 && audit(status).untold == 0
        };
        trio.until(*node, is_told).await;
    }
    assert_eq!(checked(&trio, leader).await, 0);
    // Once it is mended, an operator lets it go on, and the old dispute does not come back.
    trio.tamper(leader, None);
    thaw(&trio, leader, "demo.echo").await;
    granted(&trio, leader, echo("k5", "hello")).await;
    caught_up(&trio, leader, &followers).await;
    let status = trio.status(leader).await;
    assert_eq!((status.frozen_surfaces.len(), status.disputes), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_of_a_disputed_decision_is_redeemed_before_the_dispute_or_never() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    trio.tamper(leader, Some(GRANTS));
    for round in 1..=4_u64 {
        let wrong = granted(&trio, leader, echo(&format!("k{round}"), "forbidden")).await;
        let refusal = redeemed(&trio, leader, &wrong).await;
        trio.until(leader, |status| status.disputes == round).await;
        let state = state_of(&trio, leader, &wrong).await;
        match refusal.as_deref() {
            None => assert_eq!(state, v1::PermitState::Redeemed),
            Some(reason) => {
                assert_eq!((reason, state), ("REVOKED", v1::PermitState::Revoked));
            }
        }
        thaw(&trio, leader, "demo.echo").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_that_lies_about_keys_quorums_or_denials_is_found() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    // The claim is on another workspace, so that two could apply to this one at once.
    trio.tamper(leader, Some((r#""staging""#, r#""elsewhere""#)));
    granted(&trio, leader, apply("k1", "staging")).await;
    trio.until(leader, |status| status.disputes == 1).await;
    // Two persons would have to approve so much.
    trio.tamper(leader, Some(("250000", "25")));
    granted(&trio, leader, payment("k2", "INV-1", 0)).await;
    trio.until(leader, |status| status.disputes == 2).await;
    // A denial costs nobody but the caller anything, and is wrong all the same.
    trio.tamper(leader, Some(("hello", "forbidden")));
    let denied = authorize(&trio, leader, echo("k3", "hello")).await;
    assert_eq!(denied.reason_name, "POLICY");
    trio.until(leader, |status| status.disputes == 3).await;
    let frozen = trio.status(leader).await.frozen_surfaces;
    assert_eq!(frozen, ["demo.echo", "infra.apply", "payment.execute"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_that_disputes_without_reason_stops_grants_of_a_surface_and_nothing_else() {
    let trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let mut followers = others(leader);
    let (liar, honest) = (followers.next().unwrap(), followers.next().unwrap());
    trio.tamper(liar, Some(("hello", "forbidden")));
    let right = granted(&trio, leader, echo("k1", "hello")).await;
    trio.until(leader, |status| status.disputes == 1).await;
    let state = state_of(&trio, leader, &right).await;
    assert_eq!(state, v1::PermitState::Revoked);
    granted(&trio, leader, apply("k2", "staging")).await;
    caught_up(&trio, leader, &[honest]).await;
    assert_eq!(audit(&trio.status(honest).await).disagreements, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_find_nothing_to_dispute_in_what_an_honest_leader_decides() {
    let mut trio = Trio::deciding().await;
    let leader = trio.leader().await;
    let followers: Vec<u64> = others(leader).collect();
    caught_up(&trio, leader, &followers).await;
    let mut before = BTreeMap::new();
    for node in &followers {
        before.insert(*node, checked(&trio, *node).await);
    }
    granted(&trio, leader, apply("k1", "staging")).await;
    // What a bound refuses, its policy permits.
    let held = authorize(&trio, leader, apply("k2", "staging")).await;
    assert_eq!(held.reason_name, "BOUND_HELD");
    let denied = authorize(&trio, leader, echo("k3", "forbidden")).await;
    assert_eq!(denied.reason_name, "POLICY");
    let unfit = authorize(&trio, leader, raw("k4", "data.export", "{}")).await;
    assert_eq!(unfit.decision(), v1::Decision::Silence);
    granted(&trio, leader, echo("k5", "hello")).await;
    caught_up(&trio, leader, &followers).await;
    for node in &followers {
        let status = trio.status(*node).await;
        let audit = audit(&status);
        assert_eq!(audit.state, "on");
        assert_eq!(audit.checked - before[node], 4, "{audit:?}");
        assert_eq!((audit.skipped, audit.disagreements), (0, 0), "{audit:?}");
        assert!(audit.cpu_us > 0, "{audit:?}");
    }
    // Whoever leads next does not look at what it decides itself; the one that follows it does.
    trio.stop(leader).await;
    let next = trio.leader().await;
    let follower = others(leader).find(|id| *id != next).unwrap();
    caught_up(&trio, next, &[next, follower]).await;
    let (own, seen) = (checked(&trio, next).await, checked(&trio, follower).await);
    granted(&trio, next, echo("k6", "hello")).await;
    caught_up(&trio, next, &[next, follower]).await;
    assert_eq!(checked(&trio, next).await, own);
    assert_eq!(checked(&trio, follower).await, seen + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_whose_file_says_so_audits_nothing() {
    let mut trio = Trio::prepared().await;
    trio.file().audit = false;
    let trio = trio.decide().await;
    let leader = trio.leader().await;
    trio.tamper(leader, Some(GRANTS));
    let wrong = granted(&trio, leader, echo("k1", "forbidden")).await;
    assert_eq!(redeemed(&trio, leader, &wrong).await, None);
    for node in 1..=3 {
        let status = trio.status(node).await;
        let audit = audit(&status);
        assert_eq!((audit.state.as_str(), audit.checked), ("off", 0));
    }
}
