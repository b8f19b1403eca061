//! Cluster time is the only clock.

use crate::script::check;
use expect_test::expect;

#[test]
fn one_entry_moves_time_by_a_bounded_step_and_the_voters_by_any() {
    check(
        "
        tick 1s
        tick 3600s
        tick 1ms
        wait 1s
        wait 1s
        ",
        &expect![[r#"
            1: time +1s
            2: time +6s
            3: time +11s
            4: time +3602001ms
            5: time +3603001ms
        "#]],
    );
}

#[test]
fn leader_clock_that_jumps_ahead_expires_nothing_at_once() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        tick 86400s
        get 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: time +5s
            5: fence=1 ISSUED until +10s
        "#]],
    );
}

#[test]
fn permit_lives_in_a_half_open_interval() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        wait 9999ms
        redeem 1
        wait 1ms
        get 2
        redeem 2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: time +9999ms
            6: fence=1 REDEEMED complete by +69999ms
            7: time +10s
            8: fence=2 EXPIRED
            9: refused EXPIRED
        "#]],
    );
}
