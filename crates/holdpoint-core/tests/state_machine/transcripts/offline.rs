//! Surfaces whose executors need not redeem.

use crate::script::check;
use expect_test::expect;

/// Ten seconds of life, half a second of skew, sixty to commit.
#[test]
fn offline_permit_keeps_its_bounds_until_nobody_can_be_acting_on_it() {
    check(
        "
        put p pay account! seats#1; offline
        activate p
        authorize k1 pay account=a seats=s
        authorize k2 pay account=a seats=s
        wait 10s
        get 1
        authorize k3 pay account=a seats=s
        doubts
        wait 60499ms
        authorize k4 pay account=a seats=s
        who pay account a
        wait 1ms
        who pay account a
        authorize k5 pay account=a seats=s
        get 1
        doubts
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [seats/s BOUND_EXHAUSTED] try again at +70500ms v1
            5: time +10s
            6: fence=1 EXPIRED IN DOUBT
            7: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [seats/s BOUND_EXHAUSTED] try again at +70500ms v1
            8: in doubt: [fence=1 EXPIRED IN DOUBT]
            9: time +70499ms
            10: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [seats/s BOUND_EXHAUSTED] try again at +70500ms v1
            11: held by fence=1, committed by nobody
            12: time +70500ms
            13: held by nobody, committed by nobody
            14: PERMIT fence=2 ISSUED until +80500ms v1
            15: fence=1 EXPIRED IN DOUBT
            16: in doubt: [fence=1 EXPIRED IN DOUBT]
        "#]],
    );
}

#[test]
fn expired_offline_permit_keeps_what_an_effect_consumes() {
    check(
        "
        put p pay account! invoice* seats#1 spend$100/1h; offline
        activate p
        authorize k1 pay account=a invoice=1 seats=s spend=x amount=60
        wait 80s
        authorize k2 pay account=a invoice=1 seats=s spend=y amount=1
        authorize k3 pay account=a invoice=2 seats=s spend=x amount=41
        authorize k4 pay account=a invoice=2 seats=s spend=x amount=40
        used pay spend x
        complete 1 aborted
        used pay spend x
        authorize k5 pay account=b invoice=1 seats=t spend=y amount=1
        doubts
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: time +80s
            5: DENY BOUND_HELD [invoice/1 BOUND_HELD by fence=1] v1
            6: DENY BOUND_EXHAUSTED [spend/x BOUND_EXHAUSTED] try again at +2600s v1
            7: PERMIT fence=2 ISSUED until +90s v1
            8: live 100 committed 0 until +2600s
            9: fence=1 ABORTED
            10: live 40 committed 0 until +2600s
            11: PERMIT fence=3 ISSUED until +90s v1
            12: in doubt: []
        "#]],
    );
}

/// Before the permit expires, after, or when its bounds have gone to others.
#[test]
fn executor_that_only_verified_says_how_it_ended() {
    check(
        "
        put p pay account! invoice* spend$100/1h; offline; executors caller,runner
        activate p
        authorize k1 pay account=a invoice=1 spend=x amount=10
        complete 1 committed; by mallory
        complete 1 committed; by runner; evidence e
        complete 1 committed; by runner
        redeem 1
        used pay spend x
        authorize k2 pay account=a invoice=2 spend=x amount=10
        wait 10s
        get 2
        complete 2 committed; by runner
        authorize k3 pay account=a invoice=3 spend=x amount=10
        wait 75s
        doubts
        complete 3 committed; by root; operator
        doubts
        used pay spend x
        authorize k4 pay account=a invoice=3 spend=x amount=10
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused NOT_EXECUTOR
            5: fence=1 COMMITTED
            6: fence=1 COMMITTED (replay)
            7: refused ALREADY_REDEEMED
            8: live 0 committed 10 until +2600s
            9: PERMIT fence=2 ISSUED until +10s v1
            10: time +10s
            11: fence=2 EXPIRED IN DOUBT
            12: fence=2 COMMITTED
            13: PERMIT fence=3 ISSUED until +20s v1
            14: time +85s
            15: in doubt: [fence=3 EXPIRED IN DOUBT]
            16: fence=3 COMMITTED
            17: in doubt: []
            18: live 0 committed 30 until +2600s
            19: DENY ALREADY_COMMITTED [invoice/3 ALREADY_COMMITTED by fence=3] v1
        "#]],
    );
}

#[test]
fn offline_permit_that_is_redeemed_is_like_any_other() {
    check(
        "
        put p pay account!; offline
        activate p
        authorize k1 pay account=a
        redeem 1
        wait 60s
        get 1
        doubts
        wait 60s
        authorize k2 pay account=a
        complete 1 committed
        authorize k3 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: time +60s
            6: fence=1 REDEEMED complete by +60s IN DOUBT
            7: in doubt: [fence=1 REDEEMED complete by +60s IN DOUBT]
            8: time +120s
            9: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] v1
            10: fence=1 COMMITTED
            11: PERMIT fence=2 ISSUED until +130s v1
        "#]],
    );
}

