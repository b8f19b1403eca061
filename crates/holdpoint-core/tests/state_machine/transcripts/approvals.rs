//! Approvals: facts that a verdict rests on, given, spent, given back and taken back.

use crate::script::check;
use expect_test::expect;

#[test]
fn approval_is_spent_by_the_permit_that_used_it_and_counts_for_no_second_one() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan
        authorize k1 pay account=a; using pair plan bob
        approvals pair plan
        authorize k2 pay account=b; using pair plan bob
        authorize k1 pay account=a; using pair plan bob
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +60s
            4: PERMIT fence=1 ISSUED until +10s v1
            5: [bob spent by fence=1]
            6: evaluate again: FACTS_MOVED (active v1)
            7: PERMIT fence=1 ISSUED until +10s v1 (replay)
            8: policy approved decision
        "#]],
    );
}

#[test]
fn approval_that_a_quorum_does_not_spend_counts_until_it_expires() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan; for 20s
        authorize k1 pay account=a; using pair plan bob!
        authorize k2 pay account=b; using pair plan bob!
        approvals pair plan
        wait 19999ms
        authorize k3 pay account=c; using pair plan bob!
        wait 1ms
        authorize k4 pay account=d; using pair plan bob!
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +20s
            4: PERMIT fence=1 ISSUED until +10s v1
            5: PERMIT fence=2 ISSUED until +10s v1
            6: [bob until +20s]
            7: time +19999ms
            8: PERMIT fence=3 ISSUED until +29999ms v1
            9: time +20s
            10: evaluate again: FACTS_MOVED (active v1)
        "#]],
    );
}

#[test]
fn approval_that_is_not_given_or_is_of_other_bytes_or_another_quorum_is_no_fact() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan
        authorize k1 pay account=a; using pair plan carol
        authorize k1 pay account=a; using pair other bob
        authorize k1 pay account=a; using dba plan bob
        authorize k1 pay account=a; using pair plan bob; leaf 0
        authorize k1 pay account=a; using pair plan bob bob
        authorize k1 pay account=a; using pair plan bob
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +60s
            4: evaluate again: FACTS_MOVED (active v1)
            5: evaluate again: FACTS_MOVED (active v1)
            6: evaluate again: FACTS_MOVED (active v1)
            7: evaluate again: FACTS_MOVED (active v1)
            8: rejected: the evaluation does not fit: the approvals are not sorted, or one is named twice
            9: PERMIT fence=1 ISSUED until +10s v1
        "#]],
    );
}

#[test]
fn approval_that_is_taken_back_counts_no_more_and_can_be_given_anew() {
    check(
        "
        put p pay account!
        activate p
        disapprove pair plan
        approve pair plan; for 3600s
        disapprove pair plan; by mallory
        disapprove pair plan; by root; operator
        disapprove pair plan
        authorize k1 pay account=a; using pair plan bob
        approve pair plan; for 3600s
        authorize k1 pay account=a; using pair plan bob; leaf 1
        authorize k1 pay account=a; using pair plan bob
        disapprove pair plan
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: refused UNKNOWN_APPROVAL
            4: pair approved by bob until +3600s
            5: refused FORBIDDEN
            6: pair approved by bob REVOKED
            7: pair approved by bob REVOKED (replay)
            8: evaluate again: FACTS_MOVED (active v1)
            9: pair approved by bob until +3600s
            10: evaluate again: FACTS_MOVED (active v1)
            11: PERMIT fence=1 ISSUED until +10s v1
            12: refused APPROVAL_SPENT
            13: policy approved approval_revoked approved decision
        "#]],
    );
}

/// It let nothing through and no longer can, so the new one is no second yes.
#[test]
fn approval_that_expired_unused_can_be_given_anew_at_once_and_one_that_was_spent_cannot() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan; for 1s
        approve pair plan; for 1s; by carol
        authorize k1 pay account=a; using pair plan carol
        wait 1s
        approve pair plan; for 1s
        approve pair plan; for 1s; by carol
        approvals pair plan
        authorize k2 pay account=b; using pair plan bob
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +1s
            4: pair approved by carol until +1s
            5: PERMIT fence=1 ISSUED until +10s v1
            6: time +1s
            7: pair approved by bob until +2s
            8: pair approved by carol SPENT (replay)
            9: [bob until +2s, carol spent by fence=1]
            10: PERMIT fence=2 ISSUED until +11s v1
        "#]],
    );
}

