//! Sessions and freezes: what stops steps that are still to come.

use crate::script::check;
use expect_test::expect;

#[test]
fn closed_session_admits_no_more_decisions_and_no_more_redemptions() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; session s
        authorize k2 pay account=b; session s
        redeem 1
        session s
        wait 1s
        close s
        redeem 2
        redeem 1
        complete 1 committed
        authorize k3 pay account=c; session s
        authorize k2 pay account=b; session s
        authorize k3 pay account=c; session other
        close s
        session s
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +60s
            6: of alice, used at +0s, open
            7: time +1s
            8: done
            9: refused STALE_CONTEXT
            10: fence=1 REDEEMED complete by +60s (replay)
            11: fence=1 COMMITTED
            12: SILENCE SESSION_CLOSED
            13: PERMIT fence=2 ISSUED until +10s v1 (replay)
            14: PERMIT fence=3 ISSUED until +11s v1
            15: done (replay)
            16: of alice, used at +1s, closed by alice at +1s
            17: policy decision decision redeemed session_closed completed decision
        "#]],
    );
}

#[test]
fn session_is_the_first_callers_or_whose_who_closes_it_unnamed() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; session s; deny POLICY
        authorize k1 pay account=b; session s; by bob
        close s; by bob
        session s
        close s; by root; operator
        close s
        close new; by carol
        close new; by alice
        session new
        session none
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: DENY POLICY codes=TOO_LATE v1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: refused FORBIDDEN
            6: of alice, used at +0s, open
            7: done
            8: done (replay)
            9: done
            10: refused FORBIDDEN
            11: of carol, used at +0s, closed by carol at +0s
            12: no such session
        "#]],
    );
}

#[test]
fn session_that_was_closed_after_the_evaluation_is_met_in_the_entry() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; session s
        close s
        authorize k2 pay account=b; session s; facts wrong
        authorize k2 pay account=b; session s; deny POLICY
        session s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: done
            5: evaluate again: FACTS_MOVED (active v1)
            6: DENY POLICY codes=TOO_LATE v1
            7: of alice, used at +0s, closed by alice at +0s
        "#]],
    );
}

#[test]
fn frozen_surface_grants_nothing_and_everything_else_goes_on() {
    check(
        "
        put p pay account! + refund account!
        activate p
        authorize k1 pay account=a
        authorize k2 pay account=b
        freeze pay
        freeze pay
        authorize k3 pay account=c
        authorize k3 pay account=c; deny POLICY
        authorize k4 refund account=a
        redeem 1
        complete 1 committed
        revoke 2
        freeze
        authorize k5 refund account=b
        thaw pay
        authorize k5 refund account=b
        thaw
        thaw
        authorize k5 refund account=b
        authorize k6 pay account=c
        freeze nowhere
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: done
            6: done (replay)
            7: SILENCE FROZEN
            8: DENY POLICY codes=TOO_LATE v1
            9: PERMIT fence=3 ISSUED until +10s v1
            10: fence=1 REDEEMED complete by +60s
            11: fence=1 COMMITTED
            12: fence=2 REVOKED
            13: done
            14: SILENCE FROZEN
            15: done
            16: SILENCE FROZEN
            17: done
            18: done (replay)
            19: PERMIT fence=4 ISSUED until +10s v1
            20: PERMIT fence=5 ISSUED until +10s v1
            21: refused UNKNOWN_SURFACE
            22: policy decision decision frozen decision decision redeemed completed revoked frozen frozen frozen decision decision
        "#]],
    );
}

#[test]
fn session_is_forgotten_when_nothing_has_used_it_for_its_time() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a; session s
        authorize k2 pay account=b; session other
        close other
        retain sessions 1h
        retain sessions 2d
        wait 1d
        authorize k3 pay account=c; session s; end 86700s
        wait 1d
        sweep all
        session s
        session other
        wait 1d
        sweep all
        session s
        due
        retain
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: done
            6: refused RETENTION_TOO_SHORT
            7: done
            8: time +86400s
            9: PERMIT fence=3 ISSUED until +86410s v1
            10: time +172800s
            11: swept rows=4
            12: of alice, used at +86400s, open
            13: no such session
            14: time +259200s
            15: swept rows=1
            16: no such session
            17: nothing is due
            18: done
        "#]],
    );
}
