//! The commit point, and how a permit ends.

use crate::script::check;
use expect_test::expect;

#[test]
fn permit_is_redeemed_once() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        redeem 1; id r1
        redeem 1; id r1
        redeem 1; id r2
        complete 1 committed
        redeem 1; id r1
        redeem 1; id r2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 REDEEMED complete by +60s (replay)
            6: refused ALREADY_REDEEMED
            7: fence=1 COMMITTED
            8: fence=1 COMMITTED (replay)
            9: refused ALREADY_REDEEMED
        "#]],
    );
}

#[test]
fn redeem_is_refused_for_the_first_thing_that_is_wrong() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        redeem 9
        redeem 1; by mallory; other bytes
        redeem 1; other bytes
        redeem 1; fence 2
        wait 10s
        redeem 1; other bytes
        redeem 1
        revoke 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused UNKNOWN_PERMIT
            5: refused NOT_EXECUTOR
            6: refused REQUEST_MISMATCH
            7: refused REQUEST_MISMATCH
            8: time +10s
            9: refused REQUEST_MISMATCH
            10: refused EXPIRED
            11: refused EXPIRED
        "#]],
    );
}

#[test]
fn only_executors_of_the_surface_redeem() {
    check(
        "
        put p pay account!; executors runner,deployer
        activate p
        authorize k1 pay account=a
        redeem 1; by alice
        redeem 1; by runner
        redeem 1; by deployer; id r1
        complete 1 committed; by alice
        complete 1 committed; by deployer
        complete 1 committed; by runner
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused NOT_EXECUTOR
            5: fence=1 REDEEMED complete by +60s
            6: refused ALREADY_REDEEMED
            7: refused NOT_EXECUTOR
            8: refused NOT_EXECUTOR
            9: fence=1 COMMITTED
        "#]],
    );
}

#[test]
fn second_outcome_that_contradicts_is_refused_and_recorded_once() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        complete 1 committed
        redeem 1
        complete 1 committed; evidence e
        complete 1 committed
        complete 1 committed; evidence e
        complete 1 committed; evidence f
        complete 1 aborted
        get 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused NOT_REDEEMED
            5: fence=1 REDEEMED complete by +60s
            6: fence=1 COMMITTED
            7: fence=1 COMMITTED (replay)
            8: fence=1 COMMITTED (replay)
            9: refused OUTCOME_CONFLICT (recorded)
            10: refused OUTCOME_CONFLICT (recorded)
            11: fence=1 COMMITTED
        "#]],
    );
}

#[test]
fn aborted_permit_that_is_committed_later_is_a_conflict() {
    check(
        "
        put p pay invoice*
        activate p
        authorize k1 pay invoice=7
        redeem 1
        complete 1 aborted
        complete 1 aborted
        complete 1 committed
        get 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 ABORTED
            6: fence=1 ABORTED (replay)
            7: refused OUTCOME_CONFLICT (recorded)
            8: fence=1 ABORTED
        "#]],
    );
}

#[test]
fn only_an_issued_permit_is_taken_back_by_its_caller_or_an_operator() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        revoke 1; by mallory
        revoke 1
        revoke 1
        redeem 1
        complete 1 committed
        authorize k2 pay account=a
        revoke 2; by root; operator
        authorize k3 pay account=a
        redeem 3
        revoke 3
        complete 3 committed
        revoke 3
        revoke 9
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused FORBIDDEN
            5: fence=1 REVOKED
            6: fence=1 REVOKED (replay)
            7: refused REVOKED
            8: refused REVOKED
            9: PERMIT fence=2 ISSUED until +10s v1
            10: fence=2 REVOKED
            11: PERMIT fence=3 ISSUED until +10s v1
            12: fence=3 REDEEMED complete by +60s
            13: refused ALREADY_REDEEMED
            14: fence=3 COMMITTED
            15: refused NOT_ALLOWED
            16: refused UNKNOWN_PERMIT
        "#]],
    );
}
