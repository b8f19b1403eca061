//! Capacities and budgets.

use crate::script::check;
use expect_test::expect;

#[test]
fn capacity_has_so_many_live_permits_and_no_more() {
    check(
        "
        put p pay seats#2
        activate p
        authorize k1 pay seats=a
        wait 1s
        authorize k2 pay seats=a
        authorize k3 pay seats=a
        authorize k4 pay seats=b
        redeem 1
        authorize k5 pay seats=a
        redeem 2
        authorize k6 pay seats=a
        used pay seats a
        complete 1 committed
        authorize k7 pay seats=a
        used pay seats a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: time +1s
            5: PERMIT fence=2 ISSUED until +11s v1
            6: DENY BOUND_EXHAUSTED [seats/a BOUND_EXHAUSTED] try again at +10s v1
            7: PERMIT fence=3 ISSUED until +11s v1
            8: fence=1 REDEEMED complete by +61s
            9: DENY BOUND_EXHAUSTED [seats/a BOUND_EXHAUSTED] try again at +11s v1
            10: fence=2 REDEEMED complete by +61s
            11: DENY BOUND_EXHAUSTED [seats/a BOUND_EXHAUSTED] v1
            12: live 2 committed 0
            13: fence=1 COMMITTED
            14: PERMIT fence=4 ISSUED until +11s v1
            15: live 2 committed 0
        "#]],
    );
}

#[test]
fn budget_sums_what_is_live_and_committed() {
    check(
        "
        put p pay spend$100/1h
        activate p
        authorize k1 pay spend=a amount=60
        authorize k2 pay spend=a amount=40
        authorize k3 pay spend=a amount=1
        used pay spend a
        redeem 1
        complete 1 committed
        used pay spend a
        redeem 2
        complete 2 aborted
        used pay spend a
        authorize k4 pay spend=a amount=41
        authorize k5 pay spend=a amount=40
        authorize k6 pay spend=b amount=100
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +10s v1
            6: live 100 committed 0 until +2600s
            7: fence=1 REDEEMED complete by +60s
            8: fence=1 COMMITTED
            9: live 40 committed 60 until +2600s
            10: fence=2 REDEEMED complete by +60s
            11: fence=2 ABORTED
            12: live 0 committed 60 until +2600s
            13: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +2600s v1
            14: PERMIT fence=3 ISSUED until +10s v1
            15: PERMIT fence=4 ISSUED until +10s v1
        "#]],
    );
}

/// Expired, revoked, superseded and aborted ones do; committed ones do not.
#[test]
fn permit_gives_its_budget_back_unless_it_was_committed() {
    check(
        "
        put p pay spend$100/1h
        put q pay spend$100/1h; for 20s
        activate p
        authorize k1 pay spend=a amount=100
        wait 10s
        authorize k2 pay spend=a amount=100
        revoke 2
        authorize k3 pay spend=a amount=100
        activate q
        authorize k3 pay spend=a amount=100
        used pay spend a
        redeem 4
        complete 4 aborted
        authorize k4 pay spend=a amount=100
        redeem 5
        complete 5 committed
        authorize k5 pay spend=a amount=1
        used pay spend a
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: time +10s
            6: PERMIT fence=2 ISSUED until +20s v1
            7: fence=2 REVOKED
            8: PERMIT fence=3 ISSUED until +20s v1
            9: activated version=2
            10: PERMIT fence=4 ISSUED until +30s v2
            11: live 100 committed 0 until +2600s
            12: fence=4 REDEEMED complete by +70s
            13: fence=4 ABORTED
            14: PERMIT fence=5 ISSUED until +30s v2
            15: fence=5 REDEEMED complete by +70s
            16: fence=5 COMMITTED
            17: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +2600s v2
            18: live 0 committed 100 until +2600s
        "#]],
    );
}

