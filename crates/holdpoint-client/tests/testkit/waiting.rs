//! Attempts that wait for their bounds, beside what frees them.

use std::time::Duration;

use holdpoint_client::Refusal;
use holdpoint_receipt::Reason;

use crate::{bed, denied, granted, redeemed, release};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn attempt_that_waits_is_granted_when_its_bound_is_free() {
    let bed = bed();
    let gate = bed.gate("ci");
    let first = redeemed(&gate, &release("1")).await;
    let next = release("2");
    let (permit, _receipt) = tokio::join!(gate.authorize(&next).wait(MINUTE), first.commit());
    permit.unwrap().set_aside();
}

#[tokio::test]
async fn those_who_wait_get_their_turn_in_order_and_nobody_overtakes() {
    let bed = bed();
    let (gate, other) = (bed.gate("ci"), bed.gate("other"));
    let first = granted(&gate, &release("1")).await;
    let [second, third] = [release("2"), release("3")];
    let wait = |operation| {
        let gate = gate.clone();
        async move {
            let permit = gate.authorize(operation).wait(MINUTE * 5).await.unwrap();
            let fence = permit.fence();
            permit.redeem().await.unwrap().commit().await.unwrap();
            fence
        }
    };
    let free = async {
        tokio::task::yield_now().await;
        let overtaking = denied(&other, &release("4")).await;
        assert_eq!(overtaking.reason(), Reason::BoundHeld);
        first.redeem().await.unwrap().commit().await.unwrap();
    };
    let (second, third, ()) = tokio::join!(wait(&second), wait(&third), free);
    assert!(second < third);
}

#[tokio::test]
async fn attempt_that_waits_gets_what_expires_while_time_passes() {
    let bed = bed();
    let gate = bed.gate("ci");
    let held = granted(&gate, &release("1")).await;
    let free_at = held.expires_at();
    held.set_aside();
    bed.advance(MINUTE * 5).await.unwrap();
    let next = release("2");
    let wait = gate.authorize(&next).wait(MINUTE * 8);
    let (permit, passed) = tokio::join!(wait, bed.advance(MINUTE * 8));
    passed.unwrap();
    let permit = permit.unwrap();
    assert_eq!(permit.issued_at(), free_at);
    permit.set_aside();
}

#[tokio::test]
async fn attempt_whose_wait_is_over_is_denied() {
    let bed = bed();
    let gate = bed.gate("ci");
    let held = redeemed(&gate, &release("1")).await;
    let next = release("2");
    let (refused, passed) = tokio::join!(
        gate.authorize(&next).wait(MINUTE),
        bed.advance(MINUTE + Duration::from_secs(1))
    );
    passed.unwrap();
    let Err(Refusal::Denied(denied)) = refused else {
        panic!("the bound is held: {refused:?}");
    };
    assert_eq!(denied.reason(), Reason::BoundHeld);
    held.leave_in_doubt();
}

#[tokio::test]
async fn place_of_a_call_that_ended_is_kept_for_the_same_operation() {
    let bed = bed();
    let gate = bed.gate("ci").with_deadline(Duration::from_secs(1));
    let held = redeemed(&gate, &release("1")).await;
    let next = release("2");
    {
        // The call is given up while it waits.
        let waiting = gate.authorize(&next).wait(MINUTE).into_future();
        tokio::select! {
            biased;
            _ = waiting => panic!("the bound is held"),
            () = tokio::task::yield_now() => (),
        }
    }
    let later = release("3");
    let (permit, _receipt) = tokio::join!(gate.authorize(&next).wait(MINUTE), held.commit());
    let permit = permit.unwrap();
    let refused = denied(&gate, &later).await;
    assert_eq!(refused.reason(), Reason::BoundHeld);
    permit.set_aside();
}
