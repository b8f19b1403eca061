//! Who waits for what, and whose turn it is.

use crate::script::check;
use expect_test::expect;

#[test]
fn attempt_waits_and_is_granted_when_what_it_waits_for_is_let_go() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a; until 60s
        authorize k2 pay account=a; until 60s; lookup
        queue pay account a
        redeem 1
        complete 1 committed
        authorize k2 pay account=a; lookup
        authorize k2 pay account=a; until 60s
        queue pay account a
        authorize k2 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            6: 1 alice/k2
            7: fence=1 REDEEMED complete by +60s
            8: fence=1 COMMITTED | offered to alice/k2 until +10s
            9: evaluate again: POLICY_MOVED (active v1)
            10: PERMIT fence=2 ISSUED until +10s v1
            11: nobody waits
            12: PERMIT fence=2 ISSUED until +10s v1 (replay)
        "#]],
    );
}

#[test]
fn expiry_and_revocation_and_abort_make_offers_too() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a; until 60s
        wait 10s
        authorize k2 pay account=a; lookup
        leave nobody
        authorize k2 pay account=a; until 60s
        authorize k3 pay account=a; until 60s
        revoke 2
        authorize k3 pay account=a; until 60s
        redeem 3
        authorize k4 pay account=a; until 60s
        complete 3 aborted
        authorize k4 pay account=a; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: time +10s
            6: evaluate again: POLICY_MOVED (active v1) | offered to alice/k2 until +20s
            7: done (replay)
            8: PERMIT fence=2 ISSUED until +20s v1
            9: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=2]
            10: fence=2 REVOKED | offered to alice/k3 until +20s
            11: PERMIT fence=3 ISSUED until +20s v1
            12: fence=3 REDEEMED complete by +70s
            13: WAITING ticket=3 until +60s [account/a BOUND_HELD by fence=3]
            14: fence=3 ABORTED | offered to alice/k4 until +20s
            15: PERMIT fence=4 ISSUED until +20s v1
        "#]],
    );
}

#[test]
fn two_that_want_the_same_two_things_cannot_block_each_other() {
    check(
        "
        put p pay account! invoice!
        activate p
        authorize holds-a pay account=a invoice=1
        authorize holds-7 pay account=b invoice=7
        authorize a7 pay account=a invoice=7; until 60s
        authorize 7a pay account=a invoice=7; by bob; until 60s
        authorize a8 pay account=a invoice=8; until 60s
        authorize b7 pay account=b invoice=7; by bob; until 60s
        revoke 1
        revoke 2
        authorize a7 pay account=a invoice=7; until 60s
        queue pay account a
        queue pay invoice 7
        revoke 3
        authorize 7a pay account=a invoice=7; by bob
        revoke 4; by bob
        authorize a8 pay account=a invoice=8
        authorize b7 pay account=b invoice=7; by bob
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1] [invoice/7 BOUND_HELD by fence=2]
            6: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1] [invoice/7 BOUND_HELD by fence=2]
            7: WAITING ticket=3 until +60s [account/a BOUND_HELD by fence=1]
            8: WAITING ticket=4 until +60s [account/b BOUND_HELD by fence=2] [invoice/7 BOUND_HELD by fence=2]
            9: fence=1 REVOKED
            10: fence=2 REVOKED | offered to alice/a7 until +10s
            11: PERMIT fence=3 ISSUED until +10s v1
            12: 2 bob/7a, 3 alice/a8
            13: 2 bob/7a, 4 bob/b7
            14: fence=3 REVOKED | offered to bob/7a until +10s
            15: PERMIT fence=4 ISSUED until +10s v1
            16: fence=4 REVOKED | offered to alice/a8 until +10s | offered to bob/b7 until +10s
            17: PERMIT fence=5 ISSUED until +10s v1
            18: PERMIT fence=6 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn nobody_overtakes_who_has_waited_longer() {
    check(
        "
        put p pay account! invoice!
        activate p
        authorize k1 pay account=a invoice=1
        authorize k2 pay account=a invoice=2; until 60s
        authorize k3 pay account=b invoice=2
        authorize k4 pay account=b invoice=2; until 60s
        revoke 1
        authorize k5 pay account=a invoice=5
        authorize k6 pay account=a invoice=6; until 60s
        authorize k4 pay account=b invoice=2; until 60s
        authorize k2 pay account=a invoice=2; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: DENY BOUND_HELD [invoice/2 BOUND_HELD] v1
            6: WAITING ticket=2 until +60s [invoice/2 BOUND_HELD]
            7: fence=1 REVOKED | offered to alice/k2 until +10s
            8: DENY BOUND_HELD [account/a BOUND_HELD] v1
            9: WAITING ticket=3 until +60s [account/a BOUND_HELD]
            10: WAITING ticket=2 until +60s [invoice/2 BOUND_HELD]
            11: PERMIT fence=2 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn deadline_of_a_wait_is_a_denial_that_stays() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        redeem 1
        authorize k2 pay account=a; until 30s
        wait 30s
        authorize k2 pay account=a; until 30s; lookup
        authorize k2 pay account=a; until 30s
        authorize k2 pay account=a; until 60s
        complete 1 committed
        authorize k2 pay account=a; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: WAITING ticket=1 until +30s [account/a BOUND_HELD by fence=1]
            6: time +30s
            7: evaluate again: POLICY_MOVED (active v1)
            8: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] v1
            9: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] v1 (replay)
            10: fence=1 COMMITTED
            11: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] v1 (replay)
        "#]],
    );
}

