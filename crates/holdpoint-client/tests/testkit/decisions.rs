//! Every decision, made by the state machine and the policy of the gate itself.

use holdpoint_client::testkit::Testbed;
use holdpoint_client::{CallError, Outcome, PermitState, RedeemError, Refusal};
use holdpoint_receipt::Reason;
use holdpoint_receipt::verify::verify;

use crate::{bed, denied, echo, granted, payment, redeemed, release, silent, starter_with};

#[tokio::test]
async fn permit_is_proved_by_a_receipt_of_a_development_cluster() {
    let bed = bed();
    let gate = bed.gate("ci");
    let permit = granted(&gate, &release("1")).await;
    assert_eq!(permit.bounds()[0].key, "environment/staging");
    assert!(permit.failed_exit_aborts());
    let receipt = permit.decision_receipt().unwrap();
    assert!(receipt.statement().is_dev);
    let verified = verify(receipt.file(), &gate.keys()).unwrap();
    assert_eq!(verified.receipt_hash(), &receipt.hash());
    permit.set_aside();
}

#[tokio::test]
async fn what_a_policy_forbids_is_denied_in_its_words() {
    let bed = bed();
    let denied = denied(&bed.gate("ci"), &echo("forbidden")).await;
    assert_eq!(denied.reason(), Reason::Policy);
    assert_eq!(denied.codes(), ["FORBIDDEN_WORD"]);
    let said = denied.to_string();
    assert!(
        said.contains("the word that this example forbids"),
        "{said}"
    );
}

#[tokio::test]
async fn bound_that_is_held_denies_a_new_attempt_until_it_is_free() {
    let bed = bed();
    let gate = bed.gate("ci");
    let first = granted(&gate, &release("1")).await;
    let refused = denied(&gate, &release("2")).await;
    assert_eq!(refused.reason(), Reason::BoundHeld);
    assert_eq!(refused.retry_at(), Some(first.expires_at()));
    gate.revoke(first.id()).await.unwrap();
    first.set_aside();
    granted(&gate, &release("2")).await.set_aside();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_compete_one_holds_the_bound() {
    let bed = bed();
    let mut tasks = tokio::task::JoinSet::new();
    for version in 0..32 {
        let gate = bed.gate(&format!("ci-{version}"));
        tasks.spawn(async move {
            let operation = release(&version.to_string());
            match gate.authorize(&operation).await {
                Ok(permit) => {
                    permit.set_aside();
                    true
                }
                Err(refusal) => {
                    assert!(matches!(refusal, Refusal::Denied(_)), "{refusal}");
                    false
                }
            }
        });
    }
    let granted = tasks.join_all().await;
    assert_eq!(granted.into_iter().filter(|granted| *granted).count(), 1);
}

#[tokio::test]
async fn effect_that_is_committed_once_is_never_permitted_again() {
    let bed = bed();
    let gate = bed.gate("ci");
    redeemed(&gate, &release("1")).await.commit().await.unwrap();
    let refused = denied(&gate, &release("1")).await;
    assert_eq!(refused.reason(), Reason::AlreadyCommitted);
    redeemed(&gate, &release("2")).await.abort().await.unwrap();
    granted(&gate, &release("2")).await.set_aside();
}

#[tokio::test]
async fn what_has_no_verdict_is_silence() {
    let bed = bed();
    let gate = bed.gate("ci");
    let unknown = holdpoint_client::Operation::new("no.such");
    assert_eq!(
        silent(&gate, &unknown).await.reason(),
        Reason::UnknownSurface
    );
    let ill = payment("INV-1", 1).param("extra", true);
    assert_eq!(silent(&gate, &ill).await.reason(), Reason::InvalidParams);
}

#[tokio::test]
async fn key_of_another_request_is_refused_and_a_key_without_its_end_finds_it() {
    let bed = bed();
    let gate = bed.gate("ci");
    granted(&gate, &echo("a").key("K-1")).await.set_aside();
    let reused = silent(&gate, &echo("b").key("K-1")).await;
    assert_eq!(reused.reason(), Reason::IdempotencyKeyReused);
    bed.advance(std::time::Duration::from_secs(30))
        .await
        .unwrap();
    // A new process has the key and the request, and chooses another end.
    let found = granted(&gate, &echo("a").key("K-1")).await;
    assert!(found.is_replay());
    found.set_aside();
}

#[tokio::test]
async fn only_the_executor_that_the_surface_names_redeems() {
    let bundle = starter_with(
        "executors: [caller]                          # who may redeem: the caller itself",
        "executors: [loopback:runner]",
    );
    let bed = Testbed::new(&bundle).unwrap();
    let (gate, runner) = (bed.gate("ci"), bed.gate("runner"));
    let permit = granted(&gate, &echo("hello")).await;
    let id = permit.id();
    let Err(RedeemError::Refused(refused)) = permit.redeem().await else {
        panic!("the caller is no executor");
    };
    assert_eq!(refused.reason, Reason::NotExecutor);
    let reading = runner.permit(id).await.unwrap();
    let adopted = runner.adopt(reading).unwrap();
    adopted.redeem().await.unwrap().commit().await.unwrap();
    let state = gate.permit(id).await.unwrap().info.state;
    assert_eq!(state, PermitState::Committed);
}

#[tokio::test]
async fn closed_session_refuses_its_late_steps() {
    let bed = bed();
    let gate = bed.gate("agent");
    let step = |step| echo("step").session("turn-7").step(step);
    let open = granted(&gate, &step(1)).await;
    gate.close_session("turn-7").await.unwrap();
    let refused = open.redeem().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::StaleContext);
    assert_eq!(
        silent(&gate, &step(2)).await.reason(),
        Reason::SessionClosed
    );
}

