//! What an honest worker does through the client: asks until it knows, and never acts before.

use std::time::{Duration, Instant};

use holdpoint_client::{
    CallError, CompleteError, Denied, Gate, Granted, Operation, Outcome, Permit, Receipt,
    RedeemError, Redeemed, Refusal,
};
use holdpoint_receipt::{BoundKey, Name, PermitId, Reason};

use crate::deadline::until;

/// How long a worker asks before its test fails: two elections on a loaded machine, and more.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// Each call's own deadline, so that a call into a leader that dies is repeated elsewhere.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two questions that were answered at once, so that the nodes have time to elect. This paces
/// the load; nothing waits for it to pass.
const PACE: Duration = Duration::from_millis(50);

/// The effect happened.
pub const COMMITTED: Outcome = Outcome::Committed { evidence: None };

/// A gate for `caller`, as soon as a node answers.
///
/// # Panics
///
/// If none does.
pub async fn gate(endpoints: &[String], caller: &str) -> Gate {
    until("a node answered", PATIENCE, || async {
        Gate::builder()
            .endpoints(endpoints)
            .caller(caller)
            .deadline(DEADLINE)
            .connect()
            .await
            .map_err(|error| error.to_string())
    })
    .await
}

/// Asks until there is a decision, waiting for bounds for `wait`. The same operation is the same
/// attempt.
///
/// # Errors
///
/// What was decided, if it was a denial.
///
/// # Panics
///
/// If nothing is decided for [`PATIENCE`] beyond `wait`.
pub async fn decided(
    gate: &Gate,
    operation: &Operation,
    wait: Duration,
) -> Result<Permit<Granted>, Denied> {
    let begun = Instant::now();
    loop {
        let silence = match gate.authorize(operation).wait(wait).await {
            Ok(permit) => return Ok(permit),
            Err(Refusal::Denied(denied)) => return Err(denied),
            Err(Refusal::Silence(silence)) => silence,
        };
        assert!(
            begun.elapsed() < PATIENCE.saturating_add(wait),
            "`{}` has no decision: {silence}",
            operation.attempt_key().unwrap_or_default()
        );
        tokio::time::sleep(PACE).await;
    }
}

/// The permit for `operation`, which must be granted.
///
/// # Panics
///
/// If it is denied, or nothing is decided.
#[expect(clippy::panic, reason = "a test that cannot go on must fail")]
pub async fn granted(gate: &Gate, operation: &Operation) -> Permit<Granted> {
    match decided(gate, operation, Duration::ZERO).await {
        Ok(permit) => permit,
        Err(denied) => panic!("{denied}"),
    }
}

/// The reason of the SILENCE that `operation` is answered with, once nodes answer at all.
///
/// # Panics
///
/// If there is a decision.
pub async fn silence(gate: &Gate, operation: &Operation) -> holdpoint_client::Silence {
    until("the gate gave a reason", PATIENCE, || async {
        match gate.authorize(operation).await {
            Err(Refusal::Silence(silence)) if is_open(silence.reason()) => Err(silence.to_string()),
            Err(Refusal::Silence(silence)) => Ok(silence),
            Err(Refusal::Denied(denied)) => unreachable!("{denied}"),
            Ok(permit) => unreachable!("{permit:?}"),
        }
    })
    .await
}

/// Redeems, asking again while there is no answer.
///
/// # Errors
///
/// Why the gate refused.
pub async fn redeemed(permit: Permit<Granted>) -> Result<Permit<Redeemed>, Reason> {
    let mut redeeming = permit.redeem().await;
    loop {
        redeeming = match redeeming {
            Ok(redeemed) => return Ok(redeemed),
            Err(RedeemError::Silence(open)) => {
                tokio::time::sleep(PACE).await;
                open.retry().await
            }
            Err(error) => return Err(error.reason()),
        };
    }
}

/// Reports an outcome, asking again while there is no answer.
///
/// # Panics
///
/// If the gate refuses it.
#[expect(clippy::panic, reason = "a test that cannot go on must fail")]
pub async fn settled(permit: Permit<Redeemed>, outcome: Outcome) -> Receipt {
    let mut completing = permit.complete(outcome).await;
    loop {
        completing = match completing {
            Ok(receipt) => return receipt,
            Err(CompleteError::Silence(open)) => {
                tokio::time::sleep(PACE).await;
                open.retry().await
            }
            Err(error @ CompleteError::Refused(_)) => panic!("an outcome was refused: {error}"),
        };
    }
}

/// Takes a permit back, asking again while there is no answer.
///
/// # Errors
///
/// Why the gate refused.
pub async fn revoked(gate: &Gate, id: PermitId) -> Result<Receipt, Reason> {
    let revoked = until("the revocation was answered", PATIENCE, || async {
        match gate.revoke(id).await {
            Ok(receipt) => Ok(Ok(receipt)),
            Err(CallError::Refused(refused)) => Ok(Err(refused.reason)),
            Err(CallError::Silence(silence)) => Err(silence.to_string()),
        }
    });
    revoked.await
}

/// Waits until `count` attempts wait for a bounded operation.
///
/// # Panics
///
/// If that does not come true.
#[expect(clippy::expect_used, reason = "the names are the test's own")]
pub async fn until_waiting(gate: &Gate, surface: &str, bound: &str, key: &str, count: u32) {
    let surface = Name::new(surface).expect("a surface");
    let bound = Name::new(bound).expect("a bound");
    let key = BoundKey::new(key).expect("a key");
    until("attempts wait", PATIENCE, || async {
        let reading = gate.operation(&surface, &bound, &key).await;
        match reading.map_err(|error| error.to_string())?.waiting_count {
            found if found == count => Ok(()),
            found => Err(format!("{found} of {count} wait")),
        }
    })
    .await;
}

/// The leaf of a receipt.
#[must_use]
pub fn leaf(receipt: &Receipt) -> u64 {
    receipt.statement().place.leaf_index()
}

/// The leaf of a grant.
///
/// # Panics
///
/// If the permit was read, and not granted to this process.
#[must_use]
#[expect(clippy::expect_used, reason = "a test that cannot go on must fail")]
pub fn granted_leaf(permit: &Permit<Granted>) -> u64 {
    leaf(permit.decision_receipt().expect("a grant has a receipt"))
}

/// Whether a SILENCE with this reason says nothing of the request.
const fn is_open(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoQuorum
            | Reason::NotLeader
            | Reason::Timeout
            | Reason::Unreachable
            | Reason::NoSignatures
            | Reason::FactsMoved
            | Reason::PolicyMoved
            | Reason::ClockSkew
    )
}
