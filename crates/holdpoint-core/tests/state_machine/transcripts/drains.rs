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

/// The effect happened while the activation waited for it: nobody could know before.
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
