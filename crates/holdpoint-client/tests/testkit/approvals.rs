//! Approvals: missing, given, counted, spent, expired.

use std::time::Duration;

use holdpoint_client::{CallError, Gate};
use holdpoint_receipt::Reason;

use crate::{bed, granted, payment, silent};

/// Approves everything that waits, as this gate's caller.
async fn approve(gate: &Gate) -> Result<(), CallError> {
    for pending in gate.approvals().pending().await? {
        for missing in pending.missing {
            let subject = gate.approvals().subject(missing.subject.digest()).await?;
            gate.approvals().approve(&subject).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn large_payment_waits_for_two_persons_and_spends_what_they_approved() {
    let bed = bed();
    let (gate, large) = (bed.gate("billing"), payment("INV-1", 250_000));
    for approver in ["alice", "bob"] {
        let silence = silent(&gate, &large).await;
        assert_eq!(silence.reason(), Reason::ApprovalRequired);
        approve(&bed.gate(approver)).await.unwrap();
    }
    let permit = granted(&gate, &large).await;
    permit.redeem().await.unwrap().abort().await.unwrap();
    let again = silent(&gate, &payment("INV-1", 250_000)).await;
    assert_eq!(again.reason(), Reason::ApprovalRequired);
}

#[tokio::test]
async fn nobody_approves_what_they_ask_for_and_strangers_approve_nothing() {
    let bed = bed();
    let (alice, large) = (bed.gate("alice"), payment("INV-1", 250_000));
    silent(&alice, &large).await;
    for approver in ["alice", "mallory"] {
        let refused = approve(&bed.gate(approver)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::NotApprover);
    }
}

#[tokio::test]
async fn approval_dies_with_the_amount_and_with_time() {
    let bed = bed();
    let (gate, large) = (bed.gate("billing"), payment("INV-1", 250_000));
    silent(&gate, &large).await;
    for approver in ["alice", "bob"] {
        approve(&bed.gate(approver)).await.unwrap();
    }
    let other = silent(&gate, &payment("INV-1", 250_001)).await;
    assert_eq!(other.reason(), Reason::ApprovalRequired);
    bed.advance(Duration::from_hours(4)).await.unwrap();
    let late = silent(&gate, &payment("INV-1", 250_000)).await;
    assert_eq!(late.reason(), Reason::ApprovalRequired);
}
