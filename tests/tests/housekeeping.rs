//! What time alone brings about on three nodes, sessions and prerequisites, and what comes too late.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::time::Duration;

use holdpoint_client::{
    CallError, Gate, Operation, OperationReading, PermitInfo, PermitState, Refusal, Retention,
};
use holdpoint_receipt::statement::Kind;
use holdpoint_receipt::{BoundKey, Name, PermitId, Reason};
use holdpoint_tests::bundle;
use holdpoint_tests::cluster::Cluster;
use holdpoint_tests::deadline::until;
use holdpoint_tests::worker::{
    COMMITTED, PATIENCE, gate, granted, redeemed, revoked, settled, silence, until_waiting,
};

fn lock(surface: &str, key: &str, attempt: &str) -> Operation {
    Operation::new(surface).param("key", key).key(attempt)
}

fn step(what: &str) -> Operation {
    Operation::new("step.run").param("what", what).key(what)
}

async fn operation(gate: &Gate, surface: &str, key: &str) -> OperationReading {
    let surface = Name::new(surface).unwrap();
    let bound = Name::new("lock").unwrap();
    let key = BoundKey::new(key).unwrap();
    gate.operation(&surface, &bound, &key).await.unwrap()
}

/// Waits until nobody but time has changed the permit so.
async fn until_permit(gate: &Gate, id: PermitId, is_so: impl Fn(&PermitInfo) -> bool) {
    until("time changed the permit", PATIENCE, || async {
        let info = gate.permit(id).await.map_err(|error| error.to_string())?;
        let info = info.info;
        if is_so(&info) {
            Ok(())
        } else {
            Err(format!("{} (in doubt: {})", info.state, info.is_in_doubt))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_ends_what_nobody_ends_and_what_comes_too_late_is_refused_or_recorded() {
    let cluster = Cluster::deciding(&bundle::life());
    let endpoints = cluster.endpoints();
    let asking = gate(&endpoints, "asking").await;

    step_of_a_closed_session_is_stale(&asking).await;
    step_waits_for_its_prerequisites(&asking).await;
    expired_permit_goes_by_itself(&asking).await;
    offline_permit_holds_its_bound_after_it_was_revoked(&asking).await;
    place_of_a_waiter_that_is_gone_goes_by_itself(&asking, &cluster).await;
    permit_in_doubt_is_listed_until_somebody_resolves_it(&asking).await;
    permit_in_doubt_is_released_and_its_late_outcome_recorded(&asking).await;
    retention_that_is_too_short_is_refused(&asking).await;
}

async fn step_of_a_closed_session_is_stale(gate: &Gate) {
    let first = granted(gate, &step("one").session("deploy-7").step(1)).await;
    let closed = gate.close_session("deploy-7").await.unwrap();
    assert_eq!(closed.receipt.statement().body.kind(), Kind::SessionClosed);
    let again = gate.close_session("deploy-7").await.unwrap();
    assert!(again.is_replay);
    assert_eq!(again.salt, closed.salt);
    assert_eq!(redeemed(first).await.unwrap_err(), Reason::StaleContext);
    let next = silence(gate, &step("two").session("deploy-7").step(2)).await;
    assert_eq!(next.reason(), Reason::SessionClosed, "{next}");
    let other = granted(gate, &step("three").session("deploy-8")).await;
    settled(redeemed(other).await.unwrap(), COMMITTED).await;
}

async fn step_waits_for_its_prerequisites(gate: &Gate) {
    let first = granted(gate, &step("build")).await;
    let second = step("deploy").prerequisite(first.id());
    let early = silence(gate, &second).await;
    assert_eq!(early.reason(), Reason::PrerequisiteNotCommitted, "{early}");
    let first = redeemed(first).await.unwrap();
    let early = silence(gate, &second).await;
    assert_eq!(early.reason(), Reason::PrerequisiteNotCommitted, "{early}");
    settled(first, COMMITTED).await;
    // The same attempt gets its decision now.
    let second = granted(gate, &second).await;
    settled(redeemed(second).await.unwrap(), COMMITTED).await;
}

async fn expired_permit_goes_by_itself(gate: &Gate) {
    let permit = granted(gate, &lock("lock.brief", "left", "left-1")).await;
    let id = permit.id();
    permit.set_aside();
    until_permit(gate, id, |info| info.state == PermitState::Expired).await;
    let reading = operation(gate, "lock.brief", "lock/left").await;
    assert_eq!(reading.holder, None);
}

async fn offline_permit_holds_its_bound_after_it_was_revoked(gate: &Gate) {
    let permit = granted(gate, &lock("lock.offline", "away", "away-1")).await;
    let (id, expires_at) = (permit.id(), permit.expires_at());
    permit.set_aside();
    revoked(gate, id).await.unwrap();
    let info = gate.permit(id).await.unwrap().info;
    assert_eq!(info.state, PermitState::Revoked);
    let held_until = info.held_until.unwrap();
    // Beyond its expiry: the largest skew, and the longest time that its executor may take.
    assert_eq!(held_until.get(), expires_at.get() + 500 + 1_000);
    let denied = gate
        .authorize(&lock("lock.offline", "away", "away-2"))
        .await
        .unwrap_err();
    assert_eq!(denied.reason(), Reason::BoundHeld, "{denied}");
    let next = gate
        .authorize(&lock("lock.offline", "away", "away-3"))
        .wait(PATIENCE)
        .await
        .unwrap();
    assert!(next.issued_at() >= held_until);
    next.set_aside();
}

async fn place_of_a_waiter_that_is_gone_goes_by_itself(gate: &Gate, cluster: &Cluster) {
    let held = granted(gate, &lock("lock.take", "queue", "queue-1")).await;
    let waiter = cluster.waiter(&["--surface", "lock.take", "--param", "key=queue"]);
    until_waiting(gate, "lock.take", "lock", "lock/queue", 1).await;
    drop(waiter);
    until_waiting(gate, "lock.take", "lock", "lock/queue", 0).await;
    settled(redeemed(held).await.unwrap(), COMMITTED).await;
}

/// Whether the permit is in the list of those in doubt.
async fn is_listed(gate: &Gate, id: PermitId) -> Result<bool, String> {
    let mut listed = gate.permits_in_doubt();
    while let Some(info) = listed.next().await.map_err(|error| error.to_string())? {
        if info.id == id {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn permit_in_doubt_is_listed_until_somebody_resolves_it(gate: &Gate) {
    let permit = granted(gate, &lock("lock.stuck", "stuck", "stuck-1")).await;
    let id = permit.id();
    redeemed(permit).await.unwrap().leave_in_doubt();
    // Nobody asks for anything meanwhile: the leader lets it be known by itself.
    until("it is listed", PATIENCE, || async {
        match is_listed(gate, id).await {
            Ok(true) => Ok(()),
            other => Err(format!("listed: {other:?}")),
        }
    })
    .await;
    let held = gate
        .authorize(&lock("lock.stuck", "stuck", "stuck-2"))
        .await
        .unwrap_err();
    assert_eq!(held.reason(), Reason::BoundHeld, "{held}");
    let receipt = gate.resolve(id, COMMITTED, "seen in the ledger").await;
    assert_eq!(receipt.unwrap().statement().body.kind(), Kind::Completed);
    assert_eq!(is_listed(gate, id).await, Ok(false));
}

async fn permit_in_doubt_is_released_and_its_late_outcome_recorded(gate: &Gate) {
    let permit = granted(gate, &lock("lock.brief", "doubt", "doubt-1")).await;
    let id = permit.id();
    redeemed(permit).await.unwrap().leave_in_doubt();
    until_permit(gate, id, |info| info.state == PermitState::Released).await;
    let next = granted(gate, &lock("lock.brief", "doubt", "doubt-2")).await;
    next.set_aside();

    let late = gate.complete(id, COMMITTED).await;
    let late = late.map(|receipt| receipt.statement().body.kind());
    assert!(
        matches!(&late, Ok(Kind::Conflict) | Err(CallError::Refused(_))),
        "{late:?}"
    );
    let info = gate.permit(id).await.unwrap().info;
    assert_eq!(
        (info.state, info.conflict_count),
        (PermitState::Released, 1),
        "the alarm is raised and the state stays"
    );
    let status = gate.status().await;
    assert_eq!(status.leader().unwrap().conflict_count, 1);
}

async fn retention_that_is_too_short_is_refused(gate: &Gate) {
    let before = gate.retention().await.unwrap();
    let hasty = Retention {
        permits: Some(Duration::from_secs(1)),
        ..before.retention
    };
    match gate.set_retention(hasty).await {
        Err(CallError::Refused(refused)) => {
            assert_eq!(refused.reason, Reason::RetentionTooShort, "{refused:?}");
        }
        other => unreachable!("{other:?}"),
    }
    assert_eq!(gate.retention().await.unwrap().retention, before.retention);
    let longer = Retention {
        permits: Some(Duration::from_hours(24 * 365)),
        ..before.retention
    };
    assert!(!gate.set_retention(longer).await.unwrap());
    assert_eq!(gate.retention().await.unwrap().retention, longer);
    // Nothing of this stands in the way of decisions.
    let after = gate.authorize(&step("after")).await;
    assert!(!matches!(after, Err(Refusal::Denied(_))), "{after:?}");
}
