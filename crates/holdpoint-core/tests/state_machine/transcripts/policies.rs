//! Bundles, activations, and what they may not do to what is under way.

use crate::script::check;
use expect_test::expect;

#[test]
fn activation_is_a_compare_and_set_on_the_version() {
    check(
        "
        put p pay account!
        put p pay account!
        activate p; expect 1
        activate nowhere
        activate p
        activate p; expect 0
        activate p; expect 1
        ",
        &expect![[r#"
            1: put
            2: put (replay)
            3: refused VERSION_CONFLICT (active version=0)
            4: refused BUNDLE_UNKNOWN (active version=0)
            5: activated version=1
            6: refused VERSION_CONFLICT (active version=1)
            7: activated version=2
        "#]],
    );
}

#[test]
fn other_bundle_under_a_registered_digest_is_rejected() {
    check(
        "
        put p pay account!
        put p pay account!; for 20s
        ",
        &expect![[r#"
            1: put
            2: rejected: another bundle is registered under this digest
        "#]],
    );
}

#[test]
fn nothing_is_decided_without_an_active_policy() {
    check(
        "
        authorize k1 pay account=a
        put p pay account!
        authorize k1 pay account=a
        ",
        &expect![[r#"
            1: SILENCE NO_ACTIVE_POLICY
            2: put
            3: SILENCE NO_ACTIVE_POLICY
        "#]],
    );
}

#[test]
fn bounds_cannot_change_while_permits_are_live_on_their_surface() {
    check(
        "
        put p pay account!
        put added pay account! invoice*
        put kind pay account*
        put template pay account!; template account=acct/{params.account}
        put removed pay
        put gone refund account!
        put lives pay account!; for 20s; honour
        put more pay account! + refund account!
        activate p
        authorize k1 pay account=a
        activate added
        activate kind
        activate template
        activate removed
        activate gone
        activate lives
        activate more
        activate lives
        redeem 1
        activate gone
        complete 1 aborted
        activate gone
        ",
        &expect![[r#"
            1: put
            2: put
            3: put
            4: put
            5: put
            6: put
            7: put
            8: put
            9: activated version=1
            10: PERMIT fence=1 ISSUED until +10s v1
            11: refused BOUNDS_IN_USE by pay (active version=1)
            12: refused BOUNDS_IN_USE by pay (active version=1)
            13: refused BOUNDS_IN_USE by pay (active version=1)
            14: refused BOUNDS_IN_USE by pay (active version=1)
            15: refused BOUNDS_IN_USE by pay (active version=1)
            16: activated version=2
            17: activated version=3
            18: activated version=4
            19: fence=1 REDEEMED complete by +60s
            20: refused BOUNDS_IN_USE by pay (active version=4)
            21: fence=1 ABORTED
            22: activated version=5
        "#]],
    );
}

#[test]
fn expired_permits_do_not_hold_an_activation_up() {
    check(
        "
        put p pay account!
        put removed pay
        activate p
        authorize k1 pay account=a
        wait 10s
        activate removed
        get 1
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: time +10s
            6: activated version=2
            7: fence=1 EXPIRED
        "#]],
    );
}

#[test]
fn bound_with_tombstones_keeps_its_name_its_kind_and_its_template() {
    check(
        "
        put p pay invoice*
        put renamed pay bill*
        put template pay invoice*; template invoice=inv/{params.invoice}
        put kind pay invoice!
        put added pay invoice* account!
        put gone refund account!
        activate p
        authorize k1 pay invoice=7
        redeem 1
        complete 1 committed
        activate renamed
        activate template
        activate kind
        activate added
        activate gone
        activate renamed
        activate p
        authorize k2 pay invoice=7
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
            9: fence=1 REDEEMED complete by +60s
            10: fence=1 COMMITTED
            11: refused BOUNDS_IN_USE by pay (active version=1)
            12: refused BOUNDS_IN_USE by pay (active version=1)
            13: refused BOUNDS_IN_USE by pay (active version=1)
            14: activated version=2
            15: activated version=3
            16: refused BOUNDS_IN_USE by pay (active version=3)
            17: activated version=4
            18: DENY ALREADY_COMMITTED [invoice/7 ALREADY_COMMITTED by fence=1] v4
        "#]],
    );
}

#[test]
fn permit_of_an_earlier_version_is_stale_unless_the_active_bundle_honours_it() {
    check(
        "
        put p pay account!
        put honouring pay account!; honour
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        activate p
        redeem 1
        activate honouring
        redeem 1
        activate p
        redeem 2
        redeem 1
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: activated version=2
            7: refused STALE_POLICY
            8: activated version=3
            9: fence=1 REDEEMED complete by +60s
            10: activated version=4
            11: refused STALE_POLICY
            12: fence=1 REDEEMED complete by +60s (replay)
        "#]],
    );
}
