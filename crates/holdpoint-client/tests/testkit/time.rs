//! What only time brings about: expiry, doubt, release, windows, ends of attempts.

use std::time::Duration;

use holdpoint_client::{Outcome, PermitFilter, PermitState};
use holdpoint_receipt::Reason;

use crate::{bed, denied, echo, export, granted, payment, redeemed, release, silent};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn permit_lives_until_its_end_and_not_a_moment_longer() {
    let bed = bed();
    let gate = bed.gate("ci");
    let (early, late) = (echo("early"), echo("late"));
    let (early, late) = (granted(&gate, &early).await, granted(&gate, &late).await);
    let lives = early.expires_at().saturating_since(bed.now());
    bed.advance(Duration::from_millis(lives - 1)).await.unwrap();
    early.redeem().await.unwrap().commit().await.unwrap();
    bed.advance(Duration::from_millis(1)).await.unwrap();
    let refused = late.redeem().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Expired);
}

#[tokio::test]
async fn redeemed_permit_without_an_outcome_is_in_doubt_and_holds_its_bounds() {
    let bed = bed();
    let gate = bed.gate("ci");
    let permit = redeemed(&gate, &release("1")).await;
    let id = permit.id();
    permit.leave_in_doubt();
    let doubts = || async {
        let mut listed = gate.permits(PermitFilter::InDoubt);
        listed.next().await.unwrap().map(|permit| permit.id)
    };
    assert_eq!(doubts().await, None);
    bed.advance(MINUTE * 30).await.unwrap();
    assert_eq!(doubts().await, Some(id));
    let refused = denied(&gate, &release("2")).await;
    assert_eq!(refused.reason(), Reason::BoundHeld);
    let outcome = Outcome::Committed { evidence: None };
    gate.resolve(id, outcome, "the log of the tool says so")
        .await
        .unwrap();
    granted(&gate, &release("2")).await.set_aside();
}

#[tokio::test]
async fn permit_in_doubt_is_released_after_the_time_that_its_surface_names() {
    let bed = bed();
    let gate = bed.gate("ci");
    let permit = redeemed(&gate, &export("a")).await;
    let id = permit.id();
    permit.leave_in_doubt();
    bed.advance(MINUTE * 89).await.unwrap();
    let state = || async { gate.permit(id).await.unwrap().info.state };
    assert_eq!(state().await, PermitState::Redeemed);
    bed.advance(MINUTE).await.unwrap();
    assert_eq!(state().await, PermitState::Released);
}

#[tokio::test]
async fn budget_is_given_back_with_its_window() {
    let bed = bed();
    let gate = bed.gate("billing");
    for invoice in 0..5 {
        let payment = payment(&format!("INV-{invoice}"), 100_000);
        redeemed(&gate, &payment).await.commit().await.unwrap();
    }
    let refused = denied(&gate, &payment("INV-9", 1)).await;
    assert_eq!(refused.reason(), Reason::BoundExhausted);
    let until = refused.retry_at().unwrap();
    assert_eq!(until.to_string(), "2026-01-06T00:00:00.000Z");
    let left = until.saturating_since(bed.now());
    bed.advance(Duration::from_millis(left)).await.unwrap();
    granted(&gate, &payment("INV-9", 1)).await.set_aside();
}

#[tokio::test]
async fn attempt_is_not_decided_after_its_end() {
    let bed = bed();
    let (gate, operation) = (bed.gate("ci"), echo("late"));
    let ends = bed.now().saturating_add(60_000);
    let operation = operation.key("K-1").not_after(ends);
    bed.advance(MINUTE).await.unwrap();
    let silence = silent(&gate, &operation).await;
    assert_eq!(silence.reason(), Reason::AttemptExpired);
}

#[tokio::test]
async fn years_pass_in_no_time() {
    let bed = bed();
    let gate = bed.gate("billing");
    let invoice = payment("INV-1", 100);
    redeemed(&gate, &invoice).await.commit().await.unwrap();
    let refused = denied(&gate, &payment("INV-1", 100)).await;
    assert_eq!(refused.reason(), Reason::AlreadyCommitted);
    bed.advance(Duration::from_hours(24 * 367)).await.unwrap();
    granted(&gate, &payment("INV-1", 100)).await.set_aside();
}
