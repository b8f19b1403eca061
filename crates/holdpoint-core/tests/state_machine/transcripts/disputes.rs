//! A follower evaluates a decision otherwise.

use expect_test::expect;

use crate::script::check;

#[test]
fn disputed_decision_freezes_its_surface_and_takes_its_permit_back() {
    check(
        "
        put p pay account! + ship invoice!
        activate p
        authorize k1 pay account=1
        dispute 1
        stated 2 kind surface freeze disputed_leaf
        get 1
        redeem 1
        authorize k2 pay account=2
        authorize k3 ship invoice=2
        dispute 1
        dispute 1 ; by 3
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: done
            5: kind=frozen surface=pay freeze=frozen disputed_leaf=1
            6: fence=1 REVOKED
            7: refused REVOKED
            8: SILENCE FROZEN
            9: PERMIT fence=2 ISSUED until +10s v1
            10: done (replay)
            11: done (replay)
            12: policy decision frozen revoked decision
        "#]],
    );
}

#[test]
fn what_an_operator_lets_go_on_is_not_frozen_again_by_the_same_dispute() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1
        dispute 1
        thaw pay
        dispute 1
        authorize k2 pay account=1
        freeze pay
        dispute 5
        get 2
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: done
            5: done
            6: done (replay)
            7: PERMIT fence=2 ISSUED until +10s v1
            8: done
            9: done
            10: fence=2 REVOKED
            11: policy decision frozen revoked frozen decision frozen frozen revoked
        "#]],
    );
}

#[test]
fn dispute_of_what_was_redeemed_or_denied_freezes_only() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1
        redeem 1
        authorize k2 pay account=1
        dispute 1
        dispute 3
        get 1
        complete 1 committed
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: DENY BOUND_HELD [account/1 BOUND_HELD by fence=1] v1
            6: done
            7: done
            8: fence=1 REDEEMED complete by +60s
            9: fence=1 COMMITTED
            10: policy decision redeemed decision frozen frozen completed
        "#]],
    );
}

#[test]
fn only_decisions_are_disputed_by_voters_with_the_same_evaluator() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1
        dispute 1 ; by 4
        dispute 1 ; evaluator 2
        dispute 0
        dispute 9
        voters 1 2 3 4
        dispute 1 ; by 4
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused UNKNOWN_NODE
            5: rejected: another version of the evaluator made this decision
            6: refused NOT_FOUND
            7: refused NOT_FOUND
            8: no head
            9: done
        "#]],
    );
}

#[test]
fn dispute_is_kept_as_long_as_its_decision() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=1
        dispute 1
        retain permits 30h disclosures 30h statements 30h
        wait 40h
        sweep all
        dispute 1
        statements
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: done
            5: done
            6: time +144000s
            7: swept rows=10
            8: refused NOT_FOUND
            9: kept [], disclosed [] of 4
        "#]],
    );
}