#[test]
fn revoked_offline_permit_keeps_its_bounds_and_then_lets_them_go() {
    check(
        "
        put p pay account! invoice* spend$100/1h; offline
        activate p
        authorize k1 pay account=a invoice=1 spend=x amount=60
        revoke 1
        redeem 1
        authorize k2 pay account=a invoice=1 spend=x amount=60
        wait 70499ms
        authorize k3 pay account=a invoice=1 spend=x amount=60
        wait 1ms
        used pay spend x
        authorize k4 pay account=a invoice=1 spend=x amount=60
        used pay spend x
        get 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REVOKED
            5: refused REVOKED
            6: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [invoice/1 BOUND_HELD by fence=1] [spend/x BOUND_EXHAUSTED] try again at +70500ms v1
            7: time +70499ms
            8: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [invoice/1 BOUND_HELD by fence=1] [spend/x BOUND_EXHAUSTED] try again at +70500ms v1
            9: time +70500ms
            10: live 60 committed 0 until +2600s
            11: PERMIT fence=2 ISSUED until +80500ms v1
            12: live 60 committed 0 until +2600s
            13: fence=1 REVOKED
        "#]],
    );
}

#[test]
fn superseded_offline_permit_keeps_its_bounds_from_its_own_attempt() {
    check(
        "
        put p pay account!; offline
        put q pay account!; offline; for 20s
        activate p
        authorize k1 pay account=a; end 60s
        activate q
        authorize k1 pay account=a; end 60s
        wait 70499ms
        authorize k2 pay account=a
        wait 1ms
        authorize k3 pay account=a
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: activated version=2
            6: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +70500ms v2
            7: time +70499ms
            8: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +70500ms v2
            9: time +70500ms
            10: PERMIT fence=2 ISSUED until +90500ms v2
        "#]],
    );
}

/// That it was not used frees its bounds at once. That it was is a conflict, and charges what it consumed.
#[test]
fn outcome_of_a_revoked_offline_permit_is_recorded() {
    check(
        "
        put p pay account! invoice* spend$100/1h; offline
        activate p
        authorize k1 pay account=a invoice=1 spend=x amount=10
        revoke 1
        complete 1 aborted
        complete 1 aborted
        authorize k2 pay account=a invoice=1 spend=x amount=10
        revoke 2
        complete 2 committed
        complete 2 committed
        complete 2 aborted
        get 2
        who pay invoice 1
        used pay spend x
        authorize k3 pay account=a invoice=1 spend=x amount=10
        authorize k4 pay account=a invoice=2 spend=x amount=90
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REVOKED
            5: fence=1 REVOKED
            6: fence=1 REVOKED (replay)
            7: PERMIT fence=2 ISSUED until +10s v1
            8: fence=2 REVOKED
            9: refused REVOKED (recorded)
            10: refused REVOKED (recorded)
            11: refused REVOKED (recorded)
            12: fence=2 REVOKED
            13: held by nobody, committed by fence=2
            14: live 0 committed 10 until +2600s
            15: DENY ALREADY_COMMITTED [invoice/1 ALREADY_COMMITTED by fence=2] v1
            16: PERMIT fence=3 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn effect_that_comes_after_the_bounds_went_to_another_is_a_conflict() {
    check(
        "
        put p pay account! invoice* spend$100/1h; offline
        activate p
        authorize k1 pay account=a invoice=1 spend=x amount=60
        revoke 1
        wait 70500ms
        authorize k2 pay account=a invoice=1 spend=x amount=60
        complete 1 committed
        who pay invoice 1
        used pay spend x
        redeem 2
        complete 2 committed
        who pay invoice 1
        used pay spend x
        authorize k3 pay account=a invoice=2 spend=x amount=1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REVOKED
            5: time +70500ms
            6: PERMIT fence=2 ISSUED until +80500ms v1
            7: refused REVOKED (recorded)
            8: held by fence=2, committed by fence=1
            9: live 60 committed 60 until +2600s
            10: fence=2 REDEEMED complete by +130500ms
            11: fence=2 COMMITTED
            12: held by nobody, committed by fence=1
            13: live 0 committed 120 until +2600s
            14: DENY BOUND_EXHAUSTED [spend/x BOUND_EXHAUSTED] try again at +2600s v1
        "#]],
    );
}

#[test]
fn effect_that_comes_after_its_bound_is_gone_leaves_no_tombstone() {
    check(
        "
        put p pay invoice*; offline
        put q pay invoice!; offline
        activate p
        authorize k1 pay invoice=1
        revoke 1
        activate q
        wait 70500ms
        activate q
        complete 1 committed
        authorize k2 pay invoice=1
        who pay invoice 1
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REVOKED
            6: refused BOUNDS_IN_USE by pay (active version=1)
            7: time +70500ms
            8: activated version=2
            9: refused REVOKED (recorded)
            10: PERMIT fence=2 ISSUED until +80500ms v2
            11: held by fence=2, committed by nobody
        "#]],
    );
}

#[test]
fn activation_waits_for_what_offline_permits_hold() {
    check(
        "
        put p pay account! invoice*; offline
        put q pay account!; offline
        activate p
        authorize k1 pay account=a invoice=1
        wait 80s
        activate q
        complete 1 aborted
        activate q
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: time +80s
            6: refused BOUNDS_IN_USE by pay (active version=1)
            7: fence=1 ABORTED
            8: activated version=2
        "#]],
    );
}