/// The next window, or the time at which enough issued permits have expired, whichever is sooner.
#[test]
fn denial_says_when_enough_of_a_budget_is_free() {
    check(
        "
        put p pay spend$100/1h; for 60s
        activate p
        authorize k1 pay spend=a amount=30
        wait 5s
        authorize k2 pay spend=a amount=30
        wait 5s
        authorize k3 pay spend=a amount=30
        authorize k4 pay spend=a amount=20
        authorize k5 pay spend=a amount=41
        authorize k6 pay spend=a amount=100
        authorize k7 pay spend=a amount=101
        redeem 1
        authorize k8 pay spend=a amount=20
        authorize k9 pay spend=a amount=100
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +60s v1
            4: time +5s
            5: PERMIT fence=2 ISSUED until +65s v1
            6: time +10s
            7: PERMIT fence=3 ISSUED until +70s v1
            8: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +60s v1
            9: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +65s v1
            10: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +70s v1
            11: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] v1
            12: fence=1 REDEEMED complete by +70s
            13: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +65s v1
            14: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +2600s v1
        "#]],
    );
}

/// Windows count from the epoch: this one ends 20 seconds after the start.
#[test]
fn budget_is_charged_to_the_window_in_which_the_permit_was_issued() {
    check(
        "
        put p pay spend$100/60s; for 30s
        activate p
        authorize k1 pay spend=a amount=70
        redeem 1
        wait 19999ms
        authorize k2 pay spend=a amount=31
        wait 1ms
        used pay spend a
        authorize k3 pay spend=a amount=31
        used pay spend a
        complete 1 committed
        used pay spend a
        authorize k4 pay spend=a amount=69
        authorize k5 pay spend=a amount=1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +30s v1
            4: fence=1 REDEEMED complete by +60s
            5: time +19999ms
            6: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +20s v1
            7: time +20s
            8: live 70 committed 0 until +20s
            9: PERMIT fence=2 ISSUED until +50s v1
            10: live 70 committed 0 until +20s, live 31 committed 0 until +80s
            11: fence=1 COMMITTED
            12: live 31 committed 0 until +80s
            13: PERMIT fence=3 ISSUED until +50s v1
            14: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +50s v1
        "#]],
    );
}

#[test]
fn window_that_is_over_forgets_its_sum_and_not_its_live_permits() {
    check(
        "
        put p pay spend$100/60s; for 30s
        activate p
        authorize k1 pay spend=a amount=10
        authorize k2 pay spend=a amount=20
        authorize k3 pay spend=b amount=30
        redeem 1
        redeem 2
        redeem 3
        complete 1 committed
        complete 3 committed
        due
        wait 20s
        due
        sweep
        used pay spend a
        used pay spend b
        complete 2 committed
        used pay spend a
        sweep all
        due
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +30s v1
            4: PERMIT fence=2 ISSUED until +30s v1
            5: PERMIT fence=3 ISSUED until +30s v1
            6: fence=1 REDEEMED complete by +60s
            7: fence=2 REDEEMED complete by +60s
            8: fence=3 REDEEMED complete by +60s
            9: fence=1 COMMITTED
            10: fence=3 COMMITTED
            11: the next is due at +20s
            12: time +20s
            13: a sweep is due
            14: swept rows=2
            15: live 20 committed 10 until +20s
            16: nothing
            17: fence=2 COMMITTED
            18: nothing
            19: swept rows=0
            20: the next is due at +360500ms
        "#]],
    );
}

/// The largest that JSON keeps exactly fits, once. Nothing is charged for nothing, even where all is used.
#[test]
fn amounts_are_taken_at_their_extremes() {
    check(
        "
        put p pay spend$9007199254740991/1h
        activate p
        authorize k1 pay spend=a amount=9007199254740991
        authorize k2 pay spend=a amount=1
        authorize k3 pay spend=a amount=9007199254740991
        authorize k4 pay spend=a amount=0
        authorize k5 pay spend=a amount=9007199254740992
        authorize k6 pay spend=a amount=9223372036854775807
        authorize k7 pay spend=a amount=18446744073709551615
        used pay spend a
        redeem 1
        complete 1 committed
        redeem 2
        complete 2 committed
        used pay spend a
        authorize k8 pay spend=a amount=9007199254740991
        authorize k9 pay spend=b amount=9007199254740990
        authorize k10 pay spend=b amount=1
        authorize k11 pay spend=b amount=1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +10s v1
            5: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +10s v1
            6: PERMIT fence=2 ISSUED until +10s v1
            7: rejected: the evaluation does not fit: the claims are not one for every bound of the surface, in order
            8: rejected: the evaluation does not fit: the claims are not one for every bound of the surface, in order
            9: rejected: the evaluation does not fit: the claims are not one for every bound of the surface, in order
            10: live 9007199254740991 committed 0 until +2600s
            11: fence=1 REDEEMED complete by +60s
            12: fence=1 COMMITTED
            13: fence=2 REDEEMED complete by +60s
            14: fence=2 COMMITTED
            15: live 0 committed 9007199254740991 until +2600s
            16: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +2600s v1
            17: PERMIT fence=3 ISSUED until +10s v1
            18: PERMIT fence=4 ISSUED until +10s v1
            19: DENY BOUND_EXHAUSTED [spend/b BOUND_EXHAUSTED] try again at +10s v1
        "#]],
    );
}

