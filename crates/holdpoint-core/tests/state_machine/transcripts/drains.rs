//! Activations under live permits, and bundles that are watched or taken away.

use crate::script::check;
use expect_test::expect;

#[test]
fn bounds_may_be_loosened_under_live_permits() {
    check(
        "
        put p pay invoice*2h
        put shorter pay invoice*1h
        put ever pay invoice*
        activate p
        authorize k1 pay invoice=1
        activate ever
        activate shorter
        activate p
        ",
        &expect![[r#"
            1: put
            2: put
            3: put
            4: activated version=1
            5: PERMIT fence=1 ISSUED until +10s v1
            6: refused BOUNDS_IN_USE by pay (active version=1)
            7: activated version=2
            8: refused BOUNDS_IN_USE by pay (active version=2)
        "#]],
    );
}

#[test]
fn drain_grants_nothing_on_its_surfaces_and_takes_effect_when_none_is_live() {
    check(
        "
        put p pay account! + refund account!
        put next pay + refund account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        authorize k3 refund account=a
        activate next
        activate next; drain
        authorize k4 pay account=c
        authorize k4 pay account=c; deny POLICY
        authorize k5 refund account=b
        authorize k1 pay account=a
        redeem 1
        sweep
        activate next; drain
        activate p
        activate next; revoke
        wait 10s
        sweep
        get 2
        complete 1 committed
        sweep
        authorize k6 pay account=c
        activate p; expect 1; drain
        log
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: PERMIT fence=3 ISSUED until +10s v1
            7: refused BOUNDS_IN_USE by pay (active version=1)
            8: draining pay
            9: SILENCE DRAINING
            10: DENY POLICY codes=TOO_LATE v1
            11: PERMIT fence=4 ISSUED until +10s v1
            12: PERMIT fence=1 ISSUED until +10s v1 (replay)
            13: fence=1 REDEEMED complete by +60s
            14: swept rows=0
            15: draining pay (replay)
            16: refused DRAIN_PENDING (active version=1)
            17: refused DRAIN_PENDING (active version=1)
            18: time +10s
            19: swept rows=1
            20: fence=2 EXPIRED
            21: fence=1 COMMITTED
            22: swept rows=0 activated version=2
            23: PERMIT fence=5 ISSUED until +20s v2
            24: refused VERSION_CONFLICT (active version=2)
            25: policy decision decision decision drain decision decision redeemed completed policy decision
        "#]],
    );
}

#[test]
fn revoking_drain_takes_effect_at_once_if_nothing_is_redeemed() {
    check(
        "
        put p pay account!
        put next pay
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        activate next; revoke
        get 1
        get 2
        log
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: activated version=2
            7: fence=1 REVOKED
            8: fence=2 REVOKED
            9: policy decision decision drain revoked revoked policy
        "#]],
    );
}

#[test]
fn revoking_drain_waits_for_what_is_redeemed() {
    check(
        "
        put p pay account!
        put next pay
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        redeem 1
        activate next; revoke
        get 2
        redeem 2; id r2
        sweep
        wait 100s
        sweep
        complete 1 aborted
        authorize k3 pay account=c
        sweep
        authorize k3 pay account=c
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: fence=1 REDEEMED complete by +60s
            7: draining pay
            8: fence=2 REVOKED
            9: refused REVOKED
            10: swept rows=0
            11: time +100s
            12: swept rows=0
            13: fence=1 ABORTED
            14: SILENCE DRAINING
            15: swept rows=0 activated version=2
            16: PERMIT fence=3 ISSUED until +110s v2
        "#]],
    );
}

#[test]
fn drain_can_be_given_up_and_what_it_revoked_stays_revoked() {
    check(
        "
        put p pay account!
        put next pay
        activate p
        cancel
        authorize k1 pay account=a
        authorize k2 pay account=b
        redeem 1
        activate next; revoke
        cancel
        cancel
        get 2
        authorize k3 pay account=b
        sweep
        log
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: refused NO_DRAIN
            5: PERMIT fence=1 ISSUED until +10s v1
            6: PERMIT fence=2 ISSUED until +10s v1
            7: fence=1 REDEEMED complete by +60s
            8: draining pay
            9: done
            10: refused NO_DRAIN
            11: fence=2 REVOKED
            12: PERMIT fence=3 ISSUED until +10s v1
            13: swept rows=0
            14: policy decision decision redeemed drain revoked drain decision
        "#]],
    );
}

/// The effect happened while the activation waited for it: nobody could know before.
#[test]
fn drain_is_given_up_if_what_was_committed_meanwhile_forbids_it() {
    check(
        "
        put p pay invoice*
        put next pay bill*
        activate p
        authorize k1 pay invoice=1
        redeem 1
        activate next; drain
        complete 1 committed
        authorize k2 pay invoice=2
        sweep
        authorize k2 pay invoice=2
        activate next; drain
        log
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +60s
            6: draining pay
            7: fence=1 COMMITTED
            8: SILENCE DRAINING
            9: swept rows=0
            10: PERMIT fence=2 ISSUED until +10s v1
            11: refused BOUNDS_IN_USE by pay (active version=1)
            12: policy decision redeemed drain completed drain decision
        "#]],
    );
}

#[test]
fn mode_of_an_activation_does_not_matter_where_nothing_is_in_its_way() {
    check(
        "
        put p pay account!
        put next pay
        activate p; revoke
        authorize k1 pay account=a
        revoke 1
        activate next; drain
        authorize k2 pay account=a
        activate p; revoke
        authorize k3 pay account=a
        activate p; revoke
        get 3
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REVOKED
            6: activated version=2
            7: PERMIT fence=2 ISSUED until +10s v2
            8: activated version=3
            9: PERMIT fence=3 ISSUED until +10s v3
            10: activated version=4
            11: fence=3 ISSUED until +10s
        "#]],
    );
}

#[test]
fn shadows_are_registered_bundles_and_at_most_two() {
    check(
        "
        put p pay account!
        put q pay
        put r pay account*
        shadow nowhere
        shadow p q
        shadow q p
        shadow p p
        shadow p q r
        shadow
        ",
        &expect![[r#"
            1: put
            2: put
            3: put
            4: refused BUNDLE_UNKNOWN
            5: done
            6: done (replay)
            7: rejected: the shadows are not sorted, or one is named twice
            8: rejected: shadows: 3, at most 2 are accepted
            9: done
        "#]],
    );
}

#[test]
fn bundle_is_taken_away_only_while_nothing_names_it() {
    check(
        "
        put p pay account!
        put q pay
        put r pay invoice!
        put s pay invoice*
        delete nowhere
        activate p
        delete p
        activate q
        delete p
        activate p
        authorize k1 pay account=a
        redeem 1
        activate r; drain
        delete r
        cancel
        delete r
        shadow s
        delete s
        shadow
        delete s
        delete s
        activate s
        ",
        &expect![[r#"
            1: put
            2: put
            3: put
            4: put
            5: refused BUNDLE_UNKNOWN
            6: activated version=1
            7: refused BUNDLE_IN_USE
            8: activated version=2
            9: refused BUNDLE_IN_USE
            10: activated version=3
            11: PERMIT fence=1 ISSUED until +10s v3
            12: fence=1 REDEEMED complete by +60s
            13: draining pay
            14: refused BUNDLE_IN_USE
            15: done
            16: refused BUNDLE_IN_USE
            17: done
            18: refused BUNDLE_IN_USE
            19: done
            20: done
            21: refused BUNDLE_UNKNOWN
            22: refused BUNDLE_UNKNOWN (active version=3)
        "#]],
    );
}

#[test]
fn bundle_can_be_taken_away_once_no_kept_statement_names_it() {
    check(
        "
        put p pay account!
        put q pay account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        redeem 1
        activate q
        retain permits 2d disclosures 2d statements 2d
        wait 3d
        sweep all
        delete p
        get 2
        complete 1 committed
        wait 1d
        sweep all
        delete p
        wait 2d
        sweep all
        delete p
        get 1
        put p pay account!
        activate p
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: fence=1 REDEEMED complete by +60s
            7: activated version=2
            8: done
            9: time +259200s
            10: swept rows=14
            11: refused BUNDLE_IN_USE
            12: no such permit
            13: fence=1 COMMITTED
            14: time +345600s
            15: swept rows=0
            16: refused BUNDLE_IN_USE
            17: time +518400s
            18: swept rows=3
            19: done
            20: no such permit
            21: put
            22: activated version=3
        "#]],
    );
}

/// Every step is bounded, so a drain of many permits takes several; what is redeemed in front of them
/// holds none of them up.
#[test]
fn drain_of_many_permits_takes_several_bounded_steps() {
    check(
        "
        put p pay account!
        put next pay
        activate p
        crowd 260 pay account
        redeem 1
        redeem 2
        redeem 258
        activate next; revoke
        get 256
        get 260
        sweep
        get 257
        get 260
        sweep
        complete 1 aborted
        complete 2 aborted
        sweep
        complete 258 aborted
        sweep
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: 260 permits
            5: fence=1 REDEEMED complete by +60s
            6: fence=2 REDEEMED complete by +60s
            7: fence=258 REDEEMED complete by +60s
            8: draining pay
            9: fence=256 REVOKED
            10: fence=260 ISSUED until +10s
            11: swept rows=4
            12: fence=257 REVOKED
            13: fence=260 REVOKED
            14: swept rows=0
            15: fence=1 ABORTED
            16: fence=2 ABORTED
            17: swept rows=0
            18: fence=258 ABORTED
            19: swept rows=0 activated version=2
        "#]],
    );
}

/// Where executors need not redeem, nobody knows whether a revoked permit is being used: the drain
/// waits until nobody can be using it.
#[test]
fn drain_waits_for_what_offline_permits_hold() {
    check(
        "
        put p pay account!; offline
        put next pay
        activate p
        authorize k1 pay account=a
        activate next; revoke
        get 1
        wait 70s
        sweep
        wait 500ms
        sweep
        authorize k2 pay account=a
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: draining pay
            6: fence=1 REVOKED
            7: time +70s
            8: swept rows=0
            9: time +70500ms
            10: swept rows=0 activated version=2
            11: PERMIT fence=2 ISSUED until +80500ms v2
        "#]],
    );
}

#[test]
fn attempt_that_waits_is_not_granted_while_its_surface_drains() {
    check(
        "
        put p pay account!
        put next pay invoice!
        activate p
        authorize k1 pay account=a invoice=1
        redeem 1
        authorize k2 pay account=a invoice=2; until 200s
        activate next; drain
        complete 1 committed
        authorize k2 pay account=a invoice=2; until 200s
        sweep
        authorize k2 pay account=a invoice=2; until 200s
        queue pay account a
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +60s
            6: WAITING ticket=1 until +200s [account/a BOUND_HELD by fence=1]
            7: draining pay
            8: fence=1 COMMITTED | offered to alice/k2 until +10s
            9: SILENCE DRAINING
            10: swept rows=0 activated version=2
            11: PERMIT fence=2 ISSUED until +10s v2
            12: nobody waits
        "#]],
    );
}

#[test]
fn activation_is_not_held_up_by_who_waits() {
    check(
        "
        put p pay account!
        put next pay
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=a; until 200s
        activate next; revoke
        queue pay account a
        authorize k2 pay account=a; until 200s
        authorize k3 pay account=a
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: WAITING ticket=1 until +200s [account/a BOUND_HELD by fence=1]
            6: activated version=2 | offered to alice/k2 until +10s
            7: 1 alice/k2 offered until +10s
            8: PERMIT fence=2 ISSUED until +10s v2
            9: PERMIT fence=3 ISSUED until +10s v2
        "#]],
    );
}

#[test]
fn limits_may_rise_under_live_permits_and_nothing_else_may_change() {
    check(
        "
        put p pay seats#2 spend$100/1h
        put more pay seats#3 spend$200/1h
        put seats pay seats#1 spend$100/1h
        put spend pay seats#2 spend$99/1h
        put window pay seats#2 spend$100/2h
        put kind pay seats! spend$100/1h
        activate p
        authorize k1 pay seats=a spend=a amount=60
        activate seats
        activate spend
        activate window
        activate kind
        authorize k2 pay seats=a spend=a amount=60
        activate more
        authorize k2 pay seats=a spend=a amount=60
        authorize k3 pay seats=a spend=b amount=60
        authorize k4 pay seats=a spend=c amount=60
        activate p
        ",
        &expect![[r#"
            1: put
            2: put
            3: put
            4: put
            5: put
            6: put
            7: activated version=1
            8: PERMIT fence=1 ISSUED until +10s v1
            9: refused BOUNDS_IN_USE by pay (active version=1)
            10: refused BOUNDS_IN_USE by pay (active version=1)
            11: refused BOUNDS_IN_USE by pay (active version=1)
            12: refused BOUNDS_IN_USE by pay (active version=1)
            13: DENY BOUND_EXHAUSTED [spend/a BOUND_EXHAUSTED] try again at +10s v1
            14: activated version=2
            15: PERMIT fence=2 ISSUED until +10s v2
            16: PERMIT fence=3 ISSUED until +10s v2
            17: DENY BOUND_EXHAUSTED [seats/a BOUND_EXHAUSTED] try again at +10s v2
            18: refused BOUNDS_IN_USE by pay (active version=2)
        "#]],
    );
}