/// The answer to the first may have been lost. Were the second a new approval, the approver would
/// have said yes once and two permits would pass.
#[test]
fn same_approval_again_is_a_retry_even_if_a_permit_has_spent_it_meanwhile() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan; for 3600s
        approve pair plan; for 3600s
        authorize k1 pay account=a; using pair plan bob
        approve pair plan; for 3600s
        authorize k2 pay account=b; using pair plan bob
        wait 60500ms
        approve pair plan; for 3600s
        authorize k2 pay account=b; using pair plan bob
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +3600s
            4: pair approved by bob until +3600s (replay)
            5: PERMIT fence=1 ISSUED until +10s v1
            6: pair approved by bob SPENT (replay)
            7: evaluate again: FACTS_MOVED (active v1)
            8: time +60500ms
            9: pair approved by bob until +3660500ms
            10: PERMIT fence=2 ISSUED until +70500ms v1
        "#]],
    );
}

#[test]
fn approvals_come_back_when_their_permit_is_superseded() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan
        approve pair plan; by carol
        authorize k1 pay account=a; using pair plan bob carol
        activate p
        authorize k2 pay account=b; using pair plan bob carol
        authorize k1 pay account=a; using pair plan bob
        approvals pair plan
        get 1
        authorize k2 pay account=b; using pair plan bob
        authorize k2 pay account=b; using pair plan carol
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +60s
            4: pair approved by carol until +60s
            5: PERMIT fence=1 ISSUED until +10s v1
            6: activated version=2
            7: evaluate again: FACTS_MOVED (active v2)
            8: PERMIT fence=2 ISSUED until +10s v2
            9: [bob spent by fence=2, carol until +60s]
            10: fence=1 SUPERSEDED
            11: evaluate again: FACTS_MOVED (active v2)
            12: PERMIT fence=3 ISSUED until +10s v2
        "#]],
    );
}

/// Renewed meanwhile, an approval is no longer the old permit's to give back.
#[test]
fn approval_that_was_renewed_stays_as_it_is_when_its_first_spender_is_superseded() {
    check(
        "
        put p pay account!; for 600s
        activate p
        approve pair plan; for 3600s
        authorize k1 pay account=a; using pair plan bob
        wait 61s
        approve pair plan; for 3600s
        authorize k2 pay account=b; using pair plan bob
        activate p
        authorize k1 pay account=a
        approvals pair plan
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +3600s
            4: PERMIT fence=1 ISSUED until +600s v1
            5: time +61s
            6: pair approved by bob until +3661s
            7: PERMIT fence=2 ISSUED until +661s v1
            8: activated version=2
            9: PERMIT fence=3 ISSUED until +661s v2
            10: [bob spent by fence=2]
        "#]],
    );
}

#[test]
fn approvals_of_an_expired_or_revoked_permit_stay_spent() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan; for 3600s
        approve pair plan; for 3600s; by carol
        authorize k1 pay account=a; using pair plan bob
        authorize k2 pay account=b; using pair plan carol
        revoke 2
        wait 10s
        approvals pair plan
        activate p
        authorize k1 pay account=a; using pair plan bob
        authorize k1 pay account=a
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +3600s
            4: pair approved by carol until +3600s
            5: PERMIT fence=1 ISSUED until +10s v1
            6: PERMIT fence=2 ISSUED until +10s v1
            7: fence=2 REVOKED
            8: time +10s
            9: [bob spent by fence=1, carol spent by fence=2]
            10: activated version=2
            11: evaluate again: FACTS_MOVED (active v2)
            12: PERMIT fence=3 ISSUED until +20s v2
        "#]],
    );
}

#[test]
fn denial_for_a_held_bound_spends_no_approval() {
    check(
        "
        put p pay account!
        activate p
        authorize k1 pay account=a
        approve pair plan
        authorize k2 pay account=a; using pair plan bob
        approvals pair plan
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: PERMIT fence=1 ISSUED until +10s v1
            4: pair approved by bob until +60s
            5: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +10s v1
            6: [bob until +60s]
        "#]],
    );
}