#[tokio::test]
async fn prerequisite_must_be_committed_first() {
    let bed = bed();
    let gate = bed.gate("ci");
    let first = redeemed(&gate, &echo("build")).await;
    let second = echo("deploy").prerequisite(first.id());
    let refused = silent(&gate, &second).await;
    assert_eq!(refused.reason(), Reason::PrerequisiteNotCommitted);
    first.commit().await.unwrap();
    granted(&gate, &second).await.set_aside();
}

#[tokio::test]
async fn frozen_surface_grants_nothing() {
    let bed = bed();
    let gate = bed.gate("ci");
    let surface = "demo.echo".parse().unwrap();
    gate.freeze(Some(&surface), true).await.unwrap();
    assert_eq!(silent(&gate, &echo("a")).await.reason(), Reason::Frozen);
    gate.freeze(Some(&surface), false).await.unwrap();
    granted(&gate, &echo("a")).await.set_aside();
}

#[tokio::test]
async fn second_outcome_that_contradicts_the_first_is_a_conflict() {
    let bed = bed();
    let gate = bed.gate("ci");
    let permit = redeemed(&gate, &echo("a")).await;
    let id = permit.id();
    permit.commit().await.unwrap();
    let refused = gate.complete(id, Outcome::Aborted).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::OutcomeConflict);
    assert_eq!(gate.permit(id).await.unwrap().info.conflict_count, 1);
}

#[tokio::test]
async fn permit_of_an_earlier_policy_is_stale_and_its_attempt_is_decided_anew() {
    let bed = bed();
    let (gate, operation) = (bed.gate("ci"), echo("a"));
    let old = granted(&gate, &operation).await;
    bed.activate(&starter_with("permit_for: 5m ", "permit_for: 6m "))
        .unwrap();
    let new = granted(&gate, &operation).await;
    assert_ne!(new.id(), old.id());
    let refused = old.redeem().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Superseded);
    new.redeem().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn call_that_a_testbed_does_not_answer_is_refused_at_once_and_says_so() {
    let bed = bed();
    let began = bed.now();
    let Err(CallError::Refused(refused)) = bed.gate("ci").policies().await else {
        panic!("a testbed lists no policies");
    };
    assert_eq!(refused.reason, Reason::InvalidRequest);
    assert!(refused.sentence.contains("Testbed::activate"));
    assert_eq!(bed.now(), began);
}

#[test]
fn bundle_that_does_not_load_is_told_line_by_line() {
    let bundle = starter_with("surfaces:", "surfaces: [");
    let told = Testbed::new(&bundle).unwrap_err().to_string();
    assert!(told.contains("\n  surfaces.yaml:"), "{told}");
}

#[test]
fn bundle_of_a_directory_is_read() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/starter");
    Testbed::from_directory(root).unwrap();
    let told = Testbed::from_directory("no/such").unwrap_err().to_string();
    assert_eq!(told, "cannot read `no/such`");
}