#[test]
fn retry_keeps_the_ticket_and_the_end_with_which_it_began() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        redeem 1
        authorize k2 pay account=a; until 30s
        authorize k3 pay account=a; until 30s
        authorize k2 pay account=a; until 50s
        authorize k2 pay account=a
        authorize k2 pay account=b; until 30s
        authorize k2 pay account=a; until 30s; end 200s
        authorize k4 pay account=a; until 301s
        queue pay account a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: WAITING ticket=1 until +30s [account/a BOUND_HELD by fence=1]
            6: WAITING ticket=2 until +30s [account/a BOUND_HELD by fence=1]
            7: WAITING ticket=1 until +30s [account/a BOUND_HELD by fence=1]
            8: WAITING ticket=1 until +30s [account/a BOUND_HELD by fence=1]
            9: SILENCE IDEMPOTENCY_KEY_REUSED
            10: SILENCE IDEMPOTENCY_KEY_REUSED
            11: rejected: wait_until 1970-01-01T00:21:41.000Z is after not_after 1970-01-01T00:21:40.000Z
            12: 1 alice/k2, 2 alice/k3
        "#]],
    );
}

#[test]
fn waiting_in_vain_is_a_denial_at_once() {
    check(
        "
        put p pay invoice* + seat seats#1 + buy spend$10/3600s
        activate p
        authorize k1 pay invoice=7
        redeem 1
        authorize k2 pay invoice=7; until 60s
        authorize k3 pay invoice=7; by bob; until 60s
        complete 1 committed
        authorize k4 pay invoice=7; until 60s
        authorize k2 pay invoice=7; until 60s
        authorize k3 pay invoice=7; by bob; until 60s
        authorize k5 buy spend=a amount=11; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: WAITING ticket=1 until +60s [invoice/7 BOUND_HELD by fence=1]
            6: WAITING ticket=2 until +60s [invoice/7 BOUND_HELD by fence=1]
            7: fence=1 COMMITTED | offered to alice/k2 until +10s
            8: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] v1
            9: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] v1 | offered to bob/k3 until +10s
            10: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] v1
            11: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] v1
        "#]],
    );
}

#[test]
fn who_leaves_makes_room_and_an_old_ticket_takes_nobody_out() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a; until 60s
        authorize k3 pay account=a; until 60s
        leave k2; ticket 7
        leave k2; by bob
        revoke 1
        leave k2
        leave k2
        authorize k3 pay account=a; until 60s
        authorize k2 pay account=a; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            5: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1]
            6: done (replay)
            7: done (replay)
            8: fence=1 REVOKED | offered to alice/k2 until +10s
            9: done | offered to alice/k3 until +10s
            10: done (replay)
            11: PERMIT fence=2 ISSUED until +10s v1
            12: WAITING ticket=3 until +60s [account/a BOUND_HELD by fence=2]
        "#]],
    );
}

#[test]
fn policy_change_keeps_the_ticket_and_replaces_the_claims() {
    check(
        "
        put p pay account!
        put q pay account! invoice!
        activate p
        authorize k1 pay account=a invoice=1
        authorize k5 pay account=a invoice=5; until 60s
        authorize k6 pay account=a invoice=6; until 60s
        redeem 1
        complete 1 committed
        activate q
        authorize k7 pay account=c invoice=5
        authorize k6 pay account=a invoice=6; lookup
        authorize k6 pay account=a invoice=6; until 60s
        authorize k5 pay account=a invoice=5; until 60s
        queue pay account a
        queue pay invoice 5
        revoke 2
        authorize k5 pay account=a invoice=5; until 60s
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            6: WAITING ticket=2 until +60s [account/a BOUND_HELD by fence=1]
            7: fence=1 REDEEMED complete by +60s
            8: fence=1 COMMITTED | offered to alice/k5 until +10s
            9: activated version=2
            10: PERMIT fence=2 ISSUED until +10s v2
            11: evaluate again: POLICY_MOVED (active v2)
            12: WAITING ticket=2 until +60s [account/a BOUND_HELD]
            13: WAITING ticket=1 until +60s [invoice/5 BOUND_HELD by fence=2]
            14: 1 alice/k5, 2 alice/k6
            15: 1 alice/k5
            16: fence=2 REVOKED | offered to alice/k5 until +10s
            17: PERMIT fence=3 ISSUED until +10s v2
        "#]],
    );
}

