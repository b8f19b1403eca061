//! What must not be done twice, or by two at once.

use crate::script::check;
use expect_test::expect;

#[test]
fn exclusive_bound_has_one_live_permit_at_a_time() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a
        authorize k3 pay account=b
        redeem 1
        authorize k4 pay account=a
        complete 1 committed
        authorize k5 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: fence=1 REDEEMED complete by +60s
            7: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] v1
            8: fence=1 COMMITTED
            9: PERMIT fence=3 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn once_is_committed_once() {
    check(
        "
        put p pay invoice*
        activate p
        authorize k1 pay invoice=7
        authorize k2 pay invoice=7
        redeem 1
        complete 1 aborted
        authorize k3 pay invoice=7
        redeem 2
        complete 2 committed
        authorize k4 pay invoice=7
        wait 299s
        authorize k5 pay invoice=7; end 500s
        who pay invoice 7
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_HELD [invoice/7 BOUND_HELD by fence=1] try again at +10s v1
            5: fence=1 REDEEMED complete by +60s
            6: fence=1 ABORTED
            7: PERMIT fence=2 ISSUED until +10s v1
            8: fence=2 REDEEMED complete by +60s
            9: fence=2 COMMITTED
            10: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=2] v1
            11: time +299s
            12: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=2] v1
            13: held by nobody, committed by fence=2
        "#]],
    );
}

#[test]
fn several_bounds_are_granted_all_or_none() {
    check(
        "
        put p pay account! invoice*
        activate p
        authorize k1 pay account=a invoice=7
        authorize k2 pay account=b invoice=7
        who pay account b
        authorize k3 pay account=a invoice=8
        who pay invoice 8
        authorize k4 pay account=b invoice=8
        authorize k5 pay account=b invoice=7
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_HELD [invoice/7 BOUND_HELD by fence=1] try again at +10s v1
            5: held by nobody, committed by nobody
            6: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +10s v1
            7: held by nobody, committed by nobody
            8: PERMIT fence=2 ISSUED until +10s v1
            9: DENY BOUND_HELD [account/b BOUND_HELD by fence=2] [invoice/7 BOUND_HELD by fence=1] try again at +10s v1
        "#]],
    );
}

#[test]
fn committed_effect_outweighs_a_held_bound() {
    check(
        "
        put p pay account! invoice*
        activate p
        authorize k1 pay account=a invoice=7
        redeem 1
        complete 1 committed
        authorize k2 pay account=a invoice=8
        authorize k3 pay account=a invoice=7
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 COMMITTED
            6: PERMIT fence=2 ISSUED until +10s v1
            7: DENY ALREADY_COMMITTED [account/a BOUND_HELD by fence=2] [invoice/7 ALREADY_COMMITTED by fence=1] v1
        "#]],
    );
}

#[test]
fn expired_permit_lets_its_bounds_go_to_the_next() {
    check(
        "
        put p pay account! invoice*
        activate p
        authorize k1 pay account=a invoice=7
        wait 9999ms
        authorize k2 pay account=a invoice=7
        wait 1ms
        who pay account a
        authorize k3 pay account=a invoice=7
        get 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: time +9999ms
            5: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] [invoice/7 BOUND_HELD by fence=1] try again at +10s v1
            6: time +10s
            7: held by nobody, committed by nobody
            8: PERMIT fence=2 ISSUED until +20s v1
            9: fence=1 EXPIRED
        "#]],
    );
}

#[test]
fn permit_in_doubt_keeps_its_bounds_until_somebody_says_how_it_ended() {
    check(
        "
        put p pay account!; within 30s
        activate p
        authorize k1 pay account=a
        redeem 1
        wait 30s
        get 1
        authorize k2 pay account=a
        complete 1 aborted; by operator; operator
        authorize k3 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +30s
            5: time +30s
            6: fence=1 REDEEMED complete by +30s IN DOUBT
            7: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] v1
            8: fence=1 ABORTED
            9: PERMIT fence=2 ISSUED until +40s v1
        "#]],
    );
}

#[test]
fn same_key_on_two_surfaces_is_two_operations() {
    check(
        "
        put p pay account! + refund account!
        activate p
        authorize k1 pay account=a
        authorize k2 refund account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
        "#]],
    );
}
