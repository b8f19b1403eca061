//! Permits in doubt: released, resolved, contradicted.

use holdpoint_core::Command;
use holdpoint_core::command::CompletionResult;
use holdpoint_core::limits::WORD_BYTES_MAX;
use holdpoint_core::outcome::Outcome;
use holdpoint_core::rejection::{Bounded, Rejection};

use crate::script::check;
use crate::world::World;
use expect_test::expect;

#[test]
fn surface_releases_what_has_been_in_doubt_for_as_long_as_it_says() {
    check(
        "
        put p pay account! spend$100/1h; within 30s; release 60s
        activate p
        authorize k1 pay account=a spend=x amount=60
        redeem 1
        due
        wait 30s
        doubts
        sweep
        authorize k2 pay account=a spend=x amount=60
        wait 59999ms
        sweep
        wait 1ms
        due
        sweep
        get 1
        doubts
        used pay spend x
        authorize k3 pay account=a spend=x amount=60
        redeem 1; id r2
        redeem 1
        revoke 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +30s
            5: the next is due at +30s
            6: time +30s
            7: in doubt: [fence=1 REDEEMED complete by +30s IN DOUBT]
            8: swept rows=0
            9: DENY BOUND_EXHAUSTED [account/a BOUND_HELD by fence=1] [spend/x BOUND_EXHAUSTED] v1
            10: time +89999ms
            11: swept rows=0
            12: time +90s
            13: a sweep is due
            14: swept rows=1 released=1
            15: fence=1 RELEASED
            16: in doubt: []
            17: nothing
            18: PERMIT fence=2 ISSUED until +100s v1
            19: refused RELEASED
            20: fence=1 RELEASED (replay)
            21: refused RELEASED
        "#]],
    );
}

#[test]
fn permit_that_comes_in_doubt_while_nothing_else_happens_is_heard_of() {
    check(
        "
        put p pay account!; within 3s
        activate p
        authorize k1 pay account=a
        redeem 1
        due
        idle 3s
        due
        doubts
        sweep
        doubts
        due
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +3s
            5: the next is due at +3s
            6: no entry
            7: the next is due at +3s
            8: in doubt: []
            9: swept rows=0
            10: in doubt: [fence=1 REDEEMED complete by +3s IN DOUBT]
            11: the next is due at +360500ms
        "#]],
    );
}

#[test]
fn operator_releases_only_what_is_in_doubt() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        release 1; operator
        redeem 1
        release 1; operator
        wait 60s
        release 1
        release 9; operator
        release 1; by root; operator
        release 1; by root; operator
        authorize k2 pay account=a
        redeem 2
        complete 2 committed
        release 2; operator
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: refused NOT_IN_DOUBT
            5: fence=1 REDEEMED complete by +60s
            6: refused NOT_IN_DOUBT
            7: time +60s
            8: refused FORBIDDEN
            9: refused UNKNOWN_PERMIT
            10: fence=1 RELEASED
            11: fence=1 RELEASED (replay)
            12: PERMIT fence=2 ISSUED until +70s v1
            13: fence=2 REDEEMED complete by +120s
            14: fence=2 COMMITTED
            15: refused NOT_IN_DOUBT
        "#]],
    );
}

#[test]
fn once_and_offline_permits_are_never_released() {
    check(
        "
        put p pay invoice* + refund account!; within 30s
        put q pay account!; within 30s; offline
        activate p
        authorize k1 pay invoice=1
        redeem 1
        wait 30s
        release 1; operator
        complete 1 aborted; operator
        activate q
        authorize k2 pay account=a
        wait 30s
        doubts
        release 2; operator
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: PERMIT fence=1 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +30s
            6: time +30s
            7: refused NOT_ALLOWED
            8: fence=1 ABORTED
            9: activated version=2
            10: PERMIT fence=2 ISSUED until +40s v2
            11: time +60s
            12: in doubt: [fence=2 EXPIRED IN DOUBT]
            13: refused NOT_ALLOWED
        "#]],
    );
}

/// That it was not used is as it should be. That it was is a conflict, and charges what it consumed.
#[test]
fn late_outcome_of_a_released_permit_is_recorded() {
    check(
        "
        put p pay account! spend$100/1h; within 30s; release 30s
        activate p
        authorize k1 pay account=a spend=x amount=60
        redeem 1
        authorize k2 pay account=b spend=x amount=10
        redeem 2
        wait 60s
        sweep
        used pay spend x
        complete 2 aborted
        complete 2 aborted
        complete 2 committed
        get 2
        complete 1 committed; evidence e
        complete 1 committed
        complete 1 committed; evidence f
        complete 1 aborted
        get 1
        used pay spend x
        authorize k3 pay account=a spend=x amount=41
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +30s
            5: PERMIT fence=2 ISSUED until +10s v1
            6: fence=2 REDEEMED complete by +30s
            7: time +60s
            8: swept rows=2 released=2
            9: nothing
            10: fence=2 RELEASED
            11: fence=2 RELEASED (replay)
            12: refused RELEASED (recorded)
            13: fence=2 RELEASED
            14: refused RELEASED (recorded)
            15: refused RELEASED (recorded)
            16: refused RELEASED (recorded)
            17: refused RELEASED (recorded)
            18: fence=1 RELEASED
            19: live 0 committed 60 until +2600s
            20: DENY BOUND_EXHAUSTED [spend/x BOUND_EXHAUSTED] try again at +2600s v1
        "#]],
    );
}