#[test]
fn replaced_permit_waits_behind_those_that_waited_for_it() {
    check(
        "
        put p pay account!
        put q pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a; until 60s
        activate q
        authorize k1 pay account=a; until 60s
        authorize k2 pay account=a; until 60s
        get 1
        revoke 2
        authorize k1 pay account=a; until 60s
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: WAITING ticket=1 until +60s [account/a BOUND_HELD by fence=1]
            6: activated version=2
            7: WAITING ticket=2 until +60s [account/a BOUND_HELD] | offered to alice/k2 until +10s
            8: PERMIT fence=2 ISSUED until +10s v2
            9: fence=1 SUPERSEDED
            10: fence=2 REVOKED | offered to alice/k1 until +10s
            11: PERMIT fence=3 ISSUED until +10s v2
        "#]],
    );
}

#[test]
fn capacity_is_offered_to_one_after_the_other() {
    check(
        "
        put p pay seats#2
        activate p
        authorize k1 pay seats=a
        authorize k2 pay seats=a
        authorize k3 pay seats=a; until 60s
        authorize k4 pay seats=a; until 60s
        authorize k5 pay seats=a; until 60s
        revoke 1
        revoke 2
        authorize k4 pay seats=a; until 60s
        authorize k3 pay seats=a; until 60s
        authorize k4 pay seats=a; until 60s
        queue pay seats a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: WAITING ticket=1 until +60s [seats/a BOUND_EXHAUSTED]
            6: WAITING ticket=2 until +60s [seats/a BOUND_EXHAUSTED]
            7: WAITING ticket=3 until +60s [seats/a BOUND_EXHAUSTED]
            8: fence=1 REVOKED | offered to alice/k3 until +10s
            9: fence=2 REVOKED
            10: WAITING ticket=2 until +60s [seats/a BOUND_HELD]
            11: PERMIT fence=3 ISSUED until +10s v1 | offered to alice/k4 until +10s
            12: PERMIT fence=4 ISSUED until +10s v1
            13: 3 alice/k5
        "#]],
    );
}

#[test]
fn next_window_of_a_budget_is_offered_without_anybody_letting_go() {
    check(
        "
        put p pay spend$10/60s
        activate p
        authorize k1 pay spend=a amount=10
        redeem 1
        complete 1 committed
        authorize k2 pay spend=a amount=4; until 60s
        authorize k3 pay spend=a amount=7; until 60s
        wait 20s
        leave nobody
        authorize k2 pay spend=a amount=4; until 60s
        authorize k3 pay spend=a amount=7; until 60s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 COMMITTED
            6: WAITING ticket=1 until +60s [spend/a BOUND_EXHAUSTED]
            7: WAITING ticket=2 until +60s [spend/a BOUND_EXHAUSTED]
            8: time +20s
            9: done (replay) | offered to alice/k2 until +30s
            10: PERMIT fence=2 ISSUED until +30s v1
            11: WAITING ticket=2 until +60s [spend/a BOUND_EXHAUSTED]
        "#]],
    );
}

#[test]
fn effect_that_counts_for_a_time_is_waited_for() {
    check(
        "
        put p pay invoice*3600s
        activate p
        authorize k1 pay invoice=7
        redeem 1
        complete 1 committed
        wait 3590s
        authorize k2 pay invoice=7; end 3900s; until 3600s
        authorize k3 pay invoice=7; end 3900s; until 3601s
        wait 10s
        leave nobody
        authorize k3 pay invoice=7; end 3900s; until 3601s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 COMMITTED
            6: time +3590s
            7: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] try again at +3600s v1
            8: WAITING ticket=1 until +3601s [invoice/7 ALREADY_COMMITTED by fence=1]
            9: time +3600s
            10: done (replay) | offered to alice/k3 until +3601s
            11: PERMIT fence=2 ISSUED until +3610s v1
        "#]],
    );
}