#[test]
fn approval_is_for_the_policy_that_was_shown_and_counts_under_the_next() {
    check(
        "
        put p pay account!
        put other refund account!
        approve pair plan
        ",
        &expect![[r#"
            1: put
            2: put
            3: refused POLICY_MOVED
        "#]],
    );
    check(
        "
        put p pay account!
        put other refund account!
        activate p
        approve pair plan; version 2
        approve pair plan
        activate p
        authorize k1 pay account=a; using pair plan bob
        approve pair plan; version 1
        approve pair plan; version 1; by carol
        activate other
        approve pair plan; by carol
        ",
        &expect![[r#"
            1: put
            2: put
            3: activated version=1
            4: refused POLICY_MOVED
            5: pair approved by bob until +60s
            6: activated version=2
            7: PERMIT fence=1 ISSUED until +10s v2
            8: pair approved by bob SPENT (replay)
            9: refused POLICY_MOVED
            10: refused BOUNDS_IN_USE by pay (active version=2)
            11: pair approved by carol until +60s
        "#]],
    );
}

#[test]
fn approval_lives_at_least_a_moment_and_at_most_its_maximum() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan; for 0s
        approve pair plan; for 7776001s
        approve pair plan; for 7776000s
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: rejected: an approval for 0 ms; at least 1 and at most 7776000000 are accepted
            4: rejected: an approval for 7776001000 ms; at least 1 and at most 7776000000 are accepted
            5: pair approved by bob until +7776000s
        "#]],
    );
}

#[test]
fn request_is_listed_until_it_is_granted_or_nobody_asks_any_more() {
    check(
        "
        put p pay account!
        activate p
        ask pay account=a; needs pair plan-a, dba plan
        ask pay account=b; needs pair plan-b, dba plan
        listed plan
        listed plan-a
        ask pay account=a; needs pair plan-a, dba plan
        wait 60s
        ask pay account=a; needs pair plan-a, dba plan
        ask pay account=a; needs dba plan
        listed plan-a
        authorize k1 pay account=a
        listed plan
        authorize k2 pay account=a
        ask pay account=a; needs dba plan; version 2
        ask pay account=a; needs pair plan, pair plan
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: done
            4: done
            5: 2 listed, 2 helped
            6: 2 listed, 1 helped
            7: done (replay)
            8: time +60s
            9: done
            10: done
            11: 2 listed, 0 helped
            12: PERMIT fence=1 ISSUED until +70s v1
            13: 1 listed, 1 helped
            14: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +70s v1
            15: refused POLICY_MOVED
            16: rejected: what is missing is not one subject for each quorum, in order, with its digest
        "#]],
    );
}

#[test]
fn what_can_no_longer_count_is_swept_away() {
    check(
        "
        put p pay account!
        activate p
        approve pair plan; for 60s
        approve pair plan; for 3600s; by carol
        ask pay account=a; needs pair plan
        due
        wait 23h
        due
        wait 1h
        due
        sweep
        listed plan
        approvals pair plan
        due
        wait 726s
        sweep all
        approvals pair plan
        wait 3540s
        sweep all
        approvals pair plan
        due
        log
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +60s
            4: pair approved by carol until +3600s
            5: done
            6: the next is due at +86400s
            7: time +82800s
            8: the next is due at +86400s
            9: time +86400s
            10: a sweep is due
            11: swept rows=1
            12: 0 listed, 0 helped
            13: [bob until +60s, carol until +3600s]
            14: the next is due at +87126s
            15: time +87126s
            16: swept rows=1
            17: [carol until +3600s]
            18: time +90666s
            19: swept rows=1
            20: []
            21: the next is due at +7776000s
            22: policy approved approved
        "#]],
    );
}

#[test]
fn approval_outlives_every_live_permit_that_has_spent_it() {
    check(
        "
        put p pay account!; for 24h
        activate p
        approve pair plan; for 1s
        wait 999ms
        authorize k1 pay account=a; end 600s; using pair plan bob
        retain permits 2d disclosures 2d statements 2d
        wait 23h
        sweep all
        approvals pair plan
        revoke 1
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +1s
            4: time +999ms
            5: PERMIT fence=1 ISSUED until +86400999ms v1
            6: done
            7: time +82800999ms
            8: swept rows=1
            9: [bob spent by fence=1]
            10: fence=1 REVOKED
        "#]],
    );
}

/// Somebody may have acted on the first permit, so one yes would stand for two effects.
#[test]
fn approvals_of_an_offline_permit_stay_spent_when_it_is_superseded() {
    check(
        "
        put p pay account!; offline
        activate p
        approve pair plan
        authorize k1 pay account=a; using pair plan bob
        activate p
        authorize k1 pay account=a; using pair plan bob
        approvals pair plan
        authorize k1 pay account=a
        approvals pair plan
        ",
        &expect![[r#"
            1: put
            2: activated version=1
            3: pair approved by bob until +60s
            4: PERMIT fence=1 ISSUED until +10s v1
            5: activated version=2
            6: evaluate again: FACTS_MOVED (active v2, supersedes)
            7: [bob spent by fence=1]
            8: DENY BOUND_HELD [account/a BOUND_HELD by fence=1] try again at +70500ms v2
            9: [bob spent by fence=1]
        "#]],
    );
}
