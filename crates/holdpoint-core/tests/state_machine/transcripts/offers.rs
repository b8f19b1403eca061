//! How long an offer stands, and what becomes of it when leaders or waiters go.

use crate::script::check;
use expect_test::expect;

#[test]
fn waiter_that_has_vanished_holds_nothing_up() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize gone pay account=a; by bob; until 60s
        authorize k3 pay account=a; until 60s
        revoke 1
        wait 9999ms
        authorize k3 pay account=a; until 60s
        wait 1ms
        leave nobody
        authorize k3 pay account=a; until 60s
        revoke 2
        authorize gone pay account=a; by bob; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1]
            6: fence=1 REVOKED | offered to bob/gone until +10s
            7: time +9999ms
            8: WAITING ticket=2 until +60s [account/a BOUND_HELD]
            9: time +10s
            10: done (replay) | offered to alice/k3 until +20s
            11: PERMIT fence=2 ISSUED until +20s v1
            12: fence=2 REVOKED
            13: PERMIT fence=3 ISSUED until +20s v1
        "#]],
    );
}

#[test]
fn offer_that_was_open_when_the_leader_was_lost_is_made_again_under_the_next_one() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a; until 60s
        authorize k3 pay account=a; until 60s
        revoke 1
        elect
        wait 30s
        authorize k4 pay account=a
        authorize k3 pay account=a; until 60s
        authorize k2 pay account=a; until 60s
        revoke 2
        authorize k3 pay account=a; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1]
            6: fence=1 REVOKED | offered to alice/k2 until +10s
            7: term 2
            8: time +30s
            9: DENY BOUND_HELD [account/a BOUND_HELD] v1 | offered to alice/k2 until +40s
            10: WAITING ticket=2 until +60s [account/a BOUND_HELD]
            11: PERMIT fence=2 ISSUED until +40s v1
            12: fence=2 REVOKED | offered to alice/k3 until +40s
            13: PERMIT fence=3 ISSUED until +40s v1
        "#]],
    );
}

#[test]
fn offer_of_a_waiter_that_has_vanished_lapses_under_the_first_leader_that_lasts() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize gone pay account=a; by bob; until 60s
        authorize k3 pay account=a; until 60s
        revoke 1
        wait 9s
        elect
        wait 1s
        queue pay account a
        authorize k3 pay account=a; until 60s; lookup
        due
        elect
        wait 10s
        due
        sweep
        wait 9999ms
        due
        queue pay account a
        wait 1ms
        queue pay account a
        sweep
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1]
            6: fence=1 REVOKED | offered to bob/gone until +10s
            7: time +9s
            8: term 2
            9: time +10s
            10: 1 bob/gone offered until +10s, 2 alice/k3
            11: WAITING ticket=2 until +60s [account/a BOUND_HELD] | offered to bob/gone until +20s
            12: the next is due at +20s
            13: term 3
            14: time +20s
            15: a sweep is due
            16: swept rows=0 | offered to bob/gone until +30s
            17: time +29999ms
            18: the next is due at +30s
            19: 1 bob/gone offered until +30s, 2 alice/k3
            20: time +30s
            21: 2 alice/k3
            22: swept rows=0 | offered to alice/k3 until +40s
        "#]],
    );
}

#[test]
fn end_of_a_wait_ends_its_offer_under_every_leader() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize gone pay account=a; by bob; until 15s
        authorize k3 pay account=a; until 60s
        revoke 1
        elect
        wait 14999ms
        authorize k3 pay account=a; until 60s
        elect
        wait 1ms
        authorize k3 pay account=a; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +15s [account/a BOUND_HELD by fence=1]
            5: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1]
            6: fence=1 REVOKED | offered to bob/gone until +10s
            7: term 2
            8: time +14999ms
            9: WAITING ticket=2 until +60s [account/a BOUND_HELD] | offered to bob/gone until +15s
            10: term 3
            11: time +15s
            12: PERMIT fence=2 ISSUED until +25s v1 | offered to alice/k3 until +25s
        "#]],
    );
}

#[test]
fn lapsed_offer_makes_room_even_before_a_sweep_has_come_by() {
    check(
        "
        put p pay account! invoice!
        activate p
        authorize k1 pay account=a invoice=1
        authorize gone pay account=a invoice=2; by bob; until 60s
        revoke 1
        wait 10s
        authorize k3 pay account=a invoice=2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: fence=1 REVOKED | offered to bob/gone until +10s
            6: time +10s
            7: PERMIT fence=2 ISSUED until +20s v1
        "#]],
    );
}