#[test]
fn limits_and_windows_outside_their_limits_are_no_outline() {
    check(
        "
        put a pay seats#0
        put b pay seats#9007199254740992
        put c pay spend$0/1h
        put d pay spend$1/59999ms
        put e pay spend$1/367d
        put f pay invoice*3599s
        put g pay invoice*1h; for 3600s; within 1s
        put h pay invoice*3661d
        put i pay account!; release 0s
        put j pay account!; release 31d
        put k pay invoice*; release 60s
        put l pay account!; release 60s; offline
        put m pay seats#1 spend$1/366d invoice*3660d
        ",
        &expect![[r#"
            1: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            2: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            3: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            4: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            5: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            6: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            7: rejected: the outline of the bundle is malformed: a lifetime is outside its limits
            8: rejected: the outline of the bundle is malformed: a limit or a window of a bound is outside its limits
            9: rejected: the outline of the bundle is malformed: a lifetime is outside its limits
            10: rejected: the outline of the bundle is malformed: a lifetime is outside its limits
            11: rejected: the outline of the bundle is malformed: a lifetime is outside its limits
            12: rejected: the outline of the bundle is malformed: a lifetime is outside its limits
            13: put
        "#]],
    );
}

#[test]
fn several_bounds_of_every_kind_are_granted_all_or_none() {
    check(
        "
        put p pay account! invoice* seats#2 spend$100/1h
        activate p
        authorize k1 pay account=a invoice=1 seats=s spend=x amount=60
        authorize k2 pay account=b invoice=2 seats=s spend=x amount=41
        used pay seats s
        used pay spend x
        who pay account b
        authorize k3 pay account=a invoice=1 seats=s spend=x amount=41
        redeem 1
        complete 1 committed
        authorize k4 pay account=b invoice=1 seats=s spend=x amount=41
        authorize k5 pay account=b invoice=2 seats=s spend=x amount=40
        used pay seats s
        used pay spend x
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: DENY BOUND_EXHAUSTED [spend/x BOUND_EXHAUSTED] try again at +10s v1
            5: live 1 committed 0
            6: live 60 committed 0 until +2600s
            7: held by nobody, committed by nobody
            8: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [invoice/1 BOUND_HELD by fence=1] [spend/x BOUND_EXHAUSTED] try again at +10s v1
            9: fence=1 REDEEMED complete by +60s
            10: fence=1 COMMITTED
            11: DENY ALREADY_COMMITTED [invoice/1 ALREADY_COMMITTED by fence=1] [spend/x BOUND_EXHAUSTED] v1
            12: PERMIT fence=2 ISSUED until +10s v1
            13: live 1 committed 0
            14: live 40 committed 60 until +2600s
        "#]],
    );
}

#[test]
fn retry_time_is_the_latest_of_all_bounds_and_none_if_one_is_unknown() {
    check(
        "
        put p pay account! seats#1 spend$100/1h; for 60s
        activate p
        authorize k1 pay account=a seats=s spend=x amount=10
        wait 5s
        authorize k2 pay account=b seats=t spend=x amount=10
        authorize k3 pay account=a seats=t spend=x amount=10
        redeem 1
        authorize k4 pay account=a seats=t spend=x amount=10
        authorize k5 pay account=c seats=t spend=x amount=90
        authorize k6 pay account=c seats=u spend=x amount=101
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +60s v1
            4: time +5s
            5: PERMIT fence=2 ISSUED until +65s v1
            6: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [seats/t BOUND_EXHAUSTED] try again at +65s v1
            7: fence=1 REDEEMED complete by +65s
            8: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [seats/t BOUND_EXHAUSTED] v1
            9: DENY BOUND_EXHAUSTED [seats/t BOUND_EXHAUSTED] [spend/x BOUND_EXHAUSTED] try again at +65s v1
            10: DENY BOUND_EXHAUSTED [spend/x BOUND_EXHAUSTED] v1
        "#]],
    );
}

/// The entry lets two go, and the claim 256 more.
#[test]
fn more_expired_permits_than_one_claim_lets_go_are_let_go_by_the_next() {
    check(
        "
        put p pay spend$300/1h; for 1s
        activate p
        many 300 k% pay spend=a amount=1
        wait 1s
        authorize big pay spend=a amount=300
        used pay spend a
        authorize big pay spend=a amount=300
        used pay spend a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: 300 of 300 granted
            4: time +1s
            5: evaluate again: FACTS_MOVED (active v1)
            6: live 42 committed 0 until +2600s
            7: PERMIT fence=301 ISSUED until +2s v1
            8: live 300 committed 0 until +2600s
        "#]],
    );
}

#[test]
fn superseded_permit_is_not_lost_where_one_claim_does_not_let_all_go() {
    check(
        "
        put p pay spend$1000/1h; for 2s
        put q pay spend$1000/1h; for 2s
        activate p
        many 300 k% pay spend=a amount=1
        authorize x pay spend=a amount=50
        wait 1s
        authorize big pay spend=a amount=650
        activate q
        wait 1s
        authorize big pay spend=a amount=650
        get 302
        authorize big pay spend=a amount=650
        get 302
        used pay spend a
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: 300 of 300 granted
            5: PERMIT fence=301 ISSUED until +2s v1
            6: time +1s
            7: PERMIT fence=302 ISSUED until +3s v1
            8: activated version=2
            9: time +2s
            10: evaluate again: FACTS_MOVED (active v2, supersedes)
            11: fence=302 ISSUED until +3s
            12: PERMIT fence=303 ISSUED until +4s v2
            13: fence=302 SUPERSEDED
            14: live 650 committed 0 until +2600s
        "#]],
    );
}

#[test]
fn many_permits_share_a_capacity_exactly() {
    check(
        "
        put p pay seats#256
        activate p
        many 300 k% pay seats=a
        used pay seats a
        wait 10s
        sweep
        sweep
        used pay seats a
        many 300 l% pay seats=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: 256 of 300 granted
            4: live 256 committed 0
            5: time +10s
            6: swept rows=254
            7: swept rows=0
            8: nothing
            9: 256 of 300 granted
        "#]],
    );
}

/// A lowered one, and another window, wait for them.
#[test]
fn limit_is_raised_under_live_permits() {
    check(
        "
        put p pay seats#1 spend$100/1h
        put q pay seats#2 spend$200/1h
        put r pay seats#2 spend$200/2h
        activate p
        authorize k1 pay seats=a spend=x amount=100
        authorize k2 pay seats=a spend=x amount=100
        activate q
        authorize k3 pay seats=a spend=x amount=100
        used pay seats a
        used pay spend x
        activate p
        activate r
        wait 10s
        activate r
        used pay spend x
        ",
        &expect![[r#"
            1: put
            2: put
            3: put
            4: activated version=1
            5: PERMIT fence=1 ISSUED until +10s v1
            6: DENY BOUND_EXHAUSTED [seats/a BOUND_EXHAUSTED] [spend/x BOUND_EXHAUSTED] try again at +10s v1
            7: activated version=2
            8: PERMIT fence=2 ISSUED until +10s v2
            9: live 2 committed 0
            10: live 200 committed 0 until +2600s
            11: refused BOUNDS_IN_USE by pay (active version=2)
            12: refused BOUNDS_IN_USE by pay (active version=2)
            13: time +10s
            14: activated version=3
            15: nothing
        "#]],
    );
}
