//! Each scripted fault, as the code under test meets it.

use std::time::Duration;

use holdpoint_client::testkit::{Call, Testbed, Twist};
use holdpoint_client::{
    CompleteError, DEADLINE_DEFAULT, Decided, PermitState, RedeemError, SilenceCause,
};
use holdpoint_receipt::Reason;

use crate::{bed, denied, echo, granted, redeemed, release, silent};

#[tokio::test]
async fn lost_answer_is_unknown_at_the_deadline_and_the_same_operation_finds_the_permit() {
    let bed = bed();
    let (gate, operation, began) = (bed.gate("ci"), echo("once"), bed.now());
    bed.next(Call::Authorize, Twist::LoseAnswer);
    let silence = silent(&gate, &operation).await;
    assert_eq!(silence.reason(), Reason::Timeout);
    assert_eq!(silence.decided(), Decided::Unknown);
    let waited = bed.now().saturating_since(began);
    assert_eq!(u128::from(waited), DEADLINE_DEFAULT.as_millis());
    let permit = granted(&gate, &operation).await;
    assert!(permit.is_replay());
    assert_eq!(permit.issued_at(), began);
    permit.redeem().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn lost_request_looks_the_same_and_was_never_decided() {
    let bed = bed();
    let (gate, operation) = (bed.gate("ci"), echo("once"));
    bed.next(Call::Authorize, Twist::LoseRequest);
    assert_eq!(silent(&gate, &operation).await.decided(), Decided::Unknown);
    let permit = granted(&gate, &operation).await;
    assert!(!permit.is_replay());
    permit.set_aside();
}

#[tokio::test]
async fn broken_connection_is_asked_again_within_the_call() {
    let bed = bed();
    bed.next(Call::Authorize, Twist::BreakConnection)
        .next(Call::Redeem, Twist::BreakConnection)
        .next(Call::Complete, Twist::BreakConnection);
    let permit = granted(&bed.gate("ci"), &echo("once")).await;
    assert!(permit.is_replay());
    permit.redeem().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn refusal_that_can_pass_is_asked_again_until_the_deadline_and_is_decided_never() {
    let bed = bed();
    let (gate, operation, began) = (bed.gate("ci"), echo("once"), bed.now());
    bed.next(Call::Authorize, Twist::Refuse(Reason::NoQuorum));
    let silence = silent(&gate, &operation).await;
    assert_eq!(silence.reason(), Reason::NoQuorum);
    assert_eq!(silence.decided(), Decided::Never);
    assert!(matches!(silence.cause(), SilenceCause::Unanswered { .. }));
    let waited = u128::from(bed.now().saturating_since(began));
    assert!(waited <= DEADLINE_DEFAULT.as_millis(), "{waited}");
    granted(&gate, &operation).await.set_aside();
}

#[tokio::test]
async fn final_refusal_ends_the_call_at_once() {
    let bed = bed();
    let began = bed.now();
    bed.next(Call::Authorize, Twist::Refuse(Reason::Frozen));
    let silence = silent(&bed.gate("ci"), &echo("once")).await;
    assert_eq!(silence.reason(), Reason::Frozen);
    assert_eq!(bed.now(), began);
}

#[tokio::test]
async fn scripted_denial_is_a_decision_with_a_receipt_that_stays() {
    let bed = bed();
    let (gate, operation) = (bed.gate("ci"), echo("once"));
    bed.next(Call::Authorize, Twist::Deny("TOO_RISKY".to_owned()));
    let first = denied(&gate, &operation).await;
    assert_eq!(first.reason(), Reason::Policy);
    assert_eq!(first.codes(), ["TOO_RISKY"]);
    let again = denied(&gate, &operation).await;
    assert!(again.is_replay());
    assert_eq!(again.receipt().hash(), first.receipt().hash());
    granted(&gate, &echo("once")).await.set_aside();
}

#[tokio::test]
async fn delay_takes_time_and_beyond_the_deadline_takes_effect_all_the_same() {
    let bed = bed();
    let (gate, began) = (bed.gate("ci"), bed.now());
    bed.next(Call::Authorize, Twist::Delay(Duration::from_secs(3)))
        .next(Call::Authorize, Twist::Delay(Duration::from_secs(6)));
    let permit = granted(&gate, &echo("late")).await;
    assert_eq!(permit.issued_at(), began.saturating_add(3_000));
    permit.set_aside();
    let later = echo("later");
    assert_eq!(silent(&gate, &later).await.decided(), Decided::Unknown);
    let permit = granted(&gate, &later).await;
    assert!(permit.is_replay());
    permit.set_aside();
}

#[tokio::test]
async fn change_of_leaders_is_followed_under_the_same_key() {
    let bed = bed();
    let gate = bed.gate("ci");
    bed.next(Call::Authorize, Twist::ChangeLeader)
        .next(Call::Redeem, Twist::ChangeLeader)
        .next(Call::Complete, Twist::ChangeLeader);
    let permit = granted(&gate, &echo("once")).await;
    assert!(permit.is_replay(), "the first leader decided");
    permit.redeem().await.unwrap().commit().await.unwrap();
    // Another gate asks the leader at once, an older one learns of it.
    granted(&bed.gate("other"), &echo("two")).await.set_aside();
    granted(&gate, &echo("three")).await.set_aside();
}

#[tokio::test]
async fn redeem_and_outcome_without_an_answer_are_retried_as_the_same() {
    let bed = bed();
    bed.next(Call::Redeem, Twist::LoseAnswer)
        .next(Call::Complete, Twist::LoseAnswer);
    let permit = granted(&bed.gate("ci"), &echo("once")).await;
    let id = permit.id();
    let Err(RedeemError::Silence(open)) = permit.redeem().await else {
        panic!("the answer was lost");
    };
    assert_eq!(open.decided(), Decided::Unknown);
    let redeemed = open.retry().await.unwrap();
    let Err(CompleteError::Silence(open)) = redeemed.commit().await else {
        panic!("the answer was lost");
    };
    let state = bed.gate("auditor").permit(id).await.unwrap().info.state;
    assert_eq!(state, PermitState::Committed);
    open.retry().await.unwrap();
}

#[tokio::test]
async fn executor_that_did_not_send_the_first_redeem_may_not_act() {
    let bed = bed();
    let gate = bed.gate("ci");
    bed.next(Call::Redeem, Twist::LoseAnswer);
    let permit = granted(&gate, &echo("once")).await;
    let id = permit.id();
    let Err(RedeemError::Silence(open)) = permit.redeem().await else {
        panic!("the answer was lost");
    };
    open.set_aside();
    let restarted = gate.adopt(gate.permit(id).await.unwrap()).unwrap();
    let refused = restarted.redeem().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AlreadyRedeemed);
}

#[tokio::test]
async fn each_kind_of_call_meets_its_twists_in_order_and_the_rest_are_told() {
    let bed = bed();
    let gate = bed.gate("ci");
    bed.next(Call::Authorize, Twist::Answer)
        .next(Call::Authorize, Twist::Refuse(Reason::Frozen))
        .next(Call::Read, Twist::Refuse(Reason::UnknownPermit));
    let permit = granted(&gate, &release("1")).await;
    assert_eq!(silent(&gate, &echo("a")).await.reason(), Reason::Frozen);
    redeemed(&gate, &echo("b")).await.leave_in_doubt();
    assert_eq!(
        bed.unused(),
        [(Call::Read, Twist::Refuse(Reason::UnknownPermit))]
    );
    let refused = gate.permit(permit.id()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::UnknownPermit);
    assert_eq!(bed.unused(), []);
    permit.set_aside();
}

#[test]
#[should_panic(expected = "no call has met these twists: [(Redeem, LoseAnswer)]")]
fn testbed_with_a_twist_that_no_call_has_met_fails_the_test() {
    bed().next(Call::Redeem, Twist::LoseAnswer);
}

#[test]
#[should_panic(expected = "only authorize can be denied; a redeem is refused")]
fn denial_of_anything_but_an_attempt_is_refused() {
    bed().next(Call::Redeem, Twist::Deny("NO".to_owned()));
}

#[tokio::test]
async fn every_run_gives_the_same_receipts() {
    let mut files = Vec::new();
    for _ in 0..2 {
        let bed = Testbed::starter().unwrap();
        let permit = granted(&bed.gate("ci"), &release("1").key("K-1")).await;
        files.push(permit.decision_receipt().unwrap().file().to_vec());
        permit.set_aside();
    }
    assert_eq!(files[0], files[1]);
}
