//! One attempt, one decision.

use crate::script::check;
use expect_test::expect;

#[test]
fn retry_finds_the_recorded_permit_and_how_it_stands_now() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k1 pay account=a
        redeem 1
        authorize k1 pay account=a
        authorize k1 pay account=a; lookup
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=1 ISSUED until +10s v1 (replay)
            5: fence=1 REDEEMED complete by +60s
            6: PERMIT fence=1 REDEEMED complete by +60s v1 (replay)
            7: PERMIT fence=1 REDEEMED complete by +60s v1 (replay)
        "#]],
    );
}

#[test]
fn idempotency_key_reused_for_another_request_is_refused() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k1 pay account=b
        authorize k1 pay account=a; end 200s
        authorize k1 pay account=b; by bob
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: SILENCE IDEMPOTENCY_KEY_REUSED
            5: SILENCE IDEMPOTENCY_KEY_REUSED
            6: PERMIT fence=2 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn past_not_after_only_what_was_decided_is_found() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; end 20s
        wait 20s
        authorize k1 pay account=a; end 20s
        authorize k1 pay account=b; end 20s
        authorize k2 pay account=b; end 20s
        authorize k2 pay account=b; end 21s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: time +20s
            5: PERMIT fence=1 EXPIRED v1 (replay)
            6: SILENCE IDEMPOTENCY_KEY_REUSED
            7: SILENCE ATTEMPT_EXPIRED
            8: PERMIT fence=2 ISSUED until +30s v1
        "#]],
    );
}

#[test]
fn not_after_beyond_the_retry_horizon_is_rejected() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; end 600s
        authorize k2 pay account=b; end 606s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: rejected: not_after 1970-01-01T00:26:46.000Z is beyond the retry horizon at 1970-01-01T00:16:40.000Z
        "#]],
    );
}

#[test]
fn lookup_without_an_evaluation_decides_nothing() {
    check(
        "
        authorize k1 pay account=a; lookup
        put p pay account!
        activate p
        authorize k1 pay account=a; lookup
        authorize k1 pay account=a
        ",
        &expect![[r#"
            1: SILENCE NO_ACTIVE_POLICY
            2: put
            3: activated version=1
            4: evaluate again: POLICY_MOVED (active v1)
            5: PERMIT fence=1 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn evaluation_that_is_not_current_records_nothing() {
    check(
        "
        put p pay account!
        activate p
        put q pay account!; for 20s
        activate q
        wait 100s
        authorize k1 pay account=a; version 1
        authorize k1 pay account=a; age 1001ms
        authorize k1 pay account=a; facts wrong
        authorize k1 pay account=a; age 1000ms
        authorize k1 pay account=a; version 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: put
            4: activated version=2
            5: time +100s
            6: evaluate again: POLICY_MOVED (active v2)
            7: evaluate again: FACTS_MOVED (active v2)
            8: evaluate again: FACTS_MOVED (active v2)
            9: PERMIT fence=1 ISSUED until +120s v2
            10: PERMIT fence=1 ISSUED until +120s v2 (replay)
        "#]],
    );
}

#[test]
fn denied_attempt_stays_denied_until_the_policy_changes() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; deny POLICY
        authorize k1 pay account=a
        authorize k2 pay account=a; deny NOT_PERMITTED
        activate p
        authorize k1 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: DENY POLICY codes=TOO_LATE v1
            4: DENY POLICY codes=TOO_LATE v1 (replay)
            5: DENY NOT_PERMITTED codes=TOO_LATE v1
            6: activated version=2
            7: PERMIT fence=1 ISSUED until +10s v2
        "#]],
    );
}

#[test]
fn issued_permit_is_superseded_by_its_retry_under_a_later_version() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        activate p
        authorize k1 pay account=a; lookup
        authorize k1 pay account=a
        get 1
        who pay account a
        redeem 1
        redeem 2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: activated version=2
            5: evaluate again: POLICY_MOVED (active v2, supersedes)
            6: PERMIT fence=2 ISSUED until +10s v2
            7: fence=1 SUPERSEDED
            8: held by fence=2, committed by nobody
            9: refused SUPERSEDED
            10: fence=2 REDEEMED complete by +60s
        "#]],
    );
}

#[test]
fn superseded_permit_stays_so_when_the_new_verdict_denies() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        activate p
        authorize k1 pay account=a; deny POLICY
        get 1
        authorize k2 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: activated version=2
            5: DENY POLICY codes=TOO_LATE v2
            6: fence=1 SUPERSEDED
            7: PERMIT fence=2 ISSUED until +10s v2
        "#]],
    );
}

#[test]
fn what_cannot_be_taken_back_is_returned_as_it_is_under_a_later_version() {
    check(
        "
        put p pay account!
        activate p
        authorize redeemed pay account=a
        redeem 1
        authorize committed pay account=b
        redeem 2
        complete 2 committed
        authorize revoked pay account=c
        revoke 3
        activate p
        authorize redeemed pay account=a; lookup
        authorize redeemed pay account=a
        authorize committed pay account=b
        authorize revoked pay account=c
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: PERMIT fence=2 ISSUED until +10s v1
            6: fence=2 REDEEMED complete by +60s
            7: fence=2 COMMITTED
            8: PERMIT fence=3 ISSUED until +10s v1
            9: fence=3 REVOKED
            10: activated version=2
            11: PERMIT fence=1 REDEEMED complete by +60s v1 (replay)
            12: PERMIT fence=1 REDEEMED complete by +60s v1 (replay)
            13: PERMIT fence=2 COMMITTED v1 (replay)
            14: PERMIT fence=3 REVOKED v1 (replay)
        "#]],
    );
}

#[test]
fn expired_and_aborted_attempts_go_on_as_new_under_a_later_version() {
    check(
        "
        put p pay account!
        activate p
        authorize expired pay account=a
        authorize aborted pay account=b
        redeem 2
        complete 2 aborted
        wait 10s
        authorize expired pay account=a
        authorize aborted pay account=b
        activate p
        authorize expired pay account=a
        authorize aborted pay account=b
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: fence=2 REDEEMED complete by +60s
            6: fence=2 ABORTED
            7: time +10s
            8: PERMIT fence=1 EXPIRED v1 (replay)
            9: PERMIT fence=2 ABORTED v1 (replay)
            10: activated version=2
            11: PERMIT fence=3 ISSUED until +20s v2
            12: PERMIT fence=4 ISSUED until +20s v2
        "#]],
    );
}

#[test]
fn request_waits_in_silence_for_its_prerequisites() {
    check(
        "
        put p pay account! + ship
        activate p
        authorize k1 pay account=a
        authorize k2 ship; after 1
        redeem 1
        authorize k2 ship; after 1
        complete 1 committed
        authorize k2 ship; after 1
        authorize k3 ship; after 9
        redeem 2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: SILENCE PREREQUISITE_NOT_COMMITTED
            5: fence=1 REDEEMED complete by +60s
            6: SILENCE PREREQUISITE_NOT_COMMITTED
            7: fence=1 COMMITTED
            8: PERMIT fence=2 ISSUED until +10s v1
            9: SILENCE PREREQUISITE_NOT_COMMITTED
            10: fence=2 REDEEMED complete by +60s
        "#]],
    );
}
