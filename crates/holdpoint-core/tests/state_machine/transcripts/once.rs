//! Effects that are committed once, for ever or for a time.

use crate::script::check;
use expect_test::expect;

#[test]
fn effect_counts_for_as_long_as_its_bound_says() {
    check(
        "
        put p pay invoice*1h
        activate p
        authorize k1 pay invoice=7
        redeem 1
        wait 1s
        complete 1 committed
        authorize k2 pay invoice=7
        who pay invoice 7
        wait 3599999ms
        authorize k3 pay invoice=7; end 3700s
        wait 1ms
        who pay invoice 7
        authorize k4 pay invoice=7; end 3700s
        redeem 2
        complete 2 committed
        authorize k5 pay invoice=7; end 3700s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: time +1s
            6: fence=1 COMMITTED
            7: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] try again at +3601s v1
            8: held by nobody, committed by fence=1
            9: time +3600999ms
            10: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] try again at +3601s v1
            11: time +3601s
            12: held by nobody, committed by nobody
            13: PERMIT fence=2 ISSUED until +3611s v1
            14: fence=2 REDEEMED complete by +3661s
            15: fence=2 COMMITTED
            16: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=2] try again at +7201s v1
        "#]],
    );
}

#[test]
fn effect_that_no_longer_counts_is_swept() {
    check(
        "
        put p pay invoice*1h
        put q pay invoice*1h; template invoice=other
        activate p
        authorize k1 pay invoice=7
        redeem 1
        complete 1 committed
        activate q
        due
        wait 3600s
        due
        sweep
        sweep
        activate q
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +60s
            6: fence=1 COMMITTED
            7: refused BOUNDS_IN_USE by pay (active version=1)
            8: the next is due at +360500ms
            9: time +3600s
            10: a sweep is due
            11: swept rows=2
            12: swept rows=0
            13: activated version=2
        "#]],
    );
}

/// A bound that keeps effects for less time loosens what is to come, not what was.
#[test]
fn effect_for_ever_outlives_a_shorter_rule() {
    check(
        "
        put p pay invoice*
        put q pay invoice*1h
        activate p
        authorize k1 pay invoice=7
        redeem 1
        complete 1 committed
        activate q
        authorize k2 pay invoice=8
        redeem 2
        complete 2 committed
        wait 3600s
        authorize k3 pay invoice=7; end 3700s
        authorize k4 pay invoice=8; end 3700s
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +60s
            6: fence=1 COMMITTED
            7: activated version=2
            8: PERMIT fence=2 ISSUED until +10s v2
            9: fence=2 REDEEMED complete by +60s
            10: fence=2 COMMITTED
            11: time +3600s
            12: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] v2
            13: PERMIT fence=3 ISSUED until +3610s v2
        "#]],
    );
}

#[test]
fn committed_effect_outweighs_what_is_used_up_and_that_what_is_held() {
    check(
        "
        put p pay account! invoice* seats#1
        activate p
        authorize k1 pay account=a invoice=1 seats=s
        authorize k2 pay account=a invoice=2 seats=t
        authorize k3 pay account=a invoice=2 seats=s
        redeem 1
        complete 1 committed
        authorize k4 pay account=a invoice=2 seats=s
        authorize k5 pay account=a invoice=1 seats=s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +10s v1
            5: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [seats/s BOUND_EXHAUSTED] try again at +10s v1
            6: fence=1 REDEEMED complete by +60s
            7: fence=1 COMMITTED
            8: PERMIT fence=2 ISSUED until +10s v1
            9: DENY ALREADY_COMMITTED [account/a BOUND_HELD by fence=2] [invoice/1 ALREADY_COMMITTED by fence=1] [seats/s BOUND_EXHAUSTED] v1
        "#]],
    );
}