#[test]
fn late_charge_of_a_window_that_is_over_counts_for_nothing() {
    check(
        "
        put p pay account! spend$100/60s; within 5s; release 5s
        activate p
        authorize k1 pay account=a spend=x amount=60
        redeem 1
        wait 10s
        sweep
        wait 10s
        complete 1 committed
        used pay spend x
        authorize k2 pay account=a spend=x amount=100
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +5s
            5: time +10s
            6: swept rows=1 released=1
            7: time +20s
            8: refused RELEASED (recorded)
            9: nothing
            10: PERMIT fence=2 ISSUED until +30s v1
        "#]],
    );
}

#[test]
fn contradicting_outcomes_are_stated_each_once_and_only_so_many() {
    check(
        "
        put p pay account!; executors caller,runner
        activate p
        authorize k1 pay account=a
        redeem 1
        complete 1 committed; evidence e
        complete 1 aborted
        complete 1 aborted
        complete 1 committed; evidence 2
        complete 1 committed; evidence 3
        complete 1 aborted; by root; operator
        complete 1 committed; evidence 2; by root; operator
        complete 1 committed; evidence 5
        complete 1 committed; evidence 6
        complete 1 committed; evidence 7
        complete 1 committed; evidence 8
        complete 1 committed; evidence 9
        complete 1 aborted
        complete 1 committed
        statements
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: fence=1 REDEEMED complete by +60s
            5: fence=1 COMMITTED
            6: refused OUTCOME_CONFLICT (recorded)
            7: refused OUTCOME_CONFLICT (recorded)
            8: refused OUTCOME_CONFLICT (recorded)
            9: refused OUTCOME_CONFLICT (recorded)
            10: refused OUTCOME_CONFLICT (recorded)
            11: refused OUTCOME_CONFLICT (recorded)
            12: refused OUTCOME_CONFLICT (recorded)
            13: refused OUTCOME_CONFLICT (recorded)
            14: refused OUTCOME_CONFLICT (recorded)
            15: refused OUTCOME_CONFLICT
            16: refused OUTCOME_CONFLICT
            17: refused OUTCOME_CONFLICT (recorded)
            18: fence=1 COMMITTED (replay)
            19: kept [0,1,2,3,4,5,6,7,8,9,10,11], disclosed [0,1,2,3,4,5,6,7,8,9,10,11] of 12
        "#]],
    );
}

#[test]
fn operator_resolves_what_is_in_doubt() {
    check(
        "
        put p pay invoice*; within 30s
        activate p
        authorize k1 pay invoice=1
        authorize k2 pay invoice=2
        redeem 1
        redeem 2
        wait 30s
        doubts
        complete 1 committed; by root; operator
        complete 2 aborted; by root; operator
        doubts
        complete 1 committed
        complete 1 aborted
        who pay invoice 1
        who pay invoice 2
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: PERMIT fence=2 ISSUED until +10s v1
            5: fence=1 REDEEMED complete by +30s
            6: fence=2 REDEEMED complete by +30s
            7: time +30s
            8: in doubt: [fence=1 REDEEMED complete by +30s IN DOUBT, fence=2 REDEEMED complete by +30s IN DOUBT]
            9: fence=1 COMMITTED
            10: fence=2 ABORTED
            11: in doubt: []
            12: fence=1 COMMITTED (replay)
            13: refused OUTCOME_CONFLICT (recorded)
            14: held by nobody, committed by fence=1
            15: held by nobody, committed by nobody
        "#]],
    );
}

#[test]
fn reason_that_is_too_long_is_rejected_before_anything_else() {
    let mut world = World::new();
    let reason = Some("x".repeat(WORD_BYTES_MAX + 1));
    let mut complete = world.complete(1, "root", CompletionResult::Aborted);
    complete.reason.clone_from(&reason);
    let mut release = world.release(1, "root");
    release.reason = reason;
    let rejection = Rejection::TooMuch {
        what: Bounded::ReasonBytes,
        count: WORD_BYTES_MAX as u64 + 1,
        count_max: WORD_BYTES_MAX as u64,
    };
    for command in [Command::Complete(complete), Command::Release(release)] {
        let outcome = world.one(command);
        assert_eq!(outcome, Outcome::Rejected(rejection.clone()));
    }
}
